//! How many meetings does one busy actor arrange in a second? A hundred creatures come to a mall, which brings them
//! together in pairs; both take a new colour, and come again. (Savina: chameneos.)

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::behaviour::{Behaviour, Latch};
use crate::{Contestant, Place};

const CREATURES: usize = 100;

/// 0, 1 or 2.
type Colour = u8;

/// The same colour stays, two different ones become the third.
fn complement(one: Colour, other: Colour) -> Colour {
    if one == other { one } else { 3 - one - other }
}

struct Mall<C: Contestant> {
    waiting: Option<(Colour, C::Addr<Creature<C>>)>,
    meetings_left: usize,
    faded: usize,
    met: u64,
    done: Arc<Latch>,
}

enum ToMall<C: Contestant> {
    Meet(Colour, C::Addr<Creature<C>>),
    Faded { met: u64 },
}

impl<C: Contestant> Behaviour for Mall<C> {
    type Msg = ToMall<C>;

    fn receive(&mut self, message: ToMall<C>) {
        match message {
            ToMall::Faded { met } => {
                self.met += met;
                self.faded += 1;
                if self.faded == CREATURES {
                    self.done.count_down();
                }
            }
            ToMall::Meet(_, creature) if self.meetings_left == 0 => {
                C::tell::<Creature<C>>(&creature, ToCreature::Fade);
            }
            ToMall::Meet(colour, creature) => match self.waiting.take() {
                None => self.waiting = Some((colour, creature)),
                Some((_, first)) => {
                    self.meetings_left -= 1;
                    C::tell::<Creature<C>>(&first, ToCreature::Meet(colour, creature));
                }
            },
        }
    }

    fn value(&self) -> u64 {
        self.met
    }
}

struct Creature<C: Contestant> {
    colour: Colour,
    met: u64,
    home: Option<Home<C>>,
}

/// What a creature has to know.
struct Home<C: Contestant> {
    me: C::Addr<Creature<C>>,
    mall: C::Addr<Mall<C>>,
}

enum ToCreature<C: Contestant> {
    Begin(Home<C>),
    Meet(Colour, C::Addr<Creature<C>>),
    Change(Colour),
    Fade,
}

impl<C: Contestant> Creature<C> {
    fn go_to_the_mall(&self) {
        if let Some(Home { me, mall }) = &self.home {
            C::tell::<Mall<C>>(mall, ToMall::Meet(self.colour, me.clone()));
        }
    }
}

impl<C: Contestant> Behaviour for Creature<C> {
    type Msg = ToCreature<C>;

    fn receive(&mut self, message: ToCreature<C>) {
        match message {
            ToCreature::Begin(home) => self.home = Some(home),
            ToCreature::Meet(colour, other) => {
                self.met += 1;
                self.colour = complement(self.colour, colour);
                C::tell::<Self>(&other, ToCreature::Change(self.colour));
            }
            ToCreature::Change(colour) => {
                self.met += 1;
                self.colour = colour;
            }
            ToCreature::Fade => {
                if let Some(Home { mall, .. }) = &self.home {
                    C::tell::<Mall<C>>(mall, ToMall::Faded { met: self.met });
                }
                return;
            }
        }
        self.go_to_the_mall();
    }

    fn value(&self) -> u64 {
        self.met
    }
}

pub(super) async fn chameneos<C: Contestant>(contestant: &C, meetings: usize) -> Duration {
    let done = Latch::new(1);
    let finished = done.clone();
    let mall = move || Mall::<C> {
        waiting: None,
        meetings_left: meetings,
        faded: 0,
        met: 0,
        done: finished.clone(),
    };
    let mall = contestant.spawn(Place::Together, mall).await;
    let mut creatures = Vec::with_capacity(CREATURES);
    for index in 0..CREATURES {
        let colour = [0, 1, 2][index % 3];
        let creature = move || Creature::<C> { colour, met: 0, home: None };
        creatures.push(contestant.spawn(Place::Together, creature).await);
    }
    let start = Instant::now();
    for creature in &creatures {
        let home = Home { me: creature.clone(), mall: mall.clone() };
        C::tell::<Creature<C>>(creature, ToCreature::Begin(home));
    }
    done.wait().await;
    let took = start.elapsed();
    assert_eq!(C::ask::<Mall<C>>(&mall).await, 2 * meetings as u64);
    took
}

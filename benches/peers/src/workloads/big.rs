//! How many messages pass between a thousand busy actors in a second? Each pings a random other, and goes on when the
//! answer is there. (Savina: big.)

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::behaviour::{Behaviour, Latch};
use crate::{Contestant, Place};

pub(super) const CROWD: usize = 1000;

/// What all know.
struct Crowd<C: Contestant> {
    members: Vec<C::Addr<Member<C>>>,
    ready: Arc<Latch>,
    done: Arc<Latch>,
}

struct Member<C: Contestant> {
    index: usize,
    crowd: Option<Arc<Crowd<C>>>,
    pings_left: usize,
    random: u64,
    handled: u64,
}

enum Msg<C: Contestant> {
    Join(Arc<Crowd<C>>),
    Ping { from: usize },
    Pong,
}

impl<C: Contestant> Member<C> {
    fn new(index: usize, pings: usize) -> Self {
        Self { index, crowd: None, pings_left: pings, random: index as u64 + 1, handled: 0 }
    }

    /// Xorshift: the same for all contestants.
    fn random_member(&mut self) -> usize {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        (self.random % CROWD as u64).try_into().unwrap_or_default()
    }
}

impl<C: Contestant> Behaviour for Member<C> {
    type Msg = Msg<C>;

    fn receive(&mut self, message: Msg<C>) {
        if let Msg::Join(crowd) = message {
            crowd.ready.count_down();
            self.crowd = Some(crowd);
            return;
        }
        self.handled += 1;
        let other = if matches!(message, Msg::Pong) { self.random_member() } else { 0 };
        let crowd = self.crowd.as_ref().expect("a crowd");
        match message {
            Msg::Ping { from } => C::tell::<Self>(&crowd.members[from], Msg::Pong),
            _ if self.pings_left == 0 => crowd.done.count_down(),
            _ => {
                self.pings_left -= 1;
                C::tell::<Self>(&crowd.members[other], Msg::Ping { from: self.index });
            }
        }
    }

    fn value(&self) -> u64 {
        self.handled
    }
}

/// `count` counts pings and their answers.
pub(super) async fn big<C: Contestant>(contestant: &C, count: usize) -> Duration {
    let pings = count / 2 / CROWD;
    let mut members = Vec::with_capacity(CROWD);
    for index in 0..CROWD {
        let member = move || Member::<C>::new(index, pings);
        members.push(contestant.spawn(Place::Together, member).await);
    }
    let (ready, done) = (Latch::new(CROWD), Latch::new(CROWD));
    let crowd = Arc::new(Crowd::<C> { members, ready: ready.clone(), done: done.clone() });
    for member in &crowd.members {
        C::tell::<Member<C>>(member, Msg::Join(crowd.clone()));
    }
    ready.wait().await;
    let start = Instant::now();
    for member in &crowd.members {
        C::tell::<Member<C>>(member, Msg::Pong);
    }
    done.wait().await;
    let took = start.elapsed();
    let mut handled = 0;
    for member in &crowd.members {
        handled += C::ask::<Member<C>>(member).await;
    }
    assert_eq!(handled, (CROWD * (2 * pings + 1)) as u64);
    took
}

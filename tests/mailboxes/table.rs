//! The whole table: what does each full mailbox do with each way of sending?
//!
//! Every cell is one run: a clerk that is busy, a mailbox filled to the brim, and one message more, number 9, sent in
//! that way. A cell says what the sender was told, what was handled in the end, and how many dead letters there were.

use std::time::Duration;

use omnitron::prelude::*;

use crate::world::{Act, Mail, SECOND, World};

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Kind {
    Unbounded,
    Bounded(Overflow),
    Priority,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Way {
    Tell,
    Send,
    Ask,
    Timer,
    Pipe,
}

/// What the sender learns, and when.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Told {
    /// At once: it is in, or it is dropped and the mailbox was chosen so.
    Ok,
    /// After it waited: it is in.
    OkLater,
    /// At once: it was refused.
    Refused(Refusal),
}

#[derive(Debug, Eq, PartialEq)]
struct Outcome {
    told: Told,
    /// In order, but for timers, which keep no order with messages.
    handled: Vec<u32>,
    dead_letters: u64,
}

const CAPACITY: usize = 3;
const FULL: Refusal = Refusal::Full { capacity: CAPACITY };
const OVERFLOWED: Refusal = Refusal::Overflowed { capacity: CAPACITY };
const KINDS: [Kind; 5] = [
    Kind::Unbounded,
    Kind::Bounded(Overflow::Reject),
    Kind::Bounded(Overflow::DropOldest),
    Kind::Bounded(Overflow::DropNewest),
    Kind::Priority,
];
const WAYS: [Way; 5] = [Way::Tell, Way::Send, Way::Ask, Way::Timer, Way::Pipe];

impl Kind {
    fn mailbox(self) -> Mailbox<Mail> {
        match self {
            Self::Unbounded => Mailbox::unbounded(),
            Self::Bounded(overflow) => Mailbox::bounded(CAPACITY).on_full(overflow),
            Self::Priority => Mailbox::priority(|mail: &Mail| u8::from(mail.number() == 9)),
        }
    }

    /// What fills it while the clerk is busy.
    fn filling(self) -> &'static [u32] {
        match self {
            // The message in hand takes a place.
            Self::Bounded(Overflow::Reject | Overflow::DropNewest) => &[1, 2],
            // It can no longer be dropped, and does not count.
            Self::Bounded(Overflow::DropOldest) | Self::Unbounded | Self::Priority => &[1, 2, 3],
        }
    }
}

/// The table, as it is documented.
fn promised(kind: Kind, way: Way) -> Outcome {
    let (told, handled, dead_letters): (_, &[u32], _) = match (kind, way) {
        (Kind::Unbounded, _) | (Kind::Bounded(Overflow::DropOldest), Way::Timer) => {
            (Told::Ok, &[1, 2, 3, 9], 0)
        }
        (Kind::Priority, _) => (Told::Ok, &[9, 1, 2, 3], 0),

        (Kind::Bounded(Overflow::Reject), Way::Tell | Way::Pipe) => (Told::Refused(FULL), &[1, 2], 0),
        (Kind::Bounded(Overflow::Reject), Way::Send | Way::Ask) => (Told::OkLater, &[1, 2, 9], 0),
        (Kind::Bounded(Overflow::Reject | Overflow::DropNewest), Way::Timer) => (Told::Ok, &[1, 2, 9], 0),

        (Kind::Bounded(Overflow::DropOldest), _) => (Told::Ok, &[2, 3, 9], 1),

        (Kind::Bounded(Overflow::DropNewest), Way::Tell | Way::Send) => (Told::Ok, &[1, 2], 1),
        (Kind::Bounded(Overflow::DropNewest), Way::Ask | Way::Pipe) => {
            (Told::Refused(OVERFLOWED), &[1, 2], 0)
        }
    };
    Outcome { told, handled: handled.to_vec(), dead_letters }
}

/// What happens.
fn observed(kind: Kind, way: Way) -> Outcome {
    let world = World::new(kind.mailbox());
    world.occupy(match way {
        Way::Timer => Act::Timer(9),
        Way::Pipe => Act::Pipe(9, Duration::ZERO),
        Way::Tell | Way::Send | Way::Ask => Act::Nothing,
    });
    world.fill(kind.filling());
    let quiet = || assert!(world.sim.run_until_quiet(SECOND * 120), "everything comes to an end");
    let told = match way {
        Way::Tell => world.tell(9).map_or_else(Told::Refused, |()| Told::Ok),
        Way::Send => {
            let mut sent = world.sends(9);
            let at_once = sent.try_take();
            quiet();
            if let Some(result) = at_once {
                result.map_or_else(|(_, reason)| Told::Refused(reason), |()| Told::Ok)
            } else {
                assert_eq!(sent.try_take(), Some(Ok(())));
                Told::OkLater
            }
        }
        Way::Ask => {
            let depth = world.clerk.depth();
            let mut asked = world.asks(9);
            let waits_outside = world.clerk.depth() == depth && world.system.dead_letters().total() == 0;
            let at_once = asked.try_take();
            quiet();
            match at_once {
                Some(Err(AskError::Refused(reason))) => Told::Refused(reason),
                Some(other) => panic!("{other:?} while the clerk is busy"),
                None => {
                    assert_eq!(asked.try_take().expect("it has ended").unwrap(), 9);
                    if waits_outside { Told::OkLater } else { Told::Ok }
                }
            }
        }
        Way::Timer | Way::Pipe => {
            quiet();
            world.seen.acted().expect("it acted").map_or_else(Told::Refused, |()| Told::Ok)
        }
    };
    quiet();
    let mut handled = world.seen.handled();
    if way == Way::Timer {
        handled.sort_unstable();
    }
    Outcome { told, handled, dead_letters: world.system.dead_letters().count(Reason::Overflowed) }
}

#[test]
fn every_full_mailbox_does_with_every_way_of_sending_what_the_table_says() {
    for kind in KINDS {
        for way in WAYS {
            let mut promised = promised(kind, way);
            if way == Way::Timer {
                promised.handled.sort_unstable();
            }
            assert_eq!(observed(kind, way), promised, "{way:?} into {kind:?}");
        }
    }
}

#[test]
fn every_mailbox_with_room_takes_every_way_of_sending() {
    for kind in KINDS {
        for (way, act) in [(Way::Timer, Act::Timer(9)), (Way::Pipe, Act::Pipe(9, Duration::ZERO))] {
            let world = World::new(kind.mailbox());
            world.occupy(act);
            world.sim.advance(SECOND * 3);
            assert_eq!(
                (world.seen.acted(), world.seen.handled()),
                (Some(Ok(())), vec![9]),
                "{way:?}, {kind:?}"
            );
        }
        let world = World::new(kind.mailbox());
        world.tell(1).unwrap();
        assert_eq!(world.sends(2).try_take(), Some(Ok(())), "{kind:?}");
        assert!(matches!(world.asks(3).try_take(), Some(Ok(3))), "{kind:?}");
        assert_eq!((world.seen.handled(), world.system.dead_letters().total()), (vec![1, 2, 3], 0));
    }
}

#[test]
fn a_dropped_message_names_its_address_its_type_and_the_reason() {
    for overflow in [Overflow::DropOldest, Overflow::DropNewest] {
        let world = World::new(Mailbox::bounded(1).on_full(overflow));
        let mut letters = world.system.dead_letters().subscribe(10);
        world.occupy(Act::Nothing);
        world.fill(&[1, 2]);
        let letter = letters.try_recv().expect("one was dropped");
        assert_eq!((letter.to.as_str(), letter.reason), ("/user/clerk", Reason::Overflowed));
        assert!(letter.message_type.ends_with("Mail"), "{}", letter.message_type);
    }
}

#[test]
fn several_periods_that_pass_while_the_mailbox_is_full_make_one_message() {
    /// Ticks every 100 ms, and is busy for a second.
    struct Ticking(tokio::sync::mpsc::UnboundedSender<bool>);

    impl Actor for Ticking {
        type Msg = bool;

        async fn started(&mut self, ctx: &mut Context<Self>) -> Result<(), Failure> {
            ctx.timers().every("tick", SECOND / 10, || true);
            Ok(())
        }

        async fn receive(&mut self, tick: bool, ctx: &mut Context<Self>) -> Result<(), Failure> {
            if !tick {
                ctx.env().clone().sleep(SECOND + SECOND / 20).await;
            }
            let _ = self.0.send(tick); // the test looks no longer
            Ok(())
        }
    }

    let world = World::new(Mailbox::default());
    let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
    let spawn = Spawn::new(move || Ticking(tell.clone())).mailbox(Mailbox::bounded(1));
    let ticking = world.system.spawn("ticking", spawn).unwrap();
    ticking.tell(false).unwrap();
    world.sim.advance(SECOND + SECOND / 20);
    let all = std::iter::from_fn(|| told.try_recv().ok()).collect::<Vec<_>>();
    assert_eq!(all, [false, true], "ten periods passed");
    world.sim.advance(SECOND / 20);
    assert_eq!(told.try_recv(), Ok(true), "the grid stays");
}

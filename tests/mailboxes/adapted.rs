//! Does a reference that adapts its messages do what the mailbox behind it does, and give back what it was given?

use std::panic::{AssertUnwindSafe, catch_unwind};

use omnitron::prelude::*;

use crate::world::{Act, Mail, SECOND, World, poll_once};

/// A message that is only adapted by the reference of these tests.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Note {
    Number(u32),
    Panic,
}

fn adapt(note: Note) -> Mail {
    match note {
        Note::Number(number) => Mail::Note(number),
        Note::Panic => panic!("on request"),
    }
}

fn adapted(world: &World) -> ActorRef<Note> {
    world.clerk.contramap(adapt)
}

#[test]
fn a_message_that_is_refused_comes_back_unadapted() {
    let world = World::new(Mailbox::bounded(2));
    world.occupy(Act::Nothing);
    let notes = adapted(&world);
    notes.tell(Note::Number(1)).unwrap();
    let refused = notes.tell(Note::Number(2)).unwrap_err();
    assert_eq!((refused.message, refused.reason), (Note::Number(2), Refusal::Full { capacity: 2 }));
    world.sim.advance(3 * SECOND);
    assert_eq!(world.seen.handled(), [1]);
    world.sim.block_on(notes.stop());
    let refused = notes.tell(Note::Number(3)).unwrap_err();
    assert_eq!((refused.message, refused.reason), (Note::Number(3), Refusal::Stopped));
    let refused = world.sim.block_on(notes.send(Note::Number(4))).unwrap_err();
    assert_eq!((refused.message, refused.reason), (Note::Number(4), Refusal::Stopped));
    assert_eq!(world.system.dead_letters().total(), 0);
}

#[test]
fn mailboxes_that_drop_do_so_for_adapted_messages_too() {
    let world = World::new(Mailbox::bounded(2).on_full(Overflow::DropOldest));
    world.occupy(Act::Nothing);
    (1..=5).for_each(|number| adapted(&world).tell(Note::Number(number)).unwrap());
    world.sim.advance(3 * SECOND);
    assert_eq!((world.seen.handled(), world.system.dead_letters().total()), (vec![4, 5], 3));

    let world = World::new(Mailbox::bounded(2).on_full(Overflow::DropNewest));
    world.occupy(Act::Nothing);
    (1..=5).for_each(|number| adapted(&world).tell(Note::Number(number)).unwrap());
    world.sim.block_on(adapted(&world).send(Note::Number(6))).unwrap();
    world.sim.advance(3 * SECOND);
    // The one in hand counts against the capacity.
    assert_eq!((world.seen.handled(), world.system.dead_letters().total()), (vec![1], 5));
}

#[test]
fn adapted_and_plain_senders_wait_in_one_line() {
    let world = World::new(Mailbox::bounded(1));
    world.occupy(Act::Nothing);
    let notes = adapted(&world);
    let (mut first, mut third) = (notes.send(Note::Number(1)), notes.send(Note::Number(3)));
    assert!(world.sim.block_on(poll_once(&mut first)).is_none());
    let second = world.sends(2);
    assert!(world.sim.block_on(poll_once(&mut third)).is_none());
    assert_eq!(notes.tell(Note::Number(9)).unwrap_err().reason, Refusal::Full { capacity: 1 });
    let all = world.sim.block_on(async { (first.await, second.await, third.await) });
    assert!(matches!(all, (Ok(()), Ok(()), Ok(()))), "{all:?}");
    world.sim.run_until_idle();
    assert_eq!(world.seen.handled(), [1, 2, 3]);
}

#[test]
fn an_adapted_send_that_is_dropped_gives_its_place_back_before_and_after_it_has_room() {
    let world = World::new(Mailbox::bounded(1));
    world.occupy(Act::Nothing);
    let notes = adapted(&world);
    let (mut in_line, mut let_in) = (notes.send(Note::Number(1)), notes.send(Note::Number(2)));
    assert!(world.sim.block_on(poll_once(&mut in_line)).is_none());
    assert!(world.sim.block_on(poll_once(&mut let_in)).is_none());
    drop(in_line);
    world.sim.advance(3 * SECOND);
    // Room is reserved for the other one by now, and nobody else has it.
    assert_eq!(world.tell(3), Err(Refusal::Full { capacity: 1 }));
    drop(let_in);
    assert_eq!(world.tell(4), Ok(()));
    world.sim.run_until_idle();
    assert_eq!(world.seen.handled(), [4]);
    world.sim.block_on(world.clerk.drain());
}

#[test]
fn senders_that_wait_when_the_actor_stops_get_their_adapted_messages_back() {
    let world = World::new(Mailbox::bounded(1));
    world.occupy(Act::Nothing);
    let notes = adapted(&world);
    let (mut first, mut second) = (notes.send(Note::Number(1)), notes.send(Note::Number(2)));
    assert!(world.sim.block_on(poll_once(&mut first)).is_none());
    assert!(world.sim.block_on(poll_once(&mut second)).is_none());
    let ((), first, second) = world.sim.block_on(async { tokio::join!(world.clerk.drain(), first, second) });
    for (number, sent) in [(1, first), (2, second)] {
        let refused = sent.unwrap_err();
        assert_eq!((refused.message, refused.reason), (Note::Number(number), Refusal::Stopped));
    }
    assert_eq!(world.system.dead_letters().total(), 0);
}

#[test]
fn a_question_is_adapted_and_answered_and_says_why_it_was_not() {
    let world = World::new(Mailbox::bounded(1));
    let asks = world.clerk.contramap(|(number, reply)| Mail::Ask(number, reply));
    assert_eq!(world.sim.block_on(asks.ask(|reply| (7, reply))).unwrap(), 7);
    world.occupy(Act::Nothing);
    // One waits for room, is let in, and is answered.
    assert_eq!(world.sim.block_on(asks.ask(|reply| (8, reply)).within(10 * SECOND)).unwrap(), 8);
    world.occupy(Act::Nothing);
    let full = world.sim.block_on(asks.ask(|reply| (9, reply)).within(SECOND / 2));
    assert!(matches!(full, Err(AskError::Refused(Refusal::Full { capacity: 1 }))), "{full:?}");
    world.sim.block_on(asks.stop());
    let stopped = world.sim.block_on(asks.ask(|reply| (9, reply)));
    assert!(matches!(stopped, Err(AskError::Refused(Refusal::Stopped))), "{stopped:?}");
    assert_eq!(world.seen.handled(), [7, 8]);
}

#[test]
fn a_reference_may_be_adapted_again_and_leads_to_the_same_actor() {
    let world = World::new(Mailbox::bounded(2));
    let notes = adapted(&world);
    let numbers: ActorRef<u32> = notes.contramap(Note::Number);
    numbers.tell(1).unwrap();
    world.sim.block_on(numbers.send(2)).unwrap();
    world.sim.run_until_idle();
    assert_eq!(world.seen.handled(), [1, 2]);
    assert_eq!(numbers.path(), world.clerk.path());
    assert_eq!((numbers.clone() == numbers, adapted(&world) == notes), (true, false));
    world.occupy(Act::Nothing);
    numbers.tell(3).unwrap();
    assert_eq!(numbers.depth(), world.clerk.depth());
    let mut waits = numbers.send(4);
    assert!(world.sim.block_on(poll_once(&mut waits)).is_none());
    assert_eq!(numbers.tell(5).unwrap_err().message, 5);
    world.sim.block_on(waits).unwrap();
    world.sim.block_on(numbers.drain());
    assert!(notes.is_stopped() && world.clerk.is_stopped());
    assert_eq!(world.seen.handled(), [1, 2, 3, 4]);
}

#[test]
fn an_adapter_that_panics_is_the_senders_failure_and_costs_no_room() {
    let world = World::new(Mailbox::bounded(1));
    let notes = adapted(&world);
    for _ in 0..3 {
        assert!(catch_unwind(AssertUnwindSafe(|| drop(notes.tell(Note::Panic)))).is_err());
    }
    notes.tell(Note::Number(1)).unwrap();
    world.sim.run_until_idle();
    assert_eq!((world.seen.handled(), world.system.stats().failures), (vec![1], 0));
    world.sim.block_on(world.clerk.drain());
}

#[test]
fn adapted_messages_leave_by_rank() {
    let world = World::new(Mailbox::priority(|mail: &Mail| u8::from(mail.number() > 5)));
    world.occupy(Act::Nothing);
    for number in [1, 7, 2, 8] {
        adapted(&world).tell(Note::Number(number)).unwrap();
    }
    world.sim.advance(3 * SECOND);
    assert_eq!(world.seen.handled(), [7, 8, 1, 2]);
}

#[test]
fn the_end_of_the_actor_behind_an_adapted_reference_is_told_to_who_watches_it() {
    struct Watcher(ActorRef<Note>, Option<ActorPath>);

    impl Actor for Watcher {
        type Msg = ReplyTo<Option<ActorPath>>;

        async fn started(&mut self, ctx: &mut Context<Self>) -> Result<(), Failure> {
            ctx.watch(&self.0);
            Ok(())
        }

        async fn signal(&mut self, signal: Signal, _: &mut Context<Self>) -> Result<(), Failure> {
            if let Signal::Terminated(path) = signal {
                self.1 = Some(path);
            }
            Ok(())
        }

        async fn receive(&mut self, reply: Self::Msg, _: &mut Context<Self>) -> Result<(), Failure> {
            reply.send(self.1.clone());
            Ok(())
        }
    }

    let world = World::new(Mailbox::unbounded());
    let notes = adapted(&world);
    let watcher = world.system.spawn("watcher", move || Watcher(notes.clone(), None)).unwrap();
    world.sim.run_until_idle();
    world.sim.block_on(world.clerk.stop());
    world.sim.run_until_idle();
    let seen = world.sim.block_on(watcher.ask(|reply| reply)).unwrap();
    assert_eq!(seen.as_ref(), Some(world.clerk.path()));
}

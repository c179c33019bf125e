//! How long does a handler wait for room, and for whom not at all?

use omnitron::prelude::*;

use crate::world::{Act, Mail, SECOND, World};

/// Sends a number on, and keeps what came of it.
struct Forwarder {
    to: ActorRef<Mail>,
}

impl Actor for Forwarder {
    type Msg = (u32, ReplyTo<Result<(), (u32, Refusal)>>);

    async fn receive(&mut self, (number, reply): Self::Msg, _: &mut Context<Self>) -> Result<(), Failure> {
        let sent = self.to.send(Mail::Note(number)).await;
        reply.send(sent.map_err(|undelivered| (undelivered.message.number(), undelivered.reason)));
        Ok(())
    }
}

fn forwards(world: &World, number: u32) -> Result<(), (u32, Refusal)> {
    let to = world.clerk.clone();
    let forwarder = world.system.spawn("forwarder", move || Forwarder { to: to.clone() }).unwrap();
    let ask = forwarder.ask(move |reply| (number, reply)).within(SECOND * 60);
    world.sim.block_on(ask).unwrap()
}

#[test]
fn a_send_inside_a_handler_waits_for_room() {
    let world = World::new(Mailbox::bounded(2));
    world.occupy(Act::Nothing);
    world.fill(&[1]);
    assert_eq!(forwards(&world, 2), Ok(()));
    world.sim.run_until_idle();
    assert_eq!((world.seen.handled(), world.sim.elapsed()), (vec![1, 2], SECOND * 2));
}

#[test]
fn a_send_inside_a_handler_gives_up_after_the_ask_timeout_and_gives_the_message_back() {
    let world = World::new(Mailbox::bounded(1));
    world.occupy(Act::Nothing);
    // Three wait in line already, and each is busy for two seconds.
    let line = [(); 3].map(|()| {
        let clerk = world.clerk.clone();
        world.begin(async move { clerk.send(Mail::Busy(Act::Nothing)).await.is_ok() })
    });
    assert_eq!(forwards(&world, 2), Err((2, Refusal::TimedOut { after: SECOND * 5 })));
    assert_eq!(world.sim.elapsed(), SECOND * 5);
    for sent in line {
        assert!(world.sim.block_on(sent));
    }
    world.sim.advance(SECOND * 60);
    assert!(world.seen.handled().is_empty(), "what was given back never arrives");
}

#[test]
fn a_send_outside_of_handlers_waits_as_long_as_it_takes() {
    let world = World::new(Mailbox::bounded(1));
    let busy: Vec<_> = (0..100)
        .map(|_| {
            let clerk = world.clerk.clone();
            world.begin(async move { clerk.send(Mail::Busy(Act::Nothing)).await.is_ok() })
        })
        .collect();
    let last = world.sends(9);
    assert_eq!(world.sim.block_on(last), Ok(()));
    assert_eq!(world.sim.elapsed(), SECOND * 200);
    assert_eq!(busy.len(), 100);
}

#[test]
fn a_send_to_oneself_with_room_is_queued() {
    let world = World::new(Mailbox::bounded(2));
    world.occupy(Act::SendToSelf(9));
    world.sim.advance(SECOND * 3);
    assert_eq!((world.seen.acted(), world.seen.handled()), (Some(Ok(())), vec![9]));
}

#[test]
fn a_send_to_oneself_without_room_fails_at_once_and_leaves_nothing_behind() {
    let world = World::new(Mailbox::bounded(2));
    world.occupy(Act::SendToSelf(9));
    world.fill(&[1]);
    world.sim.advance(SECOND);
    assert_eq!(world.seen.acted(), Some(Err(Refusal::ToSelf { capacity: 2 })));
    world.sim.advance(SECOND * 3);
    assert_eq!((world.seen.handled(), world.clerk.depth()), (vec![1], 0));
}

#[test]
fn the_message_in_hand_takes_a_place_as_long_as_its_handler_runs() {
    let world = World::new(Mailbox::bounded(1));
    world.occupy(Act::TellSelf(9));
    assert_eq!(world.tell(1), Err(Refusal::Full { capacity: 1 }));
    world.sim.advance(SECOND * 3);
    assert_eq!(world.seen.acted(), Some(Err(Refusal::Full { capacity: 1 })));
    assert_eq!(world.tell(2), Ok(()));
}

#[test]
fn the_error_of_a_send_to_oneself_says_what_to_do() {
    let text = Refusal::ToSelf { capacity: 2 }.to_string();
    assert_eq!(text, "a handler cannot wait for room in its own full mailbox (2 messages)");
    let text = Refusal::TimedOut { after: SECOND * 5 }.to_string();
    assert_eq!(text, "no room in the mailbox within 5s");
}

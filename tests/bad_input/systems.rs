//! What do references, names and asks mean across systems, and after the end of one?

use omnitron::prelude::*;
use omnitron::testkit::Sim;

use crate::world::{Echo, SECOND, answers, in_full, world};

fn start(sim: &Sim, name: &str) -> ActorSystem {
    sim.block_on(ActorSystem::builder(name).env(sim.env()).start()).unwrap()
}

#[test]
fn everything_on_a_stopped_system_has_an_answer() {
    let (sim, system) = world();
    let echo = system.spawn("echo", || Echo).unwrap();
    sim.block_on(system.shutdown());

    let asked = sim.block_on(echo.ask(|reply| (1, reply)));
    assert!(matches!(asked, Err(AskError::Refused(Refusal::SystemStopped))), "{asked:?}");
    let found = system.lookup::<(u64, ReplyTo<u64>)>("/user/echo");
    assert!(matches!(found, Err(LookupError::NotFound { .. })), "{found:?}");
    let spawned = system.spawn("echo", || Echo).unwrap_err();
    assert!(in_full(&spawned).contains("shutting down"), "{spawned}");
    sim.block_on(echo.stop());
    sim.block_on(echo.drain());
    sim.block_on(echo.stopped());
    assert!(echo.is_stopped());
    assert_eq!((echo.depth(), echo.path().as_str(), system.stats().actors), (0, "/user/echo", 0));
    let again = sim.block_on(system.shutdown());
    assert!(again.unfinished.is_empty(), "a second shutdown is the first one's report: {again}");
    system.force_shutdown();
}

#[test]
fn a_message_to_a_stopped_system_comes_back() {
    struct Plain;
    impl Actor for Plain {
        type Msg = String;
        async fn receive(&mut self, _: String, _: &mut Context<Self>) -> Result<(), Failure> {
            Ok(())
        }
    }
    let (sim, system) = world();
    let plain = system.spawn("plain", || Plain).unwrap();
    sim.block_on(system.shutdown());
    let told = plain.tell("mine".to_owned()).unwrap_err();
    assert_eq!((told.message.as_str(), told.reason), ("mine", Refusal::SystemStopped));
    let sent = sim.block_on(plain.send("mine".to_owned())).unwrap_err();
    assert_eq!((sent.message.as_str(), sent.reason), ("mine", Refusal::SystemStopped));
    assert_eq!(in_full(&sent), "message was not delivered: the system has stopped");
    assert_eq!(system.dead_letters().total(), 0);
}

/// Asks another, and answers with what it said.
struct Forward {
    to: Option<ActorRef<Relay>>,
}

/// How many stations are still to come, and the way back.
struct Relay(u32, ReplyTo<Result<u32, String>>);

impl Actor for Forward {
    type Msg = Relay;

    async fn receive(&mut self, Relay(more, reply): Relay, _: &mut Context<Self>) -> Result<(), Failure> {
        let answer = match (&self.to, more) {
            (Some(to), 1..) => {
                to.ask(|reply| Relay(more - 1, reply)).await.map_err(|error| in_full(&error)).flatten()
            }
            _ => Ok(more),
        };
        reply.send(answer);
        Ok(())
    }
}

#[test]
fn actors_of_two_systems_ask_each_other_and_are_never_taken_for_each_other() {
    let sim = Sim::new(1);
    let (one, other) = (start(&sim, "one"), start(&sim, "other"));
    // In both systems these are the first actors, so whatever counts within a system is the same for them.
    let end = other.spawn("same", || Forward { to: None }).unwrap();
    let begin = one.spawn("same", move || Forward { to: Some(end.clone()) }).unwrap();
    let asked = sim.block_on(begin.ask(|reply| Relay(5, reply))).unwrap();
    assert_eq!(asked, Ok(4), "an ask to the other system is no ask to oneself");
}

#[test]
fn a_cycle_through_two_systems_fails_at_once() {
    let sim = Sim::new(1);
    let (one, other) = (start(&sim, "one"), start(&sim, "other"));
    let (tell, told) = std::sync::mpsc::channel::<ActorRef<Relay>>();
    let told = std::sync::Arc::new(std::sync::Mutex::new(told));
    let first = one.spawn("first", move || Forward { to: told.lock().unwrap().recv().ok() }).unwrap();
    let back = first.clone();
    let second = other.spawn("second", move || Forward { to: Some(back.clone()) }).unwrap();
    tell.send(second).unwrap();
    let asked = sim.block_on(first.ask(|reply| Relay(10, reply))).unwrap();
    let error = asked.unwrap_err();
    assert!(error.starts_with("a cycle of asks: "), "{error}");
    assert!(sim.elapsed().is_zero());
}

#[test]
fn a_send_to_the_full_mailbox_of_an_actor_in_another_system_waits_for_room() {
    /// Sends on what it is told.
    struct Sends(ActorRef<u32>);
    impl Actor for Sends {
        type Msg = (u32, ReplyTo<bool>);
        async fn receive(
            &mut self,
            (number, reply): Self::Msg,
            _: &mut Context<Self>,
        ) -> Result<(), Failure> {
            reply.send(self.0.send(number).await.is_ok());
            Ok(())
        }
    }
    /// Takes a second for each message.
    struct Slow;
    impl Actor for Slow {
        type Msg = u32;
        async fn receive(&mut self, _: u32, ctx: &mut Context<Self>) -> Result<(), Failure> {
            ctx.env().clone().sleep(SECOND).await;
            Ok(())
        }
    }
    let sim = Sim::new(1);
    let (one, other) = (start(&sim, "one"), start(&sim, "other"));
    let slow = other.spawn("same", Spawn::new(|| Slow).mailbox(Mailbox::bounded(1))).unwrap();
    slow.tell(1).unwrap();
    let sends = one.spawn("same", move || Sends(slow.clone())).unwrap();
    assert!(sim.block_on(sends.ask(|reply| (2, reply))).unwrap(), "it is not the sender's own mailbox");
    assert_eq!(sim.elapsed(), SECOND);
}

#[test]
fn an_actor_of_one_system_is_outside_for_another_that_shuts_down() {
    let sim = Sim::new(1);
    let (one, other) = (start(&sim, "one"), start(&sim, "other"));
    let end = other.spawn("end", || Forward { to: None }).unwrap();
    let begin = one.spawn("begin", move || Forward { to: Some(end.clone()) }).unwrap();
    other.begin_shutdown();
    let asked = sim.block_on(begin.ask(|reply| Relay(5, reply))).unwrap();
    let error = asked.unwrap_err();
    assert_eq!(error, "the question was not delivered: the system is shutting down");
    sim.block_on(other.terminated());
    assert_eq!(one.stats().actors, 1, "the end of one system is nothing to the other");
}

#[test]
fn the_same_names_live_in_two_systems_side_by_side() {
    let sim = Sim::new(1);
    let (one, other) = (start(&sim, "twin"), start(&sim, "twin"));
    let (here, there) = (one.spawn("echo", || Echo).unwrap(), other.spawn("echo", || Echo).unwrap());
    assert_ne!(here, there);
    sim.block_on(one.shutdown());
    assert!(answers(&sim, &there) && !answers(&sim, &here));
}

#[test]
fn a_watch_across_systems_tells_the_end_of_the_one_that_was_watched_and_of_no_other() {
    /// Watches what it is told, and counts.
    struct Watching(u32);
    enum Watch {
        This(ActorRef<(u64, ReplyTo<u64>)>),
        Count(ReplyTo<u32>),
    }
    impl Actor for Watching {
        type Msg = Watch;
        async fn receive(&mut self, watch: Watch, ctx: &mut Context<Self>) -> Result<(), Failure> {
            match watch {
                Watch::This(actor) => ctx.watch(&actor),
                Watch::Count(reply) => reply.send(self.0),
            }
            Ok(())
        }
        async fn signal(&mut self, signal: Signal, _: &mut Context<Self>) -> Result<(), Failure> {
            self.0 += u32::from(matches!(signal, Signal::Terminated(_)));
            Ok(())
        }
    }
    let sim = Sim::new(1);
    let (one, other) = (start(&sim, "one"), start(&sim, "other"));
    let (here, there) = (one.spawn("echo", || Echo).unwrap(), other.spawn("echo", || Echo).unwrap());
    let watching = one.spawn("watching", || Watching(0)).unwrap();
    watching.tell(Watch::This(here.clone())).unwrap();
    watching.tell(Watch::This(there.clone())).unwrap();
    sim.run_until_idle();
    sim.block_on(there.stop());
    assert_eq!(sim.block_on(watching.ask(Watch::Count)).unwrap(), 1);
    sim.block_on(here.stop());
    assert_eq!(sim.block_on(watching.ask(Watch::Count)).unwrap(), 2);
}

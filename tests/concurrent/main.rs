//! Does a concurrent actor handle so many messages at once, and is it an actor like every other besides?

#![expect(clippy::unwrap_used, reason = "helpers of tests may unwrap as the tests do")]

use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use omnitron::prelude::*;
use omnitron::testkit::Sim;
use omnitron::{Concurrent, ConcurrentActor, ConcurrentContext};

const SECOND: Duration = Duration::from_secs(1);

/// What happened, for the test to look at. Outlives restarts.
#[derive(Clone, Default)]
struct Seen {
    running: Arc<AtomicUsize>,
    most: Arc<AtomicUsize>,
    /// (incarnation, number) of each message that was handled to its end.
    done: Arc<Mutex<Vec<(usize, u32)>>>,
    made: Arc<AtomicUsize>,
    hooks: Arc<Mutex<Vec<&'static str>>>,
}

struct Clerk {
    seen: Seen,
    incarnation: usize,
}

enum Job {
    /// Takes so many seconds.
    Work(u32, u32),
    Fail(u32),
    Panic(u32),
    Echo(u32, ReplyTo<u32>),
    /// Asks itself.
    Mirror(u32, ReplyTo<u32>),
}

struct Running(Arc<AtomicUsize>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl ConcurrentActor for Clerk {
    type Msg = Job;

    async fn receive(&self, job: Job, ctx: &ConcurrentContext<Self>) -> Result<(), Failure> {
        let now = self.seen.running.fetch_add(1, Ordering::SeqCst) + 1;
        let _running = Running(self.seen.running.clone());
        self.seen.most.fetch_max(now, Ordering::SeqCst);
        let number = match job {
            Job::Work(number, seconds) => {
                ctx.env().sleep(SECOND * seconds).await;
                number
            }
            Job::Fail(seconds) => {
                ctx.env().sleep(SECOND * seconds).await;
                return Err(Failure::msg("on request"));
            }
            Job::Panic(seconds) => {
                ctx.env().sleep(SECOND * seconds).await;
                panic!("on request");
            }
            Job::Echo(number, reply) => {
                reply.send(number);
                number
            }
            Job::Mirror(number, reply) => {
                reply.send(ctx.myself().ask(|reply| Job::Echo(number, reply)).await? + 1);
                number
            }
        };
        self.seen.done.lock().unwrap().push((self.incarnation, number));
        Ok(())
    }

    async fn started(&self, _: &ConcurrentContext<Self>) -> Result<(), Failure> {
        self.seen.hooks.lock().unwrap().push("started");
        Ok(())
    }

    async fn pre_restart(&self, _: &omnitron::Crash) -> Result<(), Failure> {
        self.seen.hooks.lock().unwrap().push("pre_restart");
        Ok(())
    }

    async fn stopped(&self) -> Result<(), Failure> {
        self.seen.hooks.lock().unwrap().push("stopped");
        Ok(())
    }
}

struct World {
    sim: Sim,
    system: ActorSystem,
    clerk: ActorRef<Job>,
    seen: Seen,
}

fn world(at_once: usize, options: impl FnOnce(Concurrent<Clerk>) -> Concurrent<Clerk>) -> World {
    let sim = Sim::new(1);
    let system = sim.block_on(ActorSystem::builder("crew").env(sim.env()).start()).unwrap();
    let seen = Seen::default();
    let factory = {
        let seen = seen.clone();
        move || Clerk { incarnation: seen.made.fetch_add(1, Ordering::SeqCst), seen: seen.clone() }
    };
    let concurrent = Concurrent::new(NonZeroUsize::new(at_once).unwrap(), factory);
    let clerk = system.spawn("clerk", options(concurrent)).unwrap();
    World { sim, system, clerk, seen }
}

impl World {
    fn done(&self) -> Vec<(usize, u32)> {
        self.seen.done.lock().unwrap().clone()
    }

    fn hooks(&self) -> Vec<&'static str> {
        self.seen.hooks.lock().unwrap().clone()
    }
}

#[test]
fn so_many_messages_are_handled_at_once_and_no_more() {
    for at_once in [1, 2, 7] {
        let world = world(at_once, |options| options);
        for number in 0..20 {
            world.clerk.tell(Job::Work(number, 1)).unwrap();
        }
        world.sim.block_on(world.clerk.drain());
        assert_eq!(world.seen.most.load(Ordering::SeqCst), at_once);
        assert_eq!(world.done().len(), 20);
        assert_eq!(world.sim.elapsed(), SECOND * 20_u32.div_ceil(u32::try_from(at_once).unwrap()));
        assert_eq!(world.hooks(), ["started", "stopped"]);
    }
}

#[test]
fn while_the_crew_is_full_messages_wait_and_a_full_mailbox_refuses() {
    let world = world(2, |options| options.mailbox(Mailbox::bounded(1)));
    let tell = |number| {
        let told = world.clerk.tell(Job::Work(number, 1)).map_err(|undelivered| undelivered.reason);
        world.sim.run_until_idle();
        told
    };
    // Two are being handled and one is waited with; it still counts.
    assert_eq!((tell(0), tell(1), tell(2)), (Ok(()), Ok(()), Ok(())));
    assert_eq!(tell(3), Err(Refusal::Full { capacity: 1 }));
    world.sim.block_on(world.clerk.send(Job::Work(4, 1))).unwrap();
    world.sim.block_on(world.clerk.drain());
    assert_eq!(world.done().iter().map(|(_, number)| *number).collect::<Vec<_>>(), [0, 1, 2, 4]);
}

#[test]
fn a_failure_costs_its_own_message_alone_and_the_others_finish_with_the_state_they_began_with() {
    for bad in [Job::Fail as fn(u32) -> Job, Job::Panic] {
        let world = world(3, |options| options);
        world.clerk.tell(Job::Work(1, 5)).unwrap();
        world.clerk.tell(bad(1)).unwrap();
        world.sim.advance(2 * SECOND);
        world.clerk.tell(Job::Work(2, 1)).unwrap();
        world.sim.block_on(world.clerk.drain());
        assert_eq!(world.done(), [(1, 2), (0, 1)]);
        assert_eq!(world.hooks(), ["started", "pre_restart", "started", "stopped"]);
        let stats = world.system.stats();
        assert_eq!((stats.failures, stats.restarts, stats.messages), (1, 1, 3));
    }
}

#[test]
fn handlers_of_a_replaced_incarnation_keep_their_places() {
    let world = world(2, |options| options);
    world.clerk.tell(Job::Work(1, 10)).unwrap();
    world.clerk.tell(Job::Fail(1)).unwrap();
    for number in 2..6 {
        world.clerk.tell(Job::Work(number, 1)).unwrap();
    }
    world.sim.block_on(world.clerk.drain());
    assert_eq!(world.seen.most.load(Ordering::SeqCst), 2);
    // The second waited for a place while the failure came: it meets what was decided about that.
    assert_eq!(world.done(), [(1, 2), (1, 3), (1, 4), (1, 5), (0, 1)]);
    assert_eq!(world.system.stats().messages, 6, "each once");
}

#[test]
fn a_failure_that_is_resumed_keeps_the_state() {
    let world = world(1, |options| options.supervision(Supervision::resume()));
    world.clerk.tell(Job::Panic(0)).unwrap();
    world.clerk.tell(Job::Work(1, 0)).unwrap();
    world.sim.block_on(world.clerk.drain());
    assert_eq!((world.done(), world.system.stats().restarts), (vec![(0, 1)], 0));
}

#[test]
fn a_handler_over_its_limit_is_cancelled_and_fails_the_actor() {
    let world = world(2, |options| options.handler_limit(2 * SECOND));
    world.clerk.tell(Job::Work(1, 3)).unwrap();
    world.clerk.tell(Job::Work(2, 1)).unwrap();
    world.sim.advance(5 * SECOND);
    assert_eq!((world.done(), world.system.stats().failures), (vec![(0, 2)], 1));
    assert_eq!(world.seen.running.load(Ordering::SeqCst), 0);
}

#[test]
fn questions_are_answered_also_by_an_actor_that_asks_itself() {
    let world = world(2, |options| options);
    assert_eq!(world.sim.block_on(world.clerk.ask(|reply| Job::Echo(7, reply))).unwrap(), 7);
    assert_eq!(world.sim.block_on(world.clerk.ask(|reply| Job::Mirror(7, reply))).unwrap(), 8);
}

#[test]
fn an_actor_that_asks_itself_with_no_place_left_runs_into_its_deadline() {
    let world = world(1, |options| options.supervision(Supervision::resume()));
    let error = world.sim.block_on(world.clerk.ask(|reply| Job::Mirror(7, reply))).unwrap_err();
    assert_eq!(error.acted(), omnitron::Acted::Maybe, "{error:?}");
    // Its place is free again.
    world.sim.advance(SECOND);
    assert_eq!(world.sim.block_on(world.clerk.ask(|reply| Job::Echo(7, reply))).unwrap(), 7);
}

#[test]
fn a_stop_waits_for_handlers_for_half_of_its_grace_and_then_cancels_them() {
    let world = world(2, |options| options.stop_grace(4 * SECOND));
    world.clerk.tell(Job::Work(1, 1)).unwrap();
    world.clerk.tell(Job::Work(2, 60)).unwrap();
    world.clerk.tell(Job::Work(3, 1)).unwrap();
    world.sim.run_until_idle();
    world.sim.block_on(world.clerk.stop());
    // The third was in hand and had no place yet: it was not begun.
    assert_eq!((world.done(), world.seen.running.load(Ordering::SeqCst)), (vec![(0, 1)], 0));
    assert_eq!(world.system.dead_letters().total(), 1);
    assert_eq!(world.hooks(), ["started", "stopped"]);
    assert!(world.sim.elapsed() <= 4 * SECOND, "{:?}", world.sim.elapsed());
}

#[test]
fn a_shutdown_waits_for_handlers_as_for_those_of_every_actor() {
    let world = world(2, |options| options);
    world.clerk.tell(Job::Work(1, 4)).unwrap();
    world.sim.run_until_idle();
    let report = world.sim.block_on(world.system.shutdown());
    assert_eq!((report.unfinished, world.done()), (vec![], vec![(0, 1)]));
}

#[test]
fn a_handler_that_fails_while_the_actor_stops_is_reported() {
    let world = world(2, |options| options);
    world.clerk.tell(Job::Fail(1)).unwrap();
    world.sim.run_until_idle();
    world.sim.block_on(world.clerk.stop());
    assert_eq!((world.system.stats().failures, world.hooks()), (1, vec!["started", "stopped"]));
}

#[test]
fn a_message_whose_wait_for_a_place_is_cancelled_is_a_dead_letter() {
    let world = world(1, |options| options.stop_grace(SECOND));
    world.clerk.tell(Job::Work(1, 60)).unwrap();
    world.clerk.tell(Job::Work(2, 1)).unwrap();
    world.sim.run_until_idle();
    world.sim.block_on(world.clerk.stop());
    assert_eq!((world.done(), world.system.dead_letters().total()), (vec![], 1));
}

#[test]
fn a_shutdown_that_is_forced_leaves_no_handler_behind() {
    let world = world(2, |options| options);
    world.clerk.tell(Job::Work(1, 60)).unwrap();
    world.sim.run_until_idle();
    world.system.force_shutdown();
    world.sim.block_on(world.system.terminated());
    world.sim.run_until_idle();
    assert_eq!(world.seen.running.load(Ordering::SeqCst), 0);
}

//! Does an inspection tell what every actor does, and how long it has been at it?

#![expect(clippy::unwrap_used, reason = "helpers of tests may unwrap as the tests do")]

mod traces;

use std::time::Duration;

use omnitron::prelude::*;
use omnitron::testkit::Sim;
use omnitron::{ActorInspection, ActorState, Backoff};

const SECOND: Duration = Duration::from_secs(1);

enum Job {
    Nothing,
    Sleep(Duration),
    Spawn(&'static str),
    Fail,
}

struct Worker;

impl Actor for Worker {
    type Msg = Job;

    async fn receive(&mut self, job: Job, ctx: &mut Context<Self>) -> Result<(), Failure> {
        match job {
            Job::Nothing => {}
            Job::Sleep(time) => {
                // In two parts: it is polled in between.
                ctx.env().sleep(time / 2).await;
                ctx.env().sleep(time / 2).await;
            }
            Job::Spawn(name) => drop(ctx.spawn(name, || Worker)?),
            Job::Fail => return Err(Failure::msg("on request")),
        }
        Ok(())
    }
}

struct World {
    sim: Sim,
    system: ActorSystem,
    worker: ActorRef<Job>,
}

fn world(options: impl FnOnce(Spawn<Worker>) -> Spawn<Worker>) -> World {
    let sim = Sim::new(1);
    let system = sim.block_on(ActorSystem::builder("seen").env(sim.env()).start()).unwrap();
    let worker = system.spawn("worker", options(Spawn::new(|| Worker))).unwrap();
    World { sim, system, worker }
}

impl World {
    fn tell(&self, jobs: impl IntoIterator<Item = Job>) {
        for job in jobs {
            self.worker.tell(job).unwrap();
        }
        self.sim.run_until_idle();
    }

    fn look(&self) -> ActorInspection {
        self.system.inspect().actors.remove(0)
    }
}

#[test]
fn the_tree_holds_every_actor_below_its_parent_in_the_order_of_spawns() {
    let world = world(|options| options);
    world.tell([Job::Spawn("b"), Job::Spawn("a"), Job::Spawn("c")]);
    let child: ActorRef<Job> = world.system.lookup("/user/worker/a").unwrap();
    child.tell(Job::Spawn("deep")).unwrap();
    drop(world.system.spawn("other", || Worker).unwrap());
    world.sim.run_until_idle();
    let inspection = world.system.inspect();
    assert_eq!(inspection.system, "seen");
    let paths: Vec<_> = inspection.iter().map(|actor| actor.path.as_str()).collect();
    assert_eq!(
        paths,
        [
            "/user/worker",
            "/user/worker/b",
            "/user/worker/a",
            "/user/worker/a/deep",
            "/user/worker/c",
            "/user/other"
        ]
    );
    assert_eq!(inspection.actors[0].children[1].children[0].path.name(), "deep");
    assert!(inspection.actors[0].message_type.ends_with("Job"));
}

#[test]
fn an_idle_actor_is_idle_and_has_handled_what_it_was_sent() {
    let world = world(|options| options.mailbox(Mailbox::bounded(7)));
    let before = world.look();
    assert_eq!((before.state, before.processed), (ActorState::Starting, 0));
    world.tell([Job::Nothing, Job::Nothing]);
    let idle = world.look();
    assert_eq!((idle.state, idle.depth, idle.capacity), (ActorState::Idle, 0, Some(7)));
    assert_eq!((idle.processed, idle.deepest, idle.oldest, idle.awaits), (2, 2, None, None));
}

#[test]
fn an_actor_whose_handler_awaits_says_for_how_long_and_how_long_messages_wait() {
    let world = world(|options| options.mailbox(Mailbox::unbounded()));
    world.tell([Job::Sleep(10 * SECOND)]);
    world.sim.advance(3 * SECOND);
    let awaits = world.look();
    assert_eq!(
        (awaits.state, awaits.awaits, awaits.capacity),
        (ActorState::Awaiting, Some(3 * SECOND), None)
    );
    world.tell([Job::Nothing]);
    world.sim.advance(2 * SECOND);
    let waits = world.look();
    assert_eq!((waits.depth, waits.awaits, waits.oldest), (2, Some(5 * SECOND), Some(5 * SECOND)));
    world.sim.advance(10 * SECOND);
    assert_eq!((world.look().state, world.look().oldest), (ActorState::Idle, None));
}

#[test]
fn messages_that_were_queued_one_after_the_other_are_as_old_as_the_oldest_may_be() {
    let world = world(|options| options.mailbox(Mailbox::priority(|_| 0)));
    world.tell([Job::Sleep(10 * SECOND)]);
    world.sim.advance(SECOND);
    // Queued while the actor is busy: they cannot be older than what it took last.
    world.tell([Job::Sleep(4 * SECOND), Job::Nothing]);
    world.sim.advance(10 * SECOND);
    let busy = world.look();
    assert_eq!((busy.depth, busy.awaits), (2, Some(SECOND)));
    assert!(busy.oldest >= Some(SECOND), "{busy:?}");
}

#[test]
fn an_actor_that_failed_recovers_and_keeps_the_count() {
    let backoff = Backoff::exponential(SECOND, SECOND);
    let world = world(|options| options.supervision(Supervision::restart().backoff(backoff)));
    world.tell([Job::Fail, Job::Nothing]);
    let recovering = world.look();
    assert_eq!((recovering.state, recovering.failures, recovering.restarts), (ActorState::Recovering, 1, 0));
    assert_eq!(recovering.awaits, None, "no handler awaits");
    world.sim.advance(2 * SECOND);
    let recovered = world.look();
    assert_eq!((recovered.state, recovered.failures, recovered.restarts), (ActorState::Idle, 1, 1));
    world.sim.block_on(world.worker.stop());
    let worker = world.system.spawn("worker", || Worker).unwrap();
    world.sim.run_until_idle();
    assert_eq!((world.look().failures, worker.is_stopped()), (0, false), "another actor of this name");
}

#[test]
fn a_failure_that_is_resumed_leaves_the_actor_idle() {
    let world = world(|options| options.supervision(Supervision::resume()));
    world.tell([Job::Fail]);
    assert_eq!((world.look().state, world.look().failures), (ActorState::Idle, 1));
}

#[test]
fn an_actor_that_drains_is_stopping() {
    let world = world(|options| options);
    world.tell([Job::Sleep(SECOND)]);
    let ended = world.worker.drain();
    world.sim.advance(2 * SECOND);
    assert!(world.system.inspect().actors.is_empty());
    world.sim.block_on(ended);

    let again = self::world(|options| options);
    again.tell([Job::Sleep(SECOND), Job::Sleep(SECOND)]);
    drop(again.worker.drain());
    again.sim.advance(SECOND + SECOND / 2);
    assert_eq!(again.look().state, ActorState::Stopping);
}

#[test]
fn the_json_is_one_valid_object_with_all_that_was_seen() {
    let world = world(|options| options.mailbox(Mailbox::bounded(9)));
    drop(world.system.spawn("quote\"d and \\ ü", || Worker).unwrap());
    world.tell([Job::Spawn("child"), Job::Sleep(SECOND)]);
    world.sim.advance(SECOND / 2);
    let json: serde_json::Value = serde_json::from_str(&world.system.inspect().to_json()).unwrap();
    assert_eq!(json["system"], "seen");
    let worker = &json["actors"][0];
    assert_eq!(
        (&worker["path"], &worker["state"], &worker["awaits"], &worker["capacity"]),
        (&"/user/worker".into(), &"awaiting".into(), &0.5.into(), &9.into())
    );
    assert_eq!(worker["children"][0]["path"], "/user/worker/child");
    assert_eq!(worker["children"][0]["awaits"], serde_json::Value::Null);
    assert_eq!(json["actors"][1]["path"], "/user/quote\"d and \\ ü");
}

#[test]
fn the_text_has_one_line_per_actor() {
    let world = world(|options| options.supervision(Supervision::resume()));
    world.tell([Job::Spawn("child"), Job::Fail, Job::Sleep(SECOND)]);
    world.tell([Job::Nothing]);
    world.sim.advance(SECOND / 2);
    assert_eq!(
        world.system.inspect().to_string(),
        "seen\n  worker awaiting, 2 handled, 2 waiting for up to 500ms, handler awaits for 500ms, 1 failures, 0 restarts\n    \
         child idle, 0 handled"
    );
}

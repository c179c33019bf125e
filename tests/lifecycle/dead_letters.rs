//! Is every message that was not delivered counted, told and logged, with the right reason?

use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use omnitron::prelude::*;
use omnitron::testkit::Sim;
use tracing_subscriber::util::SubscriberInitExt;

use crate::{SOON, system_in};

/// Answers, late if need be.
struct Slow;

enum Work {
    /// Takes so many milliseconds.
    For(u64),
    /// Answers after so many milliseconds.
    Answer(u64, ReplyTo<()>),
    /// Puts itself aside.
    Aside,
}

impl Actor for Slow {
    type Msg = Work;

    async fn receive(&mut self, work: Work, ctx: &mut Context<Self>) -> Result<(), Failure> {
        match work {
            Work::For(millis) => ctx.env().sleep(Duration::from_millis(millis)).await,
            Work::Answer(millis, reply) => {
                ctx.env().sleep(Duration::from_millis(millis)).await;
                reply.send(());
            }
            Work::Aside => ctx.stash(Work::Aside)?,
        }
        Ok(())
    }
}

fn slow(mailbox: Mailbox<Work>) -> Spawn<Slow> {
    Spawn::new(|| Slow).mailbox(mailbox)
}

/// A busy actor with these messages behind the one it handles.
async fn busy(
    system: &ActorSystem,
    mailbox: Mailbox<Work>,
    behind: impl IntoIterator<Item = Work>,
) -> ActorRef<Work> {
    let actor = system.spawn("slow", slow(mailbox)).unwrap();
    actor.tell(Work::For(100)).unwrap();
    system.env().sleep(Duration::from_millis(1)).await;
    for work in behind {
        actor.tell(work).unwrap();
    }
    actor
}

#[test]
fn what_is_queued_or_stashed_when_an_actor_stops_is_dead_and_told_with_its_address() {
    let sim = Sim::new(1);
    sim.block_on(async {
        let system = system_in(&sim).await;
        let mut letters = system.dead_letters().subscribe(10);
        let actor = system.spawn("slow", slow(Mailbox::default())).unwrap();
        actor.tell(Work::Aside).unwrap();
        actor.tell(Work::For(100)).unwrap();
        sim.env().sleep(Duration::from_millis(1)).await;
        actor.tell(Work::For(1)).unwrap();
        actor.stop().await;
        for _ in 0..2 {
            let letter = letters.recv().await.unwrap();
            assert_eq!((letter.to, letter.reason), (actor.path().clone(), Reason::Stopped));
            assert_eq!(letter.message_type, std::any::type_name::<Work>());
        }
        assert!(letters.try_recv().is_none());
        assert_eq!((system.dead_letters().count(Reason::Stopped), system.stats().dead_letters), (2, 2));
    });
}

#[test]
fn what_a_full_mailbox_drops_is_dead() {
    // The message that is being handled can no longer be dropped: it takes no room from those that can.
    for (overflow, dropped) in [(Overflow::DropOldest, 3), (Overflow::DropNewest, 4)] {
        let sim = Sim::new(1);
        sim.block_on(async {
            let system = system_in(&sim).await;
            let mailbox = Mailbox::bounded(2).on_full(overflow);
            let actor = busy(&system, mailbox, (0..5).map(|_| Work::For(1))).await;
            assert_eq!(system.dead_letters().count(Reason::Overflowed), dropped, "{overflow:?}");
            actor.drain().await;
            assert_eq!(system.dead_letters().total(), dropped, "{overflow:?}");
        });
    }
}

#[test]
fn what_is_given_back_is_no_dead_letter() {
    let sim = Sim::new(1);
    sim.block_on(async {
        let system = system_in(&sim).await;
        let actor = busy(&system, Mailbox::bounded(2), [Work::For(1)]).await;
        assert!(actor.tell(Work::For(1)).is_err());
        actor.drain().await;
        assert!(actor.tell(Work::For(1)).is_err());
        assert!(actor.send(Work::For(1)).await.is_err());
        assert!(matches!(actor.ask(|reply| Work::Answer(1, reply)).await, Err(AskError::Refused(_))));
        assert_eq!(system.dead_letters().total(), 0);
    });
}

#[test]
fn a_question_whose_deadline_passed_in_the_mailbox_is_dead_and_so_is_a_late_reply() {
    let sim = Sim::new(1);
    sim.block_on(async {
        let system = system_in(&sim).await;
        let mut letters = system.dead_letters().subscribe(10);
        let actor = busy(&system, Mailbox::default(), []).await;
        let limit = Duration::from_millis(20);
        let expired = actor.ask(|reply| Work::Answer(0, reply)).within(limit).await;
        assert!(matches!(expired, Err(AskError::Expired { .. })), "{expired:?}");
        sim.env().sleep(SOON).await;
        assert_eq!(system.dead_letters().count(Reason::Expired), 1);

        let late = actor.ask(|reply| Work::Answer(100, reply)).within(limit).await;
        assert!(matches!(late, Err(AskError::TimedOut { .. })), "{late:?}");
        sim.env().sleep(SOON).await;
        assert_eq!(system.dead_letters().count(Reason::LateReply), 1);

        assert_eq!(letters.recv().await.unwrap().to, *actor.path());
        let reply = letters.recv().await.unwrap();
        assert_eq!((reply.to.to_string().as_str(), reply.message_type), ("/", "()"), "an asker has no path");
        assert_eq!(system.dead_letters().total(), 2);
    });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_result_of_a_piped_future_whose_actor_has_stopped_is_dead() {
    /// Pipes a future that blocks its thread, so that the stop of the actor cannot drop it.
    struct Piper {
        go: Option<std::sync::mpsc::Receiver<()>>,
        runs: Option<tokio::sync::oneshot::Sender<()>>,
    }
    impl Actor for Piper {
        type Msg = ();
        async fn receive(&mut self, (): (), ctx: &mut Context<Self>) -> Result<(), Failure> {
            if let (Some(go), Some(runs)) = (self.go.take(), self.runs.take()) {
                let blocks = async move {
                    let _ = runs.send(());
                    let _ = go.recv();
                };
                ctx.pipe_to_self(blocks, |()| ())?;
            }
            Ok(())
        }
    }
    let system = ActorSystem::start("pipes").await.unwrap();
    let mut letters = system.dead_letters().subscribe(1);
    let (go, gone) = std::sync::mpsc::channel();
    let (runs, running) = tokio::sync::oneshot::channel();
    let mut parts = Some((gone, runs));
    let piper = system
        .spawn("piper", move || {
            let (go, runs) = parts.take().unzip();
            Piper { go, runs }
        })
        .unwrap();
    piper.tell(()).unwrap();
    running.await.unwrap();
    piper.stop().await;
    go.send(()).unwrap();
    let letter = letters.recv().await.unwrap();
    assert_eq!((letter.to, letter.reason), (piper.path().clone(), Reason::Piped));
    assert_eq!(system.dead_letters().count(Reason::Piped), 1);
    system.shutdown().await;
}

#[test]
fn a_slow_subscriber_knows_how_many_it_missed_and_others_miss_nothing() {
    let sim = Sim::new(1);
    sim.block_on(async {
        let system = system_in(&sim).await;
        let (mut slow, mut quick) =
            (system.dead_letters().subscribe(3), system.dead_letters().subscribe(100));
        drop(system.dead_letters().subscribe(1));
        let mut none = system.dead_letters().subscribe(0);
        busy(&system, Mailbox::default(), (0..10).map(|_| Work::For(1))).await.stop().await;
        assert_eq!(
            (slow.missed(), quick.missed(), none.missed()),
            (7, 0, 9),
            "no room counts as room for one"
        );
        let read = |stream: &mut omnitron::DeadLetterStream| std::iter::from_fn(|| stream.try_recv()).count();
        assert_eq!((read(&mut slow), read(&mut quick), read(&mut none)), (3, 10, 1));
        assert_eq!(system.dead_letters().total(), 10, "all are counted");

        // Who has caught up hears of the next one.
        busy(&system, Mailbox::default(), [Work::For(1)]).await.stop().await;
        assert_eq!((read(&mut slow), slow.missed()), (1, 7));
    });
}

/// Lines of a log.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Lines {
    fn about_dead_letters(&self) -> Vec<String> {
        let bytes = self.0.lock().unwrap();
        let text = String::from_utf8_lossy(&bytes);
        text.lines().filter(|line| line.contains("dead letter")).map(ToOwned::to_owned).collect()
    }
}

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn the_log_of_dead_letters_is_limited_and_says_what_it_left_out() {
    let lines = Lines::default();
    let writer = lines.clone();
    let subscriber = tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone()).finish();
    // While there is only one subscriber, a line that another thread, which has none, comes to first is switched off
    // for good. A second one that takes nothing ends that.
    let _second = tracing_subscriber::fmt().with_writer(std::io::sink).finish().set_default();
    let _first = subscriber.set_default();
    let sim = Sim::new(1);
    sim.block_on(async {
        let system = system_in(&sim).await;
        busy(&system, Mailbox::default(), (0..1_000).map(|_| Work::For(1))).await.stop().await;
        let flood = lines.about_dead_letters();
        assert_eq!(flood.len(), 10, "{flood:#?}");
        assert!(flood.iter().all(|line| line.contains("/user/slow") && line.contains("Work")), "{flood:#?}");

        // The next window of ten seconds.
        sim.env().sleep(Duration::from_secs(11)).await;
        busy(&system, Mailbox::default(), [Work::For(1)]).await.stop().await;
        let all = lines.about_dead_letters();
        assert_eq!(all.len(), 11, "{all:#?}");
        assert!(all[10].contains("suppressed=990"), "{}", all[10]);
        assert_eq!(system.dead_letters().total(), 1_001);
    });
}

#[test]
fn a_subscriber_reads_the_end_when_the_system_has_stopped() {
    let sim = Sim::new(1);
    sim.block_on(async {
        let system = ActorSystem::builder("end").env(sim.env()).start().await.unwrap();
        let asked = system.spawn("asked", || Answers).unwrap();
        assert_eq!(asked.ask(|reply| reply).await.unwrap(), 1);
        let mut letters = system.dead_letters().subscribe(1);
        system.shutdown().await;
        assert!(letters.recv().await.is_none());
        assert!(system.dead_letters().subscribe(1).recv().await.is_none());
    });
}

struct Answers;

impl Actor for Answers {
    type Msg = ReplyTo<u8>;

    async fn receive(&mut self, reply: ReplyTo<u8>, _: &mut Context<Self>) -> Result<(), Failure> {
        reply.send(1);
        Ok(())
    }
}

//! Does what an actor emits arrive, in order, and does each side notice the end of the other?

use std::time::Duration;

use futures_util::future::join;
use futures_util::{FutureExt, StreamExt};
use omnitron::prelude::*;
use omnitron::testkit::Sim;
use omnitron::{EmitRefusal, NotEmitted};

use crate::{SEEDS, SOON, system_in};

/// Emits what it is told to, and hands out the stream.
struct Source {
    output: Option<Output<u32>>,
}

enum Do {
    /// Opens an output with this room.
    Open(usize, ReplyTo<OutputStream<u32>>),
    /// Emits so many numbers, and says what stopped it.
    Emit(u32, ReplyTo<Option<(u32, EmitRefusal)>>),
    Fail,
}

impl Actor for Source {
    type Msg = Do;

    async fn receive(&mut self, message: Do, ctx: &mut Context<Self>) -> Result<(), Failure> {
        match message {
            Do::Open(capacity, reply) => {
                let (output, stream) = ctx.output(capacity);
                self.output = Some(output);
                reply.send(stream);
            }
            Do::Emit(count, reply) => {
                let output = self.output.as_ref().ok_or_else(|| Failure::msg("not open"))?;
                for number in 0..count {
                    if let Err(NotEmitted { value, reason }) = output.emit(number).await {
                        reply.send(Some((value, reason)));
                        return Ok(());
                    }
                }
                reply.send(None);
            }
            Do::Fail => return Err(Failure::msg("as told")),
        }
        Ok(())
    }
}

fn source(system: &ActorSystem) -> ActorRef<Do> {
    system.spawn("source", || Source { output: None }).unwrap()
}

#[test]
fn what_is_emitted_arrives_in_order_and_no_faster_than_it_is_read() {
    for seed in SEEDS {
        let sim = Sim::new(seed);
        sim.block_on(async {
            let system = system_in(&sim).await;
            let source = source(&system);
            let mut stream = source.ask(|reply| Do::Open(2, reply)).await.unwrap();
            let emit = async {
                let stopped = source.ask(|reply| Do::Emit(6, reply)).await.unwrap();
                (stopped, sim.elapsed())
            };
            let read = async {
                for number in 0..6 {
                    sim.env().sleep(SOON).await;
                    assert_eq!(stream.recv().await, Some(number), "seed {seed}");
                }
            };
            // Two find room, and each other waits until one is read.
            assert_eq!(join(emit, read).await.0, (None, SOON * 4), "seed {seed}");
            assert_eq!(stream.try_recv(), None);
        });
    }
}

#[test]
fn an_output_is_full_at_its_capacity_and_no_room_counts_as_room_for_one() {
    let sim = Sim::new(1);
    sim.block_on(async {
        let system = system_in(&sim).await;
        for (capacity, holds) in [(0, 1), (1, 1), (3, 3), (usize::MAX, 100)] {
            let (output, mut stream) = system.output(capacity);
            for number in 0..holds {
                output.try_emit(number).unwrap();
            }
            if capacity < 100 {
                let NotEmitted { value, reason } = output.try_emit(9).unwrap_err();
                assert_eq!((value, reason), (9, EmitRefusal::Full { capacity: holds }));
            }
            assert_eq!(std::iter::from_fn(|| stream.try_recv()).count(), holds);
        }
    });
}

#[test]
fn an_actor_sees_that_nobody_reads_any_more_and_gets_its_value_back() {
    for seed in SEEDS {
        let sim = Sim::new(seed);
        sim.block_on(async {
            let system = system_in(&sim).await;
            let (output, stream) = system.output(1);
            output.emit(1).await.unwrap();
            assert!(!output.is_closed() && output.closed().now_or_never().is_none());
            let leave = async {
                sim.env().sleep(SOON).await;
                drop(stream);
            };
            let (waited, ()) = join(output.emit(2), leave).await;
            let NotEmitted { value, reason } = waited.unwrap_err();
            assert_eq!((value, reason), (2, EmitRefusal::Closed), "seed {seed}");
            assert_eq!(output.try_emit(3).unwrap_err().reason, EmitRefusal::Closed);
            assert!(output.is_closed());
            output.closed().await;
        });
    }
}

#[test]
fn a_handler_waits_for_a_reader_no_longer_than_the_ask_timeout() {
    let sim = Sim::new(1);
    sim.block_on(async {
        let after = Duration::from_secs(2);
        let system = ActorSystem::builder("test").ask_timeout(after).env(sim.env()).start().await.unwrap();
        let source = source(&system);
        let mut stream = source.ask(|reply| Do::Open(1, reply)).await.unwrap();
        let stopped = source.ask(|reply| Do::Emit(5, reply)).within(SOON * 9).await.unwrap();
        assert_eq!((stopped, sim.elapsed()), (Some((1, EmitRefusal::TimedOut { after })), after));
        assert_eq!((stream.recv().await, stream.try_recv()), (Some(0), None));
        // A task that is no handler waits for as long as it takes.
        let (output, mut stream) = system.output(1);
        output.emit(0).await.unwrap();
        let read = async {
            sim.env().sleep(after * 100).await;
            stream.recv().await
        };
        let (emitted, read) = join(output.emit(1), read).await;
        assert_eq!((emitted.is_ok(), read), (true, Some(0)));
    });
}

#[test]
fn the_stream_ends_after_what_was_emitted_when_its_actor_stops_or_restarts() {
    for restarts in [false, true] {
        let sim = Sim::new(1);
        sim.block_on(async {
            let system = system_in(&sim).await;
            let source = source(&system);
            let stream = source.ask(|reply| Do::Open(5, reply)).await.unwrap();
            assert_eq!(source.ask(|reply| Do::Emit(3, reply)).await.unwrap(), None);
            if restarts {
                source.tell(Do::Fail).unwrap();
            } else {
                source.stop().await;
            }
            assert_eq!(stream.collect::<Vec<_>>().await, [0, 1, 2], "restarts: {restarts}");
            assert_eq!(source.is_stopped(), !restarts);
        });
    }
}

#[test]
fn an_output_that_the_factory_keeps_outlives_a_restart_and_ends_with_the_actor() {
    let sim = Sim::new(1);
    sim.block_on(async {
        let system = system_in(&sim).await;
        let (output, mut stream) = system.output(5);
        let source = system.spawn("source", move || Source { output: Some(output.clone()) }).unwrap();
        for _ in 0..2 {
            assert_eq!(source.ask(|reply| Do::Emit(1, reply)).await.unwrap(), None);
            source.tell(Do::Fail).unwrap();
            sim.env().sleep(SOON * 10).await;
        }
        source.stop().await;
        assert_eq!((stream.recv().await, stream.recv().await, stream.recv().await), (Some(0), Some(0), None));
    });
}

#[test]
fn the_output_of_one_actor_feeds_another() {
    let sim = Sim::new(1);
    sim.block_on(async {
        let system = system_in(&sim).await;
        let source = source(&system);
        let stream = source.ask(|reply| Do::Open(1, reply)).await.unwrap();
        let (eater, diary) = crate::eater(&system, SOON, Mailbox::bounded(1));
        eater.feed(stream, crate::Food::Item, || crate::Food::End).keep();
        let emitted = source.ask(|reply| Do::Emit(4, reply)).within(SOON * 9).await.unwrap();
        source.stop().await;
        sim.env().sleep(SOON * 9).await;
        assert_eq!((emitted, diary.read()), (None, ["0", "1", "2", "3", "end"].map(String::from).to_vec()));
    });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_real_threads_what_one_actor_emits_is_fed_to_another_to_the_last_value_and_in_order() {
    const VALUES: u32 = 20_000;
    let system = ActorSystem::start("threads").await.unwrap();
    let source = source(&system);
    let stream = source.ask(|reply| Do::Open(3, reply)).await.unwrap();
    let (eater, diary) = crate::eater(&system, Duration::ZERO, Mailbox::bounded(2));
    let feed = eater.feed(stream, crate::Food::Item, || crate::Food::End);
    let within = Duration::from_mins(1);
    assert_eq!(source.ask(|reply| Do::Emit(VALUES, reply)).within(within).await.unwrap(), None);
    source.stop().await;
    while !feed.is_ended() {
        tokio::task::yield_now().await;
    }
    eater.drain().await;
    let expected = (0..VALUES).map(|number| number.to_string()).chain(["end".to_owned()]);
    assert!(diary.read().into_iter().eq(expected));
    system.shutdown().await;
}

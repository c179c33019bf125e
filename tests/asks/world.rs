//! Whom do these tests ask, and how do they know what it did?

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::Duration;

use omnitron::prelude::*;
use omnitron::testkit::Sim;
use tokio::sync::oneshot;

pub(crate) const SECOND: Duration = Duration::from_secs(1);

/// Long enough for everything these tests do, and still no deadline of anything.
pub(crate) const AGES: Duration = Duration::from_hours(1);

/// What the target does with a question before it has answered.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Way {
    Reply,
    /// Replies after this time, in the handler.
    ReplyAfter(Duration),
    /// Drops the reply.
    Drop,
    /// Returns an error.
    Fail,
    /// Panics.
    Panic,
    /// Never comes to an end.
    Hang,
    /// Gives the reply to another task, which answers after this time.
    ReplyElsewhere(Duration),
    /// Gives the reply to another task, which drops it after this time.
    DropElsewhere(Duration),
    /// Puts the message aside, for ever.
    Stash,
    /// Stops, and then answers.
    StopAndReply,
}

/// A question with a number, which is also its right answer.
pub(crate) struct Question {
    pub(crate) number: u64,
    pub(crate) way: Way,
    pub(crate) reply: ReplyTo<u64>,
}

/// Makes the closure that `ask` wants.
pub(crate) fn question(number: u64, way: Way) -> impl FnOnce(ReplyTo<u64>) -> Question {
    move |reply| Question { number, way, reply }
}

/// The numbers of the questions that the target began to handle, in order.
#[derive(Clone, Default)]
pub(crate) struct Record(Arc<Mutex<Vec<u64>>>);

impl Record {
    pub(crate) fn add(&self, number: u64) {
        self.0.lock().unwrap().push(number);
    }

    pub(crate) fn numbers(&self) -> Vec<u64> {
        self.0.lock().unwrap().clone()
    }

    pub(crate) fn has(&self, number: u64) -> bool {
        self.numbers().contains(&number)
    }
}

/// The actor that is asked.
pub(crate) struct Target {
    handled: Record,
}

impl Actor for Target {
    type Msg = Question;

    async fn receive(&mut self, question: Question, ctx: &mut Context<Self>) -> Result<(), Failure> {
        self.handled.add(question.number);
        let env = ctx.env().clone();
        let Question { number, way, reply } = question;
        match way {
            Way::Reply => reply.send(number),
            Way::ReplyAfter(time) => {
                env.sleep(time).await;
                reply.send(number);
            }
            Way::Drop => drop(reply),
            Way::Fail => return Err(Failure::msg("on request")),
            Way::Panic => panic!("on request"),
            Way::Hang => std::future::pending().await,
            Way::ReplyElsewhere(time) => {
                let waits = env.clone();
                env.spawn(|| "elsewhere".to_owned(), async move {
                    waits.sleep(time).await;
                    reply.send(number);
                });
            }
            Way::DropElsewhere(time) => {
                let waits = env.clone();
                env.spawn(|| "elsewhere".to_owned(), async move {
                    waits.sleep(time).await;
                    drop(reply);
                });
            }
            Way::Stash => ctx.stash(Question { number, way, reply })?,
            Way::StopAndReply => {
                ctx.stop();
                reply.send(number);
            }
        }
        Ok(())
    }
}

/// A simulation with one target in it.
pub(crate) struct World {
    pub(crate) system: ActorSystem,
    pub(crate) target: ActorRef<Question>,
    pub(crate) handled: Record,
    pub(crate) sim: Sim,
}

impl World {
    /// With a target of all defaults.
    pub(crate) fn new() -> Self {
        Self::with(|target| target)
    }

    /// With a target of these options.
    pub(crate) fn with(options: impl FnOnce(Spawn<Target>) -> Spawn<Target>) -> Self {
        Self::seeded(1, options)
    }

    pub(crate) fn seeded(seed: u64, options: impl FnOnce(Spawn<Target>) -> Spawn<Target>) -> Self {
        let sim = Sim::new(seed);
        let system = start(&sim, "asks");
        let handled = Record::default();
        let record = handled.clone();
        let spawn = options(Spawn::new(move || Target { handled: record.clone() }));
        let target = system.spawn("target", spawn).unwrap();
        Self { system, target, handled, sim }
    }

    /// Asks in a task of its own: begins at once, ends when it ends.
    pub(crate) fn asks(&self, number: u64, way: Way) -> Later<Result<u64, AskError>> {
        self.begin(self.target.ask(question(number, way)))
    }

    /// Asks with a deadline in a task of its own.
    pub(crate) fn asks_within(&self, number: u64, way: Way, limit: Duration) -> Later<Result<u64, AskError>> {
        self.begin(self.target.ask(question(number, way)).within(limit))
    }

    /// Runs `future` as a task of its own, until nothing else can run.
    pub(crate) fn begin<T: Send + 'static>(
        &self,
        future: impl Future<Output = T> + Send + 'static,
    ) -> Later<T> {
        let later = Later::begin(&self.system, future);
        self.sim.run_until_idle();
        later
    }

    /// Keeps the target busy with question 0 for this time.
    pub(crate) fn occupy(&self, time: Duration) -> Later<Result<u64, AskError>> {
        let occupied = self.asks_within(0, Way::ReplyAfter(time), AGES);
        assert!(self.handled.has(0), "the target is idle, so it begins at once");
        occupied
    }

    /// Waits for what a task brings.
    pub(crate) fn end<T>(&self, later: Later<T>) -> T {
        self.sim.block_on(later)
    }
}

/// Starts a system in the simulation.
pub(crate) fn start(sim: &Sim, name: &str) -> ActorSystem {
    sim.block_on(ActorSystem::builder(name).env(sim.env()).start()).unwrap()
}

/// What another task will bring.
pub(crate) struct Later<T>(oneshot::Receiver<T>);

impl<T: Send + 'static> Later<T> {
    pub(crate) fn begin(system: &ActorSystem, future: impl Future<Output = T> + Send + 'static) -> Self {
        let (tell, told) = oneshot::channel();
        system.env().spawn(|| "asker".to_owned(), async move {
            let _ = tell.send(future.await); // the test may not care
        });
        Self(told)
    }
}

impl<T> Later<T> {
    /// What it has brought by now.
    pub(crate) fn try_take(&mut self) -> Option<T> {
        self.0.try_recv().ok()
    }
}

impl<T> Future for Later<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, cx: &mut std::task::Context<'_>) -> Poll<T> {
        Pin::new(&mut self.0).poll(cx).map(|brought| brought.expect("the task ends by itself"))
    }
}

/// Polls a future once. `None` when it is not ready.
pub(crate) async fn poll_once<F: Future + Unpin>(future: &mut F) -> Option<F::Output> {
    poll_fn(|cx| {
        Poll::Ready(match Pin::new(&mut *future).poll(cx) {
            Poll::Ready(output) => Some(output),
            Poll::Pending => None,
        })
    })
    .await
}

/// Checks that an error says the target did not act, and that it is true.
#[track_caller]
pub(crate) fn did_not_act<E: std::fmt::Debug>(error: &AskError<E>, handled: &Record, number: u64) {
    assert_eq!(error.acted(), Acted::No, "{error:?}");
    assert!(!handled.has(number), "{error:?}, and yet question {number} was handled");
}

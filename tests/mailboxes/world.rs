//! Which actor sits behind the mailboxes of these tests?

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::Duration;

use omnitron::prelude::*;
use omnitron::testkit::Sim;
use tokio::sync::oneshot;

pub(crate) const SECOND: Duration = Duration::from_secs(1);

/// What a handler does after it was busy for a while, and before it is busy for a while longer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Act {
    Nothing,
    /// Pipes a message of this number to itself; its future takes this long.
    Pipe(u32, Duration),
    /// Pipes a future that panics.
    PipePanic,
    /// Sets a timer for a message of this number, due at once.
    Timer(u32),
    /// Sends itself a message of this number.
    SendToSelf(u32),
    /// Tells itself a message of this number.
    TellSelf(u32),
}

pub(crate) enum Mail {
    Note(u32),
    Ask(u32, ReplyTo<u32>),
    /// Is busy for a second, acts, and is busy for a second more.
    Busy(Act),
}

impl Mail {
    pub(crate) fn number(&self) -> u32 {
        match self {
            Self::Note(number) | Self::Ask(number, _) => *number,
            Self::Busy(_) => 0,
        }
    }
}

/// What happened to the actor, for the test to look at.
#[derive(Clone, Default)]
pub(crate) struct Seen {
    handled: Arc<Mutex<Vec<u32>>>,
    acted: Arc<Mutex<Option<Result<(), Refusal>>>>,
}

impl Seen {
    /// The numbers handled so far, in order.
    pub(crate) fn handled(&self) -> Vec<u32> {
        self.handled.lock().unwrap().clone()
    }

    /// What came of the last act.
    pub(crate) fn acted(&self) -> Option<Result<(), Refusal>> {
        *self.acted.lock().unwrap()
    }
}

pub(crate) struct Clerk {
    seen: Seen,
}

impl Actor for Clerk {
    type Msg = Mail;

    async fn receive(&mut self, mail: Mail, ctx: &mut Context<Self>) -> Result<(), Failure> {
        let number = mail.number();
        match mail {
            Mail::Note(_) => self.seen.handled.lock().unwrap().push(number),
            Mail::Ask(_, reply) => {
                self.seen.handled.lock().unwrap().push(number);
                reply.send(number);
            }
            Mail::Busy(act) => {
                let env = ctx.env().clone();
                env.sleep(SECOND).await;
                let acted = self.act(act, ctx).await;
                *self.seen.acted.lock().unwrap() = Some(acted);
                env.sleep(SECOND).await;
            }
        }
        Ok(())
    }
}

impl Clerk {
    async fn act(&mut self, act: Act, ctx: &mut Context<Self>) -> Result<(), Refusal> {
        let env = ctx.env().clone();
        match act {
            Act::Nothing => {}
            Act::Pipe(number, after) => {
                ctx.pipe_to_self(async move { env.sleep(after).await }, move |()| Mail::Note(number))?;
            }
            Act::PipePanic => {
                ctx.pipe_to_self(async move { panic!("on request") }, |()| Mail::Note(0))?;
            }
            Act::Timer(number) => ctx.timers().once("act", Duration::ZERO, move || Mail::Note(number)),
            Act::SendToSelf(number) => {
                let myself = ctx.myself().clone();
                myself.send(Mail::Note(number)).await.map_err(|undelivered| undelivered.reason)?;
            }
            Act::TellSelf(number) => {
                ctx.myself().tell(Mail::Note(number)).map_err(|undelivered| undelivered.reason)?;
            }
        }
        Ok(())
    }
}

/// A simulation with one clerk in it.
pub(crate) struct World {
    pub(crate) system: ActorSystem,
    pub(crate) clerk: ActorRef<Mail>,
    pub(crate) seen: Seen,
    pub(crate) sim: Sim,
}

impl World {
    pub(crate) fn new(mailbox: Mailbox<Mail>) -> Self {
        Self::seeded(1, mailbox)
    }

    pub(crate) fn seeded(seed: u64, mailbox: Mailbox<Mail>) -> Self {
        let sim = Sim::new(seed);
        let system = sim.block_on(ActorSystem::builder("mail").env(sim.env()).start()).unwrap();
        let (clerk, record) = spawn(&system, "clerk", mailbox);
        Self { system, clerk, seen: record, sim }
    }

    /// Keeps the clerk busy for two seconds, with something to do in the middle. The first begins.
    pub(crate) fn occupy(&self, act: Act) {
        self.clerk.tell(Mail::Busy(act)).unwrap();
        self.sim.run_until_idle();
    }

    pub(crate) fn tell(&self, number: u32) -> Result<(), Refusal> {
        self.clerk.tell(Mail::Note(number)).map_err(|undelivered| {
            assert_eq!(undelivered.message.number(), number, "the message that was refused comes back");
            undelivered.reason
        })
    }

    /// Tells while there is room: these numbers, and no more.
    pub(crate) fn fill(&self, numbers: &[u32]) {
        for &number in numbers {
            self.tell(number).unwrap();
        }
    }

    /// Sends in a task of its own. Gives back the number that was refused.
    pub(crate) fn sends(&self, number: u32) -> Later<Result<(), (u32, Refusal)>> {
        let clerk = self.clerk.clone();
        self.begin(async move {
            clerk
                .send(Mail::Note(number))
                .await
                .map_err(|undelivered| (undelivered.message.number(), undelivered.reason))
        })
    }

    pub(crate) fn asks(&self, number: u32) -> Later<Result<u32, AskError>> {
        self.begin(self.clerk.ask(move |reply| Mail::Ask(number, reply)).within(SECOND * 60))
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
}

pub(crate) fn spawn(system: &ActorSystem, name: &str, mailbox: Mailbox<Mail>) -> (ActorRef<Mail>, Seen) {
    let seen = Seen::default();
    let clerk = Spawn::new({
        let seen = seen.clone();
        move || Clerk { seen: seen.clone() }
    });
    (system.spawn(name, clerk.mailbox(mailbox)).unwrap(), seen)
}

/// What another task will bring.
pub(crate) struct Later<T>(oneshot::Receiver<T>);

impl<T: Send + 'static> Later<T> {
    pub(crate) fn begin(system: &ActorSystem, future: impl Future<Output = T> + Send + 'static) -> Self {
        let (tell, told) = oneshot::channel();
        system.env().spawn(|| "beside".to_owned(), async move {
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
    std::future::poll_fn(|cx| {
        Poll::Ready(match Pin::new(&mut *future).poll(cx) {
            Poll::Ready(output) => Some(output),
            Poll::Pending => None,
        })
    })
    .await
}

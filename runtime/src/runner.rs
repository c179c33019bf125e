//! What does an actor that sleeps still occupy?
//!
//! Its cell, its body, and a task that holds one pointer. The future which does the work, with room for the
//! largest of the user's hooks, exists only while the actor is awake: it lies in a box of this thread's pool, is begun
//! anew for each activation, and owns the body meanwhile. So hooks with large futures cost idle actors nothing, and
//! waking up allocates nothing. An actor that wakes up often keeps its future: see [`HOT_ACTIVATIONS`].
//!
//! This is the one seam between an actor and what runs it: a task on the run queue per actor.
//!
//! # Invariants
//!
//! * The body is in exactly one place: with the sleeper, in the turn, or in a rare way.
//! * A pooled box holds no future.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use crate::actor::Actor;
use crate::body::{Body, Exit, turn};
use crate::pool;

/// Boxes kept per thread and type of actor. That many actors of one type can await on one thread before waking one more
/// up allocates.
const POOL_LIMIT: usize = 64;

/// An actor that was woken this often keeps its future while it sleeps. To begin one anew costs some 100 ns, which an
/// actor that is woken for every message would feel, and one that is woken now and then does not.
pub(crate) const HOT_ACTIVATIONS: u8 = 64;

/// A future in a box that can be used again.
type Reusable<F> = Pin<Box<Option<F>>>;

/// The task of one actor.
struct Runner<A: Actor, F, W> {
    state: State<A, F>,
    /// Begins a turn.
    work: W,
}

/// Leads back to sleep, or to the end.
type Way<A> = Pin<Box<dyn Future<Output = Option<Box<Body<A>>>> + Send>>;

enum State<A: Actor, F> {
    Asleep(Box<Body<A>>),
    Awake(Reusable<F>),
    /// Recovery, or the end: rare, so it may allocate. `None` when the actor has ended.
    Apart(Way<A>),
    Ended,
}

/// The life of an actor, from its first start to its end.
pub(crate) fn live<A: Actor>(body: Box<Body<A>>) -> impl Future<Output = ()> + Send {
    Runner { state: State::Asleep(body), work: turn::<A> }
}

impl<A: Actor, F, W> Unpin for Runner<A, F, W> {}

impl<A, F, W> Future for Runner<A, F, W>
where
    A: Actor,
    F: Future<Output = (Box<Body<A>>, Exit)> + Send + 'static,
    W: Fn(Box<Body<A>>) -> F,
{
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        loop {
            match &mut this.state {
                State::Awake(turn) => {
                    let Some(running) = turn.as_mut().as_pin_mut() else { return Poll::Ready(()) };
                    let (mut body, exit) = ready!(running.poll(cx));
                    let idle = matches!(exit, Exit::Idle);
                    let next = match exit {
                        Exit::Idle => State::Asleep(body),
                        Exit::Stop => State::Apart(Box::pin(async move {
                            body.end().await;
                            None
                        })),
                        Exit::Failed(failure) => State::Apart(Box::pin(async move {
                            let goes_on = body.recover(failure).await;
                            body.go_on_or_end(goes_on).await
                        })),
                        Exit::Halt(crash) => State::Apart(Box::pin(async move {
                            let goes_on = body.halt(crash).await;
                            body.go_on_or_end(goes_on).await
                        })),
                    };
                    if let State::Awake(done) = std::mem::replace(&mut this.state, next) {
                        give_back(done);
                    }
                    if idle {
                        return Poll::Pending;
                    }
                }
                State::Apart(way) => {
                    this.state = match ready!(way.as_mut().poll(cx)) {
                        Some(body) => State::Asleep(body),
                        None => State::Ended,
                    };
                }
                State::Asleep(_) => {
                    if let State::Asleep(mut body) = std::mem::replace(&mut this.state, State::Ended) {
                        body.ctx.wake_up();
                        this.state = State::Awake(take((this.work)(body)));
                    }
                }
                State::Ended => return Poll::Ready(()),
            }
        }
    }
}

impl<A: Actor> Body<A> {
    async fn go_on_or_end(mut self: Box<Self>, goes_on: bool) -> Option<Box<Self>> {
        if goes_on {
            return Some(self);
        }
        self.end().await;
        None
    }
}

/// Puts a future into a box.
fn take<F: 'static>(future: F) -> Reusable<F> {
    match pool::take::<Reusable<F>>() {
        Some(mut reusable) => {
            reusable.set(Some(future));
            reusable
        }
        None => Box::pin(Some(future)),
    }
}

/// Keeps a box for the next one.
fn give_back<F: 'static>(mut reusable: Reusable<F>) {
    reusable.set(None);
    pool::give(reusable, POOL_LIMIT);
}

/// Sleeps until the waker is woken that was left before.
pub(crate) async fn sleep_once() {
    let mut slept = false;
    poll_fn(|_| if std::mem::replace(&mut slept, true) { Poll::Ready(()) } else { Poll::Pending }).await;
}

/// Gives way to other tasks once.
pub(crate) async fn give_way() {
    let mut yielded = false;
    poll_fn(|cx| {
        if std::mem::replace(&mut yielded, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

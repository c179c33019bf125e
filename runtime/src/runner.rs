//! What does an actor that sleeps still occupy?
//!
//! Its cell, its body, and a tokio task that holds one pointer. The future which does the work, with room for the
//! largest of the user's hooks, exists only while the actor is awake: it lies in a box of this thread's pool, is begun
//! anew for each activation, and owns the body meanwhile. So hooks with large futures cost idle actors nothing, and
//! waking up allocates nothing.
//!
//! This is the one seam between an actor and what runs it: a task per actor today.
//!
//! # Invariants
//!
//! * The body is in exactly one place: with the sleeper, in the turn, or in a rare way.
//! * A pooled box holds no future.

use std::any::{Any, TypeId};
use std::cell::RefCell;
use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use foldhash::fast::FixedState;

use crate::actor::Actor;
use crate::body::{Body, Exit, turn};

/// Boxes kept per thread and type of actor. That many actors of one type can await on one thread before waking one more
/// up allocates.
const POOL_LIMIT: usize = 64;

/// A future in a box that can be used again.
type Reusable<F> = Pin<Box<Option<F>>>;

/// The task of one actor.
struct Runner<A: Actor, F, W> {
    state: State<A, F>,
    /// Begins a turn.
    work: W,
}

enum State<A: Actor, F> {
    Asleep(Box<Body<A>>),
    Awake(Reusable<F>),
    /// Recovery, or the end: rare, so it may allocate. `None` when the actor has ended.
    Apart(Pin<Box<dyn Future<Output = Option<Box<Body<A>>>> + Send>>),
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
                    if let State::Asleep(body) = std::mem::replace(&mut this.state, State::Ended) {
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

thread_local! {
    /// Per type of turn, a `Vec<Reusable<F>>`.
    static POOL: RefCell<HashMap<TypeId, Box<dyn Any>, FixedState>> =
        const { RefCell::new(HashMap::with_hasher(FixedState::with_seed(0))) };
}

/// Puts a future into a box.
fn take<F: 'static>(future: F) -> Reusable<F> {
    let pooled = POOL.try_with(|pool| {
        pool.borrow_mut().get_mut(&TypeId::of::<F>())?.downcast_mut::<Vec<Reusable<F>>>()?.pop()
    });
    match pooled {
        Ok(Some(mut reusable)) => {
            reusable.set(Some(future));
            reusable
        }
        _ => Box::pin(Some(future)),
    }
}

/// Keeps a box for the next one.
fn give_back<F: 'static>(mut reusable: Reusable<F>) {
    reusable.set(None);
    // A thread that is ending has no pool any more.
    let _ = POOL.try_with(|pool| {
        let mut pool = pool.borrow_mut();
        let boxes = pool
            .entry(TypeId::of::<F>())
            .or_insert_with(|| Box::new(Vec::<Reusable<F>>::new()))
            .downcast_mut::<Vec<Reusable<F>>>();
        if let Some(boxes) = boxes
            && boxes.len() < POOL_LIMIT
        {
            boxes.push(reusable);
        }
    });
}

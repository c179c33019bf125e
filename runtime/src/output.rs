//! How does what an actor produces become a stream, no faster than it is read?
//!
//! A bounded channel with a rule for handlers: none waits in it for ever.
//!
//! # Invariants
//!
//! * At most `capacity` values wait for the reader.
//! * A value that is not taken is given back.

use std::fmt;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context as Poller, Poll};
use std::time::Duration;

use futures_util::Stream;
use futures_util::future::{Either, select};
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{Semaphore, mpsc};

use crate::actor::Actor;
use crate::chain;
use crate::context::Context;
use crate::system::Core;

/// Where an actor puts what others read as a [stream](OutputStream), from [`Context::output`] or
/// [`ActorSystem::output`](crate::ActorSystem::output). Cheap to clone; all clones go into one stream.
///
/// The stream ends when the last clone is dropped. One that an actor keeps in its state is dropped when the actor stops,
/// and when it restarts: what was emitted stays readable, and then the stream ends. One that its *factory* keeps clones of goes
/// on across restarts.
pub struct Output<T> {
    values: mpsc::Sender<T>,
    core: Arc<Core>,
}

impl<T: Send + 'static> Output<T> {
    pub(crate) fn new(capacity: usize, core: Arc<Core>) -> (Self, OutputStream<T>) {
        let (values, stream) = mpsc::channel(capacity.clamp(1, Semaphore::MAX_PERMITS));
        (Self { values, core }, OutputStream { values: stream })
    }

    /// Emits a value, and waits for room. Those who wait are served in order.
    ///
    /// Inside a handler the wait ends after the system's [ask time-out](crate::SystemBuilder::ask_timeout).
    ///
    /// # Errors
    ///
    /// [`NotEmitted`] gives the value back when the stream is dropped, before or while waiting, or when the time is over.
    ///
    /// # Cancel safety
    ///
    /// A future that is dropped before it is ready has emitted nothing; the value is dropped with it.
    pub async fn emit(&self, value: T) -> Result<(), NotEmitted<T>> {
        let room = pin!(self.values.reserve());
        let room = if chain::current_actor().is_some() {
            let after = self.core.ask_timeout;
            match select(room, self.core.env.sleep(after)).await {
                Either::Left((room, _)) => room,
                Either::Right(_) => {
                    return Err(NotEmitted { value, reason: EmitRefusal::TimedOut { after } });
                }
            }
        } else {
            room.await
        };
        match room {
            Ok(room) => {
                room.send(value);
                Ok(())
            }
            Err(_) => Err(NotEmitted { value, reason: EmitRefusal::Closed }),
        }
    }

    /// Emits a value if there is room now.
    ///
    /// # Errors
    ///
    /// [`NotEmitted`] gives the value back when there is no room, or the stream is dropped.
    pub fn try_emit(&self, value: T) -> Result<(), NotEmitted<T>> {
        self.values.try_send(value).map_err(|refused| match refused {
            TrySendError::Full(value) => {
                NotEmitted { value, reason: EmitRefusal::Full { capacity: self.values.max_capacity() } }
            }
            TrySendError::Closed(value) => NotEmitted { value, reason: EmitRefusal::Closed },
        })
    }

    /// Whether the stream is dropped: nobody reads any more.
    pub fn is_closed(&self) -> bool {
        self.values.is_closed()
    }

    /// Waits until the stream is dropped. Piped to its actor, this tells it that nobody reads any more.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe.
    pub async fn closed(&self) {
        self.values.closed().await;
    }
}

impl<A: Actor> Context<A> {
    /// An output with room for `capacity` values (at least 1: zero counts as 1), and the stream of what is emitted, to be
    /// handed to whoever reads it.
    pub fn output<T: Send + 'static>(&self, capacity: usize) -> (Output<T>, OutputStream<T>) {
        self.system().output(capacity)
    }
}

impl<T> Clone for Output<T> {
    fn clone(&self) -> Self {
        Self { values: self.values.clone(), core: self.core.clone() }
    }
}

impl<T> fmt::Debug for Output<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Output").field("is_closed", &self.values.is_closed()).finish_non_exhaustive()
    }
}

/// What an actor emits, in order: a [`Stream`]. Its drop closes the [`Output`].
#[derive(Debug)]
#[must_use = "dropping it closes the output"]
pub struct OutputStream<T> {
    values: mpsc::Receiver<T>,
}

impl<T> OutputStream<T> {
    /// The next value; waits for one. `None` when the last [`Output`] is dropped and all were read.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: a dropped future has taken nothing.
    pub async fn recv(&mut self) -> Option<T> {
        self.values.recv().await
    }

    /// The next value, if one waits.
    pub fn try_recv(&mut self) -> Option<T> {
        self.values.try_recv().ok()
    }
}

impl<T> Stream for OutputStream<T> {
    type Item = T;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Poller<'_>) -> Poll<Option<T>> {
        self.values.poll_recv(cx)
    }
}

/// A value no stream took, given back, and why.
#[derive(thiserror::Error)]
#[error("the value was not emitted")]
pub struct NotEmitted<T> {
    /// The value, as it was.
    pub value: T,
    /// Why it was refused.
    #[source]
    pub reason: EmitRefusal,
}

impl<T> fmt::Debug for NotEmitted<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NotEmitted").field("reason", &self.reason).finish_non_exhaustive()
    }
}

/// Why a value was not emitted. In every case the reader did **not** see it.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum EmitRefusal {
    /// So many values wait for the reader, or others already wait for their room. Trying again later may succeed.
    #[error("the stream is full ({capacity} values)")]
    Full {
        /// The most values that wait.
        capacity: usize,
    },
    /// The stream is dropped. Trying again never succeeds.
    #[error("nobody reads the stream any more")]
    Closed,
    /// A handler waited `after` for room: the reader is slow. A handler never waits for ever. Trying again later may
    /// succeed.
    #[error("no room in the stream within {after:?}")]
    TimedOut {
        /// How long the handler waited.
        after: Duration,
    },
}

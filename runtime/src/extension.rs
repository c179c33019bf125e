//! How does a part that is no actor start and stop with the system?

use std::any::Any;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;

use futures_util::FutureExt;

use crate::failure::Failure;
use crate::shutdown::Phase;
use crate::system::ActorSystem;

/// A future that an extension returns.
pub type ExtensionFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A part that starts and stops with the system: a pool of connections, a transport, a journal.
///
/// # Contract
///
/// 1. Extensions start one after the other, in the order in which they were given, before the first actor can be
///    spawned. If one fails, those before it are stopped again and the system does not start.
/// 2. At shutdown each is told of every [`Phase`] as it begins, the last started first, and always in the order of
///    the phases. Within a phase they run one after the other.
/// 3. A `stop` that is not done when its phase is over is dropped, at its await point, and the shutdown goes on. So it
///    does when one panics; a `start` that panics has failed.
pub trait Extension: Any + Send + Sync {
    /// Names it in errors and logs.
    fn name(&self) -> &str;

    /// Starts it. Default: nothing.
    ///
    /// # Errors
    ///
    /// Any error keeps the system from starting.
    fn start<'a>(&'a self, system: &'a ActorSystem) -> ExtensionFuture<'a, Result<(), Failure>> {
        let _ = system;
        Box::pin(std::future::ready(Ok(())))
    }

    /// Does what is to be done when this phase of the shutdown begins. Default: nothing.
    fn stop<'a>(&'a self, phase: Phase, system: &'a ActorSystem) -> ExtensionFuture<'a, ()> {
        let _ = (phase, system);
        Box::pin(std::future::ready(()))
    }
}

/// Awaits what an extension does; a panic in that is its failure, and nobody else's.
pub(crate) async fn contained<T>(call: impl Future<Output = T>) -> Result<T, Failure> {
    AssertUnwindSafe(call).catch_unwind().await.map_err(Failure::panicked)
}

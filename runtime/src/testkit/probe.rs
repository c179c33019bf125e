//! What was an actor sent, had there been one?

use std::fmt;
use std::time::Duration;

use futures_util::future::{Either, select};
use tokio::sync::mpsc;

use crate::actor::Actor;
use crate::actor_ref::ActorRef;
use crate::context::Context;
use crate::env::Env;
use crate::error::SpawnError;
use crate::failure::Failure;
use crate::mailbox::Mailbox;
use crate::spawn::Spawn;
use crate::system::ActorSystem;

/// An actor that only collects: hand out its [reference](Self::actor), then look at what came.
pub struct Probe<M: Send + 'static> {
    actor: ActorRef<M>,
    messages: mpsc::UnboundedReceiver<M>,
    env: Env,
}

struct Collector<M> {
    messages: mpsc::UnboundedSender<M>,
}

impl<M: Send + 'static> Actor for Collector<M> {
    type Msg = M;

    async fn receive(&mut self, message: M, _: &mut Context<Self>) -> Result<(), Failure> {
        // The test may look no longer.
        let _ = self.messages.send(message);
        Ok(())
    }
}

impl<M: Send + 'static> Probe<M> {
    /// Spawns a probe at `/user/{name}`.
    ///
    /// # Errors
    ///
    /// As [`ActorSystem::spawn`].
    pub fn new(system: &ActorSystem, name: &str) -> Result<Self, SpawnError> {
        let (sender, messages) = mpsc::unbounded_channel();
        let collector = move || Collector { messages: sender.clone() };
        let actor = system.spawn(name, Spawn::new(collector).mailbox(Mailbox::unbounded()))?;
        Ok(Self { actor, messages, env: system.env().clone() })
    }

    /// The reference that leads here.
    pub fn actor(&self) -> &ActorRef<M> {
        &self.actor
    }

    /// The next message, waiting for it up to `limit`. `None` when none came in time.
    pub async fn next(&mut self, limit: Duration) -> Option<M> {
        let alarm = self.env.sleep(limit);
        match select(std::pin::pin!(self.messages.recv()), alarm).await {
            Either::Left((message, _)) => message,
            Either::Right(_) => None,
        }
    }

    /// The next message, if it is there already.
    pub fn try_next(&mut self) -> Option<M> {
        self.messages.try_recv().ok()
    }

    /// The next message.
    ///
    /// # Panics
    ///
    /// When none comes within `limit`.
    #[track_caller]
    pub fn expect_next(&mut self, limit: Duration) -> impl Future<Output = M> {
        let caller = std::panic::Location::caller();
        async move {
            let path = self.actor.path().clone();
            match self.next(limit).await {
                Some(message) => message,
                None => panic!("{path} got no message within {limit:?} (expected at {caller})"),
            }
        }
    }
}

impl<M: Send + 'static> fmt::Debug for Probe<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Probe").field("actor", &self.actor).finish_non_exhaustive()
    }
}

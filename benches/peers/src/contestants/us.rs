//! Omnitron: a message is an enum, an ask is one of its variants. Every actor has a name.

use std::future::Future;
use std::sync::atomic::{AtomicUsize, Ordering};

use omnitron::prelude::*;

use crate::contestant::BOUND;
use crate::{Behaviour, Cannot, Contestant, Place};

/// A system, and how many actors it has started: their names.
#[derive(Debug)]
pub struct Omnitron {
    system: ActorSystem,
    started: AtomicUsize,
}

struct Host<B>(B);

/// What an actor receives.
#[derive(Debug)]
pub enum Msg<M> {
    /// One way.
    Tell(M),
    /// For the value.
    Ask(ReplyTo<u64>),
}

impl<B: Behaviour> Actor for Host<B> {
    type Msg = Msg<B::Msg>;

    async fn receive(&mut self, msg: Self::Msg, _: &mut Context<Self>) -> Result<(), Failure> {
        match msg {
            Msg::Tell(message) => self.0.receive(message),
            Msg::Ask(reply) => reply.send(self.0.value()),
        }
        Ok(())
    }
}

impl Omnitron {
    fn launch<B: Behaviour>(
        &self,
        mailbox: Mailbox<Msg<B::Msg>>,
        make: impl Fn() -> B + Send + 'static,
    ) -> ActorRef<Msg<B::Msg>> {
        let name = self.started.fetch_add(1, Ordering::Relaxed).to_string();
        self.system.spawn(&name, Spawn::new(move || Host(make())).mailbox(mailbox)).expect("an actor")
    }
}

impl Contestant for Omnitron {
    type Addr<B: Behaviour> = ActorRef<Msg<B::Msg>>;

    async fn start() -> Self {
        let system = ActorSystem::start("peers").await.expect("a system");
        Self { system, started: AtomicUsize::new(0) }
    }

    fn spawn<B: Behaviour>(
        &self,
        _: Place,
        make: impl Fn() -> B + Send + 'static,
    ) -> impl Future<Output = Self::Addr<B>> + Send {
        std::future::ready(self.launch(Mailbox::unbounded(), make))
    }

    fn spawn_bounded<B: Behaviour>(
        &self,
        make: impl Fn() -> B + Send + 'static,
    ) -> Result<Self::Addr<B>, Cannot> {
        Ok(self.launch(Mailbox::bounded(BOUND), make))
    }

    fn tell<B: Behaviour>(to: &Self::Addr<B>, message: B::Msg) {
        assert!(to.tell(Msg::Tell(message)).is_ok(), "the actor is there");
    }

    async fn send<B: Behaviour>(to: &Self::Addr<B>, message: B::Msg) {
        assert!(to.send(Msg::Tell(message)).await.is_ok(), "the actor is there");
    }

    async fn ask<B: Behaviour>(of: &Self::Addr<B>) -> u64 {
        of.ask(Msg::Ask).await.expect("a value")
    }

    async fn end<B: Behaviour>(&self, actor: Self::Addr<B>) {
        drop(actor.drain());
    }
}

//! Xtra: a message is a type with a handler of its own; a send resolves to the reply, or is detached from it.

use std::future::Future;

use futures_util::FutureExt;
use xtra::{Actor, Address, Context, Handler, Mailbox};

use crate::contestant::BOUND;
use crate::{Behaviour, Cannot, Contestant, Place};

/// Xtra's actors live in tokio's tasks, without a system.
#[derive(Debug)]
pub struct Xtra;

/// An actor of xtra with this behaviour.
#[derive(Debug)]
pub struct Host<B>(B);

struct Tell<M>(M);

struct Ask;

impl<B: Behaviour> Actor for Host<B> {
    type Stop = ();

    async fn stopped(self) {}
}

impl<B: Behaviour> Handler<Tell<B::Msg>> for Host<B> {
    type Return = ();

    async fn handle(&mut self, Tell(message): Tell<B::Msg>, _: &mut Context<Self>) {
        self.0.receive(message);
    }
}

impl<B: Behaviour> Handler<Ask> for Host<B> {
    type Return = u64;

    async fn handle(&mut self, _: Ask, _: &mut Context<Self>) -> u64 {
        self.0.value()
    }
}

impl Contestant for Xtra {
    type Addr<B: Behaviour> = Address<Host<B>>;

    async fn start() -> Self {
        Self
    }

    fn spawn<B: Behaviour>(
        &self,
        _: Place,
        make: impl Fn() -> B + Send + 'static,
    ) -> impl Future<Output = Self::Addr<B>> + Send {
        std::future::ready(xtra::spawn_tokio(Host(make()), Mailbox::unbounded()))
    }

    fn spawn_bounded<B: Behaviour>(
        &self,
        make: impl Fn() -> B + Send + 'static,
    ) -> Result<Self::Addr<B>, Cannot> {
        Ok(xtra::spawn_tokio(Host(make()), Mailbox::bounded(BOUND)))
    }

    // Detached from its reply, it is ready at once: an unbounded mailbox always has room.
    fn tell<B: Behaviour>(to: &Self::Addr<B>, message: B::Msg) {
        let sent = to.send(Tell(message)).detach().now_or_never();
        assert!(matches!(sent, Some(Ok(_))), "the actor is there");
    }

    async fn send<B: Behaviour>(to: &Self::Addr<B>, message: B::Msg) {
        assert!(to.send(Tell(message)).detach().await.is_ok(), "the actor is there");
    }

    async fn ask<B: Behaviour>(of: &Self::Addr<B>) -> u64 {
        of.send(Ask).await.expect("a value")
    }

    // It handles what waits, and ends when its last address is gone.
    async fn end<B: Behaviour>(&self, actor: Self::Addr<B>) {
        drop(actor);
    }
}

//! Kameo: a message is a type with a handler of its own, and every message can be told or asked.

use std::convert::Infallible;
use std::future::Future;

use kameo::actor::{Actor, ActorRef, Spawn};
use kameo::mailbox;
use kameo::message::{Context, Message};

use crate::contestant::BOUND;
use crate::{Behaviour, Cannot, Contestant, Place};

/// Kameo's actors live in tokio's tasks, without a system.
#[derive(Debug)]
pub struct Kameo;

/// An actor of kameo with this behaviour.
#[derive(Debug)]
pub struct Host<B>(B);

struct Tell<M>(M);

struct Ask;

impl<B: Behaviour> Actor for Host<B> {
    type Args = Self;
    type Error = Infallible;

    async fn on_start(args: Self, _: ActorRef<Self>) -> Result<Self, Infallible> {
        Ok(args)
    }
}

impl<B: Behaviour> Message<Tell<B::Msg>> for Host<B> {
    type Reply = ();

    async fn handle(&mut self, Tell(message): Tell<B::Msg>, _: &mut Context<Self, ()>) {
        self.0.receive(message);
    }
}

impl<B: Behaviour> Message<Ask> for Host<B> {
    type Reply = u64;

    async fn handle(&mut self, _: Ask, _: &mut Context<Self, u64>) -> u64 {
        self.0.value()
    }
}

impl Contestant for Kameo {
    type Addr<B: Behaviour> = ActorRef<Host<B>>;

    async fn start() -> Self {
        Self
    }

    fn spawn<B: Behaviour>(
        &self,
        _: Place,
        make: impl Fn() -> B + Send + 'static,
    ) -> impl Future<Output = Self::Addr<B>> + Send {
        std::future::ready(Host::spawn_with_mailbox(Host(make()), mailbox::unbounded()))
    }

    fn spawn_bounded<B: Behaviour>(
        &self,
        make: impl Fn() -> B + Send + 'static,
    ) -> Result<Self::Addr<B>, Cannot> {
        Ok(Host::spawn_with_mailbox(Host(make()), mailbox::bounded(BOUND)))
    }

    // What sends without waiting: an unbounded mailbox always has room.
    fn tell<B: Behaviour>(to: &Self::Addr<B>, message: B::Msg) {
        assert!(to.tell(Tell(message)).try_send().is_ok(), "the actor is there");
    }

    async fn send<B: Behaviour>(to: &Self::Addr<B>, message: B::Msg) {
        assert!(to.tell(Tell(message)).send().await.is_ok(), "the actor is there");
    }

    async fn ask<B: Behaviour>(of: &Self::Addr<B>) -> u64 {
        of.ask(Ask).send().await.expect("a value")
    }

    async fn end<B: Behaviour>(&self, actor: Self::Addr<B>) {
        assert!(actor.stop_gracefully().await.is_ok(), "the actor is there");
    }
}

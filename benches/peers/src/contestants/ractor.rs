//! Ractor: a message is an enum, an ask is a variant with a port for the reply. Mailboxes are unbounded.

use std::future::Future;

use ractor::{Actor, ActorProcessingErr, ActorRef, RpcReplyPort};

use crate::{Behaviour, Cannot, Contestant, Place};

/// Ractor's actors live in tokio's tasks, without a system.
#[derive(Debug)]
pub struct Ractor;

/// The state is apart from the actor.
struct Host<B>(std::marker::PhantomData<fn() -> B>);

/// What an actor receives.
#[derive(Debug)]
pub enum Msg<M> {
    /// One way.
    Tell(M),
    /// For the value.
    Ask(RpcReplyPort<u64>),
}

impl<B: Behaviour> Actor for Host<B> {
    type Msg = Msg<B::Msg>;
    type State = B;
    type Arguments = B;

    async fn pre_start(&self, _: ActorRef<Self::Msg>, behaviour: B) -> Result<B, ActorProcessingErr> {
        Ok(behaviour)
    }

    async fn handle(
        &self,
        _: ActorRef<Self::Msg>,
        message: Self::Msg,
        state: &mut B,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            Msg::Tell(message) => state.receive(message),
            Msg::Ask(reply) => reply.send(state.value())?,
        }
        Ok(())
    }
}

impl Contestant for Ractor {
    type Addr<B: Behaviour> = ActorRef<Msg<B::Msg>>;

    async fn start() -> Self {
        Self
    }

    fn spawn<B: Behaviour>(
        &self,
        _: Place,
        make: impl Fn() -> B + Send + 'static,
    ) -> impl Future<Output = Self::Addr<B>> + Send {
        let behaviour = make();
        async { Host::spawn(None, Host(std::marker::PhantomData), behaviour).await.expect("an actor").0 }
    }

    // Its queue is tokio's unbounded channel, and there is no other.
    fn spawn_bounded<B: Behaviour>(
        &self,
        _: impl Fn() -> B + Send + 'static,
    ) -> Result<Self::Addr<B>, Cannot> {
        Err(Cannot("has no bounded mailboxes"))
    }

    fn tell<B: Behaviour>(to: &Self::Addr<B>, message: B::Msg) {
        assert!(to.cast(Msg::Tell(message)).is_ok(), "the actor is there");
    }

    async fn send<B: Behaviour>(to: &Self::Addr<B>, message: B::Msg) {
        Self::tell::<B>(to, message);
    }

    async fn ask<B: Behaviour>(of: &Self::Addr<B>) -> u64 {
        of.call(Msg::Ask, None).await.expect("the actor is there").expect("a value")
    }

    async fn end<B: Behaviour>(&self, actor: Self::Addr<B>) {
        assert!(actor.drain().is_ok(), "the actor is there");
    }
}

//! Murmer, without its cluster: a message is a type with a handler of its own, and has to be serialisable, though one
//! that stays in its process never is. Every actor has a label. Mailboxes are unbounded.

use std::fmt;
use std::future::Future;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::FutureExt;
use murmer::{
    Actor, ActorContext, DispatchError, Endpoint, Handler, Message, RemoteDispatch, RemoteMessage, System,
};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{Behaviour, Cannot, Contestant, Place};

/// A system, and how many actors it has started: their labels.
pub struct Murmer {
    system: System,
    started: AtomicUsize,
}

/// The state is apart from the actor.
#[derive(Debug)]
pub struct Host<B>(std::marker::PhantomData<fn() -> B>);

/// A message that stays in its process, whatever it holds.
struct Tell<M>(M);

#[derive(Debug, Serialize, Deserialize)]
struct Ask;

#[derive(Debug, Serialize, Deserialize)]
struct End;

impl<M> fmt::Debug for Tell<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tell")
    }
}

impl<M> Serialize for Tell<M> {
    fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        Err(serde::ser::Error::custom("it stays in its process"))
    }
}

impl<'de, M> Deserialize<'de> for Tell<M> {
    fn deserialize<D: Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
        Err(serde::de::Error::custom("it stays in its process"))
    }
}

impl<M: Send + 'static> Message for Tell<M> {
    type Result = ();
}

impl<M: Send + 'static> RemoteMessage for Tell<M> {
    const TYPE_ID: &'static str = "tell";
}

impl Message for Ask {
    type Result = u64;
}

impl RemoteMessage for Ask {
    const TYPE_ID: &'static str = "ask";
}

impl Message for End {
    type Result = ();
}

impl RemoteMessage for End {
    const TYPE_ID: &'static str = "end";
}

impl<B: Behaviour> Actor for Host<B> {
    type State = B;
}

impl<B: Behaviour> Handler<Tell<B::Msg>> for Host<B> {
    fn handle(&mut self, _: &ActorContext<Self>, state: &mut B, Tell(message): Tell<B::Msg>) {
        state.receive(message);
    }
}

impl<B: Behaviour> Handler<Ask> for Host<B> {
    fn handle(&mut self, _: &ActorContext<Self>, state: &mut B, _: Ask) -> u64 {
        state.value()
    }
}

impl<B: Behaviour> Handler<End> for Host<B> {
    fn handle(&mut self, context: &ActorContext<Self>, _: &mut B, _: End) {
        context.stop();
    }
}

impl<B: Behaviour> RemoteDispatch for Host<B> {
    async fn dispatch_remote<'a>(
        &'a mut self,
        _: &'a ActorContext<Self>,
        _: &'a mut B,
        message_type: &'a str,
        _: &'a [u8],
    ) -> Result<Vec<u8>, DispatchError> {
        Err(DispatchError::UnknownMessageType(message_type.to_owned()))
    }
}

/// Murmer has no tell: every send is answered. The first poll puts the message into the mailbox; the answer is dropped.
fn post<B, M>(to: &Endpoint<Host<B>>, message: M)
where
    B: Behaviour,
    Host<B>: Handler<M>,
    M: RemoteMessage<Result = ()>,
{
    let answered = to.send(message).now_or_never();
    assert!(matches!(answered, None | Some(Ok(()))), "the actor is there");
}

impl Contestant for Murmer {
    type Addr<B: Behaviour> = Endpoint<Host<B>>;

    async fn start() -> Self {
        Self { system: System::local(), started: AtomicUsize::new(0) }
    }

    // Private: nothing that a cluster would need is kept.
    fn spawn<B: Behaviour>(
        &self,
        _: Place,
        make: impl Fn() -> B + Send + 'static,
    ) -> impl Future<Output = Self::Addr<B>> + Send {
        let label = self.started.fetch_add(1, Ordering::Relaxed).to_string();
        std::future::ready(self.system.start_private(&label, Host(std::marker::PhantomData), make()))
    }

    // Its queue is tokio's unbounded channel, and there is no other.
    fn spawn_bounded<B: Behaviour>(
        &self,
        _: impl Fn() -> B + Send + 'static,
    ) -> Result<Self::Addr<B>, Cannot> {
        Err(Cannot("has no bounded mailboxes"))
    }

    fn tell<B: Behaviour>(to: &Self::Addr<B>, message: B::Msg) {
        post(to, Tell(message));
    }

    async fn send<B: Behaviour>(to: &Self::Addr<B>, message: B::Msg) {
        Self::tell::<B>(to, message);
    }

    async fn ask<B: Behaviour>(of: &Self::Addr<B>) -> u64 {
        of.send(Ask).await.expect("a value")
    }

    // The request to stop is looked at when the mailbox is empty.
    async fn end<B: Behaviour>(&self, actor: Self::Addr<B>) {
        post(&actor, End);
    }
}

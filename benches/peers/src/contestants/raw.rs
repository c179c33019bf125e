//! The least that could do the work: tokio tasks that read mpsc channels of an enum.

use std::future::{Future, poll_fn};
use std::task::{Context, Poll};

use tokio::sync::{mpsc, oneshot};

use crate::contestant::BOUND;
use crate::{Behaviour, Cannot, Contestant, Place};

/// Tasks and channels.
#[derive(Debug)]
pub struct Raw;

/// What a channel carries.
#[derive(Debug)]
pub enum Msg<M> {
    /// One way.
    Tell(M),
    /// For the value.
    Ask(oneshot::Sender<u64>),
}

/// The sending half of either channel.
#[derive(Debug)]
pub enum Sender<M> {
    /// Never full.
    Unbounded(mpsc::UnboundedSender<Msg<M>>),
    /// Makes senders wait.
    Bounded(mpsc::Sender<Msg<M>>),
}

impl<M> Clone for Sender<M> {
    fn clone(&self) -> Self {
        match self {
            Self::Unbounded(sender) => Self::Unbounded(sender.clone()),
            Self::Bounded(sender) => Self::Bounded(sender.clone()),
        }
    }
}

impl<M> Sender<M> {
    fn put(&self, message: Msg<M>) {
        let taken = match self {
            Self::Unbounded(sender) => sender.send(message).is_ok(),
            Self::Bounded(sender) => sender.try_send(message).is_ok(),
        };
        assert!(taken, "the channel is open and has room");
    }
}

/// Handles messages until nobody can send any more.
async fn work<B: Behaviour>(
    mut behaviour: B,
    mut poll: impl FnMut(&mut Context<'_>) -> Poll<Option<Msg<B::Msg>>>,
) {
    while let Some(message) = poll_fn(&mut poll).await {
        match message {
            Msg::Tell(message) => behaviour.receive(message),
            Msg::Ask(reply) => drop(reply.send(behaviour.value())),
        }
    }
}

impl Contestant for Raw {
    type Addr<B: Behaviour> = Sender<B::Msg>;

    async fn start() -> Self {
        Self
    }

    fn spawn<B: Behaviour>(
        &self,
        _: Place,
        make: impl Fn() -> B + Send + 'static,
    ) -> impl Future<Output = Self::Addr<B>> + Send {
        let (sender, mut messages) = mpsc::unbounded_channel();
        let behaviour = make();
        tokio::spawn(async move { work(behaviour, |cx| messages.poll_recv(cx)).await });
        std::future::ready(Sender::Unbounded(sender))
    }

    fn spawn_bounded<B: Behaviour>(
        &self,
        make: impl Fn() -> B + Send + 'static,
    ) -> Result<Self::Addr<B>, Cannot> {
        let (sender, mut messages) = mpsc::channel(BOUND);
        let behaviour = make();
        tokio::spawn(async move { work(behaviour, |cx| messages.poll_recv(cx)).await });
        Ok(Sender::Bounded(sender))
    }

    fn tell<B: Behaviour>(to: &Self::Addr<B>, message: B::Msg) {
        to.put(Msg::Tell(message));
    }

    async fn send<B: Behaviour>(to: &Self::Addr<B>, message: B::Msg) {
        match to {
            Sender::Unbounded(_) => to.put(Msg::Tell(message)),
            Sender::Bounded(sender) => {
                let sent = sender.send(Msg::Tell(message)).await;
                assert!(sent.is_ok(), "the channel is open");
            }
        }
    }

    async fn ask<B: Behaviour>(of: &Self::Addr<B>) -> u64 {
        let (reply, value) = oneshot::channel();
        of.put(Msg::Ask(reply));
        value.await.expect("a value")
    }

    async fn end<B: Behaviour>(&self, actor: Self::Addr<B>) {
        drop(actor);
    }
}

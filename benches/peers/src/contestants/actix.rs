//! Actix: a message is a type with a handler of its own. An actor stays on the thread where it was started. Actors that
//! talk among themselves share the system's thread, which measured better than two; those that are told or asked from
//! outside are on arbiters, of which there are as many as others have workers, and neighbours share one.

use std::future::Future;

use actix::{Actor, Addr, Arbiter, Context, Handler, Message, System};

use crate::contestant::{BOUND, WORKERS};
use crate::{Behaviour, Cannot, Contestant, Place};

/// The threads of the actors. The system's own thread drives the workload.
#[derive(Debug)]
pub struct Actix {
    arbiters: Vec<Arbiter>,
}

/// An actor of actix with this behaviour.
#[derive(Debug)]
pub struct Host<B>(B);

struct Tell<M>(M);

impl<M> Message for Tell<M> {
    type Result = ();
}

struct Ask;

impl Message for Ask {
    type Result = u64;
}

impl<B: Behaviour> Actor for Host<B> {
    type Context = Context<Self>;
}

impl<B: Behaviour> Handler<Tell<B::Msg>> for Host<B> {
    type Result = ();

    fn handle(&mut self, Tell(message): Tell<B::Msg>, _: &mut Context<Self>) {
        self.0.receive(message);
    }
}

impl<B: Behaviour> Handler<Ask> for Host<B> {
    type Result = u64;

    fn handle(&mut self, _: Ask, _: &mut Context<Self>) -> u64 {
        self.0.value()
    }
}

impl Actix {
    fn launch<B: Behaviour>(
        &self,
        place: Place,
        capacity: usize,
        make: impl Fn() -> B + Send + 'static,
    ) -> Addr<Host<B>> {
        let begin = move |context: &mut Context<Host<B>>| {
            context.set_mailbox_capacity(capacity);
            Host(make())
        };
        match place.worker() {
            None => Host::create(begin),
            Some(worker) => Host::start_in_arbiter(&self.arbiters[worker].handle(), begin),
        }
    }
}

impl Contestant for Actix {
    type Addr<B: Behaviour> = Addr<Host<B>>;

    fn run<F: Future>(workload: F) -> F::Output {
        System::new().block_on(workload)
    }

    async fn start() -> Self {
        Self { arbiters: (0..WORKERS).map(|_| Arbiter::new()).collect() }
    }

    fn client<F: Future<Output = ()> + Send + 'static>(&self, place: Place, work: F) {
        let worker = place.worker().unwrap_or_default();
        assert!(self.arbiters[worker].spawn(work), "the arbiter is there");
    }

    fn spawn<B: Behaviour>(
        &self,
        place: Place,
        make: impl Fn() -> B + Send + 'static,
    ) -> impl Future<Output = Self::Addr<B>> + Send {
        std::future::ready(self.launch(place, UNBOUNDED, make))
    }

    fn spawn_bounded<B: Behaviour>(
        &self,
        make: impl Fn() -> B + Send + 'static,
    ) -> Result<Self::Addr<B>, Cannot> {
        Ok(self.launch(Place::FIRST, BOUND, make))
    }

    fn tell<B: Behaviour>(to: &Self::Addr<B>, message: B::Msg) {
        to.do_send(Tell(message));
    }

    // Its `send` waits for the reply as well as for room, and a send whose future is dropped is never handled. What is
    // left is to try until there is room, and to give way in between.
    async fn send<B: Behaviour>(to: &Self::Addr<B>, message: B::Msg) {
        let mut waiting = Tell(message);
        while let Err(full) = to.try_send(waiting) {
            waiting = full.into_inner();
            tokio::task::yield_now().await;
        }
    }

    async fn ask<B: Behaviour>(of: &Self::Addr<B>) -> u64 {
        of.send(Ask).await.expect("a value")
    }

    // It handles what waits, and ends when its last address is gone.
    async fn end<B: Behaviour>(&self, actor: Self::Addr<B>) {
        drop(actor);
    }
}

/// As actix has it.
const UNBOUNDED: usize = 0;

//! How does a post become a command of its receiver?
//!
//! Each gateway that an outbox delivers to is a route: it decodes the message, lets the user make a command of it, and hands that to the gateway.

use std::panic::{AssertUnwindSafe, catch_unwind};

use omnitron_runtime::Refusal;

use crate::error::panic_text;
use crate::event::Event;
use crate::event_sourced::EventSourced;
use crate::gateway::EntityGateway;
use crate::intake::Delivery;
use crate::post::Post;
use crate::projection::chain;

/// Where posts go that are for one gateway.
pub(super) trait Route: Send + Sync {
    /// Sends a post on its way. `Err`: there is no room now, and the delivery was withdrawn. Whatever else goes wrong is an answer.
    fn send(&self, id: &str, post: &Post, delivery: Delivery) -> Result<(), Congested>;

    /// Whether this route takes messages of that name.
    fn takes(&self, message: &str) -> bool;
}

/// The gateway has no room now.
#[derive(Debug)]
pub(super) struct Congested;

/// What makes a command of a message.
type Make<P, C> = Box<dyn Fn(P) -> C + Send + Sync>;

pub(super) struct Commands<E: EventSourced, P> {
    gateway: EntityGateway<E>,
    command: Make<P, E::Command>,
    names: Vec<&'static str>,
}

impl<E: EventSourced, P: Event> Commands<E, P> {
    pub(super) fn new(gateway: &EntityGateway<E>, command: Make<P, E::Command>) -> Self {
        let names = P::readable().iter().map(|known| known.name).collect();
        Self { gateway: gateway.clone(), command, names }
    }
}

impl<E: EventSourced, P: Event> Route for Commands<E, P> {
    fn send(&self, id: &str, post: &Post, delivery: Delivery) -> Result<(), Congested> {
        let made = catch_unwind(AssertUnwindSafe(|| Ok((self.command)(post.message::<P>()?))));
        let command = match made {
            Ok(Ok(command)) => command,
            Ok(Err(error)) => {
                let error: crate::event::DecodeError = error;
                delivery.failed(chain(&error));
                return Ok(());
            }
            Err(panic) => {
                delivery.failed(format!("making a command of it panicked: {}", panic_text(&*panic)));
                return Ok(());
            }
        };
        match self.gateway.deliver(id, command, delivery) {
            Ok(()) => Ok(()),
            Err((delivery, Refusal::Full { .. })) => {
                delivery.withdrawn();
                Err(Congested)
            }
            Err((delivery, reason)) => {
                delivery.failed(format!("the gateway did not take it: {reason}"));
                Ok(())
            }
        }
    }

    fn takes(&self, message: &str) -> bool {
        self.names.contains(&message)
    }
}

//! What do these tests have in common?

use std::error::Error;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use omnitron::prelude::*;
use omnitron::testkit::Sim;

pub(crate) const SECOND: Duration = Duration::from_secs(1);

/// A simulation with one system.
pub(crate) fn world() -> (Sim, ActorSystem) {
    let sim = Sim::new(1);
    let system = sim.block_on(ActorSystem::builder("bad-input").env(sim.env()).start()).unwrap();
    (sim, system)
}

/// What the actors of a test report, in order.
#[derive(Clone, Default)]
pub(crate) struct Notes(Arc<Mutex<Vec<String>>>);

impl Notes {
    pub(crate) fn add(&self, note: impl Into<String>) {
        self.0.lock().unwrap().push(note.into());
    }

    pub(crate) fn all(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }
}

/// Answers with its number plus one.
pub(crate) struct Echo;

impl Actor for Echo {
    type Msg = (u64, ReplyTo<u64>);

    async fn receive(&mut self, (number, reply): Self::Msg, _: &mut Context<Self>) -> Result<(), Failure> {
        reply.send(number + 1);
        Ok(())
    }
}

/// Whether an actor answers.
pub(crate) fn answers(sim: &Sim, actor: &ActorRef<(u64, ReplyTo<u64>)>) -> bool {
    matches!(sim.block_on(actor.ask(|reply| (1, reply))), Ok(2))
}

/// The text of an error and of all its causes.
pub(crate) fn in_full(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

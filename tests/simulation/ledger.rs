//! What happened in a world, written down by those it happened to, and what of it was wrong?
//!
//! # Invariants
//!
//! * Whoever finds something wrong writes it down, and goes on: a panic would only be one more failure to supervise.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};

use omnitron::prelude::*;

use crate::world::Msg;

/// The number of an actor in a world: of its reference, over all its restarts.
pub(crate) type Number = usize;

/// The books of one world. Cheap to clone.
#[derive(Clone, Default)]
pub(crate) struct Ledger(Arc<Mutex<Books>>);

#[derive(Default)]
pub(crate) struct Books {
    /// Everybody who was ever spawned, by number.
    pub(crate) actors: Vec<Option<ActorRef<Msg>>>,
    pub(crate) figures: Figures,
    wrong: Vec<String>,
    /// Who is inside a hook.
    inside: BTreeSet<Number>,
    /// The last number that was sent, by sender and receiver.
    sent: BTreeMap<(Number, Number), u64>,
    /// The last number that was handled.
    handled: BTreeMap<(Number, Number), u64>,
    /// Who is still to hear of whose end.
    expects: BTreeSet<(Number, String)>,
}

/// How often what happened.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Figures {
    pub(crate) made: u64,
    pub(crate) handled: u64,
    /// Given back to the sender, inside an error.
    pub(crate) given_back: u64,
    /// Dropped unread by somebody else.
    pub(crate) vanished: u64,
    pub(crate) asks: u64,
    pub(crate) asks_ended: u64,
    pub(crate) replies: u64,
    /// Asks whose message was refused: its asker knows.
    pub(crate) refused: u64,
    pub(crate) notices: u64,
    pub(crate) ticks: u64,
    pub(crate) results: u64,
    pub(crate) restarts: u64,
    pub(crate) spawned: u64,
}

impl Ledger {
    pub(crate) fn open(&self) -> MutexGuard<'_, Books> {
        self.0.lock().unwrap()
    }

    /// A token for a message.
    pub(crate) fn token(&self) -> Token {
        self.open().figures.made += 1;
        Token { ledger: self.clone(), fate: Fate::Open }
    }

    /// An actor runs a hook, until the guard goes.
    pub(crate) fn enter(&self, actor: Number) -> Inside {
        let mut books = self.open();
        if !books.inside.insert(actor) {
            books.wrong(format!("actor {actor} runs two hooks at once"));
        }
        drop(books);
        Inside { ledger: self.clone(), actor }
    }
}

impl Books {
    pub(crate) fn wrong(&mut self, what: String) {
        self.wrong.push(what);
    }

    pub(crate) fn all_wrong(&self) -> Vec<String> {
        self.wrong.clone()
    }

    /// The number of the next message from one actor to another.
    pub(crate) fn next(&mut self, from: Number, to: Number) -> u64 {
        let last = self.sent.entry((from, to)).or_default();
        *last += 1;
        *last
    }

    /// A message is handled: later ones of its sender come later.
    pub(crate) fn check_order(&mut self, from: Number, to: Number, sequence: u64) {
        let last = self.handled.insert((from, to), sequence).unwrap_or_default();
        if last >= sequence {
            self.wrong(format!("message {sequence} from {from} to {to} came after {last}"));
        }
    }

    pub(crate) fn watches(&mut self, watcher: Number, path: String) {
        self.expects.insert((watcher, path));
    }

    pub(crate) fn unwatches(&mut self, watcher: Number, path: String) {
        self.expects.remove(&(watcher, path));
    }

    pub(crate) fn hears(&mut self, watcher: Number, path: &str) {
        self.figures.notices += 1;
        if !self.expects.remove(&(watcher, path.to_owned())) {
            self.wrong(format!("actor {watcher} heard of the end of {path} once too often"));
        }
    }

    /// Nothing moves any more: whoever lives has heard of all that ended.
    pub(crate) fn check_watches(&mut self) {
        let living: BTreeSet<String> = self
            .actors
            .iter()
            .flatten()
            .filter(|actor| !actor.is_stopped())
            .map(|actor| actor.path().to_string())
            .collect();
        let missing: Vec<_> = self
            .expects
            .iter()
            .filter(|(watcher, path)| {
                let watcher = self.actors[*watcher].as_ref();
                !living.contains(path) && watcher.is_some_and(|watcher| !watcher.is_stopped())
            })
            .map(|(watcher, path)| format!("actor {watcher} never heard of the end of {path}"))
            .collect();
        self.wrong.extend(missing);
    }
}

/// Lies in every message, and knows what became of it.
pub(crate) struct Token {
    ledger: Ledger,
    fate: Fate,
}

#[derive(Clone, Copy, PartialEq)]
enum Fate {
    Open,
    Handled,
    GivenBack,
}

impl Token {
    pub(crate) fn handled(&mut self) {
        self.fate = Fate::Handled;
    }

    pub(crate) fn given_back(&mut self) {
        self.fate = Fate::GivenBack;
    }

    /// It was handled, and put aside: its fate is open again.
    pub(crate) fn put_aside(&mut self) {
        self.fate = Fate::Open;
    }
}

impl Drop for Token {
    fn drop(&mut self) {
        let mut books = self.ledger.open();
        match self.fate {
            Fate::Open => books.figures.vanished += 1,
            Fate::Handled => books.figures.handled += 1,
            Fate::GivenBack => books.figures.given_back += 1,
        }
    }
}

/// An actor runs a hook.
pub(crate) struct Inside {
    ledger: Ledger,
    actor: Number,
}

impl Drop for Inside {
    fn drop(&mut self) {
        self.ledger.open().inside.remove(&self.actor);
    }
}

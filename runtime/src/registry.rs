//! Which actor lives at which path?
//!
//! # Invariants
//!
//! * A path has at most one living actor: entering is atomic.
//! * An entry keeps no copy of its path: the key is the cell itself, compared by its path.

use std::borrow::Borrow;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use dashmap::DashMap;
use dashmap::mapref::entry::Entry;

use crate::cell::AnyCell;
use crate::env::Hashers;
use crate::path::ActorPath;

/// All living actors of a system, by path.
pub(crate) struct Registry {
    by_path: DashMap<ByPath, (), Hashers>,
}

/// A cell that is known by its path.
struct ByPath(Arc<dyn AnyCell>);

impl ByPath {
    fn path(&self) -> &str {
        self.0.head().path.as_str()
    }
}

impl Registry {
    pub(crate) fn new(hashers: Hashers) -> Self {
        Self { by_path: DashMap::with_hasher(hashers) }
    }

    /// Enters an actor. Says whether its path was free.
    pub(crate) fn enter(&self, cell: Arc<dyn AnyCell>) -> bool {
        match self.by_path.entry(ByPath(cell)) {
            Entry::Occupied(_) => false,
            Entry::Vacant(vacant) => {
                vacant.insert(());
                true
            }
        }
    }

    pub(crate) fn leave(&self, path: &ActorPath) {
        let left = self.by_path.remove(path.as_str());
        drop(left);
    }

    pub(crate) fn find(&self, path: &ActorPath) -> Option<Arc<dyn AnyCell>> {
        self.by_path.get(path.as_str()).map(|entry| entry.key().0.clone())
    }

    /// All living actors, the parents before their children.
    pub(crate) fn all(&self) -> Vec<Arc<dyn AnyCell>> {
        let mut cells: Vec<_> = self.by_path.iter().map(|entry| entry.key().0.clone()).collect();
        cells.sort_by_key(|cell| cell.head().id);
        cells
    }
}

impl Borrow<str> for ByPath {
    fn borrow(&self) -> &str {
        self.path()
    }
}

impl Hash for ByPath {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.path().hash(state);
    }
}

impl PartialEq for ByPath {
    fn eq(&self, other: &Self) -> bool {
        self.path() == other.path()
    }
}

impl Eq for ByPath {}

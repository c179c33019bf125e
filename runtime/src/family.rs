//! Which children does an actor have, and what do they do together?
//!
//! # Invariants
//!
//! * A child is in the family from before its task starts until its name is free again.
//! * A closed family takes no more children: its parent stops or restarts.
//! * Orders are sent under the lock, so a child gets them in the order in which they were given. Otherwise a halt could
//!   overtake the start before it, and be ignored by a child that has halted: its round would wait for it for ever.
//!   No user code runs in that: an order is put into a mailbox, and its actor is woken.

use std::sync::Arc;

use parking_lot::Mutex;
use slab::Slab;

use crate::cell::{AnyCell, Control};
use crate::failure::Crash;
use crate::supervision::Scope;
use crate::supervision::strategy::{Group, Order};

/// The children of one actor. Holds no memory until there is a child.
#[derive(Default)]
pub(crate) struct Family {
    kin: Mutex<Option<Box<Kin>>>,
}

#[derive(Default)]
struct Kin {
    children: Slab<Arc<dyn AnyCell>>,
    group: Group,
    closed: bool,
}

impl Family {
    /// Takes a child in, under the key that is returned. `None` when the family is closed.
    pub(crate) fn adopt(&self, child: Arc<dyn AnyCell>) -> Option<u32> {
        let mut kin = self.kin.lock();
        let kin = kin.get_or_insert_default();
        if kin.closed || kin.children.len() >= u32::MAX as usize {
            return None;
        }
        u32::try_from(kin.children.insert(child)).ok()
    }

    /// A child is gone: `parent` is told when it was the last one and the family is closed.
    pub(crate) fn remove(&self, key: u32, id: u64, parent: &Arc<dyn AnyCell>) {
        let mut kin = self.kin.lock();
        let Some(kin_mut) = kin.as_mut() else { return };
        let child = kin_mut.children.try_remove(key as usize);
        if let Some(order) = kin_mut.group.gone(id) {
            kin_mut.send(order, Control::Start);
        }
        let childless = kin_mut.closed && kin_mut.children.is_empty();
        if kin_mut.children.is_empty() && !childless {
            kin_mut.children.shrink_to_fit();
        }
        drop(kin);
        drop(child);
        if childless {
            parent.control(Control::Childless);
        }
    }

    /// The children, in the order of their spawns.
    pub(crate) fn children(&self) -> Vec<Arc<dyn AnyCell>> {
        self.kin.lock().as_ref().map(|kin| kin.sorted()).unwrap_or_default()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.kin.lock().as_ref().is_none_or(|kin| kin.children.is_empty())
    }

    /// Takes no more children, and returns those there are, the latest first.
    pub(crate) fn close(&self) -> Vec<Arc<dyn AnyCell>> {
        let mut kin = self.kin.lock();
        let kin = kin.get_or_insert_default();
        kin.closed = true;
        let mut children = kin.sorted();
        children.reverse();
        children
    }

    /// Takes children again.
    pub(crate) fn open(&self) {
        if let Some(kin) = self.kin.lock().as_mut() {
            kin.closed = false;
        }
    }

    /// The child `failed` halts by itself; whom its failure concerns as well is told to halt.
    pub(crate) fn halt_with(&self, failed: u64, scope: Scope, crash: &Crash) {
        let mut kin = self.kin.lock();
        let Some(kin_mut) = kin.as_mut() else { return };
        let concerned: Vec<u64> = kin_mut.ids().filter(|&sibling| scope.concerns(failed, sibling)).collect();
        for order in kin_mut.group.failed(failed, concerned) {
            kin_mut.send(order, Control::Halt(crash.clone()));
        }
    }

    /// The siblings of `failed` which its failure concerns, the latest first.
    pub(crate) fn concerned(&self, failed: u64, scope: Scope) -> Vec<Arc<dyn AnyCell>> {
        let mut siblings = self.children();
        siblings.retain(|cell| cell.head().id != failed && scope.concerns(failed, cell.head().id));
        siblings.reverse();
        siblings
    }

    /// A child has halted.
    pub(crate) fn halted(&self, id: u64) {
        self.report(|group| group.halted(id));
    }

    /// A child has started afresh.
    pub(crate) fn started(&self, id: u64) {
        self.report(|group| group.started(id));
    }

    fn report(&self, fact: impl FnOnce(&mut Group) -> Option<Order>) {
        let mut kin = self.kin.lock();
        let Some(kin_mut) = kin.as_mut() else { return };
        if let Some(order) = fact(&mut kin_mut.group) {
            kin_mut.send(order, Control::Start);
        }
    }
}

impl Kin {
    fn ids(&self) -> impl Iterator<Item = u64> {
        self.children.iter().map(|(_, cell)| cell.head().id)
    }

    fn sorted(&self) -> Vec<Arc<dyn AnyCell>> {
        let mut children: Vec<_> = self.children.iter().map(|(_, cell)| cell.clone()).collect();
        children.sort_by_key(|cell| cell.head().id);
        children
    }

    /// Tells a child what it is to do.
    fn send(&self, order: Order, control: Control) {
        let (Order::Halt(id) | Order::Start(id)) = order;
        if let Some((_, cell)) = self.children.iter().find(|(_, cell)| cell.head().id == id) {
            cell.control(control);
        }
    }
}

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
use crate::run_queue::drops_later;
use crate::supervision::Scope;
use crate::supervision::strategy::{Group, Order};

/// The children of one actor. Holds no memory until there is a child.
#[derive(Default)]
pub(crate) struct Family {
    house: Mutex<House>,
}

#[derive(Default)]
struct House {
    closed: bool,
    kin: Option<Box<Kin>>,
}

#[derive(Default)]
struct Kin {
    children: Slab<Arc<dyn AnyCell>>,
    group: Group,
}

impl Family {
    /// Takes a child in, under the key that is returned. `None` when the family is closed.
    pub(crate) fn adopt(&self, child: Arc<dyn AnyCell>) -> Option<u32> {
        let mut house = self.house.lock();
        if house.closed {
            return None;
        }
        let kin = house.kin.get_or_insert_default();
        if kin.children.len() >= u32::MAX as usize {
            return None;
        }
        u32::try_from(kin.children.insert(child)).ok()
    }

    /// A child is gone: `parent` is told when it was the last one and the family is closed.
    pub(crate) fn remove(&self, key: u32, id: u64, parent: &Arc<dyn AnyCell>) {
        let (child, childless) = self.ordering(|house| {
            let House { closed, kin } = house;
            let Some(kin_mut) = kin else { return (None, false) };
            let child = kin_mut.children.try_remove(key as usize);
            if let Some(order) = kin_mut.group.gone(id) {
                kin_mut.send(order, Control::Start);
            }
            let childless = *closed && kin_mut.children.is_empty();
            if kin_mut.children.is_empty() && !childless {
                kin_mut.children.shrink_to_fit();
            }
            (child, childless)
        });
        drop(child);
        if childless {
            parent.control(Control::Childless);
        }
    }

    /// The children, in the order of their spawns.
    pub(crate) fn children(&self) -> Vec<Arc<dyn AnyCell>> {
        self.house.lock().sorted()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.house.lock().kin.as_ref().is_none_or(|kin| kin.children.is_empty())
    }

    /// Takes no more children, and returns those there are, the latest first.
    pub(crate) fn close(&self) -> Vec<Arc<dyn AnyCell>> {
        let mut house = self.house.lock();
        house.closed = true;
        let mut children = house.sorted();
        drop(house);
        children.reverse();
        children
    }

    /// Takes children again.
    pub(crate) fn open(&self) {
        self.house.lock().closed = false;
    }

    /// The child `failed` halts by itself; whom its failure concerns as well is told to halt.
    pub(crate) fn halt_with(&self, failed: u64, scope: Scope, crash: &Crash) {
        self.ordering(|house| {
            let Some(kin) = &mut house.kin else { return };
            let concerned: Vec<u64> = kin.ids().filter(|&sibling| scope.concerns(failed, sibling)).collect();
            for order in kin.group.failed(failed, concerned) {
                kin.send(order, Control::Halt(crash.clone()));
            }
        });
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
        self.ordering(|house| {
            let Some(kin) = &mut house.kin else { return };
            if let Some(order) = fact(&mut kin.group) {
                kin.send(order, Control::Start);
            }
        });
    }

    /// Does something that may send orders. Whom they wake may have to be dropped, which waits until the lock is free.
    fn ordering<R>(&self, sends: impl FnOnce(&mut House) -> R) -> R {
        drops_later(|| sends(&mut self.house.lock()))
    }
}

impl House {
    /// The children, in the order of their spawns.
    fn sorted(&self) -> Vec<Arc<dyn AnyCell>> {
        let children = self.kin.iter().flat_map(|kin| &kin.children);
        let mut children: Vec<_> = children.map(|(_, cell)| cell.clone()).collect();
        children.sort_by_key(|cell| cell.head().id);
        children
    }
}

impl Kin {
    fn ids(&self) -> impl Iterator<Item = u64> {
        self.children.iter().map(|(_, cell)| cell.head().id)
    }

    /// Tells a child what it is to do.
    fn send(&self, order: Order, control: Control) {
        let (Order::Halt(id) | Order::Start(id)) = order;
        if let Some((_, cell)) = self.children.iter().find(|(_, cell)| cell.head().id == id) {
            cell.control(control);
        }
    }
}

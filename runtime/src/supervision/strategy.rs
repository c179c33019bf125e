//! In which order do siblings halt and start when one failure restarts several of them?
//!
//! A pure machine, kept by the parent. Children report facts (failed, halted, started, gone); orders come out. First
//! everybody concerned halts, all at once, the latest started first to be told. When the last has halted, they start
//! one after the other, in the order in which they were spawned, each when the one before it has started.
//!
//! # Invariants
//!
//! * While any member is still to halt, nobody is told to start.
//! * At most one member is starting at any time.
//! * Every member is told to start exactly once per round, or has gone.
//! * A failure during a round joins it: what runs again halts again, and nobody halts twice.

use std::collections::BTreeMap;

/// Whom the failure of one child concerns.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Scope {
    /// Itself.
    One,
    /// All children of its parent.
    All,
    /// Itself and those spawned after it.
    Rest,
}

impl Scope {
    pub(crate) fn concerns(self, failed: u64, sibling: u64) -> bool {
        match self {
            Self::One => sibling == failed,
            Self::All => true,
            Self::Rest => sibling >= failed,
        }
    }
}

/// What a child is to do. Children are named by their ids, which grow in the order of their spawns.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Order {
    /// Finish the current message, end the incarnation, report that it has halted.
    Halt(u64),
    /// Start afresh, report that it has started.
    Start(u64),
}

/// Where a member stands.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Member {
    Halting,
    Halted,
    Starting,
    Running,
}

/// A round of restarts among siblings; idle when it has no members.
#[derive(Debug, Default)]
pub(crate) struct Group {
    members: BTreeMap<u64, Member>,
}

impl Group {
    #[cfg(test)]
    fn is_idle(&self) -> bool {
        self.members.is_empty()
    }

    /// `failed` has failed and halts by itself; so shall all of `concerned`.
    pub(crate) fn failed(&mut self, failed: u64, concerned: impl IntoIterator<Item = u64>) -> Vec<Order> {
        let mut orders = Vec::new();
        for id in concerned {
            match self.members.get(&id) {
                Some(Member::Halting | Member::Halted) if id != failed => continue,
                _ => {}
            }
            self.members.insert(id, Member::Halting);
            if id != failed {
                orders.push(Order::Halt(id));
            }
        }
        self.members.insert(failed, Member::Halting);
        orders.sort_by_key(|order| match order {
            Order::Halt(id) | Order::Start(id) => std::cmp::Reverse(*id),
        });
        orders
    }

    /// A child has halted, and waits for its start.
    pub(crate) fn halted(&mut self, id: u64) -> Option<Order> {
        self.members.insert(id, Member::Halted);
        self.next()
    }

    /// A child has started.
    pub(crate) fn started(&mut self, id: u64) -> Option<Order> {
        let member = self.members.get_mut(&id)?;
        // Who was told to halt again meanwhile has not heard of it yet: it will report that it has halted.
        if *member == Member::Starting {
            *member = Member::Running;
        }
        self.next()
    }

    /// A child is gone for good.
    pub(crate) fn gone(&mut self, id: u64) -> Option<Order> {
        self.members.remove(&id)?;
        self.next()
    }

    fn next(&mut self) -> Option<Order> {
        if self.members.values().any(|member| matches!(member, Member::Halting | Member::Starting)) {
            return None;
        }
        let halted = self.members.iter_mut().find(|(_, member)| **member == Member::Halted);
        if let Some((&id, member)) = halted {
            *member = Member::Starting;
            return Some(Order::Start(id));
        }
        self.members.clear();
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn all_halt_latest_first_and_start_in_the_order_of_their_spawns() {
        let mut group = Group::default();
        assert_eq!(group.failed(2, [1, 2, 3]), [Order::Halt(3), Order::Halt(1)]);
        assert_eq!(group.halted(2), None);
        assert_eq!(group.halted(1), None);
        assert_eq!(group.halted(3), Some(Order::Start(1)));
        assert_eq!(group.started(1), Some(Order::Start(2)));
        assert_eq!(group.started(2), Some(Order::Start(3)));
        assert_eq!(group.started(3), None);
        assert!(group.is_idle());
    }

    #[test]
    fn rest_concerns_only_those_spawned_after() {
        assert!(!Scope::Rest.concerns(2, 1));
        assert!(Scope::Rest.concerns(2, 2));
        assert!(Scope::Rest.concerns(2, 3));
    }

    #[test]
    fn a_failure_while_starting_halts_again_what_runs_already() {
        let mut group = Group::default();
        group.failed(1, [1, 2]);
        group.halted(1);
        assert_eq!(group.halted(2), Some(Order::Start(1)));
        assert_eq!(group.started(1), Some(Order::Start(2)));
        assert_eq!(group.failed(2, [1, 2]), [Order::Halt(1)]);
        assert_eq!(group.halted(2), None);
        assert_eq!(group.halted(1), Some(Order::Start(1)));
        assert_eq!(group.started(1), Some(Order::Start(2)));
        assert_eq!(group.started(2), None);
    }

    #[test]
    fn two_failures_at_once_make_one_round() {
        let mut group = Group::default();
        assert_eq!(group.failed(1, [1, 2]), [Order::Halt(2)]);
        assert_eq!(group.failed(2, [1, 2]), []);
        assert_eq!(group.halted(2), None);
        assert_eq!(group.halted(1), Some(Order::Start(1)));
    }

    #[test]
    fn who_is_gone_holds_up_nobody() {
        let mut group = Group::default();
        group.failed(1, [1, 2, 3]);
        group.halted(1);
        group.halted(3);
        assert_eq!(group.gone(2), Some(Order::Start(1)));
        assert_eq!(group.gone(1), Some(Order::Start(3)));
        assert_eq!(group.gone(3), None);
        assert!(group.is_idle());
    }

    proptest! {
        /// Children obey in any order, fail again, or go; a round always ends, and all that are left run.
        #[test]
        fn every_round_ends_with_everybody_running_or_gone(script in proptest::collection::vec((0u8..10, 0usize..5), 0..60)) {
            let mut group = Group::default();
            let mut running: BTreeMap<u64, bool> = (0..5).map(|id| (id, true)).collect();
            let mut to_do: Vec<Order> = Vec::new();
            let everybody = |running: &BTreeMap<u64, bool>| running.keys().copied().collect::<Vec<_>>();
            to_do.extend(group.failed(0, everybody(&running)));
            to_do.push(Order::Halt(0));
            let mut script = script.into_iter();
            let mut steps = 0;
            while !to_do.is_empty() {
                steps += 1;
                prop_assert!(steps < 1_000, "no end");
                let (dice, pick) = script.next().unwrap_or((9, 0));
                let order = to_do.remove(pick % to_do.len());
                match (order, dice) {
                    (Order::Halt(id) | Order::Start(id), 0) if running.len() > 1 => {
                        running.remove(&id);
                        to_do.retain(|o| !matches!(o, Order::Halt(i) | Order::Start(i) if *i == id));
                        to_do.extend(group.gone(id));
                    }
                    (Order::Start(id), 1) => {
                        to_do.extend(group.failed(id, everybody(&running)));
                        to_do.push(Order::Halt(id));
                    }
                    (Order::Halt(id), _) => {
                        prop_assert_eq!(running.insert(id, false).map(|_| ()), Some(()));
                        to_do.extend(group.halted(id));
                    }
                    (Order::Start(id), _) => {
                        prop_assert!(to_do.iter().all(|o| !matches!(o, Order::Start(_))), "one starts at a time");
                        running.insert(id, true);
                        to_do.extend(group.started(id));
                    }
                }
            }
            prop_assert!(group.is_idle());
            prop_assert!(running.values().all(|&runs| runs), "{:?}", running);
        }
    }
}

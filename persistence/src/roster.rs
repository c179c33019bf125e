//! Which entities of a gateway are active, which one goes when there are too many, and where does a command go?
//!
//! # Invariants
//!
//! * Between the moment at which an id is told to leave and the one at which it has left, no command goes to it: they wait.
//! * What waits comes to the next activation, in the order in which it came.
//! * The one that goes for others is the one that got a command the longest time ago.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Where a command goes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Route {
    /// To the actor that is active.
    Deliver,
    /// To one that has to be activated now.
    Activate,
    /// It waits for the next activation.
    Wait,
    /// Too many wait.
    Refuse,
}

/// When entities leave.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) idle: Option<Duration>,
    pub(crate) active: usize,
    pub(crate) waiting: usize,
}

#[derive(Clone, Copy, Debug)]
enum Place {
    /// Since when, and its place in the order.
    Active(Instant, u64),
    /// How many commands wait.
    Leaving(usize),
}

/// The entities of a gateway.
#[derive(Debug)]
pub(crate) struct Roster {
    limits: Limits,
    places: BTreeMap<Arc<str>, Place>,
    /// Those that are active, the one that was used the longest time ago first.
    order: BTreeMap<u64, Arc<str>>,
    next: u64,
}

impl Roster {
    pub(crate) fn new(limits: Limits) -> Self {
        Self { limits, places: BTreeMap::new(), order: BTreeMap::new(), next: 0 }
    }

    /// A command for `id` comes.
    pub(crate) fn arrive(&mut self, id: &Arc<str>, now: Instant) -> Route {
        match self.places.get_mut(id) {
            Some(Place::Leaving(waiting)) if *waiting >= self.limits.waiting => Route::Refuse,
            Some(Place::Leaving(waiting)) => {
                *waiting += 1;
                Route::Wait
            }
            Some(Place::Active(..)) => {
                self.activate(id, now);
                Route::Deliver
            }
            None => {
                self.activate(id, now);
                Route::Activate
            }
        }
    }

    fn activate(&mut self, id: &Arc<str>, now: Instant) {
        self.next += 1;
        let before = self.places.insert(Arc::clone(id), Place::Active(now, self.next));
        if let Some(Place::Active(_, number)) = before {
            self.order.remove(&number);
        }
        self.order.insert(self.next, Arc::clone(id));
    }

    /// Those that have to leave now: from this moment on they count as leaving.
    pub(crate) fn leave(&mut self, now: Instant) -> Vec<Arc<str>> {
        let mut leaving = Vec::new();
        while let Some((_, id)) = self.order.first_key_value() {
            let is_idle = match (self.places.get(id), self.limits.idle) {
                (Some(Place::Active(since, _)), Some(idle)) => now.saturating_duration_since(*since) >= idle,
                _ => false,
            };
            if !is_idle && self.order.len() <= self.limits.active {
                break;
            }
            let id = Arc::clone(id);
            self.ends(&id, 0);
            leaving.push(id);
        }
        leaving
    }

    /// `id` was found to be ending by itself, and so many commands wait for its next activation.
    pub(crate) fn ends(&mut self, id: &Arc<str>, waiting: usize) {
        let before = self.places.insert(Arc::clone(id), Place::Leaving(waiting));
        if let Some(Place::Active(_, number)) = before {
            self.order.remove(&number);
        }
    }

    /// The actor of `id` has ended. Says whether it has to be activated again, because commands wait.
    pub(crate) fn ended(&mut self, id: &Arc<str>, now: Instant) -> bool {
        let again = match self.places.remove(id) {
            Some(Place::Active(_, number)) => {
                self.order.remove(&number);
                false
            }
            Some(Place::Leaving(waiting)) => waiting > 0,
            None => false,
        };
        if again {
            self.activate(id, now);
        }
        again
    }

    /// How many are active, and how many are leaving.
    pub(crate) fn count(&self) -> (usize, usize) {
        (self.order.len(), self.places.len() - self.order.len())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use omnitron_runtime::testkit::t0;
    use proptest::prelude::*;

    use super::*;

    const IDS: [&str; 4] = ["a", "b", "c", "d"];

    #[derive(Clone, Copy, Debug)]
    enum Step {
        Arrive(usize),
        Pass(u64),
        Leave,
        Ended(usize),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            6 => (0..IDS.len()).prop_map(Step::Arrive),
            2 => (1_u64..8).prop_map(Step::Pass),
            2 => Just(Step::Leave),
            3 => (0..IDS.len()).prop_map(Step::Ended),
        ];
        prop::collection::vec(step, 0..120)
    }

    /// What is true of an id, kept in the plainest way.
    #[derive(Default)]
    struct Model {
        active: bool,
        leaving: bool,
        used: u64,
        waiting: VecDeque<u64>,
        handled: Vec<u64>,
    }

    proptest! {
        #[test]
        fn every_command_is_handled_in_order_and_none_comes_to_one_that_leaves(steps in steps()) {
            let limits = Limits { idle: Some(Duration::from_secs(5)), active: 2, waiting: 1_000 };
            let mut roster = Roster::new(limits);
            let ids: Vec<Arc<str>> = IDS.into_iter().map(Arc::from).collect();
            let mut models: Vec<Model> = IDS.iter().map(|_| Model::default()).collect();
            let (mut clock, mut command) = (0, 0);
            let at = |clock| t0() + Duration::from_secs(clock);
            let end = (0..IDS.len()).map(Step::Ended);
            for step in steps.into_iter().chain(end) {
                match step {
                    Step::Arrive(n) => {
                        command += 1;
                        let route = roster.arrive(&ids[n], at(clock));
                        let model = &mut models[n];
                        match route {
                            Route::Deliver => prop_assert!(model.active),
                            Route::Activate => prop_assert!(!model.active && !model.leaving),
                            Route::Wait => prop_assert!(model.leaving),
                            Route::Refuse => prop_assert!(false, "there is room"),
                        }
                        if route == Route::Wait {
                            model.waiting.push_back(command);
                        } else {
                            model.active = true;
                            model.used = clock;
                            model.handled.push(command);
                        }
                    }
                    Step::Pass(seconds) => clock += seconds,
                    Step::Leave => {
                        for id in roster.leave(at(clock)) {
                            let n = IDS.iter().position(|known| **known == *id).expect("it is known");
                            prop_assert!(models[n].active);
                            (models[n].active, models[n].leaving) = (false, true);
                        }
                        prop_assert!(models.iter().filter(|model| model.active).count() <= 2);
                        let idle = |model: &Model| model.active && clock - model.used >= 5;
                        prop_assert!(!models.iter().any(idle), "who is idle leaves");
                    }
                    Step::Ended(n) if models[n].leaving => {
                        let again = roster.ended(&ids[n], at(clock));
                        let model = &mut models[n];
                        prop_assert_eq!(again, !model.waiting.is_empty());
                        (model.leaving, model.active, model.used) = (false, again, clock);
                        model.handled.extend(model.waiting.drain(..));
                    }
                    Step::Ended(_) => {}
                }
                let count = |of: fn(&Model) -> bool| models.iter().filter(|model| of(model)).count();
                prop_assert_eq!(roster.count(), (count(|it| it.active), count(|it| it.leaving)));
            }
            let handled: usize = models.iter().map(|model| model.handled.len()).sum();
            prop_assert_eq!(handled as u64, command, "nothing is lost");
            prop_assert!(models.iter().all(|model| model.handled.is_sorted()));
        }
    }

    #[test]
    fn the_one_that_was_used_the_longest_time_ago_goes_for_others_and_waiting_is_bounded() {
        let limits = Limits { idle: None, active: 2, waiting: 1 };
        let mut roster = Roster::new(limits);
        let [a, b, c] = ["a", "b", "c"].map(Arc::<str>::from);
        for id in [&a, &b, &a, &c] {
            roster.arrive(id, t0());
        }
        assert_eq!(roster.leave(t0()), [Arc::clone(&b)]);
        assert_eq!(roster.arrive(&b, t0()), Route::Wait);
        assert_eq!(roster.arrive(&b, t0()), Route::Refuse);
        assert!(roster.ended(&b, t0()));
        assert_eq!(roster.arrive(&b, t0()), Route::Deliver);
    }
}

//! When do asks end that nobody answers?
//!
//! The deadline of an ask lies in its slot. One coarse wheel per system looks at the slots that may be due, in ticks
//! of 10 ms: an ask ends between its deadline and two ticks after it, and costs no timer of its own. A slot is put
//! into the wheel once, and again only when the wheel has come to it or when an earlier deadline demands it; since
//! slots are used again and again, most asks do not touch the wheel at all.
//!
//! # Invariants
//!
//! * Whenever the wheel holds an entry, exactly one driver task runs.
//! * The wheel never keeps a slot alive, nor hinders its reuse: it holds weak references.

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::dead_letters::{DeadLetters, Reason};
use crate::env::Env;
use crate::path::ActorPath;
use crate::reply::Ticket;
use crate::sync;
use crate::wheel::{TICK, Wheel, tick_at_or_after, tick_now};

/// The deadlines of all asks of one system.
pub(crate) struct Deadlines {
    env: Env,
    start: Instant,
    wheel: Mutex<Driven>,
    dead_letters: DeadLetters,
}

struct Driven {
    wheel: Wheel<sync::Weak<Ticket>>,
    running: bool,
}

impl Deadlines {
    pub(crate) fn new(env: Env, dead_letters: DeadLetters) -> Arc<Self> {
        let start = env.now();
        let wheel = Mutex::new(Driven { wheel: Wheel::new(), running: false });
        Arc::new(Self { env, start, wheel, dead_letters })
    }

    /// The tick that lies at least `after` away. Never 0.
    pub(crate) fn tick_after(&self, after: Duration) -> u64 {
        let elapsed = self.env.now().duration_since(self.start);
        tick_at_or_after(elapsed.saturating_add(after)).max(1)
    }

    /// Looks at `ticket` when `tick` has come.
    pub(crate) fn arm(self: &Arc<Self>, tick: u64, ticket: &sync::Arc<Ticket>) {
        let mut driven = self.wheel.lock();
        driven.wheel.insert(tick, sync::Arc::downgrade(ticket));
        let start = !driven.running;
        driven.running = true;
        drop(driven);
        if start {
            let this = self.clone();
            self.env.spawn(|| "deadlines of asks".to_owned(), this.drive());
        }
    }

    /// A reply came after its asker had gone.
    pub(crate) fn late_reply(&self, type_name: &'static str) {
        self.dead_letters.record(&ActorPath::root(), type_name, Reason::LateReply);
    }

    /// Ends what is due, tick by tick, until the wheel is empty.
    async fn drive(self: Arc<Self>) {
        let mut due = Vec::new();
        loop {
            self.env.sleep(TICK).await;
            let now = tick_now(self.env.now().duration_since(self.start));
            self.wheel.lock().wheel.due(now, &mut due);
            for entry in due.drain(..) {
                if let Some(ticket) = entry.upgrade()
                    && let Some(later) = ticket.expire(now)
                {
                    self.wheel.lock().wheel.insert(later, entry);
                }
            }
            let mut driven = self.wheel.lock();
            if driven.wheel.len() == 0 {
                driven.running = false;
                return;
            }
        }
    }
}

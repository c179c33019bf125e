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
//! * Where no driver can run any more, because the tokio runtime of the system is gone, no ask waits for one: all that
//!   are open end at once, and so does every later one.

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
    /// The driver was dropped before its work was done: there is nobody to run it.
    gone: bool,
}

/// Ends all asks when it is dropped before its time, together with the runtime that ran it.
struct Driver {
    deadlines: Arc<Deadlines>,
    done: bool,
}

impl Deadlines {
    pub(crate) fn new(env: Env, dead_letters: DeadLetters) -> Arc<Self> {
        let start = env.now();
        let wheel = Mutex::new(Driven { wheel: Wheel::new(), running: false, gone: false });
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
        if driven.gone {
            drop(driven);
            ticket.expire(u64::MAX);
            return;
        }
        driven.wheel.insert(tick, sync::Arc::downgrade(ticket));
        let start = !driven.running;
        driven.running = true;
        drop(driven);
        if start {
            let work = Driver { deadlines: self.clone(), done: false }.drive();
            self.env.spawn(|| "deadlines of asks".to_owned(), work);
        }
    }

    /// A reply came after its asker had gone.
    pub(crate) fn late_reply(&self, type_name: &'static str) {
        self.dead_letters.record(&ActorPath::root(), type_name, Reason::LateReply);
    }
}

impl Driver {
    /// Ends what is due, tick by tick, until the wheel is empty.
    async fn drive(mut self) {
        let Deadlines { env, start, wheel, .. } = &*self.deadlines;
        let mut due = Vec::new();
        loop {
            env.sleep(TICK).await;
            let now = tick_now(env.now().duration_since(*start));
            wheel.lock().wheel.due(now, &mut due);
            for entry in due.drain(..) {
                if let Some(ticket) = entry.upgrade()
                    && let Some(later) = ticket.expire(now)
                {
                    wheel.lock().wheel.insert(later, entry);
                }
            }
            let mut driven = wheel.lock();
            if driven.wheel.len() == 0 {
                driven.running = false;
                break;
            }
        }
        self.done = true;
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        if self.done {
            return;
        }
        let mut open = Vec::new();
        let mut driven = self.deadlines.wheel.lock();
        driven.gone = true;
        driven.wheel.due(u64::MAX, &mut open);
        drop(driven);
        for ticket in open.iter().filter_map(sync::Weak::upgrade) {
            ticket.expire(u64::MAX);
        }
    }
}

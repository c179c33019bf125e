//! Who is the parent of those without a parent?
//!
//! The guardian at `/user`. It is no actor: what is told to it is acted on at once, by whoever tells it.

use std::any::Any;
use std::sync::Arc;

use tokio::sync::Notify;

use crate::cell::{AnyCell, Control, Head};
use crate::family::Family;
use crate::mailbox::inbox::{Figures, Urge};

/// The parent of all actors that the system spawned.
pub(crate) struct Guardian {
    head: Head,
    childless: Notify,
}

impl Guardian {
    pub(crate) fn new(head: Head) -> Self {
        Self { head, childless: Notify::new() }
    }

    pub(crate) fn family(&self) -> &Family {
        &self.head.family
    }

    /// Waits until the last child is gone, once the family is closed, or until [`wake`](Self::wake).
    pub(crate) async fn childless(&self) {
        self.childless.notified().await;
    }

    /// Lets the one who waits look again.
    pub(crate) fn wake(&self) {
        self.childless.notify_one();
    }
}

impl AnyCell for Guardian {
    fn head(&self) -> &Head {
        &self.head
    }

    fn control(&self, control: Control) {
        match control {
            Control::Escalated { child, crash, .. } => {
                self.head.core.stop_because(crash);
                // It waits for a verdict, and would hold up the drain.
                child.urge(Urge::Stop);
            }
            Control::Childless => self.wake(),
            _ => {}
        }
    }

    fn urge(&self, _: Urge) {}

    fn rouse(&self) {}

    fn figures(&self) -> Figures {
        Figures { idle: true, asleep: true, begun: true, ..Figures::default() }
    }

    fn message_type(&self) -> &'static str {
        "nothing: the guardian takes no messages"
    }

    fn into_any(self: Arc<Self>) -> Arc<dyn Any + Send + Sync> {
        self
    }
}

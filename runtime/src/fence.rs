//! Who may act for a name, and what keeps one who no longer may from acting?
//!
//! Two contracts. A [`Fence`] stands at what is acted upon: each who takes over has an [`Epoch`] higher than all before him, and what carries
//! a lower one is refused. A [`LeaseStore`] stands beside: a [`Lease`] from it says who may act, and its epoch is what a fence asks for.
//!
//! A lease alone is a matter of time: who was paused for longer than its term may not know yet that he lost it. A fence is not. Whoever writes
//! something that others must not overwrite sends the epoch along and has it checked where it is written.
//!
//! # Invariants
//!
//! * A name has at most one holder at a time by the clocks of all who obey, however long messages take, if the clocks run as fast as each other within
//!   [`LeaseRequest::drift`]. What time of day they show does not matter: nobody ever reads another one's clock.
//! * Epochs of a name rise with every holder.

mod candidate;
mod conformance;
mod lease;
mod memory;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;

pub use conformance::check_lease_store;
pub use lease::{Lease, LeaseError, LeaseRequest};
pub use memory::MemoryLeases;

/// Which owner of something this is. Each that takes over has one higher than any before; 0 is nobody.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Epoch(u64);

impl Epoch {
    /// Before the first.
    pub const ZERO: Self = Self(0);
    /// Behind every one there can be.
    pub const MAX: Self = Self(u64::MAX);

    /// The number `number`.
    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    /// As a bare number.
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The one `by` further on. Stops at [`MAX`](Self::MAX).
    #[must_use]
    pub const fn plus(self, by: u64) -> Self {
        Self(self.0.saturating_add(by))
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Refuses what comes from an owner before the newest one it knows of: to be kept beside whatever is owned, and asked in the same step that
/// changes it.
///
/// ```
/// # use omnitron_runtime::{Epoch, Fence};
/// let mut fence = Fence::default();
/// assert!(fence.admit(Epoch::new(7)).is_ok());
/// let refused = fence.admit(Epoch::new(6)).unwrap_err();
/// assert_eq!((refused.given, refused.newest), (Epoch::new(6), Epoch::new(7)));
/// ```
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Fence {
    newest: Epoch,
}

/// It came from an owner before the newest one.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("it belongs to epoch {newest} now, and this came from epoch {given}: its owner has to stop")]
pub struct Fenced {
    /// The epoch of the caller.
    pub given: Epoch,
    /// The newest one.
    pub newest: Epoch,
}

impl Fence {
    /// A fence that knows of the owners up to `newest`: as it was stored.
    pub const fn at(newest: Epoch) -> Self {
        Self { newest }
    }

    /// The newest epoch it knows of.
    pub const fn newest(self) -> Epoch {
        self.newest
    }

    /// Lets an owner pass unless there was a newer one; from then on those before him are refused.
    ///
    /// # Errors
    ///
    /// [`Fenced`]; nothing changed.
    pub fn admit(&mut self, given: Epoch) -> Result<(), Fenced> {
        if given < self.newest {
            return Err(Fenced { given, newest: self.newest });
        }
        self.newest = given;
        Ok(())
    }

    /// The epoch of a new owner: higher than all before, which are refused from now on.
    #[must_use]
    pub fn raise(&mut self) -> Epoch {
        self.newest = self.newest.plus(1);
        self.newest
    }
}

/// The most bytes of the name of a lease, and of a holder.
pub const MAX_LEASE_NAME_BYTES: usize = 512;

/// What a store keeps of a lease.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LeaseRecord {
    /// Who holds it: a text that nobody else uses, of at most [`MAX_LEASE_NAME_BYTES`] bytes. Empty: nobody, it was given back.
    pub holder: String,
    /// The epoch of the holder. A new holder has one more than the one before.
    pub epoch: Epoch,
    /// Counted up by the holder whenever he renews it, so that others see that he lives.
    pub beat: u64,
    /// For how long the holder holds it from when he sent this. In milliseconds in stores.
    pub term: Duration,
}

/// Names a state of a lease: no two records of a name that are stored one after the other have the same.
pub type LeaseVersion = (Epoch, u64);

impl LeaseRecord {
    /// What a [`replace`](LeaseStore::replace) of this record has to expect.
    pub const fn version(&self) -> LeaseVersion {
        (self.epoch, self.beat)
    }
}

/// Keeps one small record per name, and replaces it only for those who know it.
///
/// # Contract
///
/// 1. **Compare and set**: [`replace`](Self::replace) stores the record only if the one there has the expected version (or there is none, and none
///    was expected), in one step that no other replacement of the name can fall into.
/// 2. **Read after write**: a read that began after a replacement had been answered finds it or a later one, from every node.
/// 3. **Epochs last**: the epoch of a name never falls, whatever is restarted. The rest of a record may be forgotten where every holder is known to be
///    gone; the record then has no holder.
/// 4. **No clock**: the store interprets neither time nor term.
/// 5. **Bounded**: names and holders longer than [`MAX_LEASE_NAME_BYTES`] are refused.
///
/// [`testkit::check_lease_store`](crate::testkit::check_lease_store) tries to break it; run it in the tests of a store.
pub trait LeaseStore: Send + Sync + 'static {
    /// The record of `name`; none when there never was one.
    ///
    /// # Errors
    ///
    /// [`LeaseFault::Unavailable`], [`LeaseFault::TooLong`].
    fn read(&self, name: &str) -> BoxFuture<'static, Result<Option<LeaseRecord>, LeaseFault>>;

    /// Stores `record` in place of one of version `expected`; `None` expects that there is none.
    ///
    /// # Errors
    ///
    /// In all cases but [`LeaseFault::Unknown`] nothing was stored.
    fn replace(
        &self,
        name: &str,
        expected: Option<LeaseVersion>,
        record: LeaseRecord,
    ) -> BoxFuture<'static, Result<(), LeaseFault>>;
}

/// Why a store of leases did not do what it was asked.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum LeaseFault {
    /// Another record is there than was expected. Read it, then decide.
    #[error("the lease `{name}` was changed by somebody else")]
    Conflict {
        /// The name of the lease.
        name: String,
    },
    /// A name or a holder is longer than a store takes.
    #[error(
        "the {what} of a lease has at most {MAX_LEASE_NAME_BYTES} bytes, this one has {bytes}: shorten it"
    )]
    TooLong {
        /// What is too long: name or holder.
        what: &'static str,
        /// How many bytes it has.
        bytes: usize,
    },
    /// Nothing happened. Trying again later may help.
    #[error("the store of leases is not available: {0}")]
    Unavailable(Arc<str>),
    /// It **may** have been stored. Read it, then decide.
    #[error("whether the lease was stored is not known: {0}")]
    Unknown(Arc<str>),
}

impl LeaseFault {
    /// Refuses what is too long for any store.
    ///
    /// # Errors
    ///
    /// [`LeaseFault::TooLong`].
    pub fn check(name: &str, holder: &str) -> Result<(), Self> {
        match [("name", name.len()), ("holder", holder.len())]
            .into_iter()
            .find(|(_, n)| *n > MAX_LEASE_NAME_BYTES)
        {
            Some((what, bytes)) => Err(Self::TooLong { what, bytes }),
            None => Ok(()),
        }
    }
}

/// For how long a lease is held, and how well the clocks of those who want it agree on how fast time goes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Term {
    pub(crate) term: Duration,
    pub(crate) drift: f64,
}

impl Term {
    /// For how long the holder relies on it.
    fn relied_on(self) -> Duration {
        self.term.mul_f64(1.0 - self.drift)
    }
}

//! Where do leases lie, and what of them outlives the process?
//!
//! One small file, replaced whole when a lease changes its holder, and not when it is renewed: who finds the file after a crash waits the term of the holder in it, as
//! everybody does. `docs/formats/journal.md` describes the bytes. A folder belongs to one process at a time, so the candidates are those of one process, or come one after
//! the other.
//!
//! # Invariants
//!
//! * A holder is told that he holds a lease only when the file says so too.
//! * Nothing is stored after the journal was closed, when the folder may belong to somebody else.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use omnitron_runtime::{Epoch, LeaseFault, LeaseRecord, LeaseStore, LeaseVersion};
use parking_lot::Mutex;

use super::format::{Damage, VERSION, seal, u16_at, u32_at, u64_at, versioned};
use super::read::Pool;
use super::store::Context;
use crate::backend::Fault;

/// The name of the file.
pub(crate) const NAME: &str = "leases";
/// How many names there can be.
const MAX_LEASES: usize = 1_024;
const MAGIC: [u8; 8] = *b"OMNITRNL";
const HEAD: usize = 28;
const ENTRY: usize = 28;
pub(crate) const ADVICE: &str = "Stop all who use leases of this journal, restore the file from a backup or delete it: epochs start anew then";
const ROOM: &str = "Make room or look for errors of the device, then try again";

/// By the names of the leases.
pub(crate) type Records = BTreeMap<String, LeaseRecord>;

/// The leases beside a log, as [`Log::leases`](super::Log::leases) gives them. A clone is the same.
#[derive(Clone)]
pub struct Leases {
    inner: Arc<Inner>,
}

pub(crate) struct Inner {
    context: Arc<Context>,
    pool: Pool,
    /// What the file says, with the beats since. None: not read yet.
    records: Mutex<Option<Records>>,
}

impl Leases {
    pub(crate) fn new(context: Arc<Context>, pool: Pool) -> Self {
        Self { inner: Arc::new(Inner { context, pool, records: Mutex::new(None) }) }
    }

    fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&Inner) -> Result<T, LeaseFault> + Send + 'static,
    ) -> BoxFuture<'static, Result<T, LeaseFault>> {
        let inner = Arc::clone(&self.inner);
        let answer = self.inner.pool.run(move || question(&inner));
        async move { answer.await.unwrap_or_else(|| Err(closed())) }.boxed()
    }
}

impl Inner {
    fn fault(&self, what: impl std::fmt::Display, advice: &'static str) -> Arc<str> {
        Fault::new(what, self.context.disk.place(NAME), advice).to_string().into()
    }

    /// Runs `act` on what is known, which is read from the file first.
    fn with<T>(&self, act: impl FnOnce(&mut Records) -> Result<T, LeaseFault>) -> Result<T, LeaseFault> {
        let mut records = self.records.lock();
        let _held = self.context.owned.hold().map_err(|_| closed())?;
        let known = match &mut *records {
            Some(known) => known,
            unread => unread.insert(self.load().map_err(LeaseFault::Unavailable)?),
        };
        act(known)
    }

    fn load(&self) -> Result<Records, Arc<str>> {
        let bytes = self.context.disk.whole(NAME).map_err(|error| self.fault(error, ROOM))?;
        let Some(bytes) = bytes else { return Ok(Records::new()) };
        match decode(&bytes) {
            Ok((journal, records)) if journal == self.context.journal => Ok(records),
            Ok(_) => Err(self.fault("the leases belong to another journal", ADVICE)),
            Err(damage) => Err(self.fault(damage, damage.advice(ADVICE))),
        }
    }

    fn replace(
        &self,
        name: String,
        expected: Option<LeaseVersion>,
        record: LeaseRecord,
    ) -> Result<(), LeaseFault> {
        self.with(|records| {
            let there = records.get(&name);
            if there.map(LeaseRecord::version) != expected {
                return Err(LeaseFault::Conflict { name });
            }
            if there.is_none() && records.len() >= MAX_LEASES {
                let what = format!("there are {MAX_LEASES} leases already, which is the most");
                return Err(LeaseFault::Unavailable(
                    self.fault(what, "Use fewer names: they are kept for good"),
                ));
            }
            let renewed =
                there.is_some_and(|there| (&there.holder, there.epoch) == (&record.holder, record.epoch));
            let before = records.insert(name.clone(), record);
            if renewed {
                return Ok(());
            }
            let bytes = encode(self.context.journal, records);
            self.context.disk.replace("", NAME, &bytes).map_err(|error: io::Error| {
                match before {
                    Some(before) => records.insert(name.clone(), before),
                    None => records.remove(&name),
                };
                // The file may be there all the same, and is replaced by the next one who gets the lease.
                LeaseFault::Unknown(self.fault(error, ROOM))
            })
        })
    }
}

fn closed() -> LeaseFault {
    LeaseFault::Unavailable(Arc::from("the journal was closed. Open it again"))
}

impl LeaseStore for Leases {
    fn read(&self, name: &str) -> BoxFuture<'static, Result<Option<LeaseRecord>, LeaseFault>> {
        if let Err(fault) = LeaseFault::check(name, "") {
            return std::future::ready(Err(fault)).boxed();
        }
        let name = name.to_owned();
        self.ask(move |inner| inner.with(|records| Ok(records.get(&name).cloned())))
    }

    fn replace(
        &self,
        name: &str,
        expected: Option<LeaseVersion>,
        record: LeaseRecord,
    ) -> BoxFuture<'static, Result<(), LeaseFault>> {
        if let Err(fault) = LeaseFault::check(name, &record.holder) {
            return std::future::ready(Err(fault)).boxed();
        }
        let name = name.to_owned();
        self.ask(move |inner| inner.replace(name, expected, record))
    }
}

fn encode(journal: u64, records: &Records) -> Vec<u8> {
    let text: usize = records.iter().map(|(name, record)| name.len() + record.holder.len()).sum();
    let mut bytes = Vec::with_capacity(HEAD + records.len() * ENTRY + text + 4);
    bytes.extend_from_slice(&MAGIC);
    bytes.extend_from_slice(&VERSION.to_le_bytes());
    bytes.extend_from_slice(&[0; 2]);
    bytes.extend_from_slice(&u32::try_from(records.len()).expect("names are few").to_le_bytes());
    bytes.extend_from_slice(&journal.to_le_bytes());
    seal(&mut bytes, 0);
    for (name, LeaseRecord { holder, epoch, beat, term }) in records {
        let short =
            |text: &str| u16::try_from(text.len()).expect("names and holders are short").to_le_bytes();
        bytes.extend_from_slice(&epoch.get().to_le_bytes());
        bytes.extend_from_slice(&beat.to_le_bytes());
        bytes.extend_from_slice(&u64::try_from(term.as_millis()).unwrap_or(u64::MAX).to_le_bytes());
        bytes.extend_from_slice(&short(name));
        bytes.extend_from_slice(&short(holder));
        bytes.extend_from_slice(name.as_bytes());
        bytes.extend_from_slice(holder.as_bytes());
    }
    seal(&mut bytes, 0);
    bytes
}

/// The number of the journal, and its leases.
pub(crate) fn decode(bytes: &[u8]) -> Result<(u64, Records), Damage> {
    versioned(bytes, MAGIC, HEAD)?;
    super::format::unsealed(bytes, 0)?;
    let mut records = Records::new();
    let (mut at, end) = (HEAD, bytes.len() - 4);
    for _ in 0..u32_at(bytes, 12) {
        let rest = bytes.get(at..end).filter(|rest| rest.len() >= ENTRY).ok_or(Damage::Short)?;
        let (name, holder) = (usize::from(u16_at(rest, 24)), usize::from(u16_at(rest, 26)));
        let text = |from: usize, size: usize| {
            let bytes = rest.get(from..from + size).ok_or(Damage::Short)?;
            let text = std::str::from_utf8(bytes).map_err(|_| Damage::Field("a text in it is no UTF-8"))?;
            Ok(text.to_owned())
        };
        let record = LeaseRecord {
            holder: text(ENTRY + name, holder)?,
            epoch: Epoch::new(u64_at(rest, 0)),
            beat: u64_at(rest, 8),
            term: Duration::from_millis(u64_at(rest, 16)),
        };
        records.insert(text(ENTRY, name)?, record);
        at += ENTRY + name + holder;
    }
    if at == end {
        Ok((u64_at(bytes, 16), records))
    } else {
        Err(Damage::Field("its parts are not as long as it is"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leases_come_back_and_no_flipped_bit_or_cut_is_believed() {
        let record = |holder: &str, n: u64| LeaseRecord {
            holder: holder.to_owned(),
            epoch: Epoch::new(n),
            beat: n + 1,
            term: Duration::from_millis(n + 2),
        };
        let many = [("a", record("one", 1)), ("b", record("", 7)), ("ä", record("two", 1 << 40))];
        for records in [Records::new(), many.map(|(name, record)| (name.to_owned(), record)).into()] {
            let bytes = encode(9, &records);
            assert_eq!(decode(&bytes), Ok((9, records)));
            for bit in 0..bytes.len() * 8 {
                let mut broken = bytes.clone();
                broken[bit / 8] ^= 1 << (bit % 8);
                assert!(decode(&broken).is_err(), "bit {bit}");
            }
            for end in 0..bytes.len() {
                assert!(decode(&bytes[..end]).is_err(), "cut at {end}");
            }
        }
    }
}

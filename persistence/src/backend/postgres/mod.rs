//! The journal on PostgreSQL: slices spread over any number of servers, one writer for each of them.
//!
//! [`open`] gives a [`Postgres`]. What is promised is the contract of [`JournalBackend`]; `docs/postgres.md` says how to set a server up, which rights it takes, and what was
//! tried with standbys, poolers and faults.
//!
//! | file | answers |
//! |---|---|
//! | `address`, `faults`, `options` | where, what does its error mean, how is it kept? |
//! | `schema`, `migrate`, `identity` | which tables, and are these all servers of one journal? |
//! | `session` | how is a server asked? |
//! | `queue`, `memory`, `plan`, `rows`, `batch`, `writer` | how is a batch stored once? |
//! | `takeover` | what becomes of claims and deletions? |
//! | `server`, `pages`, `read` | how is it read? |
//! | `chores` | who removes what was deleted, and who notices what others wrote? |
//! | `snapshots`, `leases` | where do they lie? |

mod address;
mod batch;
mod chores;
mod faults;
mod identity;
mod leases;
mod memory;
mod migrate;
mod options;
mod pages;
mod plan;
mod queue;
mod read;
mod rows;
mod schema;
mod server;
mod session;
mod snapshots;
mod takeover;
mod writer;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use futures_util::stream::{self, BoxStream};
use omnitron_runtime::{Env, LeaseStore};
use tokio::sync::{oneshot, watch};
use tokio_postgres::Row;

use super::log::OpenError;
use super::tail::Tail;
use super::{
    Append, Appended, Delete, Fault, IdQuery, JournalBackend, ReadError, SliceQuery, SlicesQuery, WriteError,
    check_slice,
};
use crate::id::{Epoch, Ordinal, PersistenceId, Sequence, Slice, Slices};
use crate::recorded::Recorded;
use address::{Address, addresses};
use identity::{Found, Identity, agree, same};
use memory::Memory;
use queue::{Answer, Command, Queue, Queued, closed};
use server::Server;
use session::{Params, Session};
use writer::Writer;

pub use leases::Leases;
pub use options::Options;
pub use snapshots::Snapshots;

/// A journal on PostgreSQL. A clone is the same journal; it is closed when the last one is dropped, or by [`close`](Self::close).
#[derive(Clone)]
pub struct Postgres {
    inner: Arc<Inner>,
}

struct Inner {
    servers: Vec<(Arc<Server>, Queue)>,
    slices: Slices,
    journal: u64,
    tail: Tail,
    options: Options,
    closing: watch::Sender<bool>,
    closed: watch::Receiver<u32>,
}

/// Opens the journal on these servers, given as `postgres://user:password@host:port/database`, or creates it if their databases hold none. The number and the order of the
/// addresses stay the same as long as the journal lives.
///
/// Tables are made, or brought to the version of this program, before anything else. Per server, one connection writes and some read ([`Options::readers`]).
///
/// # Errors
///
/// [`OpenError`] says which server, what is wrong and what to do; it never holds a password. Nothing that holds events was changed.
pub async fn open(
    env: &Env,
    urls: impl IntoIterator<Item = impl Into<String>>,
    options: Options,
) -> Result<Postgres, OpenError> {
    if env.is_simulated() {
        let what = "servers cannot be reached from a simulation";
        return Err(OpenError::Unavailable(Fault::new(
            what,
            "the journal",
            "Use a journal in memory or on a simulated disk",
        )));
    }
    let urls: Vec<String> = urls.into_iter().map(Into::into).collect();
    let addresses = addresses(&urls).map_err(OpenError::Unavailable)?;
    let identity = identify(env, &addresses, &options).await?;
    Ok(Postgres::start(env, addresses, options, identity))
}

/// Makes the tables, and finds out which journal it is.
async fn identify(env: &Env, addresses: &[Address], options: &Options) -> Result<Identity, OpenError> {
    let unavailable = |trouble: faults::Trouble| OpenError::Unavailable(trouble.fault);
    let mut sessions = Vec::new();
    for address in addresses {
        let session = Session::connect(env, address, options).await.map_err(unavailable)?;
        migrate::migrate(&session).await?;
        sessions.push(session);
    }
    let mut found = look(&sessions).await?;
    if found.iter().any(|found| found.complete) {
        // Somebody else may have created it between two looks. If so, all servers have their rows now.
        found = look(&sessions).await?;
    }
    let places: Vec<&str> = addresses.iter().map(|address| address.place.as_str()).collect();
    // Never 0, which is what a backend says that does not know who it is.
    let fresh = env.random_u64().max(1);
    let mut identity = agree(&found, &places, options.slices, fresh)?;
    if found.iter().all(|found| found.complete) {
        return Ok(identity);
    }
    // One after the other: of several who create it at once, all take the journal that the first server got.
    for (server, session) in (0..).zip(&sessions) {
        let wanted = Identity { server, ..identity };
        let joined = migrate::join(session, wanted).await.map_err(unavailable)?;
        match joined.identity {
            Some(first) if server == 0 && first.server == 0 && first.servers == identity.servers => {
                identity = first;
            }
            _ => same(joined, wanted, session.place()).map_err(OpenError::Foreign)?,
        }
    }
    for session in &sessions {
        migrate::complete(session).await.map_err(unavailable)?;
    }
    Ok(identity)
}

/// What the servers say they are.
async fn look(sessions: &[Session]) -> Result<Vec<Found>, OpenError> {
    let mut found = Vec::new();
    for session in sessions {
        found.push(migrate::look(session).await.map_err(|trouble| OpenError::Unavailable(trouble.fault))?);
    }
    Ok(found)
}

impl Postgres {
    fn start(env: &Env, addresses: Vec<Address>, options: Options, identity: Identity) -> Self {
        let tail = Tail::new();
        let (closing, is_closing) = watch::channel(false);
        let (ended, closed) = watch::channel(0);
        let slices = Slices::new(identity.slices).unwrap_or_default();
        let mut servers = Vec::new();
        for (number, address) in (0..).zip(addresses) {
            let identity = Identity { server: number, ..identity };
            let (queue, waiting) = Queue::new(options.queue, options.queue_bytes);
            let (doubt, is_doubtful) = watch::channel(false);
            let server = Server::new(env.clone(), address.clone(), options.clone(), identity, is_doubtful);
            let server = Arc::new(server);
            let writer = Writer {
                env: env.clone(),
                address,
                options: options.clone(),
                identity,
                waiting,
                tail: tail.clone(),
                session: None,
                memory: Memory::new(options.recent_ids),
                pending: VecDeque::new(),
                doubts: BTreeMap::new(),
                doubt,
                sweep: Arc::clone(&server.sweep),
                own: Arc::clone(&server.own),
                pause: Duration::from_millis(20),
                batches: 0,
                hopes: 0,
                gives_way: 100,
                closed: ended.clone(),
            };
            let of = |slice: &Slice| slice.get() % identity.servers == number;
            let own = slices.iter().filter(of).map(Slice::get).collect();
            env.spawn(|| format!("journal writer {number}"), writer.run());
            env.spawn(
                || format!("journal sweep {number}"),
                chores::sweep(Arc::clone(&server), is_closing.clone()),
            );
            let watch = chores::watch(Arc::clone(&server), own, tail.clone(), is_closing.clone());
            env.spawn(|| format!("journal watch {number}"), watch);
            servers.push((server, queue));
        }
        let journal = identity.journal;
        Self { inner: Arc::new(Inner { servers, slices, journal, tail, options, closing, closed }) }
    }

    /// The snapshots beside it.
    pub fn snapshots(&self) -> Snapshots {
        Snapshots::new(self.clone())
    }

    /// Closes the journal: what was submitted is still written, what comes later is refused, and the answer comes when the connections are given up.
    ///
    /// # Cancel safety
    ///
    /// The journal is closed by the call; the future only waits.
    pub fn close(&self) -> BoxFuture<'static, ()> {
        let inner = Arc::clone(&self.inner);
        inner.close();
        async move {
            let writers = u32::try_from(inner.servers.len()).unwrap_or(u32::MAX);
            let mut closed = inner.closed.clone();
            // An error says that the writers are gone, so it is closed.
            drop(closed.wait_for(|closed| *closed >= writers).await);
            for (server, _) in &inner.servers {
                server.close().await;
            }
        }
        .boxed()
    }

    pub(crate) fn options(&self) -> &Options {
        &self.inner.options
    }

    fn of_slice(&self, slice: Slice) -> &(Arc<Server>, Queue) {
        &self.inner.servers[slice.get() as usize % self.inner.servers.len()]
    }

    pub(crate) fn server_of(&self, id: &PersistenceId) -> &Arc<Server> {
        &self.of_slice(id.slice(self.inner.slices)).0
    }

    pub(crate) fn server_of_lease(&self, name: &str) -> &Arc<Server> {
        let hash = twox_hash::XxHash3_64::oneshot(name.as_bytes());
        let at = hash % self.inner.servers.len() as u64;
        &self.inner.servers[usize::try_from(at).unwrap_or_default()].0
    }

    fn submit<T: Send + 'static>(
        &self,
        slice: Slice,
        check: Result<(), WriteError>,
        bytes: usize,
        command: impl FnOnce(Answer<T>) -> Command,
    ) -> BoxFuture<'static, Result<T, WriteError>> {
        match check.and_then(|()| self.of_slice(slice).1.send(bytes, command)) {
            Ok(answered) => wait(answered).boxed(),
            Err(error) => std::future::ready(Err(error)).boxed(),
        }
    }

    /// Asks one server after the other.
    async fn ask_all(&self, sql: &'static str, params: Params<'_>) -> Result<Vec<Row>, ReadError> {
        let mut all = Vec::new();
        for (server, _) in &self.inner.servers {
            server.settled().await?;
            all.extend(server.query(sql, params).await?);
        }
        Ok(all)
    }
}

async fn wait<T>(answered: oneshot::Receiver<Result<T, WriteError>>) -> Result<T, WriteError> {
    answered.await.unwrap_or_else(|_| Err(WriteError::Unknown(closed())))
}

impl Inner {
    fn close(&self) {
        self.closing.send_replace(true);
        for (_, queue) in &self.servers {
            queue.close();
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.close();
    }
}

impl JournalBackend for Postgres {
    fn slices(&self) -> Slices {
        self.inner.slices
    }

    fn identity(&self) -> u64 {
        self.inner.journal
    }

    fn is_gapless(&self) -> bool {
        true
    }

    fn tail(&self) -> Option<&Tail> {
        Some(&self.inner.tail)
    }

    fn leases(&self) -> Option<Arc<dyn LeaseStore>> {
        Some(Arc::new(Leases::new(self.clone())))
    }

    fn ends(&self) -> BoxFuture<'static, Result<BTreeMap<Slice, Ordinal>, ReadError>> {
        let journal = self.clone();
        async move {
            let all: Vec<i32> = journal.inner.slices.iter().map(|slice| slice.get().cast_signed()).collect();
            let rows = journal.ask_all(schema::ORDINALS, &[&all]).await?;
            let ends = rows.iter().map(|row| {
                let (slice, end): (i32, i64) = (row.get(0), row.get(2));
                (Slice::new(slice.cast_unsigned()), Ordinal::new(end.cast_unsigned()))
            });
            Ok(ends.filter(|(_, end)| *end > Ordinal::ZERO).collect())
        }
        .boxed()
    }

    fn claim(&self, slice: Slice) -> BoxFuture<'static, Result<Epoch, WriteError>> {
        let slices = self.inner.slices.get();
        let there = slice.get() < slices;
        let check = if there { Ok(()) } else { Err(WriteError::NoSuchSlice { slice, slices }) };
        self.submit(slice, check, 0, |to| Command::Claim(slice, to))
    }

    fn append(&self, append: Append) -> BoxFuture<'static, Result<Appended, WriteError>> {
        let (slice, bytes) = (append.slice, append.size_bytes());
        let check = append.check_of(self.inner.slices, bytes);
        let append = Arc::new(append);
        self.submit(slice, check, bytes, |to| Command::Append(Queued { append, bytes, to }))
    }

    fn read(
        &self,
        id: &PersistenceId,
        from: Sequence,
        to: Sequence,
    ) -> BoxStream<'static, Result<Recorded, ReadError>> {
        read::events(Arc::clone(self.server_of(id)), id.clone(), from, to)
    }

    fn read_slice(&self, query: SliceQuery) -> BoxStream<'static, Result<Recorded, ReadError>> {
        let SliceQuery { slice, tag, after } = query;
        self.read_slices(SlicesQuery { after: [(slice, after)].into(), tag })
    }

    fn read_slices(&self, query: SlicesQuery) -> BoxStream<'static, Result<Recorded, ReadError>> {
        let SlicesQuery { after, tag } = query;
        let servers = self.inner.servers.iter().zip(0_u32..).map(|((server, _), number)| {
            let count = u32::try_from(self.inner.servers.len()).unwrap_or(u32::MAX);
            let of = after.iter().map(|(slice, after)| (slice.get(), after.get()));
            let of = of.filter(|(slice, _)| slice % count == number);
            read::slice_events(Arc::clone(server), of, tag.clone())
        });
        let servers: Vec<_> = servers.collect();
        let mut failed = false;
        // The first error is the last thing that comes.
        stream::iter(servers)
            .flatten()
            .take_while(move |event| {
                let go_on = !failed;
                failed = event.is_err();
                std::future::ready(go_on)
            })
            .boxed()
    }

    fn highest(&self, id: &PersistenceId) -> BoxFuture<'static, Result<Sequence, ReadError>> {
        let (server, id) = (Arc::clone(self.server_of(id)), id.clone());
        async move {
            server.settled().await?;
            let rows = server.query(schema::LASTS, &[&vec![id.as_str()]]).await?;
            Ok(rows.first().map_or(Sequence::ZERO, |row| Sequence::new(row.get::<_, i64>(1).cast_unsigned())))
        }
        .boxed()
    }

    fn delete_to(&self, delete: Delete) -> BoxFuture<'static, Result<(), WriteError>> {
        let check = check_slice(&delete.id, delete.slice, self.inner.slices);
        self.submit(delete.slice, check, 0, |to| Command::Delete(delete, to))
    }

    fn ids(&self, query: IdQuery) -> BoxFuture<'static, Result<Vec<PersistenceId>, ReadError>> {
        let journal = self.clone();
        async move {
            let IdQuery { prefix, after, limit } = query;
            let (end, after) = (rows::behind(&prefix), after.as_ref().map(PersistenceId::as_str));
            let most = i64::try_from(limit).unwrap_or(i64::MAX);
            let rows = journal.ask_all(schema::IDS, &[&prefix, &end, &after, &most]).await?;
            let ids = rows.iter().filter_map(|row| PersistenceId::new(row.get::<_, &str>(0)).ok());
            let mut ids: Vec<PersistenceId> = ids.collect();
            ids.sort_unstable();
            ids.truncate(limit);
            Ok(ids)
        }
        .boxed()
    }
}

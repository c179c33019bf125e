//! What do all who read from a server share?
//!
//! A few connections, made when they are needed and made anew when they are lost. Questions go to them in turn, a bounded number at a time; who comes later waits for
//! room. What is asked here can be asked again, so a connection that was lost costs one more attempt and no error.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use omnitron_runtime::Env;
use tokio::sync::{Mutex, Notify, Semaphore, watch};
use tokio_postgres::Row;

use super::address::Address;
use super::faults::Trouble;
use super::identity::{Identity, same};
use super::migrate::look;
use super::options::Options;
use super::session::{Params, Session, within};
use crate::backend::{Fault, ReadError};

/// How many questions are on their way to a server, but for those of its writer.
const QUESTIONS: usize = 32;
/// How often a question is asked whose connection is lost.
const ATTEMPTS: usize = 3;

pub(crate) struct Server {
    pub(crate) env: Env,
    pub(crate) address: Address,
    pub(crate) options: Options,
    pub(crate) identity: Identity,
    sessions: Vec<Mutex<Option<Arc<Session>>>>,
    next: AtomicUsize,
    room: Semaphore,
    doubt: watch::Receiver<bool>,
    /// Events were deleted that are not gone.
    pub(crate) sweep: Arc<Notify>,
    /// Up to where this process wrote slices while somebody followed.
    pub(crate) own: Arc<parking_lot::Mutex<BTreeMap<u32, u64>>>,
}

impl Server {
    pub(crate) fn new(
        env: Env,
        address: Address,
        options: Options,
        identity: Identity,
        doubt: watch::Receiver<bool>,
    ) -> Self {
        let sessions = (0..options.readers).map(|_| Mutex::default()).collect();
        let (next, room) = (AtomicUsize::new(0), Semaphore::new(QUESTIONS));
        Self {
            env,
            address,
            options,
            identity,
            sessions,
            next,
            room,
            doubt,
            sweep: Arc::default(),
            own: Arc::default(),
        }
    }

    pub(crate) fn place(&self) -> &str {
        &self.address.place
    }

    /// Waits while nobody knows what the writer has stored: what is read then could be less than what is read later.
    pub(crate) async fn settled(&self) -> Result<(), ReadError> {
        let mut doubt = self.doubt.clone();
        // An error says that the writer has ended, and nothing comes any more.
        let settled = within(&self.env, self.options.patience, doubt.wait_for(|doubt| !doubt)).await;
        settled.map(drop).ok_or_else(|| {
            let what = "it cannot be told yet whether the last events are stored";
            ReadError::Unavailable(Fault::new(what, self.place(), "Look at the server and the network"))
        })
    }

    /// Asks; what is asked may be asked more than once.
    pub(crate) async fn query(&self, sql: &'static str, params: Params<'_>) -> Result<Vec<Row>, Trouble> {
        let _room = self.room.acquire().await;
        let mut attempts = 1;
        loop {
            let (at, session) = self.session().await?;
            match session.query(sql, params).await {
                Err(trouble) if trouble.ends_session => {
                    self.give_up(at, &session).await;
                    if attempts == ATTEMPTS {
                        return Err(trouble);
                    }
                }
                Err(trouble) if trouble.is_conflict() && attempts < ATTEMPTS => {}
                answer => return answer,
            }
            attempts += 1;
        }
    }

    /// Does once what must not be done twice, and says to how many rows.
    pub(crate) async fn once(&self, sql: &'static str, params: Params<'_>) -> Result<u64, Trouble> {
        let _room = self.room.acquire().await;
        let (at, session) = self.session().await?;
        let done = session.execute(sql, params).await;
        if done.as_ref().is_err_and(|trouble| trouble.ends_session) {
            self.give_up(at, &session).await;
        }
        done
    }

    async fn session(&self) -> Result<(usize, Arc<Session>), Trouble> {
        let at = self.next.fetch_add(1, Ordering::Relaxed) % self.sessions.len();
        let mut slot = self.sessions[at].lock().await;
        if let Some(session) = slot.as_ref().filter(|session| !session.is_closed()) {
            return Ok((at, Arc::clone(session)));
        }
        let session = Session::connect(&self.env, &self.address, &self.options).await?;
        let found = look(&session).await?;
        same(found, self.identity, session.place()).map_err(Trouble::before)?;
        let session = Arc::new(session);
        *slot = Some(Arc::clone(&session));
        Ok((at, session))
    }

    async fn give_up(&self, at: usize, lost: &Arc<Session>) {
        let mut slot = self.sessions[at].lock().await;
        if slot.as_ref().is_some_and(|session| Arc::ptr_eq(session, lost)) {
            *slot = None;
        }
    }

    /// Closes the connections that nobody uses just now.
    pub(crate) async fn close(&self) {
        for slot in &self.sessions {
            *slot.lock().await = None;
        }
    }
}

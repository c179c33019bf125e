//! How is a server asked, and what becomes of a connection that does not answer?
//!
//! # Invariants
//!
//! * Every question has a deadline. A connection that let one pass is closed, and nothing more is asked of it.
//! * A connection ends when its session is dropped, also when the server is silent.

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{Either, select};
use omnitron_runtime::Env;
use parking_lot::Mutex;
use tokio::sync::oneshot;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, NoTls, Row, Statement};

use super::address::Address;
use super::faults::Trouble;
use super::options::Options;

/// How much later than the server the program gives up, at most: the server's own word, which says that nothing happened, comes first.
const GRACE: Duration = Duration::from_secs(2);

pub(crate) type Params<'a> = &'a [&'a (dyn ToSql + Sync)];

/// A connection.
pub(crate) struct Session {
    client: Client,
    env: Env,
    statements: Mutex<BTreeMap<&'static str, Statement>>,
    place: Arc<str>,
    within: Duration,
    /// Tells this connection from all others in the fence.
    pub(crate) number: i64,
    /// Its drop closes the connection.
    _open: oneshot::Sender<()>,
}

/// What `work` gives, if it does so in time.
pub(crate) async fn within<T>(env: &Env, time: Duration, work: impl Future<Output = T>) -> Option<T> {
    match select(pin!(work), env.sleep(time)).await {
        Either::Left((done, _)) => Some(done),
        Either::Right(_) => None,
    }
}

impl Session {
    /// Connects.
    pub(crate) async fn connect(env: &Env, address: &Address, options: &Options) -> Result<Self, Trouble> {
        let place: Arc<str> = address.place.as_str().into();
        let late = || Trouble { is_open: false, ..Trouble::late("connecting", &place) };
        let failed = |error| Trouble { is_open: false, ends_session: true, ..Trouble::of(&error, &place) };
        let connected = within(env, options.answer_within, address.config.connect(NoTls)).await;
        let (client, connection) = connected.ok_or_else(late)?.map_err(failed)?;
        let (open, closed) = oneshot::channel();
        env.spawn(|| format!("connection to {}", address.place), async move {
            // What ends it is told to those who wait for answers.
            drop(select(pin!(connection), closed).await);
        });
        let session = Self {
            client,
            env: env.clone(),
            statements: Mutex::default(),
            place,
            within: options.answer_within + options.answer_within.min(GRACE),
            number: env.random_u64().cast_signed(),
            _open: open,
        };
        let millis = options.answer_within.as_millis();
        session
            .run(&format!(
                "SET statement_timeout = {millis}; SET default_transaction_isolation = 'read committed'; SET client_min_messages = warning"
            ))
            .await?;
        // Acknowledged is durable, whatever the role is set to. What asks for more than this server's disk is left as it is.
        let asynchronous = session.simple("SHOW synchronous_commit").await?.as_deref() == Some("off");
        if asynchronous {
            session.run("SET synchronous_commit = on").await?;
        }
        // So that a server notices soon that this program is gone. Not every server knows them.
        let alive =
            "SET tcp_keepalives_idle = 10; SET tcp_keepalives_interval = 5; SET tcp_keepalives_count = 3";
        match session.run(alive).await {
            Err(trouble) if trouble.code.is_none() => Err(trouble),
            _ => Ok(session),
        }
    }

    pub(crate) fn place(&self) -> &str {
        &self.place
    }

    /// Whether it is known to be of no use any more.
    pub(crate) fn is_closed(&self) -> bool {
        self.client.is_closed()
    }

    /// Asks.
    pub(crate) async fn query(&self, sql: &'static str, params: Params<'_>) -> Result<Vec<Row>, Trouble> {
        let statement = self.statement(sql).await.map_err(|trouble| Trouble { is_open: false, ..trouble })?;
        self.timed(self.client.query(&statement, params)).await
    }

    /// Does, and says to how many rows.
    pub(crate) async fn execute(&self, sql: &'static str, params: Params<'_>) -> Result<u64, Trouble> {
        let statement = self.statement(sql).await.map_err(|trouble| Trouble { is_open: false, ..trouble })?;
        self.timed(self.client.execute(&statement, params)).await
    }

    /// Does several things.
    pub(crate) async fn run(&self, sql: &str) -> Result<(), Trouble> {
        self.timed(self.client.batch_execute(sql)).await
    }

    /// The first column of the first row.
    pub(crate) async fn simple(&self, sql: &str) -> Result<Option<String>, Trouble> {
        use tokio_postgres::SimpleQueryMessage::Row;
        let messages = self.timed(self.client.simple_query(sql)).await?;
        let mut rows =
            messages.iter().filter_map(|message| if let Row(row) = message { row.get(0) } else { None });
        Ok(rows.next().map(str::to_owned))
    }

    async fn statement(&self, sql: &'static str) -> Result<Statement, Trouble> {
        let known = self.statements.lock().get(sql).cloned();
        if let Some(known) = known {
            return Ok(known);
        }
        let prepared = self.timed(self.client.prepare(sql)).await?;
        self.statements.lock().insert(sql, prepared.clone());
        Ok(prepared)
    }

    async fn timed<T>(
        &self,
        asked: impl Future<Output = Result<T, tokio_postgres::Error>>,
    ) -> Result<T, Trouble> {
        match within(&self.env, self.within, asked).await {
            Some(answered) => answered.map_err(|error| Trouble::of(&error, &self.place)),
            None => Err(Trouble::late("waiting for an answer", &self.place)),
        }
    }
}

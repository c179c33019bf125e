//! What is asked of a server so that a batch can be planned and stored?
//!
//! Each function is one or a few statements on one connection, and brings what it learns into the memory.

use std::collections::{BTreeMap, BTreeSet};

use super::faults::Trouble;
use super::memory::{Lane, Memory};
use super::plan::Plan;
use super::rows::columns;
use super::schema;
use super::session::Session;
use crate::backend::{Append, Delete};
use crate::id::{Epoch, PersistenceId};

/// How often a claim is tried that others come before.
const CLAIMS: usize = 16;

fn lanes(wanted: &BTreeMap<u32, u64>) -> (Vec<i32>, Vec<i64>) {
    wanted.iter().map(|(slice, epoch)| (slice.cast_signed(), epoch.cast_signed())).unzip()
}

/// Takes lanes for this connection. What an earlier one left on its way is stored or refused when this is done. The answer are the epochs of those slices that
/// belong to somebody else.
pub(crate) async fn hold(
    session: &Session,
    memory: &mut Memory,
    wanted: &BTreeMap<u32, u64>,
) -> Result<BTreeMap<u32, u64>, Trouble> {
    let (slices, epochs) = lanes(wanted);
    let rows = session.query(schema::HOLD, &[&slices, &epochs, &session.number]).await?;
    let held: BTreeSet<i32> = rows.iter().map(|row| row.get(0)).collect();
    let mut fences = BTreeMap::new();
    for row in session.query(schema::ORDINALS, &[&slices]).await? {
        let (number, epoch, ordinal): (i32, i64, i64) = (row.get(0), row.get(1), row.get(2));
        let (slice, epoch) = (number.cast_unsigned(), epoch.cast_unsigned());
        if held.contains(&number) && wanted.get(&slice) == Some(&epoch) {
            memory.hold(slice, epoch, ordinal.cast_unsigned());
        } else {
            fences.insert(slice, epoch);
        }
    }
    Ok(fences)
}

/// The epochs of slices.
pub(crate) async fn fences(
    session: &Session,
    slices: impl IntoIterator<Item = u32>,
) -> Result<BTreeMap<u32, u64>, Trouble> {
    let slices: Vec<i32> = slices.into_iter().map(u32::cast_signed).collect();
    let rows = session.query(schema::EPOCHS, &[&slices]).await?;
    let of = |row: &tokio_postgres::Row| {
        (row.get::<_, i32>(0).cast_unsigned(), row.get::<_, i64>(1).cast_unsigned())
    };
    Ok(rows.iter().map(of).collect())
}

/// Raises the epochs of slices. A raise that arrives late, of a connection that was lost, finds another epoch than it expects and does nothing.
pub(crate) async fn claim(
    session: &Session,
    memory: &mut Memory,
    slices: &BTreeSet<u32>,
) -> Result<BTreeMap<u32, Epoch>, Trouble> {
    let (mut open, mut claimed) = (slices.clone(), BTreeMap::new());
    for _ in 0..CLAIMS {
        let known = fences(session, open.iter().copied()).await?;
        let next =
            open.iter().map(|slice| (*slice, known.get(slice).copied().unwrap_or_default() + 1)).collect();
        let (numbers, epochs) = lanes(&next);
        for row in session.query(schema::CLAIM, &[&numbers, &epochs, &session.number]).await? {
            let (slice, epoch): (i32, i64) = (row.get(0), row.get(1));
            open.remove(&slice.cast_unsigned());
            claimed.insert(slice.cast_unsigned(), Epoch::new(epoch.cast_unsigned()));
        }
        if open.is_empty() {
            break;
        }
    }
    let numbers: Vec<i32> = claimed.keys().map(|slice| slice.cast_signed()).collect();
    for row in session.query(schema::ORDINALS, &[&numbers]).await? {
        let (slice, ordinal) = (row.get::<_, i32>(0).cast_unsigned(), row.get::<_, i64>(2).cast_unsigned());
        if let Some(epoch) = claimed.get(&slice) {
            memory.hold(slice, epoch.get(), ordinal);
        }
    }
    Ok(claimed)
}

/// Learns the last sequences of ids whose slices are held.
pub(crate) async fn learn(
    session: &Session,
    memory: &mut Memory,
    strangers: &BTreeMap<PersistenceId, u32>,
) -> Result<(), Trouble> {
    let ids: Vec<&str> = strangers.keys().map(PersistenceId::as_str).collect();
    let rows = session.query(schema::LASTS, &[&ids]).await?;
    let lasts: BTreeMap<&str, i64> = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
    for (id, &slice) in strangers {
        if let Some(lane) = memory.lane(slice) {
            let last = lasts.get(id.as_str()).copied().unwrap_or_default();
            memory.learn(id.clone(), lane, last.cast_unsigned());
        }
    }
    Ok(())
}

/// Stores what was planned, and says which lanes stood.
pub(crate) async fn append<'a>(
    session: &Session,
    plan: &Plan,
    appends: impl Iterator<Item = &'a Append>,
) -> Result<BTreeSet<u32>, Trouble> {
    let it = columns(appends, plan);
    let rows = session
        .query(
            schema::APPEND,
            &[
                &it.lanes.0,
                &it.lanes.1,
                &session.number,
                &it.new.0,
                &it.new.1,
                &it.tag.0,
                &it.tag.1,
                &it.tag.2,
                &it.slices,
                &it.ordinals,
                &it.ids,
                &it.sequences,
                &it.timestamps,
                &it.versions,
                &it.checksums,
                &it.names,
                &it.tags,
                &it.metadata,
                &it.payloads,
            ],
        )
        .await?;
    Ok(rows.iter().map(|row| row.get::<_, i32>(0).cast_unsigned()).collect())
}

/// Marks events as deleted, whose lane is held. `false`: it did not stand.
pub(crate) async fn delete(session: &Session, lane: Lane, delete: &Delete) -> Result<bool, Trouble> {
    let (slice, epoch, ordinal) =
        (delete.slice.get().cast_signed(), lane.epoch.cast_signed(), lane.ordinal.cast_signed());
    let to = i64::try_from(delete.to.get()).unwrap_or(i64::MAX);
    let params: [&(dyn tokio_postgres::types::ToSql + Sync); 6] =
        [&slice, &epoch, &session.number, &ordinal, &delete.id.as_str(), &to];
    Ok(!session.query(schema::DELETE, &params).await?.is_empty())
}

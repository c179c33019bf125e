//! Which tables does the journal have on a server, how do they come there, and what is asked of them?
//!
//! Migrations go forward only: each one is a step from the version before, and none is changed once a journal may have it.
//!
//! Names of events, tags and leases are bytes, because they may hold any text and PostgreSQL's `text` may not hold U+0000. Ids have no control characters, so they are
//! text in the order of their bytes.

/// The version that this program speaks: that of the last migration.
pub(crate) const VERSION: i32 = 3;

/// The key of the advisory lock that is held while tables are made: "omnitron" in ASCII.
pub(crate) const LOCK: i64 = 0x6f6d_6e69_7472_6f6e;

/// The tables, and what the user needs of each.
pub(crate) const TABLES: &[&str] = &[
    "omnitron_journal",
    "omnitron_fence",
    "omnitron_id",
    "omnitron_event",
    "omnitron_tag",
    "omnitron_snapshot",
    "omnitron_lease",
];
pub(crate) const RIGHTS: &[&str] = &["SELECT", "INSERT", "UPDATE", "DELETE"];

/// From nothing to version 1, from 1 to 2, and so on.
pub(crate) const MIGRATIONS: &[&str] = &[
    // 1: events.
    r#"
CREATE TABLE omnitron_journal (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    version int4 NOT NULL,
    journal int8, -- the identity; null until the journal is created
    server int4,
    servers int4,
    slices int4,
    complete boolean NOT NULL DEFAULT false
);
INSERT INTO omnitron_journal (version) VALUES (0);
CREATE TABLE omnitron_fence (
    slice int4 PRIMARY KEY,
    epoch int8 NOT NULL,
    session int8 NOT NULL, -- of the connection that may write
    ordinal int8 NOT NULL DEFAULT 0 -- no event that was deleted had a higher one
) WITH (fillfactor = 50);
CREATE TABLE omnitron_id (
    id text COLLATE "C" PRIMARY KEY,
    slice int4 NOT NULL,
    deleted int8 NOT NULL DEFAULT 0, -- events up to here are deleted
    swept int8 NOT NULL DEFAULT 0 -- and up to here they are gone
);
CREATE INDEX omnitron_id_unswept ON omnitron_id (id) WHERE swept < deleted;
CREATE TABLE omnitron_event (
    slice int4 NOT NULL,
    ordinal int8 NOT NULL,
    id text COLLATE "C" NOT NULL,
    sequence int8 NOT NULL,
    timestamp_ms int8 NOT NULL,
    version int4 NOT NULL,
    checksum int4 NOT NULL,
    name bytea NOT NULL,
    tags bytea,
    metadata bytea,
    payload bytea NOT NULL,
    PRIMARY KEY (id, sequence),
    UNIQUE (slice, ordinal)
);
CREATE TABLE omnitron_tag (
    slice int4 NOT NULL,
    tag bytea NOT NULL,
    ordinal int8 NOT NULL,
    PRIMARY KEY (slice, tag, ordinal)
)"#,
    // 2: snapshots.
    r#"
CREATE TABLE omnitron_snapshot (
    id text COLLATE "C" NOT NULL,
    sequence int8 NOT NULL,
    timestamp_ms int8 NOT NULL,
    version int4 NOT NULL,
    checksum int4 NOT NULL,
    name bytea NOT NULL,
    state bytea NOT NULL,
    PRIMARY KEY (id, sequence)
)"#,
    // 3: leases.
    r"
CREATE TABLE omnitron_lease (
    name bytea PRIMARY KEY,
    holder bytea NOT NULL,
    epoch int8 NOT NULL,
    beat int8 NOT NULL,
    term_ms int8 NOT NULL
)",
];

/// Takes the slices $1 of the epochs $2 for the session $3. In the order of the slices, so that two who do it do not wait for each other.
pub(crate) const HOLD: &str = r"
WITH mine AS MATERIALIZED (
    SELECT f.slice FROM unnest($1::int4[], $2::int8[]) AS l(slice, epoch)
    JOIN omnitron_fence f ON f.slice = l.slice AND f.epoch = l.epoch
    ORDER BY f.slice FOR UPDATE OF f
)
UPDATE omnitron_fence f SET session = $3 FROM mine WHERE f.slice = mine.slice RETURNING f.slice";

/// The epochs of the slices $1.
pub(crate) const EPOCHS: &str = "SELECT slice, epoch FROM omnitron_fence WHERE slice = ANY($1::int4[])";

/// Raises the slices $1 to the epochs $2, each one more than it was, for the session $3.
pub(crate) const CLAIM: &str = r"
INSERT INTO omnitron_fence AS f (slice, epoch, session)
SELECT slice, epoch, $3 FROM unnest($1::int4[], $2::int8[]) AS l(slice, epoch) ORDER BY slice
ON CONFLICT (slice) DO UPDATE SET epoch = excluded.epoch, session = excluded.session
WHERE f.epoch = excluded.epoch - 1
RETURNING f.slice, f.epoch";

/// The epoch and the last ordinal of the slices $1. A statement of its own, behind the one that takes a slice: that one may have waited for events which it does not see.
pub(crate) const ORDINALS: &str = r"
SELECT f.slice, f.epoch, greatest(f.ordinal,
    coalesce((SELECT max(e.ordinal) FROM omnitron_event e WHERE e.slice = f.slice), 0))
FROM omnitron_fence f WHERE f.slice = ANY($1::int4[])";

/// The last sequences of the ids $1. One that never had an event is not in the answer.
pub(crate) const LASTS: &str = r"
SELECT i.id, greatest(i.deleted,
    coalesce((SELECT max(e.sequence) FROM omnitron_event e WHERE e.id = i.id), 0))
FROM omnitron_id i WHERE i.id = ANY($1::text[])";

/// Appends what belongs to lanes that stand, and says which do: slices $1 in epochs $2, held by the session $3.
pub(crate) const APPEND: &str = r"
WITH held AS MATERIALIZED (
    SELECT f.slice FROM unnest($1::int4[], $2::int8[]) AS l(slice, epoch)
    JOIN omnitron_fence f ON f.slice = l.slice AND f.epoch = l.epoch AND f.session = $3
    ORDER BY f.slice FOR SHARE OF f
), known AS (
    INSERT INTO omnitron_id (id, slice)
    SELECT i.id, i.slice FROM unnest($4::text[], $5::int4[]) AS i(id, slice) JOIN held ON held.slice = i.slice
    ON CONFLICT (id) DO NOTHING
), tagged AS (
    INSERT INTO omnitron_tag (slice, tag, ordinal)
    SELECT t.slice, t.tag, t.ordinal FROM unnest($6::int4[], $7::bytea[], $8::int8[]) AS t(slice, tag, ordinal)
    JOIN held ON held.slice = t.slice
), appended AS (
    INSERT INTO omnitron_event (slice, ordinal, id, sequence, timestamp_ms, version, checksum, name, tags, metadata, payload)
    SELECT e.* FROM unnest($9::int4[], $10::int8[], $11::text[], $12::int8[], $13::int8[], $14::int4[], $15::int4[],
        $16::bytea[], $17::bytea[], $18::bytea[], $19::bytea[])
        AS e(slice, ordinal, id, sequence, timestamp_ms, version, checksum, name, tags, metadata, payload)
    JOIN held ON held.slice = e.slice
)
SELECT slice FROM held";

/// Marks the events of the id $5 up to $6 as deleted, if the slice $1 is held in epoch $2 by the session $3; $4 is its last ordinal.
pub(crate) const DELETE: &str = r"
WITH held AS (
    UPDATE omnitron_fence SET ordinal = greatest(ordinal, $4)
    WHERE slice = $1 AND epoch = $2 AND session = $3 RETURNING slice
), deleted AS (
    UPDATE omnitron_id i SET deleted = greatest(i.deleted, least($6,
        coalesce((SELECT max(e.sequence) FROM omnitron_event e WHERE e.id = i.id), 0)))
    FROM held WHERE i.id = $5
)
SELECT slice FROM held";

/// Ids with events that are deleted and not gone.
pub(crate) const UNSWEPT: &str =
    "SELECT id, swept, deleted FROM omnitron_id WHERE swept < deleted ORDER BY id LIMIT 64";
/// Where the tags of the events of $1 behind $2 up to $3 are.
pub(crate) const SWEPT_TAGS: &str = r"
SELECT slice, ordinal, tags FROM omnitron_event
WHERE id = $1 AND sequence > $2 AND sequence <= $3 AND tags IS NOT NULL";
pub(crate) const SWEEP_TAGS: &str = r"
DELETE FROM omnitron_tag t USING unnest($1::int4[], $2::bytea[], $3::int8[]) AS d(slice, tag, ordinal)
WHERE t.slice = d.slice AND t.tag = d.tag AND t.ordinal = d.ordinal";
pub(crate) const SWEEP: &str = r"
WITH gone AS (DELETE FROM omnitron_event WHERE id = $1 AND sequence > $2 AND sequence <= $3)
UPDATE omnitron_id SET swept = $3 WHERE id = $1 AND swept < $3";

/// Events of the id $1 behind $2 up to $3: at most $4, and no more once they have $5 bytes.
pub(crate) const READ: &str = r"
SELECT slice, ordinal, id, sequence, timestamp_ms, version, checksum, name, tags, metadata, payload FROM (
    SELECT e.*, sum(octet_length(e.payload)) OVER (ORDER BY e.sequence) - octet_length(e.payload) AS before
    FROM (
        SELECT * FROM omnitron_event
        WHERE id = $1 AND sequence <= $3
        AND sequence > greatest($2, coalesce((SELECT deleted FROM omnitron_id WHERE id = $1), 0))
        ORDER BY sequence LIMIT $4
    ) e
) e WHERE before < $5 ORDER BY sequence";

/// Events of the slices $1 behind the ordinals $2: at most $3 of each, and no more once they have $4 bytes.
pub(crate) const READ_SLICES: &str = r"
SELECT slice, ordinal, id, sequence, timestamp_ms, version, checksum, name, tags, metadata, payload FROM (
    SELECT e.*, sum(octet_length(e.payload)) OVER (ORDER BY e.slice, e.ordinal) - octet_length(e.payload) AS before
    FROM unnest($1::int4[], $2::int8[]) AS s(slice, after)
    CROSS JOIN LATERAL (
        SELECT * FROM omnitron_event e WHERE e.slice = s.slice AND e.ordinal > s.after ORDER BY e.ordinal LIMIT $3
    ) e
) e WHERE before < $4 ORDER BY slice, ordinal";

/// The same, of those with the tag $5.
pub(crate) const READ_TAGGED: &str = r"
SELECT slice, ordinal, id, sequence, timestamp_ms, version, checksum, name, tags, metadata, payload FROM (
    SELECT e.*, sum(octet_length(e.payload)) OVER (ORDER BY e.slice, e.ordinal) - octet_length(e.payload) AS before
    FROM unnest($1::int4[], $2::int8[]) AS s(slice, after)
    CROSS JOIN LATERAL (
        SELECT e.* FROM omnitron_tag t JOIN omnitron_event e ON e.slice = t.slice AND e.ordinal = t.ordinal
        WHERE t.slice = s.slice AND t.tag = $5 AND t.ordinal > s.after ORDER BY t.ordinal LIMIT $3
    ) e
) e WHERE before < $4 ORDER BY slice, ordinal";

/// Up to where the events of the id $1 are deleted.
pub(crate) const DELETED: &str = "SELECT deleted FROM omnitron_id WHERE id = $1";

/// Ids from $1 on and before $2, behind $3: at most $4.
pub(crate) const IDS: &str = r"
SELECT id FROM omnitron_id WHERE id >= $1 AND ($2::text IS NULL OR id < $2) AND ($3::text IS NULL OR id > $3)
ORDER BY id LIMIT $4";

pub(crate) const SAVE: &str = r"
INSERT INTO omnitron_snapshot (id, sequence, timestamp_ms, version, checksum, name, state)
VALUES ($1, $2, $3, $4, $5, $6, $7)
ON CONFLICT (id, sequence) DO UPDATE SET timestamp_ms = excluded.timestamp_ms, version = excluded.version,
    checksum = excluded.checksum, name = excluded.name, state = excluded.state";
/// Keeps the newest $2 of the id $1.
pub(crate) const KEEP: &str = r"
DELETE FROM omnitron_snapshot WHERE id = $1 AND sequence <=
    (SELECT sequence FROM omnitron_snapshot WHERE id = $1 ORDER BY sequence DESC OFFSET $2 LIMIT 1)";
/// The newest one of the id $1 whose sequence is at most $2.
pub(crate) const LOAD: &str = r"
SELECT sequence, timestamp_ms, version, checksum, name, state FROM omnitron_snapshot
WHERE id = $1 AND sequence <= $2 ORDER BY sequence DESC LIMIT 1";
pub(crate) const FORGET: &str = "DELETE FROM omnitron_snapshot WHERE id = $1 AND sequence <= $2";

pub(crate) const LEASE: &str = "SELECT holder, epoch, beat, term_ms FROM omnitron_lease WHERE name = $1";
pub(crate) const LEASE_FIRST: &str = r"
INSERT INTO omnitron_lease (name, holder, epoch, beat, term_ms) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (name) DO NOTHING";
pub(crate) const LEASE_NEXT: &str = r"
UPDATE omnitron_lease SET holder = $2, epoch = $3, beat = $4, term_ms = $5
WHERE name = $1 AND epoch = $6 AND beat = $7";

/// What a server says of itself.
pub(crate) const IDENTITY: &str =
    "SELECT version, journal, server, servers, slices, complete FROM omnitron_journal";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_that_of_the_last_migration() {
        assert_eq!(usize::try_from(VERSION), Ok(MIGRATIONS.len()));
    }
}

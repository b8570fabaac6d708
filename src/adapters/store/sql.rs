//! Every statement of the store, in one place so that a test can ask for the plan of each.

use super::session::Sql;

/// Declares statements and the list of all of them. `a | b` is a statement that SQLite (`a`) and
/// PostgreSQL (`b`) say differently; empty: that database needs none.
macro_rules! statements {
    ($($(#[$doc:meta])* $name:ident = $sqlite:expr $(, $postgres:expr)?;)*) => {
        $($(#[$doc])* pub const $name: Sql = statements!(@one $sqlite $(, $postgres)?);)*

        #[cfg(test)]
        pub const ALL: &[(&str, Sql)] = &[$((stringify!($name), $name)),*];
    };
    (@one $both:expr) => { Sql::both($both) };
    (@one $sqlite:expr, $postgres:expr) => { Sql { sqlite: $sqlite, postgres: $postgres } };
}

macro_rules! binding_columns {
    () => {
        "product, serial, fingerprint, spki, uid, run, open, imported, claimed_seq"
    };
}

/// An identity that an imported row gave to unit (`$product`, `$serial`) in contradiction to something
/// else: burned for every unit but this one, which QA may rule to have it. What the unit held once and lost
/// is none.
macro_rules! contradicted_own {
    ($product:literal, $serial:literal) => {
        concat!(
            "product = ",
            $product,
            " AND serial = ",
            $serial,
            " AND open = 0 AND imported = 1
            AND EXISTS (SELECT 1 FROM imported_rows i WHERE i.seq = claimed_seq AND i.conflicts > 0)"
        )
    };
}

/// The unit of the HELD run `h` was HELD for its board, which came back and passed in another run: nothing
/// is left to finish.
macro_rules! came_back {
    () => {
        "(h.reason = 'A-346' AND EXISTS (SELECT 1 FROM runs p WHERE p.product = h.product AND p.serial = h.serial
            AND p.verdict = 'PASS' AND p.first_seq > h.first_seq))"
    };
}

/// An entry of a batch's shipment manifest that has `$part` in common with what was asked for.
macro_rules! entries_by {
    ($part:literal) => {
        concat!(
            "SELECT e.seq, m.seq, e.line, e.uid, e.fingerprint, e.spki, e.consumed_seq, e.product, e.serial,
                e.certificate, e.run FROM manifest_entries e JOIN manifests m ON m.list = e.list
            WHERE m.batch = ?1 AND ",
            $part
        )
    };
}

/// Is there an entry in ?1's manifest that the chip of `r` has `$part` of, and is all it says so?
macro_rules! listed_by {
    ($part:literal) => {
        concat!(
            "EXISTS (SELECT 1 FROM manifest_entries e JOIN manifests m ON m.list = e.list
                WHERE m.batch = ?1 AND ",
            $part,
            " AND (e.uid IS NULL OR e.uid = r.uid)
                AND (e.fingerprint IS NULL OR e.fingerprint = r.fingerprint) AND (e.spki IS NULL OR e.spki = r.spki))"
        )
    };
}

/// The rows of `bindings` that share the identity (?1, ?2, ?3), or are the unit's (?4, ?5), by index.
macro_rules! bindings_of {
    ($columns:expr) => {
        concat!(
            "SELECT ",
            $columns,
            " FROM bindings WHERE fingerprint = ?1 AND NOT (",
            contradicted_own!("?4", "?5"),
            ")
            UNION ALL SELECT ",
            $columns,
            " FROM bindings WHERE spki = ?2 AND NOT (",
            contradicted_own!("?4", "?5"),
            ")
            UNION ALL SELECT ",
            $columns,
            " FROM bindings WHERE uid = ?3 AND NOT (",
            contradicted_own!("?4", "?5"),
            ")
            UNION ALL SELECT ",
            $columns,
            " FROM bindings WHERE product = ?4 AND serial = ?5 AND open = 1"
        )
    };
}

macro_rules! project_bound {
    ($taken:literal) => {
        concat!(
            "INSERT INTO bindings (claimed_seq, product, serial, fingerprint, spki, uid, run, open, imported)
            VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, 1, ?8)",
            $taken
        )
    };
}

/// Is there one that the chip of `r` has `$part` of, and that says something else besides? The chip is refused for it
/// (S-117), whatever another list says.
macro_rules! listed_otherwise_by {
    ($part:literal) => {
        concat!(
            "EXISTS (SELECT 1 FROM manifest_entries e JOIN manifests m ON m.list = e.list
                WHERE m.batch = ?1 AND ",
            $part,
            " AND ((e.uid IS NOT NULL AND (r.uid IS NULL OR e.uid <> r.uid))
                OR (e.fingerprint IS NOT NULL AND e.fingerprint <> r.fingerprint)
                OR (e.spki IS NOT NULL AND e.spki <> r.spki)))"
        )
    };
}

macro_rules! record_columns {
    () => {
        "seq, kind, run, station, product, serial, batch, operator_id, thing, fingerprint, uid, verdict, reason,
            started_ns, finished_ns"
    };
}

/// What every search narrows by besides the index that leads it. ?1 to ?3 are the beginnings of
/// serial, thing and UID; ?4 product, ?5 batch, ?6 reason, ?7 verdict; ?8 says whether ?9, the
/// operator, counts; ?10 to ?11 the time (with a plus, lest a database lets it lead where it is open). The plus keeps SQLite from being led by the time.
macro_rules! record_filter {
    () => {
        "(CAST(?1 AS TEXT) IS NULL OR substr(serial, 1, length(?1)) = ?1)
            AND (CAST(?2 AS TEXT) IS NULL OR substr(thing, 1, length(?2)) = ?2)
            AND (CAST(?3 AS TEXT) IS NULL OR substr(uid, 1, length(?3)) = ?3)
            AND (CAST(?4 AS TEXT) IS NULL OR product = ?4)
            AND (CAST(?5 AS TEXT) IS NULL OR batch = ?5)
            AND (CAST(?6 AS TEXT) IS NULL OR reason = ?6)
            AND (CAST(?7 AS TEXT) IS NULL OR verdict = ?7)
            AND (CAST(?8 AS BIGINT) = 0 OR operator_id = ?9)
            AND +started_ns >= ?10 AND +started_ns <= ?11"
    };
}

/// Ordered by a column that is led by its beginning: from ?12 (after event ?13 of it) to before ?14.
macro_rules! records_by_prefix {
    ($column:literal) => {
        concat!(
            "SELECT ",
            record_columns!(),
            " FROM records WHERE ",
            record_filter!(),
            " AND (",
            $column,
            ", seq) > (?12, ?13) AND ",
            $column,
            " < ?14 ORDER BY ",
            $column,
            ", seq LIMIT ?15"
        )
    };
}

/// Newest first, led by a column that equals ?12: before event ?13.
macro_rules! records_by_value {
    ($column:literal) => {
        concat!(
            "SELECT ",
            record_columns!(),
            " FROM records WHERE ",
            record_filter!(),
            " AND ",
            $column,
            " = ?12 AND seq < ?13 ORDER BY seq DESC LIMIT ?14"
        )
    };
}

/// A run `h` as reports have it.
macro_rules! reported {
    ($from:literal, $where:literal, $order:literal) => {
        concat!(
            "SELECT h.first_seq, h.run, h.station, h.lane, h.product, h.serial, h.batch, h.operator_id, h.thing,
                h.fingerprint, h.uid, h.started_ns, coalesce(h.finished_ns, h.started_ns), h.verdict, h.reason,
                CAST(CASE WHEN h.begun_seq > h.first_seq THEN 1 ELSE 0 END AS BIGINT),
                CAST(CASE WHEN h.verdict = 'HELD' AND ",
            came_back!(),
            " THEN 1 ELSE 0 END AS BIGINT),
                CAST(CASE WHEN EXISTS (SELECT 1 FROM locks l WHERE l.product = h.product AND l.serial = h.serial
                    AND l.kind = 'scrapped') THEN 1 ELSE 0 END AS BIGINT), h.sealed_seq
            FROM ",
            $from,
            " WHERE h.verdict IS NOT NULL AND ",
            $where,
            " ORDER BY ",
            $order
        )
    };
}

statements! {
    /// Nobody else's transaction gets past it while this one lasts. SQLite has locked the whole file.
    LOCK_TREE_HEAD = "SELECT size, edge, root FROM tree_head WHERE one = 1",
        "SELECT size, edge, root FROM tree_head WHERE one = 1 FOR UPDATE";
    TREE_HEAD = "SELECT size, edge, root FROM tree_head WHERE one = 1";
    NEXT_SEQ = "SELECT coalesce(max(seq) + 1, 0) FROM events";
    SET_TREE_HEAD = "UPDATE tree_head SET size = ?1, edge = ?2, root = ?3 WHERE one = 1";
    INSERT_EVENT = "INSERT INTO events (seq, id, bytes, leaf_hash) VALUES (?1, ?2, ?3, ?4)";
    EVENT_BY_ID = "SELECT seq, bytes, leaf_hash FROM events WHERE id = ?1";
    RECEIPT_BY_ID = "SELECT seq, leaf_hash FROM events WHERE id = ?1";
    EVENTS_FROM = "SELECT seq, bytes, leaf_hash FROM events WHERE seq >= ?1 ORDER BY seq LIMIT ?2";
    EVENTS_WITH_ID_FROM = "SELECT seq, bytes, leaf_hash, id FROM events WHERE seq >= ?1 ORDER BY seq LIMIT ?2";
    EVENT_BY_SEQ = "SELECT seq, bytes, leaf_hash FROM events WHERE seq = ?1";
    EVENTS_OF_RUN = "SELECT e.seq, e.bytes, e.leaf_hash FROM run_events r JOIN events e ON e.seq = r.seq
        WHERE r.run = ?1 ORDER BY r.seq";
    LAST_OF_RUN = "SELECT seq FROM run_events WHERE run = ?1 ORDER BY seq DESC LIMIT 1";
    /// Of the leaves, and of the nodes above them, whose numbers ?1 lists with commas.
    LEAF_HASHES = "SELECT seq, leaf_hash FROM events WHERE seq IN (SELECT value FROM json_each('[' || ?1 || ']'))",
        "SELECT seq, leaf_hash FROM events WHERE seq = ANY (CAST(string_to_array(CAST(?1 AS TEXT), ',') AS BIGINT[]))";
    HASHES = "SELECT position, hash FROM hashes WHERE position IN (SELECT value FROM json_each('[' || ?1 || ']'))",
        "SELECT position, hash FROM hashes
            WHERE position = ANY (CAST(string_to_array(CAST(?1 AS TEXT), ',') AS BIGINT[]))";
    LEAF_HASHES_FROM = "SELECT leaf_hash FROM events WHERE seq >= ?1 ORDER BY seq LIMIT ?2";
    HASH_COUNT = "SELECT count(*) FROM (SELECT position FROM hashes LIMIT 1) AS first";
    HASHES_FROM = "SELECT position, hash FROM hashes WHERE position >= ?1 ORDER BY position LIMIT ?2";
    FORGET_BYTES = "UPDATE events SET bytes = ?2 WHERE seq = ?1";
    OLDEST_OPEN_RUN = concat!("SELECT min(first_seq) FROM (
            SELECT min(h.first_seq) AS first_seq FROM runs h WHERE h.verdict = 'HELD' AND NOT ", came_back!(), "
            UNION ALL SELECT min(first_seq) FROM runs WHERE verdict IS NULL) AS open_runs");
    OLDEST_UNSETTLED = "SELECT min(r.first_seq) FROM labels l JOIN runs r ON r.run = l.run
        WHERE l.state NOT IN ('printed', 'none')";

    CHECKPOINTS_FROM = "SELECT size, note FROM checkpoints WHERE size >= ?1 ORDER BY size LIMIT ?2";
    CHECKPOINT = "SELECT size, note FROM checkpoints WHERE size = ?1";
    LATEST_CHECKPOINT = "SELECT size, note FROM checkpoints ORDER BY size DESC LIMIT 1";
    KEEP_CHECKPOINT = "INSERT INTO checkpoints (size, note) VALUES (?1, ?2)
        ON CONFLICT (size) DO UPDATE SET note = excluded.note";

    PEOPLE_FROM = "SELECT id, name, salt, name_sha256 FROM people WHERE id > ?1 ORDER BY id LIMIT ?2";
    CREDENTIALS_FROM = "SELECT id, pin_hash, failures, locked_until_ns, badge_hash FROM credentials
        WHERE id > ?1 ORDER BY id LIMIT ?2";
    TEXTS_FROM = "SELECT id, salt, words FROM texts WHERE id > ?1 ORDER BY id LIMIT ?2";
    /// Whatever is copied into it has to be there alone.
    ANYTHING = "SELECT 1 FROM tree_head WHERE size > 0 UNION ALL SELECT 1 FROM people
        UNION ALL SELECT 1 FROM credentials UNION ALL SELECT 1 FROM texts UNION ALL SELECT 1 FROM checkpoints LIMIT 1";

    UNFINISHED = "SELECT run FROM runs WHERE station = ?1 AND verdict IS NULL ORDER BY first_seq";
    HELD_COUNT = concat!("SELECT count(*) FROM runs h WHERE h.verdict = 'HELD' AND NOT ", came_back!());
    HELD = concat!("SELECT run FROM runs h WHERE h.verdict = 'HELD' AND NOT ", came_back!(), " ORDER BY h.first_seq");
    /// A slip has the number of its run's first event.
    RUN_OF_SLIP = "SELECT run FROM runs WHERE first_seq = ?1";
    RUN_OF_CAPTURED = "SELECT run FROM captures WHERE station = ?1 AND slip = ?2 ORDER BY seq DESC LIMIT 1";
    UNEXPORTED = "SELECT r.run FROM runs r WHERE r.verdict = 'HELD'
            AND NOT EXISTS (SELECT 1 FROM exported_runs e WHERE e.run = r.run) ORDER BY r.first_seq";
    LATEST = "SELECT run FROM runs WHERE sealed_seq IS NOT NULL ORDER BY sealed_seq DESC LIMIT ?1";
    UNSETTLED = "SELECT run FROM labels WHERE station = ?1 AND state NOT IN ('printed', 'none') ORDER BY owed_seq";
    RUNS_OF_UNIT = "SELECT run FROM runs WHERE product = ?1 AND serial = ?2 ORDER BY first_seq";
    OPERATORS_OF_UNIT = "SELECT DISTINCT operator_id FROM runs
        WHERE product = ?1 AND serial = ?2 AND operator_id IS NOT NULL";
    /// Units by the verdict of the run that was sealed last.
    TALLY_LATEST = concat!("SELECT verdict, count(*) FROM (
            SELECT verdict, row_number() OVER (PARTITION BY product, serial ORDER BY sealed_seq DESC) AS n FROM runs h
            WHERE batch = ?1 AND serial IS NOT NULL AND verdict IN ('PASS', 'FAIL', 'ERROR', 'HELD')
                AND NOT (verdict = 'HELD' AND ", came_back!(), ")) AS latest
        WHERE n = 1 GROUP BY verdict");
    /// Units by the verdict of the first counted attempt.
    TALLY_FIRST = "SELECT verdict, count(*) FROM (
            SELECT verdict, row_number() OVER (PARTITION BY product, serial ORDER BY first_seq) AS n FROM runs
            WHERE batch = ?1 AND serial IS NOT NULL AND verdict IN ('PASS', 'FAIL', 'ERROR')) AS first
        WHERE n = 1 GROUP BY verdict";

    REPORTED_IN_BATCH = "SELECT count(*) FROM runs WHERE batch = ?1";
    /// By units. The plus keeps a database from being led by the time.
    REPORTED = reported!("runs h",
        "h.serial IS NOT NULL AND (h.product, h.serial, h.first_seq) > (?1, ?2, ?3)
            AND +h.started_ns >= ?4 AND +h.started_ns < ?5 AND +h.first_seq < ?6",
        "h.product, h.serial, h.first_seq LIMIT ?7");
    REPORTED_OF_BATCH = reported!("runs h",
        "h.batch = ?8 AND h.serial IS NOT NULL AND (h.product, h.serial, h.first_seq) > (?1, ?2, ?3)
            AND +h.started_ns >= ?4 AND +h.started_ns < ?5 AND +h.first_seq < ?6",
        "h.product, h.serial, h.first_seq LIMIT ?7");
    /// All of a short time.
    REPORTED_WITHIN = reported!("records d JOIN runs h ON h.first_seq = d.seq",
        "d.kind = 'run' AND d.started_ns >= ?1 AND d.started_ns < ?2 AND h.first_seq < ?3",
        "h.serial IS NULL, h.product, h.serial, h.first_seq");
    REPORTED_OF_NO_UNIT = reported!("runs h",
        "h.serial IS NULL AND h.first_seq > ?1 AND +h.started_ns >= ?2 AND +h.started_ns < ?3 AND +h.first_seq < ?4",
        "h.first_seq LIMIT ?5");
    REPORTED_OF_NO_UNIT_IN_BATCH = reported!("runs h",
        "h.batch = ?6 AND h.serial IS NULL AND h.first_seq > ?1
            AND +h.started_ns >= ?2 AND +h.started_ns < ?3 AND +h.first_seq < ?4",
        "h.first_seq LIMIT ?5");

    /// Who holds any part of an identity, and what the unit holds: one row a binding and part.
    BINDINGS = bindings_of!(binding_columns!());
    /// … and whose the certificate is that was made for a unit's key, and what locks the unit: all that may stand
    /// against a claim.
    AGAINST = concat!(
        bindings_of!(concat!(binding_columns!(), ", 'bound', CAST(NULL AS TEXT)")),
        " UNION ALL SELECT product, serial, fingerprint, NULL, NULL, run, 0, 0, seq, 'issued', NULL
            FROM issued_certificates WHERE fingerprint = ?1
        UNION ALL SELECT product, serial, fingerprint, NULL, NULL, run, 0, 0, seq, kind, reason
            FROM locks WHERE product = ?4 AND serial = ?5");
    BINDING_OF = "SELECT claimed_seq FROM bindings WHERE product = ?1 AND serial = ?2 AND open = 1 AND fingerprint = ?3";
    BINDING_OF_UNIT = concat!(
        "SELECT ", binding_columns!(), " FROM bindings WHERE product = ?1 AND serial = ?2 AND open = 1");
    /// Certificates that rebinds took from the unit, oldest first; twice, where two named it.
    REPLACED = "SELECT b.fingerprint FROM rulings r JOIN bindings b ON b.fingerprint = r.old_fingerprint
        WHERE r.product = ?1 AND r.serial = ?2 AND r.ruling = 'rebind'
            AND b.product = ?1 AND b.serial = ?2 AND b.open = 0
        ORDER BY r.seq";
    /// Whose a certificate is that was made for a unit's key.
    ISSUED_TO = "SELECT product, serial, run, seq FROM issued_certificates WHERE fingerprint = ?1";
    /// Newest first.
    ISSUED_OF_UNIT = "SELECT certificate FROM issued_certificates
        WHERE product = ?1 AND serial = ?2 AND target = ?3 ORDER BY seq DESC";
    ISSUED_ELSEWHERE = "SELECT target, certificate FROM issued_certificates
        WHERE product = ?1 AND serial = ?2 AND target <> ?3 ORDER BY seq DESC";
    ISSUED_IDS = "SELECT fingerprint FROM issued_certificates WHERE product = ?1 AND serial = ?2 ORDER BY seq";
    /// To the unit while it was bound by this certificate, oldest first.
    ISSUED_UNDER = "SELECT fingerprint FROM issued_certificates WHERE bound = ?1 ORDER BY seq";
    /// When the first request went out that nobody saw an answer of; a request of run ?4 is no other's.
    UNANSWERED = "SELECT min(asked_ns) FROM certificate_requests
        WHERE product = ?1 AND serial = ?2 AND answered = 0 AND target = ?3 AND run <> ?4";
    LOCKS = "SELECT kind, fingerprint, run, reason, seq FROM locks WHERE product = ?1 AND serial = ?2";
    /// Newest first; one event may lock several units.
    LOCKED = "SELECT kind, fingerprint, run, reason, seq, product, serial FROM locks
        WHERE (seq, product, serial, kind, fingerprint) < (?1, ?2, ?3, ?4, ?5)
        ORDER BY seq DESC, product DESC, serial DESC, kind DESC, fingerprint DESC LIMIT ?6",
        "SELECT kind, fingerprint, run, reason, seq, product, serial FROM locks
        WHERE (seq, product COLLATE \"C\", serial COLLATE \"C\", kind COLLATE \"C\", fingerprint)
            < (?1, ?2, ?3, ?4, ?5)
        ORDER BY seq DESC, product COLLATE \"C\" DESC, serial COLLATE \"C\" DESC, kind COLLATE \"C\" DESC,
            fingerprint DESC LIMIT ?6";
    /// Of which a run came to register.
    LOCKED_AFTER_REGISTER = "SELECT l.product, l.serial FROM locks l WHERE l.kind <> 'conflict'
        AND EXISTS (SELECT 1 FROM runs r WHERE r.product = l.product AND r.serial = l.serial AND r.thing IS NOT NULL)";
    OPEN_RULINGS = "SELECT id, ruling, old_fingerprint, new_fingerprint, new_spki, new_uid FROM rulings
        WHERE product = ?1 AND serial = ?2 AND used_seq IS NULL AND ruling IN ('release', 'rebind') ORDER BY seq";
    /// The ruling, not used yet, by which the unit's chip is not this one any more.
    MOVED_AWAY = "SELECT seq, new_fingerprint FROM rulings
        WHERE product = ?1 AND serial = ?2 AND used_seq IS NULL AND ruling = 'rebind' AND old_fingerprint = ?3
        ORDER BY seq LIMIT 1";
    /// … the chip of this run.
    RUN_MOVED_AWAY = "SELECT m.seq, m.new_fingerprint FROM runs r JOIN rulings m ON m.product = r.product AND m.serial = r.serial
        WHERE r.run = ?1 AND m.used_seq IS NULL AND m.ruling = 'rebind' AND m.old_fingerprint = r.fingerprint
        ORDER BY m.seq LIMIT 1";
    RULINGS_OF_UNIT = "SELECT e.seq, e.bytes, e.leaf_hash FROM rulings r JOIN events e ON e.seq = r.seq
        WHERE r.product = ?1 AND r.serial = ?2 ORDER BY r.seq";
    RULING = "SELECT e.seq, e.bytes, e.leaf_hash, r.used_seq FROM rulings r JOIN events e ON e.seq = r.seq
        WHERE r.seq = ?1";
    NEWEST_RUN = "SELECT max(begun_seq) FROM runs";
    ROLLBACK_RULING = "SELECT e.seq, e.bytes, e.leaf_hash FROM rulings r JOIN events e ON e.seq = r.seq
        WHERE r.ruling = 'rollback' ORDER BY r.seq DESC LIMIT 1";
    RULINGS_FROM = "SELECT e.seq, e.bytes, e.leaf_hash FROM rulings r JOIN events e ON e.seq = r.seq
        WHERE r.seq >= ?1 ORDER BY r.seq LIMIT ?2";
    RULING_OF_REASON = "SELECT seq FROM rulings WHERE reason_id = ?1";
    IMPORTED_OF_UNIT = "SELECT e.seq, e.bytes, e.leaf_hash FROM imported_rows i JOIN events e ON e.seq = i.seq
        WHERE i.product = ?1 AND i.serial = ?2 ORDER BY i.seq";
    IMPORTED_OTHERWISE = "SELECT seq, fingerprint FROM imported_rows
        WHERE product = ?1 AND serial = ?2 AND fingerprint <> ?3 AND conflicts > 0 ORDER BY seq LIMIT 1";
    WITHDRAWN_OF_UNIT = "SELECT e.seq, e.bytes, e.leaf_hash FROM withdrawals w JOIN events e ON e.seq = w.seq
        WHERE w.product = ?1 AND w.serial = ?2 ORDER BY w.seq";
    WITHDRAWING = "SELECT seq FROM rulings WHERE id = ?1 AND ruling = 'withdraw' AND product = ?2 AND serial = ?3";
    CONFLICTS = "SELECT e.seq, e.bytes, e.leaf_hash FROM imported_rows i JOIN events e ON e.seq = i.seq
        WHERE i.conflicts > 0 AND i.seq < ?1 ORDER BY i.seq DESC LIMIT ?2";
    /// The unit's newest label that another run owed before `?4`.
    UNIT_LABEL = "SELECT l.state FROM runs r JOIN labels l ON l.run = r.run AND l.kind = 'unit'
        WHERE r.product = ?1 AND r.serial = ?2 AND r.run <> ?3 AND l.owed_seq < ?4 AND l.state <> 'none'
        ORDER BY l.owed_seq DESC LIMIT 1";
    LABEL_OF_UNIT_OF_RUN = "SELECT l.owed_seq FROM runs me
        JOIN runs r ON r.product = me.product AND r.serial = me.serial AND r.run <> me.run
        JOIN labels l ON l.run = r.run AND l.kind = 'unit' AND l.state <> 'none'
        WHERE me.run = ?1 LIMIT 1";

    PERSON_BY_NAME = "SELECT p.id, p.name_sha256, p.name, o.role, o.disabled, p.salt
        FROM people p LEFT JOIN operators o ON o.id = p.id WHERE p.name = ?1";
    PERSON_BY_ID = "SELECT p.id, p.name_sha256, p.name, o.role, o.disabled, p.salt
        FROM people p LEFT JOIN operators o ON o.id = p.id WHERE p.id = ?1";
    OPERATORS = "SELECT p.id, p.name_sha256, p.name, o.role, o.disabled, p.salt
        FROM operators o JOIN people p ON p.id = o.id ORDER BY p.name";
    OPERATOR = "SELECT role, disabled FROM operators WHERE id = ?1";
    INSERT_PERSON = "INSERT INTO people (id, name, salt, name_sha256) VALUES (?1, ?2, ?3, ?4)";
    FORGET_PERSON = "UPDATE people SET name = NULL, salt = NULL WHERE id = ?1 AND name IS NOT NULL";
    PERSON_BY_BADGE = "SELECT p.id, p.name_sha256, p.name, o.role, o.disabled, p.salt
        FROM credentials c JOIN people p ON p.id = c.id LEFT JOIN operators o ON o.id = c.id WHERE c.badge_hash = ?1";
    CREDENTIAL = "SELECT c.pin_hash, c.failures, c.locked_until_ns, o.pin_sha256, c.badge_hash, o.badge_sha256
        FROM credentials c LEFT JOIN operators o ON o.id = c.id WHERE c.id = ?1";
    SET_BADGE = "UPDATE credentials SET badge_hash = ?2 WHERE id = ?1";
    SET_CREDENTIAL = "INSERT INTO credentials (id, pin_hash, failures, locked_until_ns) VALUES (?1, ?2, ?3, ?4)
        ON CONFLICT (id) DO UPDATE SET pin_hash = excluded.pin_hash, failures = excluded.failures,
            locked_until_ns = excluded.locked_until_ns";
    CLEAR_WRONG_PINS = "UPDATE credentials SET failures = 0, locked_until_ns = NULL WHERE id = ?1";
    FORGET_CREDENTIAL = "DELETE FROM credentials WHERE id = ?1";
    KEEP_TEXT = "INSERT INTO texts (id, salt, words) VALUES (?1, ?2, ?3)";
    TEXT = "SELECT salt, words FROM texts WHERE id = ?1";
    FORGET_TEXT = "DELETE FROM texts WHERE id = ?1";

    OPEN_BATCH = "SELECT b.name, b.profile, b.product, b.planned, b.opened_ns, b.closed_ns,
            CAST(CASE WHEN EXISTS (SELECT 1 FROM manifests m WHERE m.batch = b.name) THEN 1 ELSE 0 END AS BIGINT)
        FROM batch_stations s JOIN batches b ON b.name = s.batch
        WHERE s.station = ?1 ORDER BY s.opened_seq DESC LIMIT 1";
    BATCHES = "SELECT name, profile, product, planned, opened_ns, closed_ns,
            CAST(CASE WHEN EXISTS (SELECT 1 FROM manifests m WHERE m.batch = name) THEN 1 ELSE 0 END AS BIGINT)
        FROM batches ORDER BY opened_seq DESC";

    /// The batch of that name, where it is one of another product or profile.
    BATCH_OF_ANOTHER = "SELECT opened_seq FROM batches WHERE name = ?1 AND (profile <> ?2 OR product <> ?3)";
    BATCH_NAMED = "SELECT opened_seq FROM batches WHERE name = ?1";
    /// The run's batch, where it has a manifest.
    LISTED_BATCH_OF_RUN = "SELECT r.batch FROM runs r
        WHERE r.run = ?1 AND EXISTS (SELECT 1 FROM manifests m WHERE m.batch = r.batch)";

    ANY_MANIFEST = "SELECT seq FROM manifests WHERE batch = ?1 LIMIT 1";
    MANIFEST_OF_FILE = "SELECT seq FROM manifests WHERE batch = ?1 AND file = ?2";
    /// ?2 UID, ?3 certificate, ?4 key: an entry comes once a part.
    ENTRIES_OF_CHIP = concat!(
        entries_by!("e.uid = ?2"), " UNION ALL ", entries_by!("e.fingerprint = ?3"), " UNION ALL ",
        entries_by!("e.spki = ?4"));
    MANIFEST_TALLY = "SELECT count(*), CAST(coalesce(sum(entries), 0) AS BIGINT),
            CAST(coalesce(sum(consumed), 0) AS BIGINT) FROM manifests WHERE batch = ?1";
    /// Chips that proved themselves in the batch, by whether its manifest has them.
    CHIPS_LISTED = concat!(
        "SELECT listed, count(*) FROM (SELECT DISTINCT r.fingerprint, r.spki, r.uid,
                CAST(CASE WHEN ", listed_otherwise_by!("e.fingerprint = r.fingerprint"), " OR ",
                listed_otherwise_by!("e.spki = r.spki"), " OR ", listed_otherwise_by!("e.uid = r.uid"), " THEN 0
                WHEN ", listed_by!("e.fingerprint = r.fingerprint"), " OR ", listed_by!("e.spki = r.spki"),
                " OR ", listed_by!("e.uid = r.uid"), " THEN 1 ELSE 0 END AS BIGINT) AS listed
            FROM runs r WHERE r.batch = ?1 AND r.proven = 1) AS chips GROUP BY listed");
    LIST_TAKEN = "SELECT seq FROM manifests WHERE list = ?1";
    LISTED = "SELECT count(*) FROM manifest_entries WHERE list = ?1";

    ORIGIN = "SELECT origin FROM origins ORDER BY seq LIMIT 1";
    LOG_KEYS = "SELECT key, role, station, added_seq, replaced_seq FROM log_keys ORDER BY added_seq";
    ARCHIVES = "SELECT first, past, file, seq FROM archives ORDER BY first";
    /// Of which a run has ended, or has begun.
    UNITS_OF_SERIAL = "SELECT product FROM records WHERE serial = ?1 AND product IS NOT NULL
        UNION SELECT product FROM runs INDEXED BY runs_unfinished
            WHERE verdict IS NULL AND serial = ?1 AND product IS NOT NULL ORDER BY 1",
        "SELECT product FROM records WHERE serial = ?1 AND product IS NOT NULL
        UNION SELECT product FROM runs WHERE verdict IS NULL AND serial = ?1 AND product IS NOT NULL ORDER BY 1";

    RECORDS_BY_FINGERPRINT = records_by_prefix!("fingerprint");
    RECORDS_BY_UID = records_by_prefix!("uid");
    RECORDS_BY_SERIAL = records_by_prefix!("serial");
    RECORDS_BY_THING = records_by_prefix!("thing");
    RECORDS_BY_REASON = records_by_value!("reason");
    RECORDS_BY_OPERATOR = records_by_value!("operator_id");
    RECORDS_BY_BATCH = records_by_value!("batch");
    RECORDS_BY_VERDICT = records_by_value!("verdict");
    /// Newest first by the clock, where only the time was asked for.
    RECORDS_BY_TIME = concat!(
        "SELECT ", record_columns!(), " FROM records WHERE ", record_filter!(),
        " AND started_ns >= ?10 AND (started_ns, seq) < (?12, ?13) ORDER BY started_ns DESC, seq DESC LIMIT ?14");
    RECORDS_WITHIN = "SELECT count(*) FROM (SELECT seq FROM records WHERE started_ns >= ?1 AND started_ns <= ?2
        LIMIT ?3) AS few";
    RECORDS = concat!(
        "SELECT ", record_columns!(), " FROM records WHERE ", record_filter!(),
        " AND seq < ?12 ORDER BY seq DESC LIMIT ?13");
    RECORDS_BY_WORDS = concat!(
        "SELECT ", record_columns!(), " FROM record_words JOIN records ON records.seq = record_words.rowid WHERE ",
        record_filter!(), " AND record_words MATCH ?12 AND record_words.rowid < ?13
            ORDER BY record_words.rowid DESC LIMIT ?14"),
        concat!(
        "SELECT ", record_columns!(), " FROM records WHERE ", record_filter!(),
        " AND array_to_tsvector(string_to_array(words, ' ')) @@ CAST(CAST(?12 AS TEXT) AS tsquery) AND seq < ?13
            ORDER BY seq DESC LIMIT ?14");

    /// A lock that appeared after the run had claimed.
    PASS_BARRED = "SELECT l.kind, l.seq FROM runs r JOIN locks l ON l.product = r.product AND l.serial = r.serial
        WHERE r.run = ?1 AND (length(l.fingerprint) = 0 OR l.fingerprint = r.fingerprint) LIMIT 1";
    WITHDRAWN_SINCE = "SELECT w.seq FROM runs r JOIN rulings w ON w.product = r.product AND w.serial = r.serial
        WHERE r.run = ?1 AND w.ruling = 'withdraw' AND w.seq > r.first_seq ORDER BY w.seq LIMIT 1";
    /// Runs of the same unit that another station has not ended, or ended after this one's board had come: two
    /// boards. One that was pulled is none any more, and the board of a unit that was HELD, here or on an
    /// air-gapped line, is elsewhere.
    ELSEWHERE = "SELECT o.run, o.station, o.verdict,
            (SELECT max(e.seq) FROM run_events e WHERE e.run = o.run), o.product, o.serial
        FROM runs me JOIN runs o ON o.product = me.product AND o.serial = me.serial AND o.station <> me.station
        WHERE me.run = ?1 AND me.slip IS NULL AND o.slip IS NULL
            AND (o.verdict IS NULL OR (o.sealed_seq > me.first_seq AND o.verdict <> 'ABORTED'))
            AND NOT EXISTS (SELECT 1 FROM captures c WHERE c.run = me.run)
            AND NOT EXISTS (SELECT 1 FROM captures c WHERE c.run = o.run)
        ORDER BY o.first_seq DESC";
    /// The ruling that took back, since the run began, what its unit had registered; and the unit of a run that proved
    /// a chip, where the unit does not hold that chip.
    PASS_UNFIT = "SELECT withdrawn, unbound, product, serial FROM (
            SELECT (SELECT w.seq FROM rulings w WHERE w.product = r.product AND w.serial = r.serial
                    AND w.ruling = 'withdraw' AND w.seq > r.first_seq ORDER BY w.seq LIMIT 1) AS withdrawn,
                CAST(CASE WHEN r.proven = 1 AND NOT EXISTS (SELECT 1 FROM bindings b
                    WHERE b.product = r.product AND b.serial = r.serial AND b.open = 1
                        AND b.fingerprint = r.fingerprint AND b.spki = r.spki
                        AND (b.uid IS NULL OR r.uid IS NULL OR b.uid = r.uid)) THEN 1 ELSE 0 END AS BIGINT) AS unbound,
                r.product AS product, r.serial AS serial
            FROM runs r WHERE r.run = ?1) AS found
        WHERE withdrawn IS NOT NULL OR unbound = 1";

    PROJECT_RUN_EVENT = "INSERT INTO run_events (run, seq) VALUES (?1, ?2)";
    PROJECT_RUN_STARTED = "INSERT INTO runs
        (first_seq, run, station, lane, port, profile, product, batch, operator_id, started_ns, begun_seq)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?1)";
    PROJECT_RESUMED = "UPDATE runs SET begun_seq = ?2 WHERE run = ?1";
    PROJECT_IDENTIFIED = "UPDATE runs SET product = ?2, serial = ?3 WHERE run = ?1";
    PROJECT_CHIP_READ = "UPDATE runs SET fingerprint = ?2, uid = ?3 WHERE run = ?1";
    PROJECT_PROVEN = "UPDATE runs SET proven = 1, uid = coalesce(uid, ?2), spki = ?3 WHERE run = ?1";
    PROJECT_LISTED = "INSERT INTO manifest_entries (seq, line, list, uid, fingerprint, spki)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
    PROJECT_MANIFEST = "INSERT INTO manifests (seq, list, batch, file, entries, consumed)
        VALUES (?1, ?2, ?3, ?4, ?5, 0)";
    PROJECT_ENTRY_USED = "UPDATE manifest_entries SET consumed_seq = ?3, run = ?4, product = ?5, serial = ?6,
            certificate = ?7 WHERE seq = ?1 AND line = ?2 AND consumed_seq IS NULL";
    PROJECT_MANIFEST_USED = "UPDATE manifests SET consumed = consumed + 1 WHERE seq = ?1";
    PROJECT_BOUND = project_bound!("");
    /// Nothing where any part of it is taken.
    PROJECT_BOUND_IF_FREE = project_bound!(" ON CONFLICT DO NOTHING");
    /// A certificate that nobody holds, out of an event that contradicts something: it is burned all the same.
    PROJECT_BURNED = "INSERT INTO bindings
            (claimed_seq, product, serial, fingerprint, spki, uid, run, open, imported)
        SELECT ?1, ?2, ?3, ?4,
            CASE WHEN EXISTS (SELECT 1 FROM bindings WHERE spki = ?5) THEN NULL ELSE ?5 END,
            CASE WHEN EXISTS (SELECT 1 FROM bindings WHERE uid = ?6) THEN NULL ELSE ?6 END, ?7, 0, 1
        WHERE NOT EXISTS (SELECT 1 FROM bindings WHERE fingerprint = ?4)",
        "INSERT INTO bindings (claimed_seq, product, serial, fingerprint, spki, uid, run, open, imported)
        SELECT CAST(?1 AS BIGINT), CAST(?2 AS TEXT), CAST(?3 AS TEXT), CAST(?4 AS BYTEA),
            CASE WHEN EXISTS (SELECT 1 FROM bindings WHERE spki = ?5) THEN NULL ELSE CAST(?5 AS BYTEA) END,
            CASE WHEN EXISTS (SELECT 1 FROM bindings WHERE uid = ?6) THEN NULL ELSE CAST(?6 AS TEXT) END,
            CAST(?7 AS BYTEA), 0, 1
        WHERE NOT EXISTS (SELECT 1 FROM bindings WHERE fingerprint = ?4)";
    /// The key of a certificate that was known by its fingerprint only.
    PROJECT_KEY_TOLD = "UPDATE bindings SET spki = ?2 WHERE fingerprint = ?1 AND spki IS NULL
        AND NOT EXISTS (SELECT 1 FROM bindings WHERE spki = ?2)";
    /// The chip of such a certificate.
    PROJECT_UID_TOLD = "UPDATE bindings SET uid = ?2 WHERE fingerprint = ?1 AND uid IS NULL
        AND NOT EXISTS (SELECT 1 FROM bindings WHERE uid = ?2)";
    /// What the unit was said to have, in contradiction to something else, it has after all.
    PROJECT_CLEARED = concat!("DELETE FROM bindings WHERE fingerprint = ?1 AND ", contradicted_own!("?2", "?3"));
    /// … and another certificate of the same key or chip stays burned without it.
    PROJECT_PARTS_CLEARED = concat!(
        "UPDATE bindings SET spki = CASE WHEN spki = ?1 THEN NULL ELSE spki END,
            uid = CASE WHEN uid = ?2 THEN NULL ELSE uid END
        WHERE (spki = ?1 OR uid = ?2) AND ", contradicted_own!("?3", "?4"));
    /// What was not known of the identity: its key, its chip, or who claimed it first.
    PROJECT_COMPLETED = "UPDATE bindings SET spki = ?3, uid = coalesce(uid, ?4), run = coalesce(run, ?5), imported = 0
        WHERE product = ?1 AND serial = ?2 AND open = 1 AND fingerprint = ?6 AND coalesce(spki, ?3) = ?3
            AND coalesce(CAST(?4 AS TEXT), uid, '') = coalesce(uid, CAST(?4 AS TEXT), '')";
    PROJECT_UNBOUND = "UPDATE bindings SET open = 0 WHERE product = ?1 AND serial = ?2 AND open = 1";
    PROJECT_REQUESTED = "INSERT INTO certificate_requests (seq, run, product, serial, target, asked_ns, answered)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, 0)";
    PROJECT_ANSWERED = "UPDATE certificate_requests SET answered = 1
        WHERE product = ?1 AND serial = ?2 AND answered = 0 AND target = ?3";
    PROJECT_ISSUED = "INSERT INTO issued_certificates
            (fingerprint, product, serial, target, bound, certificate, run, seq)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) ON CONFLICT (fingerprint) DO NOTHING";
    PROJECT_RULING_USED = "UPDATE rulings SET used_seq = ?2 WHERE id = ?1";
    PROJECT_UNLOCKED = "DELETE FROM locks WHERE product = ?1 AND serial = ?2 AND kind <> 'scrapped'";
    PROJECT_REGISTER_INTENDED = "UPDATE runs SET thing = ?2 WHERE run = ?1";
    PROJECT_SEALED = "UPDATE runs SET verdict = ?2, reason = ?3, slip = ?4, finished_ns = ?5, sealed_seq = ?6
        WHERE run = ?1 AND (verdict IS NULL OR verdict = 'HELD')";
    /// A FAIL of what was proven locks its unit. Before the log was opened by name nothing was locked, and
    /// units that had failed were claimed again.
    PROJECT_LOCKED = "INSERT INTO locks (product, serial, kind, fingerprint, run, reason, seq)
        SELECT product, serial, 'failed', fingerprint, run, reason, sealed_seq FROM runs
        WHERE run = ?1 AND proven = 1 AND serial IS NOT NULL AND fingerprint IS NOT NULL
            AND EXISTS (SELECT 1 FROM origins)
        ON CONFLICT (product, serial, kind, fingerprint) DO NOTHING";
    /// … and uses up what was ruled before it began, or was last taken up. That the old chip of a repaired
    /// board was plugged in says nothing against the ruling by which it is gone.
    PROJECT_RULINGS_OVERTAKEN = "UPDATE rulings SET used_seq = ?2
        WHERE used_seq IS NULL AND seq < (SELECT begun_seq FROM runs WHERE run = ?1)
            AND (ruling <> 'rebind' OR old_fingerprint <> (SELECT fingerprint FROM runs WHERE run = ?1))
            AND product = (SELECT product FROM runs WHERE run = ?1 AND proven = 1)
            AND serial = (SELECT serial FROM runs WHERE run = ?1 AND proven = 1)";
    PROJECT_LOCK = "INSERT INTO locks (product, serial, kind, fingerprint, run, reason, seq)
        VALUES (?1, ?2, ?3, ?4, NULL, NULL, ?5)
        ON CONFLICT (product, serial, kind, fingerprint) DO NOTHING";
    PROJECT_RULED = "INSERT INTO rulings (seq, id, ruling, product, serial, old_fingerprint, new_fingerprint, new_spki,
            new_uid, reason_id) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)";
    /// A later ruling on a unit takes the place of the one that nobody used.
    PROJECT_RULINGS_REPLACED = "UPDATE rulings SET used_seq = ?3
        WHERE product = ?1 AND serial = ?2 AND used_seq IS NULL AND seq < ?3";
    PROJECT_IMPORTED = "INSERT INTO imported_rows (seq, product, serial, fingerprint, conflicts)
        VALUES (?1, ?2, ?3, ?4, ?5)";
    PROJECT_WITHDRAWN = "INSERT INTO withdrawals (seq, ruling_seq, product, serial, target, reason)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
    PROJECT_CAPTURED = "INSERT INTO captures (run, station, slip, seq) VALUES (?1, ?2, ?3, ?4)";
    PROJECT_EXPORTED = "INSERT INTO exported_runs (run, seq) VALUES (?1, ?2)
        ON CONFLICT (run) DO UPDATE SET seq = excluded.seq";
    PROJECT_OPERATOR = "INSERT INTO operators (id, role, disabled, added_seq, pin_sha256) VALUES (?1, ?2, 0, ?3, ?4)
        ON CONFLICT (id) DO UPDATE SET role = excluded.role, disabled = 0, pin_sha256 = excluded.pin_sha256,
            badge_sha256 = NULL";
    PROJECT_ROLE = "UPDATE operators SET role = ?2 WHERE id = ?1";
    PROJECT_BADGE = "UPDATE operators SET badge_sha256 = ?2 WHERE id = ?1";
    PROJECT_PIN = "UPDATE operators SET pin_sha256 = ?2 WHERE id = ?1";
    PROJECT_OPERATOR_DISABLED = "UPDATE operators SET disabled = 1 WHERE id = ?1";
    PROJECT_ORIGIN = "INSERT INTO origins (seq, origin) VALUES (?1, ?2)";
    PROJECT_LOG_KEY = "INSERT INTO log_keys (added_seq, key, role, station) VALUES (?1, ?2, ?3, ?4)
        ON CONFLICT (key) DO NOTHING";
    PROJECT_LOG_KEY_REPLACED = "UPDATE log_keys SET replaced_seq = ?2 WHERE key = ?1 AND replaced_seq IS NULL";
    PROJECT_ARCHIVED = "INSERT INTO archives (first, past, file, seq) VALUES (?1, ?2, ?3, ?4)";
    PROJECT_LABEL_OWED = "INSERT INTO labels (run, kind, station, state, owed_seq) VALUES (?1, ?2, ?3, 'owed', ?4)
        ON CONFLICT (run, kind) DO UPDATE SET station = excluded.station, state = 'owed', owed_seq = excluded.owed_seq";
    /// A slip that a verdict has overtaken is not printed any more.
    PROJECT_SLIP_OVERTAKEN = "UPDATE labels SET state = 'none' WHERE run = ?1 AND kind = 'slip' AND state <> 'printed'";
    PROJECT_LABEL = "INSERT INTO labels (run, kind, station, state, owed_seq) VALUES (?1, ?2, ?3, ?4, ?5)
        ON CONFLICT (run, kind) DO UPDATE SET state = excluded.state";
    PROJECT_BATCH_OPENED = "INSERT INTO batches (name, profile, product, planned, opened_ns, opened_seq)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6)
        ON CONFLICT (name) DO UPDATE SET profile = excluded.profile, product = excluded.product,
            planned = excluded.planned, opened_seq = excluded.opened_seq, closed_ns = NULL";
    PROJECT_BATCH_STATION = "INSERT INTO batch_stations (opened_seq, station, batch) VALUES (?1, ?2, ?3)";
    PROJECT_BATCH_CLOSED = "UPDATE batches SET closed_ns = ?2 WHERE name = ?1 AND closed_ns IS NULL";
    PROJECT_BATCH_LEFT = "DELETE FROM batch_stations WHERE batch = ?1";

    UNIT_OF_RUN = "SELECT product, serial FROM runs WHERE run = ?1 AND serial IS NOT NULL";
    /// And whether a certificate was made for its unit's key.
    RUN_TO_RECORD = "SELECT r.first_seq, r.station, r.product, r.serial, r.batch, r.operator_id, r.thing,
            r.fingerprint, r.uid, r.verdict, r.started_ns,
            CAST(CASE WHEN EXISTS (SELECT 1 FROM issued_certificates i
                WHERE i.product = r.product AND i.serial = r.serial) THEN 1 ELSE 0 END AS BIGINT)
        FROM runs r WHERE r.run = ?1";
    WORDS = "SELECT words FROM records WHERE seq = ?1";
    UNINDEX_WORDS = "INSERT INTO record_words (record_words, rowid, words) VALUES ('delete', ?1, ?2)", "";
    INDEX_WORDS = "INSERT INTO record_words (rowid, words) VALUES (?1, ?2)", "";
    // What is deleted from FTS5's index stays in it until its parts are merged.
    MERGE_INDEX = "INSERT INTO record_words (record_words) VALUES ('optimize')", "";
    FORGET_INDEX = "INSERT INTO record_words (record_words) VALUES ('delete-all')", "";
    PROJECT_RECORD = "INSERT INTO records (seq, kind, run, station, product, serial, batch, operator_id, thing,
            fingerprint, uid, verdict, reason, started_ns, finished_ns, words)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16)
        ON CONFLICT (seq) DO UPDATE SET thing = excluded.thing, verdict = excluded.verdict, reason = excluded.reason,
            finished_ns = excluded.finished_ns, words = excluded.words";
    PROJECT_WORDS = "UPDATE records SET words = ?2 WHERE seq = ?1";
}

/// A table that is derived from events, and the columns that order its rows; `true`: a text.
pub struct Projection {
    pub table: &'static str,
    pub order: &'static [(&'static str, bool)],
}

/// Which events tell of which run.
pub const RUN_EVENTS: &str = "run_events";

/// All of them. What the indices of words hold is derived from `records`.
pub const PROJECTIONS: &[Projection] = &[
    Projection { table: RUN_EVENTS, order: &[("run", false), ("seq", false)] },
    Projection { table: "runs", order: &[("first_seq", false)] },
    Projection { table: "labels", order: &[("run", false), ("kind", true)] },
    Projection { table: "bindings", order: &[("claimed_seq", false)] },
    Projection { table: "issued_certificates", order: &[("fingerprint", false)] },
    Projection { table: "certificate_requests", order: &[("seq", false)] },
    Projection { table: "batches", order: &[("name", true)] },
    Projection { table: "batch_stations", order: &[("opened_seq", false)] },
    Projection {
        table: "locks",
        order: &[("product", true), ("serial", true), ("kind", true), ("fingerprint", false)],
    },
    Projection { table: "rulings", order: &[("seq", false)] },
    Projection { table: "imported_rows", order: &[("seq", false)] },
    Projection { table: "withdrawals", order: &[("seq", false)] },
    Projection { table: "captures", order: &[("run", false)] },
    Projection { table: "exported_runs", order: &[("run", false)] },
    Projection { table: "operators", order: &[("id", false)] },
    Projection { table: "origins", order: &[("seq", false)] },
    Projection { table: "log_keys", order: &[("added_seq", false)] },
    Projection { table: "archives", order: &[("first", false)] },
    Projection { table: "manifests", order: &[("seq", false)] },
    Projection { table: "manifest_entries", order: &[("seq", false), ("line", false)] },
    Projection { table: "records", order: &[("seq", false)] },
];

#[cfg(test)]
mod tests {
    use super::ALL;

    /// With millions of rows a scan is an outage. Only small lists may be read whole, in their index's
    /// order; and only what was asked for is sorted.
    #[test]
    fn every_statement_is_backed_by_an_index() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("lineseal.db");
        drop(crate::adapters::sqlite::open(&path).unwrap());
        let connection = rusqlite::Connection::open(&path).unwrap();
        for (name, sql) in ALL {
            let mut statement = connection.prepare(&format!("EXPLAIN QUERY PLAN {}", sql.sqlite)).unwrap();
            let nulls = vec![rusqlite::types::Null; statement.parameter_count()];
            let plan: Vec<String> = statement
                .query_map(rusqlite::params_from_iter(nulls), |row| row.get(3))
                .unwrap()
                .collect::<Result<_, _>>()
                .unwrap();
            for line in &plan {
                let allowed = match *name {
                    "BATCHES" => line == "SCAN batches USING INDEX batches_newest",
                    // A walk along an index that holds exactly the rows asked for, or over the
                    // subquery's own result.
                    "HELD" | "HELD_COUNT" | "UNEXPORTED" => line.contains("INDEX runs_held"),
                    "UNITS_OF_SERIAL" => line.contains("INDEX runs_unfinished"),
                    "RECORDS_WITHIN" => line == "SCAN few",
                    // The list that was asked for.
                    "LEAF_HASHES" | "HASHES" => line.starts_with("SCAN json_each "),
                    "CHIPS_LISTED" => line == "SCAN chips",
                    "TALLY_LATEST" | "TALLY_FIRST" => {
                        ["SCAN (subquery", "SCAN latest", "SCAN first"].iter().any(|own| line.starts_with(own))
                    }
                    // An administrator's, once a year.
                    "OLDEST_OPEN_RUN" | "OLDEST_UNSETTLED" => true,
                    // The first row of anything, if there is one.
                    "HASH_COUNT" | "ANYTHING" => line.starts_with("SCAN"),
                    // Whether the log has a name: its first row is enough.
                    "PROJECT_LOCKED" => line == "SCAN origins EXISTS",
                    // One row each, or one row a person, key, archive.
                    "ORIGIN" | "LOG_KEYS" | "ARCHIVES" => line.starts_with("SCAN"),
                    "OPERATORS" => line == "SCAN p USING INDEX sqlite_autoindex_people_2",
                    // From an end of the table, and no further than the page.
                    "LATEST_CHECKPOINT" => line == "SCAN checkpoints",
                    // Units that wait for a ruling, all of them: at start, and when a target came back.
                    "LOCKED_AFTER_REGISTER" => line.starts_with("SCAN l USING COVERING INDEX"),
                    "ROLLBACK_RULING" => line == "SCAN r USING COVERING INDEX rulings_rollback",
                    "RECORDS_BY_WORDS" => line.starts_with("SCAN record_words VIRTUAL TABLE"),
                    _ => false,
                };
                let walks = line.starts_with("SCAN ") && !line.starts_with("SCAN CONSTANT ROW");
                assert!(!walks || allowed, "{name}: {line}\nwhole plan: {plan:#?}");
                let sorts = line.contains("TEMP B-TREE");
                let may_sort = matches!(
                    *name,
                    "TALLY_LATEST"
                        | "TALLY_FIRST"
                        | "UNIT_LABEL"
                        | "OPERATORS"
                        | "OPERATORS_OF_UNIT"
                        | "UNITS_OF_SERIAL"
                        | "CHIPS_LISTED"
                        // A unit's runs; a page at most; the few that have no unit.
                        | "REPORTED_OF_BATCH"
                        | "REPORTED_WITHIN"
                        | "REPORTED_OF_NO_UNIT_IN_BATCH"
                );
                assert!(!sorts || may_sort, "{name} sorts: {line}\nwhole plan: {plan:#?}");
            }
        }
    }
}

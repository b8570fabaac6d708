//! Every statement of the store, in one place so that a test can ask for the plan of each.

/// Declares statements and the list of all of them.
macro_rules! statements {
    ($($(#[$doc:meta])* $name:ident = $sql:literal;)*) => {
        $($(#[$doc])* pub(super) const $name: &str = $sql;)*

        #[cfg(test)]
        pub(super) const ALL: &[(&str, &str)] = &[$((stringify!($name), $sql)),*];
    };
}

statements! {
    TREE_HEAD = "SELECT size, edge, root FROM tree_head WHERE one = 1";
    NEXT_SEQ = "SELECT coalesce(max(seq) + 1, 0) FROM events";
    SET_TREE_HEAD = "UPDATE tree_head SET size = ?1, edge = ?2, root = ?3 WHERE one = 1";
    INSERT_EVENT = "INSERT INTO events (seq, id, bytes, leaf_hash) VALUES (?1, ?2, ?3, ?4)";
    EVENT_BY_ID = "SELECT seq, bytes, leaf_hash FROM events WHERE id = ?1";
    RECEIPT_BY_ID = "SELECT seq, leaf_hash FROM events WHERE id = ?1";
    EVENTS_FROM = "SELECT seq, bytes, leaf_hash FROM events WHERE seq >= ?1 ORDER BY seq";
    EVENTS_OF_RUN = "SELECT e.seq, e.bytes, e.leaf_hash FROM run_events r JOIN events e ON e.seq = r.seq
        WHERE r.run = ?1 ORDER BY r.seq";

    UNFINISHED = "SELECT run FROM runs WHERE station = ?1 AND verdict IS NULL ORDER BY first_seq";
    HELD_COUNT = "SELECT count(*) FROM runs WHERE verdict = 'HELD'";
    HELD = "SELECT run FROM runs WHERE verdict = 'HELD' ORDER BY first_seq";
    /// A slip has the number of its run's first event.
    RUN_OF_SLIP = "SELECT run FROM runs WHERE first_seq = ?1";
    LATEST = "SELECT run FROM runs WHERE sealed_seq IS NOT NULL ORDER BY sealed_seq DESC LIMIT ?1";
    UNSETTLED = "SELECT run FROM labels WHERE station = ?1 AND state NOT IN ('printed', 'none') ORDER BY owed_seq";
    /// Units by the verdict of the run that was sealed last; a bare column beside `max` comes from
    /// the row of the maximum (sqlite.org/lang_select.html, §2.5).
    TALLY_LATEST = "SELECT verdict, count(*) FROM (
            SELECT verdict, max(sealed_seq) FROM runs
            WHERE batch = ?1 AND serial IS NOT NULL AND verdict IN ('PASS', 'FAIL', 'ERROR', 'HELD')
            GROUP BY product, serial)
        GROUP BY verdict";
    /// Units by the verdict of the first counted attempt.
    TALLY_FIRST = "SELECT verdict, count(*) FROM (
            SELECT verdict, min(first_seq) FROM runs
            WHERE batch = ?1 AND serial IS NOT NULL AND verdict IN ('PASS', 'FAIL', 'ERROR')
            GROUP BY product, serial)
        GROUP BY verdict";

    BINDING_BY_FINGERPRINT = "SELECT product, serial, fingerprint, spki, uid, run, open FROM bindings
        WHERE fingerprint = ?1";
    BINDING_BY_SPKI = "SELECT product, serial, fingerprint, spki, uid, run, open FROM bindings WHERE spki = ?1";
    BINDING_BY_UID = "SELECT product, serial, fingerprint, spki, uid, run, open FROM bindings WHERE uid = ?1";
    BINDING_BY_UNIT = "SELECT product, serial, fingerprint, spki, uid, run, open FROM bindings
        WHERE product = ?1 AND serial = ?2 AND open = 1";
    /// The unit's newest label that another run owed before `?4`.
    UNIT_LABEL = "SELECT l.state FROM runs r JOIN labels l ON l.run = r.run AND l.kind = 'unit'
        WHERE r.product = ?1 AND r.serial = ?2 AND r.run <> ?3 AND l.owed_seq < ?4 AND l.state <> 'none'
        ORDER BY l.owed_seq DESC LIMIT 1";

    PERSON_BY_NAME = "SELECT id, name_sha256 FROM people WHERE name = ?1";
    INSERT_PERSON = "INSERT INTO people (id, name, salt, name_sha256) VALUES (?1, ?2, ?3, ?4)";

    OPEN_BATCH = "SELECT b.name, b.profile, b.product, b.planned, b.opened_ns, b.closed_ns
        FROM batch_stations s JOIN batches b ON b.name = s.batch
        WHERE s.station = ?1 ORDER BY s.opened_seq DESC LIMIT 1";
    BATCHES = "SELECT name, profile, product, planned, opened_ns, closed_ns FROM batches ORDER BY opened_seq DESC";

    PROJECT_RUN_EVENT = "INSERT INTO run_events (run, seq) VALUES (?1, ?2)";
    PROJECT_RUN_STARTED = "INSERT INTO runs
        (first_seq, run, station, lane, port, profile, product, batch, operator_id, started_ns)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)";
    PROJECT_IDENTIFIED = "UPDATE runs SET product = ?2, serial = ?3 WHERE run = ?1";
    PROJECT_CLAIMED = "INSERT INTO bindings (claimed_seq, product, serial, fingerprint, spki, uid, run, open)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, 1)";
    PROJECT_REGISTER_INTENDED = "UPDATE runs SET thing = ?2 WHERE run = ?1";
    PROJECT_SEALED = "UPDATE runs SET verdict = ?2, reason = ?3, slip = ?4, finished_ns = ?5, sealed_seq = ?6
        WHERE run = ?1 AND (verdict IS NULL OR verdict = 'HELD')";
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
}

#[cfg(test)]
mod tests {
    use super::ALL;

    /// With millions of rows a scan is an outage. Only the list of all batches may read a whole
    /// table, in its index's order.
    #[test]
    fn every_statement_is_backed_by_an_index() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("lineseal.db");
        drop(crate::adapters::sqlite::SqliteStore::open(&path).unwrap());
        let connection = rusqlite::Connection::open(&path).unwrap();
        for (name, sql) in ALL {
            let mut statement = connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
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
                    "HELD" | "HELD_COUNT" => {
                        line.contains("USING COVERING INDEX runs_held") || line.contains("USING INDEX runs_held")
                    }
                    "TALLY_LATEST" | "TALLY_FIRST" => line.starts_with("SCAN (subquery"),
                    _ => false,
                };
                let walks = line.starts_with("SCAN ") && !line.starts_with("SCAN CONSTANT ROW");
                assert!(!walks || allowed, "{name}: {line}\nwhole plan: {plan:#?}");
                let sorts = line.contains("TEMP B-TREE");
                let may_sort = matches!(*name, "TALLY_LATEST" | "TALLY_FIRST" | "UNIT_LABEL");
                assert!(!sorts || may_sort, "{name} sorts: {line}\nwhole plan: {plan:#?}");
            }
        }
    }
}

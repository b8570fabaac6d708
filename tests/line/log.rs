//! The log as a stranger reads it: SQL and JSON, nothing of the product's.

use std::path::Path;

use serde_json::Value;

/// A row of the log.
#[derive(Debug, Clone)]
pub struct Logged {
    pub seq: u64,
    pub bytes: Vec<u8>,
    pub leaf_hash: Vec<u8>,
    pub event: Value,
}

impl Logged {
    pub fn kind(&self) -> &str {
        self.event["event"].as_str().unwrap()
    }
}

/// All of it, in order; nothing where there is no log yet.
pub fn read(data_dir: &Path) -> Vec<Logged> {
    let path = data_dir.join("lineseal.db");
    if !path.exists() {
        return Vec::new();
    }
    let connection = rusqlite::Connection::open(path).unwrap();
    connection.busy_timeout(std::time::Duration::from_secs(10)).unwrap();
    connection.pragma_update(None, "query_only", true).unwrap();
    let known: u32 =
        connection.query_row("SELECT count(*) FROM sqlite_schema WHERE name = 'events'", [], |row| row.get(0)).unwrap();
    if known == 0 {
        return Vec::new();
    }
    let mut statement = connection.prepare("SELECT seq, bytes, leaf_hash FROM events ORDER BY seq").unwrap();
    let rows = statement.query_map([], |row| {
        let bytes: Vec<u8> = row.get(1)?;
        let event = serde_json::from_slice(&bytes).unwrap();
        Ok(Logged { seq: u64::from(row.get::<_, u32>(0)?), bytes, leaf_hash: row.get(2)?, event })
    });
    rows.unwrap().map(Result::unwrap).collect()
}

/// How many events of this kind, without reading the others.
pub fn count(data_dir: &Path, kind: &str) -> usize {
    let connection = rusqlite::Connection::open(data_dir.join("lineseal.db")).unwrap();
    connection.busy_timeout(std::time::Duration::from_secs(10)).unwrap();
    connection.pragma_update(None, "query_only", true).unwrap();
    let like = "SELECT count(*) FROM events WHERE json_extract(CAST(bytes AS TEXT), '$.event') = ?1";
    connection.query_row(like, [kind], |row| row.get::<_, u32>(0)).unwrap() as usize
}

/// One run's events.
pub fn of_run<'a>(log: &'a [Logged], run: &str) -> Vec<&'a Logged> {
    log.iter().filter(|logged| logged.event["run"] == run).collect()
}

/// The events of this kind.
pub fn all<'a>(log: &'a [Logged], kind: &str) -> Vec<&'a Value> {
    log.iter().filter(|logged| logged.kind() == kind).map(|logged| &logged.event).collect()
}

/// `step-began read`, `sealed`, … in order.
pub fn kinds(events: &[&Logged]) -> Vec<String> {
    let word = |logged: &&Logged| match (logged.event.get("step"), logged.event.get("purpose")) {
        (Some(what), _) | (None, Some(what)) => format!("{} {}", logged.kind(), what.as_str().unwrap()),
        (None, None) => logged.kind().to_owned(),
    };
    events.iter().map(word).collect()
}

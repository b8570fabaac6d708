//! PostgreSQL's side of the store.

use std::collections::HashMap;
use std::error::Error;
use std::fmt::Write as _;

use postgres::fallible_iterator::FallibleIterator as _;
use postgres::types::private::BytesMut;
use postgres::types::{IsNull, ToSql, Type, to_sql_checked};
use postgres::{Client, SimpleQueryMessage, Statement};

use super::open::{Access, NEWEST, Server};
use super::{catalogue, indexes};
use crate::adapters::store::archive::Archives;
use crate::adapters::store::error::StoreError;
use crate::adapters::store::session::{EachRow, Mode, Row, Session, Sql, Value, stored};
use crate::adapters::store::{project, sql};
use crate::audit::Node;

pub(super) struct PostgresSession {
    /// `None`: there is this one connection and no other.
    server: Option<(Server, Access)>,
    /// `None`: there was no connection yet.
    client: Option<Client>,
    /// By the text as it is written for both databases.
    prepared: HashMap<&'static str, Statement>,
    archives: Archives,
    /// Names this session in the table `commits`, in hexadecimal; made with its first connection.
    writer: Option<String>,
    /// Transactions of this session that began to write.
    written: i64,
    /// The last one of them that was to be committed.
    asked: Option<i64>,
    /// The last one that was, as the transaction that is open found it.
    committed: Option<i64>,
    /// The open transaction's deletions shall leave the tables' files.
    scrub: bool,
}

impl PostgresSession {
    pub(super) fn open(server: Server, access: Access) -> Result<Self, StoreError> {
        let mut session = Self::waiting(server, access);
        session.reconnect()?;
        Ok(session)
    }

    /// Not connected: whoever uses it first seeks the server, and again whenever it is away.
    pub(super) fn waiting(server: Server, access: Access) -> Self {
        let archives = server.archives.clone();
        Self { server: Some((server, access)), ..Self::new(None, archives) }
    }

    /// In the transaction that is open on `client`.
    pub(super) fn over(client: Client, archives: Archives) -> Self {
        Self::new(Some(client), archives)
    }

    fn new(client: Option<Client>, archives: Archives) -> Self {
        let prepared = HashMap::new();
        Self {
            server: None,
            client,
            prepared,
            archives,
            writer: None,
            written: 0,
            asked: None,
            committed: None,
            scrub: false,
        }
    }

    pub(super) fn into_client(self) -> Result<Client, StoreError> {
        self.client.ok_or_else(not_connected)
    }

    fn client(&mut self) -> Result<&mut Client, StoreError> {
        self.client.as_mut().ok_or_else(not_connected)
    }

    fn prepared(&mut self, text: &'static str) -> Result<Statement, StoreError> {
        if let Some(statement) = self.prepared.get(text) {
            return Ok(statement.clone());
        }
        let statement = self.client()?.prepare(&text.replace('?', "$"))?;
        self.prepared.insert(text, statement.clone());
        Ok(statement)
    }

    /// Dead rows are kept for whoever still sees them, and small tables are never vacuumed by the server itself.
    /// What was deleted is so, whatever comes of this.
    fn vacuum(&mut self) {
        for text in ["VACUUM FULL people", "VACUUM FULL credentials", "VACUUM FULL texts", "VACUUM records"] {
            if let Err(error) = self.command(text) {
                tracing::error!(%error, text, "what was forgotten may stay in this table's file");
            }
        }
    }

    fn command(&mut self, text: &'static str) -> Result<(), StoreError> {
        Ok(self.client()?.batch_execute(text)?)
    }
}

/// Both in the very transaction that is about to rely on them.
const LAYOUT: &str =
    "(SELECT max(version) FROM refinery_schema_history), (SELECT number FROM projection WHERE one = 1)";

fn not_connected() -> StoreError {
    StoreError::Away("there was no connection to it yet".to_owned())
}

impl Session for PostgresSession {
    /// What waits for the tree's head sees, once it has it, all that was committed before: a writing
    /// transaction takes a new snapshot for every statement.
    fn begin(&mut self, mode: Mode) -> Result<(), StoreError> {
        if self.client()?.is_closed() {
            return Err(StoreError::Away("the connection was closed".to_owned()));
        }
        let begun = match mode {
            Mode::Read => self
                .client()?
                .simple_query(&format!("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SELECT {LAYOUT}"))?,
            Mode::Write => {
                self.written += 1;
                let (writer, number) = (self.writer.clone().ok_or_else(not_connected)?, self.written);
                self.client()?.simple_query(&format!(
                    "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE; {lock};
                     SELECT {LAYOUT}, (SELECT number FROM commits WHERE writer = '\\x{writer}');
                     INSERT INTO commits (writer, number, at) VALUES ('\\x{writer}', {number}, now())
                         ON CONFLICT (writer) DO UPDATE SET number = excluded.number, at = excluded.at",
                    lock = sql::LOCK_TREE_HEAD.postgres,
                ))?
            }
        };
        // The layout's is the last row: the head's comes before it.
        let row = begun.iter().rev().find_map(|message| match message {
            SimpleQueryMessage::Row(row) => Some(row),
            _ => None,
        });
        let number = |column: usize| row.and_then(|row| row.get(column)).and_then(|text| text.parse().ok());
        let known = |column: usize| {
            number(column).ok_or_else(|| StoreError::Corrupt("the database does not say how it is laid out".to_owned()))
        };
        self.committed = if mode == Mode::Write { number(2) } else { None };
        project::refuse_another_layout(known(0)?, *NEWEST, known(1)?)
    }

    fn has_committed(&self) -> bool {
        self.asked.is_some() && self.committed == self.asked
    }

    fn commit(&mut self) -> Result<(), StoreError> {
        self.asked = Some(self.written);
        self.command("COMMIT")?;
        if std::mem::take(&mut self.scrub) {
            self.vacuum();
        }
        Ok(())
    }

    fn scrub(&mut self) {
        self.scrub = true;
    }

    fn roll_back(&mut self) {
        if self.client.as_ref().is_some_and(|client| !client.is_closed())
            && let Err(error) = self.command("ROLLBACK")
        {
            tracing::debug!(%error, "a transaction was lost with its connection");
        }
    }

    fn grow(&mut self) -> Result<(), StoreError> {
        // A table that was vacuumed while it was empty is thought to be so, and would be read whole for each row.
        self.command(
            "SET LOCAL plan_cache_mode = force_custom_plan; SET LOCAL enable_seqscan = off; SET LOCAL jit = off",
        )
    }

    fn save(&mut self) -> Result<(), StoreError> {
        self.command("SAVEPOINT piece")
    }

    fn release(&mut self) -> Result<(), StoreError> {
        self.command("RELEASE SAVEPOINT piece")
    }

    /// One round trip for both.
    fn release_and_save(&mut self) -> Result<(), StoreError> {
        self.command("RELEASE SAVEPOINT piece; SAVEPOINT piece")
    }

    fn roll_back_to_save(&mut self) -> Result<(), StoreError> {
        self.command("ROLLBACK TO SAVEPOINT piece; RELEASE SAVEPOINT piece")
    }

    fn execute(&mut self, sql: Sql, values: &[Value<'_>]) -> Result<u64, StoreError> {
        if sql.postgres.is_empty() {
            return Ok(0);
        }
        let statement = self.prepared(sql.postgres)?;
        Ok(self.client()?.execute(&statement, &parameters(values))?)
    }

    fn query(&mut self, sql: Sql, values: &[Value<'_>], each: EachRow<'_>) -> Result<(), StoreError> {
        if sql.postgres.is_empty() {
            return Ok(());
        }
        let statement = self.prepared(sql.postgres)?;
        let mut rows = self.client()?.query_raw(&statement, parameters(values))?;
        while let Some(row) = rows.next()? {
            each(&row)?;
        }
        Ok(())
    }

    /// One round trip for all of them.
    fn insert_hashes(&mut self, nodes: &[(Node, [u8; 32])]) -> Result<(), StoreError> {
        const INSERT: &str = "INSERT INTO hashes (position, hash)
            SELECT position, substring(CAST(?2 AS BYTEA) FROM CAST(32 * (n - 1) + 1 AS INTEGER) FOR 32)
            FROM unnest(string_to_array(CAST(?1 AS TEXT), ',')::bigint[]) WITH ORDINALITY AS completed (position, n)";
        if nodes.is_empty() {
            return Ok(());
        }
        let mut positions = String::new();
        let mut hashes = Vec::with_capacity(nodes.len() * 32);
        for (node, hash) in nodes {
            let comma = if positions.is_empty() { "" } else { "," };
            // A string takes all that is written to it.
            let _ = write!(positions, "{comma}{}", stored(node.position())?);
            hashes.extend_from_slice(hash);
        }
        let statement = self.prepared(INSERT)?;
        self.client()?.execute(&statement, &[&positions, &hashes])?;
        Ok(())
    }

    fn match_words(&self, words: &[String]) -> String {
        // Words are letters and digits: nothing in them is of tsquery's own language.
        let quoted: Vec<String> = words.iter().map(|word| format!("'{word}'")).collect();
        format!("{}:*", quoted.join(" & "))
    }

    fn ask(&mut self, sql: &str, each: EachRow<'_>) -> Result<(), StoreError> {
        let none: [&(dyn ToSql + Sync); 0] = [];
        let mut rows = self.client()?.query_raw(sql, none)?;
        while let Some(row) = rows.next()? {
            each(&row)?;
        }
        Ok(())
    }

    fn by_bytes(&self, column: &str) -> String {
        format!("{column} COLLATE \"C\"")
    }

    fn script(&mut self, sql: &str) -> Result<(), StoreError> {
        Ok(self.client()?.batch_execute(sql)?)
    }

    fn reconnect(&mut self) -> Result<(), StoreError> {
        if self.writer.is_none() {
            let mut writer = [0; 16];
            let none = |_| StoreError::Settings("the operating system gave no random bytes".to_owned());
            aws_lc_rs::rand::fill(&mut writer).map_err(none)?;
            self.writer = Some(hex::encode(writer));
        }
        let (server, access) = self.server.as_mut().ok_or_else(not_connected)?;
        // First: it may hold what the next one needs.
        self.client = None;
        self.prepared.clear();
        self.client = Some(server.connect(*access)?);
        Ok(())
    }

    fn foreign_schema(&mut self) -> Result<Option<String>, StoreError> {
        catalogue::foreign_schema(self.client()?)
    }

    fn foreign_index(&mut self) -> Result<Option<String>, StoreError> {
        indexes::foreign_index(self.client()?, &catalogue::tables())
    }

    fn projection(&mut self) -> Result<i64, StoreError> {
        Ok(self.client()?.query_one("SELECT number FROM projection WHERE one = 1", &[])?.try_get(0)?)
    }

    fn set_projection(&mut self, number: i64) -> Result<(), StoreError> {
        self.client()?.execute("UPDATE projection SET number = $1 WHERE one = 1", &[&number])?;
        Ok(())
    }

    fn archives(&mut self) -> &mut Archives {
        &mut self.archives
    }

    fn any(&mut self) -> &mut dyn std::any::Any {
        self
    }
}

fn parameters<'v>(values: &'v [Value<'v>]) -> Vec<&'v (dyn ToSql + Sync)> {
    values.iter().map(|value| value as &(dyn ToSql + Sync)).collect()
}

impl ToSql for Value<'_> {
    fn to_sql(&self, kind: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        match self {
            Value::Null => Ok(IsNull::Yes),
            Value::Int(number) if *kind == Type::INT4 => i32::try_from(*number)?.to_sql(kind, out),
            Value::Int(number) => number.to_sql(kind, out),
            Value::Text(text) => text.to_sql(kind, out),
            Value::Bytes(bytes) => bytes.to_sql(kind, out),
        }
    }

    /// The statements are ours, and so are their types.
    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}

impl Row for postgres::Row {
    fn int(&self, column: usize) -> Result<Option<i64>, StoreError> {
        Ok(self.try_get(column)?)
    }
    fn text(&self, column: usize) -> Result<Option<&str>, StoreError> {
        Ok(self.try_get(column)?)
    }
    fn bytes(&self, column: usize) -> Result<Option<&[u8]>, StoreError> {
        Ok(self.try_get(column)?)
    }
    fn columns(&self) -> usize {
        self.len()
    }
    fn name(&self, column: usize) -> Result<&str, StoreError> {
        let found = postgres::Row::columns(self).get(column).map(postgres::Column::name);
        found.ok_or_else(|| StoreError::Corrupt(format!("there is no column {column}")))
    }
    fn value(&self, column: usize) -> Result<Value<'_>, StoreError> {
        let kind = postgres::Row::columns(self).get(column).map(postgres::Column::type_);
        Ok(match kind {
            Some(kind) if *kind == Type::INT8 => self.int(column)?.map_or(Value::Null, Value::Int),
            Some(kind) if *kind == Type::BYTEA => self.bytes(column)?.map_or(Value::Null, Value::Bytes),
            _ => self.text(column)?.map_or(Value::Null, Value::Text),
        })
    }
}

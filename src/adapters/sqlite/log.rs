//! The log's rows: appending with the tree's head, reading with the leaf's hash checked.

use rusqlite::{Connection, OptionalExtension, Row, Transaction, TransactionBehavior};

use super::error::StoreError;
use super::{project, sql};
use crate::audit::{Event, LeafHash, TreeHead, TreeState};
use crate::domain::EventId;
use crate::ports::{Logged, Receipt};

/// One writing transaction: takes the write lock first, commits only when `work` succeeds.
pub(super) fn write<T>(
    connection: &mut Connection,
    work: impl FnOnce(&Transaction<'_>) -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let value = work(&transaction)?;
    transaction.commit()?;
    Ok(value)
}

/// One reading transaction: everything in it is of the same moment.
pub(super) fn read<T>(
    connection: &mut Connection,
    work: impl FnOnce(&Connection) -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Deferred)?;
    let value = work(&transaction)?;
    transaction.finish()?;
    Ok(value)
}

/// Appends to the log within one transaction that holds the write lock. Nothing counts before
/// [`Appender::finish`] and the commit.
pub(super) struct Appender<'t> {
    transaction: &'t Transaction<'t>,
    tree: TreeState,
    size_before: u64,
}

impl<'t> Appender<'t> {
    pub(super) fn begin(transaction: &'t Transaction<'_>) -> Result<Self, StoreError> {
        let tree = tree(transaction)?;
        Ok(Self { transaction, size_before: tree.size(), tree })
    }

    /// The next leaf; an id that the log holds already gives that event's receipt.
    pub(super) fn push(&mut self, event: &Event) -> Result<Receipt, StoreError> {
        if let Some(receipt) = receipt(self.transaction, event.id)? {
            return Ok(receipt);
        }
        let bytes = event.encode().map_err(StoreError::Encode)?;
        let receipt = Receipt { seq: self.tree.size(), leaf: LeafHash::of(&bytes) };
        self.transaction.prepare_cached(sql::INSERT_EVENT)?.execute((
            stored(receipt.seq)?,
            event.id.as_uuid().as_bytes(),
            &bytes,
            receipt.leaf.0,
        ))?;
        self.tree.append(receipt.leaf);
        project::project(self.transaction, receipt.seq, event)?;
        Ok(receipt)
    }

    /// Stores the tree's new head, once for all leaves.
    pub(super) fn finish(self) -> Result<(), StoreError> {
        if self.tree.size() != self.size_before {
            let head = self.tree.head();
            self.transaction.prepare_cached(sql::SET_TREE_HEAD)?.execute((
                stored(head.size)?,
                self.tree.edge_bytes(),
                head.root,
            ))?;
        }
        Ok(())
    }
}

pub(super) fn append(transaction: &Transaction<'_>, events: &[Event]) -> Result<Vec<Receipt>, StoreError> {
    let mut appender = Appender::begin(transaction)?;
    let receipts = events.iter().map(|event| appender.push(event)).collect::<Result<_, _>>()?;
    appender.finish()?;
    Ok(receipts)
}

/// The stored head, which must follow from the stored edge and count the stored events.
pub(super) fn head(connection: &Connection) -> Result<TreeHead, StoreError> {
    tree(connection).map(|tree| tree.head())
}

fn tree(connection: &Connection) -> Result<TreeState, StoreError> {
    let (size, edge, root) = connection
        .prepare_cached(sql::TREE_HEAD)?
        .query_row([], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, Vec<u8>>(1)?, row.get::<_, [u8; 32]>(2)?)))?;
    let tree = TreeState::from_stored(number(size)?, &edge).map_err(|error| StoreError::Corrupt(error.to_string()))?;
    if tree.head().root != root {
        return Err(StoreError::Corrupt("the tree's stored root does not follow from its stored edge".to_owned()));
    }
    let events: i64 = connection.prepare_cached(sql::NEXT_SEQ)?.query_row([], |row| row.get(0))?;
    if events != size {
        return Err(StoreError::Corrupt(format!("the tree has {size} leaves, but the next event would be {events}")));
    }
    Ok(tree)
}

pub(super) fn by_id(connection: &Connection, id: EventId) -> Result<Option<Logged>, StoreError> {
    let mut statement = connection.prepare_cached(sql::EVENT_BY_ID)?;
    let mut rows = statement.query([id.as_uuid().as_bytes()])?;
    rows.next()?.map(logged).transpose()
}

fn receipt(connection: &Connection, id: EventId) -> Result<Option<Receipt>, StoreError> {
    let found = connection
        .prepare_cached(sql::RECEIPT_BY_ID)?
        .query_row([id.as_uuid().as_bytes()], |row| Ok((row.get::<_, i64>(0)?, LeafHash(row.get(1)?))))
        .optional()?;
    found.map(|(seq, leaf)| Ok(Receipt { seq: number(seq)?, leaf })).transpose()
}

/// From a row of (seq, bytes, leaf_hash). Bytes that are not those of the leaf are an error, not an
/// event.
pub(super) fn logged(row: &Row<'_>) -> Result<Logged, StoreError> {
    let seq = number(row.get(0)?)?;
    let bytes = row.get_ref(1)?.as_blob().map_err(rusqlite::Error::from)?;
    let leaf = LeafHash(row.get(2)?);
    if LeafHash::of(bytes) != leaf {
        return Err(StoreError::Corrupt(format!("event {seq} is not what was written: its hash differs")));
    }
    let event =
        Event::decode(bytes).map_err(|error| StoreError::Corrupt(format!("event {seq} is unreadable: {error}")))?;
    Ok(Logged { receipt: Receipt { seq, leaf }, event })
}

/// SQLite's integers are signed.
pub(super) fn stored(number: u64) -> Result<i64, StoreError> {
    i64::try_from(number).map_err(|_| StoreError::Illegal(format!("{number} is more than the store can count")))
}

pub(super) fn number(stored: i64) -> Result<u64, StoreError> {
    u64::try_from(stored).map_err(|_| StoreError::Corrupt(format!("{stored} where a count was stored")))
}

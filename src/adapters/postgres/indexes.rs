//! Whether an index has what its table has: an administrator can keep rows out of one (`indisready`), and a
//! disk can lose them. Claims are judged and guarded by indexes.
//!
//! Where the plant's database has `amcheck`, and lets us use it, that looks. Else the rows that the index
//! leads to are counted and added up, and those that the table has.

use postgres::Client;

use crate::adapters::store::error::StoreError;

/// Our own tables' alone: what else is in the schema is known by then to be the plant's.
const INDEXES: &str = "SELECT i.relname, c.relname, m.amname, x.indexrelid,
        (SELECT string_agg(pg_get_indexdef(x.indexrelid, n, true), ', ' ORDER BY n)
         FROM generate_series(1, x.indnkeyatts::int) AS n),
        coalesce(pg_get_expr(x.indpred, x.indrelid), 'true')
    FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid JOIN pg_class c ON c.oid = x.indrelid
    JOIN pg_am m ON m.oid = i.relam
    WHERE c.relnamespace = to_regnamespace(quote_ident(current_schema())) AND c.relname = ANY ($1)
    ORDER BY c.relname, i.relname";

const AMCHECK: &str = "SELECT coalesce(has_function_privilege(to_regprocedure('bt_index_check(regclass, boolean)'),
    'EXECUTE'), false)";

const BY_TABLE: &str = "SET LOCAL enable_seqscan TO on; SET LOCAL enable_indexscan TO off;
    SET LOCAL enable_indexonlyscan TO off; SET LOCAL enable_bitmapscan TO off; SET LOCAL enable_sort TO on";
const BY_INDEX: &str = "SET LOCAL enable_seqscan TO off; SET LOCAL enable_indexscan TO on;
    SET LOCAL enable_indexonlyscan TO off; SET LOCAL enable_bitmapscan TO on; SET LOCAL enable_sort TO off";

struct Index {
    name: String,
    table: String,
    method: String,
    id: u32,
    /// What it is ordered by.
    keys: String,
    /// Of the rows that it has.
    condition: String,
}

/// The first index that is not as its table has it. In the transaction that is open.
pub(super) fn foreign_index(client: &mut Client, tables: &[&str]) -> Result<Option<String>, StoreError> {
    let amcheck: bool = client.query_one(AMCHECK, &[])?.try_get(0)?;
    for index in indexes(client, tables)? {
        let found = match amcheck && index.method == "btree" {
            true => checked(client, &index)?,
            false => counted(client, &index)?,
        };
        if let Some(found) = found {
            let Index { name, table, .. } = index;
            return Ok(Some(format!("index {name} is not that of the rows of table {table}: {found}")));
        }
    }
    Ok(None)
}

fn indexes(client: &mut Client, tables: &[&str]) -> Result<Vec<Index>, StoreError> {
    let rows = client.query(INDEXES, &[&tables])?;
    let index = |row: &postgres::Row| {
        Ok(Index {
            name: row.try_get(0)?,
            table: row.try_get(1)?,
            method: row.try_get(2)?,
            id: row.try_get(3)?,
            keys: row.try_get(4)?,
            condition: row.try_get(5)?,
        })
    };
    rows.iter().map(index).collect()
}

fn checked(client: &mut Client, index: &Index) -> Result<Option<String>, StoreError> {
    match client.query("SELECT bt_index_check(oid, true) FROM pg_class WHERE oid = $1", &[&index.id]) {
        Ok(_) => Ok(None),
        // Index, or data, corrupted.
        Err(error) => match error.as_db_error().filter(|error| error.code().code().starts_with("XX")) {
            Some(found) => Ok(Some(found.message().to_owned())),
            None => Err(error.into()),
        },
    }
}

fn counted(client: &mut Client, index: &Index) -> Result<Option<String>, StoreError> {
    let Index { name, table, method, keys, condition, .. } = index;
    let rows = match method.as_str() {
        // It has no order: asked for what lacks a word that nothing has, it goes through all.
        "gin" => format!("SELECT {keys} AS k FROM {table} WHERE {keys} @@ CAST('!nothing | nothing' AS tsquery)"),
        _ => format!("SELECT ROW({keys}) AS k FROM {table} WHERE {condition} ORDER BY {keys}"),
    };
    client.batch_execute(BY_INDEX)?;
    let plan = client.query(&format!("EXPLAIN (COSTS OFF) {rows}"), &[])?;
    let led = |row: &postgres::Row| row.try_get::<_, String>(0).is_ok_and(|line| line.contains(name.as_str()));
    if !plan.iter().any(led) {
        tracing::warn!(index = %name, "the server takes another way to the rows: amcheck could look at this index");
        return Ok(None);
    }
    let sums = format!("SELECT count(*), coalesce(sum(hashtextextended(k::text, 0)), 0)::text FROM ({rows}) AS kept");
    let led_to = sum(client, &sums)?;
    client.batch_execute(BY_TABLE)?;
    let there = sum(client, &sums)?;
    let told = || match (led_to.0, there.0) {
        (some, all) if some == all => "it leads to other rows".to_owned(),
        (some, all) => format!("it leads to {some} rows, and {all} are there"),
    };
    Ok((led_to != there).then(told))
}

fn sum(client: &mut Client, sums: &str) -> Result<(i64, String), StoreError> {
    let row = client.query_one(sums, &[])?;
    Ok((row.try_get(0)?, row.try_get(1)?))
}

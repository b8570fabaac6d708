//! The schema as it has to be. Compared with a text that is compiled in, because whoever only looks may
//! not make a fresh schema to compare with.

use std::collections::BTreeMap;

use postgres::Client;

use crate::adapters::store::error::StoreError;

const ASK: &str = include_str!("catalogue.sql");
/// Renewed by a test, see `migrations/README.md`.
const EXPECTED: &str = include_str!("catalogue.txt");

/// By whose it is and what it is.
type Catalogue<'t> = BTreeMap<(&'t str, &'t str), &'t str>;

/// What in the schema is not this program's, or is missing. Tables and views of the plant's own beside
/// ours change no answer and are none of our business.
pub(super) fn foreign_schema(client: &mut Client) -> Result<Option<String>, StoreError> {
    let mut found = Vec::new();
    for row in client.query(ASK, &[])? {
        // One object is one line.
        let definition = row.try_get::<_, String>(2)?.replace('\n', "\\n");
        found.push((row.try_get::<_, String>(0)?, row.try_get::<_, String>(1)?, definition));
    }
    let found = found.iter().map(|(owner, what, is)| ((owner.as_str(), what.as_str()), is.as_str())).collect();
    Ok(difference(&expected(), &found))
}

/// The names of this program's tables.
pub(super) fn tables() -> Vec<&'static str> {
    let own = expected().into_keys().filter(|(_, what)| *what == "table itself");
    own.map(|(owner, _)| owner).collect()
}

fn expected() -> Catalogue<'static> {
    let line = |line: &'static str| {
        let mut fields = line.splitn(3, '\t');
        Some(((fields.next()?, fields.next()?), fields.next()?))
    };
    EXPECTED.lines().filter_map(line).collect()
}

fn difference(expected: &Catalogue<'_>, found: &Catalogue<'_>) -> Option<String> {
    let missing = expected.iter().find(|(key, is)| found.get(*key) != Some(*is));
    if let Some(((owner, what), _)) = missing {
        return Some(format!("{what} of {owner} is missing or another one"));
    }
    let ours = |owner: &str| expected.keys().any(|(known, _)| *known == owner);
    let mut extra = found.keys().filter(|key| !expected.contains_key(*key));
    let (owner, what) = extra.find(|(owner, _)| ours(owner))?;
    Some(format!("{what} of {owner} is none of this program's"))
}

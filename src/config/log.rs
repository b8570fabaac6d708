//! `[log]`: the audit log's name, database, signing key, and the places of its checkpoints' copies.

use std::collections::BTreeMap;
use std::time::Duration;

use super::pkcs11_uri::{self, ObjectType};
use super::problem::Mistake;
use super::profile::token::pin;
use super::section::{Entry, Section};
use super::station::{all, endpoint};
use super::{Log, LogKey, Postgres, S3Copies, TokenKey};

pub(super) fn read(entry: &Entry<'_>, practice: bool) -> Option<Log> {
    let section = entry.section("[log]")?;
    let default = Log::default();
    let origin = section.optional("origin").map(|entry| entry.parsed());
    let key = section.optional("key").map_or(Some(LogKey::File(None)), |entry| key(&entry));
    let copies = match section.optional("copies") {
        Some(entry) => entry.items().and_then(|items| all(&items, Entry::path)),
        None => Some(Vec::new()),
    };
    let s3 = section.optional("s3").map(|entry| s3(&entry, practice));
    let checkpoint_every = match section.optional("checkpoint_seconds") {
        Some(entry) => entry.seconds(5..=3600),
        None => Some(default.checkpoint_every),
    };
    let persons = match section.optional("persons") {
        Some(entry) => entry.integer(1..=2).and_then(|count| u8::try_from(count).ok()),
        None => Some(default.persons),
    };
    let air_gapped_keys = match section.optional("air_gapped_keys") {
        Some(entry) => entry.items().and_then(|items| all(&items, |item| item.text().map(str::to_owned))),
        None => Some(Vec::new()),
    };
    let postgres = postgres(&section);
    Some(Log {
        origin: origin.map_or(Some(None), |origin| origin.map(Some))?,
        key: key?,
        copies: copies?,
        s3: s3.map_or(Some(None), |s3| s3.map(Some))?,
        checkpoint_every: checkpoint_every?,
        persons: persons?,
        air_gapped_keys: air_gapped_keys?,
        postgres: postgres?,
    })
}

/// A file, or an object in a token.
fn key(entry: &Entry<'_>) -> Option<LogKey> {
    let section = entry.section("[log.key]")?;
    let file = section.optional("file");
    if let Some(file) = &file {
        let because = "the key is a file: either name that, or a token's \"module\" and \"uri\"";
        section.meaningless(&["module", "environment", "uri", "pin", "pin_file", "pin_env"], because);
        return file.path().map(|path| LogKey::File(Some(path)));
    }
    let token =
        ["module", "environment", "uri", "pin", "pin_file", "pin_env"].map(|key| section.optional(key).is_some());
    if !token.contains(&true) {
        return Some(LogKey::File(None));
    }
    token_key(&section, "[log.key]").map(LogKey::Token)
}

/// A private key in a PKCS#11 token, with all that leads there.
pub(super) fn token_key(section: &Section<'_>, title: &str) -> Option<TokenKey> {
    let module = section.required("module").and_then(|entry| entry.module());
    let uri = section.required("uri").and_then(|entry| {
        let parsed = pkcs11_uri::parse_in_token(entry.text()?, ObjectType::PrivateKey);
        parsed.map_err(|error| entry.refuse(error.to_string())).ok()
    });
    let environment = section.optional("environment").map_or(Some(BTreeMap::new()), |entry| environment(&entry, title));
    let pin = pin(section);
    let (slot, key) = uri?;
    Some(TokenKey { module: module?, environment: environment?, slot, key, pin: pin? })
}

fn environment(entry: &Entry<'_>, title: &str) -> Option<BTreeMap<String, String>> {
    let section = entry.section(format!("{}.environment]", title.trim_end_matches(']')))?;
    let read = |(name, value): &(&str, Entry<'_>)| {
        let text = value.string()?;
        if name.is_empty() || name.contains(['=', '\0']) || text.contains('\0') {
            value.refuse("is no environment variable: no = in its name and no NUL in its value");
            return None;
        }
        Some(((*name).to_owned(), text.to_owned()))
    };
    section.user_entries().iter().map(read).collect::<Vec<_>>().into_iter().collect()
}

fn s3(entry: &Entry<'_>, practice: bool) -> Option<S3Copies> {
    let section = entry.section("[log.s3]")?;
    let bucket = section.required("bucket").and_then(|entry| bucket(&entry));
    let prefix = section.optional("prefix").map_or(Some(String::new()), |entry| prefix(&entry));
    let region = section.required("region").and_then(|entry| entry.parsed());
    let aws_profile = section.optional("aws_profile").map(|entry| entry.text().map(str::to_owned));
    let place = section.optional("endpoint").map(|entry| endpoint(&entry, practice));
    if practice && place.is_none() {
        section.report(Mistake::Missing {
            key: "\"endpoint\" in [log.s3], on this very machine as all of a practice station's cloud,".to_owned(),
        });
    }
    Some(S3Copies {
        bucket: bucket?,
        prefix: prefix?,
        region: region?,
        aws_profile: aws_profile.map_or(Some(None), |profile| profile.map(Some))?,
        endpoint: place.map_or(Some(None), |endpoint| endpoint.map(Some))?,
    })
}

/// As "General purpose bucket naming rules" in the Amazon S3 User Guide say, as far as characters go.
fn bucket(entry: &Entry<'_>) -> Option<String> {
    let text = entry.text()?;
    let good = (3..=63).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'.')
        && !text.starts_with(['-', '.'])
        && !text.ends_with(['-', '.']);
    if !good {
        let because = "a bucket's name is 3 to 63 of a-z 0-9 . -, with a letter or digit at both ends".into();
        entry.report(Mistake::BadValue { key: entry.name.clone(), value: text.to_owned(), because });
    }
    good.then(|| text.to_owned())
}

fn prefix(entry: &Entry<'_>) -> Option<String> {
    let text = entry.string()?;
    // What survives every tool and console without being escaped ("Safe characters" of object keys).
    let good = text.len() <= 512
        && !text.starts_with('/')
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"/!-_.*'()".contains(&b));
    if !good {
        let because = "up to 512 of a-z A-Z 0-9 / ! - _ . * ' ( ), not beginning with /".into();
        entry.report(Mistake::BadValue { key: entry.name.clone(), value: text.to_owned(), because });
        return None;
    }
    Some(if text.is_empty() || text.ends_with('/') { text.to_owned() } else { format!("{text}/") })
}

/// The password stands in a file of its own and is never repeated from here.
fn postgres(section: &Section<'_>) -> Option<Option<Postgres>> {
    let file = section.optional("password_file");
    let Some(entry) = section.optional("postgres") else {
        if let Some(file) = file {
            let because = "there is no \"postgres\" whose password it could be".into();
            file.report(Mistake::Meaningless { key: file.name.clone(), because });
            return None;
        }
        return Some(None);
    };
    let password_file = file.map(|entry| entry.path());
    let connection = entry.text()?;
    if has_password(connection) {
        entry.refuse(
            "a password does not belong into this file: write it into a file of its own (mode 0600) and name that \
             by password_file",
        );
        return None;
    }
    Some(Some(Postgres {
        connection: connection.to_owned(),
        password_file: password_file.map_or(Some(None), |path| path.map(Some))?,
    }))
}

/// In either form of libpq's connection strings: `postgresql://user:password@host/db?password=…` or
/// `host=… password=…`.
fn has_password(connection: &str) -> bool {
    let lower = connection.to_ascii_lowercase();
    let url = lower.strip_prefix("postgresql://").or_else(|| lower.strip_prefix("postgres://"));
    match url {
        Some(rest) => {
            let (address, query) = rest.split_once('?').unwrap_or((rest, ""));
            let user = address.split('/').next().and_then(|authority| authority.rsplit_once('@')).map(|(user, _)| user);
            user.is_some_and(|user| user.contains(':'))
                || query.split('&').any(|part| part.split('=').next() == Some("password"))
        }
        None => {
            let mut words = lower.split(|c: char| c.is_whitespace() || c == '=');
            words.any(|word| word == "password")
        }
    }
}

impl Entry<'_> {
    /// A duration, written in whole seconds.
    fn seconds(&self, range: std::ops::RangeInclusive<i64>) -> Option<Duration> {
        u64::try_from(self.integer(range)?).ok().map(Duration::from_secs)
    }
}

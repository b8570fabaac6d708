//! Connecting to the plant's server, and its schema.

use std::sync::Arc;
use std::time::Duration;

use postgres::config::SslMode;
use postgres::{Client, Config, NoTls};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::session::PostgresSession;
use crate::adapters::store::error::StoreError;
use crate::adapters::store::session::{Mode, Session as _};
use crate::adapters::store::{log, project};

mod schema {
    refinery::embed_migrations!("migrations/postgres");
}

/// Two stations that start at once must not both migrate.
const MIGRATING: &str = "SELECT pg_advisory_lock(7236837441)";
const MIGRATED: &str = "SELECT pg_advisory_unlock(7236837441)";

const CONNECT_WITHIN: Duration = Duration::from_secs(3);
/// A server that vanished without a word is noticed after about this: the connection is given up when
/// nothing sent is acknowledged.
const SILENCE: Duration = Duration::from_secs(5);

/// How to reach the server; connections are made from it again and again.
#[derive(Clone)]
pub(super) struct Server {
    config: Config,
    tls: Option<MakeRustlsConnect>,
}

impl Server {
    pub(super) fn new(mut config: Config) -> Result<Self, StoreError> {
        config.connect_timeout(CONNECT_WITHIN).tcp_user_timeout(SILENCE).keepalives(true).keepalives_idle(SILENCE);
        if config.get_application_name().is_none() {
            config.application_name("lineseal");
        }
        let tls = match config.get_ssl_mode() {
            SslMode::Disable => None,
            _ => Some(tls()?),
        };
        Ok(Self { config, tls })
    }

    pub(super) fn connect(&self) -> Result<Client, StoreError> {
        let mut client = match &self.tls {
            Some(tls) => self.config.connect(tls.clone()),
            None => self.config.connect(NoTls),
        }
        .map_err(|error| away(&error))?;
        // On this server an answer to COMMIT means that it is on its disk, whatever its own default is; and
        // a lock that somebody left behind is waited for as long as for a busy file.
        client.batch_execute(
            "SET synchronous_commit TO on; SET lock_timeout TO '5s'; SET client_min_messages TO warning",
        )?;
        Ok(client)
    }
}

/// Whatever keeps a connection from coming about: the server is away for this station.
fn away(error: &postgres::Error) -> StoreError {
    let mut cause = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(inner) = source {
        cause = format!("{cause}: {inner}");
        source = inner.source();
    }
    StoreError::Away(cause)
}

fn tls() -> Result<MakeRustlsConnect, StoreError> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| StoreError::Away(error.to_string()))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(MakeRustlsConnect::new(config))
}

/// A connection that writes: the schema is brought up to date first.
pub(super) fn writer(server: &Server) -> Result<PostgresSession, StoreError> {
    let mut client = server.connect()?;
    client.batch_execute(MIGRATING)?;
    let migrated = migrate(server, client)?;
    Ok(migrated)
}

/// A connection that only reads. The schema must be this program's.
pub(super) fn reader(server: &Server) -> Result<PostgresSession, StoreError> {
    let mut client = server.connect()?;
    if !is_current(&mut client)? {
        return Err(StoreError::Older);
    }
    client.batch_execute("SET default_transaction_read_only TO on")?;
    Ok(PostgresSession::new(server.clone(), client))
}

fn migrate(server: &Server, mut client: Client) -> Result<PostgresSession, StoreError> {
    let current = is_current(&mut client)?;
    if !current {
        schema::migrations::runner().run(&mut client)?;
    }
    let mut session = PostgresSession::new(server.clone(), client);
    if !current {
        session.begin(Mode::Write)?;
        log::fill_hashes(&mut session)?;
        project::rebuild(&mut session)?;
        session.commit()?;
    }
    session.script(MIGRATED)?;
    Ok(session)
}

/// Compares what was applied with what this program embeds, by version, name and checksum.
fn is_current(client: &mut Client) -> Result<bool, StoreError> {
    let runner = schema::migrations::runner();
    let known = runner.get_migrations();
    let newest = known.iter().map(|migration| i64::from(migration.version())).max().unwrap_or(0);
    let exists: bool =
        client.query_one("SELECT to_regclass('refinery_schema_history') IS NOT NULL", &[])?.try_get(0)?;
    if !exists {
        let tables: i64 =
            client.query_one("SELECT count(*) FROM pg_tables WHERE schemaname = current_schema()", &[])?.try_get(0)?;
        return match tables {
            0 => Ok(false),
            _ => Err(StoreError::Corrupt("the database has tables, but not Lineseal's".to_owned())),
        };
    }
    let applied = client.query("SELECT version, name, checksum FROM refinery_schema_history", &[])?;
    for row in &applied {
        let version = i64::from(row.try_get::<_, i32>(0)?);
        let (name, checksum): (String, String) = (row.try_get(1)?, row.try_get(2)?);
        if version > newest {
            return Err(StoreError::Newer { what: "schema version", found: version, known: newest });
        }
        let ours = known.iter().any(|migration| {
            i64::from(migration.version()) == version
                && migration.name() == name
                && migration.checksum().to_string() == checksum
        });
        if !ours {
            return Err(StoreError::Corrupt(format!("schema version {version} ({name}) is not this program's")));
        }
    }
    if applied.len() != known.len() {
        return Ok(false);
    }
    let derived: i64 = client.query_one("SELECT number FROM projection WHERE one = 1", &[])?.try_get(0)?;
    if derived > project::PROJECTION {
        return Err(StoreError::Newer { what: "projection", found: derived, known: project::PROJECTION });
    }
    Ok(derived == project::PROJECTION)
}

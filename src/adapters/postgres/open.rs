//! Connecting to the plant's server, and its schema.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use postgres::config::{SslMode, TargetSessionAttrs};
use postgres::error::SqlState;
use postgres::{Client, Config, NoTls};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use tokio_postgres_rustls::MakeRustlsConnect;

use super::connection::Connection;
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

/// What a connection is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    Write,
    /// The reading side of one that writes: on the same server, so that it sees what was written.
    Read,
    /// Only looks: any server that has the log will do.
    Look,
}

/// How to reach the server; connections are made from it again and again.
#[derive(Clone)]
pub(super) struct Server {
    config: Config,
    tls: Option<MakeRustlsConnect>,
    practice: Option<bool>,
}

impl Server {
    pub(super) fn new(connection: Connection) -> Result<Self, StoreError> {
        let Connection { mut config, roots, practice } = connection;
        config.connect_timeout(CONNECT_WITHIN).tcp_user_timeout(SILENCE).keepalives(true).keepalives_idle(SILENCE);
        if config.get_application_name().is_none() {
            config.application_name("lineseal");
        }
        let tls = match config.get_ssl_mode() {
            SslMode::Disable => None,
            _ => Some(tls(roots.as_deref())?),
        };
        Ok(Self { config, tls, practice })
    }

    /// A connection to a log that is found to be as this program expects it: whatever happened to the
    /// server since the last one.
    pub(super) fn connect(&self, access: Access) -> Result<Client, StoreError> {
        let client = self.dial(access)?;
        match access {
            Access::Write => self.writer(client),
            Access::Read => reader(self.writer(client)?),
            Access::Look => reader(client),
        }
    }

    fn dial(&self, access: Access) -> Result<Client, StoreError> {
        let mut config = self.config.clone();
        if access != Access::Look {
            // While a standby takes over, its log is not yet the one that is written.
            config.target_session_attrs(TargetSessionAttrs::ReadWrite);
        }
        let mut client = match &self.tls {
            Some(tls) => config.connect(tls.clone()),
            None => config.connect(NoTls),
        }
        .map_err(|error| away(&error))?;
        // On this server an answer to COMMIT means that it is on its disk, whatever its own default is; and
        // a lock that somebody left behind is waited for as long as for a busy file.
        client.batch_execute(
            "SET synchronous_commit TO on; SET lock_timeout TO '5s'; SET client_min_messages TO warning",
        )?;
        Ok(client)
    }

    /// The schema is brought up to date first.
    fn writer(&self, mut client: Client) -> Result<Client, StoreError> {
        // What is found while another station lays it out may be half of it: it counts behind the lock only.
        if !matches!(is_current(&mut client), Ok(true)) {
            client.batch_execute(MIGRATING).map_err(|error| match error.code() {
                Some(&SqlState::LOCK_NOT_AVAILABLE) => {
                    StoreError::Away("another station is bringing it up to date".to_owned())
                }
                _ => error.into(),
            })?;
            client = migrate(client)?;
            client.batch_execute(MIGRATED)?;
        }
        if let Some(practice) = self.practice {
            settle_purpose(&mut client, practice)?;
        }
        Ok(client)
    }
}

/// A log without events takes the purpose of the first that comes.
fn settle_purpose(client: &mut Client, practice: bool) -> Result<(), StoreError> {
    let said = i64::from(practice);
    client.execute("INSERT INTO purpose (one, practice) VALUES (1, $1) ON CONFLICT (one) DO NOTHING", &[&said])?;
    let known: i64 = client.query_one("SELECT practice FROM purpose WHERE one = 1", &[])?.try_get(0)?;
    if known == said { Ok(()) } else { Err(StoreError::Practice { log: known == 1 }) }
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

fn tls(own: Option<&Path>) -> Result<MakeRustlsConnect, StoreError> {
    let mut roots = rustls::RootCertStore::empty();
    let certificates = match own {
        Some(path) => pem_certificates(path)?,
        None => rustls_native_certs::load_native_certs().certs,
    };
    roots.add_parsable_certificates(certificates);
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| StoreError::Away(error.to_string()))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(MakeRustlsConnect::new(config))
}

fn pem_certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, StoreError> {
    let unreadable = |cause: String| StoreError::Settings(format!("sslrootcert {}: {cause}", path.display()));
    let read: Result<Vec<_>, _> =
        CertificateDer::pem_file_iter(path).map_err(|error| unreadable(error.to_string()))?.collect();
    match read {
        Ok(certificates) if certificates.is_empty() => Err(unreadable("holds no certificate".to_owned())),
        Ok(certificates) => Ok(certificates),
        Err(error) => Err(unreadable(error.to_string())),
    }
}

/// The schema must be this program's.
fn reader(mut client: Client) -> Result<Client, StoreError> {
    if !is_current(&mut client)? {
        return Err(StoreError::Older);
    }
    client.batch_execute("SET default_transaction_read_only TO on")?;
    Ok(client)
}

fn migrate(mut client: Client) -> Result<Client, StoreError> {
    // Another station may have been faster.
    if is_current(&mut client)? {
        return Ok(client);
    }
    schema::migrations::runner().run(&mut client)?;
    let mut session = PostgresSession::over(client);
    session.begin(Mode::Write)?;
    log::fill_hashes(&mut session)?;
    project::rebuild(&mut session)?;
    session.commit()?;
    session.into_client()
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

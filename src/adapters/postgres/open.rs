//! Connecting to the plant's server, and its schema.

use std::path::Path;
use std::sync::{Arc, LazyLock, mpsc};
use std::time::Duration;

use postgres::config::{SslMode, TargetSessionAttrs};
use postgres::error::SqlState;
use postgres::{Client, Config, NoTls};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use tokio_postgres_rustls::MakeRustlsConnect;

use super::catalogue;
use super::connection::Connection;
use super::session::PostgresSession;
use crate::adapters::store::archive::Archives;
use crate::adapters::store::error::StoreError;
use crate::adapters::store::session::Session as _;
use crate::adapters::store::{log, project, sql};
use crate::domain::{Sha256, StationName};

mod schema {
    refinery::embed_migrations!("migrations/postgres");
}

/// The schema version that this program knows.
pub(super) static NEWEST: LazyLock<i64> = LazyLock::new(|| {
    let runner = schema::migrations::runner();
    runner.get_migrations().iter().map(|migration| i64::from(migration.version())).max().unwrap_or(0)
});

/// Two stations that start at once must not both migrate.
const MIGRATING: &str = "SELECT pg_advisory_lock(7236837441)";
const MIGRATED: &str = "SELECT pg_advisory_unlock(7236837441)";

/// Longer than anybody waits for the answer to a COMMIT.
const FORGET_OLD_COMMITS: &str = "DELETE FROM commits WHERE at < now() - interval '30 days'";

/// A station's own lock is one of the database's (hence two numbers) for as long as its session lasts.
const TAKE_STATION: &str = "SELECT pg_advisory_lock($1, $2)";
const STATION_HOLDER: &str = "SELECT l.pid, coalesce(host(a.client_addr), 'an address that the server does not tell')
    FROM pg_locks l JOIN pg_database d ON d.oid = l.database LEFT JOIN pg_stat_activity a ON a.pid = l.pid
    WHERE l.locktype = 'advisory' AND l.granted AND d.datname = current_database()
        AND l.classid::bigint = $1::int4::bigint & 4294967295 AND l.objid::bigint = $2::int4::bigint & 4294967295
        AND l.objsubid = 2";

const CONNECT_WITHIN: Duration = Duration::from_secs(3);
/// Names resolved, TLS, and the password.
const GREETED_WITHIN: Duration = Duration::from_secs(10);
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
pub(super) struct Server {
    config: Config,
    tls: Option<MakeRustlsConnect>,
    practice: Option<bool>,
    pub(super) archives: Archives,
    station: Option<StationName>,
    /// The server's process that took the station's lock for us last.
    holder: Option<i32>,
    /// A connection that the server took and has not answered on yet.
    dialling: Option<mpsc::Receiver<Result<Client, StoreError>>>,
}

impl Server {
    pub(super) fn new(connection: Connection) -> Result<Self, StoreError> {
        let Connection { mut config, roots, practice, archives, station } = connection;
        config.connect_timeout(CONNECT_WITHIN).tcp_user_timeout(SILENCE).keepalives(true).keepalives_idle(SILENCE);
        if config.get_application_name().is_none() {
            config.application_name("lineseal");
        }
        let tls = match config.get_ssl_mode() {
            SslMode::Disable => None,
            _ => Some(tls(roots.as_deref())?),
        };
        let archives = archives.map(Archives::in_folder).unwrap_or_default();
        Ok(Self { config, tls, practice, archives, station, holder: None, dialling: None })
    }

    /// A connection to a log that is found to be as this program expects it: whatever happened to the
    /// server since the last one.
    pub(super) fn connect(&mut self, access: Access) -> Result<Client, StoreError> {
        let mut client = self.dial(access)?;
        match access {
            Access::Write => {
                self.take_station(&mut client)?;
                self.writer(client)
            }
            Access::Read => reader(self.writer(client)?),
            Access::Look => reader(client),
        }
    }

    /// A server may take a connection and never say a word on it, and the client waits for ever: in a
    /// thread of its own, and never in more than one.
    pub(super) fn dial(&mut self, access: Access) -> Result<Client, StoreError> {
        let dialling = self.dialling.take().unwrap_or_else(|| {
            let mut config = self.config.clone();
            if access != Access::Look {
                // While a standby takes over, its log is not yet the one that is written.
                config.target_session_attrs(TargetSessionAttrs::ReadWrite);
            }
            let (tls, (connected, dialling)) = (self.tls.clone(), mpsc::sync_channel(1));
            std::thread::spawn(move || {
                let client = match tls {
                    Some(tls) => config.connect(tls),
                    None => config.connect(NoTls),
                };
                let _ = connected.send(client.map_err(|error| away(&error)));
            });
            dialling
        });
        let mut client = match dialling.recv_timeout(GREETED_WITHIN) {
            Ok(connected) => connected?,
            Err(mpsc::RecvTimeoutError::Timeout) => {
                self.dialling = Some(dialling);
                return Err(StoreError::Away("it takes a connection and does not answer".to_owned()));
            }
            Err(mpsc::RecvTimeoutError::Disconnected) => return Err(StoreError::Ended),
        };
        // On this server an answer to COMMIT means that it is on its disk, whatever its own default is; and
        // a lock that somebody left behind is waited for as long as for a busy file. A station that lost its
        // power says no goodbye: the server looks whether it is there.
        client.batch_execute(
            "SET synchronous_commit TO on; SET lock_timeout TO '5s'; SET client_min_messages TO warning;
             SET tcp_keepalives_idle TO 5; SET tcp_keepalives_interval TO 5; SET tcp_keepalives_count TO 3",
        )?;
        client.batch_execute(OWN_SCHEMA)?;
        Ok(client)
    }

    /// L-508 where another one of this name has it. Our own last connection may not have ended for the
    /// server, as when the line between was cut: it is ended here.
    fn take_station(&mut self, client: &mut Client) -> Result<(), StoreError> {
        let Some(station) = &self.station else { return Ok(()) };
        let [a, b, c, d, e, f, g, h, ..] = *Sha256::of(format!("lineseal station {station}").as_bytes()).as_bytes();
        let (class, object) = (i32::from_be_bytes([a, b, c, d]), i32::from_be_bytes([e, f, g, h]));
        if let Some(ours) = self.holder
            && client
                .query(STATION_HOLDER, &[&class, &object])?
                .iter()
                .any(|row| row.try_get::<_, i32>(0).is_ok_and(|pid| pid == ours))
        {
            client.execute("SELECT pg_terminate_backend($1)", &[&ours])?;
        }
        match client.execute(TAKE_STATION, &[&class, &object]) {
            Ok(_) => {}
            Err(error) if error.code() == Some(&SqlState::LOCK_NOT_AVAILABLE) => {
                let Some(holder) = client.query_opt(STATION_HOLDER, &[&class, &object])? else {
                    return Err(StoreError::Away(format!("station {station} has only just let go of it")));
                };
                let (pid, whence): (i32, String) = (holder.try_get(0)?, holder.try_get(1)?);
                return Err(match self.holder {
                    Some(ours) if ours == pid => StoreError::Away("our own last connection has not ended".to_owned()),
                    _ => StoreError::Twice(format!(
                        "another station {station} is at work in this log, from {whence} (server process {pid})"
                    )),
                });
            }
            Err(error) => return Err(error.into()),
        }
        self.holder = Some(client.query_one("SELECT pg_backend_pid()", &[])?.try_get(0)?);
        Ok(())
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
            client = migrate(client, &self.archives)?;
            client.batch_execute(MIGRATED)?;
        }
        if let Some(foreign) = catalogue::foreign_schema(&mut client)? {
            return Err(StoreError::Corrupt(format!("the database is not as this program made it: {foreign}")));
        }
        if let Some(practice) = self.practice {
            settle_purpose(&mut client, practice)?;
        }
        client.batch_execute(FORGET_OLD_COMMITS)?;
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
        let tls = inner.downcast_ref::<std::io::Error>().and_then(|io| io.get_ref()?.downcast_ref::<rustls::Error>());
        if let Some(advice) = tls.and_then(advice) {
            return StoreError::Away(format!("{cause}: {advice}"));
        }
        source = inner.source();
    }
    StoreError::Away(cause)
}

/// What to do about a server whose certificate is refused.
fn advice(error: &rustls::Error) -> Option<&'static str> {
    use rustls::CertificateError as Why;
    let rustls::Error::InvalidCertificate(why) = error else { return None };
    Some(match why {
        Why::UnknownIssuer => {
            "nobody known here vouches for the server's certificate; name the file of the CA that does by sslrootcert"
        }
        Why::NotValidForName | Why::NotValidForNameContext { .. } => {
            "the server's certificate is for another name; write the host as it stands in the certificate"
        }
        Why::Expired | Why::ExpiredContext { .. } | Why::NotValidYet | Why::NotValidYetContext { .. } => {
            "the server's certificate is not valid now; renew it, or set this computer's clock"
        }
        _ => "the server's certificate can't be trusted",
    })
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

/// Functions and operators are the server's own, whatever the database or the role would look through first.
const OWN_SCHEMA: &str = "SELECT pg_catalog.set_config('search_path', pg_catalog.concat(
    pg_catalog.quote_ident(pg_catalog.current_schema()), ', pg_temp'), false)";

/// The schema must be this program's.
fn reader(mut client: Client) -> Result<Client, StoreError> {
    if !is_current(&mut client)? {
        return Err(StoreError::Older);
    }
    client.batch_execute("SET default_transaction_read_only TO on")?;
    Ok(client)
}

/// Schema and projections in one transaction that holds the tree's head from its first statement: no
/// station writes meanwhile, and whoever waits to do so finds everything new, or everything as it was.
fn migrate(mut client: Client, archives: &Archives) -> Result<Client, StoreError> {
    client.batch_execute("BEGIN")?;
    let is_laid_out: bool = client.query_one("SELECT to_regclass('tree_head') IS NOT NULL", &[])?.try_get(0)?;
    if is_laid_out {
        client.batch_execute(sql::LOCK_TREE_HEAD.postgres)?;
    }
    // Another station may have been faster.
    if is_current(&mut client)? {
        client.batch_execute("ROLLBACK")?;
        return Ok(client);
    }
    apply_migrations(&mut client)?;
    let mut session = PostgresSession::over(client, archives.clone());
    log::fill_hashes(&mut session)?;
    project::rebuild(&mut session)?;
    session.commit()?;
    session.into_client()
}

/// As refinery's own runner does, which would commit each of them.
fn apply_migrations(client: &mut Client) -> Result<(), StoreError> {
    client.batch_execute(
        "CREATE TABLE IF NOT EXISTS refinery_schema_history(
             version INT4 PRIMARY KEY, name VARCHAR(255), applied_on VARCHAR(255), checksum VARCHAR(255))",
    )?;
    let applied = client.query("SELECT version FROM refinery_schema_history", &[])?;
    let applied: Vec<i32> = applied.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>()?;
    let runner = schema::migrations::runner();
    let mut missing: Vec<_> = runner.get_migrations().iter().filter(|m| !applied.contains(&m.version())).collect();
    missing.sort();
    for migration in missing {
        client.batch_execute(migration.sql().unwrap_or_default())?;
        client.execute(
            "INSERT INTO refinery_schema_history (version, name, applied_on, checksum)
             VALUES ($1, $2, to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"'), $3)",
            &[&migration.version(), &migration.name(), &migration.checksum().to_string()],
        )?;
    }
    Ok(())
}

/// Compares what was applied with what this program embeds, by version, name and checksum.
fn is_current(client: &mut Client) -> Result<bool, StoreError> {
    let runner = schema::migrations::runner();
    let known = runner.get_migrations();
    let newest = *NEWEST;
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
        return match catalogue::foreign_schema(client)? {
            Some(_) => Ok(false),
            // It has what those versions made.
            None => Err(StoreError::Corrupt(format!(
                "{} of its {} schema versions are on record, and it is laid out by all",
                applied.len(),
                known.len()
            ))),
        };
    }
    let derived: i64 = client.query_one("SELECT number FROM projection WHERE one = 1", &[])?.try_get(0)?;
    if derived > project::PROJECTION {
        return Err(StoreError::Newer { what: "projection", found: derived, known: project::PROJECTION });
    }
    Ok(derived == project::PROJECTION)
}

//! The connection string as the station's configuration has it.
//!
//! It is libpq's, in either form. Of libpq's options two are ours to read, because the client does not
//! know them: `sslmode=verify-ca|verify-full` and `sslrootcert`.

use std::fmt;
use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use postgres::Config;
use postgres::config::{Host, SslMode};
use secrecy::zeroize::Zeroizing;

use crate::domain::{Failure, ReasonCode, StationName};

/// What libpq's own programs read the password from.
const PASSWORD_VARIABLE: &str = "PGPASSWORD";
/// Longer than any password a server takes.
const LONGEST_PASSWORD: u64 = 1024;

/// How to reach the plant's database, and whom to believe that it is that one.
#[derive(Clone)]
pub struct Connection {
    pub(super) config: Config,
    /// Certificates (PEM) that vouch for the server in place of the system's.
    pub(super) roots: Option<PathBuf>,
    /// Whether the log has to be the practice line's, or must not be; `None`: either will do.
    pub(super) practice: Option<bool>,
    /// Where archives are looked for.
    pub(super) archives: Option<PathBuf>,
    /// Who works here, and nobody else under that name. `None`: a command, which may at any time.
    pub(super) station: Option<StationName>,
}

impl Connection {
    /// The first station that writes says whether this is the practice line's log; another one is
    /// refused with K-704.
    pub fn of_practice(self, practice: bool) -> Self {
        Self { practice: Some(practice), ..self }
    }

    /// A second station of this name is refused with L-508 for as long as this one has a connection.
    pub fn of_station(self, station: StationName) -> Self {
        Self { station: Some(station), ..self }
    }

    /// Events whose bytes were archived are read from the archives in this folder.
    pub fn with_archives(self, folder: PathBuf) -> Self {
        Self { archives: Some(folder), ..self }
    }
}

/// Where the log is, for people; nothing secret.
impl fmt::Display for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hosts = self.config.get_hosts().iter().map(|host| match host {
            Host::Tcp(name) => name.clone(),
            Host::Unix(path) => path.display().to_string(),
        });
        let hosts: Vec<String> = hosts.chain(self.config.get_hostaddrs().iter().map(ToString::to_string)).collect();
        let name = self.config.get_dbname().or(self.config.get_user()).unwrap_or_default();
        write!(f, "PostgreSQL database {name} at {}", hosts.join(", "))
    }
}

impl From<Config> for Connection {
    fn from(config: Config) -> Self {
        Self { config, roots: None, practice: None, archives: None, station: None }
    }
}

/// From the configuration: `text` has no password; it is in a file that nobody else may read, or in
/// PGPASSWORD, or there is none. K-701 where something is wrong with either.
pub fn connection(text: &str, password_file: Option<&Path>) -> Result<Connection, Failure> {
    let (rest, [mode, roots]) = take_options(text, ["sslmode", "sslrootcert"]);
    let mut config: Config = rest.parse().map_err(|error| wrong(format!("\"postgres\" in [log]: {}", told(&error))))?;
    match mode.as_deref() {
        None | Some("prefer") => {}
        Some("disable") => {
            config.ssl_mode(SslMode::Disable);
        }
        // The certificate is verified whenever there is one: each of these means the whole of it.
        Some("require" | "verify-ca" | "verify-full") => {
            config.ssl_mode(SslMode::Require);
        }
        Some(other) => {
            let known = "disable, prefer, require, verify-ca or verify-full";
            return Err(wrong(format!("\"postgres\" in [log]: sslmode is {other:?}, and may be {known}")));
        }
    }
    if config.get_hosts().is_empty() && config.get_hostaddrs().is_empty() {
        return Err(wrong("\"postgres\" in [log] names no host".to_owned()));
    }
    let password = match password_file {
        Some(path) => Some(read_password(path)?),
        None => std::env::var(PASSWORD_VARIABLE).ok().map(Zeroizing::new),
    };
    if let Some(password) = password {
        config.password(password.as_bytes());
    }
    Ok(Connection { roots: roots.map(PathBuf::from), ..config.into() })
}

fn wrong(cause: String) -> Failure {
    Failure::new(ReasonCode::CONFIG_INVALID, cause)
}

/// The client's message says that something is wrong, and its source what.
fn told(error: &postgres::Error) -> String {
    match std::error::Error::source(error) {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}

/// One line.
fn read_password(path: &Path) -> Result<Zeroizing<String>, Failure> {
    let unreadable = |error: std::io::Error| wrong(format!("the password file {}: {error}", path.display()));
    let file = File::open(path).map_err(unreadable)?;
    let mode = file.metadata().map_err(unreadable)?.permissions().mode() & 0o7777;
    if mode & 0o077 != 0 {
        let path = path.display();
        return Err(wrong(format!("others may read the password file {path} (mode {mode:04o}): chmod 600 it")));
    }
    let mut text = Zeroizing::new(String::new());
    file.take(LONGEST_PASSWORD).read_to_string(&mut text).map_err(unreadable)?;
    let line = text.strip_suffix('\n').unwrap_or(&text);
    let line = line.strip_suffix('\r').unwrap_or(line);
    if line.is_empty() || line.contains('\n') {
        return Err(wrong(format!("the password file {} has to hold one line, the password", path.display())));
    }
    Ok(Zeroizing::new(line.to_owned()))
}

/// The string without these options, and their values.
fn take_options<const N: usize>(text: &str, names: [&str; N]) -> (String, [Option<String>; N]) {
    let mut found = [const { None }; N];
    let mut keep = |name: &str, value: &str| match names.iter().position(|known| *known == name) {
        Some(index) => {
            found[index] = Some(value.to_owned());
            false
        }
        None => true,
    };
    let rest = if text.starts_with("postgres://") || text.starts_with("postgresql://") {
        let (address, query) = text.split_once('?').unwrap_or((text, ""));
        let kept: Vec<&str> = query
            .split('&')
            .filter(|option| {
                let (name, value) = option.split_once('=').unwrap_or((option, ""));
                !option.is_empty() && keep(name, value)
            })
            .collect();
        let mark = if kept.is_empty() { "" } else { "?" };
        format!("{address}{mark}{}", kept.join("&"))
    } else {
        let kept: Vec<&str> = words(text)
            .into_iter()
            .filter(|word| {
                let (name, value) = word.split_once('=').unwrap_or((word, ""));
                keep(name.trim(), value.trim().trim_matches('\''))
            })
            .collect();
        kept.join(" ")
    };
    (rest, found)
}

/// `name=value` each; a value in single quotes may hold spaces, and a backslash what it likes.
fn words(text: &str) -> Vec<&str> {
    let (mut words, mut start, mut quoted, mut escaped) = (Vec::new(), 0, false, false);
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '\'' => quoted = !quoted,
            c if c.is_whitespace() && !quoted => {
                words.push(&text[start..at]);
                start = at;
            }
            _ => {}
        }
    }
    words.push(&text[start..]);
    words.into_iter().map(str::trim).filter(|word| !word.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::io::Write as _;

    use super::*;

    fn refused(text: &str) -> String {
        let failure = connection(text, None).err().expect(text);
        assert_eq!(failure.code, ReasonCode::CONFIG_INVALID);
        failure.cause
    }

    #[test]
    fn both_forms_of_libpq_are_read() {
        for text in [
            "postgresql://line@db.plant.example/lineseal?sslmode=verify-full&sslrootcert=/etc/ca.pem&connect_timeout=2",
            "host=db.plant.example user=line dbname=lineseal sslmode=verify-full sslrootcert='/etc/ca.pem'",
        ] {
            let Connection { config, roots, .. } = connection(text, None).unwrap();
            assert_eq!((config.get_user(), config.get_dbname()), (Some("line"), Some("lineseal")));
            assert_eq!(config.get_ssl_mode(), SslMode::Require);
            assert_eq!(roots, Some(PathBuf::from("/etc/ca.pem")));
        }
        let spaced = connection("host=a application_name='line 3' sslmode=disable", None).unwrap().config;
        assert_eq!(spaced.get_application_name(), Some("line 3"));
        assert_eq!(spaced.get_ssl_mode(), SslMode::Disable);
        assert_eq!(connection("host=a", None).unwrap().config.get_ssl_mode(), SslMode::Prefer);
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        assert!(refused("host=a sslmode=always").contains("sslmode"));
        assert!(refused("host=a colour=blue").contains("colour"));
        assert!(refused("dbname=lineseal").contains("names no host"));
    }

    #[test]
    fn a_password_file_is_its_owners_and_holds_one_line() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(b"of the plant\n").unwrap();
        let read = |mode| {
            file.as_file().set_permissions(Permissions::from_mode(mode)).unwrap();
            connection("host=a", Some(file.path())).map_err(|failure| failure.cause)
        };
        assert_eq!(read(0o600).unwrap().config.get_password(), Some(b"of the plant".as_slice()));
        for mode in [0o640, 0o604, 0o644] {
            assert!(read(mode).err().unwrap().contains("chmod 600"));
        }
        for wrong in ["", "\n", "two\nlines\n"] {
            std::fs::write(file.path(), wrong).unwrap();
            file.as_file().set_permissions(Permissions::from_mode(0o600)).unwrap();
            assert!(connection("host=a", Some(file.path())).err().unwrap().cause.contains("one line"));
        }
    }
}

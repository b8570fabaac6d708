//! A PostgreSQL of the test's own, on loopback, durable as in the field: it can be killed, restarted,
//! and spoken to through a `Proxy` that slows commits, loses answers and cuts the line.
//!
//! Several suites include this file with `#[path]`; each uses a part of it.
#![allow(dead_code, reason = "each suite uses a part of it")]

#[path = "postgres_proxy.rs"]
mod proxy;

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use ::postgres::{Client, Config, IsolationLevel, NoTls};
use rustix::process::{Pid, Signal, geteuid, kill_process};

pub use proxy::Proxy;

const USER: &str = "lineseal";
const PASSWORD: &str = "of-a-test";
/// A cold disk that others write to takes tens of seconds for a start after a crash.
const WITHIN: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(10);
/// Also the server's parent.
const KEEPER: &str = include_str!("postgres_keeper.sh");

/// A running server. It ends, and its folder goes, with this value or with the test binary, however
/// that ends.
pub struct Postgres {
    folder: PathBuf,
    port: u16,
    keeper: Mutex<Keeper>,
    databases: AtomicU32,
}

/// One database of a server and the way to it.
#[derive(Debug, Clone)]
pub struct Database {
    pub name: String,
    /// On 127.0.0.1: the server's or a proxy's.
    pub port: u16,
}

/// What a database held, by table.
pub struct Dump(Vec<(String, Vec<u8>)>);

impl Postgres {
    /// One server for all tests that only want a database of their own. Not for a test that kills it.
    pub fn shared() -> &'static Postgres {
        static SHARED: OnceLock<Postgres> = OnceLock::new();
        SHARED.get_or_init(Postgres::start)
    }

    /// A server that answers: UTF-8, locale C, `fsync` on, passwords by SCRAM.
    pub fn start() -> Postgres {
        Self::start_with(&[])
    }

    /// The same with settings of `postgresql.conf` besides: `("max_connections", "200")`.
    pub fn start_with(settings: &[(&str, &str)]) -> Postgres {
        // The keeper removes it: it lives longer than this process may.
        let folder = tempfile::Builder::new().prefix("lineseal-pg-").tempdir().unwrap().keep();
        let mut keeper = Keeper::spawn(&folder);
        initialise(&folder, settings);
        for _ in 0..5 {
            let port = free_port();
            fs::write(folder.join("data/port.conf"), format!("port = {port}\n")).unwrap();
            keeper.start();
            let server = Self { folder: folder.clone(), port, keeper: Mutex::new(keeper), databases: 0.into() };
            match server.answers() {
                Ok(()) => return server,
                // Somebody else was given the port between the question and the start.
                Err(log) if log.contains("Address already in use") => keeper = server.into_keeper(),
                Err(log) => panic!("PostgreSQL ended before it answered:\n{log}"),
            }
        }
        panic!("no port of 127.0.0.1 stayed free long enough");
    }

    /// The same, which offers TLS with this certificate and key (PEM).
    pub fn start_with_tls(certificate: &str, key: &str) -> Postgres {
        let server = Self::start();
        let data = server.folder.join("data");
        server.stop();
        for (name, text) in [("server.crt", certificate), ("server.key", key)] {
            let path = data.join(name);
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
            if geteuid().is_root() {
                let (user, group) = nobody();
                std::os::unix::fs::chown(&path, Some(user), Some(group)).unwrap();
            }
        }
        let mut conf = File::options().append(true).open(data.join("postgresql.conf")).unwrap();
        writeln!(conf, "ssl = on").unwrap();
        server.restart();
        server
    }

    /// An empty database that no other test knows.
    pub fn fresh_database(&self) -> Database {
        let name = format!("test_{}", self.databases.fetch_add(1, Ordering::Relaxed));
        self.administer(&format!("CREATE DATABASE {name} TEMPLATE template0"));
        Database { name, port: self.port }
    }

    /// Runs statements as superuser, in no test's database. May be called from async code.
    pub fn administer(&self, statements: &str) {
        let database = Database { name: "postgres".to_owned(), port: self.port };
        database.blocking(|client| client.batch_execute(statements).unwrap());
    }

    /// SIGKILL to the postmaster and all its children, as a power cut would be to them. Returns when
    /// none of them is left.
    pub fn kill_9(&self) {
        let mut keeper = self.keeper();
        let postmaster = keeper.postmaster.expect("a server that runs");
        // So that it starts no further child meanwhile.
        let _ = kill_process(postmaster, Signal::STOP);
        let mut family = children(postmaster);
        family.push(postmaster);
        for process in &family {
            let _ = kill_process(*process, Signal::KILL);
        }
        wait_until("PostgreSQL's processes are gone", || family.iter().all(|process| !runs(*process)));
        keeper.reap();
    }

    /// A clean shutdown; sessions are ended. Nothing happens if it does not run.
    pub fn stop(&self) {
        let mut keeper = self.keeper();
        if let Some(postmaster) = keeper.postmaster {
            let _ = kill_process(postmaster, Signal::INT);
            wait_until("PostgreSQL has shut down", || !runs(postmaster));
            keeper.reap();
        }
    }

    /// Starts it again where it was, after `kill_9`, `stop` or neither; returns when it answers.
    pub fn restart(&self) {
        self.stop();
        let by = Instant::now() + WITHIN;
        loop {
            self.keeper().start();
            match self.answers() {
                Ok(()) => return,
                // Its clients know this port and no other.
                Err(log) if log.contains("Address already in use") && Instant::now() < by => {
                    std::thread::sleep(Duration::from_millis(200));
                }
                Err(log) => panic!("PostgreSQL ended before it answered:\n{log}"),
            }
        }
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// The postmaster's process id, while it runs.
    pub fn pid(&self) -> Option<u32> {
        self.keeper().postmaster.map(|pid| pid.as_raw_nonzero().get().cast_unsigned())
    }

    /// Everything it has logged.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(self.folder.join("log")).unwrap_or_default()).into_owned()
    }

    /// Where its data, log and socket are.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Waits until it answers. If it ends instead, the log of this start.
    fn answers(&self) -> Result<(), String> {
        let database = Database { name: "postgres".to_owned(), port: self.port };
        let postmaster = self.keeper().postmaster.expect("a server that was started");
        let by = Instant::now() + WITHIN;
        loop {
            if !runs(postmaster) {
                self.keeper().reap();
                return Err(self.log());
            }
            let mut config = database.config();
            config.connect_timeout(Duration::from_secs(5));
            let answer = std::thread::scope(|scope| {
                scope.spawn(|| config.connect(NoTls).and_then(|mut client| client.simple_query("SELECT 1"))).join()
            });
            match answer.unwrap() {
                Ok(_) => return Ok(()),
                Err(error) if Instant::now() > by => panic!("PostgreSQL does not answer: {error:?}\n{}", self.log()),
                Err(_) => std::thread::sleep(POLL),
            }
        }
    }

    fn keeper(&self) -> MutexGuard<'_, Keeper> {
        // A test that panicked while it held this leaves nothing half-done that ending it minds.
        self.keeper.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn into_keeper(self) -> Keeper {
        let _ = fs::remove_file(self.folder.join("log"));
        self.keeper.into_inner().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Database {
    pub fn url(&self) -> String {
        format!("postgres://{USER}:{PASSWORD}@127.0.0.1:{}/{}", self.port, self.name)
    }

    pub fn config(&self) -> Config {
        let mut config = Config::new();
        config.host("127.0.0.1").port(self.port).user(USER).password(PASSWORD).dbname(&self.name);
        config
    }

    /// Not from async code: the blocking client has a runtime of its own.
    pub fn connect(&self) -> Client {
        self.config().connect(NoTls).unwrap()
    }

    /// Every row as it is at this moment. May be called from async code, as [`Database::put_back`].
    pub fn dump(&self) -> Dump {
        self.blocking(|client| {
            let mut moment =
                client.build_transaction().isolation_level(IsolationLevel::RepeatableRead).start().unwrap();
            let tables = "SELECT tablename FROM pg_tables WHERE schemaname = 'public'";
            let names: Vec<String> = moment.query(tables, &[]).unwrap().iter().map(|row| row.get(0)).collect();
            let rows = names.into_iter().map(|name| {
                let mut rows = Vec::new();
                moment.copy_out(&format!("COPY {name} TO STDOUT")).unwrap().read_to_end(&mut rows).unwrap();
                (name, rows)
            });
            Dump(rows.collect())
        })
    }

    /// As a server's administrator does it, whom no trigger stops: in one transaction, and below clients
    /// that notice nothing.
    pub fn put_back(&self, dump: &Dump) {
        self.blocking(|client| {
            let names: Vec<&str> = dump.0.iter().map(|(name, _)| name.as_str()).collect();
            let mut transaction = client.transaction().unwrap();
            let empty = format!("SET LOCAL session_replication_role = replica; TRUNCATE {}", names.join(", "));
            transaction.batch_execute(&empty).unwrap();
            for (name, rows) in &dump.0 {
                let mut table = transaction.copy_in(&format!("COPY {name} FROM STDIN")).unwrap();
                table.write_all(rows).unwrap();
                table.finish().unwrap();
            }
            transaction.commit().unwrap();
        });
    }

    /// The blocking client has a runtime of its own, which must not stand inside another.
    fn blocking<T: Send>(&self, work: impl FnOnce(&mut Client) -> T + Send) -> T {
        std::thread::scope(|scope| scope.spawn(|| work(&mut self.connect())).join()).unwrap()
    }

    /// The same database, reached through a proxy.
    pub fn through(&self, proxy: &Proxy) -> Database {
        Database { name: self.name.clone(), port: proxy.port() }
    }
}

/// As a station's configuration names one.
pub fn write_password(path: &Path) {
    fs::write(path, PASSWORD).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}

/// The shell that is the postmaster's parent. Dropping it ends both.
struct Keeper {
    shell: Child,
    orders: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
    postmaster: Option<Pid>,
}

impl Keeper {
    fn spawn(folder: &Path) -> Self {
        let data = folder.join("data");
        let server = as_ordinary_user(&program("postgres"), Signal::QUIT);
        let mut shell = Command::new("sh")
            .args(["-c", KEEPER, "keeper"])
            .arg(folder)
            .args(server)
            .arg("-D")
            .arg(data)
            .env_clear()
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .current_dir(folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            // Ctrl-C in the terminal is for the test; this one ends when the test has.
            .process_group(0)
            .spawn()
            .unwrap();
        let orders = shell.stdin.take();
        let answers = BufReader::new(shell.stdout.take().unwrap());
        Self { shell, orders, answers, postmaster: None }
    }

    fn start(&mut self) {
        assert!(self.postmaster.is_none(), "it runs");
        self.postmaster = Pid::from_raw(self.ask("start").parse().unwrap());
    }

    /// Call it when the postmaster has ended: then it takes no time.
    fn reap(&mut self) {
        assert_eq!(self.ask("reap"), "reaped");
        self.postmaster = None;
    }

    fn ask(&mut self, order: &str) -> String {
        let orders = self.orders.as_mut().unwrap();
        writeln!(orders, "{order}").unwrap();
        let mut answer = String::new();
        self.answers.read_line(&mut answer).unwrap();
        answer.trim_end().to_owned()
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        drop(self.orders.take());
        let by = Instant::now() + WITHIN;
        while matches!(self.shell.try_wait(), Ok(None)) {
            if Instant::now() > by {
                // The postmaster is told by the kernel when its parent is gone.
                let _ = self.shell.kill();
                let _ = self.shell.wait();
            }
            std::thread::sleep(POLL);
        }
    }
}

/// Makes an empty cluster in `folder/data`.
fn initialise(folder: &Path, settings: &[(&str, &str)]) {
    let password = folder.join("password");
    fs::write(&password, PASSWORD).unwrap();
    if geteuid().is_root() {
        let (user, group) = nobody();
        for path in [folder, &password] {
            std::os::unix::fs::chown(path, Some(user), Some(group)).unwrap();
        }
    }
    let mut command = as_ordinary_user(&program("initdb"), Signal::KILL);
    let program = command.remove(0);
    let log = File::create(folder.join("log")).unwrap();
    let mut initdb = Command::new(program)
        .args(command)
        .arg("--pgdata")
        .arg(folder.join("data"))
        .args(["--username", USER, "--auth", "scram-sha-256", "--encoding", "UTF8", "--locale", "C"])
        // What is killed here are processes, never the machine.
        .arg("--no-sync")
        .arg("--pwfile")
        .arg(&password)
        .env_clear()
        .env("PATH", "/usr/local/bin:/usr/bin:/bin")
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(log.try_clone().unwrap())
        .stderr(log)
        .spawn()
        .unwrap();
    let by = Instant::now() + WITHIN;
    let status = loop {
        match initdb.try_wait().unwrap() {
            Some(status) => break status,
            None if Instant::now() > by => {
                initdb.kill().unwrap();
                break initdb.wait().unwrap();
            }
            None => std::thread::sleep(POLL),
        }
    };
    let said = fs::read_to_string(folder.join("log")).unwrap_or_default();
    assert!(status.success(), "initdb: {status}; {} has to be open to every user\n{said}", folder.display());

    let mut conf = File::options().append(true).open(folder.join("data/postgresql.conf")).unwrap();
    // Shared memory in files of its own: a server that is killed would leave it in /dev/shm.
    write!(
        conf,
        "listen_addresses = '127.0.0.1'\nunix_socket_directories = '{}'\ninclude = 'port.conf'\n\
         shared_buffers = '32MB'\ndynamic_shared_memory_type = 'mmap'\n",
        folder.display()
    )
    .unwrap();
    for (name, value) in settings {
        writeln!(conf, "{name} = '{value}'").unwrap();
    }
}

/// How `program` is started: PostgreSQL refuses to be root. It gets `at_end` when its parent ends.
fn as_ordinary_user(program: &Path, at_end: Signal) -> Vec<String> {
    let signal = if at_end == Signal::QUIT { "QUIT" } else { "KILL" };
    let mut command = vec!["setpriv".to_owned(), "--pdeathsig".to_owned(), signal.to_owned()];
    if geteuid().is_root() {
        let (user, group) = nobody();
        command.extend([format!("--reuid={user}"), format!("--regid={group}"), "--clear-groups".to_owned()]);
    }
    command.extend(["--".to_owned(), program.to_str().unwrap().to_owned()]);
    command
}

/// User and group of `nobody`: a user that every system has, and that owns no other server.
fn nobody() -> (u32, u32) {
    let users = fs::read_to_string("/etc/passwd").unwrap();
    let line = users.lines().find(|line| line.starts_with("nobody:")).expect("a user nobody");
    let mut ids = line.split(':').skip(2).map(|id| id.parse().unwrap());
    (ids.next().unwrap(), ids.next().unwrap())
}

/// Of the newest server that is installed: Debian keeps them off the PATH.
fn program(name: &str) -> PathBuf {
    let debian = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut versions: Vec<(u32, PathBuf)> = debian
        .filter_map(|entry| Some((entry.file_name().to_str()?.parse().ok()?, entry.path().join("bin"))))
        .filter(|(_, folder)| folder.join("postgres").exists())
        .collect();
    versions.sort();
    let path = std::env::var_os("PATH").unwrap_or_default();
    let elsewhere = std::env::split_paths(&path).filter(|folder| folder.join("postgres").exists());
    let mut folders = versions.into_iter().rev().map(|(_, folder)| folder).chain(elsewhere);
    folders.next().expect("a PostgreSQL server (Debian: apt-get install postgresql)").join(name)
}

fn free_port() -> u16 {
    TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port()
}

fn children(parent: Pid) -> Vec<Pid> {
    let processes = fs::read_dir("/proc").unwrap().flatten();
    let pids = processes.filter_map(|entry| Pid::from_raw(entry.file_name().to_str()?.parse().ok()?));
    pids.filter(|pid| stat(*pid).is_some_and(|(_, of)| of == parent.as_raw_nonzero().get())).collect()
}

/// One that has ended and waits to be reaped does not.
fn runs(process: Pid) -> bool {
    stat(process).is_some_and(|(state, _)| state != "Z" && state != "X")
}

/// State and parent, as proc(5) has them after the name in brackets.
fn stat(process: Pid) -> Option<(String, i32)> {
    let stat = fs::read_to_string(format!("/proc/{}/stat", process.as_raw_nonzero())).ok()?;
    let mut fields = stat[stat.rfind(')')? + 1..].split_whitespace();
    Some((fields.next()?.to_owned(), fields.next()?.parse().ok()?))
}

fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let by = Instant::now() + WITHIN;
    while !is_so() {
        assert!(Instant::now() < by, "not within {WITHIN:?}: {what}");
        std::thread::sleep(POLL);
    }
}

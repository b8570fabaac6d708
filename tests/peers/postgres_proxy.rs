//! The line between a station and its database, with the faults that lines have.
//!
//! It reads the frontend's messages (PostgreSQL's manual, "Message Formats") as far as it takes to
//! know a COMMIT: one that is a statement of its own, sent as a query or prepared. A statement outside
//! of a transaction commits by itself and is not seen as one.

use std::collections::HashMap;
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::net::Shutdown;
use rustix::net::sockopt::set_socket_linger;

use super::Postgres;

const WITHIN: Duration = Duration::from_secs(10);
/// Codes of the messages that come first and have no kind.
const PROTOCOL: u32 = 3; // the major version
const SSL_REQUEST: u32 = 80_877_103;
const GSS_REQUEST: u32 = 80_877_104;

/// A loopback port that leads to a server. Dropping it cuts it.
pub struct Proxy {
    port: u16,
    shared: Arc<Shared>,
    open: Mutex<Option<Open>>,
}

struct Shared {
    server: u16,
    faults: Mutex<Faults>,
    links: Mutex<Vec<Weak<Link>>>,
}

#[derive(Default)]
struct Faults {
    commit_delay: Duration,
    lose_next: Option<Lost>,
    stalled: bool,
}

#[derive(Clone, Copy, PartialEq)]
enum Lost {
    Commit,
    Answer,
}

struct Open {
    listener: Arc<TcpListener>,
    accepting: JoinHandle<()>,
}

impl Proxy {
    pub fn before(server: &Postgres) -> Proxy {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let shared = Shared { server: server.port(), faults: Mutex::default(), links: Mutex::default() };
        let proxy = Proxy { port, shared: Arc::new(shared), open: Mutex::new(None) };
        *lock(&proxy.open) = Some(proxy.accept(listener));
        proxy
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// From now on each COMMIT reaches the server this much later. Until then its transaction is open
    /// and holds its locks, as it would while a slow disk is written.
    pub fn delay_commits(&self, by: Duration) {
        lock(&self.shared.faults).commit_delay = by;
    }

    /// The next COMMIT is carried out, and instead of its answer the client gets a reset connection.
    pub fn lose_next_commit_answer(&self) {
        lock(&self.shared.faults).lose_next = Some(Lost::Answer);
    }

    /// The next COMMIT never reaches the server, and the client gets a reset connection: the same to
    /// see as a lost answer.
    pub fn lose_next_commit(&self) {
        lock(&self.shared.faults).lose_next = Some(Lost::Commit);
    }

    /// From now on connections are taken and nothing is carried on any of them, new or old.
    pub fn stall(&self) {
        lock(&self.shared.faults).stalled = true;
    }

    /// What was held back is carried after all.
    pub fn resume(&self) {
        lock(&self.shared.faults).stalled = false;
    }

    /// Ends all clients' connections and does not tell the server: to it they are still there.
    pub fn strand(&self) {
        for link in lock(&self.shared.links).iter().filter_map(Weak::upgrade) {
            link.is_stranded.store(true, Ordering::SeqCst);
            let _ = link.client.shutdown(std::net::Shutdown::Both);
        }
    }

    /// Resets all connections and refuses new ones.
    pub fn cut(&self) {
        if let Some(open) = lock(&self.open).take() {
            // Wakes the thread that accepts.
            let _ = rustix::net::shutdown(&open.listener, Shutdown::Both);
            open.accepting.join().unwrap();
        }
        let links: Vec<Weak<Link>> = lock(&self.shared.links).drain(..).collect();
        for link in &links {
            if let Some(link) = link.upgrade() {
                link.reset();
            }
        }
        let by = Instant::now() + WITHIN;
        while links.iter().any(|link| link.strong_count() > 0) && Instant::now() < by {
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Lets connections in again, at the same port.
    pub fn mend(&self) {
        let mut open = lock(&self.open);
        if open.is_some() {
            return;
        }
        let by = Instant::now() + WITHIN;
        let listener = loop {
            match TcpListener::bind((Ipv4Addr::LOCALHOST, self.port)) {
                Ok(listener) => break listener,
                Err(error) => assert!(Instant::now() < by, "port {}: {error}", self.port),
            }
            std::thread::sleep(Duration::from_millis(10));
        };
        *open = Some(self.accept(listener));
    }

    fn accept(&self, listener: TcpListener) -> Open {
        let listener = Arc::new(listener);
        let (accepted, shared) = (Arc::clone(&listener), Arc::clone(&self.shared));
        let accepting = std::thread::spawn(move || {
            while let Ok((client, _)) = accepted.accept() {
                // A server that is down is a connection that is reset.
                if let Ok(link) = Link::to(shared.server, client) {
                    link.carry(&shared);
                }
            }
        });
        Open { listener, accepting }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.cut();
    }
}

/// One client's connection. Both sockets close when both directions have ended.
struct Link {
    client: TcpStream,
    server: TcpStream,
    /// Nothing is carried any more.
    is_reset: AtomicBool,
    /// The same, and the server's side stays open.
    is_stranded: AtomicBool,
    /// The answer to a COMMIT that is on its way will be.
    loses_answer: AtomicBool,
}

impl Link {
    fn to(server: u16, client: TcpStream) -> io::Result<Link> {
        let server = match TcpStream::connect((Ipv4Addr::LOCALHOST, server)) {
            Ok(server) => server,
            Err(error) => {
                reset_when_closed(&client);
                return Err(error);
            }
        };
        for side in [&client, &server] {
            side.set_nodelay(true)?;
            side.set_write_timeout(Some(WITHIN))?;
        }
        let [is_reset, is_stranded, loses_answer] = [(); 3].map(|()| AtomicBool::new(false));
        Ok(Link { client, server, is_reset, is_stranded, loses_answer })
    }

    fn carry(self, shared: &Arc<Shared>) {
        let link = Arc::new(self);
        let mut links = lock(&shared.links);
        links.retain(|link| link.strong_count() > 0);
        links.push(Arc::downgrade(&link));
        let (up, up_shared, shared) = (Arc::clone(&link), Arc::clone(shared), Arc::clone(shared));
        std::thread::spawn(move || {
            let carried = up.carry_up(&up_shared);
            if up.is_stranded.load(Ordering::SeqCst) {
                return;
            }
            if carried.is_err() {
                up.reset();
            }
            let _ = up.server.shutdown(std::net::Shutdown::Write);
        });
        std::thread::spawn(move || {
            if link.carry_down(&shared).is_err() {
                link.reset();
            } else if !link.is_reset.load(Ordering::SeqCst) {
                let _ = link.client.shutdown(std::net::Shutdown::Write);
            }
        });
    }

    /// Ends both directions. The client sees a reset as soon as their threads have noticed.
    fn reset(&self) {
        self.is_reset.store(true, Ordering::SeqCst);
        for side in [&self.client, &self.server] {
            reset_when_closed(side);
            // Tells nobody but the thread that reads here.
            let _ = side.shutdown(std::net::Shutdown::Read);
        }
    }

    fn wait_out(&self, shared: &Shared) {
        while lock(&shared.faults).stalled && !self.is_reset.load(Ordering::SeqCst) {
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    fn carry_up(&self, shared: &Shared) -> io::Result<()> {
        let mut client = BufReader::with_capacity(1 << 16, &self.client);
        let mut server = io::BufWriter::with_capacity(1 << 16, &self.server);
        loop {
            let start = message(&mut client, 0)?;
            self.wait_out(shared);
            match start.get(4..8).map(|code| u32::from_be_bytes([code[0], code[1], code[2], code[3]])) {
                // "No encryption here": it could not be read.
                Some(SSL_REQUEST | GSS_REQUEST) => (&self.client).write_all(b"N")?,
                code => {
                    server.write_all(&start)?;
                    server.flush()?;
                    if code.is_none_or(|code| code >> 16 != PROTOCOL) {
                        return Ok(()); // A request to cancel: there is no more.
                    }
                    break;
                }
            }
        }

        let mut prepared = Prepared::default();
        while !client.fill_buf()?.is_empty() {
            let message = message(&mut client, 1)?;
            self.wait_out(shared);
            if prepared.commits(&message) {
                // What came before is carried out meanwhile.
                server.flush()?;
                let (delay, lost) = {
                    let mut faults = lock(&shared.faults);
                    (faults.commit_delay, faults.lose_next.take())
                };
                std::thread::sleep(delay);
                match lost {
                    Some(Lost::Commit) => self.reset(),
                    Some(Lost::Answer) => self.loses_answer.store(true, Ordering::SeqCst),
                    None => {}
                }
            }
            if self.is_reset.load(Ordering::SeqCst) {
                return Ok(());
            }
            server.write_all(&message)?;
            if client.buffer().is_empty() {
                server.flush()?;
            }
        }
        server.flush()
    }

    fn carry_down(&self, shared: &Shared) -> io::Result<()> {
        let mut server = BufReader::with_capacity(1 << 16, &self.server);
        let mut client = io::BufWriter::with_capacity(1 << 16, &self.client);
        while !server.fill_buf()?.is_empty() {
            let message = message(&mut server, 1)?;
            self.wait_out(shared);
            if self.is_reset.load(Ordering::SeqCst) {
                break;
            }
            if self.loses_answer.load(Ordering::SeqCst) {
                // CommandComplete or ErrorResponse: the server is through with it.
                if message.starts_with(b"E") || message.starts_with(b"C") && ends_transaction(&message[5..]) {
                    self.reset();
                    break;
                }
                continue;
            }
            client.write_all(&message)?;
            if server.buffer().is_empty() {
                client.flush()?;
            }
        }
        client.flush()
    }
}

/// Which names of a session stand for a COMMIT.
#[derive(Default)]
struct Prepared {
    statements: HashMap<Vec<u8>, bool>,
    portals: HashMap<Vec<u8>, bool>,
}

impl Prepared {
    fn commits(&mut self, message: &[u8]) -> bool {
        let mut body = message[5..].split(|byte| *byte == 0);
        let mut text = || body.next().unwrap_or_default();
        match message[0] {
            b'Q' => is_commit(text()),
            // Parse: the statement's name, its text.
            b'P' => {
                let name = text().to_owned();
                self.statements.insert(name, is_commit(text()));
                false
            }
            // Bind: the portal's name, the statement's.
            b'B' => {
                let portal = text().to_owned();
                let commits = self.statements.get(text()).copied().unwrap_or_default();
                self.portals.insert(portal, commits);
                false
            }
            // Execute: the portal's name.
            b'E' => self.portals.get(text()).copied().unwrap_or_default(),
            _ => false,
        }
    }
}

fn is_commit(statement: &[u8]) -> bool {
    let statement = statement.trim_ascii();
    let statement = statement.strip_suffix(b";").unwrap_or(statement);
    let first = statement.split(|byte| !byte.is_ascii_alphabetic()).next().unwrap_or_default();
    !statement.contains(&b';') && (first.eq_ignore_ascii_case(b"commit") || first.eq_ignore_ascii_case(b"end"))
}

/// The tag of a CommandComplete; a transaction that had failed answers a COMMIT with ROLLBACK.
fn ends_transaction(tag: &[u8]) -> bool {
    tag.starts_with(b"COMMIT") || tag.starts_with(b"ROLLBACK")
}

/// One whole message: its kind (`kind` bytes), its length (which counts itself), its body.
fn message(from: &mut impl io::Read, kind: usize) -> io::Result<Vec<u8>> {
    let mut message = vec![0; kind + 4];
    from.read_exact(&mut message)?;
    let length = u32::from_be_bytes([message[kind], message[kind + 1], message[kind + 2], message[kind + 3]]);
    let body = u64::from(length.saturating_sub(4));
    let read = from.take(body).read_to_end(&mut message)?;
    if read as u64 == body { Ok(message) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
}

fn reset_when_closed(connection: &TcpStream) {
    let _ = set_socket_linger(connection, Some(Duration::ZERO));
}

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

//! A board for the practice line: a thread behind a pseudo-terminal that answers the identify
//! question, and a link to it in a folder, as udev would make one.

use std::cell::Cell;
use std::ffi::OsStr;
use std::io::{self, ErrorKind};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use rustix::fs::{Mode, OFlags, fcntl_setfl};
use rustix::io::Errno;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{OptionalActions, tcgetattr, tcsetattr};

/// How a board answers `id?`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Behaviour {
    /// `SN=<serial>` and a line end.
    #[default]
    Normal,
    /// Not at all.
    Silent,
    /// With this many bytes that mean nothing, without a line end.
    Garbage(usize),
    /// Normally, after this long.
    Delayed(Duration),
    /// As another board: behind a bridge that stays, it was put in this one's place.
    Other,
    /// Normally for as long as it takes to be taken for it (twice), then as another board.
    Exchanged,
    /// With half the answer; then the cable is pulled.
    VanishMidAnswer,
}

/// A plugged board. Unplugged by [`PtyBoard::unplug`] or when dropped: the link goes, and the
/// terminal hangs up under whoever has it open.
#[derive(Debug)]
pub struct PtyBoard {
    link: PathBuf,
    node: PathBuf,
    behaviour: Arc<Mutex<Behaviour>>,
    stop: Arc<OwnedFd>,
    thread: Option<JoinHandle<()>>,
}

impl PtyBoard {
    /// Makes `<ports_dir>/<port_name>` (and the folder) a link to a new pseudo-terminal behind which
    /// a board with this serial number sits. A link of that name is replaced.
    pub fn plug(ports_dir: &Path, port_name: &str, serial: &str, behaviour: Behaviour) -> io::Result<PtyBoard> {
        if port_name.is_empty() || port_name.starts_with('.') || port_name.contains('/') {
            return Err(io::Error::new(ErrorKind::InvalidInput, format!("{port_name:?} is no port name")));
        }
        let (board, terminal, node) = terminal()?;
        let stop = Arc::new(eventfd(0, EventfdFlags::CLOEXEC)?);
        let link = ports_dir.join(port_name);
        place(&link, &node)?;
        let behaviour = Arc::new(Mutex::new(behaviour));
        let wiring = Wiring {
            board,
            _terminal: terminal,
            stop: stop.clone(),
            behaviour: behaviour.clone(),
            serial: serial.to_owned(),
            answered: Cell::new(0),
            link: link.clone(),
            node: node.clone(),
        };
        let thread = std::thread::Builder::new().name(format!("board {port_name}")).spawn(move || wiring.run());
        let thread = thread.inspect_err(|_| remove(&link, &node))?;
        Ok(PtyBoard { link, node, behaviour, stop, thread: Some(thread) })
    }

    /// From the next question on.
    pub fn set_behaviour(&self, behaviour: Behaviour) {
        *lock(&self.behaviour) = behaviour;
    }

    /// The terminal behind the link, `/dev/pts/N`.
    pub fn node(&self) -> &Path {
        &self.node
    }

    /// The cable is pulled.
    pub fn unplug(self) {}
}

impl Drop for PtyBoard {
    fn drop(&mut self) {
        remove(&self.link, &self.node);
        let _ = rustix::io::write(&*self.stop, &1u64.to_ne_bytes());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn lock(behaviour: &Mutex<Behaviour>) -> MutexGuard<'_, Behaviour> {
    behaviour.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A raw pseudo-terminal: the board's end, the station's end and its name.
fn terminal() -> io::Result<(OwnedFd, OwnedFd, PathBuf)> {
    let board = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?;
    grantpt(&board)?;
    unlockpt(&board)?;
    let name = ptsname(&board, Vec::new())?;
    let node = PathBuf::from(OsStr::from_bytes(name.as_bytes()));
    let terminal = rustix::fs::open(&node, OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC, Mode::empty())?;
    let mut settings = tcgetattr(&terminal)?;
    settings.make_raw();
    tcsetattr(&terminal, OptionalActions::Now, &settings)?;
    fcntl_setfl(&board, OFlags::NONBLOCK)?;
    Ok((board, terminal, node))
}

/// Renaming is atomic: nobody sees a link that is not whole, and an old one is replaced.
fn place(link: &Path, node: &Path) -> io::Result<()> {
    let folder = link.parent().ok_or(ErrorKind::InvalidInput)?;
    std::fs::create_dir_all(folder)?;
    let mut new = std::ffi::OsString::from(".");
    new.push(link.file_name().unwrap_or_default());
    new.push(node.file_name().unwrap_or_default());
    let new = folder.join(new);
    match std::fs::remove_file(&new) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        _ => symlink(node, &new)?,
    }
    std::fs::rename(&new, link)
}

/// Unless another board has been plugged into the same port since.
fn remove(link: &Path, node: &Path) {
    if std::fs::read_link(link).is_ok_and(|target| target == node) {
        let _ = std::fs::remove_file(link);
    }
}

/// The board's own side.
struct Wiring {
    board: OwnedFd,
    /// Held so that the line does not hang up between two visitors.
    _terminal: OwnedFd,
    stop: Arc<OwnedFd>,
    behaviour: Arc<Mutex<Behaviour>>,
    serial: String,
    /// How often.
    answered: Cell<u32>,
    link: PathBuf,
    node: PathBuf,
}

/// Why a board's thread ends.
struct Unplugged;

impl Wiring {
    fn run(self) {
        let mut line = Vec::new();
        let mut chunk = [0; 256];
        while self.wait(PollFlags::IN, None).is_ok() {
            match rustix::io::read(&self.board, &mut chunk) {
                Ok(count) => line.extend_from_slice(&chunk[..count]),
                Err(Errno::AGAIN | Errno::INTR) => {}
                Err(_) => return,
            }
            while let Some(end) = line.iter().position(|byte| *byte == b'\n') {
                let question: Vec<u8> = line.drain(..=end).collect();
                if question.trim_ascii() == b"id?" && self.answer().is_err() {
                    return;
                }
            }
            // Nobody asks that much.
            line.truncate(1024);
        }
    }

    fn answer(&self) -> Result<(), Unplugged> {
        let answer = format!("SN={}\n", self.serial).into_bytes();
        let other = format!("SN={}-X\n", self.serial).into_bytes();
        let behaviour = *lock(&self.behaviour);
        match behaviour {
            Behaviour::Other => self.write(&other),
            Behaviour::Exchanged if self.answered.replace(self.answered.get() + 1) >= 2 => self.write(&other),
            Behaviour::Normal | Behaviour::Exchanged => self.write(&answer),
            Behaviour::Silent => Ok(()),
            Behaviour::Garbage(count) => {
                let noise = [0xA5, 0x00, b'~', 0xFF, b'?', 0x1B, 0xC3, 0x28];
                let noise: Vec<u8> = noise.into_iter().cycle().take(count).collect();
                self.write(&noise)
            }
            Behaviour::Delayed(delay) => {
                let end = Instant::now() + delay;
                loop {
                    let left = end.saturating_duration_since(Instant::now());
                    if left.is_zero() {
                        return self.write(&answer);
                    }
                    self.wait(PollFlags::empty(), Some(left))?;
                }
            }
            Behaviour::VanishMidAnswer => {
                self.write(&answer[..answer.len() / 2])?;
                // The half is read before the line drops.
                self.wait(PollFlags::empty(), Some(Duration::from_millis(50)))?;
                remove(&self.link, &self.node);
                Err(Unplugged)
            }
        }
    }

    fn write(&self, mut bytes: &[u8]) -> Result<(), Unplugged> {
        while !bytes.is_empty() {
            match rustix::io::write(&self.board, bytes) {
                Ok(count) => bytes = &bytes[count..],
                Err(Errno::AGAIN) => self.wait(PollFlags::OUT, None)?,
                Err(Errno::INTR) => {}
                Err(_) => return Err(Unplugged),
            }
        }
        Ok(())
    }

    /// Until `events` on the line or `at_most` is over.
    fn wait(&self, events: PollFlags, at_most: Option<Duration>) -> Result<(), Unplugged> {
        let at_most = at_most.and_then(|time| Timespec::try_from(time).ok());
        let stop = PollFd::new(&*self.stop, PollFlags::IN);
        let mut both = [stop, PollFd::new(&self.board, events)];
        // Without events to wait for, the line is not looked at.
        let watched = if events.is_empty() { 1 } else { 2 };
        match poll(&mut both[..watched], at_most.as_ref()) {
            Ok(_) | Err(Errno::INTR) if both[0].revents().is_empty() => Ok(()),
            _ => Err(Unplugged),
        }
    }
}

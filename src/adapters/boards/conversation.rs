//! One dialogue on one open port: ask, listen, match; blocking, bounded in time and memory.

use std::io::ErrorKind;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serialport::{ClearBuffer, SerialPort};

use crate::domain::profile::Dialogue;
use crate::domain::{Failure, ReasonCode};
use crate::ports::Answer;

/// More than this is no answer.
const LIMIT: usize = 64 * 1024;
/// How long one read or write may wait: bounds how late a stop is noticed.
const TICK: Duration = Duration::from_millis(50);
/// A match that reaches to the last byte received may be half of one (`SN=(\w+)` on `SN=12` of
/// `SN=1234`): it counts when the line ends there or stays quiet for so long.
const QUIET: Duration = Duration::from_millis(150);
/// How long a port that somebody else has is waited for. A new modem-like port is probed by the
/// system, and a process that any lane starts holds a copy of every open port until it runs its own
/// program: our own lock, just let go of, then still looks like a stranger's.
const TAKEN: Duration = Duration::from_secs(2);

/// Opens `node`, sends `question` and reads until `dialogue.expect` matches.
pub(super) fn hold(
    node: &str,
    dialogue: &Dialogue,
    question: Option<&[u8]>,
    stop: &AtomicBool,
) -> Result<Answer, Failure> {
    let mut port = open(node, dialogue.baud, stop)?;
    let answer = attempts(&mut *port, dialogue, question, stop);
    // Closing a port waits for what it has not sent yet, up to 30 s on a line that is held.
    let _ = port.clear(ClearBuffer::All);
    answer
}

fn open(node: &str, baud: u32, stop: &AtomicBool) -> Result<Box<dyn SerialPort>, Failure> {
    use serialport::ErrorKind as Kind;
    let end = Instant::now() + TAKEN;
    let mut port = loop {
        // serialport locks the port (TIOCEXCL, flock) unless told otherwise; taken, it is `NoDevice`.
        match serialport::new(node, baud).timeout(TICK).open() {
            Ok(port) => break port,
            Err(error) if error.kind() == Kind::NoDevice && Instant::now() < end => {
                stopped(stop)?;
                std::thread::sleep(TICK);
            }
            Err(error) => {
                let code = match error.kind() {
                    Kind::Io(ErrorKind::PermissionDenied) | Kind::NoDevice => ReasonCode::PORT_DENIED,
                    _ => ReasonCode::PORT_FAILED,
                };
                return Err(Failure::new(code, format!("cannot open {node} at {baud} baud: {error}")));
            }
        }
    };
    // A pseudo-terminal has neither line (ENOTTY); a port that is lost here is found by the first read.
    let _ = port.write_data_terminal_ready(true);
    let _ = port.write_request_to_send(true);
    Ok(port)
}

fn attempts(
    port: &mut dyn SerialPort,
    dialogue: &Dialogue,
    question: Option<&[u8]>,
    stop: &AtomicBool,
) -> Result<Answer, Failure> {
    let mut heard = Vec::new();
    for _ in 0..=dialogue.retries {
        if question.is_some() {
            // What is left of an earlier conversation is no answer to this question.
            port.clear(ClearBuffer::Input).map_err(|error| lost("clear", &std::io::Error::from(error)))?;
        }
        let mut attempt = Attempt { port, end: Instant::now() + dialogue.timeout, stop, received: Vec::new() };
        if let Some(question) = question {
            attempt.send(question)?;
        }
        if let Some(answer) = attempt.listen(dialogue)? {
            return Ok(answer);
        }
        if !attempt.received.is_empty() {
            heard = attempt.received;
        }
    }
    let patience = format!("{} ms, {} attempts", dialogue.timeout.as_millis(), u64::from(dialogue.retries) + 1);
    Err(if heard.is_empty() {
        Failure::new(ReasonCode::BOARD_SILENT, format!("no byte within {patience}"))
    } else {
        let cause = format!("no match for {:?} within {patience} in {}", dialogue.expect.as_str(), excerpt(&heard));
        Failure::new(ReasonCode::BOARD_ANSWER, cause)
    })
}

struct Attempt<'a> {
    port: &'a mut dyn SerialPort,
    end: Instant,
    stop: &'a AtomicBool,
    received: Vec<u8>,
}

impl Attempt<'_> {
    /// Sends all of `bytes`, or as much as the line takes in time: a board that takes none answers none.
    fn send(&mut self, mut bytes: &[u8]) -> Result<(), Failure> {
        while !bytes.is_empty() && Instant::now() < self.end {
            stopped(self.stop)?;
            match self.port.write(bytes) {
                Ok(count) => bytes = bytes.get(count..).unwrap_or_default(),
                Err(error) if passing(&error) => {}
                Err(error) => return Err(lost("write", &error)),
            }
        }
        Ok(())
    }

    /// Reads until the expression matches (`Some`) or the time is up.
    fn listen(&mut self, dialogue: &Dialogue) -> Result<Option<Answer>, Failure> {
        let mut chunk = [0; 4096];
        let mut last = Instant::now();
        // A match that may still grow.
        let mut open = false;
        loop {
            stopped(self.stop)?;
            let now = Instant::now();
            if open && (now >= last + QUIET || now >= self.end) {
                return answer(dialogue, &self.received);
            }
            if now >= self.end {
                return Ok(None);
            }
            match self.port.read(&mut chunk) {
                Ok(0) => return Err(lost("read", &ErrorKind::UnexpectedEof.into())),
                Ok(count) => self.received.extend_from_slice(&chunk[..count]),
                Err(error) if passing(&error) => continue,
                Err(error) => return Err(lost("read", &error)),
            }
            last = Instant::now();
            match dialogue.expect.find(&self.received) {
                Some(found) if found.end() < self.received.len() || ends_a_line(&self.received) => {
                    return answer(dialogue, &self.received);
                }
                found => open = found.is_some(),
            }
            if self.received.len() > LIMIT {
                let cause = format!("more than {LIMIT} bytes and no match in {}", excerpt(&self.received));
                return Err(Failure::new(ReasonCode::BOARD_ANSWER, cause));
            }
        }
    }
}

fn stopped(stop: &AtomicBool) -> Result<(), Failure> {
    if stop.load(Ordering::Relaxed) {
        return Err(Failure::new(ReasonCode::PORT_FAILED, "the dialogue was given up"));
    }
    Ok(())
}

/// The named groups of the match, all of them UTF-8.
pub fn answer(dialogue: &Dialogue, received: &[u8]) -> Result<Option<Answer>, Failure> {
    let Some(captures) = dialogue.expect.captures(received) else { return Ok(None) };
    let mut answer = Answer::new();
    for name in dialogue.expect.capture_names().flatten() {
        let Some(group) = captures.name(name) else { continue };
        let text = std::str::from_utf8(group.as_bytes()).map_err(|error| {
            let cause = format!("group {name:?} is not UTF-8 ({error}): {}", excerpt(group.as_bytes()));
            Failure::new(ReasonCode::BOARD_ANSWER, cause)
        })?;
        answer.insert(name.to_owned(), text.to_owned());
    }
    Ok(Some(answer))
}

fn ends_a_line(received: &[u8]) -> bool {
    matches!(received.last(), Some(b'\n' | b'\r'))
}

fn passing(error: &std::io::Error) -> bool {
    matches!(error.kind(), ErrorKind::TimedOut | ErrorKind::Interrupted | ErrorKind::WouldBlock)
}

fn lost(call: &str, error: &std::io::Error) -> Failure {
    Failure::new(ReasonCode::PORT_FAILED, format!("{call}: {error}"))
}

/// The first bytes, readable.
fn excerpt(bytes: &[u8]) -> String {
    let head = &bytes[..bytes.len().min(64)];
    let more = if bytes.len() > head.len() { format!("… ({} bytes)", bytes.len()) } else { String::new() };
    format!("\"{}\"{more}", head.escape_ascii())
}

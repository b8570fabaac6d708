//! The worker's side: a process that owns one session with one token.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Write as _};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::ExitCode;

use rustix::process::{Signal, set_parent_process_death_signal};

use super::guardian::{INNER_ARGUMENT, guard, keep_memory_private};
use super::session::TokenSession;
use super::wire::{Report, Request, receive, send};
use crate::domain::{Bytes, Failure, ReasonCode};

/// What `lineseal pkcs11-worker` does; never for people. Speaks over the socket that it finds as
/// standard input, and ends with the station, with the first error, or when it is killed.
pub fn worker_main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    let started = match arguments.as_slice() {
        // The worker's own argument first.
        [_, keep_out @ .., last] if last == INNER_ARGUMENT => {
            let keep_out: Vec<PathBuf> = keep_out.iter().map(PathBuf::from).collect();
            Link::take().map(|link| work(&link, &keep_out))
        }
        _ => guard(arguments.into_iter()),
    };
    started.unwrap_or_else(|error| {
        complain(&format!("lineseal starts its PKCS#11 workers by itself: {error}"));
        ExitCode::from(2)
    })
}

fn work(link: &Link, keep_out: &[PathBuf]) -> ExitCode {
    match serve(link, keep_out) {
        Ok(()) => ExitCode::SUCCESS,
        // The station hears of it through the end of the socket.
        Err(error) => {
            complain(&format!("the worker lost its station: {error}"));
            ExitCode::FAILURE
        }
    }
}

/// Into the station's debug log, if the station is still there to read it.
fn complain(text: &str) {
    let _ = writeln!(io::stderr(), "{text}");
}

fn serve(link: &Link, keep_out: &[PathBuf]) -> io::Result<()> {
    let mut session: Option<TokenSession> = None;
    while let Some(request) = receive::<Request>(&mut &link.socket)? {
        let answer = match (request, &mut session) {
            (Request::Open(access), None) => TokenSession::open(access, keep_out, link).map(|opened| {
                session = Some(opened);
                Report::Opened
            }),
            (Request::Read, Some(session)) => session.read(link).map(|reading| Report::Read(Box::new(reading))),
            (Request::Contents, Some(session)) => session.contents(link).map(|all| Report::Contents(Box::new(all))),
            (Request::Sign { message, scheme }, Some(session)) => {
                session.sign(&message, scheme, link).map(|signature| Report::Signed(Bytes(signature)))
            }
            (Request::Keep { name, certificate }, Some(session)) => {
                session.keep(&name, &certificate, link).map(Report::Kept)
            }
            (Request::Close, _) => {
                link.calling("C_CloseSession");
                drop(session.take());
                return send(&mut &link.socket, &Report::Closed);
            }
            (Request::LogKey, Some(session)) => session.log_key(link).map(|key| Report::LogKey(Bytes(key.to_vec()))),
            (Request::SignNote { text }, Some(session)) => {
                session.sign_note(&text, link).map(|signature| Report::Signed(Bytes(signature)))
            }
            (Request::Open(_), Some(_)) => Err(Failure::new(ReasonCode::TOKEN_CRASHED, "the token is open already")),
            (_, None) => Err(Failure::new(ReasonCode::TOKEN_CRASHED, "the token is not open")),
        };
        match answer {
            Ok(report) => send(&mut &link.socket, &report)?,
            Err(failure) => return send(&mut &link.socket, &Report::Failed(failure)),
        }
    }
    Ok(())
}

/// The line to the station.
pub(super) struct Link {
    socket: UnixStream,
}

impl Link {
    /// Moves the socket away from descriptor 0 before any module is loaded, to one that programs
    /// which a module starts do not inherit.
    fn take() -> io::Result<Self> {
        let socket = UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?);
        // Fails unless it is a connected socket, e.g. a terminal.
        socket.peer_addr()?;
        rustix::stdio::dup2_stdin(File::open("/dev/null")?)?;
        // A neighbour's module is no friend of this one's PIN.
        keep_memory_private()?;
        // Should a module kill the guardian, this process ends with it.
        set_parent_process_death_signal(Some(Signal::KILL))?;
        Ok(Self { socket })
    }

    /// Says which PKCS#11 function comes next.
    pub(super) fn calling(&self, function: &str) {
        // Without a station this process ends in a moment anyway.
        let _ = send(&mut &self.socket, &Report::Calling(function.to_owned()));
    }
}

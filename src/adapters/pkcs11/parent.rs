//! The station's side: starts workers, keeps their deadlines, ends them.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use tokio::net::UnixStream;
use tokio::process::{Child, Command};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout, timeout_at};

use super::guardian::SIGNALLED;
use super::heard::heard;
use super::listening::{Complaint, listen};
use super::remote;
use super::wire::{Report, Request, receive_async, send_async};
use crate::audit::event::{Reading, SignatureScheme};
use crate::domain::profile::ObjectName;
use crate::domain::{Bytes, Failure, ReasonCode};
use crate::ports::{Contents, Kept, Token, TokenAccess, Tokens};

/// The hidden argument on which this program becomes a worker.
pub const WORKER_ARGUMENT: &str = "pkcs11-worker";

/// Opens tokens, each in a fresh process of `program`.
///
/// Codes: `T-201` module or `T-210` worker cannot be started, `T-202` no token or not one alone,
/// `T-204` a deadline passed, `T-205` the token was lost, `T-206` PIN, `T-209` any other refusal,
/// `T-210` the worker died.
#[derive(Debug, Clone)]
pub struct WorkerTokens {
    program: PathBuf,
    arguments: Vec<OsString>,
}

impl WorkerTokens {
    /// `program` run with `arguments` must end up in [`worker_main`](super::worker_main).
    pub fn new(program: impl Into<PathBuf>, arguments: impl IntoIterator<Item = OsString>) -> Self {
        Self { program: program.into(), arguments: arguments.into_iter().collect() }
    }

    /// Workers are this very program, even after its file has been replaced by an upgrade
    /// (proc_pid_exe(5)): both ends always speak the same version. Modules are kept out of `data_dir`
    /// and away from `files`.
    pub fn of_this_program(data_dir: &Path, files: &[PathBuf]) -> Self {
        let kept = std::iter::once(data_dir).chain(files.iter().map(PathBuf::as_path));
        Self::new("/proc/self/exe", std::iter::once(WORKER_ARGUMENT.into()).chain(kept.map(OsString::from)))
    }
}

#[async_trait::async_trait]
impl Tokens for WorkerTokens {
    async fn open(&self, access: &TokenAccess) -> Result<Box<dyn Token>, Failure> {
        Ok(Box::new(self.open_worker(access).await?))
    }
}

impl WorkerTokens {
    async fn open_worker(&self, access: &TokenAccess) -> Result<WorkerToken, Failure> {
        let limits = Limits { call: access.open_timeout, whole: access.open_timeout };
        let worker = Worker::start(&self.program, &self.arguments, access)?;
        match worker.ask(&Request::Open(access.into()), limits).await? {
            (worker, Report::Opened) => Ok(WorkerToken { worker: Some(worker), call_timeout: access.call_timeout }),
            (worker, report) => Err(worker.misunderstood(&report).await),
        }
    }
}

/// One open token: its worker, until the first error.
struct WorkerToken {
    /// Taken out while a request runs: a caller that goes away in the middle leaves none behind,
    /// because the worker's next answer would belong to the wrong question.
    worker: Option<Worker>,
    call_timeout: Duration,
}

/// How many per-call deadlines a whole request may use up. Reading takes about a dozen quick calls;
/// this bounds a module that answers each of them just in time.
const SLOW_CALLS: u32 = 10;

impl WorkerToken {
    async fn ask(&mut self, request: &Request) -> Result<(Worker, Report), Failure> {
        let gone = || Failure::new(ReasonCode::TOKEN_CRASHED, "the token was closed by an earlier error");
        let worker = self.worker.take().ok_or_else(gone)?;
        let limits = Limits { call: self.call_timeout, whole: self.call_timeout.saturating_mul(SLOW_CALLS) };
        worker.ask(request, limits).await
    }
}

/// The log's key in a token that stays open between its checkpoints.
pub(super) struct LogKeyWorker(WorkerToken);

impl LogKeyWorker {
    pub(super) async fn open(tokens: &WorkerTokens, access: &TokenAccess) -> Result<Self, Failure> {
        tokens.open_worker(access).await.map(Self)
    }

    pub(super) async fn public(&mut self) -> Result<Vec<u8>, Failure> {
        match self.0.ask(&Request::LogKey).await? {
            (worker, Report::LogKey(key)) => {
                self.0.worker = Some(worker);
                Ok(key.0)
            }
            (worker, report) => Err(worker.misunderstood(&report).await),
        }
    }

    pub(super) async fn sign(&mut self, text: &[u8]) -> Result<Vec<u8>, Failure> {
        match self.0.ask(&Request::SignNote { text: Bytes(text.to_vec()) }).await? {
            (worker, Report::Signed(signature)) => {
                self.0.worker = Some(worker);
                Ok(signature.0)
            }
            (worker, report) => Err(worker.misunderstood(&report).await),
        }
    }
}

#[async_trait::async_trait]
impl Token for WorkerToken {
    async fn read(&mut self) -> Result<Reading, Failure> {
        match self.ask(&Request::Read).await? {
            (worker, Report::Read(reading)) => {
                self.worker = Some(worker);
                Ok(*reading)
            }
            (worker, report) => Err(worker.misunderstood(&report).await),
        }
    }

    async fn sign(&mut self, message: &[u8], scheme: SignatureScheme) -> Result<Vec<u8>, Failure> {
        match self.ask(&Request::Sign { message: Bytes(message.to_vec()), scheme }).await? {
            (worker, Report::Signed(signature)) => {
                self.worker = Some(worker);
                Ok(signature.0)
            }
            (worker, report) => Err(worker.misunderstood(&report).await),
        }
    }

    async fn keep(&mut self, name: &ObjectName, certificate: &[u8]) -> Result<Kept, Failure> {
        let request = Request::Keep { name: name.clone(), certificate: Bytes(certificate.to_vec()) };
        match self.ask(&request).await? {
            (worker, Report::Kept(kept)) => {
                self.worker = Some(worker);
                Ok(kept)
            }
            (worker, report) => Err(worker.misunderstood(&report).await),
        }
    }

    async fn close(mut self: Box<Self>) {
        if self.worker.is_none() {
            return;
        }
        match self.ask(&Request::Close).await {
            Ok((worker, _)) => drop(worker.end().await),
            // Its processes are gone either way, and nothing more is asked of it.
            Err(failure) => tracing::debug!(%failure, "a worker did not close its session"),
        }
    }

    async fn contents(&mut self) -> Result<Contents, Failure> {
        match self.ask(&Request::Contents).await? {
            (worker, Report::Contents(contents)) => {
                self.worker = Some(worker);
                Ok(*contents)
            }
            (worker, report) => Err(worker.misunderstood(&report).await),
        }
    }
}

#[derive(Clone, Copy)]
struct Limits {
    /// For one PKCS#11 function.
    call: Duration,
    /// For the request.
    whole: Duration,
}

/// A running worker and its socket. Shutting the socket ends it: its guardian then kills it and all that
/// its module started (p11-kit's `ssh`, say). Dropping it does that.
struct Worker {
    /// Taken out by whoever sees to its end.
    guardian: Option<Guardian>,
    socket: UnixStream,
    /// Where a command leads to the token: what it said last on standard error, such as ssh's reason.
    complaint: Option<(Complaint, JoinHandle<()>)>,
    /// What the module prints is read as long as this lives, and a moment longer.
    _listening: watch::Sender<()>,
}

impl Worker {
    fn start(program: &Path, arguments: &[OsString], access: &TokenAccess) -> Result<Self, Failure> {
        Self::spawn(program, arguments, access).map_err(|error| {
            Failure::new(ReasonCode::TOKEN_CRASHED, format!("the worker {} does not start: {error}", program.display()))
        })
    }

    fn spawn(program: &Path, arguments: &[OsString], access: &TokenAccess) -> io::Result<Self> {
        let (ours, theirs) = std::os::unix::net::UnixStream::pair()?;
        ours.set_nonblocking(true)?;
        let mut command = Command::new(program);
        command.args(arguments).stdin(Stdio::from(OwnedFd::from(theirs))).stdout(Stdio::piped()).stderr(Stdio::piped());
        for (name, _) in std::env::vars_os().filter(|(name, _)| is_the_stations_own(name)) {
            command.env_remove(name);
        }
        let mark = Mark::new();
        command.envs(&access.environment).env(MARK, &mark.0);
        match &access.command {
            Some(line) => command.env(remote::COMMAND, serde_json::to_string(line)?),
            None => command.env_remove(remote::COMMAND),
        };
        let mut guardian = Guardian { child: command.spawn()?, mark };
        let pid = guardian.child.id().unwrap_or_default();
        let (listening, until) = watch::channel(());
        if let Some(stdout) = guardian.child.stdout.take() {
            tokio::spawn(listen(stdout, pid, "stdout", until.clone(), None));
        }
        let heard = access.command.as_ref().map(|_| Complaint::default());
        let listener = guardian
            .child
            .stderr
            .take()
            .map(|stderr| tokio::spawn(listen(stderr, pid, "stderr", until, heard.clone())));
        let complaint = heard.zip(listener);
        Ok(Self { guardian: Some(guardian), socket: UnixStream::from_std(ours)?, complaint, _listening: listening })
    }

    /// One request, one answer; or a failure and no more worker.
    async fn ask(mut self, request: &Request, limits: Limits) -> Result<(Self, Report), Failure> {
        let begun = Instant::now();
        let end = begun + limits.whole;
        let mut call_end = begun + limits.call;
        let mut doing = "the worker's start".to_owned();
        let sent = timeout_at(end, send_async(&mut self.socket, request)).await;
        if !matches!(sent, Ok(Ok(()))) {
            return Err(self.died(&doing, None).await);
        }
        loop {
            match timeout_at(call_end.min(end), receive_async(&mut self.socket)).await {
                Ok(Ok(Some(report))) => match heard(report) {
                    Ok(Report::Calling(function)) => {
                        doing = function;
                        call_end = Instant::now() + limits.call;
                    }
                    Ok(report) => return Ok((self, report)),
                    Err(failure) => return Err(self.complained(failure).await),
                },
                Ok(Ok(None)) => return Err(self.died(&doing, None).await),
                Ok(Err(error)) => return Err(self.died(&doing, Some(error)).await),
                Err(_) => {
                    let waited = begun.elapsed().as_millis();
                    let cause = format!("{doing} did not return; the worker was killed after {waited} ms");
                    return Err(self.complained(Failure::new(ReasonCode::TOKEN_SILENT, cause)).await);
                }
            }
        }
    }

    async fn died(self, doing: &str, error: Option<io::Error>) -> Failure {
        let how = match (self.end().await, error) {
            (_, Some(error)) if error.kind() == io::ErrorKind::InvalidData => format!("sent nonsense ({error})"),
            (Some(status), _) => match (status.signal(), status.code()) {
                (Some(signal), _) => format!("and its guardian died of signal {signal}"),
                (None, Some(code)) if code > SIGNALLED => format!("died of signal {}", code - SIGNALLED),
                (None, Some(code)) => format!("ended by itself with status {code}"),
                (None, None) => "ended by itself".to_owned(),
            },
            (None, _) => "closed its socket".to_owned(),
        };
        Failure::new(ReasonCode::TOKEN_CRASHED, format!("the worker {how} in {doing}"))
    }

    /// Ends it, and adds what its command said.
    async fn complained(mut self, failure: Failure) -> Failure {
        let complaint = self.complaint.take();
        self.end().await;
        let Some((complaint, listener)) = complaint else { return failure };
        // All of them have ended: so does the stream, unless somebody got away with it.
        let _ = timeout(Duration::from_millis(200), listener).await;
        match Some(complaint.last()).filter(|last| !last.is_empty()) {
            Some(last) => Failure { cause: format!("{}; stderr: {last}", failure.cause), ..failure },
            None => failure,
        }
    }

    async fn misunderstood(self, report: &Report) -> Failure {
        let what = match report {
            Report::Calling(_) => "calling",
            Report::Opened => "opened",
            Report::Closed => "closed",
            Report::Read(_) => "read",
            Report::Contents(_) => "contents",
            Report::Signed(_) => "signed",
            Report::Kept(_) => "kept",
            Report::LogKey(_) => "a key",
            Report::Failed(_) => "failed",
        };
        self.end().await;
        Failure::new(ReasonCode::TOKEN_CRASHED, format!("the worker answered {what} to another question"))
    }

    /// Has everything killed, and reaps. A worker that died before keeps its own status. `None`: not
    /// over within a moment (a driver holds a process in the kernel); tokio reaps when it can.
    async fn end(mut self) -> Option<ExitStatus> {
        self.let_go();
        self.guardian.take()?.end().await
    }

    /// The guardian hears it even where a process that was just being started holds a copy of this end.
    fn let_go(&self) {
        let _ = rustix::net::shutdown(&self.socket, rustix::net::Shutdown::Both);
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.let_go();
        if let (Some(guardian), Ok(runtime)) = (self.guardian.take(), tokio::runtime::Handle::try_current()) {
            runtime.spawn(guardian.end());
        }
    }
}

/// What ends a worker, and what is done where it was ended itself.
struct Guardian {
    child: Child,
    mark: Mark,
}

impl Guardian {
    /// The station has let go of the socket: waits for a moment until the guardian has killed everything. `None`:
    /// it takes longer, and no lane waits for that.
    async fn end(mut self) -> Option<ExitStatus> {
        // Its module may have stopped it.
        if let Some(pid) = self.pid() {
            let _ = kill_process(pid, Signal::CONT);
        }
        match timeout(Self::MOMENT, self.child.wait()).await {
            Ok(ended) => self.swept(ended.ok()).await,
            Err(_) => {
                tokio::spawn(self.end_by_force());
                None
            }
        }
    }

    const MOMENT: Duration = Duration::from_secs(1);

    async fn end_by_force(mut self) {
        if let Some(pid) = self.pid()
            && let Err(error) = kill_process_group(pid, Signal::KILL)
        {
            tracing::warn!(guardian = pid.as_raw_pid(), %error, "a worker's processes may be left");
        }
        let ended = timeout(Self::MOMENT, self.child.wait()).await;
        self.swept(ended.ok().and_then(Result::ok)).await;
    }

    /// Where it was killed, by its own module perhaps, nobody has seen to what that started.
    async fn swept(self, status: Option<ExitStatus>) -> Option<ExitStatus> {
        if status.is_none_or(|status| status.code().is_none()) {
            let _ = tokio::task::spawn_blocking(move || self.mark.kill_all()).await;
        }
        status
    }

    /// `None`: it was reaped.
    fn pid(&self) -> Option<Pid> {
        self.child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw)
    }
}

/// In the environment of a worker and of everything that it starts.
const MARK: &str = "LINESEAL_WORKER";

/// Tells one worker's processes from all others, whatever session or parent they have.
struct Mark(String);

impl Mark {
    fn new() -> Self {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        Self(format!("{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed)))
    }

    /// Until none is found, for a moment: one that is being started is found the next time.
    fn kill_all(&self) {
        let entry = format!("{MARK}={}\0", self.0).into_bytes();
        for _ in 0..100 {
            let marked: Vec<Pid> = std::fs::read_dir("/proc")
                .into_iter()
                .flatten()
                .flatten()
                .filter(|process| {
                    let environment = std::fs::read(process.path().join("environ")).unwrap_or_default();
                    environment.windows(entry.len()).any(|part| part == entry)
                })
                .filter_map(|process| process.file_name().to_str()?.parse().ok())
                .filter_map(Pid::from_raw)
                .collect();
            if marked.is_empty() {
                return;
            }
            for pid in marked {
                // Gone already is as good.
                let _ = kill_process(pid, Signal::KILL);
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        tracing::warn!("processes that a PKCS#11 module started are left");
    }
}

/// A vendor's module, and a command that leads to it, have no business with the station's credentials: the
/// cloud's, the plant database's, and what else is one by its name. What the profile sets itself is given.
fn is_the_stations_own(name: &OsStr) -> bool {
    let name = name.as_encoded_bytes().to_ascii_uppercase();
    let begins = |with: &&str| name.starts_with(with.as_bytes());
    let holds = |what: &&str| name.windows(what.len()).any(|part| part == what.as_bytes());
    ["AWS_", "PG", "DATABASE", "LINESEAL_"].iter().any(begins) || ["PASSW", "SECRET", "CREDENTIAL"].iter().any(holds)
}

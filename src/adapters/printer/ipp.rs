//! An IPP printer or CUPS queue (RFC 8010, RFC 8011): the label as a job whose end is waited for.
//!
//! That Print-Job was answered says only that a job was made. What is on paper, its state says.

use std::io::Cursor;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ipp::model::{DelimiterTag, JobState, Operation, PrinterState, StatusCode};
use ipp::parser::IppParser;
use ipp::prelude::{IppAttribute, IppOperationBuilder, IppPayload, IppRequestResponse, IppValue, Uri};
use ipp::reader::IppReader;
use ureq::Agent;
use ureq::tls::{Certificate, RootCerts, TlsConfig};

use super::{PrintError, Trouble, picture};
use crate::config::{IppFormat, IppQueue};
use crate::domain::Failure;
use crate::ports::{LabelPrinter, Readiness};

const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// For a label to come out, from the moment the printer has it.
const JOB_TIMEOUT: Duration = Duration::from_secs(30);
/// A printer that does not say for so long what became of its job is gone.
const SILENCE: Duration = Duration::from_secs(8);
/// Between two looks at a job.
const EVERY: Duration = Duration::from_millis(200);
/// Attributes of a printer are a few kilobytes.
const LARGEST_ANSWER: u64 = 1 << 20;
const USER: &str = "lineseal";

#[derive(Debug, Clone)]
pub struct IppPrinter {
    queue: Arc<IppQueue>,
    job_timeout: Duration,
}

impl IppPrinter {
    pub fn new(queue: IppQueue) -> Self {
        Self { queue: Arc::new(queue), job_timeout: JOB_TIMEOUT }
    }

    /// Takes a job back that has not begun within this time.
    pub fn with_job_timeout(self, job_timeout: Duration) -> Self {
        Self { job_timeout, ..self }
    }

    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Session) -> Result<T, PrintError> + Send + 'static,
    ) -> Result<T, PrintError> {
        let (queue, job_timeout) = (Arc::clone(&self.queue), self.job_timeout);
        let done = tokio::task::spawn_blocking(move || work(&Session::new(&queue, job_timeout)?));
        done.await.unwrap_or_else(|_| Err(PrintError::Thread { printer: self.queue.uri.clone() }))
    }
}

#[async_trait::async_trait]
impl LabelPrinter for IppPrinter {
    async fn print(&self, name: &str, zpl: &str) -> Result<(), Failure> {
        let (name, zpl) = (name.to_owned(), zpl.to_owned());
        tracing::debug!(label = name, printer = %self.queue.uri, "label by IPP");
        Ok(self.blocking(move |session| session.print(&name, &zpl)).await?)
    }

    async fn ready(&self) -> Result<Readiness, Failure> {
        self.blocking(|session| session.printer()?.takes(&session.queue.uri)).await?;
        Ok(Readiness::Ready)
    }
}

struct Session<'q> {
    queue: &'q IppQueue,
    uri: Uri,
    agent: Agent,
    job_timeout: Duration,
}

/// What a printer says of itself.
#[derive(Debug, Default)]
struct Printer {
    stopped: bool,
    accepting: bool,
    reasons: Vec<String>,
    formats: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answer {
    /// The request never reached the printer.
    Unreached,
    /// It may have.
    Lost,
}

impl<'q> Session<'q> {
    fn new(queue: &'q IppQueue, job_timeout: Duration) -> Result<Self, PrintError> {
        let printer = || queue.uri.clone();
        let uri =
            queue.uri.parse().map_err(|_| PrintError::Refused { printer: printer(), because: "is no URI".into() })?;
        let roots: Vec<Vec<u8>> = match &queue.roots {
            Some(roots) => roots.clone(),
            None if queue.uri.starts_with("ipps:") => {
                rustls_native_certs::load_native_certs().certs.into_iter().map(|root| root.to_vec()).collect()
            }
            None => Vec::new(),
        };
        let roots: Vec<Certificate<'static>> = roots.iter().map(|der| Certificate::from_der(der).to_owned()).collect();
        let tls = TlsConfig::builder()
            .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
            .root_certs(RootCerts::new_with_certs(&roots))
            .build();
        let config = Agent::config_builder()
            .proxy(None)
            .tls_config(tls)
            .timeout_connect(Some(CONNECT_TIMEOUT))
            .timeout_global(Some(REQUEST_TIMEOUT))
            .max_redirects(0)
            .max_redirects_will_error(false)
            .http_status_as_error(false)
            // A connection that a printer has closed by itself looks like a label that was lost.
            .max_idle_connections(0)
            .user_agent(concat!("lineseal/", env!("CARGO_PKG_VERSION")))
            .build();
        Ok(Self { queue, uri, agent: config.new_agent(), job_timeout })
    }

    fn print(&self, name: &str, zpl: &str) -> Result<(), PrintError> {
        let printer = self.printer()?;
        printer.takes(&self.queue.uri)?;
        let (format, document) = self.document(&printer, zpl)?;
        let job = self.submit(name, format, document)?;
        self.follow(job)
    }

    fn printer(&self) -> Result<Printer, PrintError> {
        let wanted =
            ["printer-state", "printer-state-reasons", "printer-is-accepting-jobs", "document-format-supported"];
        let request = IppOperationBuilder::get_printer_attributes(self.uri.clone()).attributes(wanted).build();
        let request: IppRequestResponse = request.map_err(|error| self.refused(error.to_string()))?.into();
        let answer = self.send(request).map_err(|(_, cause)| PrintError::Offline { printer: self.named(), cause })?;
        self.succeeded(&answer)?;
        let mut printer = Printer { accepting: true, ..Printer::default() };
        for group in answer.attributes().groups_of(DelimiterTag::PrinterAttributes) {
            for attribute in group.attributes() {
                let value = attribute.value();
                match attribute.name().as_str() {
                    "printer-state" => printer.stopped = number(value) == Some(PrinterState::Stopped as i32),
                    "printer-is-accepting-jobs" => printer.accepting = !matches!(value, IppValue::Boolean(false)),
                    "printer-state-reasons" => printer.reasons = words(value),
                    "document-format-supported" => printer.formats = words(value),
                    _ => {}
                }
            }
        }
        Ok(printer)
    }

    /// What the printer is sent: a drawing, unless it is a label printer's own queue.
    fn document(&self, printer: &Printer, zpl: &str) -> Result<(&'static str, Vec<u8>), PrintError> {
        let takes = |format: &str| printer.formats.iter().any(|known| known == format);
        let unrenderable = |cause: String| PrintError::Undrawn { printer: self.named(), cause };
        match self.queue.format {
            IppFormat::Zpl => {
                let format = ["application/vnd.zebra-zpl", "application/vnd.cups-raw"].into_iter().find(|it| takes(it));
                Ok((format.unwrap_or("application/octet-stream"), zpl.as_bytes().to_vec()))
            }
            IppFormat::Drawn if takes("application/pdf") => {
                Ok(("application/pdf", picture::pdf(zpl).map_err(unrenderable)?))
            }
            IppFormat::Drawn if takes("image/png") => Ok(("image/png", picture::png(zpl).map_err(unrenderable)?)),
            IppFormat::Drawn => {
                Err(self.refused(format!("it takes neither PDF nor PNG, but {}", printer.formats.join(", "))))
            }
        }
    }

    fn submit(&self, name: &str, format: &str, document: Vec<u8>) -> Result<i32, PrintError> {
        let mut request = IppOperationBuilder::print_job(self.uri.clone(), IppPayload::new(Cursor::new(document)))
            .user_name(USER)
            .job_title(name)
            .document_format(format);
        // As large as it is drawn: a code that was made to fit the sheet can't be scanned.
        if let (IppFormat::Drawn, Ok(none)) = (self.queue.format, keyword("print-scaling", "none")) {
            request = request.attribute(none);
        }
        let request: IppRequestResponse = request.build().map_err(|error| self.refused(error.to_string()))?.into();
        let answer = self.send(request).map_err(|(answer, cause)| match answer {
            Answer::Unreached => PrintError::Offline { printer: self.named(), cause },
            Answer::Lost => PrintError::Unanswered { printer: self.named(), cause },
        })?;
        self.succeeded(&answer)?;
        let job = answer.attributes().first_of(DelimiterTag::JobAttributes).and_then(|group| group.get("job-id"));
        job.and_then(|job| number(job.value()))
            .ok_or_else(|| PrintError::Unanswered { printer: self.named(), cause: "it named no job".to_owned() })
    }

    /// Until the job is over, or for as long as a label may take.
    fn follow(&self, job: i32) -> Result<(), PrintError> {
        let begun = Instant::now();
        let mut heard = begun;
        let mut waits = false;
        loop {
            match self.job(job) {
                Ok((state, reasons)) => {
                    heard = Instant::now();
                    match state {
                        Some(JobState::Completed) => return Ok(()),
                        Some(JobState::Aborted | JobState::Canceled) => return Err(self.given_up(state, reasons)),
                        state => waits = matches!(state, Some(JobState::Pending | JobState::PendingHeld)),
                    }
                }
                Err(cause) if heard.elapsed() > SILENCE => {
                    return Err(PrintError::Unanswered { printer: self.named(), cause: format!("job {job}: {cause}") });
                }
                Err(_) => {}
            }
            if begun.elapsed() > self.job_timeout {
                return self.take_back(job, waits);
            }
            std::thread::sleep(EVERY);
        }
    }

    /// Only of a job that had not begun is it certain that nothing came of it.
    fn take_back(&self, job: i32, waits: bool) -> Result<(), PrintError> {
        let seconds = self.job_timeout.as_secs();
        let request = IppOperationBuilder::cancel_job(self.uri.clone(), job).user_name(USER).build();
        if let Ok(request) = request {
            // Whatever it answers, the job's state is what counts.
            let _ = self.send(request.into());
        }
        let cause = match self.job(job) {
            Ok((Some(JobState::Completed), _)) => return Ok(()),
            Ok((Some(JobState::Canceled), _)) if waits => {
                let trouble = self.printer().ok().and_then(|printer| printer.trouble());
                let because = format!("job {job} had not begun within {seconds} s and was taken back");
                return Err(match trouble {
                    Some((trouble, reason)) => {
                        PrintError::Trouble { printer: self.named(), trouble, reason: format!("{reason}; {because}") }
                    }
                    None => PrintError::Refused { printer: self.named(), because },
                });
            }
            Ok(_) => format!("job {job} had begun and was not over within {seconds} s"),
            Err(cause) => format!("job {job}: {cause}"),
        };
        Err(PrintError::Unanswered { printer: self.named(), cause })
    }

    fn job(&self, job: i32) -> Result<(Option<JobState>, Vec<String>), String> {
        let request = IppOperationBuilder::get_job_attributes(self.uri.clone(), job).user_name(USER).build();
        let answer = self.send(request.map_err(|error| error.to_string())?.into()).map_err(|(_, cause)| cause)?;
        let group = answer.attributes().first_of(DelimiterTag::JobAttributes);
        let group = group.ok_or_else(|| answer.header().status_code().to_string())?;
        let state = group.get("job-state").and_then(|state| number(state.value()));
        let reasons = group.get("job-state-reasons").map(|reasons| words(reasons.value())).unwrap_or_default();
        Ok((state.and_then(job_state), reasons))
    }

    fn send(&self, request: IppRequestResponse) -> Result<IppRequestResponse, (Answer, String)> {
        // `ipp://` is HTTP at port 631 (RFC 3510 §2).
        let url = match self.uri.port_u16() {
            Some(_) => self.queue.uri.replacen("ipp", "http", 1),
            None => {
                let host = self.uri.host().unwrap_or_default();
                let path = self.uri.path();
                format!("{}://{host}:631{path}", if self.queue.uri.starts_with("ipps:") { "https" } else { "http" })
            }
        };
        let operation = request.header().operation_or_status;
        let mut bytes = Vec::new();
        std::io::copy(&mut request.into_read(), &mut bytes).map_err(|error| (Answer::Unreached, error.to_string()))?;
        let sent = self.agent.post(&url).content_type("application/ipp").send(&bytes[..]);
        let mut response = sent.map_err(|error| (reached(&error), error.to_string()))?;
        let status = response.status().as_u16();
        if status != 200 {
            // What is refused by HTTP never became a job.
            let answer =
                if status < 500 || operation != Operation::PrintJob as i16 { Answer::Unreached } else { Answer::Lost };
            return Err((answer, format!("HTTP {status}")));
        }
        let body = response.body_mut().with_config().limit(LARGEST_ANSWER).read_to_vec();
        let body = body.map_err(|error| (Answer::Lost, error.to_string()))?;
        let parsed = IppParser::new(IppReader::new(Cursor::new(body))).parse();
        parsed.map_err(|error| (Answer::Lost, format!("its answer is no IPP: {error}")))
    }

    /// RFC 8011 §4.1.6: a request that fails makes no job; a printer that broke over it may have.
    fn succeeded(&self, answer: &IppRequestResponse) -> Result<(), PrintError> {
        let status = answer.header().status_code();
        if status.is_success() {
            return Ok(());
        }
        let message = answer.attributes().first_of(DelimiterTag::OperationAttributes);
        let message = message.and_then(|group| group.get("status-message")).map(|text| text.value().to_string());
        let because = format!("{status}{}", message.map(|text| format!(": {text}")).unwrap_or_default());
        match status {
            StatusCode::ServerErrorInternalError | StatusCode::ServerErrorDeviceError => {
                Err(PrintError::Unanswered { printer: self.named(), cause: because })
            }
            _ => Err(self.refused(because)),
        }
    }

    fn given_up(&self, state: Option<JobState>, reasons: Vec<String>) -> PrintError {
        let how = if state == Some(JobState::Canceled) { "canceled" } else { "aborted" };
        PrintError::GivenUp { printer: self.named(), how, reasons: reasons.join(", ") }
    }

    fn refused(&self, because: String) -> PrintError {
        PrintError::Refused { printer: self.named(), because }
    }

    fn named(&self) -> String {
        self.queue.uri.clone()
    }
}

impl Printer {
    fn takes(&self, named: &str) -> Result<(), PrintError> {
        match self.trouble() {
            Some((trouble, reason)) => Err(PrintError::Trouble { printer: named.to_owned(), trouble, reason }),
            None if !self.accepting => {
                Err(PrintError::Refused { printer: named.to_owned(), because: "it accepts no jobs".to_owned() })
            }
            None => Ok(()),
        }
    }

    /// What keeps a label from coming out now, and the printer's own word for it (RFC 8011 §5.4.12, PWG 5100.9).
    fn trouble(&self) -> Option<(Trouble, String)> {
        let of = |reason: &String| {
            // How grave it is depends on what the printer is doing, too: idle and empty, CUPS's own says `-report`.
            let (word, severity) = match reason.rsplit_once('-') {
                Some((word, severity @ ("error" | "warning" | "report"))) => (word, severity),
                _ => (reason.as_str(), ""),
            };
            let trouble = match word {
                "none" => return None,
                "media-empty" | "media-needed" => Trouble::Paper,
                "door-open" | "cover-open" | "interlock-open" | "input-tray-missing" => Trouble::Open,
                "paused" | "moving-to-paused" => Trouble::Paused,
                "offline" | "connecting-to-device" | "shutdown" | "timed-out" | "deactivated" => Trouble::Offline,
                "media-jam"
                | "marker-supply-empty"
                | "toner-empty"
                | "marker-waste-full"
                | "output-area-full"
                | "developer-empty"
                | "fuser-over-temp"
                | "fuser-under-temp"
                | "stopped-partly" => Trouble::Fault,
                _ if severity == "error" => Trouble::Fault,
                _ => return None,
            };
            Some((trouble, reason.clone()))
        };
        let told = self.reasons.iter().find_map(of);
        told.or_else(|| self.stopped.then(|| (Trouble::Paused, "it is stopped".to_owned())))
    }
}

/// Whether the printer may have it in spite of the error.
fn reached(error: &ureq::Error) -> Answer {
    use std::io::ErrorKind as Io;
    match error {
        ureq::Error::HostNotFound | ureq::Error::ConnectionFailed | ureq::Error::Tls(_) | ureq::Error::Rustls(_) => {
            Answer::Unreached
        }
        ureq::Error::Timeout(ureq::Timeout::Connect | ureq::Timeout::Resolve) => Answer::Unreached,
        ureq::Error::Io(error)
            if matches!(
                error.kind(),
                Io::ConnectionRefused | Io::HostUnreachable | Io::NetworkUnreachable | Io::AddrNotAvailable
            ) =>
        {
            Answer::Unreached
        }
        _ => Answer::Lost,
    }
}

fn keyword(name: &'static str, value: &'static str) -> Result<IppAttribute, ipp::parser::IppParseError> {
    IppAttribute::with_name(name, IppValue::new_keyword(value)?)
}

fn number(value: &IppValue) -> Option<i32> {
    match value {
        IppValue::Integer(number) | IppValue::Enum(number) => Some(*number),
        _ => None,
    }
}

fn words(value: &IppValue) -> Vec<String> {
    value.into_iter().map(ToString::to_string).collect()
}

fn job_state(state: i32) -> Option<JobState> {
    use JobState as S;
    let all = [S::Pending, S::PendingHeld, S::Processing, S::ProcessingStopped, S::Canceled, S::Aborted, S::Completed];
    all.into_iter().find(|known| *known as i32 == state)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_printers_own_words_are_what_a_technician_can_do_something_about() {
        let told = |reasons: &[&str], stopped: bool| {
            let reasons = reasons.iter().map(|reason| (*reason).to_owned()).collect();
            let printer = Printer { stopped, accepting: true, reasons, formats: Vec::new() };
            printer.trouble().map(|(trouble, _)| trouble)
        };
        for (reasons, expected) in [
            (&["none"][..], None),
            (&["media-low-warning", "toner-low-report"], None),
            (&["media-empty"], Some(Trouble::Paper)),
            (&["media-low-warning", "media-needed-error"], Some(Trouble::Paper)),
            (&["cover-open-error"], Some(Trouble::Open)),
            (&["paused"], Some(Trouble::Paused)),
            (&["media-empty-report"], Some(Trouble::Paper)),
            (&["offline"], Some(Trouble::Offline)),
            (&["something-of-the-maker-error"], Some(Trouble::Fault)),
            (&["something-of-the-maker-warning", "something-report"], None),
        ] {
            assert_eq!(told(reasons, false), expected, "{reasons:?}");
        }
        assert_eq!(told(&["none"], true), Some(Trouble::Paused));
    }
}

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Mutex;
use tokio::time::timeout;

use super::PrintError;
use super::status::{self, Told};
use crate::domain::Failure;
use crate::ports::{LabelPrinter, Readiness};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// For the printer to take more bytes; one that is out of paper or open stops taking them.
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);
/// For the printer to close its side. Many keep it open: that is no failure.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(2);

/// A printer on a raw TCP port ("JetDirect", port 9100): one connection a label.
#[derive(Debug, Clone)]
pub struct TcpPrinter {
    address: String,
    write_timeout: Duration,
    /// `None`: it is not asked how it is. Else whether it answered the last time; held while somebody talks to
    /// it, since many printers have room for one connection.
    answers: Option<Arc<Mutex<bool>>>,
}

impl TcpPrinter {
    /// `address` is `host:port`.
    pub fn new(address: String) -> Self {
        Self { address, write_timeout: WRITE_TIMEOUT, answers: Some(Arc::new(Mutex::new(true))) }
    }

    /// Sends labels and nothing else: what is no ZPL printer would print the question.
    pub fn without_status(self) -> Self {
        Self { answers: None, ..self }
    }

    /// Gives up on a printer that takes no bytes for this long.
    pub fn with_write_timeout(self, write_timeout: Duration) -> Self {
        Self { write_timeout, ..self }
    }

    async fn connect(&self) -> Result<TcpStream, PrintError> {
        let printer = || self.address.clone();
        match timeout(CONNECT_TIMEOUT, TcpStream::connect(&self.address)).await {
            Ok(Ok(stream)) => Ok(stream),
            Ok(Err(cause)) => Err(PrintError::Connect { printer: printer(), cause }),
            Err(_) => Err(PrintError::ConnectTimeout { printer: printer(), seconds: CONNECT_TIMEOUT.as_secs() }),
        }
    }

    /// Out of paper, open or paused, it would keep the label in its memory, and lose it with its power.
    async fn asked(&self, mut stream: TcpStream) -> Result<(Told, TcpStream), PrintError> {
        match status::ask(&mut stream).await {
            (Told::Trouble(trouble, reason), _) => {
                Err(PrintError::Trouble { printer: self.address.clone(), trouble, reason: reason.to_owned() })
            }
            (told, true) => Ok((told, stream)),
            // It has answered, and takes what comes next on another one.
            (told, false) => Ok((told, self.connect().await?)),
        }
    }

    async fn send(&self, zpl: &[u8]) -> Result<(), PrintError> {
        let mut answers = match &self.answers {
            Some(answers) => Some(answers.lock().await),
            None => None,
        };
        let mut stream = self.connect().await?;
        if let Some(answers) = answers.as_mut().filter(|answers| ***answers) {
            let (told, open) = self.asked(stream).await?;
            **answers = told != Told::Nothing;
            stream = open;
        }
        let (size, mut sent) = (zpl.len(), 0);
        let printer = || self.address.clone();
        while sent < size {
            match timeout(self.write_timeout, stream.write(&zpl[sent..])).await {
                Ok(Ok(0)) => {
                    let cause = io::ErrorKind::WriteZero.into();
                    return Err(PrintError::Write { printer: printer(), sent, size, cause });
                }
                Ok(Ok(taken)) => sent += taken,
                Ok(Err(cause)) => return Err(PrintError::Write { printer: printer(), sent, size, cause }),
                Err(_) => {
                    let seconds = self.write_timeout.as_secs();
                    return Err(PrintError::WriteTimeout { printer: printer(), sent, size, seconds });
                }
            }
        }
        // The end of the label, said with the connection still open to the answer.
        stream.shutdown().await.map_err(|cause| PrintError::Drain { printer: printer(), cause })?;
        // A printer that throws the connection away has thrown the label away too: that shows here.
        match timeout(DRAIN_TIMEOUT, drain(&mut stream)).await {
            Ok(Ok(())) | Err(_) => Ok(()),
            Ok(Err(cause)) => Err(PrintError::Drain { printer: printer(), cause }),
        }
    }
}

#[async_trait::async_trait]
impl LabelPrinter for TcpPrinter {
    async fn print(&self, name: &str, zpl: &str) -> Result<(), Failure> {
        tracing::debug!(label = name, printer = %self.address, bytes = zpl.len(), "label over TCP");
        Ok(self.send(zpl.as_bytes()).await?)
    }

    async fn ready(&self) -> Result<Readiness, Failure> {
        let mut answers = match &self.answers {
            Some(answers) => answers.lock().await,
            None => {
                self.connect().await?;
                return Ok(Readiness::Unknown);
            }
        };
        let stream = self.connect().await?;
        // One that never answers is asked again all the same: it may have been starting.
        let (told, _) = self.asked(stream).await?;
        *answers = told != Told::Nothing;
        Ok(if *answers { Readiness::Ready } else { Readiness::Unknown })
    }
}

/// Reads what the printer says until it closes.
async fn drain(stream: &mut TcpStream) -> io::Result<()> {
    let mut answer = [0; 1024];
    while stream.read(&mut answer).await? > 0 {}
    Ok(())
}

//! The practice line's label printer: a TCP socket on this machine that behaves like one and keeps
//! every label as ZPL and picture.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

use crate::adapters::printer::FolderPrinter;
use crate::ports::LabelPrinter;

/// More than any label: what keeps sending beyond this is no label.
const MAX_LABEL: u64 = 1 << 20;

/// Asked how it is, it is well: as a ZPL printer says that.
const QUESTION: &[u8] = b"~HS";
const WELL: &[u8] = b"\x02030,0,0,0240,000,0,0,0,000,0,0,0\x03\r\n\
    \x02000,0,0,0,0,2,4,0,00000000,1,000\x03\r\n\x021234,0\x03\r\n";

/// A printer on a free loopback port. Dropping it takes it off the network.
#[derive(Debug)]
pub struct PracticePrinter {
    address: SocketAddr,
    shared: Arc<Shared>,
    /// `None`: switched off.
    listening: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    folder: FolderPrinter,
    /// Labels begun, for their names, and labels kept.
    taken: AtomicU32,
    printed: AtomicU32,
    cut_next: AtomicBool,
}

impl PracticePrinter {
    /// Switches a printer on that puts its labels into `folder`, as `label-0001.zpl` and so on.
    pub async fn start(folder: PathBuf) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            folder: FolderPrinter::new(folder),
            taken: AtomicU32::new(0),
            printed: AtomicU32::new(0),
            cut_next: AtomicBool::new(false),
        });
        let listening = Some(tokio::spawn(listen(listener, Arc::clone(&shared))));
        Ok(Self { address, shared, listening })
    }

    /// Where it listens; the same after being switched off and on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn is_up(&self) -> bool {
        self.listening.is_some()
    }

    /// Labels taken whole and kept.
    pub fn printed(&self) -> u32 {
        self.shared.printed.load(Ordering::Acquire)
    }

    /// Off: connections are refused, and what is under way is broken off.
    pub async fn switch_off(&mut self) {
        if let Some(task) = self.listening.take() {
            task.abort();
            // Ends with its abortion; the socket is closed by then.
            let _ = task.await;
        }
    }

    /// On again, at the same address. Error: someone else took the port meanwhile.
    pub async fn switch_on(&mut self) -> io::Result<()> {
        if self.listening.is_none() {
            let listener = TcpListener::bind(self.address).await?;
            self.listening = Some(tokio::spawn(listen(listener, Arc::clone(&self.shared))));
        }
        Ok(())
    }

    /// The next label's connection is thrown away in its middle.
    pub fn cut_next(&self) {
        self.shared.cut_next.store(true, Ordering::Release);
    }
}

impl Drop for PracticePrinter {
    fn drop(&mut self) {
        if let Some(task) = self.listening.take() {
            task.abort();
        }
    }
}

async fn listen(listener: TcpListener, shared: Arc<Shared>) {
    // Aborted together with this task.
    let mut jobs = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    jobs.spawn(take_label(stream, Arc::clone(&shared)));
                }
                Err(error) => {
                    tracing::warn!(%error, "the practice printer lost its port");
                    return;
                }
            },
            Some(_) = jobs.join_next() => {}
        }
    }
}

async fn take_label(mut stream: TcpStream, shared: Arc<Shared>) {
    let mut bytes = Vec::new();
    let mut first = [0; 64];
    loop {
        match stream.read(&mut first).await {
            // A look whether the printer is there, or how it is.
            Ok(0) => return,
            Ok(size) => bytes.extend_from_slice(&first[..size]),
            Err(error) => return tracing::debug!(%error, "a label was broken off"),
        }
        if bytes.starts_with(QUESTION) {
            bytes.drain(..QUESTION.len());
            if let Err(error) = stream.write_all(WELL).await {
                return tracing::debug!(%error, "nobody waits for its state");
            }
        }
        if !QUESTION.starts_with(&bytes) {
            break;
        }
    }
    if shared.cut_next.swap(false, Ordering::AcqRel) {
        // A reset rather than an orderly end, as when the power goes.
        if let Err(error) = stream.set_zero_linger() {
            tracing::debug!(%error, "the connection was gone already");
        }
        return;
    }
    if let Err(error) = (&mut stream).take(MAX_LABEL).read_to_end(&mut bytes).await {
        return tracing::debug!(%error, "a label was broken off");
    }
    let zpl = String::from_utf8_lossy(&bytes);
    let number = shared.taken.fetch_add(1, Ordering::AcqRel) + 1;
    // The connection stays open until the label is kept: who waits for its end finds it in the folder.
    match shared.folder.print(&format!("label-{number:04}"), &zpl).await {
        Ok(()) => {
            shared.printed.fetch_add(1, Ordering::AcqRel);
        }
        Err(failure) => tracing::warn!(%failure, "the practice printer could not keep a label"),
    }
}

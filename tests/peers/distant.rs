//! A network in front of a server: every byte arrives half a round trip later. Notes when each exchange
//! began and ended, as the client's end of the network sees it.
//!
//! One exchange after the other on a connection: HTTP/1.1, as the AWS SDKs speak it.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use tokio::time::Instant;

/// From the question's first byte to the answer's.
pub type Exchange = (Instant, Instant);

/// A loopback port that leads to the server.
pub struct Distant {
    address: SocketAddr,
    seen: Arc<Mutex<Vec<Exchange>>>,
    task: AbortHandle,
}

impl Distant {
    pub async fn before(server: SocketAddr, round_trip: Duration) -> std::io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let seen = Arc::default();
        let noted = Arc::clone(&seen);
        let accept = async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(carry(client, server, round_trip / 2, Arc::clone(&noted)));
            }
        };
        Ok(Self { address, seen, task: tokio::spawn(accept).abort_handle() })
    }

    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What was exchanged since it was last asked.
    pub fn take(&self) -> Vec<Exchange> {
        std::mem::take(&mut self.seen.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Drop for Distant {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The longest chain of exchanges in which each began after the one before had ended.
pub fn one_after_the_other(mut exchanges: Vec<Exchange>) -> usize {
    exchanges.sort_by_key(|(_, end)| *end);
    let (mut chain, mut last) = (0, None);
    for (began, end) in exchanges {
        if last.is_none_or(|last| began >= last) {
            (chain, last) = (chain + 1, Some(end));
        }
    }
    chain
}

async fn carry(client: TcpStream, server: SocketAddr, each_way: Duration, seen: Arc<Mutex<Vec<Exchange>>>) {
    let Ok(server) = TcpStream::connect(server).await else { return };
    // Delays of the kernel's own are not meant.
    if client.set_nodelay(true).and_then(|()| server.set_nodelay(true)).is_err() {
        return;
    }
    let ((from_client, to_client), (from_server, to_server)) = (client.into_split(), server.into_split());
    let asked = Mutex::new(None);
    let ask = || {
        asked.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_with(Instant::now);
    };
    let answered = || {
        let began = asked.lock().unwrap_or_else(PoisonError::into_inner).take();
        let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.extend(began.map(|began| (began, Instant::now())));
    };
    tokio::join!(
        pump(from_client, to_server, each_way, ask, || {}),
        pump(from_server, to_client, each_way, || {}, answered)
    );
}

/// The runtime's timer is a millisecond coarse, which would be the network's on every way.
async fn arrives(at: Instant) {
    const COARSE: Duration = Duration::from_micros(1500);
    if at > Instant::now() + COARSE {
        tokio::time::sleep_until(at - COARSE).await;
    }
    while Instant::now() < at {
        tokio::task::yield_now().await;
    }
}

/// `came` and `left`: at each end of this way.
async fn pump(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, late: Duration, came: impl Fn(), left: impl Fn()) {
    let (send, mut under_way) = mpsc::channel::<(Instant, Vec<u8>)>(256);
    let read = async {
        let mut bytes = vec![0; 1 << 16];
        while let Ok(count @ 1..) = from.read(&mut bytes).await {
            came();
            if send.send((Instant::now() + late, bytes[..count].to_owned())).await.is_err() {
                break;
            }
        }
        drop(send);
    };
    let write = async move {
        while let Some((at, bytes)) = under_way.recv().await {
            arrives(at).await;
            left();
            if to.write_all(&bytes).await.is_err() {
                break;
            }
        }
        // The other end may be gone already.
        let _ = to.shutdown().await;
    };
    tokio::join!(read, write);
}

//! A TCP proxy that can be taken down and brought back, e.g. before the practice line's cloud.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::Mutex;
use tokio::task::{JoinHandle, JoinSet};
use tokio_util::sync::{CancellationToken, DropGuard};

/// Listens on a free loopback port, up from the start. While it is down, connections are refused.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    upstream: SocketAddr,
    /// Bound and never listening: while nothing else listens there, the kernel refuses connections,
    /// and nobody else can take the port.
    _placeholder: TcpSocket,
    session: Mutex<Option<Session>>,
}

/// One stretch of being up.
#[derive(Debug)]
struct Session {
    stop: DropGuard,
    task: JoinHandle<()>,
}

impl Proxy {
    pub async fn start(upstream: SocketAddr) -> io::Result<Self> {
        let placeholder = bound((Ipv4Addr::LOCALHOST, 0).into())?;
        let address = placeholder.local_addr()?;
        let proxy = Self { address, upstream, _placeholder: placeholder, session: Mutex::new(None) };
        proxy.up().await?;
        Ok(proxy)
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// As an HTTP endpoint.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Takes connections from when it returns.
    pub async fn up(&self) -> io::Result<()> {
        let mut session = self.session.lock().await;
        if session.is_none() {
            let listener = bound(self.address)?.listen(128)?;
            let stop = CancellationToken::new();
            let task = tokio::spawn(serve(listener, self.upstream, stop.clone()));
            *session = Some(Session { stop: stop.drop_guard(), task });
        }
        Ok(())
    }

    /// Refuses new connections, and has cut all others, when it returns.
    pub async fn down(&self) {
        if let Some(Session { stop, task }) = self.session.lock().await.take() {
            drop(stop);
            // It ends by returning; there is nothing in its result.
            let _ = task.await;
        }
    }

    pub async fn is_up(&self) -> bool {
        self.session.lock().await.is_some()
    }
}

fn bound(address: SocketAddr) -> io::Result<TcpSocket> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.set_reuseport(true)?;
    socket.bind(address)?;
    Ok(socket)
}

async fn serve(listener: TcpListener, upstream: SocketAddr, stop: CancellationToken) {
    // Dropping the set at the end cuts what it still carries.
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            () = stop.cancelled() => break,
            accepted = listener.accept() => match accepted {
                Ok((client, _)) => {
                    connections.spawn(carry(client, upstream));
                }
                // No descriptors left, say: the kernel keeps the connection waiting.
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            },
            Some(_) = connections.join_next(), if !connections.is_empty() => {}
        }
    }
    connections.shutdown().await;
}

async fn carry(mut client: TcpStream, upstream: SocketAddr) {
    let Ok(mut server) = TcpStream::connect(upstream).await else {
        return;
    };
    // A broken connection is what this proxy is for; both ends see it for themselves.
    let _ = copy_bidirectional(&mut client, &mut server).await;
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    async fn echo() -> SocketAddr {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let (mut from, mut to) = stream.split();
                    let _ = tokio::io::copy(&mut from, &mut to).await;
                });
            }
        });
        address
    }

    async fn says_hello(stream: &mut TcpStream) -> io::Result<()> {
        stream.write_all(b"hello").await?;
        let mut answer = [0; 5];
        stream.read_exact(&mut answer).await?;
        assert_eq!(&answer, b"hello");
        Ok(())
    }

    #[tokio::test]
    async fn down_cuts_and_refuses_and_up_takes_the_same_port() {
        let proxy = Proxy::start(echo().await).await.unwrap();
        let mut old = TcpStream::connect(proxy.address()).await.unwrap();
        says_hello(&mut old).await.unwrap();

        proxy.down().await;
        assert!(says_hello(&mut old).await.is_err());
        let refused = TcpStream::connect(proxy.address()).await.unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);

        proxy.up().await.unwrap();
        proxy.up().await.unwrap();
        let mut new = TcpStream::connect(proxy.address()).await.unwrap();
        says_hello(&mut new).await.unwrap();
    }
}

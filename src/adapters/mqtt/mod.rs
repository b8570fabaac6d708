//! Connections as a unit's own device makes them: MQTT 3.1.1 by mutual TLS, signed inside its chip.
//!
//! rustls asks for the signature in the middle of a handshake and waits for it, while the token is asked on
//! the runtime. So each try has a thread of its own, which says what it wants signed:
//!
//! ```text
//! runtime                                        thread "mqtt", one a try
//!   prove ── TCP connection ───────────────────▶ TLS handshake
//!   TlsKey::sign ◀── what is to be signed ────── SigningKey
//!                 ── signature, verified ───────▶
//!         ◀── Shown or Ended ─────────────────── CONNECT, SUBSCRIBE, PUBLISH …
//! ```
//!
//! The connection is hung up when the try is over, to its deadline, or dropped: whatever the thread waits
//! for ends with it.

mod conversation;
mod ended;
mod fleet;
mod key;
mod made_key;
mod target;
mod wire;

use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep, sleep_until, timeout_at};

use self::conversation::{Conversation, Refusals, Shown, Told};
use self::ended::Ended;
pub use self::fleet::{MqttFleets, check_claim};
use self::key::Ask;
pub use self::target::MqttConnections;
use self::target::Place;
use crate::audit::event::ConnectionRecord;
use crate::domain::{Failure, ReasonCode};
use crate::ports::{Connections, TlsKey, Trial};

const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// For one address: a name may have others.
const REACHED_WITHIN: Duration = Duration::from_secs(5);
/// The thread, which knows what it waited for, speaks first.
const A_MOMENT: Duration = Duration::from_millis(500);

#[async_trait::async_trait]
impl Connections for MqttConnections {
    async fn prove(&self, trial: &Trial, key: &mut dyn TlsKey) -> Result<ConnectionRecord, Failure> {
        let begun = Instant::now();
        let place = self.place(trial)?;
        let (shown, tries) = tried(&place, trial, key, begun, Aim::Proof).await?;
        let unshown = || Failure::new(ReasonCode::CONNECT_BROKEN, "nothing was to be refused");
        shown.and_then(|shown| record(trial, &place, shown, tries, begun)).ok_or_else(unshown)
    }

    async fn introduce(&self, trial: &Trial, key: &mut dyn TlsKey) -> Result<(), Failure> {
        let place = self.place(trial)?;
        tried(&place, trial, key, Instant::now(), Aim::Introduction).await.map(drop)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Aim {
    Proof,
    /// The broker has seen the certificate, and the signature by its key: what it thinks of it is another matter.
    Introduction,
}

/// What was shown and by which try; `None`: the broker refused what it was introduced to.
async fn tried(
    place: &Place,
    trial: &Trial,
    key: &mut dyn TlsKey,
    begun: Instant,
    aim: Aim,
) -> Result<(Option<Shown>, u32), Failure> {
    let end = begun + trial.deadline;
    let mut pause = FIRST_PAUSE;
    let mut tries = 1;
    let mut before: Option<Ended> = None;
    let mut refusals = Refusals::default();
    loop {
        let ended = match attempt(place, trial, key, refusals, end).await {
            Ok(Told::Shown(shown)) => return Ok((Some(shown), tries)),
            Ok(Told::Again(so_far)) => {
                refusals = so_far;
                tries += 1;
                before =
                    Some(Ended::Cut("it ended at the topic that is to be refused, and did not end again".to_owned()));
                continue;
            }
            Err(Ended::Refused(_)) if aim == Aim::Introduction => return Ok((None, tries)),
            // A try that the deadline cut off tells less than the one before it.
            Err(ended) if ended.may_pass() && Instant::now() >= end => before.take().unwrap_or(ended),
            Err(ended) => ended,
        };
        if !ended.may_pass() || Instant::now() + pause >= end {
            return Err(ended.into_failure(trial, place, tries));
        }
        tracing::debug!(endpoint = %place, ?ended, "the connection is tried again");
        sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
        tries += 1;
        before = Some(ended);
        refusals = refusals.doubted();
    }
}

fn record(trial: &Trial, place: &Place, shown: Shown, tries: u32, begun: Instant) -> Option<ConnectionRecord> {
    let Shown { tls, cipher, scheme, broker, refused } = shown;
    Some(ConnectionRecord {
        target: trial.target.clone(),
        endpoint: place.to_string(),
        client_id: trial.thing.clone(),
        tls,
        cipher,
        scheme,
        broker,
        topics: trial.topics.clone(),
        refused: refused?,
        tries,
        ms: u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX),
    })
}

async fn attempt(
    place: &Place,
    trial: &Trial,
    key: &mut dyn TlsKey,
    refusals: Refusals,
    end: Instant,
) -> Result<Told, Ended> {
    let stream = reach(place, end).await?;
    let unusable = |error: std::io::Error| Ended::Unreachable(format!("the connection can't be used: {error}"));
    // Dropped however this ends.
    let _hangs_up = HangsUp(stream.try_clone().map_err(unusable)?);
    let (asks, mut asked) = mpsc::channel(1);
    let (told, telling) = oneshot::channel();
    let conversation = Conversation::new(stream, place, trial, refusals, asks, end.into_std())?;
    let begun = std::thread::Builder::new().name("mqtt".into()).spawn(move || {
        // Nobody listens any more once the try is over.
        let _ = told.send(conversation.hold());
    });
    begun.map_err(unusable)?;
    let mut telling = std::pin::pin!(telling);
    let late = sleep_until(end + A_MOMENT);
    let mut late = std::pin::pin!(late);
    loop {
        tokio::select! {
            biased;
            told = &mut telling => {
                return told.unwrap_or_else(|_| Err(Ended::Broken("what the broker sent can't be read".to_owned())));
            }
            Some(Ask { message, scheme, answer }) = asked.recv() => {
                // Its deadline is the token's own: one that is left in the middle of it signs nothing more.
                let signature = key.sign(&message, scheme).await.map_err(Ended::Key)?;
                let _ = answer.send(signature);
            }
            () = &mut late => return Err(Ended::Broken("the broker went on without coming to an end".to_owned())),
        }
    }
}

async fn reach(place: &Place, end: Instant) -> Result<TcpStream, Ended> {
    let unreachable = |why: String| Ended::Unreachable(why);
    let addresses: Vec<SocketAddr> = match timeout_at(end, tokio::net::lookup_host((&*place.host, place.port))).await {
        Ok(Ok(found)) => found.collect(),
        Ok(Err(error)) => return Err(unreachable(format!("its name is not found: {error}"))),
        Err(_) => return Err(unreachable("its name is not found in time".to_owned())),
    };
    let mut last = "its name has no address".to_owned();
    for address in addresses {
        let by = end.min(Instant::now() + REACHED_WITHIN);
        match timeout_at(by, tokio::net::TcpStream::connect(address)).await {
            Ok(connected) => match connected.and_then(blocking) {
                Ok(stream) => return Ok(stream),
                Err(error) => last = format!("{address}: {error}"),
            },
            Err(_) => last = format!("{address}: no answer"),
        }
    }
    Err(unreachable(last))
}

/// For the thread that waits on it.
fn blocking(stream: tokio::net::TcpStream) -> std::io::Result<TcpStream> {
    let stream = stream.into_std()?;
    stream.set_nonblocking(false)?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Ends the connection, and with it whatever waits on it.
struct HangsUp(TcpStream);

impl Drop for HangsUp {
    fn drop(&mut self) {
        // It may be over already.
        let _ = self.0.shutdown(Shutdown::Both);
    }
}

/// What both sides of a try share.
type Shared<T> = Arc<std::sync::Mutex<T>>;

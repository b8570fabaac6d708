//! What the station and its worker say to each other: a frame is four bytes of length, big-endian,
//! then that many bytes of JSON.

use std::io::{self, Read, Write};
use std::path::PathBuf;

use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::audit::event::{Reading, SignatureScheme};
use crate::domain::profile::{ObjectName, Pin, SlotChoice};
use crate::domain::{Bytes, Failure};
use crate::ports::{Contents, Kept, TokenAccess};

/// A certificate is a few kilobytes; a longer frame is nonsense.
const LARGEST_FRAME: usize = 1 << 20;

/// The station's wishes. `Open` comes first and once.
#[derive(Debug, serde::Serialize, serde::Deserialize)]
pub(super) enum Request {
    Open(Access),
    Read,
    Contents,
    Sign {
        message: Bytes,
        scheme: SignatureScheme,
    },
    /// Keep a certificate under this name.
    Keep {
        name: ObjectName,
        certificate: Bytes,
    },
    /// End the session, and yourself.
    Close,
    /// The public half of the log's signing key, an Ed25519 key.
    LogKey,
    /// Sign with it.
    SignNote {
        text: Bytes,
    },
}

/// The part of a [`TokenAccess`] that the worker needs: its environment is set before it starts, and
/// the station keeps the deadlines. The PIN travels as the name of its source only.
#[derive(Debug, serde::Serialize, serde::Deserialize)]
pub(super) struct Access {
    pub module: PathBuf,
    pub slot: SlotChoice,
    pub certificate: ObjectName,
    pub key: ObjectName,
    pub uid: Option<ObjectName>,
    pub pin: Option<Pin>,
    /// The serial ports that are this board's.
    pub ports: Vec<PathBuf>,
}

impl From<&TokenAccess> for Access {
    fn from(access: &TokenAccess) -> Self {
        Self {
            module: access.module.clone(),
            slot: access.slot.clone(),
            certificate: access.certificate.clone(),
            key: access.key.clone(),
            uid: access.uid.clone(),
            pin: access.pin.clone(),
            // Its own, and what the profile names besides: a board may have two.
            ports: access.port.iter().cloned().chain(access.environment.values().map(PathBuf::from)).collect(),
        }
    }
}

/// The worker's answers. Any number of `Calling`, then exactly one of the others.
#[derive(Debug, serde::Serialize, serde::Deserialize)]
pub enum Report {
    /// This PKCS#11 function is about to be called: restarts the per-call deadline, and names what
    /// hung when it passes.
    Calling(String),
    Opened,
    Read(Box<Reading>),
    Contents(Box<Contents>),
    Signed(Bytes),
    Kept(Kept),
    LogKey(Bytes),
    Closed,
    /// The worker ends after this.
    Failed(Failure),
}

/// Reads one frame; `None` at the end of the stream.
pub fn receive<T: DeserializeOwned>(stream: &mut impl Read) -> io::Result<Option<T>> {
    let mut length = [0; 4];
    match stream.read_exact(&mut length) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        other => other?,
    }
    let mut body = vec![0; checked_length(length)?];
    stream.read_exact(&mut body)?;
    decode(&body).map(Some)
}

pub(super) fn send(stream: &mut impl Write, value: &impl Serialize) -> io::Result<()> {
    stream.write_all(&frame(value)?)
}

/// [`receive`] for the station's side.
pub(super) async fn receive_async<T: DeserializeOwned>(stream: &mut tokio::net::UnixStream) -> io::Result<Option<T>> {
    let mut length = [0; 4];
    match stream.read_exact(&mut length).await {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        other => other?,
    };
    let mut body = vec![0; checked_length(length)?];
    stream.read_exact(&mut body).await?;
    decode(&body).map(Some)
}

/// [`send`] for the station's side.
pub(super) async fn send_async(stream: &mut tokio::net::UnixStream, value: &impl Serialize) -> io::Result<()> {
    stream.write_all(&frame(value)?).await
}

fn frame(value: &impl Serialize) -> io::Result<Vec<u8>> {
    let body = serde_json::to_vec(value)?;
    let length = u32::try_from(body.len()).ok().filter(|_| body.len() <= LARGEST_FRAME).ok_or_else(too_long)?;
    let mut frame = length.to_be_bytes().to_vec();
    frame.extend_from_slice(&body);
    Ok(frame)
}

fn checked_length(prefix: [u8; 4]) -> io::Result<usize> {
    let length = u32::from_be_bytes(prefix) as usize;
    if length <= LARGEST_FRAME { Ok(length) } else { Err(too_long()) }
}

fn too_long() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("a frame of more than {LARGEST_FRAME} bytes"))
}

fn decode<T: DeserializeOwned>(body: &[u8]) -> io::Result<T> {
    Ok(serde_json::from_slice(body)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_comes_back_as_it_was_sent() {
        let mut stream = Vec::new();
        send(&mut stream, &Report::Signed(Bytes(vec![1, 2, 3]))).unwrap();
        send(&mut stream, &Report::Opened).unwrap();
        let mut reader = stream.as_slice();
        assert!(matches!(receive(&mut reader).unwrap(), Some(Report::Signed(bytes)) if bytes.0 == [1, 2, 3]));
        assert!(matches!(receive(&mut reader).unwrap(), Some(Report::Opened)));
        assert!(receive::<Report>(&mut reader).unwrap().is_none());
    }

    #[test]
    fn a_length_beyond_the_bound_is_refused_before_anything_is_allocated() {
        let mut reader: &[u8] = &[0xff, 0xff, 0xff, 0xff, b'{'];
        assert_eq!(receive::<Report>(&mut reader).unwrap_err().kind(), io::ErrorKind::InvalidData);
    }

    #[test]
    fn a_frame_that_ends_early_is_an_error_not_an_end() {
        let mut reader: &[u8] = &[0, 0, 0, 9, b'"'];
        assert_eq!(receive::<Report>(&mut reader).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    }
}

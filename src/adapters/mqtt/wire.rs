//! MQTT 3.1.1 over mutual TLS on the runtime, by a key that is at hand: what a claim says.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use rumqttc::mqttbytes::v4::{
    ConnAck, Connect, ConnectReturnCode, Packet, PubAck, Publish, SubAck, Subscribe, SubscribeReasonCode,
};
use rumqttc::mqttbytes::{Error as PacketError, QoS};
use secrecy::zeroize::{Zeroize as _, Zeroizing};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};
use tokio_rustls::client::TlsStream;

use super::ended::Ended;

/// AWS IoT Core's largest packet.
const LARGEST_PACKET: usize = 128 * 1024;
const SECONDS_ALIVE: u16 = 60;
/// AWS gives a provisioning hook five seconds.
const ANSWERED_WITHIN: Duration = Duration::from_secs(12);

/// A connection that was made.
pub(super) struct Wire {
    stream: TlsStream<TcpStream>,
    received: BytesMut,
    packets: u16,
    end: Instant,
}

impl Wire {
    pub fn new(stream: TlsStream<TcpStream>, end: Instant) -> Self {
        Self { stream, received: BytesMut::new(), packets: 0, end }
    }

    pub async fn connect(&mut self, client: &str) -> Result<(), Ended> {
        const DOING: &str = "CONNECT";
        let connect = Connect { keep_alive: SECONDS_ALIVE, ..Connect::new(client) };
        self.say(Packet::Connect(connect), DOING).await?;
        match self.hear(DOING, self.patience()).await? {
            Some(Packet::ConnAck(ConnAck { code: ConnectReturnCode::Success, .. })) => Ok(()),
            Some(Packet::ConnAck(ConnAck { code, .. })) => {
                Err(Ended::Refused(format!("the broker refused {DOING} as {client}: {code:?}")))
            }
            Some(_) => Err(Ended::Broken(format!("the broker answered {DOING} with something else"))),
            None => Err(Ended::Refused(format!("the broker answered {DOING} by ending the connection"))),
        }
    }

    /// Asks for what comes on `topic`'s two answers, says `payload` on it, and waits for one of them: which, and
    /// what it says. They are asked for first: an answer may come at once.
    pub async fn ask(&mut self, topic: &str, payload: Vec<u8>) -> Result<(bool, Zeroizing<Vec<u8>>), Ended> {
        // An answer may hold a private key: it is received where it can be wiped, and not moved meanwhile.
        self.received.reserve(LARGEST_PACKET);
        let [accepted, rejected] = ["accepted", "rejected"].map(|end| format!("{topic}/{end}"));
        self.subscribe(&[&accepted, &rejected]).await?;
        let doing = format!("PUBLISH {topic}");
        let pkid = self.next_packet();
        let publish = Publish::new(topic, QoS::AtLeastOnce, payload);
        self.say(Packet::Publish(Publish { pkid, ..publish }), &doing).await?;
        let by = self.patience();
        loop {
            match self.hear(&doing, by).await? {
                Some(Packet::Publish(publish)) => {
                    if publish.qos == QoS::AtLeastOnce {
                        self.say(Packet::PubAck(PubAck::new(publish.pkid)), "PUBACK").await?;
                    }
                    if publish.topic == accepted || publish.topic == rejected {
                        return Ok((publish.topic == accepted, self.taken_out(publish.payload)));
                    }
                }
                Some(_) => {}
                None => {
                    return Err(Ended::Refused(format!("the broker answered {doing} by ending the connection")));
                }
            }
        }
    }

    /// A copy, and what it is a copy of is wiped.
    fn taken_out(&mut self, payload: Bytes) -> Zeroizing<Vec<u8>> {
        let taken = Zeroizing::new(payload.to_vec());
        // What came behind it shares its memory.
        self.received = BytesMut::from(&self.received[..]);
        if let Ok(mut alone) = payload.try_into_mut() {
            alone.as_mut().zeroize();
        }
        taken
    }

    async fn subscribe(&mut self, topics: &[&str]) -> Result<(), Ended> {
        for topic in topics {
            let doing = format!("SUBSCRIBE {topic}");
            let pkid = self.next_packet();
            let subscribe = Subscribe { pkid, ..Subscribe::new(*topic, QoS::AtLeastOnce) };
            self.say(Packet::Subscribe(subscribe), &doing).await?;
            let by = self.patience();
            loop {
                match self.hear(&doing, by).await? {
                    Some(Packet::SubAck(SubAck { pkid: id, return_codes })) if id == pkid => match &return_codes[..] {
                        [SubscribeReasonCode::Success(_)] => break,
                        _ => return Err(Ended::Refused(format!("the broker refused {doing}"))),
                    },
                    Some(_) => {}
                    None => {
                        return Err(Ended::Refused(format!("the broker answered {doing} by ending the connection")));
                    }
                }
            }
        }
        Ok(())
    }

    /// Everything is said: how the other end takes that is its own affair.
    pub async fn part(mut self) {
        let _ = self.say(Packet::Disconnect, "DISCONNECT").await;
        let _ = timeout_at(self.patience(), self.stream.shutdown()).await;
    }

    async fn say(&mut self, packet: Packet, doing: &str) -> Result<(), Ended> {
        let mut bytes = BytesMut::new();
        packet
            .write(&mut bytes, LARGEST_PACKET)
            .map_err(|error| Ended::Broken(format!("{doing} can't be said: {error}")))?;
        let said = async {
            self.stream.write_all(&bytes).await?;
            self.stream.flush().await
        };
        match timeout_at(self.end, said).await {
            Ok(said) => said.map_err(|error| Ended::of_io(&error, doing)),
            Err(_) => Err(late(doing)),
        }
    }

    /// `None`: the other end has closed the connection.
    async fn hear(&mut self, doing: &str, by: Instant) -> Result<Option<Packet>, Ended> {
        loop {
            match Packet::read(&mut self.received, LARGEST_PACKET) {
                Ok(packet) => return Ok(Some(packet)),
                Err(PacketError::InsufficientBytes(_)) => {}
                Err(error) => return Err(Ended::Broken(format!("the answer to {doing} is no MQTT: {error}"))),
            }
            match timeout_at(by, self.stream.read_buf(&mut self.received)).await {
                Ok(Ok(0)) => return Ok(None),
                Ok(Ok(_)) => {}
                // Brokers end connections without TLS's own word for it.
                Ok(Err(error)) if error.kind() == std::io::ErrorKind::UnexpectedEof => return Ok(None),
                Ok(Err(error)) => return Err(Ended::of_io(&error, doing)),
                Err(_) => return Err(late(doing)),
            }
        }
    }

    fn next_packet(&mut self) -> u16 {
        self.packets += 1;
        self.packets
    }

    /// For the answer to what is said next.
    fn patience(&self) -> Instant {
        self.end.min(Instant::now() + ANSWERED_WITHIN)
    }
}

fn late(doing: &str) -> Ended {
    Ended::Broken(format!("the broker did not answer {doing} in time"))
}

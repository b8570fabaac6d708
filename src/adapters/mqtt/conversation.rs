//! What is said over one connection, on a thread that waits for each answer.

use std::io::{self, Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use rumqttc::mqttbytes::v4::{
    ConnAck, Connect, ConnectReturnCode, Packet, PubAck, Publish, SubAck, Subscribe, SubscribeReasonCode,
};
use rumqttc::mqttbytes::{Error as PacketError, QoS};
use rustls::client::Resumption;
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, ClientConnection, Stream, SupportedProtocolVersion};
use tokio::sync::mpsc;

use super::ended::{Ended, is_cut};
use super::key::{Ask, ChipKey};
use super::target::Place;
use crate::audit::event::{Refused, RefusedTopic, SignatureScheme};
use crate::domain::profile::MqttPort;
use crate::domain::{Bytes, Fingerprint, ThingName, TopicName};
use crate::ports::Trial;

/// AWS IoT Core's largest packet; nobody else's are of interest.
const LARGEST_PACKET: usize = 128 * 1024;
/// MQTT with a client certificate on port 443 (AWS IoT Core developer guide, "Device communication
/// protocols").
pub(super) const ALPN: &[u8] = b"x-amzn-mqtt-ca";
const SECONDS_ALIVE: u16 = 60;
/// After it another try is worth more than more patience: what a policy does not let through yet is thrown
/// away without a word.
const ANSWERED_WITHIN: Duration = Duration::from_secs(5);

/// What a connection showed.
#[derive(Debug)]
pub(super) struct Shown {
    pub tls: String,
    pub cipher: String,
    pub scheme: SignatureScheme,
    pub broker: Fingerprint,
    /// `None`: no topic was to be refused.
    pub refused: Option<RefusedTopic>,
}

/// How a connection went that broke no rule.
#[derive(Debug)]
pub(super) enum Told {
    Shown(Shown),
    /// It ended over the topic that is to be refused: what is known of that so far.
    Again(Refusals),
}

/// How the broker takes the topic outside of the policy, over all connections of a trial. A broker refuses by ending
/// the connection, and a connection also ends where somebody pulls a cable: an end counts when the same step ends the
/// next connection, too, on which everything that is allowed has worked.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Refusals {
    subscribe: Step,
    publish: Step,
}

#[derive(Debug, Clone, Copy, Default)]
enum Step {
    #[default]
    Open,
    EndedOnce,
    Refused(Refused),
}

impl Step {
    fn ended(self) -> Self {
        match self {
            Step::Open => Step::EndedOnce,
            Step::EndedOnce | Step::Refused(_) => Step::Refused(Refused::Closed),
        }
    }

    fn doubted(self) -> Self {
        match self {
            Step::Open | Step::EndedOnce => Step::Open,
            Step::Refused(how) => Step::Refused(how),
        }
    }
}

impl Refusals {
    /// A connection ended by something else: what ended the one before it may have been the same.
    pub fn doubted(self) -> Self {
        Self { subscribe: self.subscribe.doubted(), publish: self.publish.doubted() }
    }
}

/// One connection: everything that is said, and then its end.
pub(super) struct Conversation {
    tls: ClientConnection,
    stream: Bounded,
    key: Arc<ChipKey>,
    is_aws: bool,
    thing: ThingName,
    topics: Vec<TopicName>,
    refused: Option<TopicName>,
    refusals: Refusals,
    message: Bytes,
    end: Instant,
    received: BytesMut,
    packets: u16,
}

/// What came.
enum Heard {
    Packet(Packet),
    /// The other end closed the connection in order.
    Closed,
}

impl Conversation {
    pub fn new(
        stream: TcpStream,
        place: &Place,
        trial: &Trial,
        refusals: Refusals,
        asks: mpsc::Sender<Ask>,
        end: Instant,
    ) -> Result<Self, Ended> {
        let key = Arc::new(ChipKey::new(trial, asks, end));
        let versions: &[&SupportedProtocolVersion] = if trial.only_tls12 { &[&TLS12] } else { &[&TLS13, &TLS12] };
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(versions)
            .map_err(|error| Ended::Broken(error.to_string()))?
            .with_root_certificates(place.roots.clone())
            .with_client_cert_resolver(key.clone());
        // A session that is taken up again needs no signature.
        config.resumption = Resumption::disabled();
        if place.is_aws && place.port == MqttPort::Https.number() {
            config.alpn_protocols = vec![ALPN.to_vec()];
        }
        let tls = ClientConnection::new(Arc::new(config), place.name.clone())
            .map_err(|error| Ended::Broken(error.to_string()))?;
        Ok(Self {
            tls,
            stream: Bounded { stream, by: end },
            key,
            is_aws: place.is_aws,
            thing: trial.thing.clone(),
            topics: trial.topics.clone(),
            refused: trial.refused_topic.clone(),
            refusals,
            message: trial.message.clone(),
            end,
            received: BytesMut::new(),
            packets: 0,
        })
    }

    pub fn hold(mut self) -> Result<Told, Ended> {
        // In TLS 1.3 the broker looks at the certificate after its own part of the handshake.
        self.handshake().and_then(|()| self.connect()).map_err(|ended| match self.key.signed() {
            Some(_) => ended.with_the_certificate_shown(),
            None => ended,
        })?;
        let scheme = self.key.signed().ok_or(Ended::Unasked)?;
        let (tls, cipher, broker) = self.facts()?;
        for topic in self.topics.clone() {
            self.round_trip(&topic)?;
        }
        let refused = match self.refused.clone() {
            Some(topic) => match self.refused(topic)? {
                Some(refused) => Some(refused),
                None => return Ok(Told::Again(self.refusals)),
            },
            None => None,
        };
        self.part();
        Ok(Told::Shown(Shown { tls, cipher, scheme, broker, refused }))
    }

    fn handshake(&mut self) -> Result<(), Ended> {
        const DOING: &str = "the TLS handshake";
        while self.tls.is_handshaking() {
            self.tls.complete_io(&mut self.stream).map_err(|error| Ended::of_io(&error, DOING))?;
        }
        Ok(())
    }

    fn facts(&self) -> Result<(String, String, Fingerprint), Ended> {
        let unknown = || Ended::Broken("TLS has no facts of its own handshake".to_owned());
        let version = self.tls.protocol_version().ok_or_else(unknown)?;
        let suite = self.tls.negotiated_cipher_suite().ok_or_else(unknown)?;
        let broker = self.tls.peer_certificates().and_then(|chain| chain.first()).ok_or_else(unknown)?;
        let name = |of: Option<&str>| of.map(str::to_owned).ok_or_else(unknown);
        Ok((name(version.as_str())?, name(suite.suite().as_str())?, Fingerprint::of(broker)))
    }

    fn connect(&mut self) -> Result<(), Ended> {
        const DOING: &str = "CONNECT";
        let connect = Connect { keep_alive: SECONDS_ALIVE, ..Connect::new(self.thing.as_str()) };
        self.say(Packet::Connect(connect), DOING)?;
        match self.hear(DOING)? {
            Heard::Packet(Packet::ConnAck(ConnAck { code: ConnectReturnCode::Success, .. })) => Ok(()),
            Heard::Packet(Packet::ConnAck(ConnAck { code, .. })) => {
                Err(Ended::Refused(format!("the broker refused {DOING} as {}: {code:?}", self.thing)))
            }
            Heard::Packet(other) => Err(strange(&other, DOING)),
            Heard::Closed => Err(Ended::Refused(format!("the broker answered {DOING} by ending the connection"))),
        }
    }

    /// A message that is published comes back.
    fn round_trip(&mut self, topic: &TopicName) -> Result<(), Ended> {
        if self.subscribe(topic)? != Answer::Granted {
            return Err(Ended::Refused(format!("the broker refused to subscribe {} to {topic}", self.thing)));
        }
        let doing = format!("PUBLISH {topic}");
        let id = self.publish(topic, &doing)?;
        let (mut acknowledged, mut came_back) = (false, false);
        while !(acknowledged && came_back) {
            match self.hear(&doing)? {
                Heard::Packet(Packet::PubAck(PubAck { pkid })) if pkid == id => acknowledged = true,
                Heard::Packet(Packet::Publish(publish)) => {
                    came_back |= publish.topic == topic.as_str() && *publish.payload == *self.message;
                    self.acknowledge(&publish)?;
                }
                Heard::Packet(_) => {}
                Heard::Closed => {
                    return Err(Ended::Refused(format!("the broker answered {doing} by ending the connection")));
                }
            }
        }
        Ok(())
    }

    /// The topic outside of the policy: both ways of using it, each until it is known how it is refused. `None`: the
    /// connection has ended over it.
    fn refused(&mut self, topic: TopicName) -> Result<Option<RefusedTopic>, Ended> {
        let too_broad = |how| Ended::TooBroad { topic: topic.clone(), how };
        let subscribe = match self.refusals.subscribe {
            Step::Refused(how) => how,
            before => match self.subscribe(&topic)? {
                Answer::Granted => return Err(too_broad("to subscribe to")),
                Answer::Refused => Refused::Suback,
                Answer::Closed => {
                    self.refusals.subscribe = before.ended();
                    return Ok(None);
                }
            },
        };
        self.refusals.subscribe = Step::Refused(subscribe);
        let publish = match self.refusals.publish {
            Step::Refused(how) => how,
            before => match self.published(&topic)? {
                // AWS IoT Core ends the connection; another broker has to acknowledge what it throws away
                // (MQTT 3.1.1 §3.3.5).
                Answer::Granted if self.is_aws => return Err(too_broad("to publish to")),
                Answer::Granted | Answer::Refused => Refused::Acknowledged,
                Answer::Closed => match before.ended() {
                    Step::Refused(how) => how,
                    once => {
                        self.refusals.publish = once;
                        return Ok(None);
                    }
                },
            },
        };
        Ok(Some(RefusedTopic { topic, subscribe, publish: Some(publish) }))
    }

    /// Is it acknowledged, or does the connection end?
    fn published(&mut self, topic: &TopicName) -> Result<Answer, Ended> {
        let doing = format!("PUBLISH {topic}");
        let id = self.publish(topic, &doing)?;
        loop {
            match self.hear(&doing)? {
                Heard::Packet(Packet::PubAck(PubAck { pkid })) if pkid == id => return Ok(Answer::Granted),
                Heard::Packet(Packet::Publish(publish)) => self.acknowledge(&publish)?,
                Heard::Packet(_) => {}
                Heard::Closed => return Ok(Answer::Closed),
            }
        }
    }

    fn subscribe(&mut self, topic: &TopicName) -> Result<Answer, Ended> {
        let doing = format!("SUBSCRIBE {topic}");
        let pkid = self.next_packet();
        self.say(Packet::Subscribe(Subscribe { pkid, ..Subscribe::new(topic.as_str(), QoS::AtLeastOnce) }), &doing)?;
        loop {
            match self.hear(&doing)? {
                Heard::Packet(Packet::SubAck(SubAck { pkid: id, return_codes })) if id == pkid => {
                    return Ok(match return_codes.as_slice() {
                        [SubscribeReasonCode::Success(_)] => Answer::Granted,
                        [SubscribeReasonCode::Failure] => Answer::Refused,
                        _ => return Err(Ended::Broken(format!("{doing} has {} answers", return_codes.len()))),
                    });
                }
                Heard::Packet(Packet::Publish(publish)) => self.acknowledge(&publish)?,
                Heard::Packet(_) => {}
                Heard::Closed => return Ok(Answer::Closed),
            }
        }
    }

    fn publish(&mut self, topic: &TopicName, doing: &str) -> Result<u16, Ended> {
        let pkid = self.next_packet();
        let publish = Publish::new(topic.as_str(), QoS::AtLeastOnce, self.message.0.clone());
        self.say(Packet::Publish(Publish { pkid, ..publish }), doing)?;
        Ok(pkid)
    }

    fn acknowledge(&mut self, publish: &Publish) -> Result<(), Ended> {
        match publish.qos {
            QoS::AtLeastOnce => self.say(Packet::PubAck(PubAck::new(publish.pkid)), "PUBACK"),
            _ => Ok(()),
        }
    }

    fn next_packet(&mut self) -> u16 {
        self.packets += 1;
        self.packets
    }

    /// Everything is said: how the other end takes that is its own affair.
    fn part(&mut self) {
        let _ = self.say(Packet::Disconnect, "DISCONNECT");
        self.tls.send_close_notify();
        let _ = self.tls.complete_io(&mut self.stream);
    }

    fn say(&mut self, packet: Packet, doing: &str) -> Result<(), Ended> {
        let mut bytes = BytesMut::new();
        packet
            .write(&mut bytes, LARGEST_PACKET)
            .map_err(|error| Ended::Broken(format!("{doing} can't be said: {error}")))?;
        self.patience();
        let mut stream = Stream::new(&mut self.tls, &mut self.stream);
        match stream.write_all(&bytes).and_then(|()| stream.flush()) {
            // Why it ended is still to be read.
            Err(error) if is_cut(error.kind()) => Ok(()),
            said => said.map_err(|error| Ended::of_io(&error, doing)),
        }
    }

    fn hear(&mut self, doing: &str) -> Result<Heard, Ended> {
        loop {
            match Packet::read(&mut self.received, LARGEST_PACKET) {
                Ok(packet) => return Ok(Heard::Packet(packet)),
                Err(PacketError::InsufficientBytes(_)) => {}
                Err(error) => return Err(Ended::Broken(format!("the answer to {doing} is no MQTT: {error}"))),
            }
            let mut chunk = [0; 4096];
            match Stream::new(&mut self.tls, &mut self.stream).read(&mut chunk) {
                Ok(0) => return Ok(Heard::Closed),
                Ok(count) => self.received.extend_from_slice(&chunk[..count]),
                // Brokers end connections without TLS's own word for it.
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(Heard::Closed),
                Err(error) => return Err(Ended::of_io(&error, doing)),
            }
        }
    }

    /// For the answer to what is said next.
    fn patience(&mut self) {
        self.stream.by = self.end.min(Instant::now() + ANSWERED_WITHIN);
    }
}

/// A socket that waits to a moment and no longer, however its peer spreads what it says.
struct Bounded {
    stream: TcpStream,
    by: Instant,
}

impl Bounded {
    fn left(&self) -> io::Result<Option<Duration>> {
        match self.by.saturating_duration_since(Instant::now()) {
            Duration::ZERO => Err(io::ErrorKind::TimedOut.into()),
            left => Ok(Some(left)),
        }
    }
}

/// rustls takes `WouldBlock` for a socket that never waits.
fn timed_out(error: io::Error) -> io::Error {
    match error.kind() {
        io::ErrorKind::WouldBlock => io::ErrorKind::TimedOut.into(),
        _ => error,
    }
}

impl io::Read for Bounded {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.stream.set_read_timeout(self.left()?)?;
        self.stream.read(buffer).map_err(timed_out)
    }
}

impl io::Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.stream.set_write_timeout(self.left()?)?;
        self.stream.write(bytes).map_err(timed_out)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answer {
    Granted,
    Refused,
    Closed,
}

fn strange(packet: &Packet, doing: &str) -> Ended {
    let name = format!("{packet:?}");
    let name = name.split(['(', ' ']).next().unwrap_or_default();
    Ended::Broken(format!("the broker answered {doing} with {name}"))
}

//! How a try ends that did not succeed.

use std::io;

use super::target::Place;
use crate::adapters::tls::is_of_the_clock;
use crate::domain::{Failure, ReasonCode, TopicName};
use crate::ports::Trial;

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Ended {
    Unreachable(String),
    /// It is not the broker, by its certificate.
    Untrusted(String),
    /// By the dates of the broker's certificate.
    WrongClock(String),
    Refused(String),
    TooBroad {
        topic: TopicName,
        how: &'static str,
    },
    Broken(String),
    /// By the other end, or on the way.
    Cut(String),
    /// No client certificate was asked for.
    Unasked,
    /// The token's failure, or its signature is none.
    Key(Failure),
}

impl Ended {
    /// May another try bring something else?
    pub fn may_pass(&self) -> bool {
        match self {
            Ended::Unreachable(_) | Ended::Refused(_) | Ended::Broken(_) | Ended::Cut(_) => true,
            Ended::Untrusted(_) | Ended::WrongClock(_) | Ended::TooBroad { .. } | Ended::Unasked | Ended::Key(_) => {
                false
            }
        }
    }

    pub fn into_failure(self, trial: &Trial, place: &Place, tries: u32) -> Failure {
        let (code, cause) = match self {
            Ended::Key(failure) => return failure,
            Ended::Unreachable(why) => (ReasonCode::CONNECT_UNREACHABLE, why),
            Ended::Untrusted(why) => (ReasonCode::CONNECT_UNTRUSTED, why),
            Ended::WrongClock(why) => (ReasonCode::CLOUD_CLOCK, why),
            Ended::Refused(why) => (ReasonCode::CONNECT_REFUSED, why),
            Ended::TooBroad { topic, how } => {
                (ReasonCode::CONNECT_TOO_BROAD, format!("{how} {topic} is allowed to {}", trial.thing))
            }
            Ended::Broken(why) | Ended::Cut(why) => (ReasonCode::CONNECT_BROKEN, why),
            Ended::Unasked => {
                let why = "the broker asked for no client certificate: nothing is proven of the unit's key";
                (ReasonCode::CONNECT_BROKEN, why.to_owned())
            }
        };
        let often = if tries > 1 { format!(" (try {tries})") } else { String::new() };
        Failure::new(code, format!("{place}: {cause}{often}")).with("target", &trial.target).with("endpoint", place)
    }

    /// What happened, for whoever calls it by another code.
    pub fn told(self) -> String {
        match self {
            Ended::Unreachable(why)
            | Ended::Untrusted(why)
            | Ended::WrongClock(why)
            | Ended::Refused(why)
            | Ended::Broken(why)
            | Ended::Cut(why) => why,
            Ended::TooBroad { topic, how } => format!("{how} {topic} is allowed"),
            Ended::Unasked => "the broker asked for no client certificate".to_owned(),
            Ended::Key(failure) => failure.cause,
        }
    }

    /// A broker that does not take a certificate may end the connection without a word.
    pub fn with_the_certificate_shown(self) -> Ended {
        match self {
            Ended::Cut(why) => {
                Ended::Refused(format!("the broker ended the connection on the unit's certificate: {why}"))
            }
            ended => ended,
        }
    }

    /// What TLS or the socket said while `doing`.
    pub fn of_io(error: &io::Error, doing: &str) -> Ended {
        let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
        match (inner, error.kind()) {
            (Some(rustls::Error::InvalidCertificate(why)), _) if is_of_the_clock(why) => {
                Ended::WrongClock(format!("the broker's certificate: {why}"))
            }
            (Some(rustls::Error::InvalidCertificate(why)), _) => {
                Ended::Untrusted(format!("the broker's certificate: {why}"))
            }
            (Some(rustls::Error::AlertReceived(alert)), _) => {
                Ended::Refused(format!("the broker answered {doing} with the TLS alert {alert:?}"))
            }
            (Some(error), _) => Ended::Broken(format!("{doing}: {error}")),
            (None, io::ErrorKind::TimedOut) => Ended::Broken(format!("the broker did not answer {doing} in time")),
            (None, kind) if is_cut(kind) => Ended::Cut(format!("{doing}: {error}")),
            (None, _) => Ended::Broken(format!("{doing}: {error}")),
        }
    }
}

pub(super) fn is_cut(kind: io::ErrorKind) -> bool {
    use io::ErrorKind as Kind;
    matches!(kind, Kind::BrokenPipe | Kind::ConnectionReset | Kind::ConnectionAborted | Kind::UnexpectedEof)
}

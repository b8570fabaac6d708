//! From what happened to an event in the log: the envelope, and the one way in.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::people::SignedIn;
use crate::audit::{Body, Event, LineEvent, RunEvent, event};
use crate::domain::profile::{Crl, Trust};
use crate::domain::{Bytes, EventId, Failure, OperatorRef, ReasonCode, RunId, Sha256, StationName};
use crate::ports::{AuditStore, Clock, Entropy, Logged, Receipt};
use crate::provisioning::Run;

/// Writes events in this station's name.
#[derive(Clone)]
pub struct LogWriter {
    pub store: Arc<dyn AuditStore>,
    pub clock: Arc<dyn Clock>,
    pub entropy: Arc<dyn Entropy>,
    pub station: StationName,
    pub operator: Option<OperatorRef>,
}

impl LogWriter {
    /// The same log, with the person named who acts: made known to the log at first sight.
    pub async fn named(self, name: &str) -> Result<Self, Failure> {
        let operator = self.person(name).await?;
        Ok(Self { operator: Some(operator), ..self })
    }

    /// The same log, in the name of somebody who proved to be that person.
    pub fn by(&self, person: &SignedIn) -> Self {
        Self { operator: Some(person.operator().clone()), ..self.clone() }
    }

    /// The same log, in nobody's name.
    pub fn by_nobody(&self) -> Self {
        Self { operator: None, ..self.clone() }
    }

    /// The same log, in the name of whoever operated this run.
    pub fn as_operated(&self, run: &Run) -> Self {
        Self { operator: run.operator.clone(), ..self.clone() }
    }

    /// How the log names a person; it is told at first sight.
    pub async fn person(&self, name: &str) -> Result<OperatorRef, Failure> {
        let salt = self.random()?;
        let id = uuid::Builder::from_random_bytes(self.random()?).into_uuid();
        let person = self.store.operator(name, (id, salt)).await?;
        if person.id == id {
            let named = Self { operator: Some(person.clone()), ..self.clone() };
            named.line(LineEvent::OperatorNamed {}).await?;
        }
        Ok(person)
    }

    pub async fn line(&self, event: LineEvent) -> Result<Receipt, Failure> {
        let receipts = self.store.append(vec![self.line_event(event)?]).await?;
        receipts.first().copied().ok_or_else(no_receipt)
    }

    /// Several at once, in one transaction; none is no transaction.
    pub async fn lines(&self, events: Vec<LineEvent>) -> Result<(), Failure> {
        if events.is_empty() {
            return Ok(());
        }
        let events = events.into_iter().map(|event| self.envelope(None, Body::Line(event)));
        self.append(events.collect::<Result<_, _>>()?).await.map(drop)
    }

    /// The same, for a store that writes it together with something else.
    pub fn line_event(&self, event: LineEvent) -> Result<Event, Failure> {
        self.envelope(None, Body::Line(event))
    }

    /// In one transaction.
    pub async fn append(&self, events: Vec<Event>) -> Result<Vec<Logged>, Failure> {
        let receipts = self.store.append(events.clone()).await?;
        logged(events, receipts)
    }

    /// What decides about certificates: each once in the log's life, however often a station starts.
    pub async fn pin(&self, trusts: impl Iterator<Item = &Trust>) -> Result<(), Failure> {
        let mut events = BTreeMap::new();
        for trust in trusts {
            for der in trust.roots.iter().chain(&trust.intermediates) {
                events.insert(Sha256::of(der), LineEvent::CertificatePinned { certificate: Bytes(der.clone()) });
            }
            for Crl { der, .. } in trust.crls.iter().filter(|crl| crl.der.len() <= LARGEST_CRL) {
                events.insert(Sha256::of(der), LineEvent::CrlPinned { crl: Bytes(der.clone()) });
            }
        }
        let named = |(sha256, event): (Sha256, _)| self.line_event_as(LineEvent::pinned_as(sha256.as_bytes()), event);
        self.append(events.into_iter().map(named).collect()).await.map(drop)
    }

    /// Events of a run as it is known here: L-531 where it has gone on elsewhere.
    pub async fn append_to(&self, run: &Run, events: Vec<Event>) -> Result<Vec<Logged>, Failure> {
        let receipts = self.store.append_to_run(run.id, run.last_seq, events.clone()).await?;
        logged(events, receipts)
    }

    pub fn run_event(&self, run: RunId, event: RunEvent) -> Result<Event, Failure> {
        self.envelope(Some(run), Body::Run(event))
    }

    /// With an id of the caller's: written once, however often it is tried.
    pub fn line_event_as(&self, id: EventId, event: LineEvent) -> Event {
        self.enveloped(id, None, Body::Line(event))
    }

    pub fn new_run(&self) -> Result<RunId, Failure> {
        Ok(RunId::made(self.clock.now(), self.random()?))
    }

    pub fn new_event(&self) -> Result<EventId, Failure> {
        Ok(EventId::made(self.clock.now(), self.random()?))
    }

    pub fn random<const N: usize>(&self) -> Result<[u8; N], Failure> {
        let mut bytes = [0; N];
        self.entropy.fill(&mut bytes)?;
        Ok(bytes)
    }

    fn envelope(&self, run: Option<RunId>, body: Body) -> Result<Event, Failure> {
        Ok(self.enveloped(self.new_event()?, run, body))
    }

    fn enveloped(&self, id: EventId, run: Option<RunId>, body: Body) -> Event {
        Event {
            v: event::VERSION,
            id,
            at: self.clock.now(),
            station: self.station.clone(),
            operator: self.operator.clone(),
            run,
            body,
        }
    }
}

/// Of a longer one the log keeps the hash that each decision names, and no bytes.
const LARGEST_CRL: usize = 1 << 20;

fn logged(events: Vec<Event>, receipts: Vec<Receipt>) -> Result<Vec<Logged>, Failure> {
    if receipts.len() != events.len() {
        return Err(no_receipt());
    }
    Ok(events.into_iter().zip(receipts).map(|(event, receipt)| Logged { receipt, event }).collect())
}

fn no_receipt() -> Failure {
    Failure::new(ReasonCode::STORE_FAILED, "the store acknowledged another number of events than it was given")
}

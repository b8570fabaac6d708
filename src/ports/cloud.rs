use std::collections::BTreeMap;
use std::time::Duration;

use crate::audit::event::{Holding, TargetRecord, Withdrawal};
use crate::domain::profile::{CertificateStatus, Method, PolicyPlan};
use crate::domain::{
    AttributeName, AttributeValue, Bytes, Failure, Fingerprint, SigningCa, TargetName, ThingName, ThingTypeName,
};

/// What one target shall hold for one unit. The unit has claimed the identity already.
#[derive(Debug, Clone)]
pub struct Registration {
    pub target: TargetName,
    pub method: Method,
    /// DER.
    pub certificate: Bytes,
    pub fingerprint: Fingerprint,
    /// The fingerprint of its other form: registered as that, it is registered already.
    pub twin: Option<Fingerprint>,
    pub certificate_status: CertificateStatus,
    pub thing: ThingName,
    pub thing_type: Option<ThingTypeName>,
    pub attributes: BTreeMap<AttributeName, AttributeValue>,
    pub policy: PolicyPlan,
    /// Certificates that rulings took from this unit: they come off the thing and are set INACTIVE.
    pub replaces: Vec<Fingerprint>,
    /// For all of it, retries and read-back included.
    pub deadline: Duration,
    /// No board waits for it: others go first where calls are rationed.
    pub patient: bool,
}

/// A registration that did not come about.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{failure}")]
pub struct Refusal {
    pub failure: Failure,
    /// This call registered the certificate, and it is there: a run that ends in FAIL sets it INACTIVE.
    pub certificate_left: bool,
}

/// How far a target came in giving back what a unit had registered there.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TakenBack {
    /// As in [`LineEvent::Withdrawn`](crate::audit::LineEvent::Withdrawn), whatever became of the rest.
    pub changed: Vec<String>,
    pub failure: Option<Failure>,
}

#[async_trait::async_trait]
pub trait Cloud: Send + Sync {
    /// Looks up, writes what is missing, attaches, reads back. What exists is adopted only when it is
    /// identical and no one else's; calling it again for the same unit changes nothing.
    async fn register(&self, registration: &Registration) -> Result<TargetRecord, Refusal>;

    /// Sets the certificate INACTIVE.
    async fn deactivate(&self, target: &TargetName, certificate: &Fingerprint) -> Result<(), Failure>;

    /// Takes back what a unit registered. Where somebody else's thing, certificate or policy is attached to it,
    /// nothing is written at all (S-111, S-112, A-325). Calling it again goes on where it was.
    async fn withdraw(&self, holding: &Holding, act: Withdrawal) -> TakenBack;

    /// Is the target there and are the credentials good? For the header and `doctor`.
    async fn probe(&self, target: &TargetName) -> Result<(), Failure>;

    /// Would the target take certificates in this CA's name? `A-331` it does not know the CA, `A-332` the CA is
    /// not ACTIVE there.
    async fn takes_from(&self, target: &TargetName, ca: &SigningCa) -> Result<(), Failure>;
}

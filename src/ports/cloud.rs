use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use secrecy::SecretString;

use crate::audit::event::{Holding, IssuedOrigin, TargetRecord, Withdrawal};
use crate::domain::profile::{CertificateStatus, Method, PolicyPlan};
use crate::domain::{
    AttributeName, AttributeValue, Bytes, Failure, Fingerprint, ParameterName, ProvisioningTemplateName, SigningCa,
    SpkiHash, TargetName, ThingName, ThingTypeName,
};
use crate::ports::Trial;

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
    /// Of the method's provisioning template.
    pub parameters: BTreeMap<ParameterName, String>,
    /// Certificates that rulings took from this unit, and what was made for its key and is no longer taken: they come
    /// off the thing and are set INACTIVE.
    pub replaces: Vec<Fingerprint>,
    /// For all of it, retries and read-back included.
    pub deadline: Duration,
    /// No board waits for it: others go first where calls are rationed.
    pub patient: bool,
}

/// What a target was read back to hold of a unit, and shall hold still.
#[derive(Debug, Clone)]
pub struct ReadBack {
    pub target: TargetName,
    pub thing: ThingName,
    pub fingerprint: Fingerprint,
    pub certificate_arn: String,
    pub policy: PolicyPlan,
    pub deadline: Duration,
}

/// One target shall come to hold a unit by AWS's own doing.
#[derive(Debug, Clone)]
pub struct Join {
    /// What is to be there then.
    pub registration: Registration,
    /// How the unit shows itself; the endpoint is the target's.
    pub trial: Trial,
}

/// A certificate that shall be made for a unit's key, in one target.
#[derive(Debug, Clone)]
pub struct Issuance {
    pub target: TargetName,
    pub thing: ThingName,
    /// PKCS#10, DER; signed by the key and verified. `None`: AWS makes a key of its own.
    pub request: Option<Bytes>,
    /// Of the chip's key.
    pub spki: SpkiHash,
    /// When it goes out, by the station's clock.
    pub asked: Timestamp,
    /// For all of it, retries included.
    pub deadline: Duration,
}

/// What the log knows of certificates that were made for a unit in a target before.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct MadeBefore {
    /// Newest first, DER.
    pub certificates: Vec<Bytes>,
    /// Likewise, in the other targets that the unit was registered in, or in this one by another name.
    pub elsewhere: Vec<(TargetName, Bytes)>,
    /// When the first request went out whose answer nobody recorded: one may have been made since then.
    pub unanswered: Option<Timestamp>,
}

/// A certificate that was made, looked at by nobody yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Made {
    /// DER.
    pub certificate: Bytes,
    pub chain: Vec<Bytes>,
    pub origin: IssuedOrigin,
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
    /// Likewise.
    pub found: Vec<Fingerprint>,
    pub failure: Option<Failure>,
}

/// What a target has of a unit before AWS makes the rest of it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Prepared {
    /// All of the unit is there already.
    pub whole: bool,
    /// Its certificate was ACTIVE before anything was done: no failure of this run sets it INACTIVE.
    pub stood: bool,
    /// As in [`Refusal`].
    pub certificate_left: bool,
    /// As in [`TargetRecord`].
    pub created: Vec<String>,
    pub replaced: Vec<Fingerprint>,
}

impl Prepared {
    /// What was read back in the end, and what was made of it before.
    pub fn and_then(self, end: Result<TargetRecord, Refusal>) -> Result<TargetRecord, Refusal> {
        let Self { stood, certificate_left: left, created, replaced, .. } = self;
        let mut record = end
            .map_err(|refusal| Refusal { certificate_left: !stood && (left || refusal.certificate_left), ..refusal })?;
        record.adopted.retain(|part| !created.contains(part));
        record.created.extend(created);
        record.replaced.extend(replaced);
        Ok(record)
    }
}

#[async_trait::async_trait]
pub trait Cloud: Send + Sync {
    /// Has a certificate made for the request, INACTIVE. One that was made for the unit before, and is there, is
    /// given instead, so that a second attempt makes no second certificate; whatever else of this key was made and
    /// never recorded is deleted.
    async fn issue(&self, issuance: &Issuance, before: &MadeBefore) -> Result<Made, Failure>;

    /// What was made for the unit before, and is registered; whatever else was made for its key is deleted, since
    /// nobody can have it registered any more.
    async fn made_before(&self, issuance: &Issuance, before: &MadeBefore) -> Result<Option<Made>, Failure>;

    /// Before AWS makes a unit, by a fleet's template or by what it does when the chip connects: whatever is foreign is
    /// told, and what a ruling took comes off. What a fleet's template builds on (policy, thing type) is made where it
    /// is absent; a just-in-time certificate that a run before set INACTIVE becomes ACTIVE, or it could not connect.
    async fn prepare(&self, registration: &Registration) -> Result<Prepared, Refusal>;

    /// CreateProvisioningClaim: a certificate and its private key, PEM, that enter the template's fleet for some
    /// minutes. `A-364` there is no such template.
    async fn claim(
        &self,
        target: &TargetName,
        template: &ProvisioningTemplateName,
    ) -> Result<(String, SecretString), Failure>;

    /// Looks up, writes what is missing, attaches, reads back; where AWS registers by itself, nothing is written, and
    /// what it makes is waited for. What exists is adopted only when it is
    /// identical and no one else's; calling it again for the same unit changes nothing.
    async fn register(&self, registration: &Registration) -> Result<TargetRecord, Refusal>;

    /// A unit takes its time to connect, and its target goes on meanwhile: has anything come to what was read back, or
    /// gone from it? S-111, S-112, A-321 and A-325 as in `register`; A-347 that can't be told.
    async fn stands(&self, held: &ReadBack) -> Result<(), Failure>;

    /// Sets the certificate INACTIVE, and sees it INACTIVE. A-350 where there is none, and none comes
    /// in time.
    async fn deactivate(&self, target: &TargetName, certificate: &Fingerprint) -> Result<(), Failure>;

    /// Takes back what a unit registered. Where somebody else's thing, certificate or policy is attached to it,
    /// nothing is written at all (S-111, S-112, A-325). Calling it again goes on where it was.
    async fn withdraw(&self, holding: &Holding, act: Withdrawal) -> TakenBack;

    /// Is the target there and are the credentials good? For the header and `doctor`.
    async fn probe(&self, target: &TargetName) -> Result<(), Failure>;

    /// Would the target take certificates in this CA's name, or, `joining`, register them by itself? `A-331` it does
    /// not know the CA, `A-332` the CA is not ACTIVE there, `A-357` its auto-registration is off.
    async fn takes_from(&self, target: &TargetName, ca: &SigningCa, joining: bool) -> Result<(), Failure>;

    /// Where the target's devices connect.
    async fn endpoint(&self, target: &TargetName) -> Result<String, Failure>;
}

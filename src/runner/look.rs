//! A look at a board's chip for a person who wants to know what is in it, and which check would fail.
//! It claims nothing, registers nothing, and no run comes of it.

use std::sync::Arc;
use std::time::Instant;

use super::reach;
use crate::audit::challenge::look_challenge;
use crate::audit::event::{Reading, SignatureScheme, TokenFacts};
use crate::domain::profile::{NameForm, ObjectName, Profile, UidRule};
use crate::domain::{BatchName, Bytes, Device, Failure, Identity, ReasonCode, StationName, Unit, Variables};
use crate::ports::{
    AuditStore, BoardDialogue, Clock, Contents, Entropy, Listing, Manifests, Token, TokenAccess, Tokens,
};
use crate::provisioning::checks::{self, CertificateFacts, Check, Finding};
use crate::provisioning::{self as core, device_variables, variables_of};

/// What is looked with.
pub struct Eyes {
    pub dialogue: Arc<dyn BoardDialogue>,
    pub tokens: Arc<dyn Tokens>,
    pub clock: Arc<dyn Clock>,
    pub entropy: Arc<dyn Entropy>,
    /// The station's log, where there is one: only read.
    pub log: Option<(Arc<dyn AuditStore>, Arc<dyn Manifests>)>,
}

/// What is looked at.
pub struct Wanted<'a> {
    pub station: &'a StationName,
    pub profile: &'a Profile,
    pub device: &'a Device,
    /// What the scanner would have read.
    pub scanned: Option<String>,
    pub batch: Option<BatchName>,
}

/// What was seen.
#[derive(Debug, Default)]
pub struct Seen {
    /// The board's own answer; `None`: it told none, or none of this product.
    pub unit: Option<Unit>,
    pub token: Option<TokenFacts>,
    /// Of certificate, key and UID, where they were found.
    pub forms: [Option<(String, NameForm)>; 3],
    /// `None`: the token was not opened, or not once more.
    pub contents: Option<Result<Contents, Failure>>,
    pub reading: Option<Reading>,
    pub certificate: Option<CertificateFacts>,
    pub proof: Option<Proof>,
    /// In the order in which a run looks.
    pub findings: Vec<Finding>,
}

/// A fresh challenge of no run, and what the chip made of it.
#[derive(Debug, serde::Serialize)]
pub struct Proof {
    pub scheme: SignatureScheme,
    pub challenge: Bytes,
    pub signature: Bytes,
    pub sign_ms: u64,
}

impl Seen {
    /// What a run would end with.
    pub fn failure(&self) -> Option<&Failure> {
        self.findings.iter().find_map(Finding::failure)
    }

    pub fn proven(&self) -> bool {
        self.findings.iter().any(|finding| *finding == Finding::of(Check::Proof, Ok(())))
    }

    fn note(&mut self, check: Check, result: Result<(), Failure>) {
        self.findings.push(Finding::of(check, result));
    }

    fn leave_open(&mut self, checks: &[Check]) {
        self.findings.extend(checks.iter().copied().map(Finding::open));
    }
}

/// Asks the board and its chip once. What goes wrong is part of the answer.
pub async fn look(eyes: &Eyes, wanted: &Wanted<'_>) -> Seen {
    let mut seen = Seen::default();
    match identify(eyes, wanted, &mut seen).await {
        Some(variables) => chip(eyes, wanted, &variables, &mut seen).await,
        None => seen.leave_open(&[Check::Token, Check::Proof]),
    }
    log(eyes, wanted, &mut seen).await;
    seen
}

/// `None`: the chip is not to be touched.
async fn identify(eyes: &Eyes, wanted: &Wanted<'_>, seen: &mut Seen) -> Option<Variables> {
    let Wanted { station, profile, device, scanned, .. } = wanted;
    let scan = async || scanned.clone();
    let answer = match reach::identify(&*eyes.dialogue, profile, device, station, scan).await {
        Ok(answer) => answer,
        Err(failure) => {
            // The chip of a board that says nothing of use may be reached all the same.
            let goes_on = [ReasonCode::BOARD_SILENT, ReasonCode::BOARD_ANSWER, ReasonCode::BOARD_SERIAL];
            let variables =
                goes_on.contains(&failure.code).then(|| device_variables(device, station, &profile.product));
            seen.note(Check::Identify, Err(failure));
            return variables;
        }
    };
    let serial = match core::serial_of(&answer, profile) {
        Ok(serial) => serial,
        Err(failure) => {
            seen.note(Check::Identify, Err(failure));
            let mut variables = answer;
            variables.extend(device_variables(device, station, &profile.product));
            return Some(variables);
        }
    };
    let unit = Unit { product: profile.product.clone(), serial };
    let variables = variables_of(device, station, &unit, &answer);
    seen.note(Check::Identify, core::register_values(profile, &variables).map(drop));
    seen.unit = Some(unit);
    Some(variables)
}

async fn chip(eyes: &Eyes, wanted: &Wanted<'_>, variables: &Variables, seen: &mut Seen) {
    let plan = &wanted.profile.token;
    let opened = match reach::access(plan, variables) {
        Ok(access) => eyes.tokens.open(&access).await.map(|token| (access, token)),
        Err(failure) => Err(failure),
    };
    let (access, mut token) = match opened {
        Ok(opened) => opened,
        Err(failure) => {
            seen.note(Check::Token, Err(failure));
            return seen.leave_open(&[Check::Certificate, Check::Proof]);
        }
    };
    let worked = match token.read().await {
        Ok(reading) => {
            seen.note(Check::Token, Ok(()));
            certificate(eyes, wanted, &reading, seen);
            let proof = prove(eyes, wanted.device, token.as_mut(), seen).await;
            let forms: [(&ObjectName, Option<&str>); 3] = [
                (&plan.certificate, Some(&reading.token.certificate_found_as)),
                (&plan.key, reading.token.key_found_as.as_deref()),
                (plan.uid.as_ref().unwrap_or(&plan.certificate), reading.token.uid_found_as.as_deref()),
            ];
            seen.forms = forms.map(|(name, found_as)| {
                let found_as = found_as?;
                Some((found_as.to_owned(), name.form_of(found_as)?))
            });
            seen.token = Some(reading.token.clone());
            seen.reading = Some(reading);
            proof
        }
        Err(failure) => {
            let of_certificate = [ReasonCode::TOKEN_NO_CERTIFICATE, ReasonCode::CERTIFICATE_UNREADABLE];
            match of_certificate.contains(&failure.code) {
                true => {
                    seen.note(Check::Token, Ok(()));
                    seen.note(Check::Certificate, Err(failure.clone()));
                }
                false => {
                    seen.note(Check::Token, Err(failure.clone()));
                    seen.leave_open(&[Check::Certificate]);
                }
            }
            seen.leave_open(&[Check::Proof]);
            Err(failure)
        }
    };
    seen.contents = contents(eyes, &access, token, worked).await;
    if let (None, Some(Ok(contents))) = (&seen.token, &seen.contents) {
        seen.token = Some(contents.token.clone());
    }
}

fn certificate(eyes: &Eyes, wanted: &Wanted<'_>, reading: &Reading, seen: &mut Seen) {
    let trust = &wanted.profile.trust;
    let examined = checks::examine(&reading.certificate, reading.uid.as_ref(), trust, eyes.clock.now());
    seen.findings.extend(examined.findings);
    seen.certificate = examined.certificate;
}

/// An error: the token is not open any more.
async fn prove(eyes: &Eyes, device: &Device, token: &mut dyn Token, seen: &mut Seen) -> Result<(), Failure> {
    let known = seen.certificate.as_ref().and_then(|facts| Some((facts.kind?, facts.spki.clone())));
    let Some((kind, spki)) = known else {
        seen.leave_open(&[Check::Proof]);
        return Ok(());
    };
    let mut random = [0; 32];
    if let Err(failure) = eyes.entropy.fill(&mut random) {
        seen.note(Check::Proof, Err(failure));
        return Ok(());
    }
    let (challenge, scheme) = (look_challenge(&device.path, &random), checks::scheme_for(kind));
    let begun = Instant::now();
    let signature = match token.sign(&challenge, scheme).await {
        Ok(signature) => signature,
        Err(failure) => {
            seen.note(Check::Proof, Err(failure.clone()));
            return Err(failure);
        }
    };
    let sign_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
    seen.note(Check::Proof, checks::verify_under(kind, &spki, &challenge, &signature));
    seen.proof = Some(Proof { scheme, challenge: Bytes(challenge), signature: Bytes(signature), sign_ms });
    Ok(())
}

/// Through the same process where it is still there. A token that hung or crashed is left alone.
async fn contents(
    eyes: &Eyes,
    access: &TokenAccess,
    mut token: Box<dyn Token>,
    worked: Result<(), Failure>,
) -> Option<Result<Contents, Failure>> {
    match worked {
        Ok(()) => Some(token.contents().await),
        Err(failure) => {
            token.close().await;
            let gone = [ReasonCode::TOKEN_SILENT, ReasonCode::TOKEN_CRASHED, ReasonCode::TOKEN_LOST];
            if gone.contains(&failure.code) {
                return None;
            }
            Some(match eyes.tokens.open(access).await {
                Ok(mut token) => token.contents().await,
                Err(failure) => Err(failure),
            })
        }
    }
}

/// What the store would say to a claim of this chip. It is asked of a chip that did not prove itself, too:
/// such a sighting blocks nobody, and tells whose certificate it shows.
async fn log(eyes: &Eyes, wanted: &Wanted<'_>, seen: &mut Seen) {
    let (Some((store, manifests)), Some(unit), Some(identity)) =
        (&eyes.log, seen.unit.clone(), identity(wanted.profile, seen))
    else {
        return;
    };
    let required = wanted.profile.manifest.as_ref().is_some_and(|plan| plan.required);
    let listed = match &wanted.batch {
        Some(batch) => listed_as(manifests.listing(batch, &unit, &identity).await, required, batch, &identity),
        // As the station has it, which takes no such board then.
        None => required.then(|| Err(Failure::new(ReasonCode::MANIFEST_MISSING, "no batch is open"))),
    };
    if let Some(listed) = listed {
        seen.note(Check::Manifest, listed);
    }
    let twin = seen.reading.as_ref().and_then(|reading| checks::twin(&reading.certificate));
    let free = match store.obstacle(None, &unit, &identity, twin).await {
        Ok(None) => Ok(()),
        Ok(Some(obstacle)) => Err(core::barred(Some(&unit), Some(&identity), obstacle)),
        Err(failure) => Err(failure),
    };
    seen.note(Check::Log, free);
}

/// `None`: no list is asked for.
fn listed_as(
    listing: Result<Listing, Failure>,
    required: bool,
    batch: &BatchName,
    identity: &Identity,
) -> Option<Result<(), Failure>> {
    Some(match listing {
        Ok(Listing::Listed(_)) => Ok(()),
        Ok(Listing::Consumed(entry)) => Err(core::collision(vec![entry])),
        Ok(Listing::Unlisted(why)) => Err(core::unlisted(Some(identity), why)),
        Ok(Listing::None) if required => {
            Err(Failure::new(ReasonCode::MANIFEST_MISSING, format!("no list was taken into batch {batch}")))
        }
        Ok(Listing::None) => return None,
        Err(failure) => Err(failure),
    })
}

/// As a claim would have it, by what was read.
fn identity(profile: &Profile, seen: &Seen) -> Option<Identity> {
    let (facts, reading) = (seen.certificate.as_ref()?, seen.reading.as_ref()?);
    let uid = match profile.trust.uid {
        UidRule::None => None,
        UidRule::Required => reading.uid.clone(),
        UidRule::Certificate => facts.uid.clone(),
    };
    Some(Identity { fingerprint: facts.sha256, spki: facts.spki_sha256, uid })
}

//! A person changes what the targets know of an own CA: each target in turn, each an intent and an end in the
//! log. What failed in one target keeps no other from being done, and all of it may be repeated.

use crate::audit::LineEvent;
use crate::domain::{CaAct, CaEnd, CaMode, CaPlan, Failure, ReasonCode, Role, TargetName};
use crate::ports::{Authorities, CaSigner};
use crate::provisioning::verification;
use crate::runner::LogWriter;
use crate::runner::people::SignedIn;

/// Who may.
pub const ROLES: [Role; 1] = [Role::Administrator];

/// What became of each target, in their order. An error is the log's: nothing further is done without it.
pub async fn change(
    log: &LogWriter,
    by: &SignedIn,
    authorities: &dyn Authorities,
    signer: Option<&dyn CaSigner>,
    act: CaAct,
    plans: &[CaPlan],
) -> Result<Vec<(TargetName, CaEnd)>, Failure> {
    by.has_one_of(&ROLES)?;
    let log = log.by(by);
    let mut ends = Vec::new();
    for plan in plans {
        log.line(intended(act, plan)).await?;
        let end = match perform(&log, authorities, signer, act, plan).await {
            Ok(end) => end,
            Err(failure) => CaEnd::Failed(failure),
        };
        log.line(ended(act, plan, end.clone())).await?;
        ends.push((plan.target.clone(), end));
    }
    Ok(ends)
}

async fn perform(
    log: &LogWriter,
    authorities: &dyn Authorities,
    signer: Option<&dyn CaSigner>,
    act: CaAct,
    plan: &CaPlan,
) -> Result<CaEnd, Failure> {
    match act {
        CaAct::Register => {
            let proof = proof(log, authorities, signer, plan).await?;
            authorities.register(plan, proof.as_deref()).await
        }
        CaAct::Update => authorities.update(plan).await,
        CaAct::Deactivate => authorities.deactivate(plan).await,
        CaAct::Delete => authorities.delete(plan).await,
    }
}

/// The certificate over the target's registration code. The CA's key is not asked for where the target has the
/// CA already, or wants no proof.
async fn proof(
    log: &LogWriter,
    authorities: &dyn Authorities,
    signer: Option<&dyn CaSigner>,
    plan: &CaPlan,
) -> Result<Option<Vec<u8>>, Failure> {
    if plan.mode == CaMode::SniOnly || authorities.find(&plan.target, &plan.ca.fingerprint).await?.is_some() {
        return Ok(None);
    }
    let unusable = |cause: String| Failure::new(ReasonCode::CA_KEY, cause).with("ca", &plan.ca.name);
    let signer = signer.ok_or_else(|| unusable("no key is configured".to_owned()))?;
    let code = authorities.registration_code(&plan.target).await?;
    let nobodys = rcgen::KeyPair::generate().map_err(|error| unusable(error.to_string()))?;
    let spki = rcgen::PublicKeyData::subject_public_key_info(&nobodys);
    let unsigned = verification::unsigned(&plan.ca, &code, &spki, log.random()?, log.clock.now())?;
    let signature = signer.sign(&unsigned.message, unsigned.scheme).await?;
    unsigned.signed(&plan.ca, &signature).map(Some)
}

fn intended(act: CaAct, plan: &CaPlan) -> LineEvent {
    LineEvent::CaIntended {
        act,
        ca: plan.ca.name.clone(),
        fingerprint: plan.ca.fingerprint,
        target: plan.target.clone(),
        mode: plan.mode,
        auto_registration: plan.auto_registration,
    }
}

fn ended(act: CaAct, plan: &CaPlan, end: CaEnd) -> LineEvent {
    LineEvent::CaEnded {
        act,
        ca: plan.ca.name.clone(),
        fingerprint: plan.ca.fingerprint,
        target: plan.target.clone(),
        end,
    }
}

//! A person sets up what devices are provisioned by: templates and claims, target by target, each an intent and an
//! end in the log. What failed in one target keeps no other from being done.

use crate::audit::LineEvent;
use crate::domain::{Failure, Fingerprint, ReasonCode, Role, Sha256, TargetName, TemplatePlan, Verdict};
use crate::ports::{ClaimPlace, ClaimPlan, Claims, ProvisioningTemplates};
use crate::runner::LogWriter;
use crate::runner::people::SignedIn;

/// Who may.
pub const ROLES: [Role; 1] = [Role::Administrator];

/// What keeps a unit waiting is, of a person's command, only not done: nobody does it later.
pub fn of_a_command(failure: Failure) -> Failure {
    match failure.code.verdict() {
        Verdict::Held => {
            let cause = format!("{}: {}", failure.code, failure.cause);
            Failure { code: ReasonCode::COMMAND_UNREACHED, cause, ..failure }
        }
        _ => failure,
    }
}

/// What became of each target, in their order; `Ok(false)`: it was so already. The outer error is the log's:
/// nothing further is done without it.
pub async fn create_templates(
    log: &LogWriter,
    by: &SignedIn,
    templates: &dyn ProvisioningTemplates,
    plans: &[TemplatePlan],
) -> Result<Vec<(TargetName, Result<bool, Failure>)>, Failure> {
    by.has_one_of(&ROLES)?;
    let log = log.by(by);
    let mut ends = Vec::new();
    for plan in plans {
        log.line(LineEvent::TemplateIntended {
            template: plan.name.clone(),
            target: plan.target.clone(),
            kind: plan.kind,
            body: Sha256::of(plan.body.as_bytes()),
            role: plan.role.clone(),
            hook: plan.hook.clone(),
        })
        .await?;
        let end = templates.create(plan).await.map_err(of_a_command);
        log.line(LineEvent::TemplateEnded {
            template: plan.name.clone(),
            target: plan.target.clone(),
            made: end == Ok(true),
            failure: end.clone().err(),
        })
        .await?;
        ends.push((plan.target.clone(), end));
    }
    Ok(ends)
}

/// The claim that was made in each target, in their order.
pub async fn create_claims(
    log: &LogWriter,
    by: &SignedIn,
    claims: &dyn Claims,
    place: &dyn ClaimPlace,
    plans: &[ClaimPlan],
) -> Result<Vec<(TargetName, Result<Fingerprint, Failure>)>, Failure> {
    by.has_one_of(&ROLES)?;
    let log = log.by(by);
    let mut ends = Vec::new();
    for plan in plans {
        log.line(LineEvent::ClaimIntended {
            template: plan.template.clone(),
            policy: plan.policy.clone(),
            target: plan.target.clone(),
        })
        .await?;
        let (made, end) = create_claim(claims, place, plan).await;
        let end = end.map_err(of_a_command);
        log.line(LineEvent::ClaimEnded {
            template: plan.template.clone(),
            target: plan.target.clone(),
            fingerprint: made,
            failure: end.clone().err(),
        })
        .await?;
        ends.push((plan.target.clone(), end));
    }
    Ok(ends)
}

/// The certificate that is there now, whatever became of the rest. It is of use to nobody before its key is kept.
async fn create_claim(
    claims: &dyn Claims,
    place: &dyn ClaimPlace,
    plan: &ClaimPlan,
) -> (Option<Fingerprint>, Result<Fingerprint, Failure>) {
    let ready = async {
        place.ready(plan)?;
        claims.prepare(plan).await?;
        claims.make(plan).await
    };
    let claim = match ready.await {
        Ok(claim) => claim,
        Err(failure) => return (None, Err(failure)),
    };
    let made = claim.fingerprint;
    if let Err(failure) = place.keep(plan, &claim) {
        return match claims.discard(plan, &made).await {
            Ok(()) => (None, Err(failure)),
            Err(left) => {
                let cause = format!("{}; and certificate {made} is left, INACTIVE: {left}", failure.cause);
                (Some(made), Err(Failure { cause, ..failure }))
            }
        };
    }
    (Some(made), claims.release(plan, &made).await.map(|()| made))
}

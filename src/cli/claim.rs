//! `lineseal claim create|list`: claim certificates in the targets.

use std::path::PathBuf;
use std::process::ExitCode;

use serde_json::json;

use super::ca::{Where, targets};
use super::output::{self, data, say};
use super::sign_in::Acting;
use super::{Global, checkpoint, exit, places};
use crate::bootstrap;
use crate::config::Config;
use crate::domain::{Failure, PolicyName, ProvisioningTemplateName, ReasonCode, TargetName};
use crate::ports::{ClaimPlan, Claims as _};
use crate::runner::fleet;
use crate::texts::{Language, fl};

#[derive(clap::Subcommand)]
pub enum Command {
    /// Makes a claim certificate that may use one provisioning template. Takes an administrator (--as).
    Create {
        #[command(flatten)]
        claim: Claim,
        /// The folder that gets TARGET-TEMPLATE.pem and TARGET-TEMPLATE.key (mode 0600).
        #[arg(long, value_name = "DIR")]
        out: PathBuf,
        #[command(flatten)]
        acting: Acting,
    },
    /// The certificates that have a template's claim policy.
    List(Claim),
}

#[derive(clap::Args)]
pub struct Claim {
    /// The provisioning template, of type fleet.
    template: ProvisioningTemplateName,
    /// What the claim policy is called in AWS (default: lineseal-claim-TEMPLATE).
    #[arg(long, value_name = "NAME")]
    policy: Option<PolicyName>,
    #[command(flatten)]
    place: Where,
}

impl Claim {
    fn plans(&self, config: &Config) -> Result<Vec<ClaimPlan>, Failure> {
        let own = || format!("lineseal-claim-{}", self.template).parse::<PolicyName>();
        let policy = match &self.policy {
            Some(policy) => policy.clone(),
            None => own().map_err(|invalid| Failure::new(ReasonCode::ARGUMENT_REFUSED, invalid.to_string()))?,
        };
        let plan = |target: TargetName| ClaimPlan { target, template: self.template.clone(), policy: policy.clone() };
        Ok(targets(config, &self.place)?.into_iter().map(plan).collect())
    }
}

pub fn main(global: &Global, config: &Config, command: Command) -> ExitCode {
    let language = output::language(global.language.as_deref(), config.station.language.as_deref());
    let done = match command {
        Command::Create { claim, out, acting } => {
            bootstrap::block_on(create(global, config, &language, &claim, out, &acting))
        }
        Command::List(claim) => bootstrap::block_on(list(global, config, &language, &claim)),
    };
    exit::ended(done, &language)
}

async fn create(
    global: &Global,
    config: &Config,
    language: &Language,
    claim: &Claim,
    out: PathBuf,
    acting: &Acting,
) -> Result<ExitCode, Failure> {
    let plans = claim.plans(config)?;
    let texts = output::texts(language)?;
    let records = bootstrap::open_records(config, &places(global).data_dir).await?;
    let by = acting.sign_in(global, &records, &fleet::ROLES).await?;
    let cloud = bootstrap::fleet(config).await?;
    let folder = bootstrap::claim_folder(out);
    let ends = fleet::create_claims(&records.log, &by, &cloud, &folder, &plans).await?;
    for ((target, end), plan) in ends.iter().zip(&plans) {
        let [certificate, key] = folder.files(plan).map(|file| file.display().to_string());
        match end {
            Ok(claim) => {
                let (at, claim) = (target.as_str(), claim.to_string());
                let (certificate, key) = (certificate.as_str(), key.as_str());
                let loader = texts.loader();
                say(&fl!(
                    loader,
                    "cli-claim-created",
                    target = at,
                    claim = claim,
                    certificate = certificate,
                    key = key
                ));
            }
            Err(failure) => output::failure(failure, language),
        }
        if global.json {
            let made = end.as_ref().ok().map(|fingerprint| {
                json!({ "fingerprint": fingerprint, "certificate": certificate, "key": key, "policy": plan.policy })
            });
            let told = json!({
                "target": target, "template": plan.template, "claim": made, "failure": end.as_ref().err(),
            });
            // Whoever stopped reading has seen enough of it.
            output::json(&told).unwrap_or_default();
        }
    }
    checkpoint(&records.log, &records.custody, language).await;
    let failed = ends.iter().any(|(_, end)| end.is_err());
    Ok(if failed { ExitCode::from(exit::NOTHING_DONE) } else { ExitCode::SUCCESS })
}

async fn list(global: &Global, config: &Config, language: &Language, claim: &Claim) -> Result<ExitCode, Failure> {
    let cloud = bootstrap::fleet(config).await?;
    let mut code = ExitCode::SUCCESS;
    for plan in claim.plans(config)? {
        let held = match cloud.all(&plan).await.map_err(fleet::of_a_command) {
            Ok(held) => held,
            // The others are worth seeing.
            Err(failure) => {
                output::failure(&failure, language);
                code = ExitCode::from(exit::NOTHING_DONE);
                continue;
            }
        };
        for held in held {
            if global.json {
                let told = json!({
                    "target": plan.target, "template": plan.template, "policy": plan.policy,
                    "fingerprint": held.fingerprint, "arn": held.arn, "status": held.status,
                });
                output::json(&told).unwrap_or_default();
            } else {
                data(&format!("{:<16} {:<8} {}  {}", plan.target, held.status, held.fingerprint, plan.policy));
            }
        }
    }
    Ok(code)
}

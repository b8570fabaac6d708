//! `lineseal ca register|list|show|update|deactivate|delete`: own CAs in every target.

use std::process::ExitCode;

use serde_json::json;

use super::output::{self, data, say};
use super::sign_in::Acting;
use super::{Global, checkpoint, exit, places};
use crate::bootstrap;
use crate::config::{Ca, Config};
use crate::domain::{CaAct, CaEnd, CaName, CaPlan, Failure, ReasonCode, TargetName};
use crate::ports::HeldCa;
use crate::runner::authorities;
use crate::texts::{Language, Texts, fl};

#[derive(clap::Subcommand)]
pub enum Command {
    /// Makes the targets know a CA of the configuration. Takes an administrator (--as).
    Register(Change),
    /// The CAs that the targets know, the configuration's own by name.
    List(Where),
    /// What the targets hold for a CA, beside what the configuration asks for.
    Show {
        /// As in `[ca.NAME]`.
        name: CaName,
        #[command(flatten)]
        place: Where,
    },
    /// Makes a CA ACTIVE, with the configuration's auto-registration and template. Takes an administrator (--as).
    Update(Change),
    /// No further certificate is registered in the CA's name. Takes an administrator (--as).
    Deactivate(Change),
    /// The targets forget a CA that is not ACTIVE. Takes an administrator (--as).
    Delete(Change),
}

#[derive(clap::Args)]
pub struct Change {
    /// As in `[ca.NAME]`.
    name: CaName,
    #[command(flatten)]
    place: Where,
    #[command(flatten)]
    acting: Acting,
}

#[derive(clap::Args)]
pub struct Where {
    /// In this target alone.
    #[arg(long, value_name = "TARGET")]
    pub(super) target: Option<TargetName>,
}

pub fn main(global: &Global, config: &Config, command: Command) -> ExitCode {
    let language = output::language(global.language.as_deref(), config.station.language.as_deref());
    let done = match command {
        Command::Register(change) => perform(global, config, &language, CaAct::Register, change),
        Command::Update(change) => perform(global, config, &language, CaAct::Update, change),
        Command::Deactivate(change) => perform(global, config, &language, CaAct::Deactivate, change),
        Command::Delete(change) => perform(global, config, &language, CaAct::Delete, change),
        Command::List(place) => bootstrap::block_on(list(global, config, &language, &place)),
        Command::Show { name, place } => bootstrap::block_on(show(global, config, &language, &name, &place)),
    };
    exit::ended(done, &language)
}

fn perform(
    global: &Global,
    config: &Config,
    language: &Language,
    act: CaAct,
    change: Change,
) -> Result<ExitCode, Failure> {
    bootstrap::block_on(change_all(global, config, language, act, change))
}

async fn change_all(
    global: &Global,
    config: &Config,
    language: &Language,
    act: CaAct,
    change: Change,
) -> Result<ExitCode, Failure> {
    let ca = configured(config, &change.name)?;
    let plans = plans(ca, &change.place)?;
    let texts = output::texts(language)?;
    let records = bootstrap::open_records(config, &places(global).data_dir).await?;
    let by = change.acting.sign_in(global, &records, &authorities::ROLES).await?;
    let cloud = bootstrap::authorities(config).await?;
    let signer = bootstrap::ca_signer(config, ca, &places(global).data_dir);
    let ends = authorities::change(&records.log, &by, &*cloud, signer.as_deref(), act, &plans).await?;
    for (target, end) in &ends {
        tell(act, ca, target, end, global.json, &texts, language);
    }
    checkpoint(&records.log, &records.custody, language).await;
    let failed = ends.iter().any(|(_, end)| matches!(end, CaEnd::Failed(_)));
    Ok(if failed { ExitCode::from(exit::NOTHING_DONE) } else { ExitCode::SUCCESS })
}

fn tell(act: CaAct, ca: &Ca, target: &TargetName, end: &CaEnd, as_json: bool, texts: &Texts, language: &Language) {
    let name = ca.signing.name.as_str();
    let (target_name, loader) = (target.as_str(), texts.loader());
    match (act, end) {
        (_, CaEnd::Failed(failure)) => output::failure(failure, language),
        (CaAct::Register, CaEnd::Done) => say(&fl!(loader, "cli-ca-registered", ca = name, target = target_name)),
        (CaAct::Update, CaEnd::Done) => say(&fl!(loader, "cli-ca-updated", ca = name, target = target_name)),
        (CaAct::Register | CaAct::Update, CaEnd::Found) => {
            say(&fl!(loader, "cli-ca-as-configured", ca = name, target = target_name));
        }
        (CaAct::Deactivate, CaEnd::Done) => say(&fl!(loader, "cli-ca-deactivated", ca = name, target = target_name)),
        (CaAct::Deactivate, CaEnd::Found) => say(&fl!(loader, "cli-ca-inactive", ca = name, target = target_name)),
        (CaAct::Delete, CaEnd::Done) => say(&fl!(loader, "cli-ca-deleted", ca = name, target = target_name)),
        (CaAct::Delete, CaEnd::Found) => say(&fl!(loader, "cli-ca-absent", ca = name, target = target_name)),
    }
    if as_json {
        let (end, failure) = match end {
            CaEnd::Done => ("done", None),
            CaEnd::Found => ("found", None),
            CaEnd::Failed(failure) => ("failed", Some(failure)),
        };
        let told = json!({
            "act": act, "ca": name, "fingerprint": ca.signing.fingerprint, "target": target, "end": end,
            "failure": failure,
        });
        // Whoever stopped reading has seen enough of it.
        output::json(&told).unwrap_or_default();
    }
}

async fn list(global: &Global, config: &Config, language: &Language, place: &Where) -> Result<ExitCode, Failure> {
    let cloud = bootstrap::authorities(config).await?;
    let mut code = ExitCode::SUCCESS;
    for target in targets(config, place)? {
        let held = match cloud.all(&target).await {
            Ok(held) => held,
            // The others are worth seeing.
            Err(failure) => {
                output::failure(&failure, language);
                code = ExitCode::from(exit::NOTHING_DONE);
                continue;
            }
        };
        for held in held {
            let own = config.cas.iter().find(|ca| ca.signing.fingerprint == held.id);
            let name = own.map(|ca| ca.signing.name.as_str());
            if global.json {
                output::json(&held_json(&target, name, Some(&held))).unwrap_or_default();
            } else {
                let (status, mode) = (status(&held), held.mode.as_str());
                let (name, id, subject) = (name.unwrap_or("-"), held.id, &held.subject);
                data(&format!("{target:<16} {status:<8} {mode:<8} {name:<16} {id}  {subject}"));
            }
        }
    }
    Ok(code)
}

async fn show(
    global: &Global,
    config: &Config,
    language: &Language,
    name: &CaName,
    place: &Where,
) -> Result<ExitCode, Failure> {
    let ca = configured(config, name)?;
    let cloud = bootstrap::authorities(config).await?;
    let mut code = ExitCode::SUCCESS;
    for plan in plans(ca, place)? {
        let held = match cloud.find(&plan.target, &plan.ca.fingerprint).await {
            Ok(held) => held,
            Err(failure) => {
                output::failure(&failure, language);
                code = ExitCode::from(exit::NOTHING_DONE);
                continue;
            }
        };
        if global.json {
            let mut told = held_json(&plan.target, Some(name.as_str()), held.as_ref());
            told["configured"] = json!({
                "mode": plan.mode, "auto_registration": plan.auto_registration,
                "role": plan.template.as_ref().map(|template| &template.role),
            });
            output::json(&told).unwrap_or_default();
            continue;
        }
        let auto = |auto| if auto { "on" } else { "off" };
        let asked = format!("{}, auto-registration {}", plan.mode.as_str(), auto(plan.auto_registration));
        data(&format!("{} {} ({})", plan.target, name, plan.ca.fingerprint));
        data(&format!("  configured    {asked}"));
        match held {
            None => data("  registered    no"),
            Some(held) => {
                let (status, mode) = (status(&held), held.mode.as_str());
                data(&format!("  registered    {status}, {mode}, auto-registration {}", auto(held.auto_registration)));
                data(&format!("  ARN           {}", held.arn));
                data(&format!("  subject       {}", held.subject));
                if let Some(template) = held.template {
                    data(&format!("  role          {}", template.role));
                    data(&format!("  template      {}", template.body));
                }
            }
        }
    }
    Ok(code)
}

fn held_json(target: &TargetName, name: Option<&str>, held: Option<&HeldCa>) -> serde_json::Value {
    json!({
        "target": target,
        "ca": name,
        "held": held.map(|held| json!({
            "fingerprint": held.id, "arn": held.arn, "account": held.account, "region": held.region,
            "subject": held.subject, "status": status(held), "mode": held.mode,
            "auto_registration": held.auto_registration,
            "role": held.template.as_ref().map(|template| &template.role),
            "template": held.template.as_ref().map(|template| &template.body),
        })),
    })
}

fn status(held: &HeldCa) -> &'static str {
    if held.active { "ACTIVE" } else { "INACTIVE" }
}

fn configured<'c>(config: &'c Config, name: &CaName) -> Result<&'c Ca, Failure> {
    config.cas.iter().find(|ca| ca.signing.name == *name).ok_or_else(|| {
        let known: Vec<&str> = config.cas.iter().map(|ca| ca.signing.name.as_str()).collect();
        let known =
            if known.is_empty() { "there is none".to_owned() } else { format!("there are {}", known.join(", ")) };
        Failure::new(ReasonCode::ARGUMENT_REFUSED, format!("the configuration has no [ca.{name}]; {known}"))
    })
}

fn plans(ca: &Ca, place: &Where) -> Result<Vec<CaPlan>, Failure> {
    let asked = |plan: &&CaPlan| place.target.as_ref().is_none_or(|target| plan.target == *target);
    let plans: Vec<CaPlan> = ca.plans.iter().filter(asked).cloned().collect();
    if plans.is_empty() { Err(no_target(place)) } else { Ok(plans) }
}

pub(super) fn targets(config: &Config, place: &Where) -> Result<Vec<TargetName>, Failure> {
    let asked = |name: &&TargetName| place.target.as_ref().is_none_or(|target| *name == target);
    let names: Vec<TargetName> = config.targets.iter().map(|target| &target.name).filter(asked).cloned().collect();
    if names.is_empty() { Err(no_target(place)) } else { Ok(names) }
}

fn no_target(place: &Where) -> Failure {
    let name = place.target.as_ref().map_or("", TargetName::as_str);
    Failure::new(ReasonCode::ARGUMENT_REFUSED, format!("the configuration has no target {name:?}"))
}

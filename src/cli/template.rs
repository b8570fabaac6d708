//! `lineseal template create|list|show`: provisioning templates in the targets.

use std::path::PathBuf;
use std::process::ExitCode;

use serde_json::json;

use super::ca::{Where, targets};
use super::output::{self, data, say};
use super::sign_in::Acting;
use super::{Global, checkpoint, exit, places};
use crate::bootstrap;
use crate::config::{self, Config};
use crate::domain::{Arn, Failure, ProvisioningTemplateName, TargetName, TemplateKind, TemplatePlan};
use crate::ports::{HeldTemplate, ProvisioningTemplates as _};
use crate::runner::fleet;
use crate::texts::{Language, fl};

#[derive(clap::Subcommand)]
pub enum Command {
    /// Makes a provisioning template, enabled. Takes an administrator (--as).
    Create(Box<Create>),
    /// The provisioning templates that the targets know.
    List(Where),
    /// What the targets hold of one, its body last.
    Show {
        name: ProvisioningTemplateName,
        #[command(flatten)]
        place: Where,
    },
}

#[derive(clap::Args)]
pub struct Create {
    name: ProvisioningTemplateName,
    /// The template's body, JSON.
    #[arg(long, value_name = "FILE")]
    file: PathBuf,
    /// The IAM role in whose name AWS makes what the template says.
    #[arg(long, value_name = "ARN")]
    role: Arn,
    /// fleet: for devices with a claim; jitp: for devices whose CA names it.
    #[arg(long = "type", value_name = "TYPE", default_value = "fleet")]
    kind: TemplateKind,
    /// The Lambda function that is asked before each device (fleet).
    #[arg(long, value_name = "ARN")]
    hook: Option<Arn>,
    /// For whoever reads it in AWS.
    #[arg(long, value_name = "TEXT")]
    description: Option<String>,
    #[command(flatten)]
    place: Where,
    #[command(flatten)]
    acting: Acting,
}

pub fn main(global: &Global, config: &Config, command: Command) -> ExitCode {
    let language = output::language(global.language.as_deref(), config.station.language.as_deref());
    let done = match command {
        Command::Create(create) => bootstrap::block_on(create_all(global, config, &language, *create)),
        Command::List(place) => bootstrap::block_on(list(global, config, &language, &place)),
        Command::Show { name, place } => bootstrap::block_on(show(global, config, &language, &name, &place)),
    };
    exit::ended(done, &language)
}

async fn create_all(
    global: &Global,
    config: &Config,
    language: &Language,
    create: Create,
) -> Result<ExitCode, Failure> {
    let body = config::provisioning_template(&create.file)?;
    let plan = |target: TargetName| TemplatePlan {
        target,
        name: create.name.clone(),
        kind: create.kind,
        body: body.clone(),
        role: create.role.clone(),
        hook: create.hook.clone(),
        description: create.description.clone(),
    };
    let plans: Vec<TemplatePlan> = targets(config, &create.place)?.into_iter().map(plan).collect();
    let texts = output::texts(language)?;
    let records = bootstrap::open_records(config, &places(global).data_dir).await?;
    let by = create.acting.sign_in(global, &records, &fleet::ROLES).await?;
    let cloud = bootstrap::fleet(config).await?;
    let ends = fleet::create_templates(&records.log, &by, &cloud, &plans).await?;
    let (name, loader) = (create.name.as_str(), texts.loader());
    for (target, end) in &ends {
        let at = target.as_str();
        let told = match end {
            Ok(true) => {
                say(&fl!(loader, "cli-template-created", template = name, target = at));
                "done"
            }
            Ok(false) => {
                say(&fl!(loader, "cli-template-found", template = name, target = at));
                "found"
            }
            Err(failure) => {
                output::failure(failure, language);
                "failed"
            }
        };
        if global.json {
            let failure = end.as_ref().err();
            // Whoever stopped reading has seen enough of it.
            output::json(&json!({ "template": name, "target": target, "end": told, "failure": failure }))
                .unwrap_or_default();
        }
    }
    checkpoint(&records.log, &records.custody, language).await;
    let failed = ends.iter().any(|(_, end)| end.is_err());
    Ok(if failed { ExitCode::from(exit::NOTHING_DONE) } else { ExitCode::SUCCESS })
}

async fn list(global: &Global, config: &Config, language: &Language, place: &Where) -> Result<ExitCode, Failure> {
    let cloud = bootstrap::fleet(config).await?;
    let mut code = ExitCode::SUCCESS;
    for target in targets(config, place)? {
        let held = match cloud.all(&target).await.map_err(fleet::of_a_command) {
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
                output::json(&held_json(&target, &held)).unwrap_or_default();
            } else {
                let (kind, state, name, role) = (held.kind.as_str(), state(&held), &held.name, &held.role);
                data(&format!("{target:<16} {state:<8} {kind:<6} {name:<36} {role}"));
            }
        }
    }
    Ok(code)
}

async fn show(
    global: &Global,
    config: &Config,
    language: &Language,
    name: &ProvisioningTemplateName,
    place: &Where,
) -> Result<ExitCode, Failure> {
    let cloud = bootstrap::fleet(config).await?;
    let texts = output::texts(language)?;
    let mut code = ExitCode::SUCCESS;
    for target in targets(config, place)? {
        let held = match cloud.find(&target, name).await {
            Ok(held) => held,
            Err(failure) => {
                output::failure(&failure, language);
                code = ExitCode::from(exit::NOTHING_DONE);
                continue;
            }
        };
        let Some(held) = held else {
            let (template, at) = (name.as_str(), target.as_str());
            say(&fl!(texts.loader(), "cli-template-absent", template = template, target = at));
            code = ExitCode::from(exit::NOTHING_DONE);
            continue;
        };
        if global.json {
            output::json(&held_json(&target, &held)).unwrap_or_default();
            continue;
        }
        data(&format!("{target} {name}"));
        data(&format!("  state         {}, {}, version {}", state(&held), held.kind.as_str(), held.version));
        data(&format!("  ARN           {}", held.arn));
        data(&format!("  role          {}", held.role));
        if let Some(hook) = &held.hook {
            data(&format!("  hook          {hook}"));
        }
        if let Some(description) = &held.description {
            data(&format!("  description   {description}"));
        }
        data(&format!("  body          {}", held.body));
    }
    Ok(code)
}

fn state(held: &HeldTemplate) -> &'static str {
    if held.enabled { "enabled" } else { "disabled" }
}

fn held_json(target: &TargetName, held: &HeldTemplate) -> serde_json::Value {
    json!({
        "target": target, "template": held.name, "arn": held.arn, "type": held.kind, "enabled": held.enabled,
        "role": held.role, "hook": held.hook, "description": held.description, "version": held.version,
        "body": held.body,
    })
}

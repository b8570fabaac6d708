//! `lineseal undo`: what a unit registered is taken back, by two persons who answer for it.

use std::process::ExitCode;

use serde_json::json;

use super::audit::unit;
use super::output::{self, say};
use super::sign_in::{Acting, Second};
use super::{Global, checkpoint, exit, places};
use crate::audit::event::{WITHDRAW_UNITS, Withdrawal};
use crate::bootstrap::{self, Records};
use crate::config::Config;
use crate::domain::{Failure, Persons, Product, ReasonCode, RulingReason, RunId, TargetName};
use crate::ports::TakenBack;
use crate::runner::rulings::{Grounds, Panel, Rulings};
use crate::runner::undo::{self, Undo, Undone};
use crate::texts::Language;

#[derive(clap::Args)]
pub struct Options {
    /// A board's serial number, or a run's id: then only what that run registered.
    #[arg(value_name = "UNIT|RUN")]
    what: String,
    /// The board's product, where several products have this serial number.
    #[arg(long)]
    product: Option<Product>,
    #[command(flatten)]
    act: Act,
    /// Only in this target.
    #[arg(long)]
    target: Option<TargetName>,
    /// Why, in plain words.
    #[arg(long, value_name = "TEXT")]
    reason: RulingReason,
    #[command(flatten)]
    acting: Acting,
    #[command(flatten)]
    second: Second,
}

#[derive(clap::Args)]
#[group(required = true, multiple = false)]
struct Act {
    /// Sets its certificates INACTIVE.
    #[arg(long)]
    deactivate: bool,
    /// Deletes its certificates and its thing; the policy stays.
    #[arg(long)]
    delete: bool,
}

pub fn main(global: &Global, config: &Config, options: &Options) -> ExitCode {
    let language = output::language(global.language.as_deref(), config.station.language.as_deref());
    exit::ended(bootstrap::block_on(perform(global, config, options, &language)).map(ExitCode::from), &language)
}

async fn perform(global: &Global, config: &Config, options: &Options, language: &Language) -> Result<u8, Failure> {
    if let Some(target) = options.target.as_ref().filter(|name| !config.targets.iter().any(|it| it.name == **name)) {
        let cause = format!("there is no target {target} in the configuration");
        return Err(Failure::new(ReasonCode::ARGUMENT_REFUSED, cause));
    }
    let cloud = bootstrap::cloud(config).await?;
    let records = bootstrap::open_records(config, &places(global).data_dir).await?;
    let undo = options.undo(&records).await?;
    let first = options.acting.sign_in(global, &records, &WITHDRAW_UNITS).await?;
    let second = options.second.sign_in(&records, &WITHDRAW_UNITS).await?;
    let needed = if config.log.persons == 1 { Persons::One } else { Persons::Two };
    let Records { log, people, history, custody, .. } = &records;
    let panel = Panel { first, second, needed };
    let grounds = Grounds { reason: options.reason.clone(), evidence: Vec::new(), references: Vec::new() };
    let rulings = Rulings { log, people: &**people, history: &**history, panel, grounds };
    let undone = rulings
        .withdraw(&undo, &config.profiles, &*cloud, &mut |run| {
            say(&format!("waiting for the end of run {} at station {}, a minute at most", run.id, run.station));
        })
        .await;
    checkpoint(log, custody, language).await;
    show(&undo, &undone?, global.json, language)
}

impl Options {
    async fn undo(&self, records: &Records) -> Result<Undo, Failure> {
        let (target, act) =
            (self.target.clone(), if self.act.delete { Withdrawal::Delete } else { Withdrawal::Deactivate });
        // A serial number may look like a run's id; the run comes first.
        if let Ok(run) = self.what.parse::<RunId>()
            && let Some(log) = records.log.store.run(run).await?
        {
            return Ok(Undo { unit: undo::unit_of(&log)?, run: Some(run), target, act });
        }
        let unit = unit::find(&*records.history, &self.what, self.product.as_ref()).await?;
        Ok(Undo { unit, run: None, target, act })
    }
}

fn show(undo: &Undo, undone: &Undone, as_json: bool, language: &Language) -> Result<u8, Failure> {
    let Undo { unit, act, .. } = undo;
    say(&format!("{unit} is withdrawn (event {})", undone.seq));
    for (target, TakenBack { changed, found, failure }) in &undone.targets {
        for certificate in found {
            say(&format!("{target}: found certificate {certificate}, which no run had recorded"));
        }
        match failure {
            None if changed.is_empty() => say(&format!("{target}: nothing was left of it")),
            None => say(&format!("{target}: {}", changed.join(", "))),
            Some(failure) => {
                say(&format!("{target}: something is left; the same command goes on with it"));
                output::failure(failure, language);
            }
        }
    }
    for failure in &undone.open {
        output::failure(failure, language);
    }
    if as_json {
        let targets = undone.targets.iter();
        let targets = targets.map(|(name, taken)| {
            json!({
                "target": name, "changed": taken.changed, "found": taken.found, "failure": taken.failure,
            })
        });
        let shown = json!({
            "seq": undone.seq, "unit": unit, "act": act, "targets": targets.collect::<Vec<_>>(), "open": undone.open,
        });
        output::json(&shown).map_err(|error| {
            Failure::new(ReasonCode::STATION_STOPPED, format!("standard output takes no more: {error}"))
        })?;
    }
    let all = undone.open.is_empty() && undone.targets.iter().all(|(_, taken)| taken.failure.is_none());
    Ok(if all { exit::DONE } else { exit::NOTHING_DONE })
}

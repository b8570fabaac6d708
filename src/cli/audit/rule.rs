//! `lineseal audit rule release|scrap|rebind|rollback`

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use serde_json::json;

use super::unit::UnitName;
use crate::audit::event::{Evidence, LabelStatus, RULE_ON_THE_LOG, RULE_ON_UNITS, Ruling};
use crate::bootstrap::{self, Records};
use crate::cli::output::{self, say};
use crate::cli::sign_in::{Acting, Second};
use crate::cli::{Global, checkpoint, exit, places};
use crate::config::Config;
use crate::domain::{Failure, Persons, ReasonCode, Role, RulingReason, RunId, Sha256, Unit};
use crate::runner::rulings::{Grounds, Panel, Ruled, Rulings};
use crate::texts::Language;

#[derive(clap::Subcommand)]
pub enum Command {
    /// A locked unit may be tried once more, unless it was scrapped.
    Release {
        #[command(flatten)]
        unit: UnitName,
        #[command(flatten)]
        why: Why,
        #[command(flatten)]
        evidence: Required,
    },
    /// The unit is never taken again, whatever is ruled after it.
    Scrap {
        #[command(flatten)]
        unit: UnitName,
        #[command(flatten)]
        why: Why,
        #[command(flatten)]
        evidence: Required,
    },
    /// After a repair: the unit moves to the chip that a run proved and was refused with (FAIL S-108).
    Rebind {
        #[command(flatten)]
        unit: UnitName,
        /// The run that proved the new chip.
        #[arg(long)]
        run: RunId,
        #[command(flatten)]
        why: Why,
        #[command(flatten)]
        evidence: Required,
    },
    /// The log was put back, or could not be compared with its copies, and you know why: the station may
    /// claim again. Takes supervisors or administrators.
    Rollback {
        #[command(flatten)]
        why: Why,
        #[command(flatten)]
        evidence: Optional,
    },
}

/// Who rules and why.
#[derive(clap::Args)]
pub struct Why {
    #[command(flatten)]
    acting: Acting,
    #[command(flatten)]
    second: Second,
    /// Why, in plain words.
    #[arg(long, value_name = "TEXT", required_unless_present = "reason_file")]
    reason: Option<String>,
    /// Holds the reason.
    #[arg(long, value_name = "FILE", conflicts_with = "reason")]
    reason_file: Option<PathBuf>,
}

/// What a ruling on a unit rests on: files, or where to look.
#[derive(clap::Args)]
#[group(required = true, multiple = true)]
pub struct Required {
    /// Files that the ruling rests on: the log keeps their names and SHA-256. A ruling on a unit needs this or
    /// --evidence-text.
    #[arg(long, value_name = "FILE", num_args = 1..)]
    evidence: Vec<PathBuf>,
    /// What it rests on that is no file here: a ticket's number, where a photo is kept. Kept like the reason.
    #[arg(long, value_name = "TEXT")]
    evidence_text: Vec<RulingReason>,
}

/// The same, where the reason may be enough.
#[derive(clap::Args)]
pub struct Optional {
    /// Files that the ruling rests on: the log keeps their names and SHA-256.
    #[arg(long, value_name = "FILE", num_args = 1..)]
    evidence: Vec<PathBuf>,
    /// What it rests on that is no file here: a ticket's number, where a photo is kept. Kept like the reason.
    #[arg(long, value_name = "TEXT")]
    evidence_text: Vec<RulingReason>,
}

pub fn main(global: &Global, config: &Config, command: Command) -> ExitCode {
    let language = output::language(global.language.as_deref(), config.station.language.as_deref());
    exit::report(bootstrap::block_on(perform(global, config, command, &language)), &language)
}

async fn perform(global: &Global, config: &Config, command: Command, language: &Language) -> Result<(), Failure> {
    let records = bootstrap::open_records(config, &places(global).data_dir).await?;
    let (name, why, roles) = match &command {
        Command::Release { unit, why, .. } | Command::Scrap { unit, why, .. } | Command::Rebind { unit, why, .. } => {
            (Some(unit), why, &RULE_ON_UNITS)
        }
        Command::Rollback { why, .. } => (None, why, &RULE_ON_THE_LOG),
    };
    let (files, references) = match &command {
        Command::Release { evidence, .. } | Command::Scrap { evidence, .. } | Command::Rebind { evidence, .. } => {
            (&evidence.evidence, &evidence.evidence_text)
        }
        Command::Rollback { evidence, .. } => (&evidence.evidence, &evidence.evidence_text),
    };
    // Before anybody is asked for a PIN.
    let unit = match name {
        Some(name) => Some(name.find(&*records.history).await?),
        None => None,
    };
    // What comes while they sign they have not seen.
    let seen = match &unit {
        Some(unit) => records.history.locks(unit).await?,
        None => Vec::new(),
    };
    let grounds = why.grounds(files, references)?;
    let panel = why.panel(global, config, &records, roles).await?;
    let Records { log, people, history, custody, .. } = &records;
    let rulings = Rulings { log, people: &**people, history: &**history, panel, grounds };
    let ruled = match (&command, &unit) {
        (Command::Release { .. }, Some(unit)) => rulings.release(unit, &seen).await?,
        (Command::Scrap { .. }, Some(unit)) => rulings.scrap(unit).await?,
        (Command::Rebind { run, .. }, Some(unit)) => rulings.rebind(unit, *run, &seen).await?,
        // The mark is still ahead of the log: the station moves it, and signs, when it begins.
        _ => return show(&rulings.rollback(custody).await?, global.json),
    };
    show(&ruled, global.json)?;
    if let (Command::Scrap { .. }, Some(unit)) = (&command, &unit) {
        // Of none of these runs: all of them are asked about.
        let label = log.store.unit_label(unit, log.new_run()?).await?;
        if label == Some(LabelStatus::Pending) {
            say("its label is not printed yet, and will not be");
        }
    }
    checkpoint(log, custody, language).await;
    Ok(())
}

impl Why {
    fn grounds(&self, files: &[PathBuf], references: &[RulingReason]) -> Result<Grounds, Failure> {
        let invalid = |cause: String| Failure::new(ReasonCode::ARGUMENT_REFUSED, cause);
        let text = match (&self.reason, &self.reason_file) {
            (Some(text), _) => text.clone(),
            (None, Some(path)) => std::fs::read_to_string(path).map_err(|error| unreadable(path, &error))?,
            (None, None) => String::new(),
        };
        let reason: RulingReason = text.trim_end().parse().map_err(|error: crate::domain::Invalid| {
            // The text itself may be long, and is no news to who typed it.
            invalid(format!("the reason is not usable: {}", error.rule))
        })?;
        let evidence = files.iter().map(|path| evidence(path)).collect::<Result<_, _>>()?;
        Ok(Grounds { reason, evidence, references: references.to_vec() })
    }

    async fn panel(
        &self,
        global: &Global,
        config: &Config,
        records: &Records,
        roles: &[Role],
    ) -> Result<Panel, Failure> {
        let first = self.acting.sign_in(global, records, roles).await?;
        let second = self.second.sign_in(records, roles).await?;
        let needed = if config.log.persons == 1 { Persons::One } else { Persons::Two };
        Ok(Panel { first, second, needed })
    }
}

fn evidence(path: &Path) -> Result<Evidence, Failure> {
    let name = path.file_name().and_then(|name| name.to_str());
    let nameless = || {
        let cause = format!("{} has no name that the log could keep", path.display());
        Failure::new(ReasonCode::ARGUMENT_REFUSED, cause)
    };
    let name = name.filter(|name| !name.chars().any(char::is_control)).ok_or_else(nameless)?.to_owned();
    let mut file = std::fs::File::open(path).map_err(|error| unreadable(path, &error))?;
    let mut hash = aws_lc_rs::digest::Context::new(&aws_lc_rs::digest::SHA256);
    let mut chunk = vec![0; 1 << 16];
    loop {
        match file.read(&mut chunk).map_err(|error| unreadable(path, &error))? {
            0 => break,
            count => hash.update(&chunk[..count]),
        }
    }
    let mut sha256 = [0; 32];
    sha256.copy_from_slice(hash.finish().as_ref());
    Ok(Evidence { name, sha256: Sha256::from_bytes(sha256) })
}

fn unreadable(path: &Path, error: &std::io::Error) -> Failure {
    Failure::new(ReasonCode::ARGUMENT_REFUSED, format!("{} can't be read: {error}", path.display()))
}

fn show(ruled: &Ruled, as_json: bool) -> Result<(), Failure> {
    let Ruled { seq, ruling, first, second, .. } = ruled;
    let unit = ruling.unit().map(Unit::to_string).unwrap_or_default();
    say(&match ruling {
        Ruling::Release { .. } => format!("{unit} may be tried once more (event {seq})"),
        Ruling::Scrap { .. } => format!("{unit} is scrapped (event {seq})"),
        Ruling::Rebind { old, new, .. } => {
            let (old, new) = (old.fingerprint, new.fingerprint);
            format!("{unit} moves from certificate {old} to {new} with its next run (event {seq})")
        }
        // Another command's.
        Ruling::Withdraw { .. } => format!("{unit} is withdrawn (event {seq})"),
        Ruling::Rollback { .. } => format!("the station may claim again (event {seq})"),
    });
    if as_json {
        let second = second.as_ref().map(|person| person.id);
        let shown = output::json(&json!({ "seq": seq, "ruled": ruling, "by": first.id, "second": second }));
        return shown.map_err(|error| {
            let cause = format!("standard output takes no more: {error}");
            Failure::new(ReasonCode::STATION_STOPPED, cause)
        });
    }
    Ok(())
}

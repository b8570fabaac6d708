//! `lineseal audit key show|rotate|new`: whose signatures vouch for the log.

use std::path::PathBuf;
use std::process::ExitCode;

use serde_json::json;

use super::super::output::{self, data, say};
use super::super::sign_in::Acting;
use super::super::{Global, checkpoint, places};
use super::ended;
use crate::audit::event::LogKeyRole;
use crate::bootstrap;
use crate::config::Config;
use crate::domain::{Failure, KeyName, Role};
use crate::ports::LogKey;
use crate::runner::{self, prove};

#[derive(clap::Subcommand)]
pub enum Command {
    /// Every key that ever signed for the log: hand these to whoever is to check it. One that was replaced
    /// counts `until` a size of the log, and not at all where you leave its line out.
    Show,
    /// Puts a new key in the place of this station's. Takes an administrator (--as).
    Rotate {
        #[command(flatten)]
        acting: Acting,
    },
    /// Makes a cosigner's key in a file of its own, and prints its public half. Needs no configuration.
    New(New),
}

#[derive(clap::Args)]
pub struct New {
    /// A file that does not exist yet; only its owner may read it.
    file: PathBuf,
    /// The key's name in signatures, another than the log's; best such as plant.example/qa.
    #[arg(long)]
    name: KeyName,
}

pub fn main(global: &Global, config: &Config, command: &Command) -> ExitCode {
    match command {
        Command::Show => ended(global, Some(config), bootstrap::block_on(show(global, config))),
        Command::Rotate { acting } => ended(global, Some(config), bootstrap::block_on(rotate(global, config, acting))),
        Command::New(options) => new(global, options),
    }
}

pub fn new(global: &Global, options: &New) -> ExitCode {
    let made = bootstrap::new_cosigner(&options.file, options.name.clone()).map(|key| {
        say(&format!("{}: keep it where only its owner gets at it", options.file.display()));
        if global.json {
            output::json(&json!({ "key": key, "file": options.file })).unwrap_or_default();
        } else {
            data(&key.to_string());
        }
        ExitCode::SUCCESS
    });
    ended(global, None, made)
}

async fn show(global: &Global, config: &Config) -> Result<ExitCode, Failure> {
    let records = bootstrap::open_records(config, &places(global).data_dir).await?;
    for known in records.history.keys().await? {
        let signed = prove::rotation(&*records.history, &known).await?.is_some();
        let LogKey { key, role, station, added_seq, replaced_seq } = known;
        // The largest checkpoint that has its word: whoever has the key now may be anybody.
        let until = replaced_seq.map(|seq| seq + 1);
        if global.json {
            let shown = output::json(&json!({
                "key": key, "role": role, "station": station, "added_seq": added_seq, "replaced_seq": replaced_seq,
                "until": until, "signed_for_successor": signed,
            }));
            // Whoever stopped reading the list has seen enough of it.
            shown.unwrap_or_default();
            continue;
        }
        let role = match role {
            LogKeyRole::Station => "station",
            LogKeyRole::Cosigner => "cosigner",
        };
        let replaced = match (replaced_seq, signed) {
            (None, _) => String::new(),
            (Some(seq), true) => format!(", replaced by event {seq}, and signed for its successor"),
            (Some(seq), false) => {
                format!(
                    ", replaced by event {seq} without signing for its successor: who has this one alone needs that"
                )
            }
        };
        say(&format!("{role}, made known by {station} in event {added_seq}{replaced}:"));
        data(&until.map_or_else(|| key.clone(), |size| format!("{key} until {size}")));
    }
    Ok(ExitCode::SUCCESS)
}

async fn rotate(global: &Global, config: &Config, acting: &Acting) -> Result<ExitCode, Failure> {
    let records = bootstrap::open_records(config, &places(global).data_dir).await?;
    let by = acting.sign_in(global, &records, &[Role::Administrator]).await?;
    let key = runner::rotate_key(&records.log.by(&by), &records.custody).await?;
    let language = output::language(global.language.as_deref(), config.station.language.as_deref());
    checkpoint(&records.log, &records.custody, &language).await;
    say("checkpoints are signed by this key from here on; those before it stay as they are");
    if global.json {
        output::json(&json!({ "key": key })).unwrap_or_default();
    } else {
        data(&key.to_string());
    }
    Ok(ExitCode::SUCCESS)
}

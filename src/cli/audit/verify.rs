//! `lineseal audit verify`: is the log what was written?

use std::path::PathBuf;
use std::process::ExitCode;

use serde_json::json;

use super::super::output::{self, data, say};
use super::super::{Global, exit, places};
use crate::audit::note::SignedCheckpoint;
use crate::bootstrap;
use crate::config::Config;
use crate::domain::{Failure, ReasonCode};
use crate::ports::{Broken, Progress, Stage, Verification, Verified, Witness};
use crate::texts::Language;

#[derive(clap::Args)]
pub struct Options {
    /// A checkpoint that you kept: the log must go on from it. May be given several times.
    #[arg(long, value_name = "CHECKPOINT")]
    since: Vec<PathBuf>,
    /// Bytes, tree and checkpoints only: derived tables are not derived again.
    #[arg(long)]
    fast: bool,
    /// An archive of old events that is at hand. May be given several times.
    #[arg(long, value_name = "FILE")]
    archive: Vec<PathBuf>,
}

pub fn main(global: &Global, config: &Config, options: &Options) -> ExitCode {
    let language = output::language(global.language.as_deref(), config.station.language.as_deref());
    match perform(global, config, options, &language) {
        Ok(Ok(verified)) => {
            tell(&verified, global.json);
            ExitCode::SUCCESS
        }
        Ok(Err(broken)) => {
            let failure = Failure::new(ReasonCode::LOG_BROKEN, broken.to_string());
            output::failure(&failure, &language);
            if global.json {
                let Broken { promise, place, found } = &broken;
                let told = json!({ "verified": false, "promise": promise.as_str(), "place": place, "found": found });
                let _ = output::json(&told);
            }
            ExitCode::from(exit::BROKEN)
        }
        Err(failure) => {
            output::failure(&failure, &language);
            // What can't even be opened is not what was written.
            let broken = failure.code == ReasonCode::STORE_CORRUPT;
            ExitCode::from(if broken { exit::BROKEN } else { exit::of_failure(&failure) })
        }
    }
}

fn perform(
    global: &Global,
    config: &Config,
    options: &Options,
    language: &Language,
) -> Result<Result<Verified, Broken>, Failure> {
    let data_dir = places(global).data_dir;
    let mut witnesses: Vec<Witness> = options.since.iter().map(witness).collect::<Result<_, _>>()?;
    let found = match bootstrap::block_on(bootstrap::witnesses(config, &data_dir)) {
        // The verification itself says where.
        Err(failure) if failure.code == ReasonCode::STORE_CORRUPT => Default::default(),
        found => found?,
    };
    found.unread.iter().for_each(|failure| output::failure(failure, language));
    for (place, size) in &found.passed_over {
        say(&format!("{place}: a checkpoint of {size} leaves that no key of the log signed is passed over"));
    }
    witnesses.extend(found.witnesses);
    let noted = bootstrap::block_on(bootstrap::high_water_mark(&data_dir))?;
    let noted = noted.map(|head| ("the high-water mark".to_owned(), head)).into_iter().collect();
    let what = Verification { witnesses, noted, projections: !options.fast };
    let mut told = 0;
    let mut verifier = bootstrap::verifier(config, &data_dir, &options.archive)?;
    verifier.verify(&what, &mut |progress| {
        let Progress { stage, done, total } = progress;
        // Every tenth of the way is a word; a terminal is no film.
        let tenth = (done * 10).checked_div(total).unwrap_or(10);
        if stage == Stage::Events && tenth > told {
            told = tenth;
            say(&format!("{done} of {total} events"));
        }
    })
}

fn witness(path: &PathBuf) -> Result<Witness, Failure> {
    let place = path.display().to_string();
    let bad = |cause: String| Failure::new(ReasonCode::CONFIG_INVALID, format!("{place}: {cause}"));
    let note = std::fs::read_to_string(path).map_err(|error| bad(error.to_string()))?;
    let checkpoint: SignedCheckpoint =
        note.parse().map_err(|error: crate::audit::note::CheckpointError| bad(error.to_string()))?;
    Ok(Witness { place, checkpoint })
}

fn tell(verified: &Verified, as_json: bool) {
    let Verified { head, archived, checkpoints, covered, ruled, rows, forgotten_people, forgotten_texts, .. } =
        verified;
    let Verified { uncommitted_pins, ruled_alone, unstored, .. } = verified;
    let uncovered = head.size - covered.unwrap_or(0).min(head.size);
    if as_json {
        let told = json!({
            "verified": true, "size": head.size, "root": hex::encode(head.root), "archived": archived,
            "checkpoints": checkpoints, "ruled": ruled, "covered": covered, "uncovered": uncovered, "rows": rows,
            "forgotten_people": forgotten_people, "forgotten_texts": forgotten_texts,
            "uncommitted_pins": uncommitted_pins, "ruled_alone": ruled_alone, "unstored_checkpoints": unstored,
        });
        let _ = output::json(&told);
        return;
    }
    data(&format!("{} events verified, root {}", head.size, hex::encode(head.root)));
    match checkpoints {
        0 => data("no checkpoint is stored with the log"),
        _ => data(&format!("{checkpoints} checkpoints stored with the log, each signed by a key of the log")),
    }
    if *ruled > 0 {
        data(&format!(
            "{ruled} checkpoints kept elsewhere are contradicted by the log, and were ruled on: it was put back"
        ));
    }
    match rows {
        Some(rows) => data(&format!("{rows} derived rows are what the events say, and every claim holds")),
        None => data("derived tables were not looked at (--fast)"),
    }
    if *archived > 0 {
        data(&format!("{archived} events are in an archive: their hashes were verified, their bytes were not at hand"));
    }
    if forgotten_people + forgotten_texts > 0 {
        data(&format!("{forgotten_people} people and {forgotten_texts} texts were forgotten"));
    }
    if *uncommitted_pins > 0 {
        data(&format!(
            "{uncommitted_pins} operators have a PIN that the log says nothing of: `lineseal operator reset` mends that"
        ));
    }
    if *ruled_alone > 0 {
        data(&format!("{ruled_alone} rulings name one person, and do not say that one was enough"));
    }
    if *unstored > 0 {
        data(&format!(
            "{unstored} checkpoints held elsewhere hold, and are not stored with the log: it was restored from before \
             they were kept, or they were deleted"
        ));
    }
    match (covered, uncovered) {
        (None, _) => {
            data("no checkpoint from outside was given: whoever holds database and key could have rewritten all of it")
        }
        (Some(_), 0) => data("all of it is covered by a checkpoint held elsewhere"),
        (Some(covered), count) => data(&format!(
            "events {covered} to {} ({count}) are not covered by a checkpoint held elsewhere",
            head.size - 1
        )),
    }
}

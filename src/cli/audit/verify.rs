//! `lineseal audit verify`: is the log what was written?

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use serde_json::json;

use super::super::output::{self, data, say};
use super::super::{Global, exit, places};
use crate::audit::note::SignedCheckpoint;
use crate::bootstrap::{self, Found};
use crate::config::Config;
use crate::domain::{Failure, ReasonCode};
use crate::ports::{Broken, Progress, Stage, Verification, Verified, Witness};
use crate::texts::{Texts, fl};

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
    let texts = match output::texts(&language) {
        Ok(texts) => texts,
        Err(failure) => return exit::report(Err(failure), &language),
    };
    match perform(global, config, options, &texts) {
        Ok((Ok(verified), beside)) => {
            tell(&verified, &beside, global.json, &texts);
            // What a place would have said against the log is not known.
            beside.unread.first().map_or(ExitCode::SUCCESS, |failure| ExitCode::from(exit::of_failure(failure)))
        }
        Ok((Err(broken), _)) => {
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
    texts: &Texts,
) -> Result<(Result<Verified, Broken>, Found), Failure> {
    let data_dir = places(global).data_dir;
    let since: Vec<Witness> = options.since.iter().map(witness).collect::<Result<_, _>>()?;
    let mut found = match bootstrap::block_on(bootstrap::witnesses(config, &data_dir)) {
        // The verification itself says where.
        Err(failure) if failure.code == ReasonCode::STORE_CORRUPT => Default::default(),
        found => found?,
    };
    found.unread.iter().for_each(|failure| output::failure(failure, texts.language()));
    for (place, size) in &found.passed_over {
        let (place, size) = (place.to_string(), *size);
        say(&fl!(texts.loader(), "cli-verify-passed-over", place = place, size = size));
    }
    for (place, count) in &found.junk {
        let (place, count) = (place.to_string(), *count);
        say(&fl!(texts.loader(), "cli-verify-junk", place = place, count = count));
    }
    let copies = std::mem::take(&mut found.witnesses);
    // A mark that is damaged keeps nobody from verifying what there is.
    let noted = bootstrap::block_on(bootstrap::high_water_mark(&data_dir)).unwrap_or_else(|failure| {
        output::failure(&failure, texts.language());
        found.unread.push(failure);
        None
    });
    let noted = noted.map(|head| ("the high-water mark".to_owned(), head)).into_iter().collect();
    let what = Verification { since, copies, noted, projections: !options.fast };
    let mut told = 0;
    options.archive.iter().try_for_each(|path| is_file(path))?;
    let mut verifier = bootstrap::verifier(config, &data_dir, &options.archive)?;
    let verified = verifier.verify(&what, &mut |progress| {
        let Progress { stage, done, total } = progress;
        // Every tenth of the way is a word; a terminal is no film.
        let tenth = (done * 10).checked_div(total).unwrap_or(10);
        if stage == Stage::Events && tenth > told {
            told = tenth;
            say(&fl!(texts.loader(), "cli-verify-progress", done = done, total = total));
        }
    })?;
    Ok((verified, found))
}

/// Said before anything is opened: an archive that is not there is no fault of the log.
fn is_file(path: &Path) -> Result<(), Failure> {
    let wrong = match std::fs::metadata(path) {
        Ok(found) if found.is_dir() => "is a folder; name the archive in it (give --archive once for each)".to_owned(),
        Ok(_) => return Ok(()),
        Err(error) => error.to_string(),
    };
    Err(Failure::new(ReasonCode::ARGUMENT_REFUSED, format!("--archive {}: {wrong}", path.display())))
}

fn witness(path: &PathBuf) -> Result<Witness, Failure> {
    let place = path.display().to_string();
    let bad = |cause: String| Failure::new(ReasonCode::ARGUMENT_REFUSED, format!("--since {place}: {cause}"));
    let note = std::fs::read_to_string(path).map_err(|error| bad(error.to_string()))?;
    let checkpoint: SignedCheckpoint =
        note.parse().map_err(|error: crate::audit::note::CheckpointError| bad(error.to_string()))?;
    Ok(Witness { place, checkpoint })
}

fn tell(verified: &Verified, beside: &Found, as_json: bool, texts: &Texts) {
    let Verified { head, archived, checkpoints, covered, ruled, rows, forgotten_people, forgotten_texts, .. } =
        verified;
    let Verified { uncommitted_pins, ruled_alone, unstored, unjudged, remembered, .. } = verified;
    let uncovered = head.size - covered.unwrap_or(0).min(head.size);
    if as_json {
        let strangers = beside.passed_over.iter().map(|(place, size)| json!({ "place": place, "size": size }));
        let junk = beside.junk.iter().map(|(place, count)| json!({ "place": place, "count": count }));
        let unread = beside.unread.iter().map(|failure| json!({ "reason": failure.code, "cause": failure.cause }));
        let (strangers, junk, unread): (Vec<_>, Vec<_>, Vec<_>) =
            (strangers.collect(), junk.collect(), unread.collect());
        let told = json!({
            "verified": true, "size": head.size, "root": hex::encode(head.root), "archived": archived,
            "checkpoints": checkpoints, "ruled": ruled, "covered": covered, "uncovered": uncovered, "rows": rows,
            "forgotten_people": forgotten_people, "forgotten_texts": forgotten_texts, "remembered": remembered,
            "uncommitted_pins": uncommitted_pins, "ruled_alone": ruled_alone, "unstored_checkpoints": unstored,
            "unjudged_rulings": unjudged, "unread_places": unread, "passed_over": strangers, "junk": junk,
        });
        let _ = output::json(&told);
        return;
    }
    let (texts, ruled, archived) = (texts.loader(), *ruled, *archived);
    data(&fl!(texts, "cli-verified", size = head.size, root = hex::encode(head.root)));
    match *checkpoints {
        0 => data(&fl!(texts, "cli-verified-no-checkpoint")),
        count => data(&fl!(texts, "cli-verified-checkpoints", count = count)),
    }
    if ruled > 0 {
        data(&fl!(texts, "cli-verified-ruled", count = ruled));
    }
    match *rows {
        Some(count) => data(&fl!(texts, "cli-verified-rows", count = count)),
        None => data(&fl!(texts, "cli-verified-fast")),
    }
    if archived > 0 {
        data(&fl!(texts, "cli-verified-archived", count = archived));
    }
    let (people, words) = (*forgotten_people, *forgotten_texts);
    if people + words > 0 {
        data(&fl!(texts, "cli-verified-forgotten", people = people, texts = words));
    }
    if let count @ 1.. = *remembered {
        data(&fl!(texts, "cli-verified-remembered", count = count));
    }
    let (pins, alone, unstored, unjudged) = (*uncommitted_pins, *ruled_alone, *unstored, *unjudged);
    if pins > 0 {
        data(&fl!(texts, "cli-verified-pins", count = pins));
    }
    if alone > 0 {
        data(&fl!(texts, "cli-verified-alone", count = alone));
    }
    if unjudged > 0 {
        data(&fl!(texts, "cli-verified-unjudged", count = unjudged));
    }
    if unstored > 0 {
        data(&fl!(texts, "cli-verified-unstored", count = unstored));
    }
    match (*covered, uncovered) {
        (None, _) => data(&fl!(texts, "cli-uncovered-all")),
        (Some(_), 0) => data(&fl!(texts, "cli-covered")),
        (Some(first), count) => {
            let last = head.size - 1;
            data(&fl!(texts, "cli-uncovered", first = first, last = last, count = count));
        }
    }
}

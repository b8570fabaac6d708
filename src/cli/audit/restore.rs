//! `lineseal audit restore`: a backup in the log's place. The station starts with it, and claims again
//! once a supervisor has ruled on what is missing.

use std::path::PathBuf;
use std::process::ExitCode;

use serde_json::json;

use super::super::output::{self, data, say};
use super::super::sign_in::Acting;
use super::super::{Global, exit, places};
use crate::audit::LineEvent;
use crate::bootstrap;
use crate::config::Config;
use crate::domain::{Failure, ReasonCode, Role};

#[derive(clap::Args)]
pub struct Options {
    /// A copy that `lineseal audit backup` made.
    #[arg(value_name = "FILE")]
    backup: PathBuf,
    /// There is a log that can be read: put it aside and take the backup instead.
    #[arg(long)]
    replace: bool,
    #[command(flatten)]
    acting: Acting,
}

pub fn main(global: &Global, config: &Config, options: &Options) -> ExitCode {
    let language = output::language(global.language.as_deref(), config.station.language.as_deref());
    exit::report(bootstrap::block_on(perform(global, config, options)), &language)
}

async fn perform(global: &Global, config: &Config, options: &Options) -> Result<(), Failure> {
    let data_dir = places(global).data_dir;
    let known = bootstrap::size_of_log(&data_dir).await;
    if let Some(size) = known.filter(|_| !options.replace) {
        let cause = format!("{} holds a log of {size} events; --replace puts it aside", data_dir.display());
        return Err(Failure::new(ReasonCode::NOT_NOW, cause));
    }
    let restoring = bootstrap::restore(config, &data_dir, &options.backup)?;
    if restoring.incoming.with_wal {
        say(&format!("what lay in {}-wal is taken in with it", options.backup.display()));
    }
    // Whoever was a supervisor when the backup was made may put it back.
    let roles = [Role::Supervisor, Role::Administrator];
    let by = options.acting.sign_in_to(global, &restoring.log, &*restoring.people, &roles).await?;
    let (head, file) = (restoring.incoming.copy.head, restoring.incoming.copy.file);
    let root = crate::domain::Sha256::from_bytes(head.root);
    restoring.log.by(&by).line(LineEvent::Restored { size: head.size, root, file, replaced: known.is_some() }).await?;
    let before = restoring.finish()?;
    if let Some(before) = &before {
        say(&format!("the log that was there is kept as {}", before.display()));
    }
    say("the next start compares it with the checkpoints kept elsewhere; what is missing, a supervisor rules on");
    if global.json {
        let told = json!({ "size": head.size, "root": root, "sha256": file, "before": before });
        let _ = output::json(&told);
    } else {
        data(&format!("{} events, root {root}", head.size));
    }
    Ok(())
}

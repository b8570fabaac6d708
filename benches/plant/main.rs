//! How the log stands a plant's size: makes a plant of as many units as asked for, then measures the
//! store on it against what it promises.
//!
//! `cargo bench --bench plant` (20,000 units, a minute), `cargo bench --bench plant -- --units 1000000
//! --dir DIR` (some 11 GB in DIR, which is kept and used again), `-- --postgres` (eight stations on a
//! server of its own). It exits with 1 when a promise is not kept.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "it reports by itself")]
#![allow(clippy::unwrap_used, reason = "what a measurement does when it is wrong is to say so and die")]

mod append;
mod ask;
mod claim;
mod disk;
mod fill;
#[path = "../../tests/peers/postgres.rs"]
mod postgres_server;
mod stations;
mod table;
mod unit;
mod verify;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser;
use table::Table;
use unit::Plant;

#[derive(Parser)]
struct Options {
    /// Units that have been made, ten events each.
    #[arg(long, default_value_t = 20_000)]
    units: u64,
    /// Where the plant is, or shall be; not in memory. Without it: a folder that goes afterwards.
    #[arg(long)]
    dir: Option<PathBuf>,
    /// The same seed and size is the same plant.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How often each question is asked, and how many units are claimed.
    #[arg(long, default_value_t = 300)]
    rounds: usize,
    /// Only these measurements: open, claim, search, history, proof, append, verify.
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// Eight stations on one PostgreSQL instead.
    #[arg(long)]
    postgres: bool,
    /// What cargo adds.
    #[arg(long, hide = true)]
    bench: bool,
}

impl Options {
    fn wants(&self, what: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|only| only == what)
    }
}

type Trouble = Box<dyn std::error::Error + Send + Sync>;

fn main() -> ExitCode {
    let options = Options::parse();
    let result = lineseal::bootstrap::runtime().map_err(Trouble::from).and_then(|runtime| {
        let mut table = Table::default();
        let done = if options.postgres {
            stations::measure(&runtime, &mut table)
        } else {
            runtime.block_on(measure(&options, &mut table))
        };
        done.map(|()| table)
    });
    match result {
        Ok(table) => {
            println!("\n{table}");
            if table.kept() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(trouble) => {
            eprintln!("{trouble}");
            ExitCode::from(2)
        }
    }
}

async fn measure(options: &Options, table: &mut Table) -> Result<(), Trouble> {
    let (folder, _goes) = folder(options.dir.as_deref())?;
    disk::refuse_memory(&folder)?;
    let plant = Plant { seed: options.seed, units: options.units };
    let path = folder.join(format!("plant-{}-{}.db", plant.units, plant.seed));
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    println!("{} units, seed {}, {}, {cores} cores", plant.units, plant.seed, path.display());

    fill::make(&plant, &path, table).await?;
    if options.wants("open") {
        ask::open(&path, options.rounds, table).await?;
    }
    let store = lineseal::adapters::sqlite::open(&path)?;
    if options.wants("search") {
        ask::search(&store, &plant, options.rounds, table).await?;
    }
    if options.wants("history") {
        ask::history(&store, &plant, options.rounds, table).await?;
    }
    if options.wants("proof") {
        ask::proofs(&store, options.seed, options.rounds, table).await?;
    }
    if options.wants("claim") {
        claim::measure(&store, &plant, &path, options.rounds, table).await?;
    }
    if options.wants("verify") {
        verify::measure(&store, &path, &folder, table).await?;
    }
    drop(store);
    if options.wants("append") {
        append::measure(&folder, &plant, table).await?;
    }
    Ok(())
}

/// The folder asked for, or one beside the build that is removed at the end.
fn folder(asked: Option<&Path>) -> Result<(PathBuf, Option<tempfile::TempDir>), Trouble> {
    match asked {
        Some(dir) => {
            std::fs::create_dir_all(dir)?;
            Ok((dir.to_owned(), None))
        }
        None => {
            // The system's folder for temporary files is often in memory.
            let target = Path::new(option_env!("CARGO_TARGET_TMPDIR").unwrap_or("target"));
            let goes = tempfile::Builder::new().prefix("plant-").tempdir_in(target)?;
            Ok((goes.path().to_owned(), Some(goes)))
        }
    }
}

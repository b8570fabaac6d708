//! The claim, and what of it is the disk's.

use std::path::Path;
use std::time::{Duration, Instant};

use lineseal::adapters::store::LogStore;
use lineseal::ports::{AuditStore as _, ClaimAnswer};
use rand::Rng as _;

use crate::Trouble;
use crate::disk::{Baseline, written};
use crate::table::{Table, Times, millis};
use crate::unit::Plant;

const BEYOND_THE_SYNC: Duration = Duration::from_millis(2);
/// Enough for a 99th percentile that says something.
const ROUNDS: usize = 5;

/// Claims of new units, each followed by the same bytes written and synced beside the log: both meet
/// the same disk in the same second. The promise is about the difference of the two percentiles.
pub async fn measure(
    store: &LogStore,
    plant: &Plant,
    path: &Path,
    rounds: usize,
    table: &mut Table,
) -> Result<(), Trouble> {
    let beside = path.with_extension("sync");
    let mut disk = Baseline::new(&beside)?;
    // An earlier run on this plant has claimed others.
    let first = plant.units + rand::rng().random_range(0..1_000_000_000);
    let (mut claims, mut syncs, mut bytes) = (Times::default(), Times::default(), 0);
    for number in first..first + (rounds * ROUNDS) as u64 {
        let claim = plant.unit(number).claim();
        let before = written()?;
        let began = Instant::now();
        let answer = store.claim(claim).await?;
        let took = began.elapsed();
        if !matches!(answer, ClaimAnswer::Bound(_)) {
            return Err(format!("unit {number} was not bound: {answer:?}").into());
        }
        let wrote = written()?.saturating_sub(before);
        claims.push(took);
        // What a checkpoint of the log wrote is not the commit's: the baseline has no such thing.
        syncs.push(disk.commit(wrote.min(256 << 10))?);
        bytes += wrote;
    }
    drop(disk);
    std::fs::remove_file(&beside)?;
    let count = (rounds * ROUNDS) as u64;
    for (name, times) in [("claim", &claims), ("the same bytes written and synced", &syncs)] {
        let [p50, p99] = [0.5, 0.99].map(|share| millis(times.quantile(share)));
        table.note(format!("{name}, p50 / p99"), format!("{p50:.2} / {p99:.2} ms"));
    }
    table.note("bytes written a claim", (bytes / count).to_string());
    let median = claims.quantile(0.5).saturating_sub(syncs.quantile(0.5));
    table.at_most("claim beyond the sync, p50", median, BEYOND_THE_SYNC);
    let beyond = claims.quantile(0.99).saturating_sub(syncs.quantile(0.99));
    table.at_most("claim beyond the sync, p99", beyond, BEYOND_THE_SYNC);
    Ok(())
}

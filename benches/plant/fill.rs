//! Makes the plant: every event through the store's own door, thousands in one transaction.

use std::path::Path;
use std::time::{Duration, Instant};

use lineseal::adapters::sqlite;
use lineseal::adapters::store::LogStore;
use lineseal::ports::{AuditStore as _, History as _};
use tokio::sync::mpsc;

use crate::Trouble;
use crate::table::Table;
use crate::unit::Plant;

/// Units of one transaction.
const AT_ONCE: u64 = 5_000;

/// Goes on where an earlier call ended: a transaction is there wholly or not at all.
pub async fn make(plant: &Plant, path: &Path, table: &mut Table) -> Result<(), Trouble> {
    let store = sqlite::open(path)?;
    for (name, id, salt) in plant.people() {
        store.operator(&name, (id, salt)).await?;
    }
    let first = made_so_far(&store, plant).await?;
    let before = store.head().await?.size;
    let (made, mut events) = mpsc::channel(1);
    let copy = *plant;
    let maker = std::thread::spawn(move || {
        for from in (first..copy.units).step_by(AT_ONCE as usize) {
            let until = copy.units.min(from + AT_ONCE);
            let batch: Vec<_> = (from..until).flat_map(|number| copy.unit(number).events()).collect();
            if made.blocking_send((until, batch)).is_err() {
                return;
            }
        }
    });
    let mut writing = Duration::ZERO;
    while let Some((until, batch)) = events.recv().await {
        let began = Instant::now();
        store.append(batch).await?;
        writing += began.elapsed();
        if until % 100_000 == 0 {
            println!("  {until} units after {:.0} s of writing", writing.as_secs_f64());
        }
    }
    maker.join().map_err(|_| "the plant's maker ended")?;
    let size = store.head().await?.size;
    drop(store);
    table.note("events", size.to_string());
    if size > before {
        let rate = (size - before) as f64 / writing.as_secs_f64();
        table.at_least("filling: events a second, derived tables included", rate, "/s", 20_000.0);
    }
    let bytes = std::fs::metadata(path)?.len();
    table.note("the file, MB a million events", format!("{:.0}", bytes as f64 / size as f64));
    Ok(())
}

/// The first unit that is not in the log.
async fn made_so_far(store: &LogStore, plant: &Plant) -> Result<u64, Trouble> {
    let (mut there, mut missing) = (0, plant.units);
    while there < missing {
        let middle = there + (missing - there) / 2;
        if store.units(plant.unit(middle).unit.serial.as_str()).await?.is_empty() {
            missing = middle;
        } else {
            there = middle + 1;
        }
    }
    Ok(there)
}

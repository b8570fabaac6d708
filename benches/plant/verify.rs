//! Verifying all of it, beside what anybody's tool needs for hashing the same bytes.

use std::fs::{self, File};
use std::io::{BufWriter, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use lineseal::adapters::sqlite;
use lineseal::adapters::store::LogStore;
use lineseal::ports::{AuditStore as _, History as _, Verification, Verifier as _};

use crate::table::Table;
use crate::{Trouble, disk};

const BYTES: f64 = 1_000_000.0;
const PROJECTIONS: f64 = 200_000.0;
/// So much is written out for openssl; of a larger log the beginning.
const EXPORT: u64 = 1 << 30;

pub async fn measure(store: &LogStore, path: &Path, folder: &Path, table: &mut Table) -> Result<(), Trouble> {
    let export = folder.join("events.bytes");
    let (events, bytes) = write_out(store, &export).await?;
    let openssl = of_openssl(&export)?;
    fs::remove_file(&export)?;
    let by_openssl = events as f64 / openssl.as_secs_f64();
    table.note("openssl dgst -sha256 over the same bytes: events a second a core", format!("{by_openssl:.0} /s"));
    table.note("bytes an event", (bytes / events).to_string());

    let size = store.head().await?.size;
    for projections in [false, true] {
        disk::forget_high_water()?;
        let what = Verification { projections, ..Verification::default() };
        let (mut took, mut own, mut all) = (Duration::MAX, Duration::MAX, Duration::MAX);
        // From the second time on the file is in memory, as far as it fits: as openssl's was. The fastest counts,
        // since whatever else the machine does makes all of them slower.
        for _ in 0..3 {
            let mut verifier = sqlite::verifier(path, folder)?;
            let (began, thread, [process, _]) = (Instant::now(), disk::thread_time()?, disk::processor_time()?);
            verifier.verify(&what, &mut |_| {})??;
            took = took.min(began.elapsed());
            own = own.min(disk::thread_time()?.saturating_sub(thread));
            all = all.min(disk::processor_time()?[0].saturating_sub(process));
        }
        let [rate, a_core, of_all] = [took, own, all].map(|time| size as f64 / time.as_secs_f64());
        if projections {
            table.at_least("verification, projections derived and compared: events", rate, "/s", PROJECTIONS);
            table.note("the same, a second of processor time of both threads", format!("{of_all:.0} /s"));
        } else {
            // One thread does all of it.
            table.note("verification of bytes, tree and checkpoints: events", format!("{rate:.0} /s"));
            table.at_least("the same, a second of one core", a_core, "/s", BYTES);
            table.note("processor time of it beside openssl's", format!("{:.2} ×", by_openssl / a_core));
        }
        table.note("memory at its highest meanwhile", disk::high_water()?);
    }
    Ok(())
}

async fn write_out(store: &LogStore, export: &Path) -> Result<(u64, u64), Trouble> {
    let mut file = BufWriter::with_capacity(1 << 20, File::create(export)?);
    let (mut events, mut written) = (0, 0);
    while written < EXPORT {
        let page = store.events(events, 1000).await?;
        if page.is_empty() {
            break;
        }
        for (_, bytes) in page {
            file.write_all(&bytes)?;
            events += 1;
            written += bytes.len() as u64;
        }
    }
    file.flush()?;
    Ok((events, written))
}

/// Its processor time, the file being in memory.
fn of_openssl(export: &Path) -> Result<Duration, Trouble> {
    let mut took = Duration::ZERO;
    for _ in 0..2 {
        let [_, before] = disk::processor_time()?;
        let status = Command::new("openssl").args(["dgst", "-sha256"]).arg(export).stdout(Stdio::null()).status()?;
        took = disk::processor_time()?[1].saturating_sub(before);
        if !status.success() {
            return Err("openssl failed".into());
        }
    }
    Ok(took)
}

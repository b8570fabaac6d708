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
    table.note(
        "openssl dgst -sha256 over the same bytes, events a second",
        format!("{:.0} /s", events as f64 / openssl.as_secs_f64()),
    );
    table.note("bytes an event", (bytes / events).to_string());

    let size = store.head().await?.size;
    for projections in [false, true] {
        disk::forget_high_water()?;
        let what = Verification { projections, ..Verification::default() };
        // The second time the file is in memory, as openssl's was.
        let mut rate = 0.0;
        for _ in 0..if projections { 1 } else { 2 } {
            let mut verifier = sqlite::verifier(path, folder)?;
            let began = Instant::now();
            verifier.verify(&what, &mut |_| {})??;
            rate = size as f64 / began.elapsed().as_secs_f64();
        }
        if projections {
            table.at_least("verification, projections derived and compared: events", rate, "/s", PROJECTIONS);
        } else {
            table.at_least("verification of bytes, tree and checkpoints: events", rate, "/s", BYTES);
            let ratio = events as f64 / openssl.as_secs_f64() / rate;
            table.note("the time of it beside openssl's", format!("{ratio:.2} ×"));
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

/// The second of two runs: the file is in memory then.
fn of_openssl(export: &Path) -> Result<Duration, Trouble> {
    let mut took = Duration::ZERO;
    for _ in 0..2 {
        let began = Instant::now();
        let status = Command::new("openssl").args(["dgst", "-sha256"]).arg(export).stdout(Stdio::null()).status()?;
        took = began.elapsed();
        if !status.success() {
            return Err("openssl failed".into());
        }
    }
    Ok(took)
}

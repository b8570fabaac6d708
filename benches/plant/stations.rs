//! A plant's stations on one PostgreSQL, whose every commit takes five milliseconds more.

use std::sync::Arc;
use std::time::{Duration, Instant};

use lineseal::adapters::postgres;
use lineseal::adapters::store::LogStore;
use lineseal::ports::{AuditStore as _, ClaimAnswer};
use tokio::runtime::Runtime;

use crate::Trouble;
use crate::postgres_server::{Postgres, Proxy};
use crate::table::Table;
use crate::unit::Plant;

const STATIONS: u64 = 8;
const LANES: u64 = 16;
const SLOWER: Duration = Duration::from_millis(5);
const FOR: Duration = Duration::from_secs(8);

pub fn measure(runtime: &Runtime, table: &mut Table) -> Result<(), Trouble> {
    let server = Postgres::start_with(&[("max_connections", "100")]);
    let alone = claims(runtime, &server, 1)?;
    let batched = claims(runtime, &server, LANES)?;
    table.note("claims a second, a transaction each", format!("{alone:.0} /s"));
    table.at_least("claims a second, all lanes of a station in one transaction", batched, "/s", 200.0);
    table.at_least("batched beside unbatched", batched / alone, "×", 3.0);
    Ok(())
}

/// Eight stations, each with so many lanes that claim one unit after the other. A single lane never
/// waits with another one: each of its claims is a transaction.
fn claims(runtime: &Runtime, server: &Postgres, lanes: u64) -> Result<f64, Trouble> {
    let proxy = Proxy::before(server);
    let database = server.fresh_database().through(&proxy);
    let stations = (0..STATIONS)
        .map(|_| Ok(Arc::new(postgres::open(database.config())?)))
        .collect::<Result<Vec<Arc<LogStore>>, Trouble>>()?;
    proxy.delay_commits(SLOWER);
    let plant = Plant { seed: 1, units: 0 };
    let count: u64 = runtime.block_on(async {
        let until = Instant::now() + FOR;
        let tasks: Vec<_> = (0..STATIONS * lanes)
            .map(|lane| {
                let store = Arc::clone(&stations[(lane % STATIONS) as usize]);
                tokio::spawn(async move {
                    let mut count = 0;
                    while Instant::now() < until {
                        let claim = plant.unit(lane * 1_000_000 + count).claim();
                        match store.claim(claim).await? {
                            ClaimAnswer::Bound(_) => count += 1,
                            other => return Err(Trouble::from(format!("{other:?}"))),
                        }
                    }
                    Ok(count)
                })
            })
            .collect();
        let mut all = 0;
        for task in tasks {
            all += task.await??;
        }
        Ok::<_, Trouble>(all)
    })?;
    proxy.delay_commits(Duration::ZERO);
    Ok(count as f64 / FOR.as_secs_f64())
}

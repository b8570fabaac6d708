//! Killed at no particular moment, again and again.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};

use crate::bench::Bench;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_at_random_moments() {
    let seed = std::env::var("LINESEAL_SEED").map_or_else(|_| rand::random(), |text| text.parse().unwrap());
    let kills = if std::env::var_os("LINESEAL_LONG").is_some() { 300 } else { 10 };
    println!("LINESEAL_SEED={seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let mut bench = Bench::new().await;
    let (mut killed, mut boards) = (0, 0);
    while killed < kills {
        let serial = bench.plug().await;
        boards += 1;
        for _ in 0..random.random_range(1..=4) {
            let mut station = bench.station();
            // From the first snapshot on: the start of the process is the longest part, and the dullest.
            station.until("a snapshot", |shown| !shown.lanes.is_empty()).await;
            tokio::time::sleep(Duration::from_millis(random.random_range(0..1200))).await;
            station.kill().await;
            killed += 1;
            bench.log();
        }
        bench.settle_down(&serial).await;
        bench.accounts(&serial, 1).await;
        bench.unplug();
    }
    bench.count_in_the_cloud(boards).await;
}

//! Questions to a log of this size: what QA, auditors and a starting station ask.

use std::path::Path;
use std::time::{Duration, Instant};

use lineseal::adapters::sqlite;
use lineseal::adapters::store::LogStore;
use lineseal::audit::proof::{prove_consistency, prove_inclusion, verify_consistency, verify_inclusion};
use lineseal::audit::{LeafHash, Node, TreeHead};
use lineseal::domain::{ReasonCode, Verdict};
use lineseal::ports::{AuditStore as _, History as _, Search};
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};

use crate::Trouble;
use crate::table::{Table, Times};
use crate::unit::{Made, Plant};

const FIRST_PAGE: Duration = Duration::from_millis(20);
const UNIT: Duration = Duration::from_millis(5);
const PROOF: Duration = Duration::from_millis(5);
const OPEN: Duration = Duration::from_millis(200);
/// Rows of a page.
const PAGE: u32 = 50;

/// From nothing to what a station asks first.
pub async fn open(path: &Path, rounds: usize, table: &mut Table) -> Result<(), Trouble> {
    let mut times = Times::default();
    for _ in 0..rounds.min(20) {
        let began = Instant::now();
        let store = sqlite::open(path)?;
        store.head().await?;
        let station = "L1-ST1".parse()?;
        store.unfinished(&station).await?;
        store.unsettled_labels(&station).await?;
        store.open_batch(&station).await?;
        store.held_count().await?;
        times.push(began.elapsed());
    }
    table.at_most("open at start, slowest of 20", times.quantile(1.0), OPEN);
    Ok(())
}

pub async fn search(store: &LogStore, plant: &Plant, rounds: usize, table: &mut Table) -> Result<(), Trouble> {
    let mut random = StdRng::seed_from_u64(plant.seed);
    let mut slowest = Duration::ZERO;
    for (name, kind) in kinds() {
        let (mut times, mut found) = (Times::default(), 0);
        for _ in 0..rounds {
            let made = plant.unit(random.random_range(0..plant.units));
            let search = kind(&made, &mut random);
            let began = Instant::now();
            let page = store.search(&search, None, PAGE).await?;
            times.push(began.elapsed());
            found += page.items.len();
        }
        let p99 = times.quantile(0.99);
        slowest = slowest.max(p99);
        let name = format!("search by {name}: p99 (p50 {:.2} ms, {} rows)", millis(&times), found / rounds.max(1));
        table.at_most(name, p99, FIRST_PAGE);
    }
    table.at_most("search, first page of 50: p99 of the slowest kind", slowest, FIRST_PAGE);
    Ok(())
}

fn millis(times: &Times) -> f64 {
    crate::table::millis(times.quantile(0.5))
}

type Kind = Box<dyn Fn(&Made, &mut StdRng) -> Search>;

/// Every kind of search that `audit search` has, by values of a unit that exists.
fn kinds() -> Vec<(&'static str, Kind)> {
    fn kind(name: &'static str, of: impl Fn(&Made, &mut StdRng) -> Search + 'static) -> (&'static str, Kind) {
        (name, Box::new(of))
    }
    let none = Search::default;
    vec![
        kind("nothing", move |_, _| none()),
        kind("serial's beginning", move |made, random| Search { serial: begin(&made.unit.serial, random), ..none() }),
        kind("thing's beginning", move |made, random| Search { thing: begin(&made.thing, random), ..none() }),
        kind("fingerprint's beginning", move |made, random| Search {
            fingerprint: begin(&made.identity.fingerprint, random),
            ..none()
        }),
        kind("chip UID's beginning", move |made, random| Search {
            uid: made.identity.uid.as_ref().and_then(|uid| begin(uid, random)),
            ..none()
        }),
        kind("operator", move |made, _| Search { operator: Some(made.operator.id), ..none() }),
        kind("batch", move |made, _| Search { batch: Some(made.batch.clone()), ..none() }),
        kind("reason", move |_, random| {
            let known = ["S-101", "C-102", "S-102", "C-103", "S-105", "T-203", "T-204", "B-102", "A-312", "B-105"];
            Search { reason: known[random.random_range(0..known.len())].parse::<ReasonCode>().ok(), ..none() }
        }),
        kind("verdict", move |_, random| {
            let verdicts = [Verdict::Pass, Verdict::Fail, Verdict::Error, Verdict::Aborted, Verdict::Held];
            Search { verdict: Some(verdicts[random.random_range(0..5)]), ..none() }
        }),
        kind("time", move |made, _| {
            let until = made.started + jiff::SignedDuration::from_hours(1);
            Search { from: Some(made.started), until: Some(until), ..none() }
        }),
        kind("common words", move |made, random| {
            let product = made.unit.product.to_string();
            let words = ["pass", product.as_str(), "gateway", "センサー", "fail", "certificate"];
            Search { words: Some(words[random.random_range(0..words.len())].to_owned()), ..none() }
        }),
        kind("rare words", move |made, _| Search { words: Some(made.unit.serial.to_string()), ..none() }),
        kind("words of a batch", move |made, _| Search { words: Some(format!("{} pass", made.batch)), ..none() }),
        kind("common and rare words", move |made, _| Search {
            words: Some(format!("pass {} {}", made.unit.product, made.unit.serial)),
            ..none()
        }),
        kind("a word's beginning", move |made, random| {
            let words = made.unit.serial.to_string().to_lowercase();
            let candidates = [words.split('-').nth(1).unwrap_or_default(), "certificate", "gateway", "pass", &words];
            Search { words: begin(&candidates[random.random_range(0..candidates.len())], random), ..none() }
        }),
        kind("words that never stand together", move |_, random| {
            let pairs = ["aborted certificate", "pass signature", "gateway センサー", "held gave", "pass connection"];
            Search { words: Some(pairs[random.random_range(0..pairs.len())].to_owned()), ..none() }
        }),
        kind("serial's beginning and verdict", move |made, random| Search {
            serial: begin(&made.unit.serial, random),
            verdict: Some(Verdict::Fail),
            ..none()
        }),
        kind("operator and reason", move |made, _| Search {
            operator: Some(made.operator.id),
            reason: Some(ReasonCode::CHIP_LACKS_KEY),
            ..none()
        }),
        kind("operator and time", move |made, _| Search {
            operator: Some(made.operator.id),
            from: Some(made.started),
            until: Some(made.started + jiff::SignedDuration::from_hours(1)),
            ..none()
        }),
        kind("verdict and words", move |made, _| Search {
            verdict: Some(Verdict::Fail),
            words: Some(made.unit.product.to_string()),
            ..none()
        }),
    ]
}

/// From one character of it to all of them.
fn begin(text: &impl ToString, random: &mut StdRng) -> Option<String> {
    let text = text.to_string();
    let length = random.random_range(1..=text.chars().count());
    Some(text.chars().take(length).collect())
}

pub async fn history(store: &LogStore, plant: &Plant, rounds: usize, table: &mut Table) -> Result<(), Trouble> {
    let mut random = StdRng::seed_from_u64(plant.seed);
    let mut times = Times::default();
    for _ in 0..rounds {
        let made = plant.unit(random.random_range(0..plant.units));
        let began = Instant::now();
        let history = store.unit(&made.unit).await?;
        times.push(began.elapsed());
        history.ok_or("a unit without a history")?;
    }
    table.at_most("a unit's whole history, p99", times.quantile(0.99), UNIT);
    Ok(())
}

pub async fn proofs(store: &LogStore, seed: u64, rounds: usize, table: &mut Table) -> Result<(), Trouble> {
    let mut random = StdRng::seed_from_u64(seed);
    let (mut inclusion, mut consistency) = (Times::default(), Times::default());
    for _ in 0..rounds {
        let began = Instant::now();
        let head = store.tree_head().await?;
        let index = random.random_range(0..head.size);
        let proof = inclusion_of(store, index, head.size).await?;
        inclusion.push(began.elapsed());
        let leaf = store.leaves(&[index]).await?;
        verify_inclusion(LeafHash::of(&leaf[0]), index, head, &proof)?;

        let began = Instant::now();
        let old = random.random_range(1..=head.size);
        let proof = consistency_of(store, old, head.size).await?;
        consistency.push(began.elapsed());
        let root = root_at(store, old).await?;
        verify_consistency(TreeHead { size: old, root }, head, &proof)?;
    }
    table.at_most("inclusion proof, p99", inclusion.quantile(0.99), PROOF);
    table.at_most("consistency proof, p99", consistency.quantile(0.99), PROOF);
    Ok(())
}

/// The nodes of a proof, which the store is asked for all at once.
async fn inclusion_of(store: &LogStore, index: u64, size: u64) -> Result<Vec<[u8; 32]>, Trouble> {
    let hashes = store.hashes(&nodes(|read| prove_inclusion(index, size, read).map(drop))).await?;
    Ok(prove_inclusion(index, size, |_| Ok::<_, std::convert::Infallible>(hashes))?)
}

async fn consistency_of(store: &LogStore, old: u64, size: u64) -> Result<Vec<[u8; 32]>, Trouble> {
    let hashes = store.hashes(&nodes(|read| prove_consistency(old, size, read).map(drop))).await?;
    Ok(prove_consistency(old, size, |_| Ok::<_, std::convert::Infallible>(hashes))?)
}

async fn root_at(store: &LogStore, size: u64) -> Result<[u8; 32], Trouble> {
    let hashes = store.hashes(&nodes(|read| lineseal::audit::proof::root_at(size, read).map(drop))).await?;
    Ok(lineseal::audit::proof::root_at(size, |_| Ok::<_, std::convert::Infallible>(hashes))?)
}

type Read<'n> = &'n mut dyn FnMut(&[Node]) -> Result<Vec<[u8; 32]>, ()>;

/// Which nodes a proof takes.
fn nodes<E>(prove: impl FnOnce(Read<'_>) -> Result<(), E>) -> Vec<Node> {
    let mut asked = Vec::new();
    // It ends with the refusal to read.
    let _ = prove(&mut |nodes: &[Node]| {
        asked = nodes.to_vec();
        Err(())
    });
    asked
}

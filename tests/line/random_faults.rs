//! Sixteen lanes under a cloud that fails one call in twenty, in every way that it can: every unit is accounted for.
//! 32 units, or 200 with `--long`, which takes another seed each time and prints it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use lineseal::bootstrap;
use lineseal::practice::line::{PracticeLine, PracticePlan};
use lineseal::provisioning::UnitRecord;
use lineseal::runner::view::Command;
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};

use crate::log;
use crate::peers::venv;
use crate::program::PROGRAM;
use crate::responder::{Do, Responder, error};
use crate::station::Station;

const LANES: u8 = 16;
const IN_A_HUNDRED: u32 = 5;

fn fault(random: &mut StdRng) -> Do {
    match random.random_range(0..8) {
        0 => Do::PassLate(Duration::from_millis(random.random_range(100..6000))),
        1 => Do::Cut,
        2 => Do::PassAndCut,
        3 => error(400, "ThrottlingException"),
        4 => error(500, "InternalFailureException"),
        5 => error(503, "ServiceUnavailableException"),
        6 => Do::PassHalf,
        _ => Do::PassWrong(if random.random() { "[7]" } else { "{}" }),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_unit_of_sixteen_lanes_is_accounted_for_under_random_faults() {
    let long = std::env::var_os("LINESEAL_LONG").is_some();
    let given = std::env::var("LINESEAL_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed: u64 = given.unwrap_or_else(|| if long { rand::rng().random() } else { 11 });
    println!("LINESEAL_SEED={seed}");
    let planned = if long { 200 } else { 32 };

    let dir = tempfile::tempdir().unwrap();
    let (dir, maker) = (dir.path().join("line"), PathBuf::from(PROGRAM));
    let plan = PracticePlan { dir, venv: venv(), maker, lanes: LANES, connect: None };
    let mut line = PracticeLine::start(plan, bootstrap::entropy()).await.unwrap();
    let (failing, faults) = (Arc::new(AtomicBool::new(true)), Arc::new(AtomicU32::new(0)));
    let (fails, counted) = (Arc::clone(&failing), Arc::clone(&faults));
    let random = Mutex::new(StdRng::seed_from_u64(seed));
    let endpoint = line.cloud().endpoint();
    let responder = Responder::before(&endpoint, move |_, _| {
        let mut random = random.lock().unwrap();
        if !fails.load(Ordering::Relaxed) || random.random_range(0..100) >= IN_A_HUNDRED {
            return Do::Pass;
        }
        counted.fetch_add(1, Ordering::Relaxed);
        fault(&mut random)
    })
    .await;
    let mut config = line.config().clone();
    config.targets[0].endpoint = Some(responder.endpoint());
    let mut station = Station::start_at(Arc::new(config), line.data_dir(), line.credentials(), |_| {}).await;

    let mut known: BTreeMap<String, UnitRecord> = BTreeMap::new();
    let lanes: Vec<_> = line.lanes().collect();
    while known.len() < planned {
        let mut plugged = BTreeSet::new();
        for lane in lanes.iter().take(planned - known.len()) {
            plugged.insert(line.plug(*lane, None).await.unwrap());
        }
        // A unit that was HELD may come again meanwhile, finished.
        while plugged.iter().any(|serial| !known.contains_key(serial)) {
            let record = station.unit().await;
            known.insert(record.board.serial.clone().unwrap(), record);
        }
        lanes.iter().for_each(|lane| drop(line.unplug(*lane)));
        station.until_gone(&lanes.iter().map(|lane| lane.get()).collect::<Vec<_>>()).await;
    }
    let verdicts = known.values().fold(BTreeMap::<_, u32>::new(), |mut verdicts, record| {
        *verdicts.entry(crate::station::outcome(record)).or_default() += 1;
        verdicts
    });
    println!("{} faults; {verdicts:?}", faults.load(Ordering::Relaxed));
    assert!(faults.load(Ordering::Relaxed) as usize >= planned / 4, "the cloud hardly failed");

    failing.store(false, Ordering::Relaxed);
    station.command(Command::ResumeHeld).await;
    station.until("nothing held", |shown| shown.held == 0).await;
    let log = station.stop().await;

    // Each unit's last word, by the log.
    let mut passed = BTreeMap::new();
    for (serial, record) in &known {
        let run = log::of_run(&log, &record.run);
        let sealed = run.iter().rev().find(|logged| logged.kind() == "sealed").unwrap();
        match sealed.event["verdict"].as_str().unwrap() {
            "PASS" => {
                let claim = run.iter().find(|logged| logged.kind() == "claimed").unwrap();
                let fingerprint = claim.event["identity"]["fingerprint"].as_str().unwrap();
                passed.insert(format!("practice-{serial}"), fingerprint.to_owned());
            }
            "ERROR" => assert!(sealed.event["reason"]["code"].is_string(), "{sealed:?}"),
            other => panic!("{serial} is left {other}: {sealed:?}"),
        }
    }
    assert_eq!(log::all(&log, "claimed").len(), planned, "one run a unit");
    assert!(passed.len() >= planned - planned / 20, "{} of {planned} passed", passed.len());

    // The cloud holds these, whole, and nothing else of a unit that passed.
    let cloud = crate::peers::witness(&endpoint, line.cloud().region().as_str());
    let claimed: BTreeSet<_> = log::all(&log, "claimed")
        .iter()
        .map(|claim| claim["identity"]["fingerprint"].as_str().unwrap().to_owned())
        .collect();
    assert!(cloud.certificates.keys().all(|id| claimed.contains(id)), "an orphan");
    for (thing, id) in &passed {
        let certificate = &cloud.certificates[id];
        assert_eq!((certificate.status.as_str(), &certificate.things), ("ACTIVE", &vec![thing.clone()]));
        assert_eq!(cloud.things[thing].principals, std::slice::from_ref(&certificate.arn));
        assert_eq!(certificate.policies.len(), 1);
    }
    if passed.len() == planned {
        assert_eq!((cloud.things.len(), cloud.certificates.len()), (planned, planned));
    }
}

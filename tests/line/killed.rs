//! `kill -9` in the middle of a show, and the same station again.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use lineseal::domain::profile::KeyKind;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::bench::Bench;
use crate::log::{self, Logged};
use crate::peers::Cloud;
use crate::program::Program;

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_station_leaves_nothing_twice_and_nothing_lost() {
    let cloud = Cloud::ministack().await;
    let patient = |text: String| text.replace("deadline_ms = 10000", "deadline_ms = 60000");
    let mut bench = Bench::with_profile(2, &cloud, patient).await;
    let way = LossyWay::start(bench.proxy.address(), b"/certificate/register-no-ca").await;
    let configured = std::fs::read_to_string(&bench.config_file).unwrap();
    std::fs::write(&bench.config_file, configured.replace(&bench.proxy.endpoint(), &way.endpoint())).unwrap();
    let chips = [bench.chip(KeyKind::EcP256), bench.chip(KeyKind::Rsa2048)];
    bench.plug(1, "A", &chips[0]);
    bench.plug(2, "B", &chips[1]);

    // Killed while the cloud is being written: something is there, and nobody has recorded it.
    let station = Program::on(&bench, ["run", "--json"]).start();
    let data_dir = bench.data_dir();
    until("both registrations", || log::all(&log::read(&data_dir), "register-intended").len() == 2).await;
    until("both certificates in the cloud", || cloud.witness().certificates.len() == 2).await;
    let killed = station.kill();
    assert_eq!(killed.status, -9);
    assert_eq!(killed.out, "", "a unit was finished before the kill");
    let log = log::read(&data_dir);
    assert!(log::all(&log, "registered").is_empty() && log::all(&log, "sealed").is_empty());
    until("the end of the workers", || !runs_with(&bench.dir.path().display().to_string())).await;

    // The boards are still plugged in: they are taken again, once what was open is closed.
    way.repair();
    let ended = Program::on(&bench, ["run", "--json", "--units", "2"]).run().await.expect(3);
    let records = ended.json();
    let outcome = |record: &serde_json::Value| format!("{} {}", record["verdict"].as_str().unwrap(), record["reason"]);
    for record in &records[..2] {
        assert_eq!(outcome(record), "ABORTED \"L-511\"");
    }
    let mut passed = BTreeSet::new();
    for record in &records[2..] {
        assert_eq!(outcome(record), "PASS null");
        assert_eq!(record["label"]["status"], "printed");
        passed.insert(record["board"]["serial"].as_str().unwrap().to_owned());
    }
    assert_eq!(passed, [bench.serial("A"), bench.serial("B")].into());

    let log = log::read(&data_dir);
    one_of_everything(&log);
    assert_eq!(bench.printer.printed(), 2);
    let seen = cloud.witness();
    assert_eq!(seen.things.keys().cloned().collect::<BTreeSet<_>>(), [bench.thing("A"), bench.thing("B")].into());
    assert_eq!(seen.certificates.len(), 2);
    for (name, chip) in [("A", &chips[0]), ("B", &chips[1])] {
        let certificate = &seen.certificates[&chip.fingerprint()];
        assert_eq!(certificate.status, "ACTIVE");
        assert_eq!(certificate.things, [bench.thing(name)]);
        assert_eq!(certificate.policies, ["practice-device"]);
        assert_eq!(seen.things[&bench.thing(name)].principals, std::slice::from_ref(&certificate.arn));
    }
}

/// What the kill cut is closed, every run has its end, and the log has no gap.
fn one_of_everything(log: &[Logged]) {
    assert!(log.iter().enumerate().all(|(index, logged)| logged.seq == index as u64));
    assert_eq!(log::all(log, "run-started").len(), 4);
    assert_eq!(log::all(log, "sealed").len(), 4);
    let standings: Vec<_> = log::all(log, "claimed").iter().map(|claim| claim["standing"].clone()).collect();
    assert_eq!(standings, ["new", "new", "known", "known"]);
    assert_eq!(log::all(log, "registered").len(), 2);
    assert_eq!(log::all(log, "label-intended").len(), 2);
}

async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let by = Instant::now() + Duration::from_secs(60);
    while !holds() {
        assert!(Instant::now() < by, "{what}: not within a minute");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Is there a process with this in its environment? Workers carry the token's folder in theirs.
fn runs_with(text: &str) -> bool {
    std::fs::read_dir("/proc").unwrap().flatten().any(|process| {
        std::fs::read(process.path().join("environ"))
            .is_ok_and(|environment| environment.windows(text.len()).any(|window| window == text.as_bytes()))
    })
}

/// A way to the cloud on which one kind of request arrives and its answer is lost.
pub struct LossyWay {
    address: SocketAddr,
    loses: Arc<AtomicBool>,
}

impl LossyWay {
    /// `lost`: as such a request has it on its first line.
    pub async fn start(upstream: SocketAddr, lost: &'static [u8]) -> LossyWay {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let loses = Arc::new(AtomicBool::new(true));
        let shared = loses.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(carry(client, upstream, shared.clone(), lost));
            }
        });
        LossyWay { address, loses }
    }

    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn repair(&self) {
        self.loses.store(false, Ordering::Relaxed);
    }
}

async fn carry(client: TcpStream, upstream: SocketAddr, loses: Arc<AtomicBool>, lost: &[u8]) {
    let Ok(server) = TcpStream::connect(upstream).await else { return };
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let mute = AtomicBool::new(false);
    let asking = async {
        let mut piece = [0; 16 * 1024];
        loop {
            let size = from_client.read(&mut piece).await?;
            if size == 0 {
                return Ok(());
            }
            if loses.load(Ordering::Relaxed) && piece[..size].windows(lost.len()).any(|part| part == lost) {
                mute.store(true, Ordering::Relaxed);
            }
            to_server.write_all(&piece[..size]).await?;
        }
    };
    let answering = async {
        let mut piece = [0; 16 * 1024];
        loop {
            let size = from_server.read(&mut piece).await?;
            if size == 0 {
                return Ok(());
            }
            if !mute.load(Ordering::Relaxed) {
                to_client.write_all(&piece[..size]).await?;
            }
        }
    };
    // Either end may be killed: that is what this test is about.
    let _: Result<(), std::io::Error> = tokio::select! { ended = asking => ended, ended = answering => ended };
}

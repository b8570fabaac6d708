//! What a unit's registration waits for the network: `without-ca`, read-backs included, with a network of 50 ms
//! in front of MiniStack and without one; and beside it, in the same run, the how-to's five calls by a sequential
//! boto3 script. Exits with 1 where a unit waits longer than for four round trips, or more than four of its calls wait for
//! one another.
//!
//! Both runs go through the same carrier, once without delay, so that what it takes itself is in neither's difference.
//! What a unit waits is the median of its own wall times: the machine's other work is in single ones.
//!
//! `cargo bench --profile dev --bench round_trips`. Needs MiniStack and boto3: `LINESEAL_TEST_VENV`, which
//! `tests/run.sh` makes.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "it reports by itself")]

#[path = "../tests/peers/distant.rs"]
mod distant;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::{ExitCode, Stdio};
use std::time::{Duration, Instant};

use aws_credential_types::Credentials;
use clap::Parser;
use lineseal::adapters::aws_iot::AwsCloud;
use lineseal::bootstrap;
use lineseal::config::Target;
use lineseal::domain::profile::{CertificateStatus, Method, PolicyPlan};
use lineseal::domain::{Bytes, Fingerprint, TargetName, certificate_pem};
use lineseal::ports::{Cloud as _, Registration};
use lineseal::practice::cloud::{MiniStack, MiniStackPlan};
use serde_json::json;
use tokio::io::AsyncWriteExt as _;

use distant::{Distant, one_after_the_other};

#[derive(Parser)]
struct Options {
    /// Units of each kind, one after the other.
    #[arg(long, default_value_t = 20)]
    units: usize,
    /// The network's round trip, in milliseconds.
    #[arg(long, default_value_t = 50)]
    delay: u64,
    /// The Python environment that holds MiniStack and boto3.
    #[arg(long, env = "LINESEAL_TEST_VENV", default_value = "target/test-venv")]
    venv: PathBuf,
    /// What cargo adds.
    #[arg(long, hide = true)]
    bench: bool,
}

/// The look, what depends on nothing, what attaches it, the read-back.
const ROUND_TRIPS: usize = 4;
/// Longer than the station's own rate makes a unit wait: it is the network that is measured.
const BETWEEN_UNITS: Duration = Duration::from_millis(300);
const POLICY: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["iot:Connect"],
    "Resource":["arn:aws:iot:*:*:client/${iot:Connection.Thing.ThingName}"]}]}"#;

type Trouble = Box<dyn std::error::Error + Send + Sync>;

fn main() -> ExitCode {
    let options = Options::parse();
    let result = bootstrap::runtime().map_err(Trouble::from).and_then(|runtime| runtime.block_on(measure(&options)));
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(trouble) => {
            eprintln!("{trouble}");
            ExitCode::FAILURE
        }
    }
}

/// Whether the promise was kept.
async fn measure(options: &Options) -> Result<bool, Trouble> {
    let folder = tempfile::tempdir()?;
    let plan = MiniStackPlan {
        venv: options.venv.clone(),
        folder: folder.path().to_owned(),
        state: None,
        port: None,
        mtls: false,
    };
    let cloud = MiniStack::start(&plan).await?;
    let none = Distant::before(cloud.address(), Duration::ZERO).await?;
    let network = Distant::before(cloud.address(), Duration::from_millis(options.delay)).await?;
    let near = Run::of(options, &cloud, "near", &none).await?;
    let far = Run::of(options, &cloud, "far", &network).await?;

    let delay = options.delay as f64 / 1000.0;
    println!("median of {} units each{:>38}{:>12}{:>14}", options.units, "0 ms", "a network", "round trips");
    let row = |name: &str, near: f64, far: f64| {
        println!("{name:<58}{:>6.0}{:>12.0}{:>14.2}", near * 1000.0, far * 1000.0, (far - near) / delay);
    };
    row("lineseal: look, register, attach, read back", near.ours, far.ours);
    row("boto3, five calls one after the other, no read-back", near.script, far.script);
    println!("with a network of {} ms: boto3 / lineseal {:.2}", options.delay, far.script / far.ours);
    let waited = (far.ours - near.ours) / delay;
    let promised = |what: &str, value: f64| {
        let kept = value <= ROUND_TRIPS as f64;
        println!("{}  {what}: {value:.2} (promised: at most {ROUND_TRIPS})", if kept { "PASS" } else { "FAIL" });
        kept
    };
    let chain = promised("most calls of a unit that waited for one another", far.longest as f64);
    Ok(promised("round trips of wall time", (waited * 100.0).round() / 100.0) && chain)
}

/// Medians, in seconds.
struct Run {
    ours: f64,
    script: f64,
    /// Of any unit: so many of its calls waited for one another.
    longest: usize,
}

impl Run {
    async fn of(options: &Options, cloud: &MiniStack, place: &str, network: &Distant) -> Result<Self, Trouble> {
        let endpoint = &network.endpoint();
        let target = Target {
            name: "plant".parse()?,
            region: cloud.region().clone(),
            account: None,
            aws_profile: None,
            role: None,
            endpoint: Some(endpoint.clone()),
            sts_endpoint: None,
            mqtt: None,
        };
        let station = AwsCloud::with_credentials(std::slice::from_ref(&target), cloud.credentials());
        let (mut ours, mut longest) = (Vec::new(), 0);
        // The first unit of a profile makes the policy, and asks for what is cached then.
        for number in 0..=options.units {
            let unit = registration(&target.name, place, number)?;
            drop(network.take());
            let began = Instant::now();
            station.register(&unit).await?;
            let took = began.elapsed();
            if number > 0 {
                ours.push(took.as_secs_f64());
                longest = longest.max(one_after_the_other(network.take()));
            }
            tokio::time::sleep(BETWEEN_UNITS).await;
        }
        let script = five_calls(options, endpoint, place, cloud).await?;
        Ok(Self { ours: median(ours), script: median(script), longest })
    }
}

fn registration(target: &TargetName, place: &str, number: usize) -> Result<Registration, Trouble> {
    let name = format!("{place}-{number}");
    let certificate = certificate(&name)?;
    Ok(Registration {
        target: target.clone(),
        method: Method::WithoutCa,
        fingerprint: Fingerprint::of(&certificate),
        certificate,
        twin: None,
        certificate_status: CertificateStatus::Active,
        thing: name.parse()?,
        thing_type: Some("gateway".parse()?),
        attributes: BTreeMap::from([("serial".parse()?, name.parse()?)]),
        parameters: BTreeMap::new(),
        policy: PolicyPlan { name: "device".parse()?, document: POLICY.to_owned() },
        replaces: Vec::new(),
        deadline: Duration::from_secs(60),
        patient: false,
    })
}

fn certificate(name: &str) -> Result<Bytes, Trouble> {
    let mut params = rcgen::CertificateParams::default();
    params.distinguished_name.push(rcgen::DnType::CommonName, name);
    Ok(Bytes(params.self_signed(&rcgen::KeyPair::generate()?)?.der().to_vec()))
}

/// Seconds a unit.
async fn five_calls(options: &Options, endpoint: &str, place: &str, cloud: &MiniStack) -> Result<Vec<f64>, Trouble> {
    let mut units = Vec::new();
    for number in 0..=options.units {
        let thing = format!("how-to-{place}-{number}");
        units.push(json!({ "pem": certificate_pem(&certificate(&thing)?), "thing": thing }));
    }
    let keys: Credentials = cloud.credentials();
    let mut script = tokio::process::Command::new(options.venv.join("bin/python"))
        .args(["-c", include_str!("five_calls.py"), endpoint, cloud.region().as_str()])
        .env_clear()
        .env("AWS_ACCESS_KEY_ID", keys.access_key_id())
        .env("AWS_SECRET_ACCESS_KEY", keys.secret_access_key())
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let mut input = script.stdin.take().ok_or("no way into the script")?;
    input.write_all(&serde_json::to_vec(&units)?).await?;
    drop(input);
    let output = script.wait_with_output().await?;
    if !output.status.success() {
        return Err(format!("the boto3 script ended with {}", output.status).into());
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}

//! `lineseal token show`

mod told;

use std::path::Path;
use std::process::ExitCode;

use serde_json::{Value, json};

use super::output::{self, data, plain, say};
use super::{Global, exit, places};
use crate::bootstrap;
use crate::config::Config;
use crate::domain::profile::Profile;
use crate::domain::{BatchName, Device, Failure, ReasonCode, Verdict, certificate_pem};
use crate::ports::AuditStore;
use crate::provisioning::checks::{Check, Finding};
use crate::provisioning::matching::match_profile;
use crate::runner::arrivals::settled;
use crate::runner::look::{Seen, Wanted, look};
use crate::texts::Language;
use told::Teller;

#[derive(clap::Subcommand)]
pub enum Command {
    /// What a board's chip holds, whether it proves itself, and which check would fail and why.
    ///
    /// The board is asked, and its chip signs once. Nothing is claimed, registered, or written to the log.
    Show(Options),
}

#[derive(clap::Args)]
pub struct Options {
    /// The board's port as `lineseal boards` names it, or its device (may be left out where there is one
    /// board only).
    #[arg(long, value_name = "PORT")]
    board: Option<String>,
    /// The certificate as PEM on stdout; what is said of it goes to stderr.
    #[arg(long)]
    pem: bool,
    /// The board's serial number, where a barcode scanner reads it.
    #[arg(long)]
    serial: Option<String>,
    /// The batch whose shipment manifest is asked (default: the one that is open at this station).
    #[arg(long, value_name = "NAME")]
    batch: Option<BatchName>,
}

pub fn main(global: &Global, config: &Config, command: Command) -> ExitCode {
    let Command::Show(options) = command;
    let language = output::language(global.language.as_deref(), config.station.language.as_deref());
    let shown = bootstrap::block_on(async {
        tokio::select! {
            shown = show(global, config, options, &language) => shown,
            () = bootstrap::stop_signal() => Err(Failure::new(ReasonCode::OPERATOR_STOPPED, "stopped")),
        }
    });
    exit::ended(shown.map(ExitCode::from), &language)
}

async fn show(global: &Global, config: &Config, options: Options, language: &Language) -> Result<u8, Failure> {
    let texts = output::texts(language)?;
    let data_dir = places(global).data_dir;
    let device = board(config, options.board.as_deref())?;
    let profile = match_profile(&config.profiles, &device)?;
    let logged = log(config, &data_dir, &device, profile, options.batch).await;
    let ((reading, batch), unread) = match logged {
        Ok(logged) => (logged, None),
        Err(failure) if said_no(&failure) || bootstrap::station_works(&data_dir) => return Err(failure),
        // The chip can be looked at all the same.
        Err(failure) => ((None, None), Some(failure)),
    };
    let logged = reading.is_some() || unread.is_some();
    let eyes = bootstrap::eyes(reading, config, &places(global).data_dir);
    let wanted = Wanted { station: &config.station.name, profile, device: &device, scanned: options.serial, batch };
    let mut seen = look(&eyes, &wanted).await;
    if let Some((store, _)) = &eyes.log
        && let Err(failure) = bootstrap::leave_to_station(&**store, config, &data_dir, &device).await
        && said_no(&failure)
    {
        // Two at one port: what was seen may be of a conversation that they disturbed.
        return Err(failure);
    }
    seen.findings.extend(unread.map(|failure| Finding::of(Check::Log, Err(failure))));

    let pem = seen.reading.as_ref().map(|reading| certificate_pem(&reading.certificate));
    if global.json {
        output::json(&object(&seen, &wanted, pem.as_deref())).unwrap_or_default();
        return Ok(status(&seen));
    }
    let tell = if options.pem { say } else { data };
    for line in (Teller { texts: &texts, language, logged }).lines(&seen, &wanted) {
        tell(&plain(&line));
    }
    match pem {
        Some(pem) if options.pem => data(pem.trim_end()),
        _ => {}
    }
    Ok(status(&seen))
}

/// The one that was asked for, or the only one that a profile knows.
fn board(config: &Config, asked: Option<&str>) -> Result<Device, Failure> {
    let refuse = |cause: String| Failure::new(ReasonCode::ARGUMENT_REFUSED, cause);
    let mut ports = bootstrap::boards(config);
    let mut devices = settled(&mut *ports, config.detection.debounce, &bootstrap::stop_flag())?;
    match asked {
        Some(asked) => devices.retain(|it| it.path.as_str() == asked || it.node.as_deref() == Some(asked)),
        None => devices.retain(|it| match_profile(&config.profiles, it).is_ok()),
    }
    match (devices.pop(), devices.is_empty(), asked) {
        (Some(device), true, _) => Ok(device),
        (Some(_), false, _) => Err(refuse("several boards are plugged in: say which with --board PORT".to_owned())),
        (None, _, Some(asked)) => {
            Err(refuse(format!("nothing is plugged in at {asked}; `lineseal boards` lists ports")))
        }
        (None, _, None) => Err(refuse("no board that a profile knows is plugged in".to_owned())),
    }
}

/// The station's log, unless there is none, and the batch that counts.
async fn log(
    config: &Config,
    data_dir: &Path,
    device: &Device,
    profile: &Profile,
    asked: Option<BatchName>,
) -> Result<(Option<bootstrap::Reading>, Option<BatchName>), Failure> {
    let Some(reading) = bootstrap::open_reading(config, data_dir)? else {
        return asked.map_or(Ok((None, None)), |name| Err(no_batch(&name)));
    };
    bootstrap::leave_to_station(&*reading.store, config, data_dir, device).await?;
    let batch = batch(&*reading.store, config, profile, asked).await?;
    Ok((Some(reading), batch))
}

/// An answer of the log's, not the lack of one.
fn said_no(failure: &Failure) -> bool {
    [ReasonCode::NOT_NOW, ReasonCode::NOT_IN_LOG].contains(&failure.code)
}

/// The batch whose manifest counts.
async fn batch(
    store: &dyn AuditStore,
    config: &Config,
    profile: &Profile,
    asked: Option<BatchName>,
) -> Result<Option<BatchName>, Failure> {
    match asked {
        Some(name) => {
            let known = store.batches().await?.iter().any(|batch| batch.name == name);
            if known { Ok(Some(name)) } else { Err(no_batch(&name)) }
        }
        None => {
            let open = store.open_batch(&config.station.name).await?;
            Ok(open.filter(|batch| batch.product == profile.product).map(|batch| batch.name))
        }
    }
}

fn no_batch(name: &BatchName) -> Failure {
    Failure::new(ReasonCode::NOT_IN_LOG, format!("there is no batch {name}"))
}

/// 2 where the configuration is to blame, else 3, else 1, by what a run would end with.
fn status(seen: &Seen) -> u8 {
    let failures = || seen.findings.iter().filter_map(Finding::failure);
    let verdicts = |wanted: &[Verdict]| failures().any(|failure| wanted.contains(&failure.code.verdict()));
    match () {
        () if failures().any(|failure| exit::of_failure(failure) == exit::USAGE) => exit::USAGE,
        () if verdicts(&[Verdict::Error, Verdict::Aborted]) => exit::NOTHING_DONE,
        () if verdicts(&[Verdict::Fail]) => exit::BROKEN,
        () => exit::DONE,
    }
}

fn object(seen: &Seen, wanted: &Wanted<'_>, pem: Option<&str>) -> Value {
    let found = |at: usize| seen.forms[at].as_ref().map(|(name, form)| json!({ "name": name, "form": form }));
    let (objects, more, unlisted) = match &seen.contents {
        Some(Ok(contents)) => (json!(contents.objects), json!(contents.more), Value::Null),
        Some(Err(failure)) => (Value::Null, Value::Null, json!(failure)),
        None => (Value::Null, Value::Null, Value::Null),
    };
    let failure = seen.failure();
    let mut certificate = json!(seen.certificate);
    if let (Value::Object(certificate), Some(pem)) = (&mut certificate, pem) {
        certificate.insert("pem".to_owned(), json!(pem));
    }
    json!({
        "board": {
            "port": wanted.device.path, "node": wanted.device.node,
            "serial": seen.unit.as_ref().map(|unit| &unit.serial),
        },
        "profile": wanted.profile.name, "product": wanted.profile.product, "batch": wanted.batch,
        "token": seen.token, "found": { "certificate": found(0), "key": found(1), "uid": found(2) },
        "objects": objects, "more": more, "objects_failure": unlisted,
        "certificate": certificate, "chip_uid": seen.reading.as_ref().and_then(|reading| reading.uid.as_ref()),
        "proven": seen.proven(), "proof": seen.proof, "checks": seen.findings,
        "verdict": failure.map(|failure| failure.code.verdict()), "reason": failure.map(|failure| failure.code),
    })
}

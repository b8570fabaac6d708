//! `lineseal token show`

use std::process::ExitCode;

use serde_json::{Value, json};

use super::audit::table::plain;
use super::output::{self, data, say};
use super::{Global, exit, places};
use crate::bootstrap;
use crate::config::Config;
use crate::domain::profile::{NameForm, TokenPlan};
use crate::domain::{BatchName, Device, Failure, ReasonCode, Verdict, certificate_pem};
use crate::ports::{Contents, ObjectKind, TokenObject};
use crate::provisioning::checks::{CertificateFacts, Check, Finding, Outcome};
use crate::provisioning::matching::match_profile;
use crate::runner::arrivals::settled;
use crate::runner::look::{Seen, Wanted, look};
use crate::texts::{Language, Texts, fl, reasons};

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
    match shown {
        Ok(status) => ExitCode::from(status),
        Err(failure) => {
            output::failure(&failure, &language);
            ExitCode::from(exit::of_failure(&failure))
        }
    }
}

async fn show(global: &Global, config: &Config, options: Options, language: &Language) -> Result<u8, Failure> {
    let texts = output::texts(language)?;
    let data_dir = places(global).data_dir;
    let device = board(config, options.board.as_deref())?;
    let profile = match_profile(&config.profiles, &device)?;
    let reading = bootstrap::open_reading(config, &data_dir)?;
    let batch = match &reading {
        Some(reading) => {
            bootstrap::leave_to_station(&*reading.store, config, &data_dir, &device).await?;
            batch(&*reading.store, config, profile, options.batch).await?
        }
        None => match options.batch {
            None => None,
            Some(name) => return Err(no_batch(&name)),
        },
    };
    let logged = reading.is_some();
    let eyes = bootstrap::eyes(reading);
    let wanted = Wanted { station: &config.station.name, profile, device: &device, scanned: options.serial, batch };
    let seen = look(&eyes, &wanted).await;

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

/// The batch whose manifest counts.
async fn batch(
    store: &dyn crate::ports::AuditStore,
    config: &Config,
    profile: &crate::domain::profile::Profile,
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

/// Says it to a person.
struct Teller<'t> {
    texts: &'t Texts,
    language: &'t Language,
    logged: bool,
}

impl Teller<'_> {
    fn lines(&self, seen: &Seen, wanted: &Wanted<'_>) -> Vec<String> {
        let mut lines = vec![self.board(seen, wanted)];
        lines.extend(self.token(seen));
        if seen.reading.is_some() {
            lines.extend(self.names(seen, &wanted.profile.token));
        }
        lines.extend(self.contents(seen.contents.as_ref()));
        lines.extend(seen.certificate.iter().flat_map(|facts| self.certificate(facts)));
        if let Some(reading) = &seen.reading {
            lines.push(match &reading.uid {
                Some(uid) => fl!(self.texts.loader(), "token-uid", uid = uid.as_str()),
                None => fl!(self.texts.loader(), "token-uid-none"),
            });
        }
        lines.push(fl!(self.texts.loader(), "token-checks"));
        lines.extend(seen.findings.iter().map(|finding| self.finding(finding)));
        if !self.logged {
            lines.push(fl!(self.texts.loader(), "token-no-log"));
        }
        lines.push(match seen.proven() {
            true => fl!(self.texts.loader(), "token-proven"),
            false => fl!(self.texts.loader(), "token-unproven"),
        });
        lines.push(self.end(seen));
        lines.push(fl!(self.texts.loader(), "token-nothing-written"));
        lines
    }

    fn board(&self, seen: &Seen, wanted: &Wanted<'_>) -> String {
        let (port, profile) = (wanted.device.path.as_str(), wanted.profile.name.as_str());
        match &seen.unit {
            Some(unit) => {
                let (product, serial) = (unit.product.as_str(), unit.serial.as_str());
                fl!(
                    self.texts.loader(),
                    "token-board",
                    port = port,
                    profile = profile,
                    product = product,
                    serial = serial
                )
            }
            None => fl!(self.texts.loader(), "token-board-unknown", port = port, profile = profile),
        }
    }

    fn token(&self, seen: &Seen) -> Vec<String> {
        let Some(facts) = &seen.token else { return Vec::new() };
        let (module, version) = (facts.module.as_str(), facts.module_version.as_str());
        let parts = [&facts.token_label, &facts.manufacturer, &facts.token_model, &facts.token_serial];
        let names: Vec<&str> = parts.into_iter().map(String::as_str).filter(|part| !part.is_empty()).collect();
        let mut lines = vec![
            fl!(self.texts.loader(), "token-module", module = module, version = version),
            fl!(self.texts.loader(), "token-token", names = names.join(", ")),
        ];
        if seen.reading.is_some() {
            let (open, read) = (facts.open_ms, facts.read_ms);
            lines.push(fl!(self.texts.loader(), "token-times", open = open, read = read));
        }
        if let Some(proof) = &seen.proof {
            lines.push(fl!(self.texts.loader(), "token-signed", sign = proof.sign_ms));
        }
        lines
    }

    /// Which form of its name each object answered to.
    fn names(&self, seen: &Seen, plan: &TokenPlan) -> Vec<String> {
        let loader = self.texts.loader();
        let wanted = [Some(&plan.certificate), Some(&plan.key), plan.uid.as_ref()];
        let whats =
            [fl!(loader, "token-what-certificate"), fl!(loader, "token-what-key"), fl!(loader, "token-what-uid")];
        let named = wanted.into_iter().zip(&seen.forms).zip(whats);
        named
            .filter_map(|((wanted, found), what)| {
                let wanted = wanted?.to_string();
                Some(match found {
                    Some((name, form)) => {
                        fl!(loader, "token-found", what = what, name = name.as_str(), form = self.form(*form))
                    }
                    None => fl!(loader, "token-not-found", what = what, name = wanted),
                })
            })
            .collect()
    }

    fn form(&self, form: NameForm) -> String {
        let loader = self.texts.loader();
        match form {
            NameForm::Label => fl!(loader, "token-form-label"),
            NameForm::SwappedLabel => fl!(loader, "token-form-swapped"),
            NameForm::LittleEndianId => fl!(loader, "token-form-little"),
            NameForm::BigEndianId => fl!(loader, "token-form-big"),
            NameForm::Uri => fl!(loader, "token-form-uri"),
        }
    }

    fn contents(&self, contents: Option<&Result<Contents, Failure>>) -> Vec<String> {
        let loader = self.texts.loader();
        let contents = match contents {
            None => return Vec::new(),
            Some(Err(failure)) => return vec![fl!(loader, "token-objects-failed", cause = failure.to_string())],
            Some(Ok(contents)) => contents,
        };
        let mut lines = vec![fl!(loader, "token-objects", count = contents.objects.len())];
        lines.extend(contents.objects.iter().map(|object| self.object(object)));
        if contents.more > 0 {
            lines.push(fl!(loader, "token-objects-more", more = contents.more));
        }
        lines
    }

    fn object(&self, object: &TokenObject) -> String {
        let loader = self.texts.loader();
        let class = match object.class {
            ObjectKind::Certificate => fl!(loader, "token-object-certificate"),
            ObjectKind::PrivateKey => fl!(loader, "token-object-private-key"),
            ObjectKind::PublicKey => fl!(loader, "token-object-public-key"),
            ObjectKind::Data => fl!(loader, "token-object-data"),
            ObjectKind::Other => fl!(loader, "token-object-other"),
        };
        let label = object.label.as_ref().map(|label| format!("{label:?}"));
        let id = object.id.as_ref().filter(|id| !id.is_empty()).map(|id| format!("id={id}"));
        let parts = [Some(class), label, id, object.key_type.clone()];
        format!("  {}", parts.into_iter().flatten().collect::<Vec<_>>().join("  "))
    }

    fn certificate(&self, facts: &CertificateFacts) -> Vec<String> {
        let loader = self.texts.loader();
        let (subject, issuer, serial) = (facts.subject.as_str(), facts.issuer.as_str(), facts.serial.as_str());
        let (from, until, key) = (facts.not_before.as_str(), facts.not_after.as_str(), facts.key.as_str());
        let sha256 = facts.sha256.to_string();
        let mut lines = vec![
            fl!(loader, "token-certificate", subject = subject),
            fl!(loader, "token-issuer", issuer = issuer),
            fl!(loader, "token-serial", serial = serial),
            fl!(loader, "token-validity", from = from, until = until),
            fl!(loader, "token-key", key = key),
            fl!(loader, "token-sha256", sha256 = sha256),
        ];
        if let Some(uid) = &facts.uid {
            lines.push(fl!(loader, "token-uid-inside", uid = uid.as_str()));
        }
        lines
    }

    fn finding(&self, finding: &Finding) -> String {
        let loader = self.texts.loader();
        let check = self.check(finding.check);
        match &finding.outcome {
            Outcome::Good => fl!(loader, "token-check-good", check = check),
            Outcome::Open => fl!(loader, "token-check-open", check = check),
            Outcome::Bad(failure) => {
                let (code, title) = (failure.code.as_str(), reasons().text(self.language, failure).title);
                fl!(
                    loader,
                    "token-check-bad",
                    check = check,
                    code = code,
                    title = title,
                    cause = failure.cause.as_str()
                )
            }
        }
    }

    fn check(&self, check: Check) -> String {
        let loader = self.texts.loader();
        match check {
            Check::Identify => fl!(loader, "token-check-identify"),
            Check::Token => fl!(loader, "token-check-token"),
            Check::Certificate => fl!(loader, "token-check-certificate"),
            Check::Pins => fl!(loader, "token-check-pins"),
            Check::Issuer => fl!(loader, "token-check-issuer"),
            Check::Validity => fl!(loader, "token-check-validity"),
            Check::Path => fl!(loader, "token-check-path"),
            Check::Revocation => fl!(loader, "token-check-revocation"),
            Check::Key => fl!(loader, "token-check-key"),
            Check::Uid => fl!(loader, "token-check-uid"),
            Check::Proof => fl!(loader, "token-check-proof"),
            Check::Manifest => fl!(loader, "token-check-manifest"),
            Check::Log => fl!(loader, "token-check-log"),
        }
    }

    fn end(&self, seen: &Seen) -> String {
        let loader = self.texts.loader();
        match seen.failure() {
            None => fl!(loader, "token-end-good"),
            Some(failure) => {
                let sentence = reasons().text(self.language, failure).technician;
                let (verdict, code) = (failure.code.verdict().as_str(), failure.code.as_str());
                fl!(loader, "token-end-bad", verdict = verdict, code = code, sentence = sentence)
            }
        }
    }
}

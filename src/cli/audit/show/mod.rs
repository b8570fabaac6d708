//! `lineseal audit show`: a unit's whole history, one run, or one event.

mod event;
mod evidence;
mod history;
mod run;

use std::process::ExitCode;

use super::super::output::{self, data, say};
use super::super::{Global, exit};
use super::reader::{self, Reader};
use super::unit;
use crate::config::Config;
use crate::domain::{Failure, Fingerprint, Product, ReasonCode, RunId, certificate_pem};
use crate::ports::RunLog;
use crate::texts::Language;

#[derive(clap::Args)]
pub struct Options {
    /// A board's serial number, a run's id, or # and an event's number ('#123').
    #[arg(value_name = "UNIT|RUN|#SEQ")]
    what: String,
    /// The board's product, where several products have this serial number.
    #[arg(long)]
    product: Option<Product>,
    /// Nothing but the certificates that are its own, as PEM: those that were claimed, or, where none
    /// was, those that were read.
    #[arg(long)]
    certificate: bool,
}

/// How it is told.
struct Telling<'a> {
    language: &'a Language,
    json: bool,
    certificate: bool,
}

pub fn main(global: &Global, config: &Config, options: Options) -> ExitCode {
    reader::perform(global, config, async |reader, language| {
        let telling = Telling { language, json: global.json, certificate: options.certificate };
        if let Some(number) = options.what.strip_prefix('#') {
            let seq = number.parse().map_err(|_| {
                Failure::new(ReasonCode::ARGUMENT_REFUSED, format!("{number:?} is no event's number: '#123' is"))
            })?;
            return event::show(reader, seq, &telling).await;
        }
        // A serial number may look like a run's id; the run comes first.
        if let Ok(id) = options.what.parse::<RunId>()
            && let Some(log) = reader.store.run(id).await?
        {
            return show_run(reader, &log, &telling).await;
        }
        let unit = unit::find(&*reader.history, &options.what, options.product.as_ref()).await?;
        history::show(reader, &unit, &telling).await
    })
}

fn unknown(cause: String) -> Failure {
    Failure::new(ReasonCode::NOT_IN_LOG, cause)
}

async fn show_run(reader: &mut Reader, log: &RunLog, telling: &Telling<'_>) -> Result<u8, Failure> {
    match telling {
        Telling { certificate: true, .. } => {
            let (mut claimed, mut read) = (Vec::new(), Vec::new());
            run::certificates(log, &mut claimed, &mut read);
            Ok(print_certificates(&claimed, &read))
        }
        Telling { json: true, .. } => {
            output::json(&run::json_of(reader, log).await?).unwrap_or_default();
            Ok(exit::DONE)
        }
        _ => run::tell(reader, log, telling.language).await.map(|()| exit::DONE),
    }
}

/// Of those that were read, the claimed ones, each once.
fn print_certificates(claimed: &[Fingerprint], read: &[&[u8]]) -> u8 {
    let mut printed: Vec<Fingerprint> = Vec::new();
    for certificate in read {
        let fingerprint = Fingerprint::of(certificate);
        if (claimed.is_empty() || claimed.contains(&fingerprint)) && !printed.contains(&fingerprint) {
            data(certificate_pem(certificate).trim_end());
            printed.push(fingerprint);
        }
    }
    if printed.is_empty() {
        say("no certificate of it is in the log");
        return exit::NOTHING_DONE;
    }
    exit::DONE
}

//! `lineseal audit import`: a plant that worked without this log before is protected against its past.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use serde_json::json;

use super::super::output::{self, data, say};
use super::super::sign_in::Acting;
use super::super::{Global, checkpoint, exit, places};
use super::ended;
use crate::audit::event::{ConflictRule, ImportConflict};
use crate::audit::{Body, LineEvent};
use crate::bootstrap;
use crate::config::{self, Config, ConfigErrors};
use crate::domain::profile::Profile;
use crate::domain::{Failure, Product, ReasonCode, Role};
use crate::ports::Logged;
use crate::runner::import::{BadLine, Columns, Rows, Taken, import, read};
use crate::texts::{Texts, fl};

#[derive(clap::Args)]
pub struct Options {
    /// Separated values under a header: comma, semicolon or tab, in UTF-8.
    file: PathBuf,
    /// The product of all boards in the file.
    #[arg(long)]
    product: Product,
    /// No profile has that product, and it is right all the same.
    #[arg(long)]
    new_product: bool,
    /// Boards of that product once had serial numbers that its profile does not take today.
    #[arg(long)]
    any_serial: bool,
    /// Other names of columns: serial=NAME,fingerprint=NAME,certificate=NAME,thing=NAME,date=NAME.
    #[arg(long, default_value = "", hide_default_value = true, value_parser = columns)]
    columns: Columns,
    #[command(flatten)]
    acting: Acting,
}

/// A certificate has one or two kilobytes.
const LONGEST_CERTIFICATE: u64 = 65_536;

fn columns(text: &str) -> Result<Columns, String> {
    if text.is_empty() { Ok(Columns::default()) } else { text.parse().map_err(|error| format!("{error}")) }
}

pub fn main(global: &Global, config: &Config, options: &Options) -> ExitCode {
    ended(global, Some(config), bootstrap::block_on(perform(global, config, options)))
}

async fn perform(global: &Global, config: &Config, options: &Options) -> Result<ExitCode, Failure> {
    let records = bootstrap::open_records(config, &places(global).data_dir).await?;
    let by = options.acting.sign_in(global, &records, &[Role::Administrator, Role::Supervisor]).await?;
    let language = output::language(global.language.as_deref(), config.station.language.as_deref());
    let texts = output::texts(&language)?;
    let profiles = match options.new_product {
        true => Vec::new(),
        false => profiles_of(&options.product, config::load(&places(global).config))?,
    };
    let trusts: Vec<_> = profiles.iter().map(|profile| &profile.trust).collect();
    let read = match rows(options)?.map(|rows| rows.with_uids(&trusts)) {
        Ok(rows) if !options.any_serial && !profiles.is_empty() => foreign_serials(rows, &profiles),
        read => read,
    };
    let rows = match read {
        Ok(rows) => rows,
        Err(bad) => {
            let refused = refused(&bad, global.json);
            if bad.iter().any(|line| line.is_encoding()) {
                say(&fl!(texts.loader(), "cli-import-encoding"));
            }
            return Err(refused);
        }
    };
    let total = rows.rows.len() as u64;
    let mut told = 0;
    let taken = import(&records.log.by(&by), &*records.imports, &rows, &mut |done| {
        // Every tenth of the way is a word; a terminal is no film.
        let tenth = (done * 10).checked_div(total).unwrap_or(10);
        if tenth > told {
            told = tenth;
            say(&fl!(texts.loader(), "cli-import-progress", done = done, total = total));
        }
    })
    .await?;
    checkpoint(&records.log, &records.custody, &language).await;
    Ok(tell(&taken, global.json, &texts))
}

/// They say what the product's serial numbers look like, and its certificates. A history under a product's name that no board ever has would
/// hold every one of its chips against the boards that they are in, for ever.
fn profiles_of(product: &Product, config: Result<Config, ConfigErrors>) -> Result<Vec<Profile>, Failure> {
    let why = match config {
        Ok(config) if config.profiles.iter().any(|profile| profile.product == *product) => {
            return Ok(config.profiles.into_iter().filter(|profile| profile.product == *product).collect());
        }
        Ok(config) => {
            let known: Vec<_> = config.profiles.iter().map(|profile| profile.product.as_str()).collect();
            format!("no profile is for product {product}, only for {}", known.join(", "))
        }
        Err(errors) => {
            format!("nobody can say whether {product} is a product, since the profiles can't be read: {errors}")
        }
    };
    Err(Failure::new(ReasonCode::ARGUMENT_REFUSED, format!("{why}; --new-product takes the history in all the same")))
}

/// So does a serial number that no board ever has: a spreadsheet makes 1.23E+10 of a long one.
fn foreign_serials(rows: Rows, profiles: &[Profile]) -> Result<Rows, Vec<BadLine>> {
    let foreign = |serial: &str| !profiles.iter().any(|profile| profile.identify.serial.is_match(serial));
    let bad = rows.rows.iter().filter(|row| foreign(row.unit.serial.as_str())).map(|row| {
        let wrong = format!(
            "{:?} is no serial number of {}, as its profile says; --any-serial takes it all the same",
            row.unit.serial.as_str(),
            row.unit.product
        );
        BadLine { line: row.line, wrong }
    });
    let bad: Vec<_> = bad.collect();
    if bad.is_empty() { Ok(rows) } else { Err(bad) }
}

fn rows(options: &Options) -> Result<Result<Rows, Vec<BadLine>>, Failure> {
    let unread = |error: std::io::Error| {
        Failure::new(ReasonCode::ARGUMENT_REFUSED, format!("{}: {error}", options.file.display()))
    };
    let bytes = std::fs::read(&options.file).map_err(unread)?;
    let folder = options.file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let folder = folder.canonicalize().map_err(unread)?;
    Ok(read(&bytes, &options.product, &options.columns, &mut |name| certificate(&folder, name)))
}

/// A file in the CSV's own folder: a row must not make us read any other.
fn certificate(folder: &Path, name: &str) -> Result<Vec<u8>, String> {
    let path =
        folder.join(name).canonicalize().map_err(|error| format!("neither PEM nor DER, and no file: {error}"))?;
    if !path.starts_with(folder) {
        return Err("the file is outside of the history's folder".to_owned());
    }
    let metadata = std::fs::metadata(&path).map_err(|error| error.to_string())?;
    if !metadata.is_file() || metadata.len() > LONGEST_CERTIFICATE {
        return Err("that is no file with a certificate".to_owned());
    }
    std::fs::read(&path).map_err(|error| error.to_string())
}

/// All that is wrong, and nothing was taken.
fn refused(bad: &[BadLine], as_json: bool) -> Failure {
    for line in bad {
        say(&line.to_string());
        if as_json {
            output::json(&json!({ "line": line.line, "wrong": line.wrong })).unwrap_or_default();
        }
    }
    let lines = if bad.len() == 1 { "line" } else { "lines" };
    let cause = format!("{} bad {lines}, and nothing was taken", bad.len());
    Failure::new(ReasonCode::IMPORT_REFUSED, cause)
}

fn tell(taken: &Taken, as_json: bool, texts: &Texts) -> ExitCode {
    let Taken { rows, new, conflicts } = taken;
    for row in conflicts {
        list(row, as_json);
    }
    if as_json {
        let told = json!({ "rows": rows, "new": new, "conflicts": conflicts.len() });
        output::json(&told).unwrap_or_default();
    }
    let (rows, new, contradict) = (*rows, *new, conflicts.len());
    let counted = fl!(texts.loader(), "cli-import-done", rows = rows, new = new, conflicts = contradict);
    say(&counted);
    if conflicts.is_empty() {
        return ExitCode::SUCCESS;
    }
    say(&fl!(texts.loader(), "cli-import-kept"));
    ExitCode::from(exit::BROKEN)
}

/// Both sides of a contradiction.
fn list(row: &Logged, as_json: bool) {
    let Body::Line(LineEvent::Imported { source, unit, fingerprint, conflicts, .. }) = &row.event.body else { return };
    if as_json {
        let told = json!({
            "seq": row.receipt.seq, "line": source.line, "unit": unit, "fingerprint": fingerprint,
            "conflicts": conflicts,
        });
        output::json(&told).unwrap_or_default();
        return;
    }
    for ImportConflict { rule, unit: other, fingerprint: known, seq } in conflicts {
        let rule = match rule {
            ConflictRule::Certificate => "certificate",
            ConflictRule::Key => "key",
            ConflictRule::Uid => "chip",
            ConflictRule::Unit => "unit",
        };
        let line = source.line;
        data(&format!("line {line:<6} {rule:<11} {unit} {fingerprint}   event {seq}: {other} {known}"));
    }
}

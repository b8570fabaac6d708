//! The command line: one file a subcommand, thin. Data on stdout, text for people on stderr.

mod audit;
mod batch;
pub mod boards;
mod ca;
mod check;
mod claim;
mod doctor;
mod exit;
mod held;
mod label;
mod operator;
mod output;
mod pin;
mod practice;
mod report;
mod resume;
mod run;
pub mod sign_in;
mod template;
mod token;
mod undo;
mod window;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use crate::bootstrap::{self, Places};
use crate::config::{self, Config, ConfigErrors};
use crate::runner::{self, Custody, LogWriter};
use crate::texts::{Language, Texts, fl};
use output::say;

/// Factory-line provisioning station for devices with a secure element.
///
/// Without a subcommand it opens the station's window.
#[derive(Parser)]
#[command(name = "lineseal", version)]
struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Args, Clone)]
pub struct Global {
    /// The station's configuration (default: lineseal.toml in the platform's configuration folder).
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Where the log and the station's other data live.
    #[arg(long, global = true, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// One JSON object a line on stdout.
    #[arg(long, global = true)]
    json: bool,
    /// More detail in the log on stderr; twice for everything.
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    verbose: u8,
    /// The person who acts, as named in the audit log.
    #[arg(long = "as", global = true, value_name = "OPERATOR")]
    operator: Option<String>,
    /// This computer's clock is right, although the log is more than a day ahead of it.
    #[arg(long, global = true)]
    clock_is_right: bool,
    /// The language of sentences: en, ja, … (default: the environment's).
    #[arg(long, global = true, value_name = "LANG")]
    language: Option<String>,
}

#[derive(Subcommand)]
enum Command {
    /// The practice line: boards, tokens, cloud and printer on this machine alone.
    Practice(practice::Options),
    /// The station without a window.
    Run(run::Options),
    /// What is plugged in, which profile and lane it would take, and why not.
    Boards {
        /// Go on and report what comes and goes.
        #[arg(long)]
        watch: bool,
    },
    /// A board's chip.
    #[command(subcommand)]
    Token(token::Command),
    /// Work orders.
    #[command(subcommand)]
    Batch(batch::Command),
    /// The log: reading it, proving it, correcting it.
    #[command(subcommand)]
    Audit(audit::Command),
    /// Yield, reasons and runs in a file: of a batch, of some days, of all.
    Report(Box<report::Options>),
    /// Finishes HELD units in the cloud, without their boards, and answers for labels.
    Resume(resume::Options),
    /// A unit's label: what it looks like, and another copy.
    #[command(subcommand)]
    Label(label::Command),
    /// Makes a file of what an air-gapped station holds.
    ExportHeld(held::ExportOptions),
    /// Registers what an air-gapped station held.
    ImportHeld(held::ImportOptions),
    /// Takes back what a unit registered, in every target: by two supervisors, who did not operate its runs.
    Undo(Box<undo::Options>),
    /// The people at the line: technicians, QA, supervisors, administrators.
    #[command(subcommand)]
    Operator(operator::Command),
    /// Own CAs, as the targets know them.
    #[command(subcommand)]
    Ca(ca::Command),
    /// Provisioning templates, as the targets know them.
    #[command(subcommand)]
    Template(template::Command),
    /// Claim certificates: what devices show that have none of their own yet.
    #[command(subcommand)]
    Claim(claim::Command),
    /// The configuration.
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Is everything here that the line needs? Each 'no' with its remedy; nothing is changed.
    Doctor(doctor::Options),
}

#[derive(Subcommand)]
enum ConfigCommand {
    /// Reads all of it and lists every mistake.
    Check,
}

/// Parses the command line and does what it says.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are no mistakes; clap knows which is which.
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { exit::USAGE } else { 0 });
        }
    };
    output::start_tracing(cli.global.verbose);
    if let Err(error) = bootstrap::keep_memory_private() {
        say(&format!("this process cannot be closed to others: {error}"));
        return ExitCode::from(exit::NOTHING_DONE);
    }
    output::unless_lost(perform(cli))
}

fn perform(cli: Cli) -> ExitCode {
    let global = cli.global;
    match cli.command {
        Some(Command::Practice(options)) => practice::main(&global, options),
        Some(Command::Config(ConfigCommand::Check)) => check::main(&global),
        Some(Command::Audit(command)) => audit::without_config(&global, &command).unwrap_or_else(|| {
            let config = config::load_without_profiles(&places(&global).config);
            with(config, |config| audit::main(&global, &config, command))
        }),
        Some(command) => with_config(&global, |config| match command {
            Command::Run(options) => run::main(&global, config, options),
            Command::Boards { watch } => list_boards(&global, &config, watch),
            Command::Token(command) => token::main(&global, &config, command),
            Command::Batch(command) => batch::main(&global, &config, command),
            Command::Operator(command) => operator::main(&global, &config, command),
            Command::Ca(command) => ca::main(&global, &config, command),
            Command::Template(command) => template::main(&global, &config, command),
            Command::Claim(command) => claim::main(&global, &config, command),
            Command::Report(options) => report::main(&global, &config, &options),
            Command::Resume(options) => resume::main(&global, config, options),
            Command::Label(command) => label::main(&global, config, command),
            Command::ExportHeld(options) => held::export(&global, &config, &options),
            Command::ImportHeld(options) => held::import(&global, config, &options),
            Command::Undo(options) => undo::main(&global, &config, &options),
            Command::Doctor(options) => doctor::main(&global, &config, &options),
            Command::Practice(_) | Command::Config(_) | Command::Audit(_) => ExitCode::from(exit::USAGE),
        }),
        None => with_config(&global, |config| window::main(&global, config)),
    }
}

fn with_config(global: &Global, work: impl FnOnce(Config) -> ExitCode) -> ExitCode {
    with(config::load(&places(global).config), work)
}

/// Or lists everything that is wrong with it.
fn with(config: Result<Config, ConfigErrors>, work: impl FnOnce(Config) -> ExitCode) -> ExitCode {
    match config {
        Ok(config) => work(config),
        Err(problems) => {
            say(&problems.to_string());
            ExitCode::from(exit::USAGE)
        }
    }
}

fn places(global: &Global) -> Places {
    Places::new(global.config.clone(), global.data_dir.clone())
}

/// It works, and whoever relies on the log should know what it can't tell.
fn remark_on_copies(config: &Config, data_dir: &Path, texts: &Texts) {
    if config.log.copies.is_empty() && config.log.s3.is_none() {
        say(&fl!(texts.loader(), "cli-no-copies"));
    } else if bootstrap::copies_are_on_the_logs_disk(config, data_dir) {
        say(&fl!(texts.loader(), "cli-copies-same-disk"));
    }
}

/// What a command that writes does last: a checkpoint of the log as it is now, and its copies. Whatever
/// keeps it from that is said; what the command did is done.
async fn checkpoint(log: &LogWriter, custody: &Custody, language: &Language) {
    let failed = runner::checkpoint_and_copy(log, custody).await.unwrap_or_else(|failure| vec![failure]);
    for failure in failed {
        output::failure(&failure, language);
    }
}

fn list_boards(global: &Global, config: &Config, watch: bool) -> ExitCode {
    let language = output::language(global.language.as_deref(), config.station.language.as_deref());
    let options = boards::Options { watch, json: global.json };
    let listed = boards::run(
        bootstrap::boards(config).as_mut(),
        config,
        options,
        &bootstrap::stop_flag(),
        &mut std::io::stdout(),
    );
    match listed {
        Ok(()) => ExitCode::SUCCESS,
        Err(boards::BoardsError::Ports(failure)) => {
            output::failure(&failure, &language);
            ExitCode::from(3)
        }
        Err(boards::BoardsError::Output(error)) => {
            say(&format!("the list can't be written: {error}"));
            ExitCode::from(3)
        }
    }
}

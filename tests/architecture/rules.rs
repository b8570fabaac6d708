//! Who may name whom.

use std::collections::BTreeSet;
use std::fmt;

use crate::source::{NamedPath, Source};

/// What a room may name besides itself.
enum May {
    /// The room, all of it.
    Room(&'static str),
    /// What the module itself offers, not the modules inside it.
    Face(&'static str),
    /// This module and what is inside it; nothing else of its room.
    Inside(&'static str),
    Everything,
}
use May::{Everything, Face, Inside, Room};

/// Every room of `src` and its arrows. A room that is not here is a violation of its own.
const ARROWS: &[(&str, &[May])] = &[
    ("domain", &[]),
    ("audit", &[Room("domain")]),
    ("ports", &[Room("domain"), Room("audit")]),
    ("provisioning", &[Room("domain"), Room("audit"), Room("ports")]),
    ("reports", &[Room("domain"), Room("ports"), Room("texts")]),
    // It asks which languages there are.
    ("config", &[Room("domain"), Inside("texts::Language")]),
    ("texts", &[Room("domain")]),
    ("adapters", &[Room("domain"), Room("audit"), Room("ports"), Room("config")]),
    ("runner", &[Room("domain"), Room("audit"), Room("ports"), Room("provisioning"), Room("config"), Room("reports")]),
    ("gui", &[Room("domain"), Room("audit"), Room("runner"), Room("texts"), Room("config"), Room("reports")]),
    (
        "cli",
        &[
            Room("domain"),
            Room("audit"),
            Room("ports"),
            Room("provisioning"),
            Room("config"),
            Room("runner"),
            Room("reports"),
            Room("texts"),
            Room("bootstrap"),
            Room("practice"),
            Face("gui"),
            // It joins the practice line to the window's panel for it.
            Inside("gui::practice_panel"),
        ],
    ),
    (
        "practice",
        &[
            Room("domain"),
            Room("audit"),
            Room("ports"),
            Room("provisioning"),
            Room("config"),
            Room("runner"),
            Room("adapters"),
            Room("bootstrap"),
            Inside("gui::practice_panel"),
        ],
    ),
    ("bootstrap", &[Everything]),
    // The roots. Two helper processes are this same binary under a hidden first argument: besides the
    // command line, `main` knows their entry points and nothing else.
    (
        "main",
        &[
            Room("cli"),
            Inside("bootstrap::WORKER_ARGUMENT"),
            Inside("bootstrap::worker_main"),
            Inside("practice::token::MAKER_ARGUMENT"),
            Inside("practice::token::maker_main"),
        ],
    ),
    ("lib", &[]),
];

/// Rooms to which time and bytes are inputs.
const PURE: &[&str] = &["domain", "provisioning", "audit", "ports", "reports"];

/// What pure rooms do not name: the shell, the window, SQL, the cloud's SDK, devices.
const NOT_IN_PURE_ROOMS: &[&str] = &[
    "tokio",
    "tokio_util",
    "egui",
    "eframe",
    "rusqlite",
    "refinery",
    "aws_config",
    "aws_sdk_iot",
    "aws_credential_types",
    "aws_smithy_runtime_api",
    "aws_smithy_types",
    "cryptoki",
    "serialport",
    "nusb",
    "rustix",
    "signal_hook",
    "tempfile",
    "directories",
    "SystemTime",
];

/// Neighbouring segments that no path of a pure room holds: the file system, the network, processes
/// and clocks.
const NOT_IN_PURE_PATHS: &[[&str; 2]] = &[
    ["std", "fs"],
    ["std", "net"],
    ["std", "process"],
    ["std", "thread"],
    ["std", "env"],
    ["std", "os"],
    ["Instant", "now"],
    ["Timestamp", "now"],
    ["Zoned", "now"],
];

/// Faults live in stand-ins and tests.
const FAULTS: &[&str] = &[
    "key-missing",
    "certificate-copied",
    "foreign-ca",
    "board-exchanged",
    "silent-board",
    "hung-token",
    "cloud-down",
    "printer-down",
];
const ROOMS_WITHOUT_FAULTS: &[&str] = &["domain", "audit", "ports", "provisioning", "config", "runner", "adapters"];

/// Something that a file may not say.
pub struct Violation {
    file: String,
    line: usize,
    what: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.file, self.line, self.what)
    }
}

/// Everything in `sources` that breaks a rule, in the order of the files.
pub fn violations(sources: &[Source]) -> Vec<Violation> {
    let modules: BTreeSet<String> = sources.iter().map(|source| source.module.join("::")).collect();
    sources.iter().flat_map(|source| of_one(source, &modules)).collect()
}

/// The paths of `source` that lead into another room.
pub fn crossings(source: &Source) -> impl Iterator<Item = &NamedPath> {
    let room = room_of(source);
    source.paths.iter().filter(move |path| path.segments[0] == "crate" && path.segments.get(1) != Some(&room))
}

fn of_one(source: &Source, modules: &BTreeSet<String>) -> Vec<Violation> {
    let room = room_of(source);
    let mut found = Vec::new();
    let mut report = |line: usize, what: String| {
        found.push(Violation { file: source.file.clone(), line, what });
    };

    match ARROWS.iter().find(|(name, _)| *name == room) {
        None => report(1, format!("room `{room}` has no rule: say what it may name")),
        Some((_, may)) => {
            for path in &source.paths {
                if let Some(what) = arrow(&room, may, path, modules) {
                    report(path.line, what);
                }
            }
        }
    }
    for line in &source.moved {
        report(*line, "code from elsewhere (`#[path]`, `include!`): a file's place is its module".to_owned());
    }
    if PURE.contains(&room.as_str()) {
        for (ident, line) in &source.idents {
            if NOT_IN_PURE_ROOMS.contains(&ident.as_str()) {
                report(*line, format!("`{room}` names `{ident}`: time and bytes are its inputs"));
            }
        }
        for path in &source.paths {
            if let Some([a, b]) = NOT_IN_PURE_PATHS.iter().find(|[a, b]| neighbours(path, a, b)) {
                report(path.line, format!("`{room}` names `{a}::{b}`: time and bytes are its inputs"));
            }
        }
    }
    if ROOMS_WITHOUT_FAULTS.contains(&room.as_str()) {
        for (literal, line) in &source.literals {
            if let Some(fault) = FAULTS.iter().find(|fault| literal.contains(*fault)) {
                report(*line, format!("`{room}` knows the fault `{fault}`: faults are made in stand-ins"));
            }
        }
    }
    if room == "gui" && source.module.get(1).is_none_or(|screen| screen != "theme") {
        for path in &source.paths {
            if let Some(colour) = named_colour(path) {
                report(path.line, format!("colour `{colour}`: colours come from gui/theme"));
            }
        }
    }
    found
}

/// Why this path is not allowed.
fn arrow(room: &str, may: &[May], path: &NamedPath, modules: &BTreeSet<String>) -> Option<String> {
    if path.beyond_root {
        return Some(format!("`{}` climbs beyond the crate's root", path.segments.join("::")));
    }
    let at_root = matches!(room, "main" | "lib");
    let inside = match path.segments.split_first() {
        Some((first, rest)) if first == "crate" => rest,
        // At the root a room is named without `crate`.
        Some((first, _)) if at_root && path.segments.len() > 1 && is_room(first) => path.segments.as_slice(),
        _ => return None,
    };
    let target = match inside.first() {
        None if !path.glob && !path.renamed => return None, // `pub(crate)`
        None => "self",
        Some(first) => first.as_str(),
    };
    if target == "self" {
        return Some("names the whole crate: name the room".to_owned());
    }
    if target == room || may.iter().any(|may| may.allows(inside, modules)) {
        return None;
    }
    let named = inside.join("::");
    Some(if is_room(target) {
        format!("`{room}` may not name `{named}`")
    } else {
        format!("`{named}` is in no room that has a rule")
    })
}

impl May {
    fn allows(&self, inside: &[String], modules: &BTreeSet<String>) -> bool {
        match self {
            Everything => inside.first().is_some_and(|room| is_room(room)),
            Room(room) => inside[0] == *room,
            Inside(module) => starts_with(inside, module),
            Face(module) => {
                let depth = module.split("::").count();
                let item = inside.iter().take(depth + 1).map(String::as_str).collect::<Vec<_>>().join("::");
                starts_with(inside, module) && (item == *module || !modules.contains(&item))
            }
        }
    }
}

fn starts_with(inside: &[String], module: &str) -> bool {
    let mut wanted = module.split("::");
    let mut given = inside.iter();
    wanted.all(|part| given.next().is_some_and(|segment| segment == part))
}

fn is_room(name: &str) -> bool {
    ARROWS.iter().any(|(room, _)| *room == name)
}

/// The room that a file belongs to: its first module; the roots are rooms of their own.
fn room_of(source: &Source) -> String {
    match source.module.first() {
        Some(room) => room.clone(),
        None => source.file.trim_start_matches("src/").trim_end_matches(".rs").to_owned(),
    }
}

fn neighbours(path: &NamedPath, a: &str, b: &str) -> bool {
    path.segments.windows(2).any(|pair| pair[0] == a && pair[1] == b)
}

/// `Color32::RED`, `Color32::from_rgb`; not the two that are no colour.
fn named_colour(path: &NamedPath) -> Option<&str> {
    let at = path.segments.iter().position(|segment| segment == "Color32")?;
    let colour = path.segments.get(at + 1)?;
    (!matches!(colour.as_str(), "TRANSPARENT" | "PLACEHOLDER")).then_some(colour)
}

/// What the rules say of these files, each `(path, text)`.
#[cfg(test)]
fn said(files: &[(&str, &str)]) -> Vec<String> {
    let sources: Vec<Source> = files.iter().map(|(file, text)| Source::read(file, text).expect("tokens")).collect();
    violations(&sources).iter().map(ToString::to_string).collect()
}

#[test]
fn each_rule_reports_what_breaks_it() {
    // (file, text, what is said)
    let broken = [
        ("src/domain/a.rs", "use crate::audit::Event;", "`domain` may not name `audit::Event`"),
        ("src/audit/a.rs", "fn f(_: crate::ports::Clock) {}", "`audit` may not name `ports::Clock`"),
        ("src/ports/a.rs", "use crate::provisioning::Run;", "`ports` may not name `provisioning::Run`"),
        ("src/provisioning/a.rs", "use crate::runner::view::Snapshot;", "may not name `runner::view::Snapshot`"),
        ("src/config/a.rs", "use crate::audit::Event;", "`config` may not name `audit::Event`"),
        ("src/texts/a.rs", "use crate::gui::App;", "`texts` may not name `gui::App`"),
        ("src/adapters/a.rs", "use crate::runner::view;", "`adapters` may not name `runner::view`"),
        ("src/adapters/b/mod.rs", "type A = crate::provisioning::Run;", "may not name `provisioning::Run`"),
        ("src/runner/mod.rs", "fn f() { crate::adapters::system::now() }", "may not name `adapters::system::now`"),
        ("src/gui/mod.rs", "use crate::adapters;", "`gui` may not name `adapters`"),
        ("src/gui/a.rs", "use crate::practice::Fault;", "`gui` may not name `practice::Fault`"),
        ("src/cli/mod.rs", "use crate::adapters::sqlite::Store;", "`cli` may not name `adapters::sqlite::Store`"),
        ("src/practice/mod.rs", "use crate::gui::App;", "`practice` may not name `gui::App`"),
        ("src/practice/mod.rs", "use crate::cli::Args;", "`practice` may not name `cli::Args`"),
        ("src/main.rs", "fn main() { lineseal::runner::run() }", "`main` may not name `runner::run`"),
        ("src/main.rs", "use lineseal::bootstrap::{self, Places};", "`main` may not name `bootstrap::Places`"),
        ("src/lib.rs", "pub use domain::Unit;", "`lib` may not name `domain::Unit`"),
        // However it is written.
        ("src/domain/a.rs", "use crate::{domain::Unit, audit::{self, Event}};", "may not name `audit::Event`"),
        ("src/domain/a.rs", "use crate::{\n    r#audit as log,\n};", "may not name `audit`"),
        ("src/domain/a.rs", "use {crate::domain::Unit, crate::audit::Event};", "may not name `audit::Event`"),
        ("src/domain/a.rs", "use super::super::audit::Event;", "may not name `audit::Event`"),
        ("src/domain/mod.rs", "use super::audit::Event;", "may not name `audit::Event`"),
        ("src/domain/mod.rs", "use self::super::audit::Event;", "may not name `audit::Event`"),
        ("src/domain/a/b.rs", "mod c { use super::super::super::super::audit; }", "may not name `audit`"),
        ("src/domain/a.rs", "macro_rules! m { () => { $crate::audit::Event::new() } }", "may not name `audit::Event"),
        ("src/domain/a.rs", "fn f() { vec![crate::audit::VERSION]; }", "may not name `audit::VERSION`"),
        ("src/domain/a.rs", "pub(in crate::audit) fn f() {}", "may not name `audit`"),
        ("src/domain/a.rs", "#[cfg(test)] mod tests { use crate::audit::Event; }", "may not name `audit::Event`"),
        ("src/domain/a.rs", "use crate::*;", "names the whole crate"),
        ("src/domain/a.rs", "use crate as house;", "names the whole crate"),
        ("src/domain/a.rs", "use crate::{self as house};", "names the whole crate"),
        ("src/domain/mod.rs", "use super::*;", "names the whole crate"),
        ("src/domain/mod.rs", "use super as house;", "names the whole crate"),
        ("src/domain/a.rs", "use super::super::super::x;", "climbs beyond the crate's root"),
        ("src/domain/a.rs", "use crate::attic::Box;", "`attic::Box` is in no room that has a rule"),
        ("src/bootstrap.rs", "use crate::attic::Box;", "`attic::Box` is in no room that has a rule"),
        ("src/attic/mod.rs", "", "room `attic` has no rule"),
        ("src/attic.rs", "", "room `attic` has no rule"),
        ("src/bin/tool.rs", "", "room `bin` has no rule"),
        ("src/domain/a.rs", "#[path = \"../audit/tree.rs\"] mod tree;", "code from elsewhere"),
        ("src/domain/a.rs", "include!(\"../audit/tree.rs\");", "code from elsewhere"),
        // Pure rooms.
        ("src/domain/a.rs", "use tokio::sync::mpsc;", "`domain` names `tokio`"),
        ("src/provisioning/a.rs", "fn f(_: egui::Ui) {}", "`provisioning` names `egui`"),
        ("src/provisioning/a.rs", "extern crate eframe;", "`provisioning` names `eframe`"),
        ("src/audit/a.rs", "use ::rusqlite::Connection;", "`audit` names `rusqlite`"),
        ("src/ports/a.rs", "use {aws_sdk_iot as iot};", "`ports` names `aws_sdk_iot`"),
        ("src/ports/a.rs", "use aws_config::Region;", "`ports` names `aws_config`"),
        ("src/audit/a.rs", "use std::{io::Read, fs};", "`audit` names `std::fs`"),
        ("src/audit/a.rs", "use std::{self, net::{TcpStream, SocketAddr}};", "`audit` names `std::net`"),
        ("src/domain/a.rs", "fn f() { ::std::process::abort() }", "`domain` names `std::process`"),
        ("src/domain/a.rs", "fn f() { std::thread::sleep(d) }", "`domain` names `std::thread`"),
        ("src/domain/a.rs", "fn f() { dbg!(std::env::var(\"A\")) }", "`domain` names `std::env`"),
        ("src/audit/a.rs", "fn f() { std::time::Instant::now(); }", "`audit` names `Instant::now`"),
        ("src/audit/a.rs", "use std::time::SystemTime;", "`audit` names `SystemTime`"),
        ("src/provisioning/a.rs", "fn f() { let at = Timestamp::now(); }", "`provisioning` names `Timestamp::now`"),
        ("src/provisioning/a.rs", "fn f() { let f = jiff::Zoned::now; }", "`provisioning` names `Zoned::now`"),
        // Faults.
        ("src/runner/a.rs", "const A: &str = \"hung-token\";", "`runner` knows the fault `hung-token`"),
        ("src/adapters/a.rs", "const A: &[u8] = b\"x cloud-down\";", "`adapters` knows the fault `cloud-down`"),
        ("src/provisioning/a.rs", "/// As in key-missing.\nfn f() {}", "`provisioning` knows the fault `key-missing`"),
        ("src/provisioning/a.rs", "m!(r#\"certificate-copied\"#);", "knows the fault `certificate-copied`"),
        // The theme.
        ("src/gui/a.rs", "fn f() { egui::Color32::from_rgb(1, 2, 3); }", "colour `from_rgb`"),
        ("src/gui/a.rs", "const INK: Color32 = Color32::BLACK;", "colour `BLACK`"),
    ];
    for (file, text, expected) in broken {
        let said = said(&[(file, text)]);
        assert!(
            said.iter().any(|line| line.contains(expected)),
            "{file}: {text}\nexpected: {expected}\nsaid: {said:?}"
        );
        assert!(said.iter().all(|line| line.starts_with(file)), "{said:?}");
    }
}

#[test]
fn a_faces_inner_modules_are_not_its_face() {
    let inner = ("src/gui/screens/mod.rs", "");
    assert_eq!(
        said(&[inner, ("src/cli/mod.rs", "use crate::gui::screens::Station;")]),
        ["src/cli/mod.rs:1: `cli` may not name `gui::screens::Station`"]
    );
    assert_eq!(said(&[inner, ("src/cli/mod.rs", "fn f() { crate::gui::open() }")]), [""; 0]);
    assert_eq!(said(&[inner, ("src/cli/mod.rs", "fn f() { crate::gui::Window::open() }")]), [""; 0]);
}

#[test]
fn the_nearest_allowed_names_pass() {
    let fine = [
        ("src/domain/a.rs", "use super::{Invalid, text_type}; use crate::domain::Unit; pub(crate) fn f() {}"),
        ("src/domain/a.rs", "mod tests { use super::*; use super::super::Unit; }"),
        ("src/domain/a.rs", "impl A { fn f(self) { self.audit; } fn g() { std::path::Path::new(\"a\"); } }"),
        ("src/domain/a.rs", "//! Not `crate::audit`, and no clock: [`SystemTime`](std::time::SystemTime).\n"),
        ("src/audit/a.rs", "use crate::domain::Unit; fn f(now: jiff::Timestamp) {} fn g(x: u8) -> u64 { x as u64 }"),
        (
            "src/provisioning/a.rs",
            "use crate::{domain::*, audit::Event, ports::ClaimAnswer}; const A: &str = \"expired\";",
        ),
        (
            "src/adapters/a.rs",
            "use crate::config::Printer; use crate::ports::{self, Clock}; use std::time::SystemTime;",
        ),
        ("src/runner/a.rs", "use crate::provisioning::decide; use tokio::sync::mpsc;"),
        ("src/gui/a.rs", "use crate::runner::view::Snapshot; const NONE: Color32 = Color32::TRANSPARENT;"),
        ("src/gui/theme/mod.rs", "pub const INK: Color32 = Color32::from_rgb(0x14, 0x17, 0x1c);"),
        ("src/gui/theme.rs", "pub const INK: Color32 = Color32::from_rgb(0x14, 0x17, 0x1c);"),
        ("src/cli/practice.rs", "use crate::practice::{Fault, Line}; const A: &str = \"hung-token\";"),
        ("src/cli/practice.rs", "use crate::gui::practice_panel::{PracticeBridge, PracticeView};"),
        ("src/practice/mod.rs", "use crate::gui::practice_panel::{Panel, self}; use crate::adapters::sqlite::Store;"),
        ("src/bootstrap.rs", "use crate::{adapters::{sqlite, aws_iot}, runner, config::Config};"),
        ("src/main.rs", "fn main() -> std::process::ExitCode { lineseal::cli::run() }"),
        ("src/main.rs", "use lineseal::bootstrap::{WORKER_ARGUMENT, worker_main};"),
        ("src/lib.rs", "//! Rooms.\npub mod domain;\npub mod gui;\n"),
    ];
    for (file, text) in fine {
        assert_eq!(said(&[(file, text)]), [""; 0], "{file}: {text}");
    }
}

#[test]
fn a_violation_names_its_line() {
    assert_eq!(
        said(&[("src/domain/a.rs", "use crate::domain::Unit;\n\nuse crate::{\n    audit::Event,\n};\n")]),
        ["src/domain/a.rs:4: `domain` may not name `audit::Event`"]
    );
}

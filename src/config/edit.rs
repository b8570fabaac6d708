//! One setting of the station's file, changed in its text: comments, order and everything else stay as they are.
//! What comes out has been read as any configuration is.

use std::collections::BTreeSet;
use std::path::Path;

use toml_edit::{Array, Document, DocumentMut, Item, TableLike, Value};

use super::{Config, Lane, Look, load_text};
use crate::domain::{Failure, LaneNumber, PortPath, ReasonCode};

/// What an administrator may change from the window.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// The lane takes this port and no other.
    Port {
        lane: LaneNumber,
        port: PortPath,
    },
    /// A profile's file, as the station's file names it: its boards are taken, or are not.
    Profile {
        file: String,
        taken: bool,
    },
    Printer(PrinterChoice),
    /// Its tag.
    Language(String),
    Theme(Look),
}

/// A printer of each kind, by what makes it that one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PrinterChoice {
    pub kind: PrinterKind,
    /// `host:port`, URI or path; empty where there is none.
    pub place: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PrinterKind {
    Tcp,
    Ipp,
    Device,
    Folder,
    None,
}

impl PrinterKind {
    pub const ALL: [PrinterKind; 5] =
        [PrinterKind::Tcp, PrinterKind::Ipp, PrinterKind::Device, PrinterKind::Folder, PrinterKind::None];

    /// As it stands in the file.
    pub fn name(self) -> &'static str {
        match self {
            PrinterKind::Tcp => "tcp",
            PrinterKind::Ipp => "ipp",
            PrinterKind::Device => "device",
            PrinterKind::Folder => "folder",
            PrinterKind::None => "none",
        }
    }

    /// The key that says which one it is.
    fn key(self) -> Option<&'static str> {
        match self {
            PrinterKind::Tcp => Some("address"),
            PrinterKind::Ipp => Some("uri"),
            PrinterKind::Device | PrinterKind::Folder => Some("path"),
            PrinterKind::None => None,
        }
    }

    /// All that it may have besides.
    fn keys(self) -> &'static [&'static str] {
        match self {
            PrinterKind::Tcp => &["address", "status"],
            PrinterKind::Ipp => &["uri", "format", "roots"],
            PrinterKind::Device | PrinterKind::Folder => &["path"],
            PrinterKind::None => &[],
        }
    }
}

impl PrinterChoice {
    /// What the log says of it.
    fn told(&self) -> String {
        format!("{} {}", self.kind.name(), self.place).trim_end().to_owned()
    }
}

/// Which setting a change is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Setting {
    Port(LaneNumber),
    Profiles,
    Printer,
    Language,
    Theme,
}

impl Setting {
    /// The station takes it up while it works; anything else, when it is started the next time.
    pub fn is_taken_up_at_once(self) -> bool {
        matches!(self, Setting::Language | Setting::Theme)
    }

    /// As the log names it.
    pub fn name(self) -> String {
        match self {
            Setting::Port(lane) => format!("lanes.{lane}.port"),
            Setting::Profiles => "profiles".to_owned(),
            Setting::Printer => "printer".to_owned(),
            Setting::Language => "station.language".to_owned(),
            Setting::Theme => "window.theme".to_owned(),
        }
    }
}

impl Change {
    pub fn setting(&self) -> Setting {
        match self {
            Change::Port { lane, .. } => Setting::Port(*lane),
            Change::Profile { .. } => Setting::Profiles,
            Change::Printer(_) => Setting::Printer,
            Change::Language(_) => Setting::Language,
            Change::Theme(_) => Setting::Theme,
        }
    }
}

/// The settings that can be changed, as a station's file has them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    pub lanes: Vec<LaneSetting>,
    /// Files, as they are named.
    pub profiles: Vec<String>,
    pub printer: PrinterChoice,
    pub language: Option<String>,
    pub theme: Look,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LaneSetting {
    pub number: LaneNumber,
    pub name: String,
    /// A regular expression; `None`: whichever port comes first.
    pub port: Option<String>,
}

/// A changed text, and what is new in it.
#[derive(Debug)]
pub struct Edited {
    pub text: String,
    pub settings: Settings,
    /// `None`: the file said nothing of it.
    pub old: Option<String>,
    pub new: String,
}

impl Settings {
    /// As `text`, the file at `path`, has them. K-701: it does not load.
    pub fn of(path: &Path, text: &str) -> Result<Self, Failure> {
        let config = load_text(path, text)?;
        let document = parse(path, text)?;
        Ok(Self::read(&config, document.as_table()))
    }

    fn read(config: &Config, document: &dyn TableLike) -> Self {
        let of_lane = |lane: &Lane| LaneSetting {
            number: lane.number,
            name: lane.name.clone(),
            port: lane.port.as_ref().map(|port| port.as_str().to_owned()),
        };
        let mut lanes: Vec<_> = config.lanes.iter().map(of_lane).collect();
        lanes.sort_by_key(|lane| lane.number);
        let profiles = document.get("profiles").and_then(Item::as_array);
        let profiles = profiles.into_iter().flat_map(Array::iter).filter_map(Value::as_str);
        Self {
            lanes,
            profiles: profiles.map(str::to_owned).collect(),
            printer: printer(document),
            language: config.station.language.clone(),
            theme: config.window.theme,
        }
    }

    fn value(&self, change: &Change) -> Option<String> {
        match change {
            Change::Port { lane, .. } => self.lanes.iter().find(|known| known.number == *lane)?.port.clone(),
            Change::Profile { .. } => Some(self.profiles.join(", ")),
            Change::Printer(_) => Some(self.printer.told()),
            Change::Language(_) => self.language.clone(),
            Change::Theme(_) => Some(self.theme.name().to_owned()),
        }
    }

    /// Another lane that takes this port: K-710 names it.
    pub fn leaves_port_to(&self, lane: LaneNumber, port: &PortPath) -> Result<(), Failure> {
        let takes = |known: &&LaneSetting| {
            let expression = known.port.as_deref().and_then(|port| regex::Regex::new(port).ok());
            known.number != lane && expression.is_some_and(|expression| expression.is_match(port.as_str()))
        };
        match self.lanes.iter().find(takes) {
            None => Ok(()),
            Some(other) => {
                let cause = format!("lane {} takes {port} already, by {:?}", other.number, other.port);
                Err(Failure::new(ReasonCode::PORT_OF_OTHER_LANE, cause).with("lane", other.number).with("port", port))
            }
        }
    }
}

/// `text`, the station's file at `path`, with the one change in it. K-701: it would not load; O-606: it says so already,
/// or has no such lane; K-710: the port is another lane's.
pub fn edit(path: &Path, text: &str, change: &Change) -> Result<Edited, Failure> {
    let before = Settings::of(path, text)?;
    let text = match change {
        Change::Port { lane, port } => {
            before.leaves_port_to(*lane, port)?;
            with_port(path, text, *lane, port)?
        }
        Change::Profile { file, taken } => with_profile(path, text, file, *taken)?,
        Change::Printer(choice) => with_printer(path, text, choice)?,
        Change::Language(tag) => with_value(path, text, "station", "language", tag)?,
        Change::Theme(look) => with_value(path, text, "window", "theme", look.name())?,
    };
    let settings = Settings::of(path, &text)?;
    let (old, new) = (before.value(change), settings.value(change).unwrap_or_default());
    if before == settings {
        return Err(not_now("the station's file says so already".to_owned()));
    }
    Ok(Edited { text, settings, old, new })
}

fn not_now(cause: String) -> Failure {
    Failure::new(ReasonCode::NOT_NOW, cause)
}

fn parse(path: &Path, text: &str) -> Result<DocumentMut, Failure> {
    text.parse::<DocumentMut>().map_err(|error| broken(path, &error))
}

/// Its own Display quotes the line; the reader has told all that is wrong in a file that does not load.
fn broken(path: &Path, error: &toml_edit::TomlError) -> Failure {
    Failure::new(ReasonCode::CONFIG_INVALID, format!("{}: {}", path.display(), error.message()))
}

fn printer(document: &dyn TableLike) -> PrinterChoice {
    let section = document.get("printer").and_then(Item::as_table_like);
    let string = |key| section.and_then(|section| section.get(key)).and_then(Item::as_str).unwrap_or_default();
    let kind = PrinterKind::ALL.into_iter().find(|kind| kind.name() == string("kind")).unwrap_or(PrinterKind::None);
    PrinterChoice { kind, place: kind.key().map(string).unwrap_or_default().to_owned() }
}

fn with_port(path: &Path, text: &str, lane: LaneNumber, port: &PortPath) -> Result<String, Failure> {
    // A hyphen means nothing outside of brackets, and ports are full of them.
    let expression = format!("^{}$", regex::escape(port.as_str()).replace("\\-", "-"));
    let mut document = parse(path, text)?;
    let number = i64::from(lane.get());
    let is_it = |table: &dyn TableLike| table.get("number").and_then(Item::as_integer) == Some(number);
    if number == 1 && document.get("lanes").is_none() {
        // Without any there is one.
        return Ok(appended(text, "[[lanes]]", &[("number", "1"), ("port", &quoted(&expression))]));
    }
    let found = match document.get_mut("lanes") {
        Some(Item::ArrayOfTables(tables)) => {
            let mut tables = tables.iter_mut().map(|table| table as &mut dyn TableLike);
            tables.find(|table| is_it(*table)).map(|table| set(table, "port", &expression))
        }
        Some(Item::Value(Value::Array(array))) => {
            let tables = array.iter_mut().filter_map(Value::as_inline_table_mut);
            let mut tables = tables.map(|table| table as &mut dyn TableLike);
            tables.find(|table| is_it(*table)).map(|table| set(table, "port", &expression))
        }
        _ => None,
    };
    found.ok_or_else(|| not_now(format!("the station's file has no lane {lane}")))?;
    Ok(document.to_string())
}

fn with_value(path: &Path, text: &str, section: &str, key: &str, value: &str) -> Result<String, Failure> {
    let mut document = parse(path, text)?;
    match document.get_mut(section).and_then(Item::as_table_like_mut) {
        Some(table) => set(table, key, value),
        None => return Ok(appended(text, &format!("[{section}]"), &[(key, &quoted(value))])),
    }
    Ok(document.to_string())
}

fn with_printer(path: &Path, text: &str, choice: &PrinterChoice) -> Result<String, Failure> {
    let (kind, place) = (choice.kind, choice.place.trim());
    let all: BTreeSet<&str> = PrinterKind::ALL.into_iter().flat_map(PrinterKind::keys).copied().collect();
    let obsolete: Vec<&str> = all.into_iter().filter(|key| !kind.keys().contains(key)).collect();
    let text = commented_out(path, text, "printer", &obsolete)?;
    let mut document = parse(path, &text)?;
    let Some(table) = document.get_mut("printer").and_then(Item::as_table_like_mut) else {
        let (name, place) = (quoted(kind.name()), quoted(place));
        let own = kind.key().map(|key| (key, place.as_str()));
        let keys: Vec<_> = std::iter::once(("kind", name.as_str())).chain(own).collect();
        return Ok(appended(&text, "[printer]", &keys));
    };
    // Within braces there is no place for a comment.
    for key in obsolete {
        table.remove(key);
    }
    set(table, "kind", kind.name());
    if let Some(key) = kind.key() {
        set(table, key, place);
    }
    Ok(document.to_string())
}

fn with_profile(path: &Path, text: &str, file: &str, taken: bool) -> Result<String, Failure> {
    let mut document = parse(path, text)?;
    let Some(array) = document.get_mut("profiles").and_then(Item::as_array_mut) else {
        return Err(not_now("the station's file has no list of profiles".to_owned()));
    };
    let place = array.iter().position(|known| known.as_str() == Some(file));
    match (place, taken) {
        (None, true) => push(array, file),
        (Some(place), false) => remove(array, place),
        _ => {}
    }
    Ok(document.to_string())
}

/// In the place of the old value, with what stood around it; else as the last of the table.
fn set(table: &mut dyn TableLike, key: &str, text: &str) {
    match table.get_mut(key).and_then(Item::as_value_mut) {
        Some(value) => {
            let around = value.decor().clone();
            *value = Value::from(text);
            *value.decor_mut() = around;
        }
        None => {
            table.insert(key, Item::Value(Value::from(text)));
        }
    }
}

fn quoted(text: &str) -> String {
    Value::from(text).to_string().trim().to_owned()
}

/// A section that the file has not, at its end.
fn appended(text: &str, head: &str, keys: &[(&str, &str)]) -> String {
    let gap = if text.is_empty() || text.ends_with('\n') { "" } else { "\n" };
    let lines: String = keys.iter().map(|(key, value)| format!("{key} = {value}\n")).collect();
    format!("{text}{gap}\n{head}\n{lines}")
}

/// What has no meaning any more stays where it stood, for whoever wants it back.
fn commented_out(path: &Path, text: &str, section: &str, keys: &[&str]) -> Result<String, Failure> {
    let document = Document::parse(text).map_err(|error| broken(path, &error))?;
    let table = match document.get(section) {
        Some(Item::Table(table)) => table,
        _ => return Ok(text.to_owned()),
    };
    let mut starts = Vec::new();
    for (key, item) in keys.iter().filter_map(|key| table.get_key_value(key)) {
        let (Some(from), Some(to)) = (key.span(), item.span()) else { continue };
        let first = text[..from.start].rfind('\n').map_or(0, |at| at + 1);
        let more = text[from.start..to.end].match_indices('\n').map(|(at, _)| from.start + at + 1);
        starts.extend(std::iter::once(first).chain(more));
    }
    starts.sort_unstable();
    starts.dedup();
    let mut changed = text.to_owned();
    for start in starts.into_iter().rev() {
        changed.insert_str(start, "# ");
    }
    Ok(changed)
}

/// On a line of its own, where the others are.
fn push(array: &mut Array, file: &str) {
    let spread = array.iter().last().and_then(|last| last.decor().prefix()?.as_str());
    let indent = spread.and_then(|prefix| prefix.rsplit_once('\n')).map(|(_, indent)| format!("\n{indent}"));
    let mut value = Value::from(file);
    let after = array.trailing().as_str().unwrap_or_default().to_owned();
    let prefix = match &indent {
        // What is said of the last one, behind it, stays there.
        Some(indent) if after.contains('#') => {
            array.set_trailing("\n");
            format!("{}{indent}", after.trim_end())
        }
        Some(indent) => indent.clone(),
        None if array.is_empty() => String::new(),
        None => " ".to_owned(),
    };
    value.decor_mut().set_prefix(prefix);
    array.push_formatted(value);
}

/// The comments around it stay.
fn remove(array: &mut Array, place: usize) {
    let removed = array.remove(place);
    let said = removed.decor().prefix().and_then(|prefix| prefix.as_str()).unwrap_or_default().to_owned();
    let comments = said.rsplit_once('\n').filter(|(said, _)| said.contains('#')).map(|(said, _)| said.to_owned());
    match (array.get_mut(place), comments) {
        (Some(next), comments) => {
            let own = next.decor().prefix().and_then(|prefix| prefix.as_str()).unwrap_or_default().to_owned();
            let prefix = match comments {
                Some(said) if own.starts_with('\n') || own.starts_with(" #") => format!("{said}{own}"),
                Some(said) => format!("{said}\n{own}"),
                // As the first one stood.
                None if place == 0 && !own.contains('#') => said,
                None => own,
            };
            next.decor_mut().set_prefix(prefix);
        }
        (None, Some(said)) => {
            let after = array.trailing().as_str().unwrap_or_default();
            let after = if after.starts_with('\n') { after.to_owned() } else { format!("\n{after}") };
            array.set_trailing(format!("{said}{after}"));
        }
        (None, None) => {}
    }
}

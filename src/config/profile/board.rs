//! `[match]`, `[[prepare]]` and `[identify]`: the board before its chip is touched.

use std::path::Path;
use std::time::Duration;

use crate::config::problem::Mistake;
use crate::config::section::{Entry, Known, Section};
use crate::domain::profile::{
    CONFIGURE_VARIABLES, DEVICE_VARIABLES, Dialogue, Identify, IdentifySource, LABEL_VARIABLES, LONG_VARIABLES, Match,
    PARAMETER_VARIABLES, Prepare, RUN_VARIABLES,
};
use crate::domain::{CommandLine, Template, Variables, may_be_said};

const BAUD: u32 = 115_200;
const DIALOGUE_TIMEOUT: Duration = Duration::from_millis(1_000);
const DIALOGUE_RETRIES: u32 = 2;
const COMMAND_TIMEOUT: Duration = Duration::from_millis(10_000);
const SCAN_TIMEOUT: Duration = Duration::from_millis(120_000);

pub(super) fn read_match(entry: &Entry<'_>) -> Option<Match> {
    let section = entry.section("[match]")?;
    let regex = |key| match section.optional(key) {
        Some(entry) => entry.regex().map(Some),
        None => Some(None),
    };
    let usb = match section.optional("usb") {
        Some(entry) => {
            let items = entry.some_items();
            items.and_then(|items| items.iter().map(Entry::parsed).collect::<Vec<_>>().into_iter().collect())
        }
        None => Some(Vec::new()),
    };
    let path = regex("path");
    let usb_serial = regex("usb_serial");
    let usb_product = regex("usb_product");
    let interface = match section.optional("interface") {
        Some(entry) => entry.integer(0..=255).map(|number| u8::try_from(number).ok()),
        None => Some(None),
    };
    let serial_port = section.optional("serial_port").map(|entry| entry.boolean());
    let matches = Match {
        usb: usb?,
        path: path?,
        usb_serial: usb_serial?,
        usb_product: usb_product?,
        interface: interface?,
        serial_port: serial_port.map_or(Some(None), |value| value.map(Some))?,
    };
    let names_something = !matches.usb.is_empty()
        || matches.path.is_some()
        || matches.usb_serial.is_some()
        || matches.usb_product.is_some();
    if !names_something {
        entry.refuse("would match any board: name at least one of usb, path, usb_serial, usb_product");
        return None;
    }
    Some(matches)
}

/// The identify step, and the named groups that its answer brings. Groups are `None` where they could
/// not be read.
pub(super) fn read_identify(entry: &Entry<'_>, serial_port: Option<bool>) -> (Option<Identify>, Option<Vec<String>>) {
    #[derive(Clone, Copy, PartialEq)]
    enum Source {
        UsbSerial,
        Question,
        Barcode,
    }
    let Some(section) = entry.section("[identify]") else {
        return (None, None);
    };
    let sources = [("usb-serial", Source::UsbSerial), ("question", Source::Question), ("barcode", Source::Barcode)];
    let source_entry = section.required("source");
    let serial = section.required("serial").and_then(|entry| entry.whole_regex());
    let (source, groups) = match source_entry.as_ref().and_then(|entry| entry.choice(&sources)) {
        Some(Source::UsbSerial) => {
            section.meaningless(&DIALOGUE_KEYS, "source = \"usb-serial\" asks the board nothing");
            section.meaningless(&["again"], "source = \"usb-serial\" asks the board nothing");
            (Some(IdentifySource::UsbSerial), Some(Vec::new()))
        }
        Some(Source::Barcode) => {
            section.meaningless(
                &["send", "expect", "baud", "retries", "again"],
                "source = \"barcode\" asks the board nothing",
            );
            let timeout = millis(&section, "timeout_ms", SCAN_TIMEOUT, 1_000, 3_600_000);
            (timeout.map(|timeout| IdentifySource::Barcode { timeout }), Some(Vec::new()))
        }
        Some(Source::Question) => {
            if let (Some(entry), Some(false)) = (&source_entry, serial_port) {
                entry.refuse("[match] takes boards without a serial port, which nobody can ask");
            }
            // The serial number is what this question is for.
            let names = DEVICE_VARIABLES.map(str::to_owned).to_vec();
            let known = Known { names, complete: true, values: Vec::new() };
            let dialogue = read_dialogue(&section, &known);
            let groups = section.optional("expect").filter(|_| dialogue.is_some()).and_then(|entry| groups(&entry));
            (dialogue.map(IdentifySource::Dialogue), groups)
        }
        None => {
            for key in DIALOGUE_KEYS {
                section.optional(key);
            }
            (None, None)
        }
    };
    let asks = matches!(source, Some(IdentifySource::Dialogue(_)));
    let again = section.optional("again").map_or(Some(asks), |entry| entry.boolean());
    let identify = source.zip(serial).zip(again).map(|((source, serial), again)| Identify { source, again, serial });
    (identify, groups)
}

pub(super) fn read_prepare(entry: &Entry<'_>, serial_port: Option<bool>, known: &Known) -> Option<Vec<Prepare>> {
    let read = |item: &Entry<'_>| read_one_prepare(item, "[[prepare]]", serial_port, known);
    entry.items()?.iter().map(read).collect::<Vec<_>>().into_iter().collect()
}

pub(super) fn read_one_prepare(
    item: &Entry<'_>,
    title: &str,
    serial_port: Option<bool>,
    known: &Known,
) -> Option<Prepare> {
    let section = item.section(title)?;
    let command = section.optional("command");
    let expect = section.optional("expect");
    match (command, expect) {
        (Some(command), expect) => {
            if let Some(expect) = expect {
                expect.report(Mistake::Exclusive { key: expect.name.clone(), other: section.name("command") });
            }
            section.meaningless(&["send", "baud", "retries"], "\"command\" runs a program");
            let timeout = millis(&section, "timeout_ms", COMMAND_TIMEOUT, 1, 600_000);
            let stdin = section.optional("stdin").map_or(Some(None), |entry| entry.template(known).map(Some));
            let command = read_command(&command, known)?;
            Some(Prepare::Command { command, stdin: stdin?, timeout: timeout? })
        }
        (None, Some(expect)) => {
            if serial_port == Some(false) {
                expect.refuse("[match] takes boards without a serial port, which nobody can talk to");
            }
            section.meaningless(&["stdin"], "only a \"command\" reads it");
            read_dialogue(&section, known).map(Prepare::Dialogue)
        }
        (None, None) => {
            for key in DIALOGUE_KEYS {
                section.optional(key);
            }
            let _ = section.optional("stdin");
            item.refuse("is neither a \"command\" nor a dialogue with \"expect\"");
            None
        }
    }
}

const DIALOGUE_KEYS: [&str; 5] = ["send", "expect", "baud", "timeout_ms", "retries"];

fn read_dialogue(section: &Section<'_>, known: &Known) -> Option<Dialogue> {
    let send = section.optional("send").map(|entry| entry.template(known));
    let expect = section.required("expect").and_then(|entry| {
        let expect = entry.bytes_regex()?;
        if expect.is_match(b"") {
            entry.report(Mistake::MatchesEmpty { key: entry.name.clone() });
            return None;
        }
        Some(expect)
    });
    let baud = section.optional("baud").map_or(Some(BAUD), |entry| u32::try_from(entry.integer(300..=4_000_000)?).ok());
    let timeout = millis(section, "timeout_ms", DIALOGUE_TIMEOUT, 10, 60_000);
    let retries =
        section.optional("retries").map_or(Some(DIALOGUE_RETRIES), |entry| u32::try_from(entry.integer(0..=20)?).ok());
    Some(Dialogue {
        baud: baud?,
        send: send.map_or(Some(None), |send| send.map(Some))?,
        expect: expect?,
        timeout: timeout?,
        retries: retries?,
    })
}

/// The named groups of the answer besides `serial`, which has to be one of them.
fn groups(expect: &Entry<'_>) -> Option<Vec<String>> {
    let regex = regex::bytes::Regex::new(expect.string()?).ok()?;
    let names: Vec<String> = regex.capture_names().flatten().map(str::to_owned).collect();
    if !names.iter().any(|name| name == "serial") {
        expect.report(Mistake::NoGroup { key: expect.name.clone(), group: "serial" });
    }
    let names: Vec<String> = names.into_iter().filter(|name| name != "serial").collect();
    for name in &names {
        let taken = [&RUN_VARIABLES[..], &LABEL_VARIABLES, &CONFIGURE_VARIABLES, &PARAMETER_VARIABLES];
        if taken.concat().contains(&name.as_str()) {
            expect.report(Mistake::HidingGroup { key: expect.name.clone(), group: name.clone() });
        }
    }
    Some(names)
}

/// A list, each of whose items becomes one argument.
pub(super) fn read_command(entry: &Entry<'_>, known: &Known) -> Option<CommandLine> {
    let items = entry.some_items()?;
    let mut parts = items.iter().enumerate().map(|(n, item)| {
        if n > 0 {
            return item.template(known);
        }
        // A bare name is looked up in PATH; a path is relative to this file like every other.
        let text = item.text()?;
        if Path::new(text).is_absolute() || !text.contains('/') || text.starts_with('{') {
            return item.template(known);
        }
        let directory = item.source.directory().to_string_lossy().replace('{', "{{").replace('}', "}}");
        let template = item.parse_template(&format!("{directory}/{text}"))?;
        item.knows(&template, known).then_some(template)
    });
    let program = parts.next().flatten();
    let args: Vec<Option<Template>> = parts.collect();
    let command = CommandLine { program: program?, args: args.into_iter().collect::<Option<_>>()? };
    if let Some(name) = command.program.variables().find(|name| !DEVICE_VARIABLES.contains(name)) {
        entry.refuse(format!("{{{name}}} would have a board choose the program that is started"));
        return None;
    }
    let long = command.templates().flat_map(Template::variables).find(|name| LONG_VARIABLES.contains(name));
    if let Some(name) = long {
        entry.refuse(format!(
            "{{{name}}} is no word of a command: it is of any length, and every user of this computer would see it; the \
             command reads it by stdin = \"{{{name}}}\""
        ));
        return None;
    }
    let directory = entry.source.directory();
    for word in command.templates().filter(|word| word.variables().next().is_none()) {
        // What this user may change is part of the configuration; the system's own programs are root's.
        if let Ok(path) = word.render(&Variables::new()).map(|word| directory.join(word))
            && rustix::fs::access(&path, rustix::fs::Access::WRITE_OK).is_ok()
        {
            entry.source.problems.named(&path);
        }
    }
    for (name, value) in &known.values {
        let named = command.templates().any(|template| template.variables().any(|variable| variable == *name));
        if named && !may_be_said(name, value) {
            entry.refuse(format!(
                "{{{name}}} is {value:?}, which is not given to a command: letters, digits and ._:%+,@=/- are"
            ));
            return None;
        }
    }
    Some(command)
}

/// A duration in milliseconds that may be absent.
pub(super) fn millis(section: &Section<'_>, key: &'static str, or: Duration, min: i64, max: i64) -> Option<Duration> {
    section.optional(key).map_or(Some(or), |entry| entry.millis(min..=max))
}

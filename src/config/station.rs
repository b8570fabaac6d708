//! The station's own file.

use std::path::Path;
use std::time::Duration;

use super::problem::{Mistake, Problems};
use super::section::{Entry, Section};
use super::source::Source;
use super::{
    Broker, Config, Detection, IppFormat, IppQueue, Lane, Log, Printer, Role, Scanner, SignIn, Signals, Station,
    Target, Window, ca, host, is_this_machine, log, profile, sign_in, signals, window,
};
use crate::domain::profile::{Offline, Profile};
use crate::domain::{AccountId, LaneNumber, RoleArn};
use crate::texts::Language;

/// Reads it and, where they are asked for, the profiles it names. `None`: something that a [`Config`] cannot be without is wrong,
/// and has been reported.
pub(super) fn read(path: &Path, with_profiles: bool, problems: &Problems) -> Option<Config> {
    read_source(&Source::open(path, problems)?, with_profiles)
}

/// The same, of what was read already.
pub(super) fn read_source(source: &Source<'_>, with_profiles: bool) -> Option<Config> {
    let tables = source.tables()?;
    let top = Section::top(source, tables.get_ref());

    let station = top.required("station").and_then(|entry| station(&entry));
    let detection = match top.optional("detection") {
        Some(entry) => detection(&entry),
        None => {
            Some(Detection { links: vec![DEFAULT_LINKS.into()], serial_ports: true, usb: false, debounce: DEBOUNCE })
        }
    };
    let lanes = match top.optional("lanes") {
        Some(entry) => lanes(&entry),
        None => LaneNumber::try_from(1).ok().map(|number| vec![Lane { number, name: number.to_string(), port: None }]),
    };
    let printer = match top.optional("printer") {
        Some(entry) => printer(&entry),
        None => Some(Printer::None),
    };
    let window = top.optional("window").map_or(Some(Window::default()), |entry| window::window(&entry));
    let scanner = top.optional("scanner").map_or(Some(Scanner::default()), |entry| window::scanner(&entry));
    let signals = top.optional("signals").map_or(Some(Signals::default()), |entry| signals::read(&entry));
    let practice = station.as_ref().is_some_and(|station| station.practice);
    let air_gapped = station.as_ref().is_some_and(|station| station.air_gapped);
    // A log is read and restored where nothing is called.
    let calls = with_profiles && !air_gapped;
    let log = match top.optional("log") {
        Some(entry) => log::read(&entry, practice),
        None => Some(Log::default()),
    };
    let sign_in = match top.optional("sign_in") {
        Some(entry) => sign_in::read(&entry, practice),
        None => Some(SignIn::of(practice)),
    };
    let target_entries = top.required("targets").and_then(|entry| entry.some_items()).unwrap_or_default();
    let (targets, names) = targets(&target_entries, practice, calls);
    let (cas, ca_names) = match top.optional("ca") {
        Some(entry) => ca::read(&entry, targets.as_deref().unwrap_or_default(), &names),
        None => (Some(Vec::new()), Vec::new()),
    };
    let draws = matches!(&printer, Some(Printer::Ipp(queue)) if queue.format == IppFormat::Drawn);
    let named = profile::Named { targets: &names, cas: cas.as_deref().unwrap_or_default(), ca_names: &ca_names, draws };
    let without_port = detection.as_ref().is_none_or(|detection| detection.usb);
    let profiles = top.required("profiles").and_then(|entry| match with_profiles {
        true => profiles(
            &entry,
            &named,
            without_port,
            air_gapped,
            practice.then_some(targets.as_deref().unwrap_or_default()),
        ),
        false => Some(Vec::new()),
    });

    Some(Config {
        station: station?,
        detection: detection?,
        lanes: lanes?,
        printer: printer?,
        sign_in: sign_in?,
        window: window?,
        scanner: scanner?,
        signals: signals?,
        log: log?,
        targets: targets?,
        cas: cas?,
        profiles: profiles?,
        files: Vec::new(),
    })
}

const DEFAULT_LINKS: &str = "/dev/serial/by-path";
const DEBOUNCE: Duration = Duration::from_millis(150);
/// Where label printers listen (raw TCP, "JetDirect").
const PRINTER_PORT: u16 = 9100;

fn station(entry: &Entry<'_>) -> Option<Station> {
    let section = entry.section("[station]")?;
    let name = section.required("name").and_then(|entry| entry.parsed());
    let practice = section.optional("practice").map_or(Some(false), |entry| entry.boolean());
    let language = match section.optional("language") {
        Some(entry) => {
            let tags: Vec<String> = Language::available().iter().map(Language::tag).collect();
            let choices: Vec<(&str, &str)> = tags.iter().map(|tag| (tag.as_str(), tag.as_str())).collect();
            entry.choice(&choices).map(|language| Some(language.to_owned()))
        }
        None => Some(None),
    };
    let air_gapped = section.optional("air_gapped").map_or(Some(false), |entry| entry.boolean());
    Some(Station { name: name?, practice: practice?, air_gapped: air_gapped?, language: language? })
}

fn detection(entry: &Entry<'_>) -> Option<Detection> {
    let section = entry.section("[detection]")?;
    let links = match section.optional("links") {
        Some(entry) => entry.items().and_then(|items| items.iter().map(Entry::path).collect()),
        None => Some(vec![DEFAULT_LINKS.into()]),
    };
    let serial_ports = section.optional("serial_ports").map_or(Some(true), |entry| entry.boolean());
    let usb = section.optional("usb").map_or(Some(false), |entry| entry.boolean());
    let debounce = section.optional("debounce_ms").map_or(Some(DEBOUNCE), |entry| entry.millis(0..=5_000));
    let detection = Detection { links: links?, serial_ports: serial_ports?, usb: usb?, debounce: debounce? };
    if detection.links.is_empty() && !detection.serial_ports && !detection.usb {
        entry.refuse("nothing would ever be detected: name links, or set serial_ports or usb to true");
    }
    Some(detection)
}

fn lanes(entry: &Entry<'_>) -> Option<Vec<Lane>> {
    let mut seen = Seen::default();
    let read = |item: &Entry<'_>| {
        let section = item.section("[[lanes]]")?;
        let number = section.required("number").and_then(|entry| {
            let number = entry.integer(1..=i64::from(LaneNumber::MAX))?;
            seen.check(&entry, &number.to_string());
            LaneNumber::try_from(u8::try_from(number).ok()?).ok()
        });
        let name = section.optional("name").map(|entry| entry.text().map(str::to_owned));
        let port = section.optional("port").map(|entry| entry.regex());
        let number = number?;
        Some(Lane {
            number,
            name: name.unwrap_or_else(|| Some(number.to_string()))?,
            port: port.map_or(Some(None), |port| port.map(Some))?,
        })
    };
    all(&entry.some_items()?, read)
}

fn printer(entry: &Entry<'_>) -> Option<Printer> {
    #[derive(Clone, Copy)]
    enum Kind {
        None,
        Tcp,
        Ipp,
        Device,
        Folder,
    }
    let section = entry.section("[printer]")?;
    let kinds = [
        ("tcp", Kind::Tcp),
        ("ipp", Kind::Ipp),
        ("device", Kind::Device),
        ("folder", Kind::Folder),
        ("none", Kind::None),
    ];
    let kind = section.required("kind").and_then(|entry| entry.choice(&kinds));
    let path = || section.required("path").and_then(|entry| entry.path());
    match kind {
        Some(Kind::None) => {
            section.meaningless(
                &["address", "status", "uri", "format", "roots", "path"],
                "kind = \"none\" prints nothing",
            );
            Some(Printer::None)
        }
        Some(Kind::Tcp) => {
            section.meaningless(&["uri", "format", "roots", "path"], "kind = \"tcp\" has an \"address\"");
            let status = section.optional("status").map_or(Some(true), |entry| entry.boolean());
            let address = section.required("address").and_then(|entry| printer_address(&entry));
            Some(Printer::Tcp { address: address?, status: status? })
        }
        Some(Kind::Ipp) => {
            section.meaningless(&["address", "status", "path"], "kind = \"ipp\" has a \"uri\"");
            let formats = [("drawn", IppFormat::Drawn), ("zpl", IppFormat::Zpl)];
            let format = section.optional("format").map_or(Some(IppFormat::Drawn), |entry| entry.choice(&formats));
            let roots = section.optional("roots");
            let uri = section.required("uri").and_then(|entry| printer_uri(&entry));
            if let (Some(uri), Some(entry)) = (&uri, &roots)
                && !uri.starts_with("ipps://")
            {
                let because = "only an ipps:// printer has a certificate".to_owned();
                entry.report(Mistake::Meaningless { key: entry.name.clone(), because });
            }
            let roots = roots.map(|roots| profile::trust::certificates(&roots.some_items()?));
            let roots = roots.map_or(Some(None), |roots| roots.map(Some));
            Some(Printer::Ipp(IppQueue { uri: uri?, format: format?, roots: roots? }))
        }
        Some(Kind::Device) => {
            section.meaningless(&["address", "status", "uri", "format", "roots"], "kind = \"device\" has a \"path\"");
            Some(Printer::Device { path: path()? })
        }
        Some(Kind::Folder) => {
            section.meaningless(&["address", "status", "uri", "format", "roots"], "kind = \"folder\" has a \"path\"");
            Some(Printer::Folder { path: path()? })
        }
        None => {
            for key in ["address", "status", "uri", "format", "roots", "path"] {
                let _ = section.optional(key);
            }
            None
        }
    }
}

/// `ipp://host[:port]/path`. No password in it: it would be in every message.
fn printer_uri(entry: &Entry<'_>) -> Option<String> {
    let text = entry.text()?;
    let rest = text.strip_prefix("ipp://").or_else(|| text.strip_prefix("ipps://"));
    let good = |rest: &str| {
        let (authority, path) = rest.split_once('/')?;
        let port = match authority.rsplit_once(':') {
            Some((_, port)) if !authority.ends_with(']') => port.parse().ok().filter(|port: &u16| *port != 0)?,
            _ => 631,
        };
        let plain = !authority.contains('@') && !authority.starts_with(':') && !authority.is_empty();
        let whole = !text.contains(char::is_whitespace) && !path.is_empty();
        (plain && whole && port != 0).then_some(())
    };
    if rest.and_then(good).is_some() {
        return Some(text.to_owned());
    }
    let because = "write ipp://host/printers/queue or ipps://host:port/ipp/print".into();
    entry.report(Mistake::BadValue { key: entry.name.clone(), value: text.to_owned(), because });
    None
}

/// `host:port`; the port may be left out.
fn printer_address(entry: &Entry<'_>) -> Option<String> {
    let text = entry.text()?;
    let good = |host: &str, port: &str| {
        let bracketed = host.starts_with('[') && host.ends_with(']');
        let plain = !host.is_empty() && !host.contains([':', '/', '[', ']']) && !host.contains(char::is_whitespace);
        (bracketed || plain) && port.parse::<u16>().is_ok_and(|port| port != 0)
    };
    let full = match text.rsplit_once(':') {
        Some((host, _)) if !text.ends_with(']') && !host.is_empty() => text.to_owned(),
        _ => format!("{text}:{PRINTER_PORT}"),
    };
    if full.rsplit_once(':').is_some_and(|(host, port)| good(host, port)) {
        return Some(full);
    }
    let because = "write host:port, e.g. 192.0.2.7:9100 or [2001:db8::7]:9100".into();
    entry.report(Mistake::BadValue { key: entry.name.clone(), value: text.to_owned(), because });
    None
}

/// The targets, and every name that was given to one, good or not: what profiles may refer to. `calls`: somebody is
/// going to call them.
fn targets(items: &[Entry<'_>], practice: bool, calls: bool) -> (Option<Vec<Target>>, Vec<String>) {
    let mut seen = Seen::default();
    let mut names = Vec::new();
    let read = |item: &Entry<'_>| {
        let section = item.section("[[targets]]")?;
        let name = section.required("name").and_then(|entry| {
            let text = entry.string()?;
            if seen.check(&entry, text) {
                names.push(text.to_owned());
            }
            entry.parsed()
        });
        let region = section.required("region").and_then(|entry| entry.parsed());
        let account = section.optional("account").map(|entry| entry.parsed());
        if account.is_none() && !practice && calls {
            section.report(Mistake::Missing { key: ACCOUNT.to_owned() });
        }
        let aws_profile = section.optional("aws_profile").map(|entry| entry.text().map(str::to_owned));
        let role = role(&section, account.as_ref().and_then(Option::as_ref));
        let sts_endpoint = section.optional("sts_endpoint").map(|entry| endpoint(&entry, practice));
        let endpoint = section.optional("endpoint").map(|entry| endpoint(&entry, practice));
        if practice && endpoint.is_none() {
            section.report(Mistake::Missing { key: PRACTICE_ENDPOINT.to_owned() });
        }
        let mqtt = mqtt(&section, practice);
        Some(Target {
            name: name?,
            region: region?,
            account: account.map_or(Some(None), |account| account.map(Some))?,
            aws_profile: aws_profile.map_or(Some(None), |profile| profile.map(Some))?,
            role: role?,
            endpoint: endpoint.map_or(Some(None), |endpoint| endpoint.map(Some))?,
            sts_endpoint: sts_endpoint.map_or(Some(None), |endpoint| endpoint.map(Some))?,
            mqtt: mqtt?,
        })
    };
    let targets = all(items, read);
    (targets, names)
}

/// Credentials change hands more easily than configurations: without it, units could land in any account.
const ACCOUNT: &str = "\"account\" in [[targets]], the 12 digits of the only AWS account that its units may land in \
    (`aws sts get-caller-identity --query Account --output text` tells whose the credentials are),";

/// `role_arn` and `external_id`.
fn role(section: &Section<'_>, account: Option<&AccountId>) -> Option<Option<Role>> {
    let external_id = section.optional("external_id");
    let Some(entry) = section.optional("role_arn") else {
        if let Some(id) = external_id {
            let because = "there is no \"role_arn\" that it would be for".into();
            id.report(Mistake::Meaningless { key: id.name.clone(), because });
        }
        return Some(None);
    };
    let arn = entry.parsed::<RoleArn>();
    let external_id = external_id.map(|entry| entry.parsed());
    let arn = arn?;
    if let Some(other) = arn.account().filter(|owner| account.is_some_and(|account| account != owner)) {
        entry.refuse(format!("is a role of account {other}, and \"account\" is another one"));
        return None;
    }
    Some(Some(Role { arn, external_id: external_id.map_or(Some(None), |id| id.map(Some))? }))
}

const PRACTICE_ENDPOINT: &str =
    "\"endpoint\" in [[targets]], a practice station's cloud on this very machine (http://127.0.0.1:…),";

/// `http(s)://host[:port]`; without TLS, and for the practice line at all, only this very machine.
pub(super) fn endpoint(entry: &Entry<'_>, practice: bool) -> Option<String> {
    let text = entry.text()?;
    let bad = |because: &str| {
        let (key, value) = (entry.name.clone(), text.to_owned());
        entry.report(Mistake::BadValue { key, value, because: because.to_owned() });
        None
    };
    let (secure, authority) = match (text.strip_prefix("https://"), text.strip_prefix("http://")) {
        (Some(rest), _) => (true, rest),
        (None, Some(rest)) => (false, rest),
        (None, None) => return bad("write https://host or http://127.0.0.1:port"),
    };
    let authority = authority.strip_suffix('/').unwrap_or(authority);
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !authority.ends_with(']') => (host, Some(port)),
        _ => (authority, None),
    };
    if host.is_empty()
        || authority.contains(['/', '?', '#', '@'])
        || authority.contains(char::is_whitespace)
        || port.is_some_and(|port| port.parse::<u16>().is_err())
    {
        return bad("write https://host or http://127.0.0.1:port, without a path");
    }
    let here = is_this_machine(self::host(text));
    if practice && !here {
        return bad("a practice station's cloud is on this very machine: http://127.0.0.1:port");
    }
    if !secure && !here {
        return bad("without TLS only this very machine may be used");
    }
    Some(text.to_owned())
}

/// `mqtt` and `mqtt_roots`.
fn mqtt(section: &Section<'_>, practice: bool) -> Option<Option<Broker>> {
    let roots = section.optional("mqtt_roots");
    let Some(entry) = section.optional("mqtt") else {
        if let Some(roots) = roots {
            let because =
                "there is no \"mqtt\": for AWS's own endpoint they belong into the profile's [connect]".into();
            roots.report(Mistake::Meaningless { key: roots.name.clone(), because });
        }
        return Some(None);
    };
    let broker = host_and_port(&entry, practice);
    let roots = roots.map(|roots| profile::trust::certificates(&roots.some_items()?));
    let (host, port) = broker?;
    Some(Some(Broker { host, port, roots: roots.map_or(Some(None), |roots| roots.map(Some))? }))
}

fn host_and_port(entry: &Entry<'_>, practice: bool) -> Option<(String, u16)> {
    let text = entry.text()?;
    let bad = |because: &str| {
        let (key, value) = (entry.name.clone(), text.to_owned());
        entry.report(Mistake::BadValue { key, value, because: because.to_owned() });
        None
    };
    let split = text.rsplit_once(':').and_then(|(host, port)| Some((host, port.parse::<u16>().ok()?)));
    let Some((host, port)) = split.filter(|(_, port)| *port != 0) else {
        return bad("write host:port, e.g. broker.example.com:8883");
    };
    let host = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
    if rustls_pki_types::ServerName::try_from(host).is_err() {
        return bad("its host is no DNS name or IP address that a certificate could be for");
    }
    if practice && !is_this_machine(host) {
        return bad("a practice station's broker is on this very machine: localhost:port");
    }
    Some((host.to_owned(), port))
}

/// `practice`: the targets of a practice station, whose devices never go to AWS's own endpoint.
fn profiles(
    entry: &Entry<'_>,
    named: &profile::Named<'_>,
    without_port: bool,
    air_gapped: bool,
    practice: Option<&[Target]>,
) -> Option<Vec<Profile>> {
    let mut seen = Seen::default();
    let read = |item: &Entry<'_>| {
        let path = item.path()?;
        let name = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
        if !seen.check(item, name) {
            return None;
        }
        let profile = profile::read(&path, name, named, item)?;
        if air_gapped && profile.register.offline == Offline::Stop {
            item.refuse(
                "its units may not wait for the cloud (offline = \"stop\"), and an air-gapped station has none",
            );
        }
        if profile.matches.serial_port == Some(false) && !without_port {
            item.refuse("its boards have no serial port, so [detection] needs usb = true to see them");
        }
        if practice.is_some()
            && profile.register.method.endpoint().is_some_and(|endpoint| !profile::csr::is_here(endpoint))
        {
            item.refuse("a practice station has its certificates made on this very machine");
        }
        let lacks = |target: &&Target| target.mqtt.is_none() && profile.register.targets.contains(&target.name);
        if let (Some(target), Some(_)) = (practice.into_iter().flatten().find(lacks), &profile.connect) {
            let name = &target.name;
            item.refuse(format!("has [connect], and the practice target {name} no \"mqtt\" on this very machine"));
        }
        Some(profile)
    };
    all(&entry.some_items()?, read)
}

/// Reads every item before giving up on any.
pub(super) fn all<'e, T>(items: &[Entry<'e>], read: impl FnMut(&Entry<'e>) -> Option<T>) -> Option<Vec<T>> {
    items.iter().map(read).collect::<Vec<_>>().into_iter().collect()
}

/// Values that may stand only once, with where they stood first.
#[derive(Default)]
struct Seen(Vec<(String, String)>);

impl Seen {
    /// Reports a value that was there before. `true`: it is new.
    fn check(&mut self, entry: &Entry<'_>, value: &str) -> bool {
        if let Some((_, first)) = self.0.iter().find(|(seen, _)| seen == value) {
            let (key, value, first) = (entry.name.clone(), value.to_owned(), first.clone());
            entry.report(Mistake::Duplicate { key, value, first });
            return false;
        }
        self.0.push((value.to_owned(), entry.place()));
        true
    }
}

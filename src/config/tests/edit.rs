//! A setting is changed in the file's text, and nothing else of it.

use super::fixture::{Fixture, PROFILE, STATION, replaced};
use crate::config::{Change, Look, PrinterChoice, PrinterKind, Settings, edit};
use crate::domain::{Failure, LaneNumber, ReasonCode};

const COMMENTED: &str = r#"# The station of line 3.
profiles = [
    # the gateway
    "profiles/gateway.toml",    # since March
]

[station]
name = "L3-ST2"     # stands in every event
# language = "ja"
#   or en

# Left and right.
[[lanes]]
number = 1          # the left one
port = 'usb-0:1:1\.0'   # by the wall

[[lanes]]
number = 2
# port: not known yet

[printer]
# the old one
kind = "tcp"                    # a ZPL printer
address = "192.0.2.7:9100"      # beside the door
status = false
# kind = "ipp"

[[targets]]
name = "staging"
region = "ap-northeast-1"
account = "111111111111"
[[targets]]
name = "production"
region = "eu-west-1"
account = "222222222222"
# the end
"#;

fn edited(text: &str, change: &Change) -> Result<(String, Option<String>, String), Failure> {
    let fixture = Fixture::new();
    fixture.write("profiles/second.toml", replaced(PROFILE, "product = \"gateway-g4\"", "product = \"sensor\""));
    edit(&fixture.path("lineseal.toml"), text, change).map(|edited| (edited.text, edited.old, edited.new))
}

fn port(lane: u8, port: &str) -> Change {
    Change::Port { lane: LaneNumber::try_from(lane).unwrap(), port: port.parse().unwrap() }
}

fn printer(kind: PrinterKind, place: &str) -> Change {
    Change::Printer(PrinterChoice { kind, place: place.to_owned() })
}

#[test]
fn a_port_is_written_where_the_lane_stands_and_every_comment_stays() {
    let (text, old, new) = edited(COMMENTED, &port(1, "pci-0000:00:14.0-usb-0:7:1.0")).unwrap();
    let line = r"port = '^pci-0000:00:14\.0-usb-0:7:1\.0$'   # by the wall";
    assert_eq!(text, replaced(COMMENTED, r"port = 'usb-0:1:1\.0'   # by the wall", line));
    assert_eq!((old.as_deref(), new.as_str()), (Some(r"usb-0:1:1\.0"), r"^pci-0000:00:14\.0-usb-0:7:1\.0$"));
    // A lane that had none.
    let (text, old, _) = edited(COMMENTED, &port(2, "usb-0:2:1.0")).unwrap();
    let line = "number = 2\nport = '^usb-0:2:1\\.0$'\n# port: not known yet\n";
    assert_eq!(text, replaced(COMMENTED, "number = 2\n# port: not known yet\n", line));
    assert_eq!(old, None);
    let fixture = Fixture::new();
    let settings = Settings::of(&fixture.path("lineseal.toml"), &text).unwrap();
    assert!(settings.leaves_port_to(LaneNumber::try_from(2).unwrap(), &"usb-0:2:1.0".parse().unwrap()).is_ok());
}

#[test]
fn a_port_of_another_lane_is_refused_by_that_lane_s_number_and_so_is_a_lane_that_is_not_there() {
    let failure = edited(COMMENTED, &port(2, "usb-0:1:1.0")).unwrap_err();
    assert_eq!((failure.code, failure.args["lane"].as_str()), (ReasonCode::PORT_OF_OTHER_LANE, "1"));
    assert_eq!(edited(COMMENTED, &port(3, "usb-0:3:1.0")).unwrap_err().code, ReasonCode::NOT_NOW);
}

#[test]
fn lanes_are_found_however_they_are_written() {
    let lanes = &STATION[STATION.find("[[lanes]]").unwrap()..STATION.find("[printer]").unwrap()];
    let inline = format!("lanes = [{{ number = 1 }}, {{ number = 2 }}] # both\n{}", replaced(STATION, lanes, ""));
    let (text, ..) = edited(&inline, &port(2, "usb-0:2:1.0")).unwrap();
    assert!(text.starts_with(r"lanes = [{ number = 1 }, { number = 2 , port = '^usb-0:2:1\.0$' }] # both"), "{text}");
    // None is one.
    let none = replaced(STATION, lanes, "");
    let (text, ..) = edited(&none, &port(1, "usb-0:2:1.0")).unwrap();
    assert_eq!(text, format!("{none}\n[[lanes]]\nnumber = 1\nport = '^usb-0:2:1\\.0$'\n"));
}

#[test]
fn another_printer_leaves_the_old_one_s_keys_as_comments() {
    let (text, old, new) = edited(COMMENTED, &printer(PrinterKind::Folder, "labels")).unwrap();
    let before = "kind = \"tcp\"                    # a ZPL printer\naddress = \"192.0.2.7:9100\"      # beside the door\nstatus = false\n";
    let after = "kind = \"folder\"                    # a ZPL printer\npath = \"labels\"\n# address = \"192.0.2.7:9100\"      # beside the door\n# status = false\n";
    assert_eq!(text, replaced(COMMENTED, before, after));
    assert_eq!((old.as_deref(), new.as_str()), (Some("tcp 192.0.2.7:9100"), "folder labels"));
    // Of the same kind, what it has besides stays.
    let (text, ..) = edited(COMMENTED, &printer(PrinterKind::Tcp, "192.0.2.8")).unwrap();
    assert_eq!(text, replaced(COMMENTED, "192.0.2.7:9100", "192.0.2.8"));
    let (text, _, new) = edited(COMMENTED, &printer(PrinterKind::None, "")).unwrap();
    assert!(text.contains("kind = \"none\"") && text.contains("# address = \"192.0.2.7:9100\""), "{text}");
    assert_eq!(new, "none");
    let braces = replaced(STATION, "[printer]\nkind = \"tcp\"\naddress = \"192.0.2.7\"\n", "");
    let braces = format!("printer = {{ kind = \"tcp\", address = \"192.0.2.7\" }} # here\n{braces}");
    let (text, ..) = edited(&braces, &printer(PrinterKind::Device, "/dev/usb/lp0")).unwrap();
    assert!(text.starts_with("printer = { kind = \"device\", path = \"/dev/usb/lp0\" } # here\n"), "{text}");
}

#[test]
fn profiles_come_and_go_and_what_is_said_of_them_stays() {
    let profile = |file: &str, taken| Change::Profile { file: file.to_owned(), taken };
    let (both, old, new) = edited(COMMENTED, &profile("profiles/second.toml", true)).unwrap();
    let last = "    \"profiles/gateway.toml\",    # since March\n";
    assert_eq!(both, replaced(COMMENTED, last, &format!("{last}    \"profiles/second.toml\",\n")));
    assert_eq!(old.as_deref(), Some("profiles/gateway.toml"));
    assert_eq!(new, "profiles/gateway.toml, profiles/second.toml");
    let (back, ..) = edited(&both, &profile("profiles/second.toml", false)).unwrap();
    assert!(back.contains("# the gateway") && back.contains("# since March"), "{back}");
    let (other, ..) = edited(&both, &profile("profiles/gateway.toml", false)).unwrap();
    assert!(other.contains("# the gateway") && other.contains("# since March"), "{other}");
    let (line, ..) = edited(STATION, &profile("profiles/second.toml", true)).unwrap();
    let both = r#"profiles = ["profiles/gateway.toml", "profiles/second.toml"]"#;
    assert_eq!(line, replaced(STATION, r#"profiles = ["profiles/gateway.toml"]"#, both));
    // A station without any is none, and a file that is no profile is told by the reader's own words.
    let none = edited(STATION, &profile("profiles/gateway.toml", false)).unwrap_err();
    assert_eq!(none.code, ReasonCode::CONFIG_INVALID);
    let strange = edited(STATION, &profile("profiles/policy.json", true)).unwrap_err();
    assert!(strange.code == ReasonCode::CONFIG_INVALID && strange.cause.contains("policy.json:"), "{strange}");
}

#[test]
fn language_and_theme_are_written_and_nonsense_is_not() {
    let (text, old, new) = edited(STATION, &Change::Language("en".to_owned())).unwrap();
    assert_eq!(text, replaced(STATION, "language = \"ja\"", "language = \"en\""));
    assert_eq!((old.as_deref(), new.as_str()), (Some("ja"), "en"));
    let (text, ..) = edited(COMMENTED, &Change::Language("en".to_owned())).unwrap();
    let named = "name = \"L3-ST2\"     # stands in every event\n";
    assert_eq!(text, replaced(COMMENTED, named, &format!("{named}language = \"en\"\n")));
    let (text, ..) = edited(COMMENTED, &Change::Theme(Look::Dark)).unwrap();
    assert_eq!(text, format!("{COMMENTED}\n[window]\ntheme = \"dark\"\n"));
    assert_eq!(edited(STATION, &Change::Language("ja".to_owned())).unwrap_err().code, ReasonCode::NOT_NOW);
    let nonsense = edited(STATION, &Change::Language("tlh".to_owned())).unwrap_err();
    assert_eq!(nonsense.code, ReasonCode::CONFIG_INVALID);
    assert!(nonsense.cause.contains("lineseal.toml:6: \"language\" in [station] is \"tlh\""), "{}", nonsense.cause);
    let printer = edited(STATION, &printer(PrinterKind::Tcp, "a b:c")).unwrap_err();
    assert!(printer.code == ReasonCode::CONFIG_INVALID && printer.cause.contains("write host:port"), "{printer}");
}

#[test]
fn the_shipped_station_keeps_all_it_says() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/lineseal.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    let comments = |text: &str| text.matches('#').count();
    for change in [port(1, "usb-0:9:1.0"), Change::Theme(Look::Dark), Change::Language("ja".to_owned())] {
        let Ok(edited) = edit(&path, &text, &change) else { continue };
        assert_eq!(comments(&edited.text), comments(&text), "{change:?}");
    }
}

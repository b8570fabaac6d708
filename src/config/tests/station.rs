use std::time::Duration;

use super::fixture::{Fixture, STATION, replaced, station_mistakes};
use crate::config::{IppFormat, IppQueue, Look, Printer, ScanEnd, Scanner, Signals, Window, load};
use crate::domain::{Failure, ReasonCode};

#[test]
fn a_correct_configuration_is_read_whole() {
    let fixture = Fixture::new();
    let config = fixture.load();
    assert_eq!(config.station.name.as_str(), "L3-ST2");
    assert_eq!(config.station.language.as_deref(), Some("ja"));
    assert!(!config.station.practice);
    assert!(config.detection.usb && !config.detection.serial_ports);
    assert_eq!(config.detection.debounce, Duration::from_millis(200));
    let lanes: Vec<_> = config.lanes.iter().map(|lane| (lane.number.get(), lane.name.as_str())).collect();
    assert_eq!(lanes, [(1, "left"), (2, "2")]);
    assert!(config.lanes[0].port.as_ref().unwrap().is_match("pci-0000:00:14.0-usb-0:1:1.0"));
    assert_eq!(config.printer, Printer::Tcp { address: "192.0.2.7:9100".into(), status: true });
    assert_eq!(config.targets[0].aws_profile.as_deref(), Some("plant"));
    assert_eq!(config.targets[0].endpoint.as_deref(), Some("https://iot.example.com"));
    assert_eq!(config.targets[1].name.as_str(), "production");
    assert_eq!(config.profiles[0].name, "gateway");
}

#[test]
fn what_may_be_left_out_has_a_default() {
    let fixture = Fixture::new();
    fixture.write(
        "lineseal.toml",
        "profiles = ['profiles/gateway.toml']\nstation.name = 'a'\n\
         [[targets]]\nname = 'staging'\nregion = 'eu-west-1'\naccount = '111111111111'\n\
         [[targets]]\nname = 'production'\nregion = 'eu-west-1'\naccount = '111111111111'",
    );
    let config = fixture.load();
    assert_eq!(config.printer, Printer::None);
    assert_eq!(config.lanes.len(), 1);
    assert_eq!(config.detection.links, [std::path::Path::new("/dev/serial/by-path")]);
    assert!(config.detection.serial_ports && !config.detection.usb);
    assert_eq!(config.detection.debounce, Duration::from_millis(150));
}

/// A line that works without anybody at it is not stopped by an upgrade, nor by the first person in its log.
#[test]
fn boards_wait_for_a_person_only_where_that_is_written() {
    let of = |section: &str| {
        let fixture = Fixture::new();
        fixture.write("lineseal.toml", format!("{STATION}\n{section}"));
        let sign_in = fixture.load().sign_in;
        (sign_in.required, sign_in.undecided)
    };
    assert_eq!(of(""), (false, true));
    assert_eq!(of("[sign_in]\nidle_minutes = 0"), (false, true));
    assert_eq!(of("[sign_in]\nrequired = false"), (false, false));
    assert_eq!(of("[sign_in]\nrequired = true"), (true, false));
}

#[test]
fn relative_paths_are_relative_to_the_file() {
    let fixture = Fixture::new();
    let text = STATION
        .replace("kind = \"tcp\"\naddress = \"192.0.2.7\"", "kind = \"folder\"\npath = \"labels\"")
        .replace("/dev/serial/by-path", "links");
    fixture.write("lineseal.toml", text);
    let config = fixture.load();
    assert_eq!(config.printer, Printer::Folder { path: fixture.path("labels") });
    assert_eq!(config.detection.links, [fixture.path("links")]);
}

#[test]
fn a_file_that_can_not_be_read_says_why() {
    let fixture = Fixture::new();
    std::fs::remove_file(fixture.path("lineseal.toml")).unwrap();
    assert_eq!(fixture.mistakes(), ["lineseal.toml: cannot be read: No such file or directory (os error 2)"]);
    fixture.write("lineseal.toml", b"name = \"\xff\"");
    assert_eq!(fixture.mistakes(), ["lineseal.toml: is not UTF-8 text"]);
    fixture.write("lineseal.toml", "");
    assert_eq!(
        fixture.mistakes(),
        [
            r#"lineseal.toml: "station" is missing"#,
            r#"lineseal.toml: "targets" is missing"#,
            r#"lineseal.toml: "profiles" is missing"#,
        ]
    );
}

#[test]
fn every_syntax_error_has_its_line() {
    assert_eq!(
        station_mistakes("name = \"L3-ST2\"\npractice = false", "name = \npractice = maybe"),
        [
            "lineseal.toml:4: not TOML: string values must be quoted, expected literal string",
            "lineseal.toml:5: not TOML: string values must be quoted, expected literal string",
        ]
    );
    assert_eq!(station_mistakes("practice = false", "name = \"again\""), ["lineseal.toml:5: not TOML: duplicate key"]);
    assert_eq!(station_mistakes("[station]", "[station"), ["lineseal.toml:3: not TOML: unclosed table, expected `]`"]);
}

#[test]
fn an_unknown_key_is_named_with_the_nearest_right_one() {
    assert_eq!(
        station_mistakes("language = \"ja\"", "langauge = \"ja\""),
        [r#"lineseal.toml:6: unknown key "langauge" in [station]; did you mean "language"?"#]
    );
    assert_eq!(
        station_mistakes("region = \"eu-west-1\"", "regoin = \"eu-west-1\""),
        [r#"lineseal.toml:34: unknown key "regoin" in [[targets]]; did you mean "region"?"#]
    );
    assert_eq!(
        station_mistakes("[printer]", "[printers]"),
        [r#"lineseal.toml:22: unknown key "printers"; did you mean "printer"?"#]
    );
    assert_eq!(
        station_mistakes("language = \"ja\"", "colour = 1"),
        [
            r#"lineseal.toml:6: unknown key "colour" in [station]; there are "name", "practice", "language", "air_gapped""#
        ]
    );
}

#[test]
fn a_value_of_the_wrong_kind_says_what_it_has_to_be() {
    assert_eq!(
        station_mistakes("debounce_ms = 200", "debounce_ms = \"200\""),
        [r#"lineseal.toml:12: "debounce_ms" in [detection] must be an integer, not a string"#]
    );
    assert_eq!(
        station_mistakes("debounce_ms = 200", "debounce_ms = 5001"),
        [r#"lineseal.toml:12: "debounce_ms" in [detection] is 5001: allowed are 0 to 5000 milliseconds"#]
    );
    assert_eq!(
        station_mistakes("debounce_ms = 200", "debounce_ms = 99999999999999999999999999"),
        ["lineseal.toml:12: \"debounce_ms\" in [detection] is 99999999999999999999999999: allowed are 0 to 5000 \
          milliseconds"]
    );
    assert_eq!(
        station_mistakes("usb = true", "usb = 1.5"),
        [r#"lineseal.toml:11: "usb" in [detection] must be true or false, not a float"#]
    );
    assert_eq!(
        station_mistakes("links = [\"/dev/serial/by-path\"]", "links = 1979-05-27"),
        [r#"lineseal.toml:9: "links" in [detection] must be a list, not a date or time"#]
    );
    assert_eq!(
        station_mistakes("language = \"ja\"", "language = \"jp\""),
        [r#"lineseal.toml:6: "language" in [station] is "jp"; there are "en", "ja""#]
    );
    assert_eq!(
        station_mistakes("name = \"L3-ST2\"", "name = \"L3 ST2\""),
        ["lineseal.toml:4: \"name\" in [station]: \"L3 ST2\" is not a station name: 1 to 32 of a-z A-Z 0-9 _ . -"]
    );
}

#[test]
fn a_station_that_would_never_see_a_board_is_refused() {
    let text = "links = [\"/dev/serial/by-path\"]\nserial_ports = false\nusb = true";
    assert_eq!(
        station_mistakes(text, "links = []\nserial_ports = false\nusb = false"),
        ["lineseal.toml:8: \"detection\": nothing would ever be detected: name links, or set serial_ports or usb to \
          true"]
    );
}

#[test]
fn lanes_are_told_apart() {
    assert_eq!(
        station_mistakes("number = 2", "number = 1"),
        [r#"lineseal.toml:20: "number" in [[lanes]] "1" is there twice; first in line 15"#]
    );
    assert_eq!(
        station_mistakes("number = 2", "number = 17"),
        [r#"lineseal.toml:20: "number" in [[lanes]] is 17: allowed are 1 to 16"#]
    );
    assert_eq!(
        station_mistakes("number = 2", "name = \"x\""),
        [r#"lineseal.toml:19: "number" in [[lanes]] is missing"#]
    );
    assert_eq!(
        station_mistakes(r"port = 'usb-0:1:1\.0'", "port = '(usb'"),
        [r#"lineseal.toml:17: "port" in [[lanes]] is no regular expression: unclosed group"#]
    );
}

#[test]
fn a_printer_needs_exactly_its_own_keys() {
    let from = "kind = \"tcp\"\naddress = \"192.0.2.7\"";
    assert_eq!(
        station_mistakes(from, "kind = \"tpc\""),
        [r#"lineseal.toml:23: "kind" in [printer] is "tpc"; did you mean "tcp"?"#]
    );
    assert_eq!(
        station_mistakes(from, "kind = \"device\"\naddress = \"a\""),
        [
            r#"lineseal.toml:22: "path" in [printer] is missing"#,
            r#"lineseal.toml:24: "address" in [printer] has no meaning here: kind = "device" has a "path""#,
        ]
    );
    for wrong in ["a:b", "a b", "http://a:9100", "2001:db8::7", "", "a:0"] {
        let mistakes = station_mistakes(from, &format!("kind = \"tcp\"\naddress = \"{wrong}\""));
        let reason = match wrong {
            "" => r#"lineseal.toml:24: "address" in [printer] is empty"#.to_owned(),
            _ => format!(
                "lineseal.toml:24: \"address\" in [printer] is {wrong:?}: write host:port, e.g. 192.0.2.7:9100 or \
                 [2001:db8::7]:9100"
            ),
        };
        assert_eq!(mistakes, [reason]);
    }
}

#[test]
fn targets_are_told_apart_and_have_endpoints_that_can_be() {
    assert_eq!(
        station_mistakes("name = \"production\"", "name = \"staging\""),
        [
            r#"lineseal.toml:33: "name" in [[targets]] "staging" is there twice; first in line 27"#,
            "profiles/gateway.toml:51: \"targets\" in [register] names the target \"production\", which does not \
             exist; there is \"staging\"",
        ]
    );
    for (wrong, why) in [
        ("iot.example.com", "write https://host or http://127.0.0.1:port"),
        ("https://", "write https://host or http://127.0.0.1:port, without a path"),
        ("https://a/b", "write https://host or http://127.0.0.1:port, without a path"),
        ("https://a:port", "write https://host or http://127.0.0.1:port, without a path"),
        ("http://iot.example.com", "without TLS only this very machine may be used"),
    ] {
        assert_eq!(
            station_mistakes("https://iot.example.com", wrong),
            [format!("lineseal.toml:30: \"endpoint\" in [[targets]] is {wrong:?}: {why}")]
        );
    }
}

#[test]
fn a_practice_station_can_not_reach_a_real_account() {
    assert_eq!(
        station_mistakes("practice = false", "practice = true"),
        [
            "lineseal.toml:30: \"endpoint\" in [[targets]] is \"https://iot.example.com\": a practice station's cloud \
             is on this very machine: http://127.0.0.1:port",
            "lineseal.toml:32: \"endpoint\" in [[targets]], a practice station's cloud on this very machine \
             (http://127.0.0.1:…), is missing",
        ]
    );
    let fixture = Fixture::new();
    let text = STATION
        .replace("practice = false", "practice = true")
        .replace("https://iot.example.com", "http://127.0.0.1:4566")
        .replace("region = \"eu-west-1\"", "region = \"eu-west-1\"\nendpoint = \"http://[::1]:4566\"");
    fixture.write("lineseal.toml", text);
    assert!(fixture.load().station.practice);
}

#[test]
fn profiles_have_to_be_there_and_to_differ() {
    assert_eq!(station_mistakes("[\"profiles/gateway.toml\"]", "[]"), [r#"lineseal.toml:1: "profiles" is empty"#]);
    assert_eq!(
        station_mistakes("[\"profiles/gateway.toml\"]", "[\"profiles/gateway.toml\", \"profiles/gateway.toml\"]"),
        [r#"lineseal.toml:1: "profiles" "gateway" is there twice; first in line 1"#]
    );
    assert_eq!(
        station_mistakes("\"profiles/gateway.toml\"", "\"profiles/gatewax.toml\""),
        ["lineseal.toml:1: \"profiles\": profiles/gatewax.toml cannot be read: No such file or directory (os error 2)"]
    );
}

#[test]
fn a_profile_without_serial_port_needs_the_usb_watcher() {
    let fixture = Fixture::new();
    fixture.write("lineseal.toml", STATION.replace("usb = true", "usb = false"));
    let profile =
        super::fixture::PROFILE.replace("serial_port = true", "serial_port = false").replace("{port}", "{usb_path}");
    let (head, tail) = profile.split_once("[[prepare]]\nsend").unwrap();
    let (_, tail) = tail.split_once("[identify]").unwrap();
    let (_, tail) = tail.split_once("[token]").unwrap();
    let identify = "[identify]\nsource = \"usb-serial\"\nserial = 'A'\n[token]";
    let text = format!("{head}{identify}{tail}").replace("{address}", "x");
    fixture.write("profiles/gateway.toml", text);
    assert_eq!(
        fixture.mistakes(),
        ["lineseal.toml:1: \"profiles\": its boards have no serial port, so [detection] needs usb = true to see them"]
    );
}

#[test]
fn all_mistakes_of_all_files_come_at_once_and_in_order() {
    let fixture = Fixture::new();
    fixture.write("lineseal.toml", STATION.replace("number = 2", "nummer = 2").replace("eu-west-1", "EU"));
    let profile = super::fixture::PROFILE.replace("product = \"gateway-g4\"", "").replace("baud = 9600", "baud = 1");
    fixture.write("profiles/gateway.toml", profile);
    fixture.write("profiles/unit.zpl", "^XA^FD{seriall}^FS^XZ");
    assert_eq!(
        fixture.mistakes(),
        [
            r#"lineseal.toml:20: unknown key "nummer" in [[lanes]]; did you mean "number"?"#,
            r#"lineseal.toml:34: "region" in [[targets]]: "EU" is not a AWS Region: 1 to 32 of a-z 0-9 -"#,
            r#"profiles/gateway.toml: "product" is missing"#,
            r#"profiles/gateway.toml:18: "baud" in [[prepare]] is 1: allowed are 300 to 4000000"#,
            "profiles/unit.zpl:1: the label: a field with a variable needs ^FH before its ^FD, e.g. \
             ^FH^FD{serial}^FS",
            r#"profiles/unit.zpl:1: the label: there is no variable {seriall}; did you mean "serial"?"#,
        ]
    );
    let errors = load(&fixture.path("lineseal.toml")).unwrap_err();
    assert_eq!((errors.problems()[0].line, errors.problems()[0].column), (Some(20), Some(1)));
    let failure = Failure::from(errors);
    assert_eq!(failure.code, ReasonCode::CONFIG_INVALID);
    assert_eq!(failure.args["count"], "6");
}

#[test]
fn a_target_may_have_a_broker_of_its_own() {
    let with = |lines: &str| STATION.replace("region = \"eu-west-1\"", &format!("region = \"eu-west-1\"\n{lines}"));
    let fixture = Fixture::new();
    fixture.write("root.pem", super::fixture::root_pem());
    fixture.write("lineseal.toml", with("mqtt = \"broker.example.com:8883\"\nmqtt_roots = [\"root.pem\"]"));
    let broker = fixture.load().targets.remove(1).mqtt.unwrap();
    assert_eq!((broker.host.as_str(), broker.port, broker.roots.unwrap().len()), ("broker.example.com", 8883, 1));
    for (host, read) in [("[::1]:8883", "::1"), ("192.0.2.7:1", "192.0.2.7")] {
        fixture.write("lineseal.toml", with(&format!("mqtt = {host:?}")));
        assert_eq!(fixture.load().targets.remove(1).mqtt.unwrap().host, read);
    }
    for (lines, expected) in [
        ("mqtt = \"broker.example.com\"", "write host:port"),
        ("mqtt = \"broker.example.com:0\"", "write host:port"),
        ("mqtt = \"mqtts://broker.example.com:8883\"", "no DNS name"),
        ("mqtt_roots = [\"root.pem\"]", "there is no \"mqtt\""),
        ("mqtt = \"a.example.com:1\"\nmqtt_roots = [\"none.pem\"]", "cannot be read"),
    ] {
        fixture.write("lineseal.toml", with(lines));
        let mistakes = fixture.mistakes();
        assert!(mistakes.len() == 1 && mistakes[0].contains(expected), "{lines}: {mistakes:#?}");
    }
}

#[test]
fn a_target_is_one_account_and_a_role_of_it() {
    let account = "region = \"eu-west-1\"\naccount = \"222222222222\"\n";
    let mistakes = station_mistakes(account, "region = \"eu-west-1\"\n");
    assert_eq!(mistakes.len(), 1);
    assert!(mistakes[0].starts_with("lineseal.toml:32: \"account\" in [[targets]], the 12 digits"), "{mistakes:?}");
    assert!(mistakes[0].contains("aws sts get-caller-identity"), "{mistakes:?}");
    // Nothing is called: a station without a cloud has no account to be in.
    let fixture = Fixture::new();
    let without = STATION.replace("practice = false", "air_gapped = true").replace(account, "region = \"eu-west-1\"\n");
    fixture.write("lineseal.toml", without);
    assert_eq!(fixture.load().targets[1].account, None);
    // Nor by whoever only reads the log.
    fixture.write("lineseal.toml", STATION.replace(account, "region = \"eu-west-1\"\n"));
    assert!(crate::config::load_without_profiles(&fixture.path("lineseal.toml")).is_ok());

    let with = |lines: &str| STATION.replace(account, &format!("{account}{lines}\n"));
    let role = "arn:aws:iam::222222222222:role/plant/station";
    fixture.write("lineseal.toml", with(&format!("role_arn = {role:?}\nexternal_id = \"plant:7\"")));
    let read = fixture.load().targets.remove(1).role.unwrap();
    assert_eq!((read.arn.as_str(), read.external_id.unwrap().as_str()), (role, "plant:7"));
    for (lines, expected) in [
        ("role_arn = \"arn:aws:iam::111111111111:role/station\"", "is a role of account 111111111111"),
        ("role_arn = \"arn:aws:iam::222222222222:user/station\"", "is not a role's ARN"),
        ("role_arn = \"arn:aws:iam::2222:role/station\"", "is not a role's ARN"),
        ("role_arn = \"station\"", "is not a role's ARN"),
        ("external_id = \"plant:7\"", "there is no \"role_arn\""),
        ("sts_endpoint = \"sts.example.com\"", "write https://host"),
    ] {
        fixture.write("lineseal.toml", with(lines));
        let mistakes = fixture.mistakes();
        assert!(mistakes.len() == 1 && mistakes[0].contains(expected), "{lines}: {mistakes:#?}");
    }
    fixture.write("lineseal.toml", with("").replace("222222222222", "2222"));
    assert!(fixture.mistakes()[0].contains("is not a AWS account: 12 digits"));
}

#[test]
fn a_practice_stations_devices_connect_to_this_very_machine() {
    let fixture = Fixture::new();
    let connect = "[connect]\nmode = \"required\"\ntopics = [\"a\"]\nrefused_topic = \"b\"\n\n[label]";
    let profile = super::fixture::PROFILE.replace("[label]", connect).replace("\"INACTIVE\"", "\"ACTIVE\"");
    fixture.write("profiles/gateway.toml", profile);
    let station = |mqtt: &str| {
        STATION
            .replace("practice = false", "practice = true")
            .replace("https://iot.example.com", "http://127.0.0.1:4566")
            .replace("aws_profile = \"plant\"", "mqtt = \"localhost:8883\"")
            .replace(
                "region = \"eu-west-1\"",
                &format!("region = \"eu-west-1\"\nendpoint = \"http://[::1]:4566\"\n{mqtt}"),
            )
    };
    fixture.write("lineseal.toml", station("mqtt = \"[::1]:8883\""));
    assert!(fixture.load().station.practice);
    fixture.write("lineseal.toml", station("mqtt = \"broker.example.com:8883\""));
    assert!(fixture.mistakes()[0].contains("a practice station's broker is on this very machine"));
    fixture.write("lineseal.toml", station(""));
    let mistakes = fixture.mistakes();
    assert!(mistakes[0].contains("the practice target production no \"mqtt\""), "{mistakes:?}");
}

#[test]
fn an_ipp_printer_is_a_uri_without_a_password() {
    let from = "kind = \"tcp\"\naddress = \"192.0.2.7\"";
    let fixture = Fixture::new();
    let labels = ["unit", "slip"].map(|name| format!("profiles/{name}.zpl"));
    for (file, field) in labels.iter().zip(["{serial} {thing}", "{slip}"]) {
        fixture.write(file, format!("^XA^PW400^LL240^FO1,1^FH^FD{field}^FS^XZ"));
    }
    let to = "kind = \"ipp\"\nuri = \"ipp://print.plant.example/printers/labels\"";
    fixture.write("lineseal.toml", replaced(STATION, from, to));
    let queue =
        IppQueue { uri: "ipp://print.plant.example/printers/labels".into(), format: IppFormat::Drawn, roots: None };
    assert_eq!(fixture.load().printer, Printer::Ipp(queue));
    for wrong in
        ["http://host/p", "ipp://host", "ipp://user:secret@host/p", "ipp://:631/p", "ipp://host:x/p", "ipp:///p"]
    {
        let to = format!("kind = \"ipp\"\nuri = \"{wrong}\"");
        fixture.write("lineseal.toml", replaced(STATION, from, &to));
        let told = format!(
            "lineseal.toml:24: \"uri\" in [printer] is {wrong:?}: write ipp://host/printers/queue or \
             ipps://host:port/ipp/print"
        );
        assert_eq!(fixture.mistakes(), [told]);
    }
    let to = "kind = \"ipp\"\nuri = \"ipp://host/p\"\nroots = [\"profiles/root.pem\"]\nstatus = false";
    fixture.write("lineseal.toml", replaced(STATION, from, to));
    assert_eq!(
        fixture.mistakes(),
        [
            r#"lineseal.toml:25: "roots" in [printer] has no meaning here: only an ipps:// printer has a certificate"#,
            r#"lineseal.toml:26: "status" in [printer] has no meaning here: kind = "ipp" has a "uri""#,
        ]
    );
}

#[test]
fn a_label_that_can_not_be_drawn_is_refused_where_the_printer_takes_drawings_only() {
    let from = "kind = \"tcp\"\naddress = \"192.0.2.7\"";
    let fixture = Fixture::new();
    fixture.write("profiles/slip.zpl", "^XA^PW400^LL240\n^FO1,1^XGR:LOGO.GRF^FS^FH^FD{slip}^FS^XZ");
    assert_eq!(fixture.load().profiles.len(), 1);
    fixture.write("lineseal.toml", replaced(STATION, from, "kind = \"ipp\"\nuri = \"ipp://host/p\""));
    assert_eq!(
        fixture.mistakes(),
        [
            "profiles/unit.zpl:1: the label: it has to say its size, in dots, e.g. ^PW400 and ^LL240",
            "profiles/slip.zpl:2: the label: ^XG can't be drawn for this printer",
        ]
    );
    // A label printer's own queue draws by itself.
    let to = "kind = \"ipp\"\nuri = \"ipp://host/p\"\nformat = \"zpl\"";
    fixture.write("lineseal.toml", replaced(STATION, from, to));
    assert_eq!(fixture.load().profiles.len(), 1);
}

#[test]
fn theme_scanner_and_signals_are_read_and_may_be_left_out() {
    let fixture = Fixture::new();
    let config = fixture.load();
    assert_eq!(
        (config.window, &config.scanner, &config.signals),
        (Window::default(), &Scanner::default(), &Signals::default())
    );
    let more = "[window]\ntheme = 'contrast'\n[scanner]\nprefix = '~'\nsuffix = '#\\t'\n\
        [signals]\nfail = ['signals/beep.sh', 'fail']\ntower = ['tower', '/dev/ttyUSB9']\n";
    fixture.write("lineseal.toml", format!("{STATION}{}", more.replace("'#\\t'", "\"#\\t\"")));
    let config = fixture.load();
    assert_eq!(config.window.theme, Look::Contrast);
    assert_eq!(config.scanner, Scanner { prefix: "~".into(), suffix: "#".into(), end: ScanEnd::Tab });
    let beep = fixture.path("signals/beep.sh").to_string_lossy().into_owned();
    assert_eq!(config.signals.fail, Some(vec![beep, "fail".into()]));
    assert_eq!(config.signals.tower, Some(vec!["tower".into(), "/dev/ttyUSB9".into()]), "from PATH");
    assert_eq!(config.signals.pass, None);
    for (suffix, end) in
        [("\\r", ScanEnd::Enter), ("\\r\\n", ScanEnd::Enter), ("\\t", ScanEnd::Tab), ("$", ScanEnd::Suffix)]
    {
        fixture.write("lineseal.toml", format!("{STATION}[scanner]\nsuffix = \"{suffix}\"\n"));
        assert_eq!(fixture.load().scanner.end, end, "{suffix}");
    }
}

#[test]
fn a_theme_scanner_or_signal_that_can_not_be_is_refused() {
    let fixture = Fixture::new();
    for (section, mistake) in [
        ("[window]\ntheme = 'drak'", "dark"),
        ("[scanner]\nprefix = \"\\u0002\"", "characters that a keyboard types"),
        ("[scanner]\nsuffix = ''", "what the scanner types after a code"),
        ("[signals]\nfail = []", "is empty"),
        ("[signals]\nfail = ['']", "no program"),
        ("[signals]\nbeep = ['x']", "beep"),
    ] {
        fixture.write("lineseal.toml", format!("{STATION}{section}\n"));
        let mistakes = fixture.mistakes();
        assert!(mistakes.len() == 1 && mistakes[0].contains(mistake), "{section}: {mistakes:?}");
    }
}

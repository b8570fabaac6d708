use std::time::Duration;

use super::fixture::{Fixture, PROFILE, profile_mistakes, replaced, root_pem};
use crate::domain::CommandLine;
use crate::domain::profile::{
    CertificateStatus, ConnectMode, CrlCoverage, ExpiredIntermediate, IdentifySource, KeyKind, MqttPort, ObjectName,
    Pin, Prepare, SlotChoice, UidRule,
};

#[test]
fn a_correct_profile_is_read_whole() {
    let fixture = Fixture::new();
    let config = fixture.load();
    let profile = &config.profiles[0];
    assert_eq!(profile.product.as_str(), "gateway-g4");
    assert_eq!(profile.matches.usb[1].to_string(), "0403:6001");
    assert_eq!((profile.matches.interface, profile.matches.serial_port), (Some(0), Some(true)));
    let Prepare::Command { command: CommandLine { program, args }, stdin: None, timeout } = &profile.prepare[0] else {
        panic!("a command")
    };
    assert_eq!(program.as_str(), fixture.path("profiles/./wake").to_str().unwrap());
    assert_eq!(args.iter().map(|arg| arg.as_str()).collect::<Vec<_>>(), ["{port}", "{address}"]);
    assert_eq!(*timeout, Duration::from_secs(2));
    let Prepare::Dialogue(dialogue) = &profile.prepare[1] else { panic!("a dialogue") };
    assert_eq!((dialogue.baud, dialogue.retries, dialogue.timeout), (9600, 0, Duration::from_millis(100)));
    let IdentifySource::Dialogue(question) = &profile.identify.source else { panic!("a question") };
    assert!(profile.identify.again, "a board that can be asked is asked again");
    assert_eq!(question.send.as_ref().unwrap().as_str(), "id?\n");
    assert!(profile.identify.serial.is_match("AB-1") && !profile.identify.serial.is_match("AB-1 "));
    assert_eq!(profile.token.slot, SlotChoice::Only);
    let certificate = ObjectName::Attributes { label: Some("dev cert".into()), id: Some(vec![1]) };
    assert_eq!(profile.token.certificate, certificate);
    assert_eq!(profile.token.key, ObjectName::Se050(0xF000_0110));
    assert_eq!(profile.token.uid, Some(ObjectName::Se050(0x7FFF_0206)));
    assert_eq!(profile.token.pin, Some(Pin::File(fixture.path("profiles/pin"))));
    assert_eq!((profile.trust.roots.len(), profile.trust.intermediates.len()), (1, 1));
    assert_eq!(profile.trust.keys, [KeyKind::EcP256, KeyKind::Rsa2048]);
    assert_eq!(profile.trust.uid, UidRule::Required);
    assert_eq!(profile.register.targets.len(), 2);
    assert_eq!(profile.register.certificate_status, CertificateStatus::Inactive);
    assert_eq!(profile.register.attributes.len(), 2);
    assert_eq!(profile.register.policy.name.as_str(), "device");
    assert!(profile.label.is_some());
}

#[test]
fn an_unknown_key_is_named_with_the_nearest_right_one() {
    assert_eq!(
        profile_mistakes("certificate = \"pkcs11:object=dev%20cert;id=%01;type=cert\"", "certifcate = 0xF0000111"),
        [r#"profiles/gateway.toml:35: unknown key "certifcate" in [token]; did you mean "certificate"?"#]
    );
    assert_eq!(
        profile_mistakes("[label]", "connect = \"required\"\n[label]"),
        [
            "profiles/gateway.toml:59: unknown key \"connect\" in [register]; there are \"method\", \"csr\", \"template\", \"fleet\", \"ca\", \"targets\", \
          \"thing_name\", \"thing_type\", \"attributes\", \"certificate_status\", \"policy\", \"deadline_ms\", \"offline\""
        ]
    );
    assert_eq!(
        profile_mistakes(
            "policy = { name = \"device\", file = \"policy.json\" }",
            "policy = { nam = \"device\", file = \"policy.json\" }"
        ),
        [r#"profiles/gateway.toml:56: unknown key "nam" in [register.policy]; did you mean "name"?"#]
    );
}

#[test]
fn a_match_has_to_tell_boards_apart() {
    let from = "usb = [\"1fc9:0094\", \"0403:6001\"]\npath = 'usb'\nusb_serial = '^A'\nusb_product = 'Gateway'\n";
    assert_eq!(
        profile_mistakes(from, ""),
        ["profiles/gateway.toml:3: \"match\": would match any board: name at least one of usb, path, usb_serial, \
          usb_product"]
    );
    assert_eq!(
        profile_mistakes("\"1fc9:0094\"", "\"1fc9:94\""),
        ["profiles/gateway.toml:4: \"usb\" in [match]: \"1fc9:94\" is not a USB id: vid:pid, four hexadecimal digits \
          each"]
    );
}

#[test]
fn a_prepare_entry_is_a_command_or_a_dialogue() {
    assert_eq!(
        profile_mistakes("command = [\"./wake\", \"{port}\", \"{address}\"]\n", ""),
        ["profiles/gateway.toml:11: \"prepare\": is neither a \"command\" nor a dialogue with \"expect\""]
    );
    assert_eq!(
        profile_mistakes("\ntimeout_ms = 2000\n", "\nexpect = 'x'\nsend = 'x'\n"),
        [
            r#"profiles/gateway.toml:13: "expect" in [[prepare]] and "command" in [[prepare]] exclude each other"#,
            r#"profiles/gateway.toml:14: "send" in [[prepare]] has no meaning here: "command" runs a program"#,
        ]
    );
    assert_eq!(
        profile_mistakes("\"./wake\", ", "\"\", "),
        [r#"profiles/gateway.toml:12: "command" in [[prepare]] is empty"#]
    );
    assert_eq!(
        profile_mistakes("\ntimeout_ms = 2000\n", "\ntimeout_ms = 0\n"),
        [r#"profiles/gateway.toml:13: "timeout_ms" in [[prepare]] is 0: allowed are 1 to 600000 milliseconds"#]
    );
    assert_eq!(
        profile_mistakes("expect = 'OK'", "expect = '.*'"),
        [
            "profiles/gateway.toml:17: \"expect\" in [[prepare]] matches an empty answer: it would not wait for the board"
        ]
    );
}

#[test]
fn the_question_has_to_bring_a_serial_number() {
    assert_eq!(
        profile_mistakes("(?P<serial>[A-Z0-9-]+)", "([A-Z0-9-]+)"),
        [r#"profiles/gateway.toml:25: "expect" in [identify] has no named group (?P<serial>…)"#]
    );
    assert_eq!(
        profile_mistakes(r"(?P<address>[0-9.]+)", "(?P<address>[0-9.]+)(?P<port>x)"),
        ["profiles/gateway.toml:25: \"expect\" in [identify] has a group \"port\", which would hide the variable of \
          that name"]
    );
    assert_eq!(
        profile_mistakes("send = \"id?\\n\"", "send = \"id {serial}?\""),
        ["profiles/gateway.toml:24: \"send\" in [identify]: there is no variable {serial}; there are \"port\", \
          \"usb_path\", \"product\", \"station\""]
    );
    // One mistake, although {address} is used elsewhere and no longer known.
    assert_eq!(
        profile_mistakes("(?P<address>[0-9.]+)", "(?P<address>[0-9.]+"),
        [r#"profiles/gateway.toml:25: "expect" in [identify] is no regular expression: unclosed group"#]
    );
    assert_eq!(
        profile_mistakes("serial = '[A-Z0-9-]+'", ""),
        [r#"profiles/gateway.toml:22: "serial" in [identify] is missing"#]
    );
    assert_eq!(
        profile_mistakes("source = \"question\"", "source = \"usb_serial\""),
        [r#"profiles/gateway.toml:23: "source" in [identify] is "usb_serial"; did you mean "usb-serial"?"#]
    );
    let mistakes = profile_mistakes("source = \"question\"", "source = \"barcode\"");
    assert_eq!(
        mistakes[..3],
        [
            r#"profiles/gateway.toml:12: "command" in [[prepare]]: there is no variable {address}; there are "serial", "port", "usb_path", "product", "station""#,
            r#"profiles/gateway.toml:24: "send" in [identify] has no meaning here: source = "barcode" asks the board nothing"#,
            r#"profiles/gateway.toml:25: "expect" in [identify] has no meaning here: source = "barcode" asks the board nothing"#,
        ]
    );
}

#[test]
fn a_board_without_a_serial_port_can_not_be_talked_to() {
    assert_eq!(
        profile_mistakes("serial_port = true", "serial_port = false"),
        [
            r#"profiles/gateway.toml:12: "command" in [[prepare]]: there is no variable {port}; there are "serial", "usb_path", "product", "station", "address""#,
            "profiles/gateway.toml:17: \"expect\" in [[prepare]]: [match] takes boards without a serial port, which \
             nobody can talk to",
            "profiles/gateway.toml:23: \"source\" in [identify]: [match] takes boards without a serial port, which \
             nobody can ask",
            "profiles/gateway.toml:33: \"EX_SSS_BOOT_SSS_PORT\" in [token.environment]: there is no variable {port}; \
             there are \"serial\", \"usb_path\", \"product\", \"station\", \"address\"",
        ]
    );
}

#[test]
fn the_token_is_named_by_what_pkcs11_can_find() {
    assert_eq!(
        profile_mistakes("module = \"/usr/lib/module.so\"", "module = \" \""),
        [r#"profiles/gateway.toml:32: "module" in [token] is empty"#]
    );
    assert_eq!(
        profile_mistakes("slot = \"only\"", "slot = \"only\"\ntoken_label = \"x\""),
        [r#"profiles/gateway.toml:35: "token_label" in [token] and "slot" in [token] exclude each other"#]
    );
    assert_eq!(
        profile_mistakes("key = 0xF0000110", "key = \"pkcs11:object=k;type=cert\""),
        ["profiles/gateway.toml:36: \"key\" in [token]: type=cert is not what is read here: leave it out or write \
          type=private"]
    );
    assert_eq!(
        profile_mistakes("key = 0xF0000110", "key = 0x1F0000110"),
        [r#"profiles/gateway.toml:36: "key" in [token] is 0x1F0000110: allowed are 1 to 4294967295"#]
    );
    assert_eq!(
        profile_mistakes("key = 0xF0000110", "key = \"0x+F000\""),
        [
            "profiles/gateway.toml:36: \"key\" in [token] is \"0x+F000\": an SE050 object id is 1 to 8 hexadecimal digits \
          after 0x, and not 0"
        ]
    );
    assert_eq!(
        profile_mistakes("\"{port}\" }", "\"{prot}\" }"),
        [
            "profiles/gateway.toml:33: \"EX_SSS_BOOT_SSS_PORT\" in [token.environment]: there is no variable {prot}; did \
          you mean \"port\"?"
        ]
    );
    assert_eq!(
        profile_mistakes("\"{port}\" }", "\"{port\" }"),
        ["profiles/gateway.toml:33: \"EX_SSS_BOOT_SSS_PORT\" in [token.environment]: a brace at character 0 has no \
          partner; write {{ or }} for a brace itself"]
    );
    assert_eq!(
        profile_mistakes("call_timeout_ms = 5000", "call_timeout_ms = 500000"),
        ["profiles/gateway.toml:39: \"call_timeout_ms\" in [token] is 500000: allowed are 100 to 120000 milliseconds"]
    );
}

#[test]
fn a_pin_in_the_file_is_refused_and_never_repeated() {
    let mistakes = profile_mistakes("pin_file = \"pin\"", "pin = \"SeCrEt42\"");
    assert_eq!(
        mistakes,
        [
            "profiles/gateway.toml:38: \"pin\" in [token]: a PIN does not belong into this file: write it into a file of \
          its own (mode 0600) and name that by pin_file, or name an environment variable by pin_env; only the empty \
          PIN \"\" may stand here"
        ]
    );
    for spoilt in ["pin = 5512", "pin = SeCrEt42", "pin = \"SeCrEt42", "pin = [\"SeCrEt42\"]", "pin = 55 12"] {
        let mistakes = profile_mistakes("pin_file = \"pin\"", spoilt).join("\n");
        assert!(!mistakes.contains("SeCrEt42") && !mistakes.contains("55"), "{mistakes}");
    }
    assert_eq!(
        profile_mistakes("pin_file = \"pin\"", "pin_file = \"pin\"\npin_env = \"PIN\""),
        [r#"profiles/gateway.toml:39: "pin_env" in [token] and "pin_file" in [token] exclude each other"#]
    );
    let fixture = Fixture::new();
    for (text, pin) in
        [("pin = \"\"", Some(Pin::Empty)), ("pin_env = \"P\"", Some(Pin::Environment("P".into()))), ("", None)]
    {
        fixture.write("profiles/gateway.toml", PROFILE.replace("pin_file = \"pin\"", text));
        assert_eq!(fixture.load().profiles[0].token.pin, pin);
    }
}

#[test]
fn trust_anchors_have_to_be_certificates() {
    let cases: [(&[u8], &str); 4] = [
        (b"", "holds no certificate in PEM form"),
        (b"-----BEGIN CERTIFICATE-----\nAAAA\n", "is cut off: a BEGIN line has no END line"),
        (
            b"-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n",
            "holds something that is not a certificate: BadDer",
        ),
        (b"-----BEGIN PRIVATE KEY-----\nMAA=\n-----END PRIVATE KEY-----\n", "holds no certificate in PEM form"),
    ];
    for (content, why) in cases {
        let fixture = Fixture::new();
        fixture.write("profiles/root.pem", content);
        let line = |n, key| format!("profiles/gateway.toml:{n}: \"{key}\" in [trust]: profiles/root.pem {why}");
        assert_eq!(fixture.mistakes(), [line(43, "roots"), line(44, "intermediates")]);
    }
    assert_eq!(
        profile_mistakes("roots = [\"root.pem\"]", "roots = [\"rot.pem\"]"),
        ["profiles/gateway.toml:43: \"roots\" in [trust]: profiles/rot.pem cannot be read: No such file or directory \
          (os error 2)"]
    );
    assert_eq!(
        profile_mistakes("roots = [\"root.pem\"]", "roots = []"),
        [r#"profiles/gateway.toml:43: "roots" in [trust] is empty"#]
    );
    let fixture = Fixture::new();
    fixture.write("profiles/root.pem", format!("{}{}", root_pem(), root_pem()));
    assert_eq!(fixture.load().profiles[0].trust.roots.len(), 2);
}

#[test]
fn the_uid_rule_and_its_sources_have_to_agree() {
    assert_eq!(
        profile_mistakes("uid = \"0x7FFF0206\"\n", ""),
        [
            "profiles/gateway.toml:31: \"uid\" in [token]: is missing: [trust] says uid = \"required\", so name the object \
          that holds the chip's UID"
        ]
    );
    assert_eq!(
        profile_mistakes("uid = \"required\"", "uid = \"none\""),
        [
            r#"profiles/gateway.toml:37: "uid" in [token] has no meaning here: [trust] says uid = "none""#,
            r#"profiles/gateway.toml:47: "uid_from_cn" in [trust] has no meaning here: uid = "none""#,
        ]
    );
    assert_eq!(
        profile_mistakes("uid = \"required\"\nuid_from_cn = '-(?P<uid>[0-9a-f]{36})$'", "uid = \"certificate\""),
        [
            "profiles/gateway.toml:37: \"uid\" in [token] has no meaning here: [trust] takes the UID from the \
             certificate alone (uid = \"certificate\")",
            "profiles/gateway.toml:42: \"uid_from_cn\" in [trust]: is missing: uid = \"certificate\" has no other place \
             to take the UID from",
        ]
    );
    assert_eq!(
        profile_mistakes("(?P<uid>", "(?P<id>"),
        [r#"profiles/gateway.toml:47: "uid_from_cn" in [trust] has no named group (?P<uid>…)"#]
    );
    assert_eq!(
        profile_mistakes("\"ec-p256\", ", "\"ec-p265\", "),
        [r#"profiles/gateway.toml:45: "keys" in [trust] is "ec-p265"; did you mean "ec-p256"?"#]
    );
}

#[test]
fn targets_and_thing_names_have_to_be_possible() {
    assert_eq!(
        profile_mistakes("\"staging\", \"production\"", "\"stagging\""),
        [
            "profiles/gateway.toml:51: \"targets\" in [register] names the target \"stagging\", which does not exist; did \
          you mean \"staging\"?"
        ]
    );
    assert_eq!(
        profile_mistakes("\"staging\", \"production\"", "\"staging\", \"staging\""),
        [r#"profiles/gateway.toml:51: "targets" in [register] "staging" is there twice; first in this very list"#]
    );
    assert_eq!(
        profile_mistakes("\"gw-{serial}\"", "\"gw {serial}\""),
        [
            "profiles/gateway.toml:52: \"thing_name\" in [register]: \"gw \" can't be part of a thing name, which is 1 to \
          128 of a-z A-Z 0-9 : _ -"
        ]
    );
    assert_eq!(
        profile_mistakes("\"gw-{serial}\"", "\"gw-{product}\""),
        [r#"profiles/gateway.toml:52: "thing_name" in [register]: would be the same for every unit: use {serial}"#]
    );
    assert_eq!(
        profile_mistakes("\"gw-{serial}\"", "\"gw-{serail}\""),
        [
            r#"profiles/gateway.toml:52: "thing_name" in [register]: there is no variable {serail}; did you mean "serial"?"#
        ]
    );
    assert_eq!(
        profile_mistakes("method = \"without-ca\"", "method = \"without-a\""),
        [r#"profiles/gateway.toml:50: "method" in [register] is "without-a"; did you mean "without-ca"?"#]
    );
}

#[test]
fn attributes_stay_within_the_quotas() {
    let many = |count: usize| {
        let list: Vec<String> = (0..count).map(|n| format!("a{n} = \"x\"")).collect();
        format!("attributes = {{ {} }}", list.join(", "))
    };
    let from = "attributes = { product = \"{product}\", address = \"{address}\" }";
    assert_eq!(
        profile_mistakes(from, &many(51)),
        [r#"profiles/gateway.toml:54: "attributes" in [register]: holds 51 attributes, a thing has 50 at most"#]
    );
    assert_eq!(
        profile_mistakes(&format!("thing_type = \"gateway\"\n{from}"), &many(4)),
        [
            "profiles/gateway.toml:53: \"attributes\" in [register]: holds 4 attributes, a thing without a thing_type has \
          3 at most"
        ]
    );
    assert_eq!(
        profile_mistakes("\"{product}\", address", "\"a {product}\", address"),
        [
            "profiles/gateway.toml:54: \"product\" in [register.attributes]: \"a \" is not a thing attribute value: at most \
          800 of a-z A-Z 0-9 _ . , @ / : # = [ ] -"
        ]
    );
    assert_eq!(
        profile_mistakes("{ product = ", "{ \"pro duct\" = "),
        [
            "profiles/gateway.toml:54: \"pro duct\" in [register.attributes]: \"pro duct\" is not a thing attribute name: \
          1 to 128 of a-z A-Z 0-9 _ . , @ / : # -"
        ]
    );
}

#[test]
fn the_policy_has_to_be_one() {
    let long = format!(r#"{{"Version": "2012-10-17", "Statement": [{{"Sid": "{}"}}]}}"#, "x".repeat(2048));
    let spaced =
        format!("{{{}\"Version\": \"2012-10-17\", \"Statement\": [{{\"Effect\": \"Deny\"}}]}}", " ".repeat(4096));
    let cases = [
        ("{", Some("is not JSON: EOF while parsing an object at line 1 column 1")),
        ("{}", Some(r#"is no AWS IoT policy: "Version" must be "2012-10-17""#)),
        (r#"{"Version": "2012-10-17"}"#, Some(r#"is no AWS IoT policy: it holds no "Statement""#)),
        (long.as_str(), Some("is 2097 bytes without white space, AWS IoT takes 2048")),
        (spaced.as_str(), None),
    ];
    for (document, why) in cases {
        let fixture = Fixture::new();
        fixture.write("profiles/policy.json", document);
        match why {
            Some(why) => assert_eq!(
                fixture.mistakes(),
                [format!("profiles/gateway.toml:56: \"file\" in [register.policy]: profiles/policy.json {why}")]
            ),
            None => assert_eq!(fixture.load().profiles[0].register.policy.document, document),
        }
    }
}

#[test]
fn mistakes_in_a_label_have_the_labels_own_lines() {
    let fixture = Fixture::new();
    fixture.write("profiles/unit.zpl", "^XA\n^FD\u{3042}{\n^XZ");
    fixture.write("profiles/slip.zpl", "^XA\n^FO1,1^FH\\^FD{slip}^FS\n^FD{{x}}^FS\n");
    assert_eq!(
        fixture.mistakes(),
        [
            "profiles/unit.zpl:2: the label: a brace has no partner; write {{ or }} for a brace itself",
            "profiles/slip.zpl: the label: is not ZPL: it has to go from ^XA to ^XZ",
            "profiles/slip.zpl:2: the label: a field with a variable needs ^FH before its ^FD, e.g. ^FH^FD{serial}^FS",
        ]
    );
    std::fs::remove_file(fixture.path("profiles/unit.zpl")).unwrap();
    fixture.write("profiles/slip.zpl", b"^XA\xff^XZ");
    assert_eq!(
        fixture.mistakes(),
        [
            "profiles/gateway.toml:60: \"template\" in [label]: profiles/unit.zpl cannot be read: No such file or \
             directory (os error 2)",
            "profiles/gateway.toml:61: \"slip\" in [label]: profiles/slip.zpl is not UTF-8 text",
        ]
    );
}

#[test]
fn what_no_label_can_hold_is_told_with_its_line() {
    let fixture = Fixture::new();
    let code = "^XA\n^PW400\n^LL240\n^FO12,14^BXN,9,200,,,6,!^FH^FD{thing} {fingerprint}^FS\n^XZ\n";
    fixture.write("profiles/unit.zpl", code);
    fixture.write("profiles/slip.zpl", "^XA^PQ2\n^FO1,1^BQN,2,4^FH^FD{slip}^FS\n^XZ");
    assert_eq!(
        fixture.mistakes(),
        [
            "profiles/unit.zpl:4: the label: a DataMatrix of 32 modules of 9 dots ends at 302 dots, and the label is 240 dots \
             high (^LL)",
            "profiles/slip.zpl:1: the label: ^PQ prints more than one: a second label is a second piece of paper, which the \
             log has to know",
            "profiles/slip.zpl:2: the label: a QR code's ^FD begins with what may be lost of it (H, Q, M, L) and A, e.g. \
             ^FDQA,{serial}",
        ]
    );
}

#[test]
fn a_slip_for_units_that_failed_is_a_matter_of_choice() {
    let fixture = Fixture::new();
    assert!(fixture.load().profiles[0].label.as_ref().unwrap().fail_slip.is_none());
    let all = "^XA^FO1,1^A0N,20,20^FB300,9^FH^FD{verdict}{reason}{subject}{issuer}{certificate_serial}{not_before}\
               {not_after}{chip_uid}{operator}{station}{lane}{run}{copy}{date}{batch}{address}^FS^XZ";
    fixture.write("profiles/fail.zpl", all);
    let with = replaced(PROFILE, "slip = \"slip.zpl\"", "slip = \"slip.zpl\"\nfail_slip = \"fail.zpl\"");
    fixture.write("profiles/gateway.toml", &with);
    assert!(fixture.load().profiles[0].label.as_ref().unwrap().fail_slip.is_some());
    fixture.write("profiles/fail.zpl", "^XA\n^FO1,1^FH^FD{resaon}^FS^XZ");
    let [mistake] = &fixture.mistakes()[..] else { panic!("one mistake") };
    let told = "profiles/fail.zpl:2: the label: there is no variable {resaon}; did you mean \"reason\"?";
    assert_eq!(mistake, told);
}

/// A list that names nobody, as DER.
fn revocation_list() -> Vec<u8> {
    let key = rcgen::KeyPair::generate().unwrap();
    let mut ca = rcgen::CertificateParams::new(Vec::new()).unwrap();
    ca.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    ca.key_usages = vec![rcgen::KeyUsagePurpose::CrlSign];
    let list = rcgen::CertificateRevocationListParams {
        this_update: rcgen::date_time_ymd(2026, 1, 1),
        next_update: rcgen::date_time_ymd(2027, 1, 1),
        crl_number: rcgen::SerialNumber::from(1),
        issuing_distribution_point: None,
        revoked_certs: Vec::new(),
        key_identifier_method: rcgen::KeyIdMethod::Sha256,
    };
    list.signed_by(&rcgen::Issuer::new(ca, key)).unwrap().der().to_vec()
}

#[test]
fn revocation_lists_come_as_pem_or_der_and_several_a_file() {
    let (one, two) = (revocation_list(), revocation_list());
    let pem = |der: &[u8]| {
        let text = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, der);
        format!("-----BEGIN X509 CRL-----\n{text}\n-----END X509 CRL-----\n")
    };
    let fixture = Fixture::new();
    let keys = "keys = [\"ec-p256\", \"rsa-2048\"]";
    let with = |more: &str| replaced(PROFILE, keys, &format!("{more}\n{keys}"));
    fixture.write("profiles/a.crl", [one.as_slice(), &two].concat());
    fixture.write("profiles/b.pem", format!("{}{}", pem(&two), pem(&one)));
    fixture.write(
        "profiles/gateway.toml",
        with("crls = [\"a.crl\", \"b.pem\"]\ncrl_coverage = \"leaf\"\nexpired_intermediate = \"accept\""),
    );
    let trust = fixture.load().profiles.remove(0).trust;
    assert_eq!(trust.crls.iter().map(|crl| &crl.der).collect::<Vec<_>>(), [&one, &two, &two, &one]);
    assert!(trust.crls[3].file.ends_with("profiles/b.pem"));
    assert_eq!(trust.crl_coverage, CrlCoverage::Leaf);
    assert_eq!(trust.expired_intermediate, ExpiredIntermediate::Accept);

    for (content, why) in [
        (b"words".to_vec(), "holds no revocation list"),
        (one[..one.len() - 1].to_vec(), "is neither PEM nor whole DER: "),
        (pem(b"0").into_bytes(), "holds something that is not a revocation list"),
        (pem(&one).replace("-----END", "").into_bytes(), "is cut off: a BEGIN line has no END line"),
    ] {
        fixture.write("profiles/a.crl", content);
        let said = fixture.mistakes().remove(0);
        let wanted = format!("profiles/gateway.toml:45: \"crls\" in [trust]: profiles/a.crl {why}");
        assert!(said.starts_with(&wanted), "{said}");
    }
    fixture.write("profiles/gateway.toml", with("crls = []"));
    assert_eq!(fixture.mistakes(), [r#"profiles/gateway.toml:45: "crls" in [trust] is empty"#]);
    fixture.write("profiles/gateway.toml", with("crl_coverage = \"leaf\""));
    assert_eq!(
        fixture.mistakes(),
        [r#"profiles/gateway.toml:45: "crl_coverage" in [trust] has no meaning here: there are no crls"#]
    );
    fixture.write("profiles/gateway.toml", with("expired_intermediate = \"acept\""));
    assert_eq!(
        fixture.mistakes(),
        [r#"profiles/gateway.toml:45: "expired_intermediate" in [trust] is "acept"; did you mean "accept"?"#]
    );
}

#[test]
fn a_command_is_given_what_can_be_one_word_and_chosen_by_the_profile() {
    let command = "command = [\"./wake\", \"{port}\", \"{address}\"]";
    assert_eq!(
        profile_mistakes(command, "command = [\"{address}\", \"{port}\"]"),
        [
            r#"profiles/gateway.toml:12: "command" in [[prepare]]: {address} would have a board choose the program that is started"#
        ]
    );
    let fixture = Fixture::new();
    let profile = replaced(PROFILE, command, "command = [\"wake\", \"{product}\"]");
    fixture.write("profiles/gateway.toml", replaced(&profile, "\"gateway-g4\"", "\"gateway g4; reboot\""));
    assert_eq!(
        fixture.mistakes(),
        [
            r#"profiles/gateway.toml:12: "command" in [[prepare]]: {product} is "gateway g4; reboot", which is not given to a command: letters, digits and ._:%+,@=/- are"#
        ]
    );
}

#[test]
fn a_token_may_stand_behind_a_command() {
    let fixture = Fixture::new();
    let remote = "command = [\"ssh\", \"root@{address}\", \"p11-kit\", \"remote\", \"/m.so\"]\nslot = \"only\"";
    fixture.write("profiles/gateway.toml", replaced(PROFILE, "slot = \"only\"", remote));
    let token = &fixture.load().profiles[0].token;
    let command: Vec<&str> = token.command.as_ref().unwrap().templates().map(|part| part.as_str()).collect();
    assert_eq!(command, ["ssh", "root@{address}", "p11-kit", "remote", "/m.so"]);
    assert_eq!(
        profile_mistakes(
            "environment = { EX_SSS_BOOT_SSS_PORT = \"{port}\" }",
            "environment = { P11_KIT_SERVER_ADDRESS = \"unix:path=/x\" }\ncommand = [\"ssh\"]"
        ),
        [
            r#"profiles/gateway.toml:33: "P11_KIT_SERVER_ADDRESS" in [token.environment] and "command" in [token] exclude each other"#
        ]
    );
}

/// `[connect]` of these lines, in a profile whose certificates are ACTIVE.
fn connecting(lines: &str) -> String {
    replaced(PROFILE, "certificate_status = \"INACTIVE\"", "certificate_status = \"ACTIVE\"")
        .replace("[label]", &format!("[connect]\n{lines}\n[label]"))
}

const TOPICS: &str = "topics = [\"devices/{thing}/x\"]\nrefused_topic = \"elsewhere/{serial}\"";

fn connect_mistakes(lines: &str) -> Vec<String> {
    let fixture = Fixture::new();
    fixture.write("profiles/gateway.toml", connecting(lines));
    fixture.mistakes()
}

#[test]
fn a_connection_has_defaults_and_can_be_switched_off() {
    let read = |lines: &str| {
        let fixture = Fixture::new();
        fixture.write("profiles/gateway.toml", connecting(lines));
        fixture.load().profiles.remove(0).connect
    };
    let plan = read(&format!("mode = \"required\"\n{TOPICS}")).unwrap();
    assert_eq!((plan.mode, plan.port, plan.only_tls12), (ConnectMode::Required, MqttPort::Mqtts, false));
    assert_eq!((plan.deadline, plan.roots), (Duration::from_secs(20), None));
    let lines = "mode = \"optional\"\nport = 443\nmax_tls = \"1.2\"\nroots = [\"root.pem\"]\ndeadline_ms = 5000";
    let plan = read(&format!("{lines}\n{TOPICS}")).unwrap();
    assert_eq!((plan.mode, plan.port, plan.only_tls12), (ConnectMode::Optional, MqttPort::Https, true));
    assert_eq!((plan.deadline, plan.roots.unwrap().len()), (Duration::from_secs(5), 1));
    assert!(read(&format!("mode = \"off\"\n{TOPICS}")).is_none());
    assert!(read("mode = \"off\"").is_none());
    assert!(Fixture::new().load().profiles[0].connect.is_none(), "without the section nothing is tried");
}

#[test]
fn a_connection_that_can_not_be_is_found_before_the_line_starts() {
    let one = |lines: &str, expected: &str| {
        let mistakes = connect_mistakes(lines);
        assert!(mistakes.len() == 1 && mistakes[0].contains(expected), "{lines}: {mistakes:#?}");
    };
    let topics =
        |topic: &str, refused: &str| format!("mode = \"required\"\ntopics = [{topic:?}]\nrefused_topic = {refused:?}");
    one(TOPICS, "\"mode\" in [connect] is missing");
    one("mode = \"required\"\nrefused_topic = \"a\"", "\"topics\" in [connect] is missing");
    one("mode = \"required\"\ntopics = [\"a\"]", "\"refused_topic\" in [connect] is missing");
    one(&format!("mode = \"required\"\nport = 1883\n{TOPICS}"), "is 8883, or 443");
    one(&format!("mode = \"required\"\nprot = 443\n{TOPICS}"), "did you mean \"port\"?");
    one(&format!("mode = \"off\"\nprot = 443\n{TOPICS}"), "did you mean \"port\"?");
    one(&format!("mode = \"required\"\nmax_tls = \"1.1\"\n{TOPICS}"), "max_tls");
    one(&topics("devices/+/x", "a"), "is not a MQTT topic");
    one(&topics("$aws/things/{thing}/shadow/get", "a"), "is not a MQTT topic");
    one(&topics("a/b/c/d/e/f/g/h/{thing}", "a"), "is not a MQTT topic");
    one(&topics("a/{thing}", "a/#"), "is not a MQTT topic");
    one(&topics("a/{thng}", "b"), "did you mean \"thing\"?");
    one(&topics("a/{thing}", "a/{thing}"), "have to be allowed");
    let inactive = PROFILE.replace("[label]", &format!("[connect]\nmode = \"required\"\n{TOPICS}\n[label]"));
    let fixture = Fixture::new();
    fixture.write("profiles/gateway.toml", inactive);
    assert!(fixture.mistakes()[0].contains("registered INACTIVE"), "{:?}", fixture.mistakes());
}

use super::fixture::{Fixture, PROFILE, replaced};
use crate::domain::profile::{ClaimSource, FleetKeys, Issuer, Method, Offline, Prepare};

const CLAIM: &str = "template = \"meters\"\nclaim = { certificate = \"claim.pem\", key = \"claim.key\" }";

fn with(fleet: &str) -> Fixture {
    let fixture = Fixture::new();
    let profile = replaced(PROFILE, "method = \"without-ca\"", "method = \"fleet\"");
    let profile = replaced(&profile, "targets = [\"staging\", \"production\"]", "targets = [\"staging\"]");
    let section = format!("[register.fleet]\n{fleet}\n\n[label]");
    fixture.write("profiles/gateway.toml", replaced(&profile, "[label]", &section));
    fixture
}

fn said(fixture: &Fixture) -> Vec<String> {
    let line = regex::Regex::new(r"^profiles/gateway.toml:\d+: ").unwrap();
    fixture.mistakes().iter().map(|mistake| line.replace(mistake, "").into_owned()).collect()
}

#[test]
fn a_fleet_is_entered_by_a_claims_files_or_as_a_trusted_user_and_tells_the_board_what_aws_says() {
    let fixture = with(&format!(
        "{CLAIM}\nparameters = {{ SerialNumber = \"{{serial}}\" }}\nconfigure = {{ command = [\"./tell\", \"{{Broker}}\"] }}"
    ));
    let register = fixture.load().profiles.remove(0).register;
    assert_eq!((register.method.as_str(), register.offline), ("fleet", Offline::Stop));
    let Method::Csr(plan) = &register.method else { panic!("{:?}", register.method) };
    let Issuer::Fleet(fleet) = &plan.issuer else { panic!("{plan:?}") };
    let [certificate, key] = ["claim.pem", "claim.key"].map(|name| fixture.path("profiles").join(name));
    assert_eq!(fleet.claim, ClaimSource::Files { certificate, key });
    assert_eq!((fleet.template.as_str(), fleet.parameters.len()), ("meters", 1));
    assert!(matches!(register.configure, Some(Prepare::Command { .. })));

    let key = with(&format!("{CLAIM}\nkeys = \"aws\"\nconfigure = {{ send = \"{{private_key}}\", expect = \"OK\" }}"));
    assert_eq!(key.load().profiles[0].register.method.fleet().unwrap().keys, FleetKeys::Aws);
    let trusted = with("template = \"meters\"\ntrusted_user = true").load();
    assert_eq!(trusted.profiles[0].register.method.fleet().unwrap().claim, ClaimSource::TrustedUser);
    assert!(trusted.profiles[0].register.configure.is_none());
}

#[test]
fn what_is_wrong_with_a_fleet_is_said_key_by_key() {
    for (fleet, expected) in [
        (
            "template = \"meters\"",
            "\"claim\" in [register.fleet]: is missing: name a claim's certificate and key (`lineseal claim create`), or \
             write trusted_user = true",
        ),
        (
            &format!("{CLAIM}\ntrusted_user = true"),
            "\"trusted_user\" in [register.fleet] and \"claim\" in [register.fleet] exclude each other",
        ),
        (
            &CLAIM.replace("meters", "no name"),
            "\"template\" in [register.fleet]: \"no name\" is not a provisioning template name: 1 to 36 of a-z A-Z 0-9 _ -",
        ),
        (
            &format!("{CLAIM}\nparameters = {{ SerialNumber = \"{{serail}}\" }}"),
            "\"SerialNumber\" in [register.fleet.parameters]: there is no variable {serail}; did you mean \"serial\"?",
        ),
        (
            &format!("{CLAIM}\nconfigure = {{ command = [\"./tell\", \"{{configuration}}\"] }}"),
            "\"command\" in [register.fleet.configure]: {configuration} is no word of a command: it is of any length, and \
             every user of this computer would see it; the command reads it by stdin = \"{configuration}\"",
        ),
        (
            &format!("{CLAIM}\nconfigure = {{ expect = \"OK\", stdin = \"{{configuration}}\" }}"),
            "\"stdin\" in [register.fleet.configure] has no meaning here: only a \"command\" reads it",
        ),
        (
            &format!("{CLAIM}\nkeys = \"aws\""),
            "\"configure\" in [register.fleet]: has to give the board {private_key}, by `send` or `stdin`: with keys = \
             \"aws\" AWS makes it, and nobody else has it",
        ),
        (
            &format!(
                "{CLAIM}\nkeys = \"aws\"\nconfigure = {{ command = [\"./tell\"], stdin = \"{{configuration}}\" }}"
            ),
            "\"configure\" in [register.fleet]: has to give the board {private_key}, by `send` or `stdin`: with keys = \
             \"aws\" AWS makes it, and nobody else has it",
        ),
        (
            &format!("{CLAIM}\nkeys = \"aws\"\nconfigure = {{ command = [\"./tell\", \"{{private_key}}\"] }}"),
            "\"command\" in [register.fleet.configure]: {private_key} is no word of a command: it is of any length, and \
             every user of this computer would see it; the command reads it by stdin = \"{private_key}\"",
        ),
        (
            &format!("{CLAIM}\nconfigure = {{ send = \"{{private_key}}\", expect = \"OK\" }}"),
            "\"configure\" in [register.fleet]: names {private_key}, which there is with keys = \"aws\" only: the chip's \
             own stays in it",
        ),
        (&format!("{CLAIM}\nkeys = \"AWS\""), "\"keys\" in [register.fleet] is \"AWS\"; did you mean \"aws\"?"),
        (
            &format!("{CLAIM}\nconfigure = {{ }}"),
            "\"configure\" in [register.fleet]: is neither a \"command\" nor a dialogue with \"expect\"",
        ),
    ] {
        assert_eq!(said(&with(fleet)), [expected], "{fleet}");
    }
}

#[test]
fn a_fleets_unit_waits_for_no_cloud_and_is_of_one_account() {
    let fixture = with(CLAIM);
    let profile = std::fs::read_to_string(fixture.path("profiles/gateway.toml")).unwrap();
    let both = profile.replace("targets = [\"staging\"]", "targets = [\"staging\", \"production\"]");
    fixture.write("profiles/gateway.toml", both);
    assert!(said(&fixture)[0].contains("method = \"fleet\" takes one"), "{:?}", said(&fixture));
    let held = profile.replace("deadline_ms = 30000\n\n[register.fleet]", "offline = \"hold\"\n\n[register.fleet]");
    fixture.write("profiles/gateway.toml", held);
    assert!(said(&fixture)[0].contains("no unit can wait for the cloud"), "{:?}", said(&fixture));
}

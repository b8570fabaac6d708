//! Certificates that are made for the chip's key, and units that AWS registers by itself.

use super::fixture::{Fixture, PROFILE, STATION, replaced, root_pem};
use crate::domain::profile::{Issuer, Method, ObjectName, Offline, Pin, WriteBack};

/// The fixture with this in the place of its method, and one target.
fn with(method: &str) -> Fixture {
    let fixture = Fixture::new();
    fixture.write("profiles/other.pem", root_pem());
    let one = replaced(PROFILE, "targets = [\"staging\", \"production\"]", "targets = [\"staging\"]");
    fixture.write("profiles/gateway.toml", replaced(&one, "method = \"without-ca\"", method));
    fixture
}

/// With `[register.csr]` behind everything else.
fn with_section(section: &str) -> Fixture {
    let fixture = with("method = \"csr\"");
    let text = std::fs::read_to_string(fixture.path("profiles/gateway.toml")).unwrap();
    fixture.write("profiles/gateway.toml", format!("{text}\n[register.csr]\n{section}\n"));
    fixture
}

fn said(fixture: &Fixture) -> Vec<String> {
    let line = regex::Regex::new(r"^profiles/gateway.toml:\d+: ").unwrap();
    fixture.mistakes().iter().map(|mistake| line.replace(mistake, "").into_owned()).collect()
}

#[test]
fn aws_makes_the_certificate_unless_an_endpoint_does() {
    let config = with("method = \"csr\"").load();
    let register = &config.profiles[0].register;
    let Method::Csr(plan) = &register.method else { panic!("{:?}", register.method) };
    assert_eq!((&plan.issuer, &plan.write_back, register.offline), (&Issuer::Aws, &None, Offline::Stop));

    let config = with_section(
        "endpoint = 'https://pki.plant.example/sign'\ntoken_file = 'token'\nroots = ['other.pem']\ntimeout_ms = 700\n\
         certificate = 0xF0000113\nwrite_back = 'optional'",
    )
    .load();
    let Method::Csr(plan) = &config.profiles[0].register.method else { panic!("no request") };
    let Issuer::Endpoint(endpoint) = &plan.issuer else { panic!("{plan:?}") };
    assert_eq!((endpoint.url.as_str(), endpoint.timeout.as_millis()), ("https://pki.plant.example/sign", 700));
    assert!(matches!(&endpoint.token, Some(Pin::File(path)) if path.ends_with("profiles/token")));
    assert_eq!((endpoint.roots.as_ref().unwrap().len(), &endpoint.ca), (1, &None));
    let write_back = plan.write_back.as_ref().unwrap();
    assert_eq!((&write_back.object, write_back.mode), (&ObjectName::Se050(0xF000_0113), WriteBack::Optional));
}

#[test]
fn what_is_wrong_with_a_request_is_said_key_by_key() {
    for (section, expected) in [
        (
            "token_env = 'TOKEN'",
            "\"token_env\" in [register.csr] has no meaning here: without an endpoint the target makes the certificate",
        ),
        (
            "write_back = 'optional'",
            "\"write_back\" in [register.csr] has no meaning here: no \"certificate\" names the object to be written",
        ),
        (
            "endpoint = 'http://pki.plant.example/sign'",
            "\"endpoint\" in [register.csr] is \"http://pki.plant.example/sign\": without TLS only this very machine may be used",
        ),
        (
            "endpoint = 'pki.plant.example'",
            "\"endpoint\" in [register.csr] is \"pki.plant.example\": write https://host/path",
        ),
        (
            "endpont = 'https://pki.plant.example'",
            "unknown key \"endpont\" in [register.csr]; did you mean \"endpoint\"?",
        ),
        (
            "endpoint = 'http://127.0.0.1:8080/sign'\nca = 'own'",
            "\"ca\" in [register.csr] names the CA \"own\", which does not exist",
        ),
    ] {
        let all = said(&with_section(section));
        assert!(all.len() == 1 && all[0].starts_with(expected), "{section}: {all:?}");
    }
    let own = said(&with_section("certificate = 'pkcs11:object=dev%20cert;id=%01;type=cert'"));
    assert!(own[0].contains("the very object of [token] that proves the chip"), "{own:?}");
}

/// In one account it is made; in no other is it known.
#[test]
fn a_certificate_that_is_made_goes_to_one_target_and_no_unit_waits() {
    let fixture = Fixture::new();
    fixture.write("profiles/gateway.toml", replaced(PROFILE, "method = \"without-ca\"", "method = \"csr\""));
    let all = said(&fixture);
    assert!(all[0].starts_with("\"targets\" in [register]: names 2 targets, method = \"csr\" takes one"), "{all:?}");
    let all = said(&with("method = \"csr\"\noffline = \"hold\""));
    assert!(
        all[0].starts_with("\"offline\" in [register]: is \"hold\", and with method = \"csr\" no unit can wait"),
        "{all:?}"
    );
    let all = said(&with("method = \"without-ca\"\ncsr = {}"));
    assert!(all[0].contains("only method = \"csr\" has a certificate made"), "{all:?}");
}

#[test]
fn a_unit_registers_itself_only_by_a_ca_that_lets_it() {
    let joining = |ca: &str| {
        let fixture = with("method = \"just-in-time\"\nca = \"own\"");
        let text = std::fs::read_to_string(fixture.path("profiles/gateway.toml")).unwrap();
        let active = replaced(&text, "certificate_status = \"INACTIVE\"", "certificate_status = \"ACTIVE\"");
        fixture.write("profiles/gateway.toml", active);
        let pem = std::fs::read_to_string(fixture.path("profiles/root.pem")).unwrap();
        fixture.write("own.pem", pem);
        fixture.write("lineseal.toml", format!("{STATION}\n[ca.own]\ncertificate = 'own.pem'\n{ca}"));
        fixture
    };
    let config = joining("auto_registration = true").load();
    let profile = &config.profiles[0];
    let Method::JustInTime(ca) = &profile.register.method else { panic!("{:?}", profile.register.method) };
    assert_eq!((profile.register.offline, profile.trust.issuer), (Offline::Stop, Some(ca.fingerprint)));
    let all = said(&joining(""));
    assert!(
        all[0].starts_with("\"ca\" in [register]: own has no auto_registration in staging and production"),
        "{all:?}"
    );
}

use super::fixture::{Fixture, PROFILE, STATION, replaced, root_pem};
use crate::config::CaKey;
use crate::domain::profile::{Method, ObjectName, Pin};
use crate::domain::{CaMode, Fingerprint};

const TEMPLATE: &str = r#"{ "Parameters": {}, "Resources": { "certificate": { "Type": "AWS::IoT::Certificate" } } }"#;

/// A station with this after its own text, and a CA that its profile pins.
fn with(ca: &str) -> Fixture {
    let fixture = Fixture::new();
    let pem = std::fs::read_to_string(fixture.path("profiles/root.pem")).unwrap();
    fixture.write("own.pem", &pem);
    fixture.write("join.json", TEMPLATE);
    fixture.write("lineseal.toml", format!("{STATION}\n{ca}"));
    fixture
}

fn mistakes(ca: &str) -> Vec<String> {
    let line = regex::Regex::new(r"^lineseal.toml:\d+: ").unwrap();
    with(ca).mistakes().iter().map(|mistake| line.replace(mistake, "").into_owned()).collect()
}

#[test]
fn a_ca_is_planned_for_every_target_and_each_may_differ() {
    let fixture = with(
        "[ca.own]\ncertificate = 'own.pem'\nmode = 'DEFAULT'\nkey.file = 'own.key'\n\
         auto_registration = true\ntemplate = 'join.json'\nrole = 'arn:aws:iam::111122223333:role/a/join'\n\
         [ca.own.targets.staging]\nmode = 'SNI_ONLY'\nrole = 'arn:aws:iam::444455556666:role/join'\n\
         [ca.other]\ncertificate = 'own.pem'",
    );
    let config = fixture.load();
    let other = config.cas.iter().find(|ca| ca.signing.name.as_str() == "other").unwrap();
    assert!(other.plans.iter().all(|plan| plan.mode == CaMode::SniOnly && !plan.auto_registration));
    assert_eq!((other.plans.len(), &other.key), (2, &None));
    let own = config.cas.iter().find(|ca| ca.signing.name.as_str() == "own").unwrap();
    assert_eq!(own.key, Some(CaKey::File(fixture.path("own.key"))));
    assert_eq!(own.signing.fingerprint, Fingerprint::of(&own.signing.certificate));
    let [staging, production] = &own.plans[..] else { panic!("{:?}", own.plans) };
    assert_eq!((staging.target.as_str(), staging.mode), ("staging", CaMode::SniOnly));
    assert_eq!((production.target.as_str(), production.mode), ("production", CaMode::Default));
    let roles = [staging, production].map(|plan| plan.template.as_ref().unwrap().role.as_str());
    assert_eq!(roles, ["arn:aws:iam::444455556666:role/join", "arn:aws:iam::111122223333:role/a/join"]);
    // As AWS counts it: without the white space.
    let body = &staging.template.as_ref().unwrap().body;
    assert_eq!(body, r#"{"Parameters":{},"Resources":{"certificate":{"Type":"AWS::IoT::Certificate"}}}"#);
}

#[test]
fn a_cas_key_may_be_in_a_token() {
    let fixture = with(
        "[ca.own]\ncertificate = 'own.pem'\nmode = 'DEFAULT'\n[ca.own.key]\nmodule = '/usr/lib/hsm.so'\n\
         environment = { HSM = 'one' }\nuri = 'pkcs11:token=plant;object=ca;type=private'\npin_file = 'pin'",
    );
    let Some(CaKey::Token(token)) = &fixture.load().cas[0].key else { panic!("no token") };
    assert_eq!(token.key, ObjectName::Attributes { label: Some("ca".into()), id: None });
    assert_eq!((token.environment["HSM"].as_str(), &token.pin), ("one", &Some(Pin::File(fixture.path("pin")))));
}

#[test]
fn what_is_wrong_with_a_ca_is_said_key_by_key() {
    for (ca, said) in [
        (
            "[ca.own]\ncertificate = 'own.pem'\nmode = 'DEFAULT'",
            "\"key\" in [ca.own]: is missing: mode = \"DEFAULT\" in target staging takes a signature of the CA; in \
             SNI_ONLY mode none is needed",
        ),
        (
            "[ca.own]\ncertificate = 'own.pem'\nkey.file = 'own.key'",
            "\"key\" in [ca.own] has no meaning here: in SNI_ONLY mode the CA signs nothing for AWS",
        ),
        (
            "[ca.own]\ncertificate = 'own.pem'\ntemplate = 'join.json'",
            "\"template\" in [ca.own] has no meaning here: no target has auto_registration = true",
        ),
        (
            "[ca.own]\ncertificate = 'own.pem'\nauto_registration = true\ntemplate = 'join.json'",
            "\"own\" in [ca]: target staging lacks the \"role\" in whose name AWS uses the template",
        ),
        (
            "[ca.own]\ncertificate = 'own.pem'\nrole = 'join'",
            "\"role\" in [ca.own] is \"join\": write the role's ARN, e.g. arn:aws:iam::111122223333:role/lineseal-join",
        ),
        (
            "[ca.own]\ncertificate = 'own.pem'\n[ca.own.targets.stagin]\nmode = 'SNI_ONLY'",
            "\"stagin\" in [ca.own.targets] names the target \"stagin\", which does not exist; did you mean \"staging\"?",
        ),
        (
            "[ca.own]\ncertificate = 'own.pem'\nmod = 'DEFAULT'",
            "unknown key \"mod\" in [ca.own]; did you mean \"mode\"?",
        ),
        (
            "[ca.own]\ncertificate = 'own.pem'\nauto_registration = true\nrole = 'arn:aws:iam::111122223333:role/j'\n\
             template = 'lineseal.toml'",
            "\"template\" in [ca.own]: lineseal.toml is not JSON: expected value at line 1 column 1",
        ),
    ] {
        assert_eq!(mistakes(ca), [said], "{ca}");
    }
}

#[test]
fn a_cas_certificate_is_one_and_a_cas() {
    let ca = "[ca.own]\ncertificate = 'own.pem'";
    let fixture = with(ca);
    fixture.write("own.pem", root_pem() + &root_pem());
    let said = "\"certificate\" in [ca.own]: own.pem holds 2 certificates: name a file with the CA's own alone";
    assert!(fixture.mistakes()[0].ends_with(said), "{:?}", fixture.mistakes());
    let key = rcgen::KeyPair::generate().unwrap();
    fixture.write("own.pem", rcgen::CertificateParams::default().self_signed(&key).unwrap().pem());
    assert!(fixture.mistakes()[0].ends_with("own.pem is no CA's certificate"), "{:?}", fixture.mistakes());
}

#[test]
fn a_profile_registers_in_the_name_of_a_ca_that_it_trusts() {
    let ca = "[ca.own]\ncertificate = 'own.pem'";
    let profile = |method: &str| replaced(PROFILE, "method = \"without-ca\"", method);
    let fixture = with(ca);
    fixture.write("profiles/gateway.toml", profile("method = \"with-ca\"\nca = \"own\""));
    let config = fixture.load();
    let Method::WithCa(own) = &config.profiles[0].register.method else { panic!("without") };
    assert_eq!(*own, config.cas[0].signing);
    assert_eq!(config.profiles[0].trust.issuer, Some(own.fingerprint));

    let line = regex::Regex::new(r"^profiles/gateway.toml:\d+: ").unwrap();
    let said = |fixture: &Fixture| line.replace(&fixture.mistakes()[0], "").into_owned();
    fixture.write("profiles/gateway.toml", profile("method = \"with-ca\"\nca = \"owm\""));
    assert_eq!(
        said(&fixture),
        "\"ca\" in [register] names the CA \"owm\", which does not exist; did you mean \"own\"?"
    );
    fixture.write("profiles/gateway.toml", profile("method = \"with-ca\""));
    assert_eq!(said(&fixture), "\"ca\" in [register] is missing");
    fixture.write("profiles/gateway.toml", profile("ca = \"own\""));
    assert_eq!(said(&fixture), "\"ca\" in [register] has no meaning here: method = \"without-ca\" asks for none");
    // Another CA than the one that the profile trusts.
    fixture.write("profiles/gateway.toml", profile("method = \"with-ca\"\nca = \"own\""));
    fixture.write("own.pem", root_pem());
    assert!(
        said(&fixture).contains("is neither among the roots nor the intermediates of [trust]"),
        "{}",
        said(&fixture)
    );
}

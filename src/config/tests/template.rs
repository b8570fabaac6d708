use serde_json::{Value, json};

use super::fixture::{Fixture, PROFILE, replaced};
use crate::domain::profile::{Method, TemplateCertificate};

/// What the fixture's profile says of a unit.
fn template() -> Value {
    json!({
        "Parameters": {
            "Serial": { "Type": "String" },
            "Id": { "Type": "String" },
            "Place": { "Type": "String", "Default": "here" },
        },
        "Resources": {
            "thing": { "Type": "AWS::IoT::Thing", "Properties": {
                "ThingName": { "Fn::Join": ["-", ["gw", { "Ref": "Serial" }]] },
                "ThingTypeName": "gateway",
                "AttributePayload": { "product": "gateway-g4", "address": { "Ref": "Place" } },
            } },
            "certificate": { "Type": "AWS::IoT::Certificate", "Properties": {
                "CertificateId": { "Ref": "Id" }, "Status": "Inactive",
            } },
            "policy": { "Type": "AWS::IoT::Policy", "Properties": { "PolicyName": "device" } },
        },
    })
}

const PARAMETERS: &str = "parameters = { Serial = \"{serial}\", Id = \"{certificate_id}\" }";

fn with(body: &Value, parameters: &str) -> Fixture {
    let fixture = Fixture::new();
    let profile = replaced(PROFILE, "method = \"without-ca\"", "method = \"template\"");
    let section = format!("[register.template]\nfile = \"thing.json\"\n{parameters}\n\n[label]");
    fixture.write("profiles/gateway.toml", replaced(&profile, "[label]", &section));
    fixture.write("profiles/thing.json", body.to_string());
    fixture
}

fn said(fixture: &Fixture) -> Vec<String> {
    let line = regex::Regex::new(r"^profiles/gateway.toml:\d+: ").unwrap();
    fixture.mistakes().iter().map(|mistake| line.replace(mistake, "").into_owned()).collect()
}

#[test]
fn a_template_that_makes_what_the_profile_says_is_taken_as_it_is() {
    let config = with(&template(), PARAMETERS).load();
    let Method::Template { ca: None, template: plan } = &config.profiles[0].register.method else { panic!("another") };
    assert_eq!(plan.certificate, TemplateCertificate::ById);
    let given: Vec<&str> = plan.parameters.keys().map(|name| name.as_str()).collect();
    assert_eq!(given, ["Id", "Serial"]);
    assert_eq!(serde_json::from_str::<Value>(&plan.body).unwrap(), template());
}

#[test]
fn what_is_wrong_with_a_template_is_said_before_the_line_starts() {
    let changed = |pointer: &str, value: Value| {
        let mut body = template();
        let (parent, key) = pointer.rsplit_once('/').unwrap();
        let parent = body.pointer_mut(parent).unwrap().as_object_mut().unwrap();
        match value {
            Value::Null => parent.remove(key),
            value => parent.insert(key.to_owned(), value),
        };
        body
    };
    let thing = "/Resources/thing/Properties";
    let certificate = "/Resources/certificate/Properties";
    for (body, because) in [
        (changed("/Resources/policy", Value::Null), "has no resource of type AWS::IoT::Policy"),
        (
            changed("/Resources/second", template()["Resources"]["thing"].clone()),
            "has several resources of type AWS::IoT::Thing: a unit has one",
        ),
        (
            changed("/Resources/group", json!({ "Type": "AWS::IoT::ThingGroup", "Properties": {} })),
            "has the resource group of type \"AWS::IoT::ThingGroup\", which is none of a provisioning template",
        ),
        (changed(&format!("{thing}/ThingName"), Value::Null), "has a thing without \"ThingName\""),
        (
            changed(&format!("{thing}/ThingName"), json!({ "Fn::Joint": ["", []] })),
            "uses Fn::Joint; there are Fn::FindInMap, Fn::Join, Fn::Select, Fn::Split, Fn::Sub",
        ),
        (
            changed(&format!("{thing}/ThingName"), json!({ "Ref": "Seriall" })),
            "refers to \"Seriall\", which is no parameter of it",
        ),
        (
            changed(&format!("{thing}/ThingTypeName"), Value::Null),
            "gives the thing no type, and [register] has a thing_type",
        ),
        (
            changed(&format!("{thing}/AttributePayload"), json!({ "product": "x" })),
            "gives the thing the attributes [product], [register] has [address, product]",
        ),
        (
            changed("/Resources/policy/Properties/PolicyName", json!("other")),
            "attaches the policy \"other\", [register.policy] is \"device\"",
        ),
        (
            changed("/Resources/policy/Properties", json!({ "PolicyDocument": "{}" })),
            "has a policy with a \"PolicyDocument\": AWS names such a policy by a hash; name the profile's by \"PolicyName\"",
        ),
        (
            changed(&format!("{certificate}/Status"), json!("ACTIVE")),
            "makes the certificate ACTIVE, certificate_status is INACTIVE",
        ),
        (changed(&format!("{certificate}/Status"), Value::Null), "has a certificate without \"Status\""),
        (
            changed(certificate, json!({ "CertificatePem": { "Ref": "Id" }, "Status": "INACTIVE" })),
            "has a \"CertificatePem\": AWS takes one so only in the name of a registered CA; name that by \"ca\", or \
             use \"CertificateId\"",
        ),
        (
            changed(certificate, json!({ "CertificateSigningRequest": { "Ref": "Id" }, "Status": "INACTIVE" })),
            "asks AWS for a certificate; the chip has its own: use \"CertificateId\"",
        ),
        (
            changed("/DeviceConfiguration", json!({ "url": "x" })),
            "holds \"DeviceConfiguration\": only fleet provisioning answers with one",
        ),
        (
            changed("/Parameters/AWS::IoT::Certificate::Id", json!({ "Type": "String" })),
            "declares AWS::IoT::Certificate::Id, which AWS fills in just-in-time and fleet provisioning only",
        ),
    ] {
        let expected = format!("\"file\" in [register.template]: profiles/thing.json {because}");
        assert_eq!(said(&with(&body, PARAMETERS)), [expected]);
    }
}

#[test]
fn parameters_are_compared_both_ways_and_know_the_certificate() {
    let missing = with(&template(), "parameters = { Serial = \"{serial}\" }");
    assert_eq!(
        said(&missing),
        ["\"parameters\" in [register.template]: the template declares Id without a default, and no value is given"]
    );
    let strange = with(&template(), "parameters = { Serial = \"1\", Id = \"2\", Sorial = \"3\" }");
    assert_eq!(said(&strange), ["\"parameters\" in [register.template]: the template declares no Sorial"]);
    let unknown = with(&template(), "parameters = { Serial = \"{serial}\", Id = \"{certificateid}\" }");
    assert!(said(&unknown)[0].contains("did you mean \"certificate_id\"?"), "{:?}", said(&unknown));
}

#[test]
fn another_method_asks_for_no_template() {
    let fixture = with(&template(), PARAMETERS);
    let profile = std::fs::read_to_string(fixture.path("profiles/gateway.toml")).unwrap();
    fixture.write("profiles/gateway.toml", profile.replace("method = \"template\"", "method = \"without-ca\""));
    assert_eq!(said(&fixture), ["\"template\" in [register] has no meaning here: only method = \"template\" has one"]);
    let profile = profile.split("[register.template]").next().unwrap().to_owned();
    fixture.write("profiles/gateway.toml", profile);
    assert_eq!(said(&fixture), ["\"template\" in [register] is missing"]);
}

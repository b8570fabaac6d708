//! `lineseal template` and `lineseal claim`: what a fleet is provisioned by, set up by an administrator.

use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use serde_json::{Value, json};

use crate::bench::Bench;
use crate::log;
use crate::peers::Cloud;
use crate::program::{Ended, Program};
use crate::rulings::root;

const ROLE: &str = "arn:aws:iam::000000000000:role/lineseal-fleet";

/// A line with `Root` as administrator.
pub struct Office<'a> {
    pub bench: Bench<'a>,
}

impl<'a> Office<'a> {
    pub async fn of(bench: Bench<'a>) -> Office<'a> {
        let office = Office { bench };
        let (pin, args) = (office.pin(), ["operator", "add", "Root", "--role", "administrator", "--new-pin-file"]);
        Program::on(&office.bench, [&args[..], &[&pin]].concat()).run().await.expect(0);
        office
    }

    fn pin(&self) -> String {
        let path = self.bench.dir.path().join("pin-root");
        std::fs::write(&path, "root's own pin\n").unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        path.display().to_string()
    }

    /// By Root.
    pub async fn root(&self, args: &[&str], status: i32) -> Ended {
        let pin = self.pin();
        let args = [args, &["--json", "--as", "Root", "--pin-file", &pin]].concat();
        Program::on(&self.bench, args).run().await.expect(status)
    }

    pub async fn reads(&self, args: &[&str], status: i32) -> Ended {
        Program::on(&self.bench, [args, &["--json"]].concat()).run().await.expect(status)
    }

    pub fn file(&self, name: &str, text: &str) -> String {
        let path = self.bench.dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    }

    /// Of this test alone, in a cloud that others share.
    pub fn name(&self) -> String {
        self.bench.serial("T").replace(['.', ':'], "-")
    }

    pub fn events(&self, kind: &str) -> Vec<Value> {
        log::all(&log::read(&self.bench.data_dir()), kind).into_iter().cloned().collect()
    }

    /// Makes the provisioning template.
    pub async fn template(&self, body: &Value) -> String {
        let (name, file) = (self.name(), self.file("template-body.json", &body.to_string()));
        self.root(&["template", "create", &name, "--file", &file, "--role", ROLE], 0).await;
        name
    }

    /// The certificate and key of a claim for it.
    pub async fn claim(&self, template: &str) -> [PathBuf; 2] {
        let folder = self.bench.dir.path().join("claims");
        std::fs::create_dir_all(&folder).unwrap();
        let out = folder.display().to_string();
        self.root(&["claim", "create", template, "--out", &out], 0).await;
        ["pem", "key"].map(|kind| folder.join(format!("practice-{template}.{kind}")))
    }
}

fn body() -> Value {
    json!({
        "Parameters": { "SerialNumber": { "Type": "String" }, "AWS::IoT::Certificate::Id": { "Type": "String" } },
        "Resources": {
            "thing": { "Type": "AWS::IoT::Thing", "Properties": {
                "ThingName": { "Fn::Join": ["", ["fleet-", { "Ref": "SerialNumber" }]] },
            } },
            "certificate": { "Type": "AWS::IoT::Certificate", "Properties": {
                "CertificateId": { "Ref": "AWS::IoT::Certificate::Id" }, "Status": "Active",
            } },
        },
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_template_is_made_once_shown_and_never_changed() {
    let office = Office::of(Bench::new(1, Cloud::shared().await).await).await;
    let (name, file) = (office.name(), office.file("body.json", &body().to_string()));
    let create = ["template", "create", &name, "--file", &file, "--role", ROLE, "--description", "for the bench"];
    let told = office.root(&create, 0).await.json().remove(0);
    assert_eq!((&told["end"], &told["target"], &told["template"]), (&json!("done"), &json!("practice"), &json!(name)));
    let again = office.root(&create, 0).await.json().remove(0);
    assert_eq!(again["end"], "found");

    let shown = office.reads(&["template", "show", &name], 0).await.json().remove(0);
    assert_eq!((&shown["enabled"], &shown["role"], &shown["type"]), (&json!(true), &json!(ROLE), &json!("fleet")));
    assert_eq!(serde_json::from_str::<Value>(shown["body"].as_str().unwrap()).unwrap(), body());
    let listed = office.reads(&["template", "list"], 0).await.json();
    assert!(listed.iter().any(|held| held["template"] == name.as_str()), "{listed:?}");
    office.reads(&["template", "show", "nobody-s"], 3).await;

    let mut other = body();
    other["Resources"]["thing"]["Properties"]["ThingName"] = json!("another");
    let changed = office.file("other.json", &other.to_string());
    let differs = office.root(&["template", "create", &name, "--file", &changed, "--role", ROLE], 3).await;
    assert!(differs.err.contains("A-363"), "{}", differs.err);
    let held = root(office.bench.cloud).describe_provisioning_template().template_name(&name).send().await.unwrap();
    assert_eq!(serde_json::from_str::<Value>(held.template_body().unwrap()).unwrap(), body());

    // What AWS does not take, and what is no template at all.
    let bad = office.file("bad.json", r#"{"Resources":{"x":{"Type":"AWS::IoT::Thing"}}}"#);
    let refused = office.root(&["template", "create", "bad", "--file", &bad, "--role", ROLE], 3).await;
    assert!(refused.err.contains("A-362"), "{}", refused.err);
    let none = office.file("none.json", "{}");
    office.root(&["template", "create", "bad", "--file", &none, "--role", ROLE], 2).await;
    let ends = office.events("template-ended");
    let told: Vec<_> = ends.iter().map(|event| (&event["made"], &event["failure"]["code"])).collect();
    let (yes, no, null) = (json!(true), json!(false), Value::Null);
    assert_eq!(told, [(&yes, &null), (&no, &null), (&no, &json!("A-363")), (&no, &json!("A-362"))]);
    assert!(ends.iter().all(|event| event["operator"].is_object()));
    assert_eq!(office.events("template-intended").len(), 4);
    Program::on(&office.bench, ["audit", "verify"]).run().await.expect(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_claims_key_is_in_its_file_and_nowhere_else() {
    let office = Office::of(Bench::new(1, Cloud::shared().await).await).await;
    let folder = office.bench.dir.path().join("claims");
    std::fs::create_dir(&folder).unwrap();
    let out = folder.display().to_string();
    let absent = office.root(&["claim", "create", "nobody-s", "--out", &out], 3).await;
    assert!(absent.err.contains("A-364"), "{}", absent.err);
    let name = office.template(&body()).await;
    let [certificate, key] = office.claim(&name).await;
    let (pem, secret) = (std::fs::read_to_string(&certificate).unwrap(), std::fs::read_to_string(&key).unwrap());
    assert!(pem.starts_with("-----BEGIN CERTIFICATE-----") && secret.contains("PRIVATE KEY-----"));
    assert_eq!(std::fs::metadata(&key).unwrap().permissions().mode() & 0o777, 0o600);
    let line = secret.lines().nth(1).unwrap();
    for logged in log::read(&office.bench.data_dir()) {
        assert!(!String::from_utf8_lossy(&logged.bytes).contains(line));
    }

    let listed = office.reads(&["claim", "list", &name], 0).await.json();
    let [held] = &listed[..] else { panic!("{listed:?}") };
    assert_eq!((&held["status"], &held["policy"]), (&json!("ACTIVE"), &json!(format!("lineseal-claim-{name}"))));
    let fingerprint = held["fingerprint"].as_str().unwrap().to_owned();
    let seen = office.bench.cloud.witness();
    assert_eq!(seen.certificates[&fingerprint].policies, [format!("lineseal-claim-{name}")]);
    assert_eq!(office.events("claim-ended").last().unwrap()["fingerprint"], fingerprint.as_str());

    // Over another claim nothing is written, and then nothing is made.
    let before = office.bench.cloud.witness().policies[&format!("lineseal-claim-{name}")].targets.len();
    let twice = office.root(&["claim", "create", &name, "--out", &out], 3).await;
    assert!(twice.err.contains("is there already"), "{}", twice.err);
    assert_eq!(std::fs::read_to_string(&key).unwrap(), secret);
    let after = office.bench.cloud.witness().policies[&format!("lineseal-claim-{name}")].targets.len();
    assert_eq!((before, after), (1, 1));
    // Somebody's own policy of that name is not taken for the claim's.
    let document = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}"#;
    let broad = format!("broad-{name}");
    root(office.bench.cloud).create_policy().policy_name(&broad).policy_document(document).send().await.unwrap();
    let elsewhere = office.bench.dir.path().join("elsewhere");
    std::fs::create_dir(&elsewhere).unwrap();
    let out = elsewhere.display().to_string();
    let refused = office.root(&["claim", "create", &name, "--policy", &broad, "--out", &out], 3).await;
    assert!(refused.err.contains("A-321"), "{}", refused.err);
    assert_eq!(std::fs::read_dir(&elsewhere).unwrap().count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_an_administrator_sets_up_a_fleet() {
    let office = Office::of(Bench::new(1, Cloud::shared().await).await).await;
    let file = office.file("body.json", &body().to_string());
    let create = ["template", "create", "x", "--file", &file, "--role", ROLE];
    let nobody = Program::on(&office.bench, create).run().await.expect(2);
    assert!(nobody.err.contains("--as"), "{}", nobody.err);
    let pin = office.pin();
    let technician = office.bench.dir.path().join("pin-technician");
    std::fs::write(&technician, "another pin\n").unwrap();
    std::fs::set_permissions(&technician, std::fs::Permissions::from_mode(0o600)).unwrap();
    let theirs = technician.display().to_string();
    let add = [
        "operator",
        "add",
        "Tech",
        "--role",
        "technician",
        "--new-pin-file",
        &theirs,
        "--as",
        "Root",
        "--pin-file",
        &pin,
    ];
    Program::on(&office.bench, add).run().await.expect(0);
    let by = ["--as", "Tech", "--pin-file", &theirs];
    let refused = Program::on(&office.bench, [&create[..], &by].concat()).run().await.expect(3);
    assert!(refused.err.contains("O-610"), "{}", refused.err);
    let refused = Program::on(&office.bench, [&["claim", "create", "x", "--out", "/nowhere"][..], &by].concat());
    assert!(refused.run().await.expect(3).err.contains("O-610"));
    assert!(office.events("template-intended").is_empty() && office.events("claim-intended").is_empty());
}

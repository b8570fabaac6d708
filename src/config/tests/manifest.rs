use super::fixture::{Fixture, PROFILE, profile_mistakes, root_pem};
use crate::domain::profile::{ManifestEncoding, ManifestField, ManifestForm, ManifestFormat};

fn with(manifest: &str) -> Vec<String> {
    profile_mistakes("[label]", &format!("[manifest]\n{manifest}\n[label]"))
}

#[test]
fn a_mapping_is_read_whole() {
    let fixture = Fixture::new();
    fixture.write(
        "profiles/gateway.toml",
        format!(
            "{PROFILE}\n[manifest]\nrequired = true\nformat = \"csv\"\nseparator = \"\\t\"\nencoding = \"shift_jis\"\n\
         uid = \"チップ\"\nkey = \"Key\"\nkey_form = \"base64\"\n"
        ),
    );
    let plan = fixture.load().profiles[0].manifest.clone().unwrap();
    let ManifestFormat::Csv { separator, encoding } = plan.format else { panic!("{plan:?}") };
    assert_eq!((plan.required, separator, encoding), (true, Some(b'\t'), ManifestEncoding::ShiftJis));
    assert_eq!(plan.uid, Some(ManifestField { at: "チップ".to_owned(), form: ManifestForm::Hex }));
    assert_eq!(plan.key, Some(ManifestField { at: "Key".to_owned(), form: ManifestForm::Base64 }));
    assert_eq!((plan.fingerprint, plan.certificate), (None, None));

    fixture.write("profiles/signer.pem", root_pem());
    fixture.write(
        "profiles/gateway.toml",
        format!(
            "{PROFILE}\n[manifest]\nformat = \"signed-json\"\nsigner = [\"signer.pem\"]\ncertificate = \"/x5c/0\"\n"
        ),
    );
    let plan = fixture.load().profiles[0].manifest.clone().unwrap();
    assert!(matches!(plan.format, ManifestFormat::SignedJson { signers } if signers.len() == 1));
    assert_eq!(plan.certificate.unwrap().form, ManifestForm::Base64);
}

#[test]
fn a_mapping_that_could_read_nothing_is_a_mistake() {
    for (manifest, expected) in [
        ("format = \"csv\"", "say where the list has at least one of uid, fingerprint, certificate, key"),
        ("format = \"cvs\"\nuid = \"U\"", "did you mean \"csv\"?"),
        ("format = \"csv\"\nuid = \"U\"\nsigner = [\"root.pem\"]", "nothing in a CSV file is signed"),
        ("format = \"csv\"\nuid = \"U\"\nkey_form = \"hex\"", "there is no \"key\" in [manifest]"),
        ("format = \"csv\"\nuid = \"U\"\nseparator = \"x\"", "\"separator\" in [manifest] is \"x\""),
        ("format = \"signed-json\"\nuid = \"/u\"", "\"signer\" in [manifest] is missing"),
        ("format = \"signed-json\"\nsigner = [\"root.pem\"]\nuid = \"u\"", "it begins with /"),
        ("format = \"signed-json\"\nsigner = [\"none.pem\"]\nuid = \"/u\"", "none.pem cannot be read"),
        ("format = \"signed-json\"\nsigner = [\"root.pem\"]\nuid = \"/u\"\nencoding = \"utf-8\"", "is UTF-8"),
    ] {
        let mistakes = with(manifest);
        assert!(mistakes.len() == 1 && mistakes[0].contains(expected), "{manifest}: {mistakes:?}");
    }
}

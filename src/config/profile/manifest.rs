//! `[manifest]`: how a vendor's list of shipped chips is read.

use crate::config::pem;
use crate::config::problem::Mistake;
use crate::config::section::{Entry, Section};
use crate::domain::profile::{ManifestEncoding, ManifestField, ManifestForm, ManifestFormat, ManifestPlan, UidRule};

#[derive(Clone, Copy, PartialEq)]
enum Format {
    Csv,
    SignedJson,
}

/// `uid` is what `[trust]` says of the chip's UID, where that could be read.
pub(super) fn read(entry: &Entry<'_>, uid: Option<UidRule>) -> Option<ManifestPlan> {
    let section = entry.section("[manifest]")?;
    let required = section.optional("required").map_or(Some(false), |entry| entry.boolean());
    let format = section
        .required("format")
        .and_then(|entry| entry.choice(&[("csv", Format::Csv), ("signed-json", Format::SignedJson)]));
    let of_format = match format {
        Some(Format::Csv) => csv(&section),
        Some(Format::SignedJson) => signed_json(&section),
        None => {
            for key in ["separator", "encoding", "signer"] {
                section.optional(key);
            }
            None
        }
    };
    let field = |key, form_key, usual| field(&section, key, form_key, usual, format);
    let by_uid = field("uid", "uid_form", ManifestForm::Hex);
    let fingerprint = field("fingerprint", "fingerprint_form", ManifestForm::Hex);
    let certificate = field("certificate", "certificate_form", ManifestForm::Base64);
    let key = field("key", "key_form", ManifestForm::Hex);
    let (by_uid, fingerprint, certificate, key) = (by_uid?, fingerprint?, certificate?, key?);
    if [&by_uid, &fingerprint, &certificate, &key].into_iter().all(Option::is_none) {
        section.report(Mistake::Refused {
            key: section.name("uid"),
            because: "is missing: say where the list has at least one of uid, fingerprint, certificate, key".into(),
        });
        return None;
    }
    if let (Some(entry), Some(UidRule::None)) = (section.optional("uid"), uid) {
        // No chip could ever be on such a list.
        entry.report(Mistake::Meaningless { key: entry.name.clone(), because: "[trust] says uid = \"none\"".into() });
        return None;
    }
    Some(ManifestPlan { required: required?, format: of_format?, uid: by_uid, fingerprint, certificate, key })
}

fn csv(section: &Section<'_>) -> Option<ManifestFormat> {
    section.meaningless(&["signer"], "nothing in a CSV file is signed");
    let separators = [(",", b','), (";", b';'), ("\t", b'\t')];
    let separator = match section.optional("separator") {
        Some(entry) => entry.choice(&separators).map(Some),
        None => Some(None),
    };
    let encodings = [
        ("utf-8", ManifestEncoding::Utf8),
        ("shift_jis", ManifestEncoding::ShiftJis),
        ("windows-1252", ManifestEncoding::Windows1252),
    ];
    let encoding = match section.optional("encoding") {
        Some(entry) => entry.choice(&encodings),
        None => Some(ManifestEncoding::Utf8),
    };
    Some(ManifestFormat::Csv { separator: separator?, encoding: encoding? })
}

fn signed_json(section: &Section<'_>) -> Option<ManifestFormat> {
    section.meaningless(&["separator", "encoding"], "JSON (RFC 8259) is UTF-8 and has no columns");
    let signers = section.required("signer").and_then(|entry| {
        let items = entry.some_items()?;
        let read = |item: &Entry<'_>| {
            let path = item.path()?;
            let found = pem::certificates(&path).and_then(|found| {
                let foreign = found.iter().any(|der| !is_p256(der));
                if foreign { Err("holds a certificate whose key is not ECDSA P-256 (ES256)".into()) } else { Ok(found) }
            });
            match found {
                Ok(found) => Some(found),
                Err(because) => {
                    item.report(Mistake::BadFile { key: item.name.clone(), path, because });
                    None
                }
            }
        };
        let all: Option<Vec<Vec<Vec<u8>>>> = items.iter().map(read).collect::<Vec<_>>().into_iter().collect();
        all.map(|files| files.into_iter().flatten().collect())
    });
    Some(ManifestFormat::SignedJson { signers: signers? })
}

/// RFC 7518 §3.4: the only kind of key that ES256 has.
fn is_p256(der: &[u8]) -> bool {
    use x509_cert::der::Decode as _;
    use x509_cert::der::asn1::ObjectIdentifier;
    const SECP256R1: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
    x509_cert::Certificate::from_der(der).is_ok_and(|certificate| {
        let algorithm = &certificate.tbs_certificate().subject_public_key_info().algorithm;
        algorithm.parameters.as_ref().and_then(|curve| curve.decode_as::<ObjectIdentifier>().ok()) == Some(SECP256R1)
    })
}

/// Inner `None`: the list does not have it.
fn field(
    section: &Section<'_>,
    key: &'static str,
    form_key: &'static str,
    usual: ManifestForm,
    format: Option<Format>,
) -> Option<Option<ManifestField>> {
    let at = section.optional(key);
    let form = section.optional(form_key);
    let Some(at) = at else {
        if let Some(form) = form {
            let because = format!("there is no {}", section.name(key));
            form.report(Mistake::Meaningless { key: form.name.clone(), because });
            return None;
        }
        return Some(None);
    };
    let form = match form {
        Some(form) => form.choice(&[("hex", ManifestForm::Hex), ("base64", ManifestForm::Base64)]),
        None => Some(usual),
    };
    let text = at.text()?;
    if format == Some(Format::SignedJson) && !text.starts_with('/') {
        at.refuse("is no JSON pointer (RFC 6901) into the signed payload: it begins with /");
        return None;
    }
    Some(Some(ManifestField { at: text.to_owned(), form: form? }))
}

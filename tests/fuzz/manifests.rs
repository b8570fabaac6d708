//! Vendors' lists of shipped chips.

use std::sync::{Arc, Mutex};

use lineseal::domain::profile::{ManifestEncoding, ManifestField, ManifestForm, ManifestFormat, ManifestPlan};
use lineseal::domain::{BatchName, EntryPlace, Failure, Fingerprint, Identity, ManifestEntry, Sha256, Unit};
use lineseal::ports::{Listing, Manifests};
use lineseal::runner::manifest::{self, Source};

use super::corpus;
use super::engine::{Target, kind_of};

/// Knows none, and keeps what it is asked for.
#[derive(Default)]
struct Asked(Mutex<Vec<ManifestEntry>>);

#[async_trait::async_trait]
impl Manifests for Asked {
    async fn imported(&self, _: &BatchName, _: Sha256) -> Result<Option<u64>, Failure> {
        Ok(None)
    }

    async fn known(&self, _: &BatchName, entries: Vec<ManifestEntry>) -> Result<Vec<Option<EntryPlace>>, Failure> {
        let places = entries.iter().map(|_| None).collect();
        self.0.lock().unwrap().extend(entries);
        Ok(places)
    }

    async fn listing(&self, _: &BatchName, _: &Unit, _: &Identity) -> Result<Listing, Failure> {
        Ok(Listing::None)
    }
}

#[test]
fn a_list_is_read_or_its_mistakes_are_told_and_no_entry_is_forged() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let signer = corpus::file("manifests", "signer.der");
    let field = |at: &str, form| Some(ManifestField { at: at.to_owned(), form });
    let plan = |format| ManifestPlan {
        required: false,
        format,
        uid: field("UID", ManifestForm::Hex),
        fingerprint: field("SHA-256", ManifestForm::Hex),
        certificate: None,
        key: None,
    };
    let csv = |encoding| plan(ManifestFormat::Csv { separator: None, encoding });
    let signed = ManifestPlan {
        uid: field("/uniqueId", ManifestForm::Hex),
        fingerprint: None,
        certificate: field("/publicKeySet/keys/0/x5c/0", ManifestForm::Base64),
        ..plan(ManifestFormat::SignedJson { signers: vec![signer.clone()] })
    };
    let read = |input: &[u8], plan: &ManifestPlan| {
        let (asked, bytes) = (Asked::default(), input.to_vec());
        let open = Arc::new(move || Ok(Box::new(std::io::Cursor::new(bytes.clone())) as Box<dyn std::io::Read + Send>));
        let (source, batch) = (Source { name: "list".to_owned(), open }, "WO-7".parse().unwrap());
        let mut told = 0;
        let checked = runtime.block_on(manifest::check(&asked, &source, plan, &batch, &mut |_| told += 1));
        let entries = asked.0.into_inner().unwrap();
        assert!(checked.as_ref().map_or(true, |checked| checked.entries == entries.len() as u64 && told == 0));
        (checked, entries)
    };
    let identities = |entries: &[ManifestEntry]| -> Vec<_> {
        entries.iter().map(|entry| (entry.uid.clone(), entry.fingerprint, entry.spki)).collect()
    };
    let (genuine, vouched) = read(&corpus::file("manifests", "signed.json"), &signed);
    assert_eq!(genuine.unwrap().signers, [Fingerprint::of(&signer)]);
    let vouched = identities(&vouched);
    let check = |input: &[u8]| {
        let (checked, entries) = read(input, &signed);
        assert!(identities(&entries).iter().all(|entry| vouched.contains(entry)), "an entry that nobody has signed");
        let mut outcome = checked.map_or_else(|failure| kind_of(&failure.cause), |checked| checked.entries.to_string());
        for encoding in [ManifestEncoding::Utf8, ManifestEncoding::ShiftJis, ManifestEncoding::Windows1252] {
            let (checked, entries) = read(input, &csv(encoding));
            outcome += &format!(" {} {}", checked.is_ok(), entries.len().min(9));
        }
        outcome
    };
    let words = &[
        "\"payload\":\"",
        "\"protected\":",
        "\"x5t#S256\"",
        "\u{feff}",
        "\"\"",
        "\r",
        ";",
        "\t",
        "=\"0\"",
        "0x",
        "[[",
        "{}",
    ];
    Target { name: "manifests", inputs: 12_000, seeds: vec![], words, check: &check }.run();
}

//! A shipment manifest's entry: what a vendor says of one chip that was sent.

use super::{ChipUid, Fingerprint, Identity, SpkiHash};

/// Any of it may be absent, never all of it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct ManifestEntry {
    /// Where it stands in the vendor's file: the line of a table, the number of a signed entry, from 1.
    pub line: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uid: Option<ChipUid>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<Fingerprint>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spki: Option<SpkiHash>,
}

impl ManifestEntry {
    /// Whether all that the entry says is so. What it says and the chip does not tell is not so.
    pub fn agrees(&self, chip: &Identity) -> bool {
        let states = self.uid.is_some() || self.fingerprint.is_some() || self.spki.is_some();
        states && self.contradicted(chip).is_empty()
    }

    /// The parts that are not as the entry says.
    pub fn contradicted(&self, chip: &Identity) -> Vec<&'static str> {
        let uid = self.uid.as_ref().is_some_and(|uid| chip.uid.as_ref() != Some(uid));
        let fingerprint = self.fingerprint.is_some_and(|fingerprint| chip.fingerprint != fingerprint);
        let spki = self.spki.is_some_and(|spki| chip.spki != spki);
        [(uid, "chip UID"), (fingerprint, "certificate"), (spki, "key")]
            .into_iter()
            .filter_map(|(differs, part)| differs.then_some(part))
            .collect()
    }
}

/// Where the log holds an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct EntryPlace {
    /// The event that lists it.
    pub seq: u64,
    /// The event that took its file in.
    pub imported: u64,
    pub line: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_agrees_only_if_all_that_it_says_is_so() {
        let uid: ChipUid = "00112233".parse().unwrap();
        let chip = Identity {
            fingerprint: Fingerprint::of(b"certificate"),
            spki: SpkiHash::of(b"key"),
            uid: Some(uid.clone()),
        };
        let nothing = ManifestEntry { line: 1, uid: None, fingerprint: None, spki: None };
        assert!(!nothing.agrees(&chip));
        let by_uid = ManifestEntry { uid: Some(uid), ..nothing.clone() };
        assert!(by_uid.agrees(&chip));
        let whole = ManifestEntry { fingerprint: Some(chip.fingerprint), spki: Some(chip.spki), ..by_uid.clone() };
        assert!(whole.agrees(&chip));
        let other = ManifestEntry { spki: Some(SpkiHash::of(b"another")), ..whole };
        assert!(!other.agrees(&chip));
        assert_eq!(other.contradicted(&chip), ["key"]);
        // A chip that tells no UID is not the one that the vendor names by it.
        assert!(!by_uid.agrees(&Identity { uid: None, ..chip }));
    }
}

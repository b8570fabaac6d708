//! Chains made at test time, byte by byte where no generator would make them: each rule has a case
//! that trips it and the nearest legitimate one that passes.

mod answers;
mod certificates;
pub(in crate::provisioning) mod forge;
mod mutations;
mod names;
mod revocation;
mod texts;
mod twins;
mod uids;
mod vendors;

use jiff::Timestamp;

use super::{Check, Checked, Finding, Outcome, check_certificate, examine};
use crate::domain::profile::{CrlCoverage, ExpiredIntermediate, KeyKind, Trust, UidRule};
use crate::domain::{ChipUid, Failure, ReasonCode};
use forge::{Key, Tbs};

/// A vendor as the facts describe one: P-521 root, P-256 intermediate.
struct Vendor {
    root_key: Key,
    issuer_key: Key,
    root: Vec<u8>,
    issuer: Vec<u8>,
}

const ROOT: &str = "Test Root";
const ISSUER: &str = "Test Intermediate";
const CHIP: &str = "chip-04005001ABCDEF";

impl Vendor {
    fn new() -> Self {
        let root_key = Key::new(KeyKind::EcP521);
        let issuer_key = Key::new(KeyKind::EcP256);
        let root = Tbs::ca(ROOT, ROOT, &root_key).sign(&root_key);
        let issuer = Tbs::ca(ISSUER, ROOT, &issuer_key).sign(&root_key);
        Self { root_key, issuer_key, root, issuer }
    }

    fn trust(&self) -> Trust {
        trust(&[&self.root], &[&self.issuer])
    }

    /// A chip's certificate, before it is signed.
    fn leaf(&self, key: &Key) -> Tbs {
        Tbs::leaf(CHIP, ISSUER, key)
    }

    fn issue(&self, tbs: Tbs) -> Vec<u8> {
        tbs.sign(&self.issuer_key)
    }
}

fn trust(roots: &[&[u8]], intermediates: &[&[u8]]) -> Trust {
    Trust {
        roots: roots.iter().map(|der| der.to_vec()).collect(),
        intermediates: intermediates.iter().map(|der| der.to_vec()).collect(),
        keys: KeyKind::ALL.to_vec(),
        uid: UidRule::None,
        uid_from_cn: None,
        expired_intermediate: ExpiredIntermediate::Refuse,
        crls: Vec::new(),
        crl_coverage: CrlCoverage::Chain,
    }
}

/// When every forged certificate is valid unless a test says otherwise.
const NOW: &str = "2026-06-01T12:00:00Z";

fn at(time: &str) -> Timestamp {
    time.parse().unwrap()
}

fn check(der: &[u8], trust: &Trust) -> Result<Checked, Failure> {
    check_at(der, None, trust, at(NOW))
}

/// What a person is told of every check is what a run goes by.
fn check_at(der: &[u8], uid: Option<&ChipUid>, trust: &Trust, now: Timestamp) -> Result<Checked, Failure> {
    let checked = check_certificate(der, uid, trust, now);
    let findings = examine(der, uid, trust, now).findings;
    // Of a profile that can't be used a station says so before any chip is there.
    let pins = findings.iter().any(|finding| finding.check == Check::Pins && finding.failure().is_some());
    if !pins {
        assert_eq!(findings.iter().find_map(Finding::failure), checked.as_ref().err());
        let good = findings.iter().all(|finding| finding.outcome == Outcome::Good);
        assert_eq!(good, checked.is_ok());
    }
    checked
}

#[track_caller]
fn passes(der: &[u8], trust: &Trust) -> Checked {
    check(der, trust).unwrap_or_else(|failure| panic!("refused: {failure}"))
}

#[track_caller]
fn refused(result: Result<Checked, Failure>, code: ReasonCode) -> Failure {
    match result {
        Ok(checked) => panic!("accepted, wanted {code}: {:?}", checked.decision),
        Err(failure) => {
            assert_eq!(failure.code, code, "{failure}");
            assert!(!failure.cause.is_empty());
            failure
        }
    }
}

//! What the verifier gets of a certificate or a revocation list that it does not take as it stands.
//!
//! `webpki` compares names byte by byte, compares no directory names with constraints, and knows nothing of
//! certificate policies. What is shown to it has the names of the profile's CAs in one spelling each, and is
//! changed in single octets where [`Constrained`](super::names::Constrained), [`policies`](super::policies) and
//! [`Crl`](super::crl::Crl) have looked themselves. The signature is always verified over what stands ([`Signatures`]).

use rustls_pki_types::{AlgorithmIdentifier, InvalidSignature, SignatureVerificationAlgorithm};
use x509_cert::der::{self, Reader, SliceReader, Tag};

use super::extensions::{contents, tbs};
use super::fields::tlv;
use crate::audit::x509::ACCEPTED;
use crate::audit::x509::name::Comparable;

/// An octet to be shown in another's place: how far from the beginning, and which.
pub(super) type Change = (usize, u8);

#[derive(Debug)]
pub(super) struct Shown {
    pub der: Vec<u8>,
    /// What is signed: as the verifier gets it, and as it stands.
    signed: (Vec<u8>, Vec<u8>),
}

impl Shown {
    /// `None`: nothing has to be changed. Where the names can't be read they stay, and the verifier says the rest.
    pub(super) fn of(certificate: &[u8], changes: &[Change], spellings: &Spellings) -> Option<Self> {
        /// The issuer's and the subject's place behind the version.
        const NAMES: [usize; 2] = [2, 4];
        Self::changed(certificate, changes, spellings, &NAMES)
    }

    pub(super) fn of_list(list: &[u8], changes: &[Change], spellings: &Spellings) -> Option<Self> {
        /// Of the issuer, where the first field is the version.
        const NAME: [usize; 1] = [2];
        Self::changed(list, changes, spellings, &NAME)
    }

    /// `names`: where they are.
    fn changed(own: &[u8], changes: &[Change], spellings: &Spellings, names: &[usize]) -> Option<Self> {
        let mut shown = own.to_vec();
        for (at, octet) in changes {
            *shown.get_mut(*at)? = *octet;
        }
        match spellings.respelled(&shown, names) {
            Some(respelled) => shown = respelled,
            None if changes.is_empty() => return None,
            None => {}
        }
        Self::instead_of(own, shown)
    }

    fn instead_of(own: &[u8], shown: Vec<u8>) -> Option<Self> {
        let signed = (tbs(&shown).ok()?.to_vec(), tbs(own).ok()?.to_vec());
        Some(Self { der: shown, signed })
    }
}

/// The names of the profile's CAs, each as the first of them writes it.
#[derive(Debug, Default)]
pub(super) struct Spellings(Vec<(Comparable, Vec<u8>)>);

impl Spellings {
    /// `subjects`: each a Name's DER.
    pub(super) fn of<'n>(subjects: impl Iterator<Item = &'n [u8]>) -> Self {
        let mut known = Self::default();
        for subject in subjects {
            if known.0.iter().any(|(_, spelled)| spelled == subject) {
                continue;
            }
            match Comparable::of(subject) {
                Some(name) if known.0.iter().all(|(other, _)| *other != name) => known.0.push((name, subject.to_vec())),
                _ => {}
            }
        }
        known
    }

    /// How it is written, where that is another way.
    fn other(&self, name: &[u8]) -> Option<&[u8]> {
        if self.0.iter().any(|(_, spelled)| spelled == name) {
            return None;
        }
        let own = Comparable::of(name)?;
        self.0.iter().find(|(known, _)| *known == own).map(|(_, spelled)| spelled.as_slice())
    }

    /// A signed whole, a certificate or a list, with the names at these places written as they are known.
    /// `None`: they are already, or nobody knows them.
    fn respelled(&self, whole: &[u8], places: &[usize]) -> Option<Vec<u8>> {
        const EXPLICIT_VERSION: u8 = 0xa0;
        let parts = elements(contents(whole).ok()?).ok()?;
        let [own, algorithm, signature] = parts.as_slice() else { return None };
        let mut fields = elements(contents(own).ok()?).ok()?;
        let behind = usize::from(fields.first()?.first() == Some(&EXPLICIT_VERSION));
        let mut changed = false;
        for place in places {
            let name = fields.get_mut(behind + place)?;
            if let Some(spelled) = self.other(name) {
                (*name, changed) = (spelled, true);
            }
        }
        let whole = || tlv(Tag::Sequence, &[&tlv(Tag::Sequence, &fields.concat())?, *algorithm, *signature].concat());
        if changed { whole().ok() } else { None }
    }
}

/// One behind the other.
fn elements(bytes: &[u8]) -> der::Result<Vec<&[u8]>> {
    let mut reader = SliceReader::new(bytes)?;
    let mut found = Vec::new();
    while !reader.is_finished() {
        found.push(reader.tlv_bytes()?);
    }
    Ok(found)
}

/// The accepted algorithms, for what the verifier does not get as it stands.
#[derive(Debug, Clone, Default)]
pub(super) struct Signatures {
    signed: Vec<(Vec<u8>, Vec<u8>)>,
}

impl Signatures {
    pub(super) fn add(&mut self, shown: &Shown) {
        self.signed.push(shown.signed.clone());
    }

    pub(super) fn with<T>(&self, verify: impl FnOnce(&[&dyn SignatureVerificationAlgorithm]) -> T) -> T {
        if self.signed.is_empty() {
            return verify(ACCEPTED);
        }
        let own: Vec<AsItStands<'_>> =
            ACCEPTED.iter().map(|algorithm| AsItStands { algorithm: *algorithm, signed: &self.signed }).collect();
        let own: Vec<&dyn SignatureVerificationAlgorithm> = own.iter().map(|it| it as _).collect();
        verify(&own)
    }
}

#[derive(Debug)]
struct AsItStands<'s> {
    algorithm: &'static dyn SignatureVerificationAlgorithm,
    signed: &'s [(Vec<u8>, Vec<u8>)],
}

impl SignatureVerificationAlgorithm for AsItStands<'_> {
    /// Two that differ in what is not shown are shown as one: it is signed if either is.
    fn verify_signature(&self, public_key: &[u8], message: &[u8], signature: &[u8]) -> Result<(), InvalidSignature> {
        let mut stands = self.signed.iter().filter(|(shown, _)| shown == message).map(|(_, own)| own.as_slice());
        let first = stands.next().unwrap_or(message);
        std::iter::once(first)
            .chain(stands)
            .find_map(|own| self.algorithm.verify_signature(public_key, own, signature).ok())
            .ok_or(InvalidSignature)
    }

    fn public_key_alg_id(&self) -> AlgorithmIdentifier {
        self.algorithm.public_key_alg_id()
    }

    fn signature_alg_id(&self) -> AlgorithmIdentifier {
        self.algorithm.signature_alg_id()
    }

    fn fips(&self) -> bool {
        self.algorithm.fips()
    }
}

//! Would the verifier take anything from this CA? It says so of the CA alone when it is asked about a certificate
//! that nothing is wrong with, every signature being believed.

use rustls_pki_types::{
    AlgorithmIdentifier, CertificateDer, Der, InvalidSignature, SignatureVerificationAlgorithm, TrustAnchor,
};
use webpki::{EndEntityCert, Error};
use x509_cert::der::{self, Reader, SliceReader, Tag};

use super::extensions::{contents, tbs};
use super::fields::{seconds, tlv};
use super::path::{DeviceUsage, describe, unix_time};
use crate::audit::x509::ACCEPTED;

/// `Err`: why every path through this root would be refused.
pub(super) fn root(anchor: &TrustAnchor<'_>) -> Result<(), String> {
    let key = SliceReader::new(&anchor.subject_public_key_info).and_then(|mut spki| spki.tlv_bytes());
    let leaf = key.and_then(|key| leaf(&tlv(Tag::Sequence, &anchor.subject)?, contents(key)?));
    let leaf = leaf.map_err(|error| error.to_string())?.ok_or_else(key_is_odd)?;
    ask(&leaf, anchor, &[], 0)
}

/// `Err`: why every path through this intermediate, as the verifier gets it, would be refused.
pub(super) fn intermediate(shown: &[u8]) -> Result<(), String> {
    let parts = Parts::of(shown).map_err(|error| error.to_string())?;
    let above = ACCEPTED.iter().find(|it| it.signature_alg_id().as_ref() == parts.algorithm).ok_or_else(|| {
        format!("its signature's algorithm is not accepted (AlgorithmIdentifier {})", hex::encode(parts.algorithm))
    })?;
    let made = || {
        let bits = tlv(Tag::BitString, &[&[0], ABOVE].concat())?;
        let spki = [tlv(Tag::Sequence, &above.public_key_alg_id())?, bits].concat();
        Ok::<_, der::Error>((leaf(parts.subject, parts.key_algorithm)?, spki))
    };
    let (leaf, spki) = made().map_err(|error| error.to_string())?;
    let anchor = TrustAnchor {
        subject: Der::from_slice(parts.issuer),
        subject_public_key_info: Der::from_slice(&spki),
        name_constraints: None,
    };
    ask(&leaf.ok_or_else(key_is_odd)?, &anchor, &[CertificateDer::from(shown)], parts.not_before)
}

fn key_is_odd() -> String {
    "no signature of such a key is accepted".to_owned()
}

/// The bits of the key that is above an intermediate: of no key.
const ABOVE: &[u8] = b"above";

fn ask(leaf: &[u8], anchor: &TrustAnchor<'_>, intermediates: &[CertificateDer<'_>], at: i64) -> Result<(), String> {
    let own = tbs(leaf).map_err(|error| error.to_string())?;
    let believed: Vec<Believed<'_>> = ACCEPTED.iter().map(|it| Believed { algorithm: *it, leaf: own }).collect();
    let believed: Vec<&dyn SignatureVerificationAlgorithm> = believed.iter().map(|it| it as _).collect();
    let (leaf, anchors) = (CertificateDer::from(leaf), std::slice::from_ref(anchor));
    let asked = EndEntityCert::try_from(&leaf).and_then(|leaf| {
        leaf.verify_for_usage(&believed, anchors, intermediates, unix_time(at), DeviceUsage, None, None).map(drop)
    });
    asked.map_err(|error| match error {
        Error::EndEntityUsedAsCa => "it is no CA's certificate (basicConstraints)".to_owned(),
        Error::NameConstraintViolation => {
            "it constrains directory names or URIs in a way that can't be read".to_owned()
        }
        error => format!("every path through it would be refused: {}", describe(&error)),
    })
}

/// A certificate of no name, without extensions and valid at all times. `None`: nothing under such a key is
/// accepted.
fn leaf(issuer: &[u8], key_algorithm: &[u8]) -> der::Result<Option<Vec<u8>>> {
    let Some(own) = ACCEPTED.iter().find(|it| it.public_key_alg_id().as_ref() == key_algorithm) else {
        return Ok(None);
    };
    let sequence = |parts: &[&[u8]]| tlv(Tag::Sequence, &parts.concat());
    let algorithm = sequence(&[&own.signature_alg_id()])?;
    let always = sequence(&[&tlv(Tag::UtcTime, b"700101000000Z")?, &tlv(Tag::GeneralizedTime, b"99991231235959Z")?])?;
    let bits = tlv(Tag::BitString, &[0])?;
    let key = sequence(&[&sequence(&[key_algorithm])?, &bits])?;
    const VERSION_3: &[u8] = &[0xa0, 0x03, 0x02, 0x01, 0x02];
    const SERIAL: &[u8] = &[0x02, 0x01, 0x01];
    let tbs = sequence(&[VERSION_3, SERIAL, &algorithm, issuer, &always, &sequence(&[])?, &key])?;
    sequence(&[&tbs, &algorithm, &bits]).map(Some)
}

/// Of an intermediate's certificate, which is of version 3.
struct Parts<'a> {
    /// Contents of the signature's AlgorithmIdentifier.
    algorithm: &'a [u8],
    /// Contents of the name.
    issuer: &'a [u8],
    /// Seconds since 1970.
    not_before: i64,
    /// The name.
    subject: &'a [u8],
    /// Contents of the key's AlgorithmIdentifier.
    key_algorithm: &'a [u8],
}

impl<'a> Parts<'a> {
    fn of(certificate: &'a [u8]) -> der::Result<Self> {
        let mut fields = SliceReader::new(contents(tbs(certificate)?)?)?;
        let [_version, _serial, algorithm, issuer, validity, subject, key] = [(); 7].map(|()| fields.tlv_bytes());
        Ok(Self {
            algorithm: contents(algorithm?)?,
            issuer: contents(issuer?)?,
            not_before: seconds(&mut SliceReader::new(contents(validity?)?)?)?,
            subject: subject?,
            key_algorithm: contents(SliceReader::new(contents(key?)?)?.tlv_bytes()?)?,
        })
    }
}

/// Every signature is good, but the key above signs none of the leaf: a CA that bears its issuer's name is asked,
/// too.
#[derive(Debug)]
struct Believed<'l> {
    algorithm: &'static dyn SignatureVerificationAlgorithm,
    leaf: &'l [u8],
}

impl SignatureVerificationAlgorithm for Believed<'_> {
    fn verify_signature(&self, key: &[u8], message: &[u8], _signature: &[u8]) -> Result<(), InvalidSignature> {
        if key == ABOVE && message == self.leaf { Err(InvalidSignature) } else { Ok(()) }
    }

    fn public_key_alg_id(&self) -> AlgorithmIdentifier {
        self.algorithm.public_key_alg_id()
    }

    fn signature_alg_id(&self) -> AlgorithmIdentifier {
        self.algorithm.signature_alg_id()
    }
}

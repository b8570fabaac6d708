//! What a chip showed and signed, taken out of the events so that other tools can judge it.

use std::collections::HashMap;

use super::File;
use crate::audit::challenge::ChallengeFacts;
use crate::audit::event::{Decision, IssuedCertificate, Purpose, SignatureScheme};
use crate::audit::x509::ecdsa_der;
use crate::audit::{Body, Event, LineEvent, RunEvent, x509};
use crate::domain::profile::KeyKind;
use crate::domain::{Bytes, Failure, Fingerprint, PortPath, ReasonCode, RunId, Sha256, SpkiHash, Unit};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ECDSA_P521_SHA512_FIXED, RSA_PKCS1_2048_8192_SHA256,
    RSA_PSS_2048_8192_SHA256, UnparsedPublicKey, VerificationAlgorithm,
};

#[derive(Default)]
pub(super) struct Evidence {
    pub files: Vec<File>,
    pub answers: Vec<Answer>,
    pub refused: Vec<Refused>,
    pub issued: Vec<Issued>,
}

/// A certificate that was made for a chip's key, with what the run says of itself.
pub(super) struct Issued {
    pub seq: u64,
    issued: IssuedCertificate,
    claimed: Option<SpkiHash>,
    request: Option<(u64, Bytes)>,
    /// AWS was to make the key.
    keys_requested: bool,
    /// The chip's own certificate.
    own: Option<(u64, Bytes)>,
}

/// One signature of a chip, with the events that it joins.
pub(super) struct Answer {
    pub certificate: (u64, Bytes),
    pub challenge: (u64, Bytes),
    pub signature: (u64, Bytes),
    pub scheme: SignatureScheme,
    run: RunId,
    purpose: Purpose,
    /// Which board it was, and where.
    board: Option<(Unit, PortPath)>,
    decision: Decision,
    /// The issuers of its path, nearest first; empty where the events lack one.
    issuers: Vec<(u64, Bytes)>,
}

/// What a chip answered, and the run failed for: it does not verify.
pub(super) struct Refused {
    pub seq: u64,
    certificate: (u64, Bytes),
    challenge: (u64, Bytes),
    answer: Vec<u8>,
    scheme: SignatureScheme,
    run: RunId,
    purpose: Purpose,
    board: Option<(Unit, PortPath)>,
}

/// What a run showed last.
#[derive(Default)]
struct Shown {
    port: Option<PortPath>,
    unit: Option<Unit>,
    certificate: Option<(u64, Bytes)>,
    challenge: Option<(u64, Purpose, Bytes)>,
    claimed: Option<SpkiHash>,
    request: Option<(u64, Bytes)>,
    keys_requested: bool,
}

/// From events in the order of the log. Events of a kind that this version does not know hold nothing
/// that it could extract.
pub(super) fn extract<'e>(events: impl Iterator<Item = (u64, &'e [u8])>) -> Evidence {
    let mut evidence = Evidence::default();
    let mut pinned: HashMap<Fingerprint, (u64, Bytes)> = HashMap::new();
    let mut runs: HashMap<_, Shown> = HashMap::new();
    for (seq, bytes) in events {
        let (run, event) = match Event::decode(bytes) {
            Ok(Event { run: Some(run), body: Body::Run(event), .. }) => (run, event),
            Ok(Event { body: Body::Line(LineEvent::Imported { certificate: Some(certificate), .. }), .. }) => {
                evidence.files.push(File::new(certificate_name(seq), certificate.0));
                continue;
            }
            Ok(Event { body: Body::Line(LineEvent::CertificatePinned { certificate }), .. }) => {
                evidence.files.push(File::new(certificate_name(seq), certificate.0.clone()));
                pinned.insert(Fingerprint::of(&certificate), (seq, certificate));
                continue;
            }
            Ok(Event { body: Body::Line(LineEvent::CrlPinned { crl }), .. }) => {
                evidence.files.push(File::new(format!("evidence/{seq}-crl.der"), crl.0));
                continue;
            }
            _ => continue,
        };
        let shown: &mut Shown = runs.entry(run).or_default();
        match event {
            RunEvent::RunStarted { device, .. } => shown.port = Some(device.path),
            RunEvent::Identified { unit, .. } => shown.unit = Some(unit),
            RunEvent::ChipRead { reading } | RunEvent::ReadAgain { reading } => {
                evidence.files.push(File::new(certificate_name(seq), reading.certificate.0.clone()));
                shown.certificate = Some((seq, reading.certificate));
            }
            RunEvent::ChallengeMade { purpose, challenge } => {
                evidence.files.push(File::new(challenge_name(seq), challenge.0.clone()));
                shown.challenge = Some((seq, purpose, challenge));
            }
            RunEvent::ChallengeAnswered { purpose, signature, scheme, decision } => {
                evidence.files.push(File::new(format!("evidence/{seq}-signature.bin"), signature.0.clone()));
                if scheme.is_ecdsa() {
                    evidence.files.push(File::new(format!("evidence/{seq}-signature.der"), ecdsa_der(&signature)));
                }
                let challenge = shown.challenge.take().filter(|(_, asked, _)| *asked == purpose);
                if let (Some(certificate), Some((at, _, challenge))) = (shown.certificate.clone(), challenge) {
                    let issuers = decision.path.iter().skip(1).map(|issuer| pinned.get(issuer).cloned());
                    evidence.answers.push(Answer {
                        certificate,
                        challenge: (at, challenge),
                        signature: (seq, signature),
                        scheme,
                        run,
                        purpose,
                        board: shown.unit.clone().zip(shown.port.clone()),
                        issuers: issuers.collect::<Option<_>>().unwrap_or_default(),
                        decision,
                    });
                }
            }
            RunEvent::StepFailed { failure, .. } => {
                let refused = Refused::of(seq, run, shown, &failure);
                evidence.files.extend(refused.iter().flat_map(Refused::files));
                evidence.refused.extend(refused);
            }
            RunEvent::CertificateRequested { request, .. } => {
                evidence.files.push(File::new(format!("evidence/{seq}-request.der"), request.0.clone()));
                shown.request = Some((seq, request));
            }
            RunEvent::KeysRequested { .. } => shown.keys_requested = true,
            RunEvent::Claimed { identity, .. } => shown.claimed = Some(identity.spki),
            RunEvent::CertificateIssued { issued } => {
                evidence.files.push(File::new(certificate_name(seq), issued.certificate.0.clone()));
                let (claimed, request, own) = (shown.claimed, shown.request.take(), shown.certificate.clone());
                let keys_requested = std::mem::take(&mut shown.keys_requested);
                evidence.issued.push(Issued { seq, issued, claimed, request, keys_requested, own });
            }
            _ => {}
        }
    }
    evidence
}

impl Issued {
    /// Is it what its event says, for the key that its run claimed, and asked for by that run? With a key of AWS's: for
    /// another than that, and asked for so.
    pub(super) fn holds(&self) -> bool {
        let IssuedCertificate { fingerprint, certificate, request, .. } = &self.issued;
        let key = x509::spki(certificate).map(|(spki, _)| SpkiHash::of(spki));
        let asked = self.request.as_ref().map(|(_, asked)| Sha256::of(asked));
        *fingerprint == Fingerprint::of(certificate)
            && key.is_some()
            && self.claimed.is_some()
            && match request {
                Some(request) => key == self.claimed && asked == Some(*request),
                None => key != self.claimed && asked.is_none() && self.keys_requested,
            }
    }
}

impl Issued {
    /// The commands that check it with OpenSSL.
    pub(super) fn by_hand(&self) -> Option<String> {
        let ((asked, _), (own, der)) = (self.request.as_ref()?, self.own.as_ref()?);
        let (own, issued) = (certificate_name(*own), certificate_name(self.seq));
        let place = x509::places(der)?.spki;
        Some(format!("key {own} {place}\nmade evidence/{asked}-request.der {issued}\n"))
    }
}

impl Refused {
    /// `None`: the run failed for something else, or not in the answer to a challenge.
    fn of(seq: u64, run: RunId, shown: &Shown, failure: &Failure) -> Option<Self> {
        let told = |name: &str| failure.args.get(name).map(String::as_str);
        let answer = hex::decode(told("answer").filter(|_| failure.code == ReasonCode::CHIP_LACKS_KEY)?).ok()?;
        let scheme = match KeyKind::ALL.into_iter().find(|kind| Some(kind.as_str()) == told("key"))? {
            KeyKind::EcP256 => SignatureScheme::EcdsaSecp256r1Sha256,
            KeyKind::EcP384 => SignatureScheme::EcdsaSecp384r1Sha384,
            KeyKind::EcP521 => SignatureScheme::EcdsaSecp521r1Sha512,
            KeyKind::Rsa2048 | KeyKind::Rsa3072 | KeyKind::Rsa4096 => SignatureScheme::RsaPkcs1Sha256,
        };
        let (at, purpose, challenge) = shown.challenge.clone()?;
        let board = shown.unit.clone().zip(shown.port.clone());
        let (certificate, challenge) = (shown.certificate.clone()?, (at, challenge));
        Some(Self { seq, certificate, challenge, answer, scheme, run, purpose, board })
    }

    fn files(&self) -> Vec<File> {
        let name = |form: &str| format!("evidence/{}-refused.{form}", self.seq);
        let mut files = vec![File::new(name("bin"), self.answer.clone())];
        if self.is_in_der() {
            files.push(File::new(name("der"), ecdsa_der(&self.answer)));
        }
        files
    }

    /// As long as one of a curve could be.
    fn is_in_der(&self) -> bool {
        self.scheme.is_ecdsa() && (2..=132).contains(&self.answer.len())
    }

    /// Is it an answer to a challenge of its run, that does not verify?
    pub(super) fn holds(&self) -> bool {
        let key = x509::spki(&self.certificate.1).map(|(_, key)| UnparsedPublicKey::new(self.scheme.algorithm(), key));
        let verifies = key.is_some_and(|key| key.verify(&self.challenge.1, &self.answer).is_ok());
        !verifies && is_challenge_of(self.board.as_ref(), self.run, self.purpose, &self.challenge.1)
    }

    /// The commands that check it with OpenSSL.
    pub(super) fn by_hand(&self) -> String {
        let (certificate, place) = key_of(&self.certificate);
        let (seq, at, chip) = (self.seq, self.challenge.0, self.certificate.0);
        let (digest, form) = (self.scheme.digest(), if self.is_in_der() { "der" } else { "bin" });
        format!(
            "shown {certificate}\nkey {certificate} {place}\nasked {seq} {at} {chip}\nrefused {seq} {at} {digest} {form}\n"
        )
    }
}

fn is_challenge_of(board: Option<&(Unit, PortPath)>, run: RunId, purpose: Purpose, challenge: &[u8]) -> bool {
    board.is_some_and(|(unit, port)| {
        // What the log's state and the random bytes were, the challenge itself says.
        ChallengeFacts { run, unit, port, purpose, log_root: [0; 32], random: [0; 32] }.are_of(challenge)
    })
}

/// Its file, and where the key stands in it.
fn key_of((seq, der): &(u64, Bytes)) -> (String, usize) {
    (certificate_name(*seq), x509::places(der).map_or(0, |places| places.spki))
}

impl Answer {
    /// Does it verify under the certificate's key? Whose certificate that is, is another question.
    pub(super) fn holds(&self) -> bool {
        let Some((_, key)) = x509::spki(&self.certificate.1) else { return false };
        UnparsedPublicKey::new(self.scheme.algorithm(), key).verify(&self.challenge.1, &self.signature.1).is_ok()
    }

    /// Was the challenge made for this run and board, and for this purpose?
    pub(super) fn is_of_its_run(&self) -> bool {
        is_challenge_of(self.board.as_ref(), self.run, self.purpose, &self.challenge.1)
    }

    /// Is the verifier's decision about this certificate, and did each issuer sign the one before it?
    pub(super) fn path_holds(&self) -> bool {
        let certificate = &self.certificate.1;
        let path: Vec<&Bytes> = std::iter::once(certificate).chain(self.issuers.iter().map(|(_, der)| der)).collect();
        self.decision.path.first() == Some(&Fingerprint::of(certificate))
            && x509::spki(certificate).is_some_and(|(spki, _)| SpkiHash::of(spki) == self.decision.spki)
            && path.windows(2).all(|pair| x509::issued(pair[1], pair[0]))
    }

    /// The whole path is here, up to the certificate that the profile pinned.
    pub(super) fn has_its_path(&self) -> bool {
        !self.issuers.is_empty()
    }

    /// Its certificate, then each issuer's, with their files.
    pub(super) fn path(&self) -> impl Iterator<Item = (String, &Bytes)> {
        std::iter::once(&self.certificate).chain(&self.issuers).map(|(seq, der)| (certificate_name(*seq), der))
    }

    /// Its file, and where the key stands in it.
    pub(super) fn certificate(&self) -> (String, usize) {
        key_of(&self.certificate)
    }

    pub(super) fn challenge_file(&self) -> String {
        challenge_name(self.challenge.0)
    }

    /// In the form that openssl takes.
    pub(super) fn signature_file(&self) -> String {
        let form = if self.scheme.is_ecdsa() { "der" } else { "bin" };
        format!("evidence/{}-signature.{form}", self.signature.0)
    }

    pub(super) fn digest(&self) -> &'static str {
        self.scheme.digest()
    }
}

impl SignatureScheme {
    /// openssl's name of it.
    fn digest(self) -> &'static str {
        match self {
            SignatureScheme::EcdsaSecp256r1Sha256
            | SignatureScheme::RsaPkcs1Sha256
            | SignatureScheme::RsaPssRsaeSha256 => "sha256",
            SignatureScheme::EcdsaSecp384r1Sha384 => "sha384",
            SignatureScheme::EcdsaSecp521r1Sha512 => "sha512",
        }
    }

    fn is_ecdsa(self) -> bool {
        !matches!(self, SignatureScheme::RsaPkcs1Sha256 | SignatureScheme::RsaPssRsaeSha256)
    }

    fn algorithm(self) -> &'static dyn VerificationAlgorithm {
        match self {
            SignatureScheme::EcdsaSecp256r1Sha256 => &ECDSA_P256_SHA256_FIXED,
            SignatureScheme::EcdsaSecp384r1Sha384 => &ECDSA_P384_SHA384_FIXED,
            SignatureScheme::EcdsaSecp521r1Sha512 => &ECDSA_P521_SHA512_FIXED,
            SignatureScheme::RsaPkcs1Sha256 => &RSA_PKCS1_2048_8192_SHA256,
            SignatureScheme::RsaPssRsaeSha256 => &RSA_PSS_2048_8192_SHA256,
        }
    }
}

fn certificate_name(seq: u64) -> String {
    format!("evidence/{seq}-certificate.der")
}

fn challenge_name(seq: u64) -> String {
    format!("evidence/{seq}-challenge.bin")
}

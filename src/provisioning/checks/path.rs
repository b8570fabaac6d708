//! The path from the chip's certificate to a pinned root (RFC 5280 §6), found by `webpki`.

use std::cell::RefCell;
use std::time::Duration;

use jiff::Timestamp;
use rustls_pki_types::{CertificateDer, TrustAnchor, UnixTime};
use webpki::{
    EndEntityCert, Error, ExtendedKeyUsageValidator, KeyPurposeId, KeyPurposeIdIter, KeyUsage, VerifiedPath,
    spki_for_anchor,
};
use x509_cert::der::asn1::ObjectIdentifier;
use x509_cert::der::{self, Decode as _, Reader, SliceReader};
use x509_cert::ext::pkix::BasicConstraints;

use super::extensions::{Usage, contents, extension, tbs, usable};
use super::fields::{Fields, rfc3339};
use super::names::Constrained;
use super::revocation::Lists;
use super::shown::{Shown, Signatures, Spellings};
use super::{issuing, key, policies};
use crate::audit::event::CrlFacts;
use crate::domain::profile::{ExpiredIntermediate, Trust};
use crate::domain::{Failure, Fingerprint, ReasonCode};

/// A path that holds.
#[derive(Debug)]
pub(super) struct Path {
    /// Leaf first, pinned root last.
    pub fingerprints: Vec<Fingerprint>,
    /// When it was looked at, where that is not now: seconds since 1970.
    pub as_of: Option<i64>,
    pub crls: Vec<CrlFacts>,
}

/// The path of `der`, whose fields are `fields`.
///
/// Two questions, not one, because the verifier alone can't tell a forged certificate from a genuine
/// one that is out of date: first whether any pinned CA, root or intermediate, signed this
/// certificate at all, asked at a time at which it is valid; then whether the whole path holds now.
///
/// A pinned root is a name and a key that the profile vouches for: its own validity is not looked at
/// (RFC 5280 §6.1.1 d).
pub(super) fn find(der: &[u8], fields: &Fields, trust: &Trust, now: Timestamp) -> Result<Path, Failure> {
    let mut pinned = Pinned::parse(trust)?;
    let lists = Lists::parse(trust, &mut pinned, now.as_second())?;
    refuse_own(der, fields, &pinned)?;

    let leaf_der = pinned.show(der);
    let leaf = EndEntityCert::try_from(&leaf_der).map_err(|error| refuse(&error, fields, Stage::Leaf))?;

    let now = now.as_second();
    let candidates = pinned.signers(&leaf, fields, now)?;
    check_validity(fields, now)?;
    may_be_used(der).map_err(|cause| {
        Failure::new(ReasonCode::CERTIFICATE_REFUSED, format!("certificate: {cause}"))
            .with("subject", &fields.subject_text)
            .with("issuer", &fields.issuer_text)
    })?;

    let (path, as_of) = match candidates.path(&leaf, &lists, now, now) {
        Ok(path) => (path, None),
        Err(NoPath::Invalid(error)) => {
            // What is revoked today, or can't be judged, is never asked for another day.
            let then = match trust.expired_intermediate {
                ExpiredIntermediate::Refuse => None,
                ExpiredIntermediate::Accept => Some(candidates.path(&leaf, &lists, fields.not_before, now)),
            };
            match then {
                Some(Ok(path)) => (path, Some(fields.not_before)),
                Some(Err(NoPath::Revoked(failure))) => return Err(failure),
                Some(Err(NoPath::Invalid(_))) | None => return Err(refuse(&error, fields, Stage::Path)),
            }
        }
        Err(NoPath::Revoked(failure)) => return Err(failure),
    };

    let mut fingerprints = vec![Fingerprint::of(der)];
    fingerprints.extend(path.intermediate_certificates().map(|certificate| pinned.fingerprint_of(&certificate.der())));
    fingerprints.push(candidates.fingerprint_of(path.anchor()).ok_or_else(|| {
        Failure::new(ReasonCode::CERTIFICATE_REFUSED, "the verifier returned a trust anchor that was not given to it")
    })?);
    signed_by(trust, &fingerprints, fields)?;
    let crls = lists.judge(&path, &pinned.signatures, as_of.unwrap_or(now), now)?;
    Ok(Path { fingerprints, as_of, crls })
}

/// Of several certificates of the CA that signs the chips' (it was renewed, or another CA vouches for it),
/// paths are made of the one that the profile asks for: the verifier would end at any of them.
fn keep_as_issuer<'a>(asked: &Fingerprint, roots: &mut Vec<Authority<'a>>, intermediates: &mut Vec<Authority<'a>>) {
    let is_asked = |authority: &Authority<'_>| Fingerprint::of(&authority.der) == *asked;
    let Some(TrustAnchor { subject, subject_public_key_info: key, .. }) = roots
        .iter()
        .chain(intermediates.iter())
        .find(|authority| is_asked(authority))
        .map(|found| found.anchor.clone())
    else {
        return;
    };
    let serves = |authority: &Authority<'_>| {
        let anchor = &authority.anchor;
        is_asked(authority) || anchor.subject != subject || anchor.subject_public_key_info != key
    };
    roots.retain(serves);
    intermediates.retain(serves);
}

/// Where the profile says which of its CAs signs the chips' certificates, another one's chip is foreign.
fn signed_by(trust: &Trust, path: &[Fingerprint], fields: &Fields) -> Result<(), Failure> {
    match (&trust.issuer, path.get(1)) {
        (Some(asked), signer) if signer != Some(asked) => {
            let signer = signer.map_or_else(|| "nobody".to_owned(), ToString::to_string);
            let cause = format!("CA certificate {signer} signed it, the profile's method with-ca asks for {asked}");
            let failure = Failure::new(ReasonCode::CERTIFICATE_FOREIGN_CA, cause);
            Err(failure.with("subject", &fields.subject_text).with("issuer", &fields.issuer_text))
        }
        _ => Ok(()),
    }
}

/// The profile's certificates and revocation lists, before any chip is there.
pub(super) fn can_be_read(trust: &Trust, now: Timestamp) -> Result<(), Failure> {
    let mut pinned = Pinned::parse(trust)?;
    Lists::parse(trust, &mut pinned, now.as_second()).map(drop)
}

/// The first question alone.
pub(super) fn issued(der: &[u8], fields: &Fields, trust: &Trust, now: Timestamp) -> Result<(), Failure> {
    let mut pinned = Pinned::parse(trust)?;
    refuse_own(der, fields, &pinned)?;
    let der = pinned.show(der);
    let leaf = EndEntityCert::try_from(&der).map_err(|error| refuse(&error, fields, Stage::Leaf))?;
    pinned.signers(&leaf, fields, now.as_second()).map(drop)
}

/// What the verifier does not look at.
fn may_be_used(leaf: &[u8]) -> Result<(), String> {
    usable(leaf, Usage::DigitalSignature)?;
    if policies::demands_one(leaf) { Err(DEMANDS_POLICY.to_owned()) } else { Ok(()) }
}

const DEMANDS_POLICY: &str = "it demands an explicit certificate policy (policyConstraints), and none is looked for";

/// The profile's certificates, each known to be usable.
pub(super) struct Pinned<'a> {
    pub roots: Vec<Authority<'a>>,
    pub intermediates: Vec<Authority<'a>>,
    pub signatures: Signatures,
    pub spellings: Spellings,
}

/// A pinned certificate, and the name and key that it stands for.
pub(super) struct Authority<'a> {
    pub der: CertificateDer<'a>,
    pub anchor: TrustAnchor<'static>,
    /// It constrains directory names or URIs.
    constrained: Option<Constrained>,
    /// pathLenConstraint. Of an anchor the verifier looks at the name and the key.
    depth: Option<u8>,
    /// As the verifier gets it, where that is not as it stands.
    shown: Option<Shown>,
}

impl<'a> Pinned<'a> {
    /// # Errors
    /// `K-701`, naming the certificate: a pinned certificate that is passed over in silence would
    /// later blame the chips that it issued.
    pub(super) fn parse(trust: &'a Trust) -> Result<Self, Failure> {
        if trust.roots.is_empty() {
            return Err(Failure::new(ReasonCode::CONFIG_INVALID, "the profile pins no root certificate"));
        }
        let subject = |der: &'a Vec<u8>| subject(der).ok();
        let spellings = Spellings::of(trust.roots.iter().chain(&trust.intermediates).filter_map(subject));
        let all = |role: &str, ders: &'a [Vec<u8>]| {
            let read = |(index, der): (usize, &'a Vec<u8>)| {
                Authority::parse(der, role == "root", &spellings)
                    .map_err(|cause| unusable(&format!("{role} {}", index + 1), &cause))
            };
            ders.iter().enumerate().map(read).collect::<Result<Vec<_>, _>>()
        };
        let (mut roots, mut intermediates) = (all("root", &trust.roots)?, all("intermediate", &trust.intermediates)?);
        if let Some(asked) = &trust.issuer {
            keep_as_issuer(asked, &mut roots, &mut intermediates);
        }
        let mut signatures = Signatures::default();
        intermediates.iter().filter_map(|it: &Authority<'_>| it.shown.as_ref()).for_each(|it| signatures.add(it));
        Ok(Self { roots, intermediates, signatures, spellings })
    }

    /// The chip's certificate as the verifier gets it.
    fn show<'l>(&mut self, leaf: &'l [u8]) -> CertificateDer<'l> {
        let Some(shown) = Shown::of(leaf, &policies::understood(leaf), &self.spellings) else {
            return CertificateDer::from(leaf);
        };
        self.signatures.add(&shown);
        CertificateDer::from(shown.der)
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &Authority<'a>> {
        self.roots.iter().chain(&self.intermediates)
    }

    /// The intermediate that the verifier knows as this; of several the one that constrains.
    fn intermediate(&self, shown: &[u8]) -> Option<&Authority<'a>> {
        let known = self.intermediates.iter().filter(|authority| authority.shown() == shown);
        known.max_by_key(|authority| authority.constrained.is_some())
    }

    fn fingerprint_of(&self, shown: &[u8]) -> Fingerprint {
        Fingerprint::of(self.intermediate(shown).map_or(shown, |authority| &authority.der))
    }

    /// Has a CA of this name issued one of the intermediates?
    pub(super) fn signs_cas(&self, authority: &Authority<'_>) -> bool {
        let name = authority.anchor.subject.as_ref();
        self.intermediates.iter().any(|other| other.anchor.subject.as_ref() != name && other.is_issued_by(name))
    }

    fn signers(&self, leaf: &EndEntityCert<'_>, fields: &Fields, now: i64) -> Result<Candidates<'_>, Failure> {
        let while_valid = now.min(fields.not_after).max(fields.not_before);
        self.candidates(leaf, while_valid).map_err(|error| refuse(&error, fields, Stage::Leaf))
    }

    /// What paths of this certificate are made of, once it is known that a pinned CA signed it.
    ///
    /// Each CA is asked on its own, and those that have the issuer's name and another key are left out of
    /// paths: the verifier tries all of them and gives up after a hundred signatures, and a vendor may
    /// have many generations of a CA under one name.
    fn candidates(&self, leaf: &EndEntityCert<'_>, while_valid: i64) -> Result<Candidates<'_>, Error> {
        let mut refused: Option<Error> = None;
        let mut signed = |authority: &Authority<'_>| {
            let anchors = std::slice::from_ref(&authority.anchor);
            let asked = verify(&self.signatures, leaf, anchors, &[], while_valid, AnyUsage, None).map(|_| ());
            if let Err(error) = &asked
                && refused.as_ref().is_none_or(is_foreign)
            {
                refused = Some(error.clone());
            }
            asked.is_ok()
        };
        let roots: Vec<_> = self.roots.iter().map(|root| (root, signed(root))).collect();
        let intermediates: Vec<_> = self.intermediates.iter().map(|it| (it, signed(it))).collect();
        if !roots.iter().chain(&intermediates).any(|(_, signed)| *signed) {
            return Err(refused.unwrap_or(Error::UnknownIssuer));
        }
        // A generation that another one of its name vouches for (RFC 4210 §4.4) needs that one above it.
        let is_linked = |(it, signed): &(&Authority<'_>, bool)| *signed && it.is_issued_by(leaf.issuer());
        let linked = intermediates.iter().any(is_linked);
        let serves = |(authority, signed): &(&Authority<'_>, bool)| {
            *signed || linked || authority.anchor.subject.as_ref() != leaf.issuer()
        };
        let roots: Vec<_> = roots.into_iter().filter(serves).map(|(root, _)| root).collect();
        let intermediates =
            intermediates.into_iter().filter(serves).map(|(it, _)| CertificateDer::from(it.shown())).collect();
        let anchors = roots.iter().map(|root| root.anchor.clone()).collect();
        Ok(Candidates { pinned: self, anchors, roots, intermediates })
    }
}

impl<'a> Authority<'a> {
    /// `Err`: why it can't be used.
    fn parse(der: &'a [u8], is_root: bool, spellings: &Spellings) -> Result<Self, String> {
        let constrained = Constrained::parse(der);
        let mut changes = policies::understood(der);
        changes.extend(constrained.iter().flat_map(|constrained| &constrained.changes));
        let shown = Shown::of(der, &changes, spellings);
        let given = CertificateDer::from(shown.as_ref().map_or(der, |shown| &shown.der));
        if !is_root {
            // As strictly as in a path, where an unknown critical extension or version 1 is fatal.
            EndEntityCert::try_from(&given).map_err(|error| describe(&error))?;
        }
        let anchor = webpki::anchor_from_trusted_cert(&given).map_err(|error| describe(&error))?.to_owned();
        key::may_sign(&spki_for_anchor(&anchor))?;
        usable(der, Usage::KeyCertSign)?;
        let depth = depth(der)?;
        if is_root {
            issuing::root(&anchor)?;
        } else {
            issuing::intermediate(&given)?;
            if policies::demands_one(der) {
                return Err(DEMANDS_POLICY.to_owned());
            }
        }
        Ok(Self { anchor, constrained, depth, shown, der: CertificateDer::from(der) })
    }

    /// As the verifier gets it.
    fn shown(&self) -> &[u8] {
        self.shown.as_ref().map_or(&*self.der, |shown| &shown.der)
    }

    pub(super) fn fields(&self) -> Option<Fields<'_>> {
        Fields::parse(&self.der).ok()
    }

    /// By the name alone.
    fn is_issued_by(&self, name: &[u8]) -> bool {
        // Of version 1 there are roots only, and nobody asks who issued a root.
        EndEntityCert::try_from(&CertificateDer::from(self.shown()))
            .is_ok_and(|certificate| certificate.issuer() == name)
    }
}

/// `Err`: it is no CA's. A root of before version 3 has no basicConstraints.
fn depth(certificate: &[u8]) -> Result<Option<u8>, String> {
    const BASIC_CONSTRAINTS: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.19");
    let value = extension(certificate, BASIC_CONSTRAINTS).map_err(|error| error.to_string())?;
    let Some(value) = value else { return Ok(None) };
    match BasicConstraints::from_der(value).map_err(|error| format!("its basicConstraints can't be read: {error}"))? {
        BasicConstraints { ca: false, .. } => Err("it is no CA's certificate (basicConstraints)".to_owned()),
        BasicConstraints { path_len_constraint, .. } => Ok(path_len_constraint),
    }
}

/// Of a certificate, in DER.
fn subject(certificate: &[u8]) -> der::Result<&[u8]> {
    const EXPLICIT_VERSION: u8 = 0xa0;
    let mut fields = SliceReader::new(contents(tbs(certificate)?)?)?;
    if fields.peek_byte() == Some(EXPLICIT_VERSION) {
        fields.tlv_bytes()?;
    }
    for _serial_algorithm_issuer_validity in 0..4 {
        fields.tlv_bytes()?;
    }
    fields.tlv_bytes()
}

/// What a path may be made of.
struct Candidates<'p> {
    pinned: &'p Pinned<'p>,
    roots: Vec<&'p Authority<'p>>,
    /// One for each root.
    anchors: Vec<TrustAnchor<'static>>,
    intermediates: Vec<CertificateDer<'p>>,
}

enum NoPath {
    /// The verifier's own no to every path.
    Invalid(Error),
    /// There are paths, and a revocation list, or the lack of one, speaks against each.
    Revoked(Failure),
}

impl Candidates<'_> {
    /// A path that holds `at` this moment and that nobody has revoked.
    fn path<'p>(
        &'p self,
        leaf: &'p EndEntityCert<'p>,
        lists: &Lists<'_>,
        at: i64,
        now: i64,
    ) -> Result<VerifiedPath<'p>, NoPath> {
        let against: RefCell<Option<Failure>> = RefCell::default();
        let judge = |path: &VerifiedPath<'_>| {
            self.check_names(path)?;
            self.check_depth(path)?;
            lists.judge(path, &self.pinned.signatures, at, now).map(|_| ()).map_err(|failure| {
                let mut against = against.borrow_mut();
                // Where one path is revoked and another can't be judged, neither can the chip.
                if against.as_ref().is_none_or(|known| known.code == ReasonCode::CERTIFICATE_REVOKED) {
                    *against = Some(failure);
                }
                Error::CertRevoked
            })
        };
        let signatures = &self.pinned.signatures;
        let found = verify(signatures, leaf, &self.anchors, &self.intermediates, at, DeviceUsage, Some(&judge));
        found.map_err(|error| match against.take() {
            Some(failure) => NoPath::Revoked(failure),
            None => NoPath::Invalid(error),
        })
    }

    /// Does every CA of the path allow the directory names of all that is below it?
    fn check_names(&self, path: &VerifiedPath<'_>) -> Result<(), Error> {
        let mut below = vec![path.end_entity().der()];
        let mut check = |authority: Option<&Authority<'_>>, own: Option<CertificateDer<'_>>| {
            let constrained = authority.and_then(|authority| authority.constrained.as_ref());
            let allowed = constrained.is_none_or(|it| below.iter().all(|certificate| it.allows(certificate)));
            below.extend(own.map(CertificateDer::into_owned));
            if allowed { Ok(()) } else { Err(Error::NameConstraintViolation) }
        };
        for intermediate in path.intermediate_certificates() {
            check(self.pinned.intermediate(&intermediate.der()), Some(intermediate.der()))?;
        }
        check(self.root_of(path.anchor()), None)
    }

    /// Self-issued certificates are not counted (RFC 5280 §6.1.4).
    fn check_depth(&self, path: &VerifiedPath<'_>) -> Result<(), Error> {
        let below = path.intermediate_certificates().filter(|it| it.subject() != it.issuer()).count();
        match self.root_of(path.anchor()).and_then(|root| root.depth) {
            Some(most) if below > usize::from(most) => Err(Error::PathLenConstraintViolated),
            _ => Ok(()),
        }
    }

    /// The root behind one of the anchors, by address: two roots may share name and key and still be two
    /// certificates.
    fn root_of(&self, anchor: &TrustAnchor<'_>) -> Option<&Authority<'_>> {
        let index = self.anchors.iter().position(|own| std::ptr::eq(own, anchor))?;
        self.roots.get(index).copied()
    }

    fn fingerprint_of(&self, anchor: &TrustAnchor<'_>) -> Option<Fingerprint> {
        self.root_of(anchor).map(|root| Fingerprint::of(&root.der))
    }
}

/// A pinned CA's own certificate, or another one over a pinned CA's key, is no chip's.
fn refuse_own(der: &[u8], fields: &Fields, pinned: &Pinned) -> Result<(), Failure> {
    for own in pinned.all() {
        let same_key = spki_for_anchor(&own.anchor).as_ref() == fields.spki;
        if own.der.as_ref() == der || same_key {
            let cause = format!("{} is one of the profile's own CAs", fields.subject_text);
            return Err(Failure::new(ReasonCode::CERTIFICATE_IS_CA, cause).with("subject", &fields.subject_text));
        }
    }
    Ok(())
}

/// RFC 5280 §4.1.2.5: both ends belong to the period, to the second.
pub(super) fn check_validity(fields: &Fields, now: i64) -> Result<(), Failure> {
    if now < fields.not_before {
        let not_before = rfc3339(fields.not_before);
        let cause = format!("valid from {not_before}, checked at {}", rfc3339(now));
        return Err(Failure::new(ReasonCode::CERTIFICATE_NOT_YET_VALID, cause).with("not_before", not_before));
    }
    if now > fields.not_after {
        let not_after = rfc3339(fields.not_after);
        let cause = format!("valid until {not_after}, checked at {}", rfc3339(now));
        return Err(Failure::new(ReasonCode::CERTIFICATE_EXPIRED, cause).with("not_after", not_after));
    }
    Ok(())
}

/// Asked about each path that holds.
type Judge<'j> = dyn Fn(&VerifiedPath<'_>) -> Result<(), Error> + 'j;

/// One run of the verifier; `judge` may refuse a path that holds otherwise.
fn verify<'p>(
    signatures: &Signatures,
    leaf: &'p EndEntityCert<'p>,
    anchors: &'p [TrustAnchor<'_>],
    intermediates: &'p [CertificateDer<'p>],
    at: i64,
    usage: impl ExtendedKeyUsageValidator,
    judge: Option<&Judge<'_>>,
) -> Result<VerifiedPath<'p>, Error> {
    signatures
        .with(|accepted| leaf.verify_for_usage(accepted, anchors, intermediates, unix_time(at), usage, None, judge))
}

/// Before 1970 the verifier has no time, and no certificate is valid.
pub(super) fn unix_time(seconds: i64) -> UnixTime {
    UnixTime::since_unix_epoch(Duration::from_secs(seconds.max(0).unsigned_abs()))
}

/// Who signed is asked first, what for afterwards.
pub(super) struct AnyUsage;

impl ExtendedKeyUsageValidator for AnyUsage {
    fn validate(&self, mut purposes: KeyPurposeIdIter<'_, '_>) -> Result<(), Error> {
        purposes.try_for_each(|purpose| purpose.map(|_| ()))
    }
}

/// Extended key usage (RFC 5280 §4.2.1.12): absent, or with client authentication or any usage among
/// its purposes, in the leaf and in every intermediate that has the extension. A chip's certificate that
/// allows, say, server authentication only may not be used for the mutual TLS that it is registered for.
pub(super) struct DeviceUsage;

impl ExtendedKeyUsageValidator for DeviceUsage {
    fn validate(&self, purposes: KeyPurposeIdIter<'_, '_>) -> Result<(), Error> {
        /// anyExtendedKeyUsage, 2.5.29.37.0.
        const ANY: KeyPurposeId<'static> = KeyPurposeId::new(&[0x55, 0x1d, 0x25, 0x00]);
        /// id-kp-clientAuth, 1.3.6.1.5.5.7.3.2.
        const CLIENT: KeyPurposeId<'static> = KeyPurposeId::new(&[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x02]);

        let mut present = Vec::new();
        for purpose in purposes {
            let purpose = purpose?;
            if purpose == ANY || purpose == CLIENT {
                return Ok(());
            }
            present.push(purpose.to_decoded_oid());
        }
        if present.is_empty() {
            return Ok(());
        }
        Err(Error::RequiredEkuNotFoundContext(webpki::RequiredEkuNotFoundContext {
            required: KeyUsage::client_auth(),
            present,
        }))
    }
}

/// What an error of the verifier speaks of.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// The chip's certificate and the CA that signed it.
    Leaf,
    /// The whole path.
    Path,
}

fn refuse(error: &Error, fields: &Fields, stage: Stage) -> Failure {
    let code = match (error, stage) {
        _ if is_foreign(error) => ReasonCode::CERTIFICATE_FOREIGN_CA,
        // A chip brings one certificate only: what there is too much of is in the profile.
        (
            Error::MaximumSignatureChecksExceeded
            | Error::MaximumPathBuildCallsExceeded
            | Error::MaximumPathDepthExceeded
            | Error::MaximumNameConstraintComparisonsExceeded,
            Stage::Path,
        ) => ReasonCode::CONFIG_INVALID,
        (Error::CaUsedAsEndEntity, _) => ReasonCode::CERTIFICATE_IS_CA,
        (
            Error::BadDer
            | Error::BadDerTime
            | Error::TrailingData(_)
            | Error::ExtensionValueInvalid
            | Error::MalformedExtensions,
            Stage::Leaf,
        ) => ReasonCode::CERTIFICATE_UNREADABLE,
        _ => ReasonCode::CERTIFICATE_REFUSED,
    };
    let of = match stage {
        Stage::Leaf => "certificate",
        Stage::Path => "path to a root",
    };
    Failure::new(code, format!("{of}: {}", describe(error)))
        .with("subject", &fields.subject_text)
        .with("issuer", &fields.issuer_text)
}

/// Nobody whom the profile pins has signed it. An algorithm that doesn't fit the key of the CA of that
/// name: another key signed.
fn is_foreign(error: &Error) -> bool {
    matches!(
        error,
        Error::UnknownIssuer
            | Error::InvalidSignatureForPublicKey
            | Error::UnsupportedSignatureAlgorithmForPublicKeyContext(_)
    )
}

fn unusable(name: &str, cause: &str) -> Failure {
    Failure::new(ReasonCode::CONFIG_INVALID, format!("pinned {name} can't be used: {cause}")).with("certificate", name)
}

/// In words, with the verifier's own name for it; without the list of everything that would have been accepted.
pub(super) fn describe(error: &Error) -> String {
    let on = |time: &UnixTime| {
        let at = i64::try_from(time.as_secs()).ok().and_then(|seconds| Timestamp::from_second(seconds).ok());
        at.map_or_else(|| format!("{time:?}"), |at| at.to_string())
    };
    match error {
        Error::CertExpired { not_after, .. } => format!("was valid until {} (CertExpired)", on(not_after)),
        Error::CertNotValidYet { not_before, .. } => {
            format!("will not be valid before {} (CertNotValidYet)", on(not_before))
        }
        Error::NameConstraintViolation => "a name that a CA above does not allow (NameConstraintViolation)".to_owned(),
        Error::PathLenConstraintViolated => "more CAs below one than it allows (PathLenConstraintViolated)".to_owned(),
        Error::RequiredEkuNotFoundContext(_) => {
            "extended key usages without client authentication (RequiredEkuNotFound)".to_owned()
        }
        Error::UnsupportedCriticalExtension => {
            "an extension that is critical and unknown (UnsupportedCriticalExtension)".to_owned()
        }
        Error::UnknownIssuer => "no pinned CA has signed it (UnknownIssuer)".to_owned(),
        Error::InvalidSignatureForPublicKey => {
            "the signature is not that of the pinned CA of that name (InvalidSignatureForPublicKey)".to_owned()
        }
        Error::EndEntityUsedAsCa => "signed by a certificate that is no CA (EndEntityUsedAsCa)".to_owned(),
        Error::UnsupportedSignatureAlgorithmContext(context) => {
            format!(
                "signature algorithm not accepted (AlgorithmIdentifier {})",
                hex::encode(&context.signature_algorithm_id)
            )
        }
        Error::UnsupportedSignatureAlgorithmForPublicKeyContext(context) => format!(
            "signature algorithm {} does not fit the CA's key {}",
            hex::encode(&context.signature_algorithm_id),
            hex::encode(&context.public_key_algorithm_id)
        ),
        other => format!("{other:?}"),
    }
}

//! What one entry says: bytes in the form that the profile names, as parts of a chip's identity.

use base64::Engine as _;
use base64::alphabet::{STANDARD, URL_SAFE};
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, SubjectPublicKeyInfoDer};
use serde_json::{Map, Value};
use x509_cert::der::Decode as _;
use x509_cert::spki::SubjectPublicKeyInfoRef;

use crate::domain::profile::{ManifestField, ManifestForm, ManifestPlan};
use crate::domain::{ChipUid, Fingerprint, ManifestEntry, SpkiHash};
use crate::provisioning::checks::{is_a_chips, spki_of};

/// A field of an entry, as it stands there.
pub(super) enum Said<'v> {
    Text(&'v str),
    /// A JSON Web Key (RFC 7517).
    Jwk(&'v Map<String, Value>),
}

/// `look` finds a field; an empty one is not there. Whatever is said twice must be the same, and of whatever the plan
/// names something must be said: an entry that lost a column would hold less of a chip than the profile promises.
pub(super) fn entry<'v>(
    line: u64,
    plan: &ManifestPlan,
    look: impl Fn(&ManifestField) -> Result<Option<Said<'v>>, String>,
) -> Result<ManifestEntry, String> {
    let find = |field: &Option<ManifestField>| match field {
        Some(field) => Ok::<_, String>(look(field)?.map(|said| (said, field.form))),
        None => Ok(None),
    };
    let uid = find(&plan.uid)?.map(|(said, form)| uid(said, form)).transpose()?;
    let fingerprint = find(&plan.fingerprint)?.map(|(said, form)| fingerprint(said, form)).transpose()?;
    let key = find(&plan.key)?.map(|(said, form)| key(said, form)).transpose()?;
    let certificate = find(&plan.certificate)?.map(|(said, form)| certificate(said, form)).transpose()?;
    let (own, spki) = match &certificate {
        Some(der) => {
            let key = spki_of(der).map_err(|failure| failure.cause)?;
            (Some(Fingerprint::of(der)), Some(hash_of(&key)?))
        }
        None => (None, None),
    };
    if let (Some(given), Some(own)) = (fingerprint, own)
        && given != own
    {
        return Err(format!("the fingerprint {given} is not the certificate's, {own}"));
    }
    if let (Some(given), Some(own)) = (key, spki)
        && given != own
    {
        return Err(format!("the key {given} is not the certificate's, {own}"));
    }
    let entry = ManifestEntry { line, uid, fingerprint: fingerprint.or(own), spki: key.or(spki) };
    if let (None, None, None) = (&entry.uid, entry.fingerprint, entry.spki) {
        return Err("says neither UID, certificate nor key".to_owned());
    }
    let parts = [
        ("UID", entry.uid.is_some(), plan.uid.is_some()),
        ("certificate", entry.fingerprint.is_some(), plan.fingerprint.is_some() || plan.certificate.is_some()),
        ("key", entry.spki.is_some(), plan.key.is_some() || plan.certificate.is_some()),
    ];
    match parts.iter().find(|(_, said, named)| *named && !*said) {
        Some((part, ..)) => Err(format!("says no {part}, for which the profile's [manifest] names a field")),
        None => Ok(entry),
    }
}

fn uid(said: Said<'_>, form: ManifestForm) -> Result<ChipUid, String> {
    let text = text(said, "chip UID")?;
    ChipUid::from_bytes(&bytes(text, form)?).map_err(|_| format!("{} is no chip UID: 4 to 64 bytes", short(text)))
}

fn fingerprint(said: Said<'_>, form: ManifestForm) -> Result<Fingerprint, String> {
    let text = text(said, "certificate fingerprint")?;
    let hash = <[u8; 32]>::try_from(bytes(text, form)?);
    hash.map(Fingerprint::from_bytes).map_err(|_| format!("{} is no SHA-256 of a certificate: 32 bytes", short(text)))
}

fn certificate(said: Said<'_>, form: ManifestForm) -> Result<Vec<u8>, String> {
    let text = text(said, "certificate")?;
    if !is_pem(text) {
        return bytes(text, form);
    }
    let mut found = CertificateDer::pem_slice_iter(text.as_bytes());
    match (found.next(), found.next()) {
        (Some(Ok(der)), None) => Ok(der.to_vec()),
        _ => Err("not exactly one certificate in PEM".to_owned()),
    }
}

/// A hash has 32 bytes, and no public key has.
fn key(said: Said<'_>, form: ManifestForm) -> Result<SpkiHash, String> {
    let text = match said {
        Said::Jwk(key) => return jwk(key),
        Said::Text(text) => text,
    };
    if is_pem(text) {
        let der = SubjectPublicKeyInfoDer::from_pem_slice(text.as_bytes());
        return hash_of(&der.map_err(|_| "not a public key in PEM".to_owned())?);
    }
    let bytes = bytes(text, form)?;
    if let Ok(hash) = <[u8; 32]>::try_from(bytes.as_slice()) {
        return Ok(SpkiHash::from_bytes(hash));
    }
    if SubjectPublicKeyInfoRef::from_der(&bytes).is_ok() {
        return hash_of(&bytes);
    }
    let point = match bytes.split_first() {
        Some((4, point)) if bytes.len() % 2 == 1 => point,
        _ => &bytes,
    };
    let info = ec_info(point).ok_or_else(|| {
        format!(
            "{} is neither the SHA-256 of a SubjectPublicKeyInfo, nor one, nor a point of P-256, P-384 or P-521",
            short(text)
        )
    })?;
    Ok(SpkiHash::of(&info))
}

/// A key in a form that no chip's certificate has would be on the list, and every chip of it on none: said while
/// the vendor can still be asked.
fn hash_of(spki: &[u8]) -> Result<SpkiHash, String> {
    is_a_chips(spki).map_err(|cause| format!("{cause}: no chip's certificate has it so"))?;
    Ok(SpkiHash::of(spki))
}

fn jwk(key: &Map<String, Value>) -> Result<SpkiHash, String> {
    let member = |name: &str| key.get(name).and_then(Value::as_str).unwrap_or_default();
    let length = match (member("kty"), member("crv")) {
        ("EC", "P-256") => 32,
        ("EC", "P-384") => 48,
        ("EC", "P-521") => 66,
        (kind, curve) => return Err(format!("a JWK of kty {kind:?} and crv {curve:?}: only EC keys are read")),
    };
    let mut point = Vec::with_capacity(2 * length);
    for name in ["x", "y"] {
        // RFC 7518 §6.2.1.2: as long as the curve's field, zeros in front included.
        let part = base64(member(name)).filter(|part| part.len() == length);
        point.extend(part.ok_or_else(|| format!("the JWK's {name:?} is not {length} bytes in base64url"))?);
    }
    ec_info(&point).map(|info| SpkiHash::of(&info)).ok_or_else(|| "the JWK has no point".to_owned())
}

/// The SubjectPublicKeyInfo (RFC 5480 §2) of an uncompressed point, X ‖ Y.
fn ec_info(point: &[u8]) -> Option<Vec<u8>> {
    const P256: &[u8] =
        b"\x30\x59\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07\x03\x42\x00\x04";
    const P384: &[u8] =
        b"\x30\x76\x30\x10\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x05\x2b\x81\x04\x00\x22\x03\x62\x00\x04";
    const P521: &[u8] =
        b"\x30\x81\x9b\x30\x10\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x05\x2b\x81\x04\x00\x23\x03\x81\x86\x00\x04";
    let before = match point.len() {
        64 => P256,
        96 => P384,
        132 => P521,
        _ => return None,
    };
    Some([before, point].concat())
}

fn text<'v>(said: Said<'v>, what: &str) -> Result<&'v str, String> {
    match said {
        Said::Text(text) => Ok(text),
        Said::Jwk(_) => Err(format!("an object where the {what} should be")),
    }
}

fn is_pem(text: &str) -> bool {
    text.trim_start().starts_with("-----BEGIN")
}

fn bytes(text: &str, form: ManifestForm) -> Result<Vec<u8>, String> {
    let (decoded, what) = match form {
        ManifestForm::Hex => {
            let digits: String = text.chars().filter(|c| *c != ':' && !c.is_whitespace()).collect();
            let digits = digits.strip_prefix("0x").or(digits.strip_prefix("0X")).unwrap_or(&digits);
            (hex::decode(digits).ok(), "hexadecimal")
        }
        ManifestForm::Base64 => (base64(text), "base64"),
    };
    decoded.ok_or_else(|| format!("{} is not {what}", short(text)))
}

fn base64(text: &str) -> Option<Vec<u8>> {
    let joined: String = text.split_whitespace().collect();
    let alphabet = if joined.contains(['-', '_']) { URL_SAFE } else { STANDARD };
    let config = GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    GeneralPurpose::new(&alphabet, config).decode(joined).ok()
}

/// Enough of it to be found again.
fn short(text: &str) -> String {
    let beginning: String = text.chars().take(80).collect();
    if beginning.len() < text.len() { format!("{beginning:?}…") } else { format!("{beginning:?}") }
}

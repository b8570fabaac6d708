//! The vendor of the practice line's chips: a root, an intermediate and the certificates that a
//! factory would have put into the chips.

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use rcgen::{
    BasicConstraints, Certificate, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, KeyUsagePurpose, PublicKeyData, SerialNumber, SignatureAlgorithm, date_time_ymd,
};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use x509_cert::der::Decode;
use x509_cert::der::asn1::ObjectIdentifier;
use x509_cert::spki::SubjectPublicKeyInfoRef;

use crate::domain::ChipUid;

#[cfg(test)]
mod tests;

/// The CN of the root.
pub const ROOT_NAME: &str = "Lineseal PRACTICE Vendor Root";
/// The CN of the intermediate, which signs the chips' certificates.
pub const INTERMEDIATE_NAME: &str = "Lineseal PRACTICE Vendor Intermediate";
/// Stands before the UID in the CN of a chip.
pub const CHIP_NAME_PREFIX: &str = "Lineseal PRACTICE ";

/// The files of [`VendorCa::create`]: a profile's `roots` and `intermediates`.
pub const ROOT_FILE: &str = "root.pem";
pub const INTERMEDIATE_FILE: &str = "intermediate.pem";
const ROOT_KEY_FILE: &str = "root.key";
const INTERMEDIATE_KEY_FILE: &str = "intermediate.key";

/// A root (P-384) and an intermediate (P-256) that vouch for nothing but practice.
#[derive(Debug)]
pub struct VendorCa {
    root: CertificateDer<'static>,
    intermediate: CertificateDer<'static>,
    issuer: Issuer<'static, KeyPair>,
}

/// Fixed dates, so that no clock is needed to issue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Validity {
    /// From 2020 to the end of 9999, RFC 5280's "no well-defined expiration", as chips have it.
    Good,
    /// From 2020 to the end of 2020.
    Expired,
}

#[derive(Debug, thiserror::Error)]
pub enum VendorError {
    #[error("cannot make or read {path}")]
    File { path: PathBuf, source: std::io::Error },
    #[error("{path} is not a PEM certificate")]
    Certificate { path: PathBuf, source: rustls_pki_types::pem::Error },
    #[error("{path} is not a PEM private key")]
    Key { path: PathBuf, source: rcgen::Error },
    #[error("{path} and its private key do not belong together")]
    KeyOfAnother { path: PathBuf },
    #[error("the public key is not a SubjectPublicKeyInfo: {0}")]
    PublicKey(x509_cert::der::Error),
    #[error("cannot certify a key of the algorithm {0}")]
    KeyKind(String),
    #[error("the system gives no random bytes")]
    Random,
    #[error("cannot sign")]
    Sign(#[from] rcgen::Error),
}

impl VendorCa {
    /// The CA of this folder, made now if the folder holds none.
    pub fn load_or_create(dir: &Path) -> Result<Self, VendorError> {
        // `create` writes it last: a CA that was cut off in the making has issued nothing yet.
        if dir.join(ROOT_FILE).try_exists().map_err(file_error(&dir.join(ROOT_FILE)))? {
            Self::load(dir)
        } else {
            Self::create(dir)
        }
    }

    /// A new CA, in `dir` as `root.pem` and `intermediate.pem` with their keys beside them, all four
    /// readable by the owner only. The folder is made if need be; a CA that it holds is replaced.
    pub fn create(dir: &Path) -> Result<Self, VendorError> {
        let new = New::generate()?;
        fs::create_dir_all(dir).map_err(file_error(dir))?;
        write_private(&dir.join(ROOT_KEY_FILE), &new.root_key.serialize_pem())?;
        write_private(&dir.join(INTERMEDIATE_KEY_FILE), &new.intermediate_key.serialize_pem())?;
        write_private(&dir.join(INTERMEDIATE_FILE), &new.intermediate.pem())?;
        write_private(&dir.join(ROOT_FILE), &new.root.pem())?;
        Ok(new.into_ca())
    }

    /// A CA of the same names and other keys, in memory only: what a forger would make.
    pub fn create_foreign() -> Result<Self, VendorError> {
        Ok(New::generate()?.into_ca())
    }

    /// Certifies a public key that lives in a token.
    ///
    /// * `spki_der`: the SubjectPublicKeyInfo: P-256, P-384, P-521 or RSA;
    /// * returns a certificate in DER whose CN is `Lineseal PRACTICE ` and the UID in capital digits.
    pub fn issue(&self, spki_der: &[u8], uid: &ChipUid, validity: Validity) -> Result<Vec<u8>, VendorError> {
        let key = TokenKey::parse(spki_der)?;
        let mut params = CertificateParams::default();
        params.distinguished_name = name(&format!("{CHIP_NAME_PREFIX}{}", uid.as_str().to_ascii_uppercase()));
        params.serial_number = Some(random_serial()?);
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = match validity {
            // Midnight of the last day, where rcgen's dates end to the day.
            Validity::Good => date_time_ymd(9999, 12, 31),
            Validity::Expired => date_time_ymd(2020, 12, 31),
        };
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        params.use_authority_key_identifier_extension = true;
        Ok(params.signed_by(&key, &self.issuer)?.der().to_vec())
    }

    /// In DER.
    pub fn root(&self) -> &[u8] {
        &self.root
    }

    /// In DER.
    pub fn intermediate(&self) -> &[u8] {
        &self.intermediate
    }

    fn load(dir: &Path) -> Result<Self, VendorError> {
        let (root, _root_key) = load_pair(&dir.join(ROOT_FILE), &dir.join(ROOT_KEY_FILE))?;
        let (intermediate, key) = load_pair(&dir.join(INTERMEDIATE_FILE), &dir.join(INTERMEDIATE_KEY_FILE))?;
        Ok(Self { root, intermediate, issuer: issuer(key) })
    }
}

/// A CA that is not on disk yet.
struct New {
    root: Certificate,
    root_key: KeyPair,
    intermediate: Certificate,
    intermediate_key: KeyPair,
}

impl New {
    fn generate() -> Result<Self, VendorError> {
        let root_key = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384)?;
        let root_params = ca_params(ROOT_NAME, BasicConstraints::Constrained(1))?;
        let root = root_params.self_signed(&root_key)?;
        let intermediate_key = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256)?;
        let mut params = ca_params(INTERMEDIATE_NAME, BasicConstraints::Constrained(0))?;
        params.use_authority_key_identifier_extension = true;
        let intermediate = params.signed_by(&intermediate_key, &Issuer::from_params(&root_params, &root_key))?;
        Ok(Self { root, root_key, intermediate, intermediate_key })
    }

    fn into_ca(self) -> VendorCa {
        VendorCa {
            root: self.root.into(),
            intermediate: self.intermediate.into(),
            issuer: issuer(self.intermediate_key),
        }
    }
}

/// Of an issuer, only name and key enter what it signs.
fn issuer(key: KeyPair) -> Issuer<'static, KeyPair> {
    let mut params = CertificateParams::default();
    params.distinguished_name = name(INTERMEDIATE_NAME);
    Issuer::new(params, key)
}

fn ca_params(common_name: &str, constraints: BasicConstraints) -> Result<CertificateParams, VendorError> {
    let mut params = CertificateParams::default();
    params.distinguished_name = name(common_name);
    params.serial_number = Some(random_serial()?);
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(9999, 12, 31);
    params.is_ca = IsCa::Ca(constraints);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    Ok(params)
}

fn name(common_name: &str) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::OrganizationName, "Lineseal PRACTICE");
    name.push(DnType::CommonName, common_name);
    name
}

/// 16 random bytes, positive (RFC 5280 §4.1.2.2).
fn random_serial() -> Result<SerialNumber, VendorError> {
    let mut bytes = [0; 16];
    aws_lc_rs::rand::fill(&mut bytes).map_err(|_| VendorError::Random)?;
    bytes[0] = bytes[0] & 0x7f | 0x40;
    Ok(SerialNumber::from(bytes.to_vec()))
}

/// A public key of which no private half is here.
struct TokenKey {
    bits: Vec<u8>,
    algorithm: &'static SignatureAlgorithm,
}

impl TokenKey {
    fn parse(spki_der: &[u8]) -> Result<Self, VendorError> {
        const RSA_ENCRYPTION: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
        const EC_PUBLIC_KEY: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
        const SECP256R1: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
        const SECP384R1: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.34");
        const SECP521R1: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.35");

        let info = SubjectPublicKeyInfoRef::from_der(spki_der).map_err(VendorError::PublicKey)?;
        let curve = info.algorithm.parameters.and_then(|parameters| parameters.decode_as::<ObjectIdentifier>().ok());
        // rcgen takes the SubjectPublicKeyInfo's algorithm from a signature algorithm of such a key.
        let algorithm = match (info.algorithm.oid, curve) {
            (RSA_ENCRYPTION, _) => &rcgen::PKCS_RSA_SHA256,
            (EC_PUBLIC_KEY, Some(SECP256R1)) => &rcgen::PKCS_ECDSA_P256_SHA256,
            (EC_PUBLIC_KEY, Some(SECP384R1)) => &rcgen::PKCS_ECDSA_P384_SHA384,
            (EC_PUBLIC_KEY, Some(SECP521R1)) => &rcgen::PKCS_ECDSA_P521_SHA512,
            (EC_PUBLIC_KEY, Some(other)) => return Err(VendorError::KeyKind(other.to_string())),
            (other, _) => return Err(VendorError::KeyKind(other.to_string())),
        };
        let bits = info.subject_public_key.raw_bytes().to_vec();
        Ok(Self { bits, algorithm })
    }
}

impl PublicKeyData for TokenKey {
    fn der_bytes(&self) -> &[u8] {
        &self.bits
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        self.algorithm
    }
}

fn load_pair(certificate: &Path, key: &Path) -> Result<(CertificateDer<'static>, KeyPair), VendorError> {
    let pem = fs::read(certificate).map_err(file_error(certificate))?;
    let der = CertificateDer::from_pem_slice(&pem)
        .map_err(|source| VendorError::Certificate { path: certificate.to_owned(), source })?;
    let pem = fs::read_to_string(key).map_err(file_error(key))?;
    let pair = KeyPair::from_pem(&pem).map_err(|source| VendorError::Key { path: key.to_owned(), source })?;
    let certified = webpki::anchor_from_trusted_cert(&der).map(|anchor| webpki::spki_for_anchor(&anchor));
    if certified.is_ok_and(|spki| spki.as_ref() == pair.subject_public_key_info()) {
        Ok((der, pair))
    } else {
        Err(VendorError::KeyOfAnother { path: certificate.to_owned() })
    }
}

/// Whole or not at all, mode 0600 from the first byte on.
fn write_private(path: &Path, text: &str) -> Result<(), VendorError> {
    let write = || {
        let dir = path.parent().unwrap_or(Path::new("."));
        let mut file = tempfile::Builder::new().permissions(fs::Permissions::from_mode(0o600)).tempfile_in(dir)?;
        file.write_all(text.as_bytes())?;
        file.as_file().sync_all()?;
        file.persist(path).map_err(|error| error.error)?;
        Ok(())
    };
    write().map_err(file_error(path))
}

fn file_error(path: &Path) -> impl Fn(std::io::Error) -> VendorError {
    let path = path.to_owned();
    move |source| VendorError::File { path: path.clone(), source }
}

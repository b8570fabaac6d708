//! Certificates and revocation lists from files, as DER.

use std::path::Path;

use rustls_pki_types::pem::{self, PemObject};
use rustls_pki_types::{CertificateDer, CertificateRevocationListDer};
use x509_cert::der::{self, Reader, SliceReader};

/// Every certificate of the file (RFC 7468 §5); other sections are passed over. `Err`: what is wrong
/// with the file.
pub(super) fn certificates(path: &Path) -> Result<Vec<Vec<u8>>, String> {
    let bytes = read(path)?;
    let found = sections::<CertificateDer<'_>>(&bytes)?;
    for der in &found {
        // The parser that later builds paths: what it takes here it takes then.
        webpki::anchor_from_trusted_cert(der)
            .map_err(|error| format!("holds something that is not a certificate: {error}"))?;
    }
    if found.is_empty() {
        return Err("holds no certificate in PEM form".into());
    }
    Ok(found.iter().map(|der| der.to_vec()).collect())
}

/// Every revocation list of the file: PEM (RFC 7468 §7), other sections passed over, or DER, one behind
/// the other.
pub(super) fn revocation_lists(path: &Path) -> Result<Vec<Vec<u8>>, String> {
    const SEQUENCE: u8 = 0x30;
    let bytes = read(path)?;
    let found: Vec<Vec<u8>> = if bytes.first() == Some(&SEQUENCE) {
        one_behind_the_other(&bytes).map_err(|error| format!("is neither PEM nor whole DER: {error}"))?
    } else {
        sections::<CertificateRevocationListDer<'_>>(&bytes)?.iter().map(|der| der.to_vec()).collect()
    };
    for der in &found {
        // What the list says, and whether it can be used, is the trust's own check.
        let is_one = one_behind_the_other(der).is_ok_and(|found| found.len() == 1);
        if der.first() != Some(&SEQUENCE) || !is_one {
            return Err("holds something that is not a revocation list".into());
        }
    }
    if found.is_empty() { Err("holds no revocation list".into()) } else { Ok(found) }
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    std::fs::read(path).map_err(|error| format!("cannot be read: {error}"))
}

fn sections<T: PemObject>(bytes: &[u8]) -> Result<Vec<T>, String> {
    let said = |error| match error {
        pem::Error::MissingSectionEnd { .. } => "is cut off: a BEGIN line has no END line".to_owned(),
        error => format!("is not PEM: {error}"),
    };
    T::pem_slice_iter(bytes).map(|section| section.map_err(said)).collect()
}

fn one_behind_the_other(bytes: &[u8]) -> der::Result<Vec<Vec<u8>>> {
    let mut reader = SliceReader::new(bytes)?;
    let mut found = Vec::new();
    while !reader.is_finished() {
        found.push(reader.tlv_bytes()?.to_vec());
    }
    Ok(found)
}

//! Certificates from PEM files, as DER.

use std::path::Path;

use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::{self, PemObject};

/// Every certificate of the file (RFC 7468 §5); other sections are passed over. `Err`: what is wrong
/// with the file.
pub(super) fn certificates(path: &Path) -> Result<Vec<Vec<u8>>, String> {
    let bytes = std::fs::read(path).map_err(|error| format!("cannot be read: {error}"))?;
    let mut found = Vec::new();
    for section in CertificateDer::pem_slice_iter(&bytes) {
        let der = section.map_err(|error| match error {
            pem::Error::MissingSectionEnd { .. } => "is cut off: a BEGIN line has no END line".to_owned(),
            error => format!("is not PEM: {error}"),
        })?;
        // The parser that later builds paths: what it takes here it takes then.
        webpki::anchor_from_trusted_cert(&der)
            .map_err(|error| format!("holds something that is not a certificate: {error}"))?;
        found.push(der.to_vec());
    }
    if found.is_empty() { Err("holds no certificate in PEM form".into()) } else { Ok(found) }
}

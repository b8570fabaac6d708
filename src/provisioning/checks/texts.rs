//! Texts in a certificate's names that no other program reads.
//!
//! OpenSSL and AWS refuse the whole certificate for one of them. Lineseal shows such a name somehow; a unit that
//! passed with it would have a proof that nobody can repeat.

use x509_cert::der::{Decode, Tag, Tagged};
use x509_cert::name::Name;

use crate::audit::x509;
use crate::domain::{Failure, ReasonCode};

/// Are the texts of subject and issuer what their types say they are? `C-101` where one is not.
pub(super) fn check_texts(certificate: &[u8]) -> Result<(), Failure> {
    let unreadable = |cause: &str| Failure::new(ReasonCode::CERTIFICATE_UNREADABLE, cause);
    let names = x509::names(certificate).ok_or_else(|| unreadable("it has no names"))?;
    for name in names {
        let name = Name::from_der(name).map_err(|error| unreadable(&format!("a name in it: {error}")))?;
        for attribute in name.iter() {
            let (tag, text) = (attribute.value.tag(), attribute.value.value());
            if !is_text(tag, text) {
                let kind = attribute.oid;
                return Err(unreadable(&format!(
                    "the attribute {kind} of a name in it is no {tag}: {}",
                    hex::encode(text)
                )));
            }
        }
    }
    Ok(())
}

/// As OpenSSL reads them; of other types every octet is a character.
fn is_text(tag: Tag, text: &[u8]) -> bool {
    match tag {
        Tag::Utf8String => std::str::from_utf8(text).is_ok(),
        // UCS-2: two octets a character, and no halves of such as it can't name.
        Tag::BmpString => {
            let (characters, rest) = text.as_chunks::<2>();
            rest.is_empty() && characters.iter().all(|it| !(0xd800..0xe000).contains(&u16::from_be_bytes(*it)))
        }
        _ => true,
    }
}

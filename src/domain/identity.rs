//! The identity triple: certificate fingerprint, public key hash, chip UID.

use super::{Invalid, text_type};

/// A SHA-256 value that travels as 64 lower-case hexadecimal digits.
macro_rules! hash_type {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name([u8; 32]);

        impl $name {
            /// Hashes `bytes` (a DER value) with SHA-256.
            pub fn of(bytes: &[u8]) -> Self {
                let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes);
                let mut hash = [0; 32];
                hash.copy_from_slice(digest.as_ref());
                Self(hash)
            }
            pub fn from_bytes(bytes: [u8; 32]) -> Self {
                Self(bytes)
            }
            pub fn as_bytes(&self) -> &[u8; 32] {
                &self.0
            }
        }

        impl std::str::FromStr for $name {
            type Err = Invalid;
            fn from_str(text: &str) -> Result<Self, Invalid> {
                let bad = |_| Invalid { what: $what, value: text.to_owned(), rule: "64 hexadecimal digits" };
                let mut bytes = [0; 32];
                hex::decode_to_slice(text, &mut bytes).map_err(bad)?;
                Ok(Self(bytes))
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                let mut digits = [0; 64];
                serializer.serialize_str(digits_of(&self.0, &mut digits))
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_str($crate::domain::wire::Parsed(std::marker::PhantomData))
            }
        }

        impl From<$name> for String {
            fn from(value: $name) -> String {
                hex::encode(value.0)
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                let mut digits = [0; 64];
                f.write_str(digits_of(&self.0, &mut digits))
            }
        }

        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), hex::encode(self.0))
            }
        }
    };
}

fn digits_of<'d>(hash: &[u8; 32], digits: &'d mut [u8; 64]) -> &'d str {
    // Their length is right, and they are ASCII.
    let _ = hex::encode_to_slice(hash, digits);
    std::str::from_utf8(digits).unwrap_or_default()
}

hash_type!(
    /// SHA-256 of the certificate's DER. AWS IoT's certificate id is this value in hexadecimal.
    Fingerprint,
    "certificate fingerprint"
);
hash_type!(
    /// SHA-256 of anything else: a file, the root of a tree.
    Sha256,
    "SHA-256"
);
hash_type!(
    /// SHA-256 of the DER of the certificate's SubjectPublicKeyInfo (RFC 5280 §4.1.2.7).
    SpkiHash,
    "SPKI hash"
);

text_type!(
    /// The chip's unique id as lower-case hexadecimal digits; 36 of them (18 bytes) on an SE050.
    ChipUid,
    "chip UID",
    "an even number of lower-case hexadecimal digits, 8 to 128 of them",
    |t| (8..=128).contains(&t.len())
        && t.len() % 2 == 0
        && t.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
);

impl ChipUid {
    /// From the raw bytes a chip returns: 4 to 64 of them.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Invalid> {
        hex::encode(bytes).parse()
    }

    /// As memory that nobody programmed reads: all zeros, or all ones. It tells no chip from another.
    pub fn is_blank(&self) -> bool {
        let digits = self.as_str();
        digits.bytes().all(|digit| digit == b'0') || digits.bytes().all(|digit| digit == b'f')
    }
}

/// What identifies a chip for ever: each part is unique on its own and stays burned when a
/// binding closes.
#[derive(Debug, Clone, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct Identity {
    pub fingerprint: Fingerprint,
    pub spki: SpkiHash,
    /// `None` only under the UID policy `none`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub uid: Option<ChipUid>,
}

/// An identity as far as the log knows it: of an imported one, perhaps the certificate alone.
#[derive(Debug, Clone, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct KnownIdentity {
    pub fingerprint: Fingerprint,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub spki: Option<SpkiHash>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub uid: Option<ChipUid>,
}

impl From<Identity> for KnownIdentity {
    fn from(Identity { fingerprint, spki, uid }: Identity) -> Self {
        Self { fingerprint, spki: Some(spki), uid }
    }
}

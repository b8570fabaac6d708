//! A certificate forge: DER written by hand, so that a test can say anything a vendor or an attacker
//! might say.

use std::collections::BTreeMap;
use std::sync::{LazyLock, Mutex};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{self, EcdsaKeyPair, EcdsaSigningAlgorithm, KeyPair, RsaKeyPair};

use crate::domain::profile::KeyKind;

pub fn tlv(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut out = vec![tag];
    match content.len() {
        n @ 0..=0x7f => out.push(n as u8),
        n @ 0x80..=0xff => out.extend([0x81, n as u8]),
        n => out.extend([0x82, (n >> 8) as u8, n as u8]),
    }
    out.extend_from_slice(content);
    out
}

pub fn sequence(parts: &[&[u8]]) -> Vec<u8> {
    tlv(0x30, &parts.concat())
}

pub fn bits(content: &[u8]) -> Vec<u8> {
    tlv(0x03, &[&[0], content].concat())
}

pub fn octets(content: &[u8]) -> Vec<u8> {
    tlv(0x04, content)
}

pub const NULL: &[u8] = &[0x05, 0x00];

/// `1.2.840…` → DER.
pub fn oid(text: &str) -> Vec<u8> {
    let arcs: Vec<u64> = text.split('.').map(|arc| arc.parse().unwrap()).collect();
    let mut content = vec![];
    for arc in std::iter::once(arcs[0] * 40 + arcs[1]).chain(arcs[2..].iter().copied()) {
        let mut digits = vec![(arc & 0x7f) as u8];
        let mut rest = arc >> 7;
        while rest > 0 {
            digits.push(0x80 | (rest & 0x7f) as u8);
            rest >>= 7;
        }
        content.extend(digits.into_iter().rev());
    }
    tlv(0x06, &content)
}

/// CN (and O) as UTF8String.
pub fn name(common_name: &str) -> Vec<u8> {
    sequence(&[&attribute("2.5.4.10", 0x0c, "Forge"), &attribute("2.5.4.3", 0x0c, common_name)])
}

/// One RDN of one attribute, its value under `tag`.
pub fn attribute(kind: &str, tag: u8, value: &str) -> Vec<u8> {
    tlv(0x31, &sequence(&[&oid(kind), &tlv(tag, value.as_bytes())]))
}

/// `yyMMddHHmmssZ` or `yyyyMMddHHmmssZ`.
pub fn time(text: &str) -> Vec<u8> {
    tlv(if text.len() == 13 { 0x17 } else { 0x18 }, text.as_bytes())
}

pub fn extension(id: &str, critical: bool, value: &[u8]) -> Vec<u8> {
    let critical: &[u8] = if critical { &[0x01, 0x01, 0xff] } else { &[] };
    sequence(&[&oid(id), critical, &octets(value)])
}

pub fn basic_constraints(ca: bool) -> Vec<u8> {
    extension("2.5.29.19", true, &sequence(&[if ca { &[0x01, 0x01, 0xff] } else { &[] }]))
}

pub fn path_length(length: u8) -> Vec<u8> {
    extension("2.5.29.19", true, &sequence(&[&[0x01, 0x01, 0xff], &[0x02, 0x01, length]]))
}

pub fn extended_key_usage(purposes: &[&str]) -> Vec<u8> {
    let purposes: Vec<u8> = purposes.iter().flat_map(|purpose| oid(purpose)).collect();
    extension("2.5.29.37", false, &sequence(&[&purposes]))
}

/// Of the bits, counted as RFC 5280 §4.2.1.3 does.
pub fn key_usage(uses: &[u8]) -> Vec<u8> {
    let flags = uses.iter().fold(0u8, |flags, bit| flags | 0x80 >> bit);
    extension("2.5.29.15", true, &tlv(0x03, &[flags.trailing_zeros().min(7) as u8, flags]))
}

/// A private key and its SubjectPublicKeyInfo.
pub struct Key {
    pub kind: KeyKind,
    pub spki: Vec<u8>,
    private: Private,
}

enum Private {
    /// PKCS#8.
    Ec(Vec<u8>),
    /// PKCS#8.
    Rsa(Vec<u8>),
}

impl Key {
    /// A new key; RSA keys, slow to make, are the same one for every call.
    pub fn new(kind: KeyKind) -> Self {
        match kind {
            KeyKind::EcP256 => Self::ec(kind, &signature::ECDSA_P256_SHA256_FIXED_SIGNING),
            KeyKind::EcP384 => Self::ec(kind, &signature::ECDSA_P384_SHA384_FIXED_SIGNING),
            KeyKind::EcP521 => Self::ec(kind, &signature::ECDSA_P521_SHA512_FIXED_SIGNING),
            KeyKind::Rsa2048 | KeyKind::Rsa3072 | KeyKind::Rsa4096 => Self::rsa(kind),
        }
    }

    /// Another RSA-2048 key than `Key::new`'s.
    pub fn other_rsa2048() -> Self {
        Self::from_rsa(KeyKind::Rsa2048, &RsaKeyPair::generate(KeySize::Rsa2048).unwrap())
    }

    fn ec(kind: KeyKind, algorithm: &'static EcdsaSigningAlgorithm) -> Self {
        let private = EcdsaKeyPair::generate_pkcs8(algorithm, &SystemRandom::new()).unwrap().as_ref().to_vec();
        let pair = EcdsaKeyPair::from_pkcs8(algorithm, &private).unwrap();
        let curve = match kind {
            KeyKind::EcP256 => "1.2.840.10045.3.1.7",
            KeyKind::EcP384 => "1.3.132.0.34",
            _ => "1.3.132.0.35",
        };
        Self { kind, spki: ec_spki(curve, pair.public_key().as_ref()), private: Private::Ec(private) }
    }

    fn rsa(kind: KeyKind) -> Self {
        static MADE: LazyLock<Mutex<BTreeMap<&'static str, Vec<u8>>>> = LazyLock::new(Mutex::default);
        let mut made = MADE.lock().unwrap();
        let private = made.entry(kind.as_str()).or_insert_with(|| {
            let size = match kind {
                KeyKind::Rsa2048 => KeySize::Rsa2048,
                KeyKind::Rsa3072 => KeySize::Rsa3072,
                _ => KeySize::Rsa4096,
            };
            pkcs8(&RsaKeyPair::generate(size).unwrap())
        });
        Self::from_rsa(kind, &RsaKeyPair::from_pkcs8(private).unwrap())
    }

    fn from_rsa(kind: KeyKind, pair: &RsaKeyPair) -> Self {
        Self { kind, spki: rsa_spki(pair.public_key().as_ref()), private: Private::Rsa(pkcs8(pair)) }
    }

    /// As a chip answers a challenge: r ‖ s, or RSA PKCS#1 v1.5 with SHA-256.
    pub fn answer(&self, message: &[u8]) -> Vec<u8> {
        match self.kind {
            KeyKind::EcP256 => self.ecdsa(&signature::ECDSA_P256_SHA256_FIXED_SIGNING, message),
            KeyKind::EcP384 => self.ecdsa(&signature::ECDSA_P384_SHA384_FIXED_SIGNING, message),
            KeyKind::EcP521 => self.ecdsa(&signature::ECDSA_P521_SHA512_FIXED_SIGNING, message),
            _ => self.rsa_sign(&signature::RSA_PKCS1_SHA256, message),
        }
    }

    /// With an ECDSA algorithm of one's own choice.
    pub fn ecdsa(&self, algorithm: &'static EcdsaSigningAlgorithm, message: &[u8]) -> Vec<u8> {
        let Private::Ec(private) = &self.private else { panic!("an EC algorithm for an RSA key") };
        let pair = EcdsaKeyPair::from_pkcs8(algorithm, private).unwrap();
        pair.sign(&SystemRandom::new(), message).unwrap().as_ref().to_vec()
    }

    pub fn rsa_sign(&self, padding: &'static dyn signature::RsaEncoding, message: &[u8]) -> Vec<u8> {
        let Private::Rsa(private) = &self.private else { panic!("an RSA padding for an EC key") };
        let pair = RsaKeyPair::from_pkcs8(private).unwrap();
        let mut out = vec![0; pair.public_modulus_len()];
        pair.sign(padding, &SystemRandom::new(), message, &mut out).unwrap();
        out
    }
}

fn pkcs8(pair: &RsaKeyPair) -> Vec<u8> {
    use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
    let der: Pkcs8V1Der = pair.as_der().unwrap();
    der.as_ref().to_vec()
}

pub fn ec_spki(curve: &str, point: &[u8]) -> Vec<u8> {
    sequence(&[&sequence(&[&oid("1.2.840.10045.2.1"), &oid(curve)]), &bits(point)])
}

/// `key` is an RSAPublicKey.
pub fn rsa_spki(key: &[u8]) -> Vec<u8> {
    sequence(&[&sequence(&[&oid("1.2.840.113549.1.1.1"), NULL]), &bits(key)])
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Hash {
    Sha256,
    Sha384,
    Sha512,
}

/// How a certificate's signature is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Encoding {
    /// As the RFCs have it: ECDSA without parameters, RSA PKCS#1 with NULL.
    Standard,
    /// ECDSA with an explicit NULL.
    Null,
    /// RSA PKCS#1 without parameters.
    Absent,
    Pss,
}

/// A TBSCertificate in the making.
#[derive(Clone)]
pub struct Tbs {
    /// `None` leaves the field out: version 1.
    pub version: Option<u8>,
    pub serial: Vec<u8>,
    pub issuer: Vec<u8>,
    pub subject: Vec<u8>,
    pub not_before: Vec<u8>,
    pub not_after: Vec<u8>,
    pub spki: Vec<u8>,
    pub extensions: Vec<Vec<u8>>,
    pub hash: Option<Hash>,
    pub encoding: Encoding,
    /// The AlgorithmIdentifier inside, when it is to be something else.
    pub inner: Option<Vec<u8>>,
    /// The one outside.
    pub outer: Option<Vec<u8>>,
}

impl Tbs {
    pub fn leaf(subject: &str, issuer: &str, key: &Key) -> Self {
        Self {
            version: Some(2),
            serial: vec![0x12, 0x34, 0x56],
            issuer: name(issuer),
            subject: name(subject),
            not_before: time("200101000000Z"),
            not_after: time("491231235959Z"),
            spki: key.spki.clone(),
            extensions: vec![],
            hash: None,
            encoding: Encoding::Standard,
            inner: None,
            outer: None,
        }
    }

    pub fn ca(subject: &str, issuer: &str, key: &Key) -> Self {
        Self::leaf(subject, issuer, key).with(basic_constraints(true))
    }

    pub fn with(mut self, extension: Vec<u8>) -> Self {
        self.extensions.push(extension);
        self
    }

    pub fn valid(mut self, not_before: &str, not_after: &str) -> Self {
        self.not_before = time(not_before);
        self.not_after = time(not_after);
        self
    }

    pub fn signed_as(mut self, hash: Hash, encoding: Encoding) -> Self {
        self.hash = Some(hash);
        self.encoding = encoding;
        self
    }

    pub fn null(mut self) -> Self {
        self.encoding = Encoding::Null;
        self
    }

    /// The TBSCertificate's DER, for a signer of this kind.
    pub fn der(&self, signer: KeyKind) -> Vec<u8> {
        let version = self.version.map(|version| tlv(0xa0, &[0x02, 0x01, version])).unwrap_or_default();
        let extensions = match self.extensions.as_slice() {
            [] => vec![],
            some => tlv(0xa3, &sequence(&some.iter().map(Vec::as_slice).collect::<Vec<_>>())),
        };
        sequence(&[
            &version,
            &tlv(0x02, &self.serial),
            &self.inner.clone().unwrap_or_else(|| self.algorithm(signer)),
            &self.issuer,
            &sequence(&[&self.not_before, &self.not_after]),
            &self.subject,
            &self.spki,
            &extensions,
        ])
    }

    pub fn sign(self, signer: &Key) -> Vec<u8> {
        let der = self.der(signer.kind);
        self.seal(&der, signer)
    }

    /// Signs any bytes as the TBSCertificate.
    pub fn seal(&self, tbs: &[u8], signer: &Key) -> Vec<u8> {
        let hash = self.hash_for(signer.kind);
        let signature = match (signer.kind, self.encoding) {
            (KeyKind::EcP256, _) => {
                assert_eq!(hash, Hash::Sha256, "aws-lc-rs signs P-256 with SHA-256 only");
                signer.ecdsa(&signature::ECDSA_P256_SHA256_ASN1_SIGNING, tbs)
            }
            (KeyKind::EcP384, _) => {
                assert_eq!(hash, Hash::Sha384, "aws-lc-rs signs P-384 with SHA-384 only");
                signer.ecdsa(&signature::ECDSA_P384_SHA384_ASN1_SIGNING, tbs)
            }
            (KeyKind::EcP521, _) => signer.ecdsa(
                match hash {
                    Hash::Sha256 => &signature::ECDSA_P521_SHA256_ASN1_SIGNING,
                    Hash::Sha384 => &signature::ECDSA_P521_SHA384_ASN1_SIGNING,
                    Hash::Sha512 => &signature::ECDSA_P521_SHA512_ASN1_SIGNING,
                },
                tbs,
            ),
            (_, Encoding::Pss) => signer.rsa_sign(
                match hash {
                    Hash::Sha256 => &signature::RSA_PSS_SHA256,
                    Hash::Sha384 => &signature::RSA_PSS_SHA384,
                    Hash::Sha512 => &signature::RSA_PSS_SHA512,
                },
                tbs,
            ),
            _ => signer.rsa_sign(
                match hash {
                    Hash::Sha256 => &signature::RSA_PKCS1_SHA256,
                    Hash::Sha384 => &signature::RSA_PKCS1_SHA384,
                    Hash::Sha512 => &signature::RSA_PKCS1_SHA512,
                },
                tbs,
            ),
        };
        let outer = self.outer.clone().unwrap_or_else(|| self.algorithm(signer.kind));
        sequence(&[tbs, &outer, &bits(&signature)])
    }

    fn hash_for(&self, signer: KeyKind) -> Hash {
        self.hash.unwrap_or(match signer {
            KeyKind::EcP384 => Hash::Sha384,
            KeyKind::EcP521 => Hash::Sha512,
            _ => Hash::Sha256,
        })
    }

    /// The AlgorithmIdentifier of the signature.
    pub fn algorithm(&self, signer: KeyKind) -> Vec<u8> {
        let hash = self.hash_for(signer);
        if self.encoding == Encoding::Pss {
            return pss(hash);
        }
        let elliptic = matches!(signer, KeyKind::EcP256 | KeyKind::EcP384 | KeyKind::EcP521);
        let id = match (elliptic, hash) {
            (true, Hash::Sha256) => "1.2.840.10045.4.3.2",
            (true, Hash::Sha384) => "1.2.840.10045.4.3.3",
            (true, Hash::Sha512) => "1.2.840.10045.4.3.4",
            (false, Hash::Sha256) => "1.2.840.113549.1.1.11",
            (false, Hash::Sha384) => "1.2.840.113549.1.1.12",
            (false, Hash::Sha512) => "1.2.840.113549.1.1.13",
        };
        let null = self.encoding == Encoding::Null || (!elliptic && self.encoding == Encoding::Standard);
        sequence(&[&oid(id), if null { NULL } else { &[] }])
    }
}

/// id-RSASSA-PSS with its parameters (RFC 4055 §3.1): hash, MGF1 with the same, salt as long as it.
fn pss(hash: Hash) -> Vec<u8> {
    let (id, salt) = match hash {
        Hash::Sha256 => ("2.16.840.1.101.3.4.2.1", 32),
        Hash::Sha384 => ("2.16.840.1.101.3.4.2.2", 48),
        Hash::Sha512 => ("2.16.840.1.101.3.4.2.3", 64),
    };
    let digest = sequence(&[&oid(id), NULL]);
    let mask = sequence(&[&oid("1.2.840.113549.1.1.8"), &digest]);
    let parameters = sequence(&[&tlv(0xa0, &digest), &tlv(0xa1, &mask), &tlv(0xa2, &[0x02, 0x01, salt])]);
    sequence(&[&oid("1.2.840.113549.1.1.10"), &parameters])
}

/// A revocation list in the making.
#[derive(Clone)]
pub struct List {
    pub issuer: Vec<u8>,
    pub number: u8,
    pub this_update: Vec<u8>,
    pub next_update: Vec<u8>,
    pub revoked: Vec<Vec<u8>>,
    pub extensions: Vec<Vec<u8>>,
    pub null: bool,
}

impl List {
    pub fn of(issuer: &str) -> Self {
        Self {
            issuer: name(issuer),
            number: 7,
            this_update: time("260101000000Z"),
            next_update: time("270101000000Z"),
            revoked: vec![],
            extensions: vec![],
            null: false,
        }
    }

    pub fn naming(mut self, serial: &[u8]) -> Self {
        self.revoked.push(sequence(&[&tlv(0x02, serial), &time("260301000000Z")]));
        self
    }

    pub fn made(mut self, this_update: &str, next_update: &str) -> Self {
        self.this_update = time(this_update);
        self.next_update = time(next_update);
        self
    }

    pub fn with(mut self, extension: Vec<u8>) -> Self {
        self.extensions.push(extension);
        self
    }

    pub fn sign(self, signer: &Key) -> Vec<u8> {
        let like = Tbs::leaf("", "", signer);
        let like = if self.null { like.null() } else { like };
        let revoked = match self.revoked.concat() {
            none if none.is_empty() => none,
            some => sequence(&[&some]),
        };
        let number = extension("2.5.29.20", false, &tlv(0x02, &[self.number]));
        let tbs = sequence(&[
            &[0x02, 0x01, 0x01],
            &like.algorithm(signer.kind),
            &self.issuer,
            &self.this_update,
            &self.next_update,
            &revoked,
            &tlv(0xa0, &sequence(&[&number, &self.extensions.concat()])),
        ]);
        like.seal(&tbs, signer)
    }
}

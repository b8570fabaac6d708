//! One session with one token: open, read, sign.

use std::path::PathBuf;
use std::time::Instant;

use aws_lc_rs::digest;
use cryptoki::context::{CInitializeArgs, CInitializeFlags, Function, Info, Pkcs11};
use cryptoki::error::{Error, RvError};
use cryptoki::mechanism::{Mechanism, MechanismType};
use cryptoki::object::{KeyType, ObjectHandle};
use cryptoki::session::{Session, UserType};
use cryptoki::slot::{Slot, TokenInfo};
use cryptoki::types::AuthPin;

use super::der::first_sequence;
use super::failure::from_module;
use super::objects::{Found, Kind, Objects};
use super::sign_once::Signer;
use super::wire::Access;
use super::worker::Link;
use crate::audit::event::{Reading, SignatureScheme, TokenFacts};
use crate::domain::profile::{ObjectName, Pin, SlotChoice};
use crate::domain::{ChipUid, Failure, ReasonCode};

/// An open session and what it shall look for.
pub(super) struct TokenSession {
    module: Pkcs11,
    module_path: PathBuf,
    slot: Slot,
    /// The only one this process ever opens: NXP's module has three to give, and C_Finalize returns
    /// none of them.
    session: Session,
    certificate: ObjectName,
    key: ObjectName,
    uid: Option<ObjectName>,
    facts: TokenFacts,
    /// Made at the first signature.
    signing: Option<Signing>,
}

struct Signing {
    signer: Signer,
    mechanisms: Vec<MechanismType>,
}

impl TokenSession {
    pub(super) fn open(access: Access, link: &Link) -> Result<Self, Failure> {
        let begun = Instant::now();
        let pin = access.pin.as_ref().map(pin_value).transpose()?;
        let module = start_module(&access.module, link)?;
        link.calling("C_GetInfo");
        let library = module.get_library_info().map_err(from_module)?;
        let (slot, token) = choose_slot(&module, &access.slot, link)?;
        link.calling("C_OpenSession");
        let session = module.open_ro_session(slot).map_err(from_module)?;
        if let Some(pin) = pin {
            login(&session, &pin, link)?;
        }
        let mut facts = facts(&access, &library, &token);
        facts.open_ms = milliseconds(begun);
        Ok(Self {
            module,
            module_path: access.module,
            slot,
            session,
            certificate: access.certificate,
            key: access.key,
            uid: access.uid,
            facts,
            signing: None,
        })
    }

    /// Asks the token for everything again. A UID object that is named and not there leaves
    /// `uid` empty: the unit's UID rule decides what that means.
    pub(super) fn read(&self, link: &Link) -> Result<Reading, Failure> {
        let begun = Instant::now();
        let objects = Objects { session: &self.session, link };
        let certificate = find_one(&objects, &self.certificate, Kind::Certificate, ReasonCode::TOKEN_NO_CERTIFICATE)?
            .ok_or_else(|| missing(ReasonCode::TOKEN_NO_CERTIFICATE, "certificate", &self.certificate))?;
        let value = objects.value(certificate.handle)?;
        let der = first_sequence(&value).ok_or_else(|| {
            Failure::new(
                ReasonCode::CERTIFICATE_UNREADABLE,
                format!("{}: CKA_VALUE ({} bytes) does not start with a DER SEQUENCE", certificate.name, value.len()),
            )
        })?;
        let uid = self.uid.as_ref().map(|name| read_uid(&objects, name)).transpose()?.flatten();
        Ok(Reading {
            certificate: der.to_vec().into(),
            uid,
            token: TokenFacts {
                certificate_found_as: certificate.name,
                read_ms: milliseconds(begun),
                ..self.facts.clone()
            },
        })
    }

    pub(super) fn sign(&mut self, message: &[u8], scheme: SignatureScheme, link: &Link) -> Result<Vec<u8>, Failure> {
        let objects = Objects { session: &self.session, link };
        let key = find_one(&objects, &self.key, Kind::PrivateKey, ReasonCode::TOKEN_NO_KEY)?
            .ok_or_else(|| missing(ReasonCode::TOKEN_NO_KEY, "private key", &self.key))?;
        check_key_type(&objects, key.handle, scheme)?;
        let signing = match self.signing.take() {
            Some(signing) => signing,
            None => Signing::prepare(&self.module, &self.module_path, self.slot, link)?,
        };
        let signing = self.signing.insert(signing);
        let (mechanism, data) = mechanism_and_data(&signing.mechanisms, message, scheme)?;
        link.calling("C_Sign");
        signing.signer.sign(&self.session, key.handle, &mechanism, &data).map_err(from_module)
    }
}

impl Signing {
    fn prepare(module: &Pkcs11, path: &std::path::Path, slot: Slot, link: &Link) -> Result<Self, Failure> {
        link.calling("C_GetMechanismList");
        let mechanisms = module.get_mechanism_list(slot).map_err(from_module)?;
        Ok(Self { signer: Signer::of(path).map_err(from_module)?, mechanisms })
    }
}

fn start_module(path: &std::path::Path, link: &Link) -> Result<Pkcs11, Failure> {
    link.calling("C_GetFunctionList");
    let module = Pkcs11::new(path).map_err(|error| {
        let failure = from_module(error);
        Failure { cause: format!("{}: {}", path.display(), failure.cause), ..failure }
    })?;
    link.calling("C_Initialize");
    match module.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK)) {
        Ok(()) | Err(Error::Pkcs11(RvError::CryptokiAlreadyInitialized, Function::Initialize)) => Ok(module),
        Err(error) => Err(from_module(error)),
    }
}

fn choose_slot(module: &Pkcs11, choice: &SlotChoice, link: &Link) -> Result<(Slot, TokenInfo), Failure> {
    link.calling("C_GetSlotList");
    let slots = module.get_slots_with_token().map_err(from_module)?;
    let mut tokens = Vec::with_capacity(slots.len());
    for slot in slots {
        link.calling("C_GetTokenInfo");
        tokens.push((slot, module.get_token_info(slot).map_err(from_module)?));
    }
    // SoftHSM always shows one more, empty slot; a module with one slot may not set the flag at all.
    if tokens.len() > 1 {
        tokens.retain(|(_, token)| token.token_initialized());
    }
    let seen = tokens.iter().map(|(_, token)| format!("{:?}", token.label())).collect::<Vec<_>>().join(", ");
    if let SlotChoice::TokenLabel(label) = choice {
        tokens.retain(|(_, token)| token.label() == label);
    }
    let count = tokens.len();
    match (tokens.pop(), count) {
        (Some(one), 1) => Ok(one),
        (_, 0) if seen.is_empty() => {
            Err(Failure::new(ReasonCode::TOKEN_ABSENT, "C_GetSlotList shows no slot with a token"))
        }
        _ => {
            let wanted = match choice {
                SlotChoice::Only => "a single token".to_owned(),
                SlotChoice::TokenLabel(label) => format!("one token {label:?}"),
            };
            Err(Failure::new(ReasonCode::TOKEN_ABSENT, format!("wanted {wanted}, the module shows: {seen}")))
        }
    }
}

/// Once, and never again after an error: tokens lock themselves.
fn login(session: &Session, pin: &AuthPin, link: &Link) -> Result<(), Failure> {
    link.calling("C_Login");
    match session.login(UserType::User, Some(pin)) {
        Ok(()) | Err(Error::Pkcs11(RvError::UserAlreadyLoggedIn, Function::Login)) => Ok(()),
        // Some modules have names of their own for a PIN they do not like.
        Err(Error::Pkcs11(value @ (RvError::ArgumentsBad | RvError::FunctionFailed), function)) => {
            let cause = from_module(Error::Pkcs11(value, function)).cause;
            Err(Failure::new(ReasonCode::TOKEN_PIN, cause))
        }
        Err(error) => Err(from_module(error)),
    }
}

fn pin_value(pin: &Pin) -> Result<AuthPin, Failure> {
    let refused = |cause: String| Failure::new(ReasonCode::TOKEN_PIN, cause);
    match pin {
        Pin::Empty => Ok(AuthPin::from(String::new())),
        Pin::File(path) => {
            let mut text = std::fs::read_to_string(path)
                .map_err(|error| refused(format!("the PIN file {} is not readable: {error}", path.display())))?;
            // The one line end that editors and `echo` add.
            if text.ends_with('\n') {
                text.pop();
                if text.ends_with('\r') {
                    text.pop();
                }
            }
            Ok(AuthPin::from(text))
        }
        Pin::Environment(name) => {
            let text = std::env::var(name).map_err(|error| match error {
                std::env::VarError::NotPresent => {
                    refused(format!("the environment has no variable {name} for the PIN"))
                }
                std::env::VarError::NotUnicode(_) => refused(format!("the PIN in the variable {name} is not UTF-8")),
            })?;
            Ok(AuthPin::from(text))
        }
    }
}

fn facts(access: &Access, library: &Info, token: &TokenInfo) -> TokenFacts {
    let version = library.library_version();
    TokenFacts {
        module: access.module.display().to_string(),
        module_version: format!("{} {}.{}", library.library_description(), version.major(), version.minor())
            .trim()
            .to_owned(),
        manufacturer: token.manufacturer_id().to_owned(),
        token_label: token.label().to_owned(),
        token_model: token.model().to_owned(),
        token_serial: token.serial_number().to_owned(),
        ..TokenFacts::default()
    }
}

fn find_one(objects: &Objects, name: &ObjectName, kind: Kind, code: ReasonCode) -> Result<Option<Found>, Failure> {
    let mut found = objects.find(name, kind)?;
    match found.len() {
        0 | 1 => Ok(found.pop()),
        // Taking either of two would be a guess.
        count => Err(Failure::new(code, format!("{count} objects match {}", found[0].name))),
    }
}

fn missing(code: ReasonCode, what: &str, name: &ObjectName) -> Failure {
    Failure::new(code, format!("no {what} {} in the token", super::objects::describe(name)))
}

fn read_uid(objects: &Objects, name: &ObjectName) -> Result<Option<ChipUid>, Failure> {
    let Some(object) = find_one(objects, name, Kind::Data, ReasonCode::TOKEN_NO_UID)? else {
        return Ok(None);
    };
    let value = objects.value(object.handle)?;
    ChipUid::from_bytes(&value).map(Some).map_err(|_| {
        Failure::new(ReasonCode::TOKEN_NO_UID, format!("{} holds {} bytes, not a UID", object.name, value.len()))
    })
}

/// NXP's module takes an RSA mechanism for an EC key and returns nonsense: never ask.
fn check_key_type(objects: &Objects, key: ObjectHandle, scheme: SignatureScheme) -> Result<(), Failure> {
    let (wanted, name) = match scheme {
        SignatureScheme::RsaPkcs1Sha256 => (KeyType::RSA, "RSA"),
        SignatureScheme::EcdsaSecp256r1Sha256
        | SignatureScheme::EcdsaSecp384r1Sha384
        | SignatureScheme::EcdsaSecp521r1Sha512 => (KeyType::EC, "EC"),
    };
    match objects.key_type(key)? {
        Some(is) if is == wanted => Ok(()),
        is => {
            let is = is.map_or("not told".to_owned(), |is| is.to_string());
            Err(Failure::new(
                ReasonCode::TOKEN_MECHANISM,
                format!("the certificate's key is {name}, but CKA_KEY_TYPE of the token's key is {is}"),
            ))
        }
    }
}

/// The hash is made here: SoftHSM and most chips know only the raw CKM_ECDSA.
fn mechanism_and_data(
    offered: &[MechanismType],
    message: &[u8],
    scheme: SignatureScheme,
) -> Result<(Mechanism<'static>, Vec<u8>), Failure> {
    let hash = |algorithm| digest::digest(algorithm, message).as_ref().to_vec();
    let offers = |mechanism| offered.contains(&mechanism);
    let refused =
        |name: &str| Failure::new(ReasonCode::TOKEN_MECHANISM, format!("C_GetMechanismList does not offer {name}"));
    let ecdsa = |algorithm| match offers(MechanismType::ECDSA) {
        true => Ok((Mechanism::Ecdsa, hash(algorithm))),
        false => Err(refused("CKM_ECDSA")),
    };
    match scheme {
        SignatureScheme::EcdsaSecp256r1Sha256 => ecdsa(&digest::SHA256),
        SignatureScheme::EcdsaSecp384r1Sha384 => ecdsa(&digest::SHA384),
        SignatureScheme::EcdsaSecp521r1Sha512 => ecdsa(&digest::SHA512),
        SignatureScheme::RsaPkcs1Sha256 if offers(MechanismType::SHA256_RSA_PKCS) => {
            Ok((Mechanism::Sha256RsaPkcs, message.to_vec()))
        }
        SignatureScheme::RsaPkcs1Sha256 if offers(MechanismType::RSA_PKCS) => {
            Ok((Mechanism::RsaPkcs, [&SHA256_DIGEST_INFO[..], &hash(&digest::SHA256)].concat()))
        }
        SignatureScheme::RsaPkcs1Sha256 => Err(refused("CKM_SHA256_RSA_PKCS or CKM_RSA_PKCS")),
    }
}

/// What stands before a SHA-256 hash in a DigestInfo (RFC 8017 §9.2, note 1).
const SHA256_DIGEST_INFO: [u8; 19] =
    [0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00, 0x04, 0x20];

fn milliseconds(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX)
}

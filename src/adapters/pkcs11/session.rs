//! One session with one token: open, read, sign.

use std::path::{Path, PathBuf};
use std::time::Instant;

use cryptoki::context::{Info, Pkcs11};
use cryptoki::mechanism::eddsa::{EddsaParams, EddsaSignatureScheme};
use cryptoki::mechanism::{Mechanism, MechanismType};
use cryptoki::session::Session;
use cryptoki::slot::{Slot, TokenInfo};

use super::confine::keep_out_of;
use super::der::first_sequence;
use super::failure::from_module;
use super::keep;
use super::mechanism::{check_edwards, check_key_type, mechanism_and_data};
use super::objects::{Found, Kind, Objects};
use super::opening::{choose_slot, login, pin_value, start_module};
use super::sign_once::Signer;
use super::wire::Access;
use super::worker::Link;
use crate::audit::event::{Reading, SignatureScheme, TokenFacts};
use crate::domain::profile::{NameForm, ObjectName};
use crate::domain::{ChipUid, Failure, ReasonCode};
use crate::ports::{Contents, Kept};

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
    /// The key as the latest reading found it, for the signature that follows it.
    found_key: Option<Found>,
    /// Under which form of its name the latest reading found the certificate.
    form: Option<NameForm>,
    /// Made at the first signature.
    signing: Option<Signing>,
}

struct Signing {
    signer: Signer,
    mechanisms: Vec<MechanismType>,
}

impl TokenSession {
    /// `keep_out`: a folder and files that are no module's.
    pub(super) fn open(access: Access, keep_out: &[PathBuf], link: &Link) -> Result<Self, Failure> {
        let begun = Instant::now();
        let pin = access.pin.as_ref().map(pin_value).transpose()?;
        if let [folder, files @ ..] = keep_out {
            keep_out_of(folder, files, &access.ports).map_err(|error| {
                Failure::new(ReasonCode::TOKEN_CRASHED, format!("the module cannot be kept out of the log: {error}"))
            })?;
        }
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
            found_key: None,
            form: None,
            signing: None,
        })
    }

    /// Asks the token for everything again. A UID object that is named and not there leaves
    /// `uid` empty: the unit's UID rule decides what that means. A key that is not there, or not alone,
    /// is the signature's affair.
    pub(super) fn read(&mut self, link: &Link) -> Result<Reading, Failure> {
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
        let (uid, uid_found_as) = uid.unzip();
        let mut keys = objects.find(&self.key, Kind::PrivateKey)?;
        self.form = self.certificate.form_of(&certificate.name);
        self.found_key = keys.pop().filter(|_| keys.is_empty());
        Ok(Reading {
            certificate: der.to_vec().into(),
            uid,
            token: TokenFacts {
                certificate_found_as: certificate.name,
                key_found_as: self.found_key.as_ref().map(|key| key.name.clone()),
                uid_found_as,
                read_ms: milliseconds(begun),
                ..self.facts.clone()
            },
        })
    }

    pub(super) fn keep(&self, name: &ObjectName, der: &[u8], link: &Link) -> Result<Kept, Failure> {
        let objects = Objects { session: &self.session, link };
        // The second of three that NXP's module ever gives; a worker writes once.
        keep::keep(&objects, name, &self.certificate, self.form, der, || self.module.open_rw_session(self.slot))
    }

    pub(super) fn contents(&self, link: &Link) -> Result<Contents, Failure> {
        let (objects, more) = Objects { session: &self.session, link }.all()?;
        Ok(Contents { token: self.facts.clone(), objects, more })
    }

    pub(super) fn sign(&mut self, message: &[u8], scheme: SignatureScheme, link: &Link) -> Result<Vec<u8>, Failure> {
        let objects = Objects { session: &self.session, link };
        let key = match self.found_key.take() {
            Some(key) => key,
            None => find_one(&objects, &self.key, Kind::PrivateKey, ReasonCode::TOKEN_NO_KEY)?
                .ok_or_else(|| missing(ReasonCode::TOKEN_NO_KEY, "private key", &self.key))?,
        };
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

/// The log's signing key.
impl TokenSession {
    /// From the public key object beside the private one; SoftHSM's private keys do not tell.
    pub(super) fn log_key(&self, link: &Link) -> Result<[u8; 32], Failure> {
        let objects = Objects { session: &self.session, link };
        let key = find_one(&objects, &self.key, Kind::PublicKey, ReasonCode::TOKEN_NO_KEY)?
            .ok_or_else(|| missing(ReasonCode::TOKEN_NO_KEY, "public key", &self.key))?;
        check_edwards(&objects, key.handle)?;
        let point = objects.ec_point(key.handle)?;
        edwards_point(&point).ok_or_else(|| {
            let cause = format!("CKA_EC_POINT of the log's key has {} bytes: it is no Ed25519 key", point.len());
            Failure::new(ReasonCode::TOKEN_NO_KEY, cause)
        })
    }

    pub(super) fn sign_note(&mut self, text: &[u8], link: &Link) -> Result<Vec<u8>, Failure> {
        let objects = Objects { session: &self.session, link };
        let key = find_one(&objects, &self.key, Kind::PrivateKey, ReasonCode::TOKEN_NO_KEY)?
            .ok_or_else(|| missing(ReasonCode::TOKEN_NO_KEY, "private key", &self.key))?;
        check_edwards(&objects, key.handle)?;
        let signing = match self.signing.take() {
            Some(signing) => signing,
            None => Signing::prepare(&self.module, &self.module_path, self.slot, link)?,
        };
        let signing = self.signing.insert(signing);
        if !signing.mechanisms.contains(&MechanismType::EDDSA) {
            let cause = "C_GetMechanismList does not offer CKM_EDDSA";
            return Err(Failure::new(ReasonCode::TOKEN_MECHANISM, cause));
        }
        // Pure Ed25519 takes no parameter (PKCS#11 v3.0 §6.3.5).
        let mechanism = Mechanism::Eddsa(EddsaParams::new(EddsaSignatureScheme::Ed25519));
        link.calling("C_Sign");
        signing.signer.sign(&self.session, key.handle, &mechanism, text).map_err(from_module)
    }
}

/// The point is a DER OCTET STRING (PKCS#11 v3.0 §6.3.3); some modules leave out the string's header.
fn edwards_point(value: &[u8]) -> Option<[u8; 32]> {
    value.strip_prefix(&[0x04, 0x20]).unwrap_or(value).try_into().ok()
}

impl Signing {
    fn prepare(module: &Pkcs11, path: &Path, slot: Slot, link: &Link) -> Result<Self, Failure> {
        link.calling("C_GetMechanismList");
        let mechanisms = module.get_mechanism_list(slot).map_err(from_module)?;
        Ok(Self { signer: Signer::of(path).map_err(from_module)?, mechanisms })
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
    Failure::new(code, format!("no {what} {name} in the token"))
}

/// The UID and the name that it was found under.
fn read_uid(objects: &Objects, name: &ObjectName) -> Result<Option<(ChipUid, String)>, Failure> {
    let Some(object) = find_one(objects, name, Kind::Data, ReasonCode::TOKEN_NO_UID)? else {
        return Ok(None);
    };
    let length = objects.value_length(object.handle)?;
    let value = objects.value(object.handle)?;
    // Nothing but its length shows that a UID is whole.
    if length.is_some_and(|length| length != value.len()) {
        let cause = format!("{} changes its length while it is read", object.name);
        return Err(Failure::new(ReasonCode::TOKEN_REFUSED, cause));
    }
    match ChipUid::from_bytes(&value) {
        Ok(uid) => Ok(Some((uid, object.name))),
        Err(_) => {
            let cause = format!("{} holds {} bytes, not a UID", object.name, value.len());
            Err(Failure::new(ReasonCode::TOKEN_NO_UID, cause))
        }
    }
}

fn milliseconds(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX)
}

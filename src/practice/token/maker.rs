//! The child process that works on one SoftHSM store, and the only code that writes to a token.

use std::io::{self, Read, Write};
use std::process::ExitCode;
use std::time::Duration;

use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::error::Error;
use cryptoki::mechanism::Mechanism;
use cryptoki::object::{Attribute, CertificateType, ObjectClass, ObjectHandle};
use cryptoki::session::{Session, UserType};
use cryptoki::types::AuthPin;
use x509_cert::der::Encode as _;

use super::spki::{self, SpkiError};
use super::{Answer, Class, Request, Task};
use crate::domain::Bytes;
use crate::domain::profile::KeyKind;

/// What `lineseal practice-token-maker` does; never for people. One JSON request on stdin to its
/// end, one JSON answer on stdout.
pub fn maker_main() -> ExitCode {
    // RSA-4096 takes seconds; whoever waits for this process relies on its end.
    const DEADLINE: Duration = Duration::from_secs(60);
    std::thread::spawn(|| {
        std::thread::sleep(DEADLINE);
        std::process::abort();
    });
    let mut request = Vec::new();
    let answer = match io::stdin().read_to_end(&mut request) {
        Err(error) => Answer::Refused(error.to_string()),
        Ok(_) => match serde_json::from_slice::<Request>(&request) {
            Err(error) => Answer::Refused(error.to_string()),
            Ok(request) => match perform(&request) {
                Ok(bytes) => Answer::Done(Bytes(bytes)),
                Err(error) => Answer::Refused(error.to_string()),
            },
        },
    };
    let written = serde_json::to_vec(&answer).map_err(io::Error::from);
    match written.and_then(|bytes| io::stdout().write_all(&bytes)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

#[derive(Debug, thiserror::Error)]
enum MakerError {
    #[error("{0}")]
    Module(#[from] Error),
    #[error("the store has no slot to make a token in")]
    NoSlot,
    #[error("the store has no token")]
    NoToken,
    #[error("there is no such object: {0}")]
    NoObject(String),
    #[error("{0}")]
    Spki(#[from] SpkiError),
}

fn perform(request: &Request) -> Result<Vec<u8>, MakerError> {
    let module = Pkcs11::new(&request.module)?;
    module.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK))?;
    let pin = AuthPin::from(request.pin.clone());
    if let Task::Init { label } = &request.task {
        init(&module, label, &pin)?;
        return Ok(Vec::new());
    }
    let slot = module.get_slots_with_initialized_token()?.first().copied().ok_or(MakerError::NoToken)?;
    let session = module.open_rw_session(slot)?;
    session.login(UserType::User, Some(&pin))?;
    match &request.task {
        Task::Init { .. } => {}
        Task::Generate { kind, label, id } => return generate(&session, *kind, label, id),
        Task::Certificate { label, id, der } => {
            session.create_object(&[
                Attribute::Class(ObjectClass::CERTIFICATE),
                Attribute::CertificateType(CertificateType::X_509),
                Attribute::Token(true),
                Attribute::Private(false),
                Attribute::Label(label.clone().into_bytes()),
                Attribute::Id(id.to_vec()),
                // Required by the standard; nobody looks for the practice certificates by it.
                Attribute::Subject(vec![0x30, 0]),
                Attribute::Value(der.to_vec()),
            ])?;
        }
        Task::Data { label, value } => {
            session.create_object(&[
                Attribute::Class(ObjectClass::DATA),
                Attribute::Token(true),
                Attribute::Private(false),
                Attribute::Label(label.clone().into_bytes()),
                Attribute::Value(value.to_vec()),
            ])?;
        }
        Task::Delete { class, label } => {
            for object in find(&session, *class, label)? {
                session.destroy_object(object)?;
            }
        }
    }
    Ok(Vec::new())
}

fn init(module: &Pkcs11, label: &str, pin: &AuthPin) -> Result<(), MakerError> {
    let slot = module.get_slots_with_token()?.first().copied().ok_or(MakerError::NoSlot)?;
    // Nobody ever signs in as security officer again.
    module.init_token(slot, pin, label)?;
    let slot = module.get_slots_with_initialized_token()?.first().copied().ok_or(MakerError::NoToken)?;
    let session = module.open_rw_session(slot)?;
    session.login(UserType::So, Some(pin))?;
    session.init_pin(pin)?;
    Ok(())
}

fn generate(session: &Session, kind: KeyKind, label: &str, id: &Bytes) -> Result<Vec<u8>, MakerError> {
    let name = [Attribute::Label(label.as_bytes().to_vec()), Attribute::Id(id.to_vec())];
    let private = [
        &[
            Attribute::Token(true),
            Attribute::Private(true),
            Attribute::Sensitive(true),
            Attribute::Extractable(false),
            Attribute::Sign(true),
        ][..],
        &name,
    ]
    .concat();
    let (mechanism, shape) = match spki::curve(kind) {
        Some(curve) => (Mechanism::EccKeyPairGen, vec![Attribute::EcParams(curve.to_der().map_err(SpkiError::from)?)]),
        None => (
            Mechanism::RsaPkcsKeyPairGen,
            vec![
                Attribute::ModulusBits(rsa_bits(kind).into()),
                Attribute::PublicExponent(vec![1, 0, 1]), // 65537
            ],
        ),
    };
    // A session object: it is read below and gone with the process.
    let public = [&[Attribute::Token(false), Attribute::Private(false), Attribute::Verify(true)][..], &shape].concat();
    let (public, _) = session.generate_key_pair(&mechanism, &public, &private)?;
    Ok(spki::of_public_key(session, public, kind)?)
}

fn rsa_bits(kind: KeyKind) -> std::ffi::c_ulong {
    match kind {
        KeyKind::Rsa3072 => 3072,
        KeyKind::Rsa4096 => 4096,
        KeyKind::Rsa2048 | KeyKind::EcP256 | KeyKind::EcP384 | KeyKind::EcP521 => 2048,
    }
}

fn find(session: &Session, class: Class, label: &str) -> Result<Vec<ObjectHandle>, MakerError> {
    let class = match class {
        Class::Certificate => ObjectClass::CERTIFICATE,
        Class::PrivateKey => ObjectClass::PRIVATE_KEY,
    };
    let found = session.find_objects(&[Attribute::Class(class), Attribute::Label(label.as_bytes().to_vec())])?;
    if found.is_empty() { Err(MakerError::NoObject(label.to_owned())) } else { Ok(found) }
}

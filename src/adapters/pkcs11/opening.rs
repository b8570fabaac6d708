//! What stands before a session: the module, the slot, the PIN.

use std::path::Path;

use cryptoki::context::{CInitializeArgs, CInitializeFlags, Function, Pkcs11};
use cryptoki::error::{Error, RvError};
use cryptoki::session::{Session, UserType};
use cryptoki::slot::{Slot, TokenInfo};
use cryptoki::types::AuthPin;

use super::failure::from_module;
use super::worker::Link;
use crate::domain::profile::{Pin, SlotChoice};
use crate::domain::{Failure, ReasonCode};

/// Loads and initialises.
pub(super) fn start_module(path: &Path, link: &Link) -> Result<Pkcs11, Failure> {
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

/// A reader has one; hardware for servers has some dozens.
const MOST_SLOTS: usize = 256;

pub(super) fn choose_slot(module: &Pkcs11, choice: &SlotChoice, link: &Link) -> Result<(Slot, TokenInfo), Failure> {
    link.calling("C_GetSlotList");
    let slots = module.get_slots_with_token().map_err(from_module)?;
    if slots.len() > MOST_SLOTS {
        return Err(Failure::new(ReasonCode::TOKEN_ABSENT, format!("C_GetSlotList shows {} slots", slots.len())));
    }
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
pub(super) fn login(session: &Session, pin: &AuthPin, link: &Link) -> Result<(), Failure> {
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

/// Never logged, never in a failure.
pub(super) fn pin_value(pin: &Pin) -> Result<AuthPin, Failure> {
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

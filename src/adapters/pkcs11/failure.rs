//! From PKCS#11's return values (PKCS#11 v3.0 §5.1) to reason codes.

use cryptoki::context::Function;
use cryptoki::error::{Error, RvError};

use crate::domain::{Failure, ReasonCode};

/// What a module's error means for the unit, with the function and the return value as the cause.
pub(super) fn from_module(error: Error) -> Failure {
    match error {
        Error::Pkcs11(value, function) => Failure::new(code(&value, function), cause(&value, function)),
        Error::LibraryLoading(error) => Failure::new(ReasonCode::TOKEN_MODULE, format!("dlopen: {error}")),
        Error::MissingSymbol(name) => Failure::new(ReasonCode::TOKEN_MODULE, format!("the module has no {name}")),
        Error::NullFunctionPointer => {
            Failure::new(ReasonCode::TOKEN_MODULE, "the module lacks a PKCS#11 function that is needed")
        }
        // What is left are values that make no sense: lengths that overflow, texts that are none.
        other => Failure::new(ReasonCode::TOKEN_REFUSED, format!("the module's answer makes no sense: {other}")),
    }
}

fn code(value: &RvError, function: Function) -> ReasonCode {
    use RvError as V;
    match value {
        V::DeviceError | V::DeviceRemoved | V::TokenNotPresent | V::SessionClosed | V::SessionHandleInvalid => {
            ReasonCode::TOKEN_LOST
        }
        V::TokenNotRecognized | V::SlotIdInvalid => ReasonCode::TOKEN_ABSENT,
        V::PinIncorrect
        | V::PinInvalid
        | V::PinLenRange
        | V::PinExpired
        | V::PinLocked
        | V::UserPinNotInitialized
        | V::UserNotLoggedIn => ReasonCode::TOKEN_PIN,
        V::MechanismInvalid | V::MechanismParamInvalid | V::KeyTypeInconsistent => ReasonCode::TOKEN_MECHANISM,
        _ => match function {
            Function::Initialize | Function::GetFunctionList | Function::GetInterface | Function::GetInfo => {
                ReasonCode::TOKEN_MODULE
            }
            // NXP's module says CKR_FUNCTION_FAILED, others CKR_GENERAL_ERROR, when the link breaks.
            Function::OpenSession
            | Function::FindObjectsInit
            | Function::FindObjects
            | Function::GetAttributeValue
            | Function::GetTokenInfo
                if matches!(value, V::FunctionFailed | V::GeneralError) =>
            {
                ReasonCode::TOKEN_LOST
            }
            _ => ReasonCode::TOKEN_REFUSED,
        },
    }
}

fn cause(value: &RvError, function: Function) -> String {
    format!("{} returned {}", function_name(function), value_name(value))
}

pub(super) fn function_name(function: Function) -> String {
    format!("C_{function:?}")
}

/// The standard's own name: cryptoki's `Display` is the standard's whole paragraph.
fn value_name(value: &RvError) -> String {
    match value {
        RvError::VendorDefined(number) => format!("CKR_VENDOR_DEFINED ({number:#x})"),
        RvError::UnknownErrorCode(number) => format!("the unknown value {number:#x}"),
        named => {
            let mut name = "CKR".to_owned();
            for c in format!("{named:?}").chars() {
                if c.is_ascii_uppercase() {
                    name.push('_');
                }
                name.push(c.to_ascii_uppercase());
            }
            name
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(value: RvError, function: Function) -> Failure {
        from_module(Error::Pkcs11(value, function))
    }

    #[test]
    fn the_cause_names_function_and_value_as_the_standard_does() {
        let said = |value, function| failure(value, function).to_string();
        assert_eq!(said(RvError::DeviceError, Function::OpenSession), "T-205: C_OpenSession returned CKR_DEVICE_ERROR");
        assert_eq!(said(RvError::PinIncorrect, Function::Login), "T-206: C_Login returned CKR_PIN_INCORRECT");
        assert_eq!(
            said(RvError::VendorDefined(0x8000_0001), Function::Sign),
            "T-209: C_Sign returned CKR_VENDOR_DEFINED (0x80000001)"
        );
    }

    #[test]
    fn the_same_value_means_different_things_in_different_functions() {
        assert_eq!(failure(RvError::FunctionFailed, Function::FindObjects).code, ReasonCode::TOKEN_LOST);
        assert_eq!(failure(RvError::FunctionFailed, Function::Sign).code, ReasonCode::TOKEN_REFUSED);
        assert_eq!(failure(RvError::GeneralError, Function::Initialize).code, ReasonCode::TOKEN_MODULE);
        assert_eq!(failure(RvError::MechanismInvalid, Function::SignInit).code, ReasonCode::TOKEN_MECHANISM);
    }
}

//! One C_Sign a signature.
//!
//! cryptoki asks for the signature's length first, with a NULL buffer (PKCS#11 v3.0 §5.2). NXP's
//! module really signs then, so each signature would cost two, and count twice where the chip counts.
//! Here the buffer is large enough from the start. This is the crate's only unsafe code.
#![allow(unsafe_code)]

use std::path::Path;

use cryptoki::context::Function;
use cryptoki::error::{Error, Result, Rv, RvError};
use cryptoki::mechanism::Mechanism;
use cryptoki::object::ObjectHandle;
use cryptoki::session::Session;
use cryptoki_sys::{CK_FUNCTION_LIST, CK_MECHANISM, CK_ULONG};

/// RSA-8192's length; ECDSA P-521 needs 132.
const LARGEST_SIGNATURE: usize = 1024;

/// The module's functions, a second time: cryptoki does not give out its own pointers.
pub(super) struct Signer {
    functions: CK_FUNCTION_LIST,
    /// Keeps the pointers in `functions` alive.
    _module: cryptoki_sys::Pkcs11,
}

impl Signer {
    /// `module`: the path that is loaded already, so dlopen gives the same library again.
    pub(super) fn of(module: &Path) -> Result<Self> {
        // SAFETY: the library was loaded and initialised before; loading it again runs no code of
        // it. C_GetFunctionList fills in a pointer to a list that lives as long as the library.
        unsafe {
            let module = cryptoki_sys::Pkcs11::new(module).map_err(Error::LibraryLoading)?;
            if module.C_GetFunctionList.is_err() {
                return Err(Error::MissingSymbol("C_GetFunctionList"));
            }
            let mut list = std::ptr::null_mut();
            Rv::from(module.C_GetFunctionList(&mut list)).into_result(Function::GetFunctionList)?;
            if list.is_null() {
                return Err(Error::NullFunctionPointer);
            }
            Ok(Self { functions: *list, _module: module })
        }
    }

    /// Signs `data` by `mechanism`.
    pub(super) fn sign(
        &self,
        session: &Session,
        key: ObjectHandle,
        mechanism: &Mechanism,
        data: &[u8],
    ) -> Result<Vec<u8>> {
        let init = self.functions.C_SignInit.ok_or(Error::NullFunctionPointer)?;
        let sign = self.functions.C_Sign.ok_or(Error::NullFunctionPointer)?;
        let mut raw = match mechanism {
            // Pure Ed25519 takes none (PKCS#11 v3.0 §6.3.5); cryptoki would give it some.
            Mechanism::Eddsa(_) => CK_MECHANISM {
                mechanism: mechanism.mechanism_type().into(),
                pParameter: std::ptr::null_mut(),
                ulParameterLen: 0,
            },
            // Its parameters stay where they are in `mechanism`.
            mechanism => CK_MECHANISM::from(mechanism),
        };
        // The function takes a pointer to mutable data.
        let mut data = data.to_vec();
        let mut signature = vec![0; LARGEST_SIGNATURE];
        let mut length = LARGEST_SIGNATURE as CK_ULONG;
        // SAFETY: the session is open and used by this thread only; every pointer is valid for its
        // stated length during the call, and the module writes no more than `length` bytes.
        let begun = unsafe { init(session.handle(), &mut raw, key.handle()) };
        match Rv::from(begun) {
            // p11-kit's client makes an unconnected instance of itself for each C_GetFunctionList;
            // there the length query is the price.
            Rv::Error(RvError::CryptokiNotInitialized) => return session.sign(mechanism, key, &data),
            other => other.into_result(Function::SignInit)?,
        }
        // SAFETY: as above.
        let signed = unsafe {
            sign(session.handle(), data.as_mut_ptr(), data.len() as CK_ULONG, signature.as_mut_ptr(), &mut length)
        };
        Rv::from(signed).into_result(Function::Sign)?;
        signature.truncate(usize::try_from(length)?);
        Ok(signature)
    }
}

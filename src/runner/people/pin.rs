//! What is kept of a PIN: Argon2id (RFC 9106) as a PHC string.

use argon2::password_hash::{Error, PasswordHasher as _, PasswordVerifier as _};
use argon2::{Algorithm, Argon2, Params, Version};
use secrecy::ExposeSecret as _;

use crate::domain::{Failure, Pin, ReasonCode};

/// OWASP's minimum for Argon2id: 19 MiB, two passes, one lane.
const MEMORY_KIB: u32 = 19 * 1024;
const PASSES: u32 = 2;
const LANES: u32 = 1;

/// Sixteen bytes, as RFC 9106 §3.1 recommends for passwords.
pub(super) type Salt = [u8; 16];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Compared {
    Right,
    Wrong,
}

pub(super) async fn hash(pin: &Pin, salt: Salt) -> Result<String, Failure> {
    let pin = pin.clone();
    compute(move || {
        let hash = argon2()?.hash_password_with_salt(pin.expose_secret().as_bytes(), &salt).map_err(not_computed)?;
        Ok(hash.to_string())
    })
    .await
}

/// By the parameters that `stored` names: they may rise without locking anybody out.
pub(super) async fn compare(pin: &Pin, stored: String) -> Result<Compared, Failure> {
    let pin = pin.clone();
    compute(move || match argon2()?.verify_password(pin.expose_secret().as_bytes(), stored.as_str()) {
        Ok(()) => Ok(Compared::Right),
        Err(Error::PasswordInvalid) => Ok(Compared::Wrong),
        Err(error @ (Error::OutOfMemory | Error::Internal)) => Err(not_computed(error)),
        Err(error) => Err(Failure::new(ReasonCode::STORE_CORRUPT, format!("a PIN's stored hash is none: {error}"))),
    })
    .await
}

/// Takes as long as [`compare`] does, where there is nothing to compare with.
pub(super) async fn compare_with_nothing(pin: &Pin) -> Result<(), Failure> {
    hash(pin, Salt::default()).await.map(drop)
}

/// It is made to take long: not on the threads that drive the line.
pub(super) async fn compute<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Failure> + Send + 'static,
) -> Result<T, Failure> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| Failure::new(ReasonCode::STATION_STOPPED, format!("a hash was not computed: {error}")))?
}

fn argon2() -> Result<Argon2<'static>, Failure> {
    Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, parameters()?))
}

pub(super) fn parameters() -> Result<Params, Failure> {
    Params::new(MEMORY_KIB, PASSES, LANES, None).map_err(|error| not_computed(error.into()))
}

pub(super) fn not_computed(error: Error) -> Failure {
    Failure::new(ReasonCode::STORE_FAILED, format!("a hash can't be computed: {error}"))
}

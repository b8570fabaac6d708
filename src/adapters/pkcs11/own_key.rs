//! A key in a token that is no board's: the log's, a CA's.

use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use crate::config::TokenKey;
use crate::domain::profile::Pin;
use crate::ports::TokenAccess;

/// A network HSM signs in milliseconds; one that has to fail over takes seconds.
const CALL_TIMEOUT: Duration = Duration::from_secs(15);
const OPEN_TIMEOUT: Duration = Duration::from_secs(30);

pub(in crate::adapters) fn access_to(token: &TokenKey) -> TokenAccess {
    TokenAccess {
        module: token.module.clone(),
        environment: token.environment.clone(),
        command: None,
        slot: token.slot.clone(),
        // There need not be one, and nobody reads it.
        certificate: token.key.clone(),
        key: token.key.clone(),
        uid: None,
        pin: token.pin.clone(),
        port: None,
        call_timeout: CALL_TIMEOUT,
        open_timeout: OPEN_TIMEOUT,
    }
}

/// Whoever reads the PIN signs in the key's name: `Err` says what is wrong. A file that is not there is told by
/// who reads it.
pub(in crate::adapters) fn refuse_open_pin(access: &TokenAccess) -> Result<(), String> {
    let Some(Pin::File(path)) = &access.pin else { return Ok(()) };
    let mode = std::fs::metadata(path).map_or(0, |found| found.permissions().mode() & 0o7777);
    match mode & 0o077 {
        0 => Ok(()),
        _ => Err(format!("others may read the PIN file {} (mode {mode:04o}): chmod 600 it", path.display())),
    }
}

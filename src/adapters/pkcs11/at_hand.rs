//! Whether what a profile's token needs of this computer is there. Nothing is loaded: the module may hang, and is
//! its board's.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use super::opening::pin_value;
use crate::domain::profile::TokenPlan;
use crate::domain::{Failure, ReasonCode};

/// `T-201` for the module, `T-206` for the PIN.
pub fn at_hand(plan: &TokenPlan) -> Result<(), Failure> {
    let module = |cause: String| {
        let cause = format!("{}: {cause}", plan.module.display());
        Failure::new(ReasonCode::TOKEN_MODULE, cause).with("module", plan.module.display())
    };
    let header = elf(&plan.module).map_err(module)?;
    // Where this program can't be read, nothing is known against the module.
    if elf(Path::new("/proc/self/exe")).is_ok_and(|own| own != header) {
        return Err(module("is made for another kind of computer".to_owned()));
    }
    plan.pin.as_ref().map(pin_value).transpose().map(drop)
}

/// Class, byte order and machine of an ELF file (System V ABI, "ELF Header").
fn elf(path: &Path) -> Result<([u8; 2], [u8; 2]), String> {
    let mut header = [0; 20];
    let mut file = File::open(path).map_err(|error| error.to_string())?;
    file.read_exact(&mut header).map_err(|_| "is no library".to_owned())?;
    match header {
        [0x7f, b'E', b'L', b'F', class, order, .., m0, m1] => Ok(([class, order], [m0, m1])),
        _ => Err("is no library".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_module_for_another_machine_is_told_from_one_for_this() {
        let own = elf(Path::new("/proc/self/exe")).unwrap();
        let dir = tempfile::tempdir().unwrap();
        let other = dir.path().join("other.so");
        let mut bytes = std::fs::read("/proc/self/exe").unwrap();
        bytes.truncate(64);
        bytes[18] ^= 0xff;
        std::fs::write(&other, bytes).unwrap();
        assert_ne!(elf(&other).unwrap(), own);
        std::fs::write(&other, "#!/bin/sh\nexit 0 # longer than a header").unwrap();
        assert_eq!(elf(&other).unwrap_err(), "is no library");
    }
}

//! PINs and badges: from a file, from a terminal that shows nothing, or one a line from standard input.

use std::fs::File;
use std::io::{self, IsTerminal as _, Read as _};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use rustix::termios::{LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcsetattr};
use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret as _, SecretString};

use super::output;
use crate::domain::{BadgeCode, Failure, InvalidBadge, InvalidPin, Pin, ReasonCode};

/// More than any PIN in UTF-8, and no file that was named by mistake.
const LONGEST: usize = 512;

/// None of them repeats what was typed.
#[derive(Debug, thiserror::Error)]
pub enum PinError {
    #[error("the PIN file {} can't be read", path.display())]
    File { path: PathBuf, source: io::Error },
    #[error("others may read the PIN file {} (mode {mode:04o}): chmod 600 it", path.display())]
    Readable { path: PathBuf, mode: u32 },
    #[error("the PIN can't be read from standard input")]
    Input(#[source] io::Error),
    #[error("no PIN was given: standard input ended")]
    Ended,
    #[error("no PIN was given: interrupted")]
    Interrupted,
    #[error("the two PINs differ: nothing was changed")]
    Differ,
    #[error("this is no PIN")]
    Invalid(#[from] InvalidPin),
    #[error("this is no badge")]
    InvalidBadge(#[from] InvalidBadge),
}

impl From<PinError> for Failure {
    fn from(error: PinError) -> Self {
        let cause = match std::error::Error::source(&error) {
            Some(source) => format!("{error}: {source}"),
            None => error.to_string(),
        };
        Failure::new(ReasonCode::ARGUMENT_REFUSED, cause)
    }
}

/// The PIN that a person signs in with.
pub fn known(who: &str, file: Option<&Path>) -> Result<Pin, PinError> {
    ask(&format!("PIN of {who}: "), file)
}

/// A PIN that a person is given: what is typed blindly is typed twice.
pub fn new(who: &str, file: Option<&Path>) -> Result<Pin, PinError> {
    let pin = ask(&format!("New PIN of {who}: "), file)?;
    if file.is_none() && io::stdin().is_terminal() {
        let again = ask("The same once more: ", None)?;
        if again.expose_secret() != pin.expose_secret() {
            return Err(PinError::Differ);
        }
    }
    Ok(pin)
}

/// A badge that a person is given, with or without what the station's badges begin with.
pub fn badge(who: &str, file: Option<&Path>, prefix: &str) -> Result<BadgeCode, PinError> {
    let text = secret(&format!("Scan the badge of {who}: "), file)?;
    let code = text.expose_secret();
    Ok(SecretString::from(code.strip_prefix(prefix).unwrap_or(code)).try_into()?)
}

fn ask(prompt: &str, file: Option<&Path>) -> Result<Pin, PinError> {
    Ok(secret(prompt, file)?.try_into()?)
}

fn secret(prompt: &str, file: Option<&Path>) -> Result<SecretString, PinError> {
    match file {
        Some(path) => from_file(path),
        None if io::stdin().is_terminal() => from_terminal(prompt),
        None => from_input(),
    }
}

fn from_file(path: &Path) -> Result<SecretString, PinError> {
    let unreadable = |source| PinError::File { path: path.to_owned(), source };
    let file = File::open(path).map_err(unreadable)?;
    let mode = file.metadata().map_err(unreadable)?.permissions().mode() & 0o7777;
    if mode & 0o077 != 0 {
        return Err(PinError::Readable { path: path.to_owned(), mode });
    }
    let mut bytes = Zeroizing::new(Vec::with_capacity(LONGEST));
    file.take(LONGEST as u64).read_to_end(&mut bytes).map_err(unreadable)?;
    line(&bytes)
}

fn from_input() -> Result<SecretString, PinError> {
    let mut text = Zeroizing::new(String::with_capacity(LONGEST));
    match io::stdin().read_line(&mut text).map_err(PinError::Input)? {
        0 => Err(PinError::Ended),
        _ => line(text.as_bytes()),
    }
}

/// Without its line's end.
fn line(bytes: &[u8]) -> Result<SecretString, PinError> {
    let text = std::str::from_utf8(bytes).map_err(|_| InvalidPin)?;
    let text = text.strip_suffix('\n').map_or(text, |text| text.strip_suffix('\r').unwrap_or(text));
    Ok(SecretString::from(text))
}

fn from_terminal(prompt: &str) -> Result<SecretString, PinError> {
    let stdin = io::stdin();
    let terminal = Quiet::start(stdin.as_fd())?;
    output::ask(prompt);
    let typed = terminal.read_line();
    // The person's Enter was not shown, either.
    output::say("");
    typed
}

/// A terminal that shows nothing and hands over each key as it is pressed, until this is dropped: were
/// Ctrl-C left to the terminal, it would end the program and leave the shell silent.
struct Quiet<'a> {
    terminal: BorrowedFd<'a>,
    before: Termios,
}

impl<'a> Quiet<'a> {
    fn start(terminal: BorrowedFd<'a>) -> Result<Self, PinError> {
        let before = tcgetattr(terminal).map_err(|error| PinError::Input(error.into()))?;
        let mut quiet = before.clone();
        quiet.local_modes -= LocalModes::ECHO | LocalModes::ECHONL | LocalModes::ICANON | LocalModes::ISIG;
        quiet.special_codes[SpecialCodeIndex::VMIN] = 1;
        quiet.special_codes[SpecialCodeIndex::VTIME] = 0;
        // What was typed before the question is no answer to it.
        tcsetattr(terminal, OptionalActions::Flush, &quiet).map_err(|error| PinError::Input(error.into()))?;
        Ok(Self { terminal, before })
    }

    fn read_line(&self) -> Result<SecretString, PinError> {
        let mut typed = Zeroizing::new(Vec::with_capacity(LONGEST));
        loop {
            let mut key = [0];
            let count = rustix::io::retry_on_intr(|| rustix::io::read(self.terminal, &mut key));
            match (count.map_err(|error| PinError::Input(error.into()))?, key[0]) {
                // Hung up; Ctrl-D.
                (0, _) | (_, 0x04) if typed.is_empty() => return Err(PinError::Ended),
                (0, _) | (_, 0x04 | b'\r' | b'\n') => return line(&typed),
                (_, 0x03) => return Err(PinError::Interrupted),
                // Ctrl-U.
                (_, 0x15) => typed.clear(),
                // Backspace: to the start of a UTF-8 sequence.
                (_, 0x08 | 0x7f) => while typed.pop().is_some_and(|byte| byte & 0xc0 == 0x80) {},
                // Any other key that is no character makes it no PIN.
                (_, byte) if typed.len() < LONGEST => typed.push(byte),
                _ => {}
            }
        }
    }
}

impl Drop for Quiet<'_> {
    fn drop(&mut self) {
        if let Err(error) = tcsetattr(self.terminal, OptionalActions::Now, &self.before) {
            tracing::warn!(%error, "the terminal goes on showing nothing: `stty sane` helps");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;

    use super::*;

    fn file(text: &[u8], mode: u32) -> Result<String, String> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        std::fs::set_permissions(file.path(), Permissions::from_mode(mode)).unwrap();
        let pin = known("Aiko", Some(file.path()));
        let text = pin.map(|pin| pin.expose_secret().to_owned());
        text.map_err(|error| Failure::from(error).cause.replace(&file.path().display().to_string(), "FILE"))
    }

    #[test]
    fn a_pin_file_is_the_owners_alone() {
        for mode in [0o600, 0o400, 0o700] {
            assert_eq!(file(b"73509182645", mode).unwrap(), "73509182645");
        }
        for mode in [0o640, 0o604, 0o644, 0o620, 0o602, 0o610] {
            let said = file(b"73509182645", mode).unwrap_err();
            assert_eq!(said, format!("others may read the PIN file FILE (mode {mode:04o}): chmod 600 it"));
        }
        let missing = Failure::from(known("Aiko", Some(Path::new("/nowhere/pin"))).unwrap_err());
        assert!(missing.cause.starts_with("the PIN file /nowhere/pin can't be read: No such file"), "{missing}");
    }

    #[test]
    fn a_lines_end_is_no_part_of_a_pin_and_more_than_a_line_is_no_pin() {
        for text in ["aiko's pin\n", "aiko's pin\r\n", "aiko's pin"] {
            assert_eq!(file(text.as_bytes(), 0o600).unwrap(), "aiko's pin");
        }
        assert_eq!(file(" 1234 \n".as_bytes(), 0o600).unwrap(), " 1234 ");
        for bad in [b"1234\n\n".as_slice(), b"1234\n5678\n", b"", b"\n", b"12\xff34", &[b'1'; 2000]] {
            let said = file(bad, 0o600).unwrap_err();
            assert_eq!(said, "this is no PIN: a PIN is 4 to 64 printable characters, not all of them spaces");
        }
    }
}

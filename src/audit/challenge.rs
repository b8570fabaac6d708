//! What the chip signs.

use crate::audit::event::Purpose;
use crate::domain::{PortPath, RunId, Unit};

/// Everything a challenge is bound to, so that an answer can serve no other run, board or purpose.
#[derive(Debug, Clone, Copy)]
pub struct ChallengeFacts<'a> {
    pub run: RunId,
    pub unit: &'a Unit,
    pub port: &'a PortPath,
    pub purpose: Purpose,
    /// The root of the latest tree head: ties the challenge to the log's state.
    pub log_root: [u8; 32],
    pub random: [u8; 32],
}

const CONTEXT: &str = "lineseal challenge v1";

/// Of what is signed for a person who only looks.
const LOOK: &str = "lineseal look v1";

impl ChallengeFacts<'_> {
    /// Is `message` a challenge of this run, board and purpose? What the log's state and the random bytes
    /// were is its own to say.
    pub fn are_of(&self, message: &[u8]) -> bool {
        let Some(rest) = message.len().checked_sub(2 * (LENGTH + HASH)) else { return false };
        let own = challenge(&ChallengeFacts { log_root: [0; HASH], random: [0; HASH], ..*self });
        let length = (HASH as u32).to_be_bytes();
        let (root, random) = message[rest..].split_at(LENGTH + HASH);
        own.get(..rest) == Some(&message[..rest]) && root.starts_with(&length) && random.starts_with(&length)
    }
}

/// A challenge's fields after the first, which names its kind: run, product, serial number, port, purpose, the
/// log's root and the random bytes. `None`: it is no challenge of this kind.
pub fn fields(message: &[u8]) -> Option<[&[u8]; 7]> {
    let mut rest = message;
    let mut next = || {
        let (length, after) = rest.split_first_chunk::<LENGTH>()?;
        let (field, after) = after.split_at_checked(usize::try_from(u32::from_be_bytes(*length)).ok()?)?;
        rest = after;
        Some(field)
    };
    if next()? != CONTEXT.as_bytes() {
        return None;
    }
    let fields = [next()?, next()?, next()?, next()?, next()?, next()?, next()?];
    rest.is_empty().then_some(fields)
}

/// Of a field's length, and of a hash.
const LENGTH: usize = 4;
const HASH: usize = 32;

/// The challenge: each field behind its length in four bytes, big-endian.
pub fn challenge(facts: &ChallengeFacts) -> Vec<u8> {
    framed(&[
        CONTEXT.as_bytes(),
        facts.run.as_uuid().as_bytes(),
        facts.unit.product.as_str().as_bytes(),
        facts.unit.serial.as_str().as_bytes(),
        facts.port.as_str().as_bytes(),
        facts.purpose.as_str().as_bytes(),
        &facts.log_root,
        &facts.random,
    ])
}

/// A challenge that belongs to no run: what a chip answers to it proves the chip to whoever asked, and no
/// run, now or later.
pub fn look_challenge(port: &PortPath, random: &[u8; 32]) -> Vec<u8> {
    framed(&[LOOK.as_bytes(), port.as_str().as_bytes(), random])
}

fn framed(fields: &[&[u8]]) -> Vec<u8> {
    let mut message = Vec::with_capacity(256);
    for field in fields {
        // Every field is far below 4 GiB: the longest text of the domain has 255 bytes.
        message.extend_from_slice(&(field.len() as u32).to_be_bytes());
        message.extend_from_slice(field);
    }
    message
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_signed_for_a_look_is_no_challenge_of_any_run() {
        let port: PortPath = "jig-01".parse().unwrap();
        let look = look_challenge(&port, &[7; 32]);
        let unit = Unit { product: "gateway".parse().unwrap(), serial: "A-1".parse().unwrap() };
        for purpose in [Purpose::First, Purpose::BeforeRegister, Purpose::AfterConnect] {
            let run = RunId::from_random([1; 16]);
            let facts = ChallengeFacts { run, unit: &unit, port: &port, purpose, log_root: [7; 32], random: [7; 32] };
            assert!(facts.are_of(&challenge(&facts)));
            assert!(!facts.are_of(&look));
        }
        // Nor the beginning of one: the first field tells them apart, by its length already.
        assert_ne!(look[..4], (CONTEXT.len() as u32).to_be_bytes());
    }
}

//! A key that somebody has from elsewhere, and how far it counts.

use std::fmt;
use std::str::FromStr;

use crate::audit::note::{KeyError, VerifierKey};

/// As `lineseal audit key show` prints it: the verifier key, and ` until SIZE` behind one that was replaced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GivenKey {
    pub key: VerifierKey,
    /// The size of the largest checkpoint that it vouches for: the one with the event that replaced it.
    pub until: Option<u64>,
}

const UNTIL: &str = " until ";

impl From<VerifierKey> for GivenKey {
    fn from(key: VerifierKey) -> Self {
        Self { key, until: None }
    }
}

/// Why a line is no key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GivenKeyError {
    #[error(transparent)]
    Key(#[from] KeyError),
    #[error("{0:?} is no size of a log")]
    Until(String),
}

impl FromStr for GivenKey {
    type Err = GivenKeyError;

    fn from_str(line: &str) -> Result<Self, GivenKeyError> {
        let Some((key, until)) = line.split_once(UNTIL) else { return Ok(line.parse::<VerifierKey>()?.into()) };
        let size = until.parse().ok().filter(|size: &u64| size.to_string() == until);
        Ok(Self { key: key.parse()?, until: Some(size.ok_or_else(|| GivenKeyError::Until(until.to_owned()))?) })
    }
}

impl fmt::Display for GivenKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { key, until } = self;
        write!(f, "{key}")?;
        until.map_or(Ok(()), |size| write!(f, "{UNTIL}{size}"))
    }
}

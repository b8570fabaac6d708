//! Who acts, and how that is proven: arguments that all privileged commands share.

use std::path::PathBuf;

use super::{Global, pin};
use crate::bootstrap::Records;
use crate::domain::{Failure, ReasonCode, Role};
use crate::ports::People;
use crate::runner::LogWriter;
use crate::runner::people::{self, Named, SignedIn};

/// The person named with `--as`.
#[derive(clap::Args, Clone)]
pub struct Acting {
    /// Holds the PIN of the person who acts (--as); without it, the PIN is asked for.
    #[arg(long, value_name = "FILE")]
    pin_file: Option<PathBuf>,
}

/// A second person beside the one who acts.
#[derive(clap::Args, Clone)]
pub struct Second {
    /// The second person.
    #[arg(long, value_name = "OPERATOR")]
    second: Option<String>,
    /// Holds the second person's PIN; without it, the PIN is asked for.
    #[arg(long, value_name = "FILE", requires = "second")]
    second_pin_file: Option<PathBuf>,
}

impl Acting {
    /// Who operates: a PIN is asked for where the name takes one, and read where one is given and the log knows people.
    /// Where its database is away, it is only read from a file, and the station waits.
    pub async fn named(&self, global: &Global, people: &dyn People, required: bool) -> Result<Named, Failure> {
        let Some(name) = &global.operator else { return Ok(Named { required, ..Named::default() }) };
        let file = self.pin_file.as_deref();
        let takes_one = match file {
            Some(_) => people::are_known(people).await,
            None => people::must_prove(people, name, required).await,
        };
        let asked = match takes_one {
            Ok(asked) => asked,
            Err(failure) if failure.code == ReasonCode::STORE_AWAY => file.is_some(),
            Err(failure) => return Err(failure),
        };
        let pin = if asked { Some(pin::known(name, file)?) } else { None };
        Ok(Named { name: Some(name.clone()), pin, required })
    }

    /// The log in the name of whoever acts, for what needs no role.
    pub async fn operating(&self, global: &Global, records: &Records, required: bool) -> Result<LogWriter, Failure> {
        let named = self.named(global, &*records.people, required).await?;
        people::operating(&records.log, &*records.people, &named).await
    }

    /// To a log that is not in its place yet.
    pub async fn sign_in_to(
        &self,
        global: &Global,
        log: &LogWriter,
        people: &dyn People,
        roles: &[Role],
    ) -> Result<SignedIn, Failure> {
        let Some(name) = &global.operator else {
            return Err(Failure::new(ReasonCode::ARGUMENT_REFUSED, "say who acts: --as OPERATOR"));
        };
        let pin = pin::known(name, self.pin_file.as_deref())?;
        people::sign_in(log, people, name, &pin, roles).await
    }

    pub async fn sign_in(&self, global: &Global, records: &Records, roles: &[Role]) -> Result<SignedIn, Failure> {
        self.sign_in_to(global, &records.log, &*records.people, roles).await
    }
}

impl Second {
    /// `None` when no second person was named.
    pub async fn sign_in(&self, records: &Records, roles: &[Role]) -> Result<Option<SignedIn>, Failure> {
        let Some(name) = &self.second else { return Ok(None) };
        let pin = pin::known(name, self.second_pin_file.as_deref())?;
        people::sign_in(&records.log, &*records.people, name, &pin, roles).await.map(Some)
    }
}

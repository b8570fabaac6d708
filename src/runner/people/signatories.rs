//! Who stands behind a ruling.

use std::collections::BTreeSet;

use uuid::Uuid;

use super::SignedIn;
use crate::domain::{Failure, OperatorRef, Persons, ReasonCode, Role};

/// Those who sign a ruling: different people of the right role, none of whom operated what it is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signatories {
    first: SignedIn,
    second: Option<SignedIn>,
}

impl Signatories {
    /// `operated`: who operated the runs that the ruling is about. O-610 without one of `roles`, O-611
    /// when somebody is missing, is twice the same, or is among `operated`.
    ///
    /// A second person who is not needed is held to the same.
    pub fn new(
        first: SignedIn,
        second: Option<SignedIn>,
        needed: Persons,
        roles: &[Role],
        operated: &BTreeSet<Uuid>,
    ) -> Result<Self, Failure> {
        let refuse = |cause: String| Err(Failure::new(ReasonCode::OPERATOR_SECOND, cause));
        for person in std::iter::once(&first).chain(&second) {
            person.has_one_of(roles)?;
            if operated.contains(&person.operator().id) {
                return refuse(format!("{} operated a run that this is about", person.name()));
            }
        }
        match &second {
            Some(second) if second.operator().id == first.operator().id => {
                refuse(format!("{} is the first person and the second", first.name()))
            }
            None if needed == Persons::Two => refuse("nobody signed in as the second person".to_owned()),
            _ => Ok(Self { first, second }),
        }
    }

    /// In whose name the event is written.
    pub fn first(&self) -> &SignedIn {
        &self.first
    }

    pub fn second(&self) -> Option<&OperatorRef> {
        self.second.as_ref().map(SignedIn::operator)
    }
}

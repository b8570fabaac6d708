//! The people at the line, as the log knows them.

use super::Invalid;

/// How an event names a person: a random id and SHA-256(32-byte salt ‖ name). Salt and name live
/// outside the log, so that a person can be forgotten without rewriting it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct OperatorRef {
    pub id: uuid::Uuid,
    /// 64 hexadecimal digits.
    pub name_sha256: String,
}

/// What a person may do. Each works with what is theirs; an administrator sets up the station and
/// the people.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    Technician,
    Qa,
    Supervisor,
    Administrator,
}

impl Role {
    pub const ALL: [Role; 4] = [Role::Technician, Role::Qa, Role::Supervisor, Role::Administrator];

    pub fn as_str(self) -> &'static str {
        match self {
            Role::Technician => "technician",
            Role::Qa => "qa",
            Role::Supervisor => "supervisor",
            Role::Administrator => "administrator",
        }
    }
}

impl std::fmt::Display for Role {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

impl std::str::FromStr for Role {
    type Err = Invalid;
    fn from_str(text: &str) -> Result<Self, Invalid> {
        Role::ALL.into_iter().find(|role| role.as_str() == text).ok_or_else(|| Invalid {
            what: "role",
            value: text.to_owned(),
            rule: "technician, qa, supervisor or administrator",
        })
    }
}

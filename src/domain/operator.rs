//! The people at the line, as the log knows them.

use jiff::SignedDuration;
use secrecy::{ExposeSecret, SecretString};
use unicode_general_category::{GeneralCategory, get_general_category};
use unicode_normalization::UnicodeNormalization as _;
use unicode_security::skeleton;

use super::{Invalid, printable, text_type};

/// How an event names a person: a random id and SHA-256(32-byte salt ‖ name). Salt and name live
/// outside the log, so that a person can be forgotten without rewriting it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct OperatorRef {
    pub id: uuid::Uuid,
    /// 64 hexadecimal digits.
    pub name_sha256: String,
}

text_type!(
    /// The name under which a person signs in.
    PersonName,
    "person's name",
    "1 to 64 bytes of printable text without spaces at its ends, or anything that nobody sees",
    |t| printable(t, 64) && !t.chars().any(is_unseen)
);

/// Joiners, marks of direction and the like (Unicode's Cf): two names may differ by nothing else.
fn is_unseen(c: char) -> bool {
    get_general_category(c) == GeneralCategory::Format
}

impl PersonName {
    /// Would people take the one for the other? By Unicode's table of confusable characters (UTS 39).
    pub fn looks_like(&self, other: &str) -> bool {
        let looks = |name: &str| {
            let name: Vec<_> = name.split_whitespace().collect();
            skeleton(&name.join(" ").nfkc().collect::<String>()).collect::<String>()
        };
        let small = |name: &str| looks(&name.nfkc().collect::<String>().to_lowercase());
        looks(self.as_str()) == looks(other) || small(self.as_str()) == small(other)
    }
}

/// What a person signs in with. Shown nowhere: not by `Debug`, not by the error of its parser.
#[derive(Debug, Clone)]
pub struct Pin(SecretString);

/// The text itself stays secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a PIN is 4 to 64 printable characters, not all of them spaces")]
pub struct InvalidPin;

impl TryFrom<SecretString> for Pin {
    type Error = InvalidPin;
    fn try_from(text: SecretString) -> Result<Self, InvalidPin> {
        let pin = text.expose_secret();
        let blank = pin.trim().is_empty();
        if (4..=64).contains(&pin.chars().count()) && !blank && !pin.chars().any(char::is_control) {
            Ok(Self(text))
        } else {
            Err(InvalidPin)
        }
    }
}

impl ExposeSecret<str> for Pin {
    fn expose_secret(&self) -> &str {
        self.0.expose_secret()
    }
}

/// The same digits. Whoever compares what a person typed with what is known of them compares hashes.
impl PartialEq for Pin {
    fn eq(&self, other: &Self) -> bool {
        self.expose_secret() == other.expose_secret()
    }
}

/// So many wrong PINs in a row lock a person out.
pub const TRIES: u32 = 5;

/// How long a person has to wait after so many wrong PINs in a row: short for who mistyped, and so long
/// for who goes on that guessing four digits takes months.
pub fn lockout(wrong: u32) -> Option<SignedDuration> {
    const MINUTES: [i64; 4] = [1, 5, 15, 60];
    let locks = usize::try_from(wrong.checked_sub(TRIES)?).unwrap_or(usize::MAX);
    Some(SignedDuration::from_mins(MINUTES[locks.min(MINUTES.len() - 1)]))
}

/// What a scanner reads off a badge. Shown nowhere: not by `Debug`, not by the error of its parser.
#[derive(Debug, Clone)]
pub struct BadgeCode(SecretString);

/// The text itself stays secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a badge's code is 8 to 128 printable characters without spaces at its ends")]
pub struct InvalidBadge;

impl TryFrom<SecretString> for BadgeCode {
    type Error = InvalidBadge;
    fn try_from(text: SecretString) -> Result<Self, InvalidBadge> {
        let code = text.expose_secret();
        // A shorter one is found by trying them all.
        let good = (8..=128).contains(&code.chars().count()) && code.trim() == code;
        if good && !code.chars().any(char::is_control) { Ok(Self(text)) } else { Err(InvalidBadge) }
    }
}

impl ExposeSecret<str> for BadgeCode {
    fn expose_secret(&self) -> &str {
        self.0.expose_secret()
    }
}

/// The same characters, as [`Pin`]'s.
impl PartialEq for BadgeCode {
    fn eq(&self, other: &Self) -> bool {
        self.expose_secret() == other.expose_secret()
    }
}

/// How a person proved to be the one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Proof {
    Pin,
    /// Whoever copies a badge has it: enough to operate, and for nothing else.
    Badge,
    BadgeAndPin,
}

impl Proof {
    pub fn has_pin(self) -> bool {
        self != Proof::Badge
    }
}

/// How many persons have to stand behind a ruling.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Persons {
    One,
    #[default]
    Two,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pin_is_4_to_64_printable_characters_and_no_mistake_repeats_it() {
        let pin = |text: &str| Pin::try_from(SecretString::from(text));
        for good in ["1234", "correct horse", "暗証番号", &"9".repeat(64), "ü".repeat(64).as_str()] {
            assert_eq!(pin(good).unwrap().expose_secret(), good);
        }
        for bad in ["", "123", "暗証番", &"9".repeat(65), "1234\n", "12\t34", "\u{7f}1234", "    "] {
            let said = "a PIN is 4 to 64 printable characters, not all of them spaces";
            assert_eq!(pin(bad).unwrap_err().to_string(), said);
        }
        assert!(!format!("{:?}", pin("73509182645")).contains("73509182645"));
    }

    #[test]
    fn a_badge_s_code_is_8_to_128_characters_and_no_mistake_repeats_it() {
        let badge = |text: &str| BadgeCode::try_from(SecretString::from(text));
        for good in ["73509182", "7F-03 11 44", &"9".repeat(128)] {
            assert_eq!(badge(good).unwrap().expose_secret(), good);
        }
        for bad in ["", "7350918", " 73509182", "73509182 ", "7350\t9182", &"9".repeat(129)] {
            let said = "a badge's code is 8 to 128 printable characters without spaces at its ends";
            assert_eq!(badge(bad).unwrap_err().to_string(), said);
        }
        assert!(!format!("{:?}", badge("73509182645")).contains("73509182645"));
    }

    #[test]
    fn who_goes_on_guessing_waits_longer_each_time_and_an_hour_at_most() {
        let minutes = |wrong| lockout(wrong).map(|wait| wait.as_mins());
        assert_eq!((0..TRIES).filter_map(minutes).count(), 0);
        let waits: Vec<_> = (TRIES..TRIES + 6).filter_map(minutes).collect();
        assert_eq!(waits, [1, 5, 15, 60, 60, 60]);
        assert_eq!(minutes(u32::MAX), Some(60));
    }

    #[test]
    fn a_person_has_a_name_that_can_be_typed_again() {
        for good in ["A", "山田 花子", "O'Hara"] {
            good.parse::<PersonName>().unwrap();
        }
        for bad in ["", " A", "A ", "A\tB", &"x".repeat(65), "qa\u{200d}1", "\u{feff}Ann", "An\u{202e}n", "A\u{ad}nn"] {
            bad.parse::<PersonName>().unwrap_err();
        }
    }

    #[test]
    fn names_that_people_would_take_for_each_other_look_alike() {
        let alike = |one: &str, other: &str| one.parse::<PersonName>().unwrap().looks_like(other);
        for (one, other) in [
            ("qa1", "QA1"),
            ("qa1", "qal"),
            ("Ann", "\u{410}nn"),
            ("Ann", "Ａｎｎ"),
            ("Jose\u{301}", "José"),
            ("Ivan", "lvan"),
            ("O0", "OO"),
            ("qa1", "qa\u{200d}1"),
            ("QA One", "QA  One"),
            ("QA One", "QA\u{3000}One"),
        ] {
            assert!(alike(one, other), "{one} {other}");
        }
        for (one, other) in [("Ann", "Anna"), ("qa1", "qa2"), ("山田 花子", "山田 花代"), ("José", "Josef")] {
            assert!(!alike(one, other), "{one} {other}");
        }
    }
}

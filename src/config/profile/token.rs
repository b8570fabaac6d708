//! `[token]`: how the chip is reached through PKCS#11.

use std::collections::BTreeMap;
use std::time::Duration;

use super::board::{self, millis};
use crate::config::pkcs11_uri::{self, ObjectType};
use crate::config::problem::Mistake;
use crate::config::section::{Entry, Known, Section};
use crate::domain::profile::{ObjectName, Pin, SlotChoice, TokenPlan, UidRule};
use crate::domain::{CommandLine, Template};

const CALL_TIMEOUT: Duration = Duration::from_millis(5_000);
/// A silent SE050 peer blocks for up to 57 s; one that answers has done so long before this.
const OPEN_TIMEOUT: Duration = Duration::from_millis(20_000);

/// `uid` is what `[trust]` says of the chip's UID, where that could be read.
pub(super) fn read(entry: &Entry<'_>, known: &Known, uid: Option<UidRule>) -> Option<TokenPlan> {
    let section = entry.section("[token]")?;
    let module = section.required("module").and_then(|entry| entry.module());
    let environment = section.optional("environment").map_or(Some(BTreeMap::new()), |entry| environment(&entry, known));
    let command = match section.optional("command") {
        Some(entry) => remote(&entry, &section, known).map(Some),
        None => Some(None),
    };
    let slot = slot(&section);
    let certificate = section.required("certificate").and_then(|entry| object(&entry, ObjectType::Certificate));
    let key = section.required("key").and_then(|entry| object(&entry, ObjectType::PrivateKey));
    let uid = uid_object(&section, uid);
    let pin = pin(&section);
    let call_timeout = millis(&section, "call_timeout_ms", CALL_TIMEOUT, 100, 120_000);
    let open_timeout = millis(&section, "open_timeout_ms", OPEN_TIMEOUT, 100, 120_000);
    Some(TokenPlan {
        module: module?,
        environment: environment?,
        command: command?,
        slot: slot?,
        certificate: certificate?,
        key: key?,
        uid: uid?,
        pin: pin?,
        call_timeout: call_timeout?,
        open_timeout: open_timeout?,
    })
}

/// What p11-kit's client connects to is the command, and nothing else.
fn remote(entry: &Entry<'_>, section: &Section<'_>, known: &Known) -> Option<CommandLine> {
    const ADDRESS: &str = "P11_KIT_SERVER_ADDRESS";
    if let Some(environment) = section.optional("environment").and_then(|entry| entry.section("[token.environment]"))
        && let Some((_, address)) = environment.user_entries().into_iter().find(|(name, _)| *name == ADDRESS)
    {
        address.report(Mistake::Exclusive { key: address.name.clone(), other: entry.name.clone() });
        return None;
    }
    board::read_command(entry, known)
}

fn environment(entry: &Entry<'_>, known: &Known) -> Option<BTreeMap<String, Template>> {
    let section = entry.section("[token.environment]")?;
    let mut out = Some(BTreeMap::new());
    for (name, value) in section.user_entries() {
        let good = !name.is_empty() && !name.contains(['=', '\0']);
        if !good {
            value.refuse("is no name of an environment variable");
        }
        match (value.template(known), good) {
            (Some(template), true) if template.as_str().contains('\0') => {
                value.refuse("holds a NUL character");
                out = None;
            }
            (Some(template), true) => {
                out.as_mut().map(|map| map.insert(name.to_owned(), template));
            }
            _ => out = None,
        }
    }
    out
}

fn slot(section: &Section<'_>) -> Option<SlotChoice> {
    let slot = section.optional("slot");
    let label = section.optional("token_label");
    if let (Some(slot), Some(label)) = (&slot, &label) {
        label.report(Mistake::Exclusive { key: label.name.clone(), other: slot.name.clone() });
    }
    if let Some(label) = label {
        return label.text().map(|label| SlotChoice::TokenLabel(label.to_owned()));
    }
    match slot {
        Some(slot) => slot.choice(&[("only", ())]).map(|()| SlotChoice::Only),
        None => Some(SlotChoice::Only),
    }
}

/// A PKCS#11 URI, or an SE050 object id as an integer or as text.
pub(super) fn object(entry: &Entry<'_>, wanted: ObjectType) -> Option<ObjectName> {
    if entry.is_integer() {
        return u32::try_from(entry.integer(1..=i64::from(u32::MAX))?).ok().map(ObjectName::Se050);
    }
    let text = entry.text()?;
    if let Some(digits) = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        // from_str_radix takes a sign, an object id has none.
        let id = Some(digits).filter(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()));
        let id = id.and_then(|digits| u32::from_str_radix(digits, 16).ok()).filter(|id| *id != 0);
        if id.is_none() {
            let because = "an SE050 object id is 1 to 8 hexadecimal digits after 0x, and not 0".into();
            entry.report(Mistake::BadValue { key: entry.name.clone(), value: text.to_owned(), because });
        }
        return id.map(ObjectName::Se050);
    }
    match pkcs11_uri::parse(text, wanted) {
        Ok(name) => Some(name),
        Err(error) => {
            entry.refuse(error.to_string());
            None
        }
    }
}

/// The UID's object has to be there exactly when `[trust]` has it read.
fn uid_object(section: &Section<'_>, rule: Option<UidRule>) -> Option<Option<ObjectName>> {
    let Some(entry) = section.optional("uid") else {
        if rule == Some(UidRule::Required) {
            let because = "is missing: [trust] says uid = \"required\", so name the object that holds the chip's UID";
            section.report(Mistake::Refused { key: section.name("uid"), because: because.into() });
            return None;
        }
        return Some(None);
    };
    let because = match rule {
        Some(UidRule::Certificate) => "[trust] takes the UID from the certificate alone (uid = \"certificate\")",
        Some(UidRule::None) => "[trust] says uid = \"none\"",
        Some(UidRule::Required) | None => return object(&entry, ObjectType::Data).map(Some),
    };
    entry.report(Mistake::Meaningless { key: entry.name.clone(), because: because.into() });
    None
}

/// `None` inside: the token wants no login. The value of `pin` is never repeated.
pub(in crate::config) fn pin(section: &Section<'_>) -> Option<Option<Pin>> {
    let file = section.optional("pin_file");
    let variable = section.optional("pin_env");
    let literal = section.optional("pin");
    let given: Vec<&Entry<'_>> = [&file, &variable, &literal].into_iter().flatten().collect();
    if let [first, rest @ ..] = given.as_slice() {
        for entry in rest {
            entry.report(Mistake::Exclusive { key: entry.name.clone(), other: first.name.clone() });
        }
    }
    if let Some(literal) = literal {
        if literal.string() == Some("") {
            return Some(Some(Pin::Empty));
        }
        literal.refuse(
            "a PIN does not belong into this file: write it into a file of its own (mode 0600) and name that by \
             pin_file, or name an environment variable by pin_env; only the empty PIN \"\" may stand here",
        );
        return None;
    }
    if let Some(file) = file {
        return file.path().map(|path| Some(Pin::File(path)));
    }
    if let Some(variable) = variable {
        let name = variable.text()?;
        if name.contains(['=', '\0']) {
            variable.refuse("is no name of an environment variable");
            return None;
        }
        return Some(Some(Pin::Environment(name.to_owned())));
    }
    Some(None)
}

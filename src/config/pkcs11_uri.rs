//! PKCS#11 URIs (RFC 7512) as far as they name an object: `object`, `id` and `type`.

use crate::domain::profile::{ObjectName, SlotChoice};

/// What kind of object a place in the profile is for: the URI's `type`, where given, has to agree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ObjectType {
    Certificate,
    PrivateKey,
    Data,
}

impl ObjectType {
    /// As RFC 7512 §2.3 writes it.
    fn as_str(self) -> &'static str {
        match self {
            ObjectType::Certificate => "cert",
            ObjectType::PrivateKey => "private",
            ObjectType::Data => "data",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum UriError {
    #[error("a PKCS#11 URI begins with \"pkcs11:\" (RFC 7512), an SE050 object id with \"0x\"")]
    Scheme,
    #[error("{0:?} is no attribute: write name=value, separated by ;")]
    NoValue(String),
    #[error("the attribute {0:?} is there twice")]
    Twice(String),
    #[error("{0:?} holds a character that has to be percent-encoded, or a broken percent code")]
    Encoding(String),
    #[error("{0:?} is not UTF-8 text")]
    NotText(String),
    #[error("type={0} is not what is read here: leave it out or write type={1}")]
    OtherType(String, &'static str),
    #[error("neither \"object\" nor \"id\" is named")]
    Nothing,
    #[error("the attribute {0:?} chooses a token or slot: [token] does that by \"slot\" or \"token_label\"")]
    SlotAttribute(String),
    #[error("the attribute {0:?} chooses a module: [token] does that by \"module\"")]
    ModuleAttribute(String),
    #[error("a PIN is named by \"pin_file\" or \"pin_env\", not in the URI")]
    Pin,
    // The RFC has a consumer that does not understand a path attribute match nothing at all: better
    // said before the line starts.
    #[error("the attribute {0:?} is not understood, so nothing could match")]
    UnknownAttribute(String),
}

/// Reads an object's URI. Query attributes that are not understood are ignored, path attributes are
/// not (RFC 7512 §2.3).
pub(super) fn parse(text: &str, wanted: ObjectType) -> Result<ObjectName, UriError> {
    match read(text, wanted)? {
        (_, Some(_)) => Err(UriError::SlotAttribute("token".to_owned())),
        (object, None) => Ok(object),
    }
}

/// The same where the URI also says which token it is, by its label.
pub(super) fn parse_in_token(text: &str, wanted: ObjectType) -> Result<(SlotChoice, ObjectName), UriError> {
    let (object, token) = read(text, wanted)?;
    Ok((token.map_or(SlotChoice::Only, SlotChoice::TokenLabel), object))
}

fn read(text: &str, wanted: ObjectType) -> Result<(ObjectName, Option<String>), UriError> {
    // The scheme's name is case-insensitive (RFC 3986 §3.1).
    let rest = match text.split_at_checked(7) {
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("pkcs11:") => rest,
        _ => return Err(UriError::Scheme),
    };
    let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
    let mut label = None;
    let mut id = None;
    let mut token = None;
    let mut seen = Vec::new();
    for part in path.split(';').filter(|part| !part.is_empty()) {
        let (name, value) = attribute(part, &mut seen)?;
        match name {
            "object" => label = Some(text_of(part, value)?),
            "token" => token = Some(text_of(part, value)?),
            "id" => id = Some(decode(part, value, b"&")?),
            "type" if value == wanted.as_str() => {}
            "type" => return Err(UriError::OtherType(value.to_owned(), wanted.as_str())),
            "manufacturer" | "serial" | "model" | "slot-id" | "slot-description" | "slot-manufacturer" => {
                return Err(UriError::SlotAttribute(name.to_owned()));
            }
            "library-manufacturer" | "library-description" | "library-version" => {
                return Err(UriError::ModuleAttribute(name.to_owned()));
            }
            "pin-value" | "pin-source" => return Err(UriError::Pin),
            _ => return Err(UriError::UnknownAttribute(name.to_owned())),
        }
    }
    for part in query.split('&').filter(|part| !part.is_empty()) {
        match part.split_once('=').map(|(name, _)| name) {
            // Not quoted: it may be a PIN that went astray.
            None => return Err(UriError::NoValue("?…".to_owned())),
            Some("pin-value" | "pin-source") => return Err(UriError::Pin),
            Some(name @ ("module-name" | "module-path")) => return Err(UriError::ModuleAttribute(name.to_owned())),
            Some(_) => {}
        }
    }
    let label = label.filter(|label| !label.is_empty());
    let id = id.filter(|id| !id.is_empty());
    if label.is_none() && id.is_none() {
        return Err(UriError::Nothing);
    }
    Ok((ObjectName::Attributes { label, id }, token))
}

fn text_of(part: &str, value: &str) -> Result<String, UriError> {
    String::from_utf8(decode(part, value, b"&")?).map_err(|_| UriError::NotText(part.to_owned()))
}

fn attribute<'t>(part: &'t str, seen: &mut Vec<&'t str>) -> Result<(&'t str, &'t str), UriError> {
    let (name, value) = part.split_once('=').ok_or_else(|| UriError::NoValue(part.to_owned()))?;
    if seen.contains(&name) {
        return Err(UriError::Twice(name.to_owned()));
    }
    seen.push(name);
    Ok((name, value))
}

/// Percent-decodes; the characters that may stand for themselves are RFC 7512's `pk11-pchar`:
/// unreserved, and `pk11-res-avail` with `extra`.
fn decode(part: &str, value: &str, extra: &[u8]) -> Result<Vec<u8>, UriError> {
    let bad = || UriError::Encoding(part.to_owned());
    let mut out = Vec::new();
    let mut bytes = value.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'%' => {
                let mut digit = || char::from(bytes.next()?).to_digit(16);
                let (high, low) = (digit().ok_or_else(bad)?, digit().ok_or_else(bad)?);
                out.push(u8::try_from(high * 16 + low).map_err(|_| bad())?);
            }
            b if b.is_ascii_alphanumeric() || b"-._~:[]@!$'()*+,=".contains(&b) || extra.contains(&b) => out.push(b),
            _ => return Err(bad()),
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn label_and_id_are_percent_decoded() {
        let name = parse("pkcs11:object=dev%20cert;id=%01%aB;type=cert?x-vendor=1", ObjectType::Certificate);
        let label = Some("dev cert".to_owned());
        assert_eq!(name, Ok(ObjectName::Attributes { label, id: Some(vec![0x01, 0xab]) }));
        let name = parse("PKCS11:id=A&b", ObjectType::PrivateKey);
        assert_eq!(name, Ok(ObjectName::Attributes { label: None, id: Some(b"A&b".to_vec()) }));
    }

    #[test]
    fn the_log_keys_uri_also_names_its_token() {
        let uri = "pkcs11:token=plant%201;object=log;type=private";
        let object = ObjectName::Attributes { label: Some("log".to_owned()), id: None };
        let slot = SlotChoice::TokenLabel("plant 1".to_owned());
        assert_eq!(parse_in_token(uri, ObjectType::PrivateKey), Ok((slot, object.clone())));
        assert_eq!(parse_in_token("pkcs11:object=log", ObjectType::PrivateKey), Ok((SlotChoice::Only, object)));
    }

    #[test]
    fn what_could_never_match_is_refused_with_its_reason() {
        let message = |text| parse(text, ObjectType::Certificate).unwrap_err().to_string();
        assert_eq!(
            message("object=a"),
            r#"a PKCS#11 URI begins with "pkcs11:" (RFC 7512), an SE050 object id with "0x""#
        );
        assert_eq!(message("pkcs11:"), r#"neither "object" nor "id" is named"#);
        assert_eq!(message("pkcs11:object="), r#"neither "object" nor "id" is named"#);
        assert_eq!(message("pkcs11:object"), r#""object" is no attribute: write name=value, separated by ;"#);
        assert_eq!(message("pkcs11:object=a;object=b"), r#"the attribute "object" is there twice"#);
        assert_eq!(
            message("pkcs11:object=a b"),
            r#""object=a b" holds a character that has to be percent-encoded, or a broken percent code"#
        );
        assert_eq!(
            message("pkcs11:id=%1"),
            r#""id=%1" holds a character that has to be percent-encoded, or a broken percent code"#
        );
        assert_eq!(message("pkcs11:object=%ff"), r#""object=%ff" is not UTF-8 text"#);
        assert_eq!(
            message("pkcs11:object=a;type=private"),
            "type=private is not what is read here: leave it out or write type=cert"
        );
        assert_eq!(
            message("pkcs11:token=t;object=a"),
            r#"the attribute "token" chooses a token or slot: [token] does that by "slot" or "token_label""#
        );
        assert_eq!(
            message("pkcs11:object=a?module-path=/x.so"),
            r#"the attribute "module-path" chooses a module: [token] does that by "module""#
        );
        assert_eq!(
            message("pkcs11:object=a?pin-value=1234"),
            r#"a PIN is named by "pin_file" or "pin_env", not in the URI"#
        );
        assert_eq!(
            message("pkcs11:object=a;x-colour=red"),
            r#"the attribute "x-colour" is not understood, so nothing could match"#
        );
    }
}

//! The UID rule: `required | certificate | none`.

use x509_cert::der::asn1::{BmpString, ObjectIdentifier};
use x509_cert::der::{Any, Tag, Tagged};
use x509_cert::name::Name;

use super::fields::Fields;
use crate::domain::profile::{Trust, UidRule};
use crate::domain::{ChipUid, Failure, ReasonCode};

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Uids {
    /// What binds: the chip's or the certificate's, as the rule says.
    pub of_identity: Option<ChipUid>,
    pub in_certificate: Option<ChipUid>,
}

/// # Errors
/// * `T-208` the rule is `required` and the chip named none, or a blank one;
/// * `C-107` the certificate's CN does not hold the UID that the profile looks for in it;
/// * `S-102` chip and certificate name different ones.
pub(super) fn settle(subject: &Name, chip: Option<&ChipUid>, trust: &Trust) -> Result<Uids, Failure> {
    match trust.uid {
        UidRule::None => Ok(Uids { of_identity: None, in_certificate: None }),
        UidRule::Required => {
            let chip = chip.ok_or_else(|| {
                Failure::new(ReasonCode::TOKEN_NO_UID, "the profile requires the chip's UID and the token gave none")
            })?;
            if chip.is_blank() {
                let cause = format!("the chip's UID was never programmed: {chip}");
                return Err(Failure::new(ReasonCode::TOKEN_NO_UID, cause));
            }
            let certified = match &trust.uid_from_cn {
                Some(pattern) => Some(certified(subject, pattern)?),
                None => None,
            };
            compare(Some(chip), certified.as_ref())?;
            Ok(Uids { of_identity: Some(chip.clone()), in_certificate: certified })
        }
        UidRule::Certificate => {
            let pattern = trust.uid_from_cn.as_ref().ok_or_else(|| {
                Failure::new(
                    ReasonCode::CERTIFICATE_NO_UID,
                    "the profile takes the UID from the certificate but has no uid_from_cn",
                )
            })?;
            let certified = certified(subject, pattern)?;
            compare(chip, Some(&certified))?;
            Ok(Uids { of_identity: Some(certified.clone()), in_certificate: Some(certified) })
        }
    }
}

fn compare(chip: Option<&ChipUid>, certified: Option<&ChipUid>) -> Result<(), Failure> {
    match (chip, certified) {
        (Some(chip), Some(certified)) if chip != certified => {
            let cause = format!("the chip says {chip}, its certificate {certified}");
            Err(Failure::new(ReasonCode::UID_MISMATCH, cause).with("chip", chip).with("certificate", certified))
        }
        _ => Ok(()),
    }
}

/// The chip's UID, where the certificate holds one and the profile goes by UIDs.
pub fn certified_uid(der: &[u8], trust: &Trust) -> Option<ChipUid> {
    let pattern = trust.uid_from_cn.as_ref().filter(|_| trust.uid != UidRule::None)?;
    certified(&Fields::parse(der).ok()?.subject, pattern).ok()
}

/// The UID in the subject's CN. Digits may be of either case; several CNs must not contradict
/// each other.
pub(super) fn certified(subject: &Name, pattern: &regex::Regex) -> Result<ChipUid, Failure> {
    const COMMON_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.3");
    let names: Vec<String> =
        subject.iter().filter(|attribute| attribute.oid == COMMON_NAME).filter_map(|cn| text(&cn.value)).collect();
    let refuse = |cause: String| Failure::new(ReasonCode::CERTIFICATE_NO_UID, cause).with("cn", names.join(", "));

    let mut found: Option<ChipUid> = None;
    for name in &names {
        let Some(digits) = pattern.captures(name).and_then(|groups| groups.name("uid")) else { continue };
        let uid: ChipUid =
            digits.as_str().to_ascii_lowercase().parse().map_err(|error| refuse(format!("CN {name:?}: {error}")))?;
        if found.as_ref().is_some_and(|first| *first != uid) {
            return Err(refuse(format!("the CNs {names:?} hold different UIDs")));
        }
        found = Some(uid);
    }
    found.ok_or_else(|| refuse(format!("no group `uid` of {:?} in the CN {names:?}", pattern.as_str())))
}

/// Vendors write characters into a PrintableString that X.680 does not allow there (`_`, `*`, `@`), and
/// IA5Strings into a CN, so the bytes are taken as text whatever the type promises of them.
fn text(value: &Any) -> Option<String> {
    match value.tag() {
        Tag::PrintableString | Tag::Utf8String | Tag::Ia5String | Tag::TeletexString => {
            String::from_utf8(value.value().to_vec()).ok()
        }
        Tag::BmpString => value.decode_as::<BmpString>().ok().map(|text| text.to_string()),
        _ => None,
    }
}

//! `uid = required | certificate | none`.

use super::forge::{Key, Tbs, attribute, sequence};
use super::*;
use crate::domain::ChipUid;

const UID: &str = "04005001abcdef";
const OTHER: &str = "04005001abcdee";

/// A certificate with these CNs, checked under a rule.
fn settle(names: &[&str], rule: UidRule, pattern: Option<&str>, chip: Option<&str>) -> Result<Checked, Failure> {
    let vendor = Vendor::new();
    let names: Vec<_> = names.iter().map(|name| attribute("2.5.4.3", 0x0c, name)).collect();
    let subject = sequence(&names.iter().map(Vec::as_slice).collect::<Vec<_>>());
    let der = vendor.issue(Tbs { subject, ..vendor.leaf(&Key::new(KeyKind::EcP256)) });
    let trust =
        Trust { uid: rule, uid_from_cn: pattern.map(|pattern| regex::Regex::new(pattern).unwrap()), ..vendor.trust() };
    check_at(&der, chip.map(uid).as_ref(), &trust, at(NOW))
}

fn uid(text: &str) -> ChipUid {
    text.parse().unwrap()
}

const HEX: &str = "^chip-(?<uid>[0-9A-Fa-f]+)$";

#[track_caller]
fn settles(result: Result<Checked, Failure>, of_identity: Option<&str>, in_certificate: Option<&str>) {
    let checked = result.unwrap();
    assert_eq!(checked.identity.uid, of_identity.map(uid));
    assert_eq!(checked.decision.uid_in_certificate, in_certificate.map(uid));
}

#[test]
fn required_takes_the_chips_uid() {
    settles(settle(&[CHIP], UidRule::Required, None, Some(OTHER)), Some(OTHER), None);
    refused(settle(&[CHIP], UidRule::Required, None, None), ReasonCode::TOKEN_NO_UID);
    refused(settle(&[CHIP], UidRule::Required, Some(HEX), None), ReasonCode::TOKEN_NO_UID);
    // The next such chip would be accused of being this one.
    for blank in ["00".repeat(18), "ff".repeat(18)] {
        refused(settle(&[CHIP], UidRule::Required, None, Some(&blank)), ReasonCode::TOKEN_NO_UID);
    }
    let nearly = format!("{}01", "00".repeat(17));
    settles(settle(&[CHIP], UidRule::Required, None, Some(&nearly)), Some(&nearly), None);
}

#[test]
fn required_compares_with_the_certificates_in_any_case_of_its_digits() {
    for name in ["chip-04005001ABCDEF", "chip-04005001abcdef", "chip-04005001AbCdEf"] {
        settles(settle(&[name], UidRule::Required, Some(HEX), Some(UID)), Some(UID), Some(UID));
    }
    let failure = refused(settle(&[CHIP], UidRule::Required, Some(HEX), Some(OTHER)), ReasonCode::UID_MISMATCH);
    assert_eq!((failure.args["chip"].as_str(), failure.args["certificate"].as_str()), (OTHER, UID));
}

#[test]
fn a_cn_without_the_uid_is_a_reason_of_its_own() {
    let any = "^chip-(?<uid>.+)$";
    for rule in [UidRule::Required, UidRule::Certificate] {
        for (names, pattern) in [
            (&["board-04005001ABCDEF"][..], HEX),
            (&[], HEX),
            // Matches, but: not hexadecimal, an odd number of digits, too short, too long.
            (&["chip-04005001ABCDEG"], any),
            (&["chip-04005001ABCDE"], any),
            (&["chip-0400"], any),
            (&[&format!("chip-{}", "ab".repeat(65))], any),
            // Matches without the group.
            (&[CHIP], "^chip-(?<other>.+)$"),
            (&["chip-"], "^chip-(?<uid>[0-9A-F]{4,})?$"),
            // Two that contradict each other.
            (&["chip-04005001ABCDEF", "chip-04005001ABCDEE"], HEX),
        ] {
            let failure = refused(settle(names, rule, Some(pattern), Some(UID)), ReasonCode::CERTIFICATE_NO_UID);
            assert_eq!(failure.args["cn"], names.join(", "));
        }
        // Several that agree, or of which one matches.
        settles(
            settle(&["chip-04005001ABCDEF", "chip-04005001abcdef"], rule, Some(HEX), Some(UID)),
            Some(UID),
            Some(UID),
        );
        settles(settle(&["A product", CHIP], rule, Some(HEX), Some(UID)), Some(UID), Some(UID));
    }
}

#[test]
fn certificate_takes_the_certificates_uid() {
    settles(settle(&[CHIP], UidRule::Certificate, Some(HEX), None), Some(UID), Some(UID));
    settles(settle(&[CHIP], UidRule::Certificate, Some(HEX), Some(UID)), Some(UID), Some(UID));
    refused(settle(&[CHIP], UidRule::Certificate, Some(HEX), Some(OTHER)), ReasonCode::UID_MISMATCH);
    refused(settle(&[CHIP], UidRule::Certificate, None, None), ReasonCode::CERTIFICATE_NO_UID);
}

#[test]
fn none_asks_for_nothing() {
    settles(settle(&[CHIP], UidRule::None, None, None), None, None);
    settles(settle(&[CHIP], UidRule::None, None, Some(UID)), None, None);
    settles(settle(&["board"], UidRule::None, Some(HEX), Some(OTHER)), None, None);
}

#[test]
fn every_string_type_of_a_cn_is_read() {
    let vendor = Vendor::new();
    let trust =
        Trust { uid: UidRule::Certificate, uid_from_cn: Some(regex::Regex::new(HEX).unwrap()), ..vendor.trust() };
    let wide: String = CHIP.chars().flat_map(|c| ['\0', c]).collect();
    // UTF8String, PrintableString, TeletexString, IA5String, BMPString.
    for (tag, text) in [(0x0c, CHIP), (0x13, CHIP), (0x14, CHIP), (0x16, CHIP), (0x1e, wide.as_str())] {
        let subject = sequence(&[&attribute("2.5.4.3", tag, text)]);
        let der = vendor.issue(Tbs { subject, ..vendor.leaf(&Key::new(KeyKind::EcP256)) });
        assert_eq!(passes(&der, &trust).identity.uid, Some(uid(UID)), "tag {tag:#x}");
    }
    // `_` is no character of a PrintableString.
    let trust = Trust { uid_from_cn: Some(regex::Regex::new("^chip_(?<uid>.+)$").unwrap()), ..trust };
    let subject = sequence(&[&attribute("2.5.4.3", 0x13, "chip_04005001ABCDEF")]);
    let der = vendor.issue(Tbs { subject, ..vendor.leaf(&Key::new(KeyKind::EcP256)) });
    assert_eq!(passes(&der, &trust).identity.uid, Some(uid(UID)));
}

//! AWS IoT's names, with AWS's own rules (AWS IoT API reference, data types).

use super::text_type;

fn all(text: &str, max: usize, allowed: fn(u8) -> bool) -> bool {
    !text.is_empty() && text.len() <= max && text.bytes().all(allowed)
}

fn word(b: u8) -> bool {
    b.is_ascii_alphanumeric() || b == b'_'
}

text_type!(
    /// ThingName.
    ThingName,
    "thing name",
    "1 to 128 of a-z A-Z 0-9 : _ -",
    |t| all(t, 128, |b| word(b) || b == b':' || b == b'-')
);
text_type!(
    /// ThingTypeName.
    ThingTypeName,
    "thing type name",
    "1 to 128 of a-z A-Z 0-9 : _ -",
    |t| all(t, 128, |b| word(b) || b == b':' || b == b'-')
);
text_type!(
    /// PolicyName.
    PolicyName,
    "policy name",
    "1 to 128 of a-z A-Z 0-9 _ + = , . @ -",
    |t| all(t, 128, |b| word(b) || b"+=,.@-".contains(&b))
);
text_type!(
    /// AttributeName.
    AttributeName,
    "thing attribute name",
    "1 to 128 of a-z A-Z 0-9 _ . , @ / : # -",
    |t| all(t, 128, |b| word(b) || b"_.,@/:#-".contains(&b))
);
text_type!(
    /// AttributeValue: AWS allows no spaces.
    AttributeValue,
    "thing attribute value",
    "at most 800 of a-z A-Z 0-9 _ . , @ / : # = [ ] -",
    |t| t.len() <= 800 && t.bytes().all(|b| word(b) || b"_.,@/:#=[]-".contains(&b))
);
text_type!(
    /// A parameter of a provisioning template.
    ParameterName,
    "template parameter",
    "1 to 128 printable characters",
    |t| super::printable(t, 128)
);
text_type!(
    /// TemplateName.
    ProvisioningTemplateName,
    "provisioning template name",
    "1 to 36 of a-z A-Z 0-9 _ -",
    |t| all(t, 36, |b| word(b) || b == b'-')
);
text_type!(
    /// The twelve digits of an AWS account.
    AccountId,
    "AWS account",
    "12 digits",
    |t| t.len() == 12 && t.bytes().all(|b| b.is_ascii_digit())
);
text_type!(
    /// An AWS Region, e.g. `ap-northeast-1`.
    Region,
    "AWS Region",
    "1 to 32 of a-z 0-9 -",
    |t| all(t, 32, |b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
);
text_type!(
    /// What the configuration calls a target (one AWS account and Region).
    TargetName,
    "target name",
    "1 to 32 of a-z A-Z 0-9 _ -",
    |t| all(t, 32, |b| word(b) || b == b'-')
);
text_type!(
    /// A topic that a device subscribes and publishes to (AWS IoT Core quotas: 256 bytes, 7 slashes), by
    /// name: no wildcards, none of AWS's reserved ones.
    TopicName,
    "MQTT topic",
    "1 to 256 bytes, at most 7 of /, without + # or control characters, and not beginning with $",
    |t| {
        let plain = !t.contains(|c: char| c == '+' || c == '#' || c.is_control());
        (1..=256).contains(&t.len()) && plain && !t.starts_with('$') && t.matches('/').count() <= 7
    }
);

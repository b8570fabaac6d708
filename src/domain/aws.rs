//! AWS IoT's names, with AWS's own rules (AWS IoT API reference, data types).

use super::text_type;

impl RoleArn {
    /// Whose role it is.
    pub fn account(&self) -> Option<AccountId> {
        arn_place(self.as_str()).1
    }
}

/// Region and account of an ARN (`arn:partition:service:region:account:resource`), where it names them.
pub fn arn_place(arn: &str) -> (Option<Region>, Option<AccountId>) {
    let mut parts = arn.split(':').skip(3);
    let mut next = || parts.next().unwrap_or_default();
    (next().parse().ok(), next().parse().ok())
}

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
    /// ThingGroupName.
    ThingGroupName,
    "thing group name",
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
    /// The ARN of an IAM role, e.g. `arn:aws:iam::123456789012:role/lineseal`.
    RoleArn,
    "role's ARN",
    "arn:aws:iam::ACCOUNT:role/NAME",
    |t| {
        let mut parts = t.splitn(6, ':');
        let mut next = || parts.next().unwrap_or_default();
        let (arn, partition, service, region, account, resource) = (next(), next(), next(), next(), next(), next());
        let path = resource.strip_prefix("role/").unwrap_or_default();
        let known = arn == "arn" && partition.starts_with("aws") && service == "iam" && region.is_empty();
        let named = !path.ends_with('/') && all(path, 600, |b| word(b) || b"+=,.@-/".contains(&b));
        known && account.parse::<AccountId>().is_ok() && named
    }
);
text_type!(
    /// What a role's owner asks of whoever takes it on.
    ExternalId,
    "external id",
    "2 to 1224 of a-z A-Z 0-9 _ + = , . @ : / -",
    |t| t.len() >= 2 && all(t, 1224, |b| word(b) || b"+=,.@:/-".contains(&b))
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

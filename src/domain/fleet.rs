//! Provisioning templates and claims, as a target holds them.

use super::{Invalid, ProvisioningTemplateName, TargetName, text_type};

text_type!(
    /// An IAM role, or the Lambda function of a hook.
    Arn,
    "ARN",
    "arn:PARTITION:SERVICE:REGION:ACCOUNT:RESOURCE",
    |t| {
        let parts: Vec<&str> = t.splitn(6, ':').collect();
        let account = |text: &str| text.len() == 12 && text.bytes().all(|b| b.is_ascii_digit());
        matches!(parts[..], ["arn", partition, service, _, owner, resource]
            if partition.starts_with("aws") && !service.is_empty() && account(owner)
                && !resource.is_empty() && !t.contains(char::is_whitespace))
    }
);

/// What a provisioning template is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TemplateKind {
    /// Devices that come with a claim.
    Fleet,
    /// Devices whose CA names it (just-in-time provisioning).
    Jitp,
}

impl TemplateKind {
    pub fn as_str(self) -> &'static str {
        match self {
            TemplateKind::Fleet => "fleet",
            TemplateKind::Jitp => "jitp",
        }
    }
}

impl std::str::FromStr for TemplateKind {
    type Err = Invalid;
    fn from_str(text: &str) -> Result<Self, Invalid> {
        [Self::Fleet, Self::Jitp].into_iter().find(|kind| kind.as_str() == text).ok_or_else(|| Invalid {
            what: "type of a provisioning template",
            value: text.to_owned(),
            rule: "fleet or jitp",
        })
    }
}

/// A provisioning template as one target shall hold it, enabled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TemplatePlan {
    pub target: TargetName,
    pub name: ProvisioningTemplateName,
    pub kind: TemplateKind,
    /// JSON. Its functions are AWS's own and stay as they are.
    pub body: String,
    /// In whose name AWS makes what the template says.
    pub role: Arn,
    /// Is asked before each device.
    pub hook: Option<Arn>,
    pub description: Option<String>,
}

//! What a configuration has to be allowed: one table, from which follow the policy that `doctor` prints and
//! the questions that it asks.

mod ask;
mod policy;

use std::collections::BTreeSet;

pub(super) use ask::{Sample, ask};
pub use policy::{StationPolicy, station_policies};

use super::quota::Action;
use crate::config::{Config, Target};
use crate::domain::profile::{ClaimSource, Method, Profile, Registrar};
use crate::domain::{StationName, Template};
use crate::ports::Need;

/// A right to call `action` on `resource`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Right {
    pub need: Need,
    pub action: Action,
    pub resource: Resource,
}

/// What IAM lets a policy say of what an action is on (Service Authorization Reference, AWS IoT).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Resource {
    /// IAM knows none for the action.
    Any,
    /// Ids are known only once a chip was read.
    Certificates,
    Ca(String),
    ProvisioningTemplate(String),
    /// With `*` for what each unit has of its own.
    Things(String),
    ThingType(String),
    /// Likewise.
    ThingGroup(String),
    Policy(String),
}

/// What is looked at for every unit, whatever its method.
const LOOKS: &[Action] = &[
    Action::DescribeCertificate,
    Action::DescribeEndpoint,
    Action::DescribeThing,
    Action::DescribeThingType,
    Action::GetPolicy,
    Action::ListAttachedPolicies,
    Action::ListPrincipalThings,
    Action::ListPrincipalThingsV2,
    Action::ListThingGroupsForThing,
    Action::ListThingPrincipals,
];
/// What a repaired unit, a FAIL and an undo take off again, whatever registered it.
const PUTS_RIGHT: &[Action] = &[Action::DetachPolicy, Action::DetachThingPrincipal, Action::UpdateCertificate];
const DELETES: &[Action] = &[Action::DeleteCertificate, Action::DeleteThing];
/// What is made beside the certificate by single calls.
const MAKES: &[Action] = &[
    Action::AddThingToThingGroup,
    Action::AttachPolicy,
    Action::AttachThingPrincipal,
    Action::CreatePolicy,
    Action::CreateThing,
    Action::CreateThingType,
    Action::DescribeThingGroup,
];

/// What a fleet's template is given, and the search for certificates whose answer was lost.
const BEFORE_A_FLEET: &[Action] = &[Action::CreatePolicy, Action::CreateThingType, Action::ListCertificates];

/// What a method calls besides: every method says so here. What a provisioning template makes of RegisterThing is
/// made in the caller's name.
fn of_method(method: &Method) -> Vec<&'static [Action]> {
    let registers: &[Action] = match method.registrar() {
        Registrar::Station => &[Action::RegisterCertificateWithoutCa],
        Registrar::InNameOf(_) => &[Action::DescribeCaCertificate, Action::RegisterCertificate],
        Registrar::Aws => &[Action::CreateCertificateFromCsr, Action::ListCertificates],
    };
    match method {
        Method::JustInTime(_) => vec![&[Action::DescribeCaCertificate]],
        Method::Template { .. } => vec![MAKES, registers, &[Action::RegisterThing]],
        Method::WithoutCa | Method::WithCa(_) | Method::Csr(_) => match method.fleet().map(|fleet| &fleet.claim) {
            Some(ClaimSource::TrustedUser) => vec![BEFORE_A_FLEET, &[Action::CreateProvisioningClaim]],
            Some(ClaimSource::Files { .. }) => vec![BEFORE_A_FLEET],
            None => vec![MAKES, registers],
        },
    }
}

/// Of all profiles that register in `target`.
pub(super) fn rights(config: &Config, target: &Target) -> BTreeSet<Right> {
    let here = config.profiles.iter().filter(|profile| profile.register.targets.contains(&target.name));
    here.flat_map(|profile| of_profile(profile, &config.station.name)).collect()
}

fn of_profile(profile: &Profile, station: &StationName) -> Vec<Right> {
    let actions = [LOOKS, PUTS_RIGHT, DELETES].into_iter().chain(of_method(&profile.register.method)).flatten();
    actions.flat_map(|action| rights_to(*action, profile, station)).collect()
}

/// None, where this profile has nothing that it would be on.
fn rights_to(action: Action, profile: &Profile, station: &StationName) -> Vec<Right> {
    let groups = &profile.register.thing_groups;
    let groups: BTreeSet<String> = groups.iter().map(|template| pattern(template, profile, station)).collect();
    let on = |resource| Right { need: Need::Always, action, resource };
    let things = || on(Resource::Things(things(profile, station)));
    match action {
        Action::ListThingGroupsForThing if !groups.is_empty() => vec![things()],
        // IAM looks at both.
        Action::AddThingToThingGroup if !groups.is_empty() => {
            std::iter::once(things()).chain(groups.into_iter().map(|name| on(Resource::ThingGroup(name)))).collect()
        }
        Action::DescribeThingGroup => groups.into_iter().map(|name| on(Resource::ThingGroup(name))).collect(),
        _ => right(action, profile, station).into_iter().collect(),
    }
}

fn right(action: Action, profile: &Profile, station: &StationName) -> Option<Right> {
    let register = &profile.register;
    let resource = match action {
        Action::AttachPolicy
        | Action::DeleteCertificate
        | Action::DescribeCertificate
        | Action::DetachPolicy
        | Action::UpdateCertificate => Resource::Certificates,
        Action::CreateThing | Action::DeleteThing | Action::DescribeThing => Resource::Things(things(profile, station)),
        Action::CreateThingType | Action::DescribeThingType => {
            Resource::ThingType(register.thing_type.as_ref()?.to_string())
        }
        Action::CreatePolicy | Action::GetPolicy => Resource::Policy(register.policy.name.to_string()),
        Action::DeleteCaCertificate | Action::DescribeCaCertificate | Action::UpdateCaCertificate => {
            Resource::Ca(register.method.ca()?.fingerprint.to_string())
        }
        Action::CreateProvisioningClaim | Action::DescribeProvisioningTemplate => {
            Resource::ProvisioningTemplate(register.method.fleet()?.template.to_string())
        }
        Action::AddThingToThingGroup | Action::DescribeThingGroup | Action::ListThingGroupsForThing => return None,
        Action::AttachThingPrincipal
        | Action::CreateCertificateFromCsr
        | Action::CreateKeysAndCertificate
        | Action::CreateProvisioningTemplate
        | Action::DescribeEndpoint
        | Action::DetachThingPrincipal
        | Action::GetRegistrationCode
        | Action::ListAttachedPolicies
        | Action::ListCaCertificates
        | Action::ListCertificates
        | Action::ListPrincipalThings
        | Action::ListPrincipalThingsV2
        | Action::ListProvisioningTemplates
        | Action::ListTargetsForPolicy
        | Action::ListThingPrincipals
        | Action::RegisterCaCertificate
        | Action::RegisterCertificate
        | Action::RegisterCertificateWithoutCa
        | Action::RegisterThing => Resource::Any,
    };
    let need = match action {
        Action::CreatePolicy | Action::CreateThingType => Need::UntilMade,
        // One that AWS has made twice is deleted in the middle of a run.
        Action::DeleteCertificate if matches!(register.method, Method::Csr(_)) => Need::Always,
        Action::DeleteCertificate | Action::DeleteThing => Need::Undo,
        Action::ListPrincipalThingsV2 => Need::Telling,
        _ => Need::Always,
    };
    Some(Right { need, action, resource })
}

/// The things of a profile as an IAM pattern: what is known before any board comes stands in it.
fn things(profile: &Profile, station: &StationName) -> String {
    pattern(&profile.register.thing_name, profile, station)
}

fn pattern(template: &Template, profile: &Profile, station: &StationName) -> String {
    let value = |name: &str| match name {
        "product" => profile.product.to_string(),
        "station" => station.to_string(),
        _ => "*".to_owned(),
    };
    let variables = template.variables().map(|name| (name.to_owned(), value(name))).collect();
    let mut pattern = template.render(&variables).unwrap_or_else(|_| "*".to_owned());
    while pattern.contains("**") {
        pattern = pattern.replace("**", "*");
    }
    pattern
}

impl Resource {
    /// `place`: partition, Region and account, as `aws:iot:eu-west-1:123456789012`.
    fn arn(&self, place: &str) -> String {
        match self {
            Resource::Any => "*".to_owned(),
            Resource::Certificates => format!("arn:{place}:cert/*"),
            Resource::Ca(id) => format!("arn:{place}:cacert/{id}"),
            Resource::ProvisioningTemplate(name) => format!("arn:{place}:provisioningtemplate/{name}"),
            Resource::Things(pattern) => format!("arn:{place}:thing/{pattern}"),
            Resource::ThingType(name) => format!("arn:{place}:thingtype/{name}"),
            Resource::ThingGroup(pattern) => format!("arn:{place}:thinggroup/{pattern}"),
            Resource::Policy(name) => format!("arn:{place}:policy/{name}"),
        }
    }

    pub(super) fn at(&self, target: &Target) -> String {
        self.arn(&place(target))
    }
}

/// An account that is not configured is anybody's.
pub(super) fn place(target: &Target) -> String {
    let region = target.region.as_str();
    let partition = match region.split_once('-') {
        Some(("cn", _)) => "aws-cn",
        _ if region.starts_with("us-gov-") => "aws-us-gov",
        _ => "aws",
    };
    let account = target.account.as_ref().map_or("*", |account| account.as_str());
    format!("{partition}:iot:{region}:{account}")
}

//! The IAM policy of a station, for exactly what is configured.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::{Right, place, rights};
use crate::config::Config;
use crate::domain::{RoleArn, TargetName};
use crate::ports::Need;

/// For the credentials of one target.
#[derive(Debug, Clone, PartialEq)]
pub struct StationPolicy {
    pub target: TargetName,
    pub document: Value,
    /// Actions that IAM lets nobody narrow down: on everything in the account and Region.
    pub unscoped: Vec<&'static str>,
    /// Whoever takes it on needs sts:AssumeRole on it besides.
    pub role: Option<RoleArn>,
}

/// Each target's, in the configuration's order; none for a target that no profile names.
pub fn station_policies(config: &Config) -> Vec<StationPolicy> {
    let policies = config.targets.iter().filter_map(|target| {
        let rights = rights(config, target);
        if rights.is_empty() {
            return None;
        }
        Some(StationPolicy {
            target: target.name.clone(),
            document: document(&rights, &place(target)),
            unscoped: unscoped(&rights),
            role: target.role.as_ref().map(|role| role.arn.clone()),
        })
    });
    policies.collect()
}

/// One statement for each need and set of resources.
fn document(rights: &BTreeSet<Right>, place: &str) -> Value {
    let mut of_action: BTreeMap<(Need, &str), BTreeSet<String>> = BTreeMap::new();
    for Right { need, action, resource } in rights {
        of_action.entry((*need, action.iam_name())).or_default().insert(resource.arn(place));
    }
    let mut statements: BTreeMap<(Need, BTreeSet<String>), Vec<&str>> = BTreeMap::new();
    for ((need, action), resources) in of_action {
        statements.entry((need, resources)).or_default().push(action);
    }
    let mut counts: BTreeMap<&str, u32> = BTreeMap::new();
    let statements = statements.into_iter().map(|((need, resources), actions)| {
        let name = match need {
            Need::Always => "Station",
            Need::UntilMade => "UntilMade",
            Need::Undo => "UndoDeletes",
            Need::Telling => "Telling",
        };
        let count = counts.entry(name).or_default();
        *count += 1;
        json!({ "Sid": format!("{name}{count}"), "Effect": "Allow", "Action": actions, "Resource": resources })
    });
    json!({ "Version": "2012-10-17", "Statement": statements.collect::<Vec<_>>() })
}

fn unscoped(rights: &BTreeSet<Right>) -> Vec<&'static str> {
    let any = rights.iter().filter(|right| right.resource == super::Resource::Any);
    any.map(|right| right.action.iam_name()).collect::<BTreeSet<_>>().into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::super::{DELETES, LOOKS, PUTS_RIGHT, of_method};
    use super::*;
    use crate::domain::profile::{
        ClaimSource, CsrPlan, FleetKeys, FleetPlan, Issuer, Method, TemplateCertificate, ThingTemplate,
    };
    use crate::domain::{Bytes, Fingerprint, SigningCa};

    /// One of each.
    fn methods() -> Vec<Method> {
        let ca =
            SigningCa { name: "own".parse().unwrap(), certificate: Bytes(vec![1]), fingerprint: Fingerprint::of(&[1]) };
        let template = ThingTemplate {
            body: "{}".to_owned(),
            certificate: TemplateCertificate::ById,
            parameters: Default::default(),
        };
        let fleet = FleetPlan {
            template: "fleet".parse().unwrap(),
            claim: ClaimSource::TrustedUser,
            keys: FleetKeys::Chip,
            parameters: Default::default(),
        };
        let csr = |issuer| Method::Csr(CsrPlan { issuer, write_back: None });
        vec![
            Method::WithoutCa,
            Method::WithCa(ca.clone()),
            csr(Issuer::Aws),
            csr(Issuer::Fleet(fleet)),
            Method::JustInTime(ca.clone()),
            Method::Template { ca: Some(ca), template },
        ]
    }

    /// That file is compared with the calls in the source; this table is compared with the file.
    #[test]
    fn the_table_is_the_packaged_role_of_all_methods_together() {
        let packaged: Value =
            serde_json::from_str(include_str!("../../../../assets/packaging/station-role.json")).unwrap();
        let actions = |statement: &Value| {
            let actions = statement["Action"].as_array().unwrap().clone();
            actions.into_iter().map(|action| action.as_str().unwrap().to_owned())
        };
        let packaged: BTreeSet<String> = packaged["Statement"].as_array().unwrap().iter().flat_map(actions).collect();
        let of_methods = methods().iter().flat_map(of_method).collect::<Vec<_>>();
        let table = [LOOKS, PUTS_RIGHT, DELETES].into_iter().chain(of_methods).flatten();
        let table: BTreeSet<String> = table.map(|action| action.iam_name().to_owned()).collect();
        assert_eq!(table, packaged);
    }

    /// A run that was cut off looks for what AWS has made: without the right its unit would never pass again.
    #[test]
    fn a_fleet_may_look_for_what_was_made_and_make_what_its_template_is_given() {
        for method in methods().into_iter().filter(|method| method.fleet().is_some()) {
            let actions: BTreeSet<_> = of_method(&method).into_iter().flatten().map(|it| it.iam_name()).collect();
            for needed in ["iot:CreatePolicy", "iot:CreateThingType", "iot:ListCertificates"] {
                assert!(actions.contains(needed), "{needed}");
            }
        }
    }
}

//! AWS's registry of provisioning templates. As with devices: look, write what is missing, look until it is there.

use aws_sdk_iot::types::{ProvisioningHook, TemplateType};
use tokio::time::Instant;

use super::{AwsFleet, deadline, same_json};
use crate::adapters::aws_iot::call::{Link, Refused, pause_after};
use crate::adapters::aws_iot::link_of;
use crate::adapters::aws_iot::look::{absent_if, incomplete};
use crate::adapters::aws_iot::quota::Action;
use crate::domain::{
    Failure, Fingerprint, ProvisioningTemplateName, ReasonCode, TargetName, TemplateKind, TemplatePlan,
};
use crate::ports::{HeldTemplate, ProvisioningTemplates};

#[async_trait::async_trait]
impl ProvisioningTemplates for AwsFleet {
    async fn find(
        &self,
        target: &TargetName,
        name: &ProvisioningTemplateName,
    ) -> Result<Option<HeldTemplate>, Failure> {
        describe(link_of(&self.links, target)?, name, deadline()).await
    }

    async fn all(&self, target: &TargetName) -> Result<Vec<HeldTemplate>, Failure> {
        let (link, by) = (link_of(&self.links, target)?, deadline());
        let mut held = Vec::new();
        for name in names(link, by).await? {
            // Deleted since the list was made.
            held.extend(describe(link, &name, by).await?);
        }
        Ok(held)
    }

    async fn create(&self, plan: &TemplatePlan) -> Result<bool, Failure> {
        let (link, by) = (link_of(&self.links, &plan.target)?, deadline());
        if let Some(held) = describe(link, &plan.name, by).await? {
            return as_planned(&held, plan).map(|()| false);
        }
        let hook = plan.hook.as_ref().map(|hook| ProvisioningHook::builder().target_arn(hook.as_str()).build());
        let hook = hook.transpose().map_err(|error| about(plan, ReasonCode::CLOUD_REFUSED, error.to_string()))?;
        let send = || {
            let request = link.client.create_provisioning_template().template_name(plan.name.as_str());
            let request = request.template_body(&plan.body).provisioning_role_arn(plan.role.as_str()).enabled(true);
            let request = request.r#type(to_aws(plan.kind)).set_description(plan.description.clone());
            request.set_pre_provisioning_hook(hook.clone()).send()
        };
        if let Err(Refused { failure, answer, .. }) = link.call(Action::CreateProvisioningTemplate, by, send).await {
            match answer {
                // Somebody was faster, or an attempt of ours that nobody answered.
                Some(error) if error.is_resource_already_exists_exception() => {}
                Some(error) if error.is_invalid_request_exception() => {
                    return Err(Failure { code: ReasonCode::TEMPLATE_REFUSED, ..failure });
                }
                _ => return Err(failure),
            }
        }
        let mut attempts = 0;
        loop {
            if let Some(held) = describe(link, &plan.name, by).await? {
                return as_planned(&held, plan).map(|()| true);
            }
            attempts += 1;
            let pause = pause_after(attempts);
            if Instant::now() + pause >= by {
                let cause = "written, but not to be seen before the deadline".to_owned();
                return Err(about(plan, ReasonCode::CLOUD_NOT_YET, cause));
            }
            tokio::time::sleep(pause).await;
        }
    }
}

fn to_aws(kind: TemplateKind) -> TemplateType {
    match kind {
        TemplateKind::Fleet => TemplateType::FleetProvisioning,
        TemplateKind::Jitp => TemplateType::Jitp,
    }
}

pub(super) async fn describe(
    link: &Link,
    name: &ProvisioningTemplateName,
    by: Instant,
) -> Result<Option<HeldTemplate>, Failure> {
    let send = || link.client.describe_provisioning_template().template_name(name.as_str()).send();
    let answer = link.call(Action::DescribeProvisioningTemplate, by, send).await;
    let Some(found) = absent_if(answer, |error| error.is_resource_not_found_exception())? else { return Ok(None) };
    let whole = (found.template_arn, found.template_body, found.provisioning_role_arn);
    let (Some(arn), Some(body), Some(role)) = whole else {
        return Err(incomplete(link, Action::DescribeProvisioningTemplate));
    };
    Ok(Some(HeldTemplate {
        name: name.clone(),
        arn,
        // From before there were types, and of stand-ins that know none.
        kind: if found.r#type == Some(TemplateType::Jitp) { TemplateKind::Jitp } else { TemplateKind::Fleet },
        body,
        version: found.default_version_id.unwrap_or(1),
        enabled: found.enabled.unwrap_or(false),
        role,
        hook: found.pre_provisioning_hook.map(|hook| hook.target_arn),
        description: found.description.filter(|text| !text.is_empty()),
    }))
}

async fn names(link: &Link, by: Instant) -> Result<Vec<ProvisioningTemplateName>, Failure> {
    let mut names = Vec::new();
    let mut page = None;
    loop {
        let send = || link.client.list_provisioning_templates().set_next_token(page.clone()).send();
        let answer = link.call(Action::ListProvisioningTemplates, by, send).await.map_err(|refused| refused.failure)?;
        let found = answer.templates.unwrap_or_default().into_iter().filter_map(|template| template.template_name);
        names.extend(found.filter_map(|name| name.parse().ok()));
        page = answer.next_token.filter(|token| !token.is_empty());
        if page.is_none() {
            names.sort();
            return Ok(names);
        }
    }
}

/// `A-363` with both sides.
fn as_planned(held: &HeldTemplate, plan: &TemplatePlan) -> Result<(), Failure> {
    let hook = plan.hook.as_ref().map(|hook| hook.as_str());
    let same = held.enabled
        && held.kind == plan.kind
        && held.role == plan.role.as_str()
        && held.hook.as_deref() == hook
        && same_json(&held.body, &plan.body);
    if same {
        return Ok(());
    }
    let told = |enabled: bool, kind: TemplateKind, body: &str, role: &str, hook: Option<&str>| {
        let (state, body) = (if enabled { "enabled" } else { "disabled" }, Fingerprint::of(body.as_bytes()));
        format!("{state}, {}, body {body}, role {role}, hook {}", kind.as_str(), hook.unwrap_or("none"))
    };
    let there = told(held.enabled, held.kind, &held.body, &held.role, held.hook.as_deref());
    let asked = told(true, plan.kind, &plan.body, plan.role.as_str(), hook);
    Err(about(plan, ReasonCode::TEMPLATE_DIFFERS, format!("it is there: {there}; asked for: {asked}")))
}

fn about(plan: &TemplatePlan, code: ReasonCode, cause: String) -> Failure {
    let cause = format!("provisioning template {}, target {}: {cause}", plan.name, plan.target);
    Failure::new(code, cause).with("target", &plan.target).with("template", &plan.name)
}

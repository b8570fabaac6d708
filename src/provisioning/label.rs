use crate::domain::{Failure, ReasonCode, Template, Variables};
pub fn render_label(template: &Template, variables: &Variables) -> Result<String, Failure> {
    template.render(variables).map_err(|e| Failure::new(ReasonCode::LABEL_UNRENDERABLE, e.to_string()))
}

//! From a label's template and a run's values to ZPL II that is safe to send.

use super::run::Run;
use super::values::label_variables;
use crate::audit::event::LabelKind;
use crate::domain::profile::Profile;
use crate::domain::{Failure, ReasonCode, Template, Variables, Verdict, label};

/// What goes to the printer for a run.
#[derive(Debug, Clone, PartialEq)]
pub struct Paper {
    /// What the printer, or a folder, calls it.
    pub name: String,
    /// P-403: it can't be made of this unit's values.
    pub zpl: Result<String, Failure>,
}

/// `None`: the profile has no such paper. `operator` as in [`label_variables`].
pub fn paper(
    run: &Run,
    profile: &Profile,
    kind: LabelKind,
    (practice, air_gapped): (bool, bool),
    operator: Option<&str>,
) -> Option<Paper> {
    let plan = profile.label.as_ref()?;
    let failed = run.verdict() == Some(Verdict::Fail);
    let template = match kind {
        LabelKind::Unit => &plan.template,
        LabelKind::Slip if failed => plan.fail_slip.as_ref()?,
        LabelKind::Slip => &plan.slip,
    };
    let mut name = match (&run.unit, kind) {
        (_, LabelKind::Slip) if !failed => format!("slip-{}", run.slip.unwrap_or(run.first_seq)),
        (Some(unit), _) => format!("{}-{}", unit.serial, run.id),
        (None, _) => run.id.to_string(),
    };
    if run.copy > 1 {
        name = format!("{name}-copy-{}", run.copy);
    }
    let mut variables = label_variables(run, practice, air_gapped, operator);
    if run.unit.is_none() {
        // A board that said nothing has no named groups either.
        for name in template.variables() {
            variables.entry(name.to_owned()).or_default();
        }
    }
    Some(Paper { name, zpl: render_label(template, &variables) })
}

/// Fills `template`; values are escaped, so that what a board says can't be a printer command.
/// Error: `P-403`, a variable that does not exist, or a value for which there is no room.
pub fn render_label(template: &Template, variables: &Variables) -> Result<String, Failure> {
    let refused = |cause: String| Failure::new(ReasonCode::LABEL_UNRENDERABLE, cause);
    let escaped = variables.iter().map(|(name, value)| (name.clone(), escape_zpl(value))).collect();
    let zpl = template.render(&escaped).map_err(|error| refused(error.to_string()))?;
    match label::faults(&zpl).into_iter().next() {
        Some(fault) => Err(refused(format!("line {} of the label: {}", fault.line, fault.because))),
        None => Ok(zpl),
    }
}

/// ZPL II takes `^` and `~` as the beginning of a command anywhere, even inside field data. A field
/// under `^FH` reads `_hh` as the character with that hexadecimal code, so `_` itself is written that
/// way too. Control characters become spaces.
pub fn escape_zpl(value: &str) -> String {
    let mut out = String::with_capacity(value.len());
    for c in value.chars() {
        match c {
            '^' => out.push_str("_5E"),
            '~' => out.push_str("_7E"),
            '_' => out.push_str("_5F"),
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_can_not_be_a_command() {
        let template = Template::parse("^XA^FO1,1^FH^FD{serial}^FS^XZ").unwrap();
        let variables = Variables::from([("serial".into(), "A^FS~JR_1\n".into())]);
        assert_eq!(render_label(&template, &variables).unwrap(), "^XA^FO1,1^FH^FDA_5EFS_7EJR_5F1 ^FS^XZ");
    }

    #[test]
    fn a_value_for_which_there_is_no_room_is_p_403() {
        let template = Template::parse("^XA^PW200^LL240\n^FO100,9^A0N,30,30^FH^FD{serial}^FS^XZ").unwrap();
        let filled = |serial: &str| render_label(&template, &Variables::from([("serial".into(), serial.into())]));
        assert!(filled("SN-1").is_ok());
        let failure = filled("SN-0123456789").unwrap_err();
        assert_eq!(failure.code, ReasonCode::LABEL_UNRENDERABLE);
        let cause = "line 2 of the label: \"SN-0123456789\" ends at 249 dots, and the label is 200 dots wide (^PW)";
        assert_eq!(failure.cause, cause);
    }

    #[test]
    fn a_variable_that_does_not_exist_is_p_403() {
        let template = Template::parse("^XA{thing}^XZ").unwrap();
        let failure = render_label(&template, &Variables::new()).unwrap_err();
        assert_eq!(failure.code, ReasonCode::LABEL_UNRENDERABLE);
        assert_eq!(failure.cause, "there is no variable \"thing\" here");
    }
}

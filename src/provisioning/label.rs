//! From a label's template and a run's values to ZPL II that is safe to send.

use crate::domain::{Failure, ReasonCode, Template, Variables};

/// Fills `template`; values are escaped, so that what a board says can't be a printer command.
/// Error: `P-403`, a variable that does not exist.
pub fn render_label(template: &Template, variables: &Variables) -> Result<String, Failure> {
    let escaped = variables.iter().map(|(name, value)| (name.clone(), escape_zpl(value))).collect();
    template.render(&escaped).map_err(|error| Failure::new(ReasonCode::LABEL_UNRENDERABLE, error.to_string()))
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
    fn a_variable_that_does_not_exist_is_p_403() {
        let template = Template::parse("^XA{thing}^XZ").unwrap();
        let failure = render_label(&template, &Variables::new()).unwrap_err();
        assert_eq!(failure.code, ReasonCode::LABEL_UNRENDERABLE);
        assert_eq!(failure.cause, "there is no variable \"thing\" here");
    }
}

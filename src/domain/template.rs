//! Texts with variables, `gw-{serial}`: whatever a profile sets may use what the board told us.

use std::collections::BTreeMap;

/// The variables of one run: named groups of the identify answer, the port, the USB path, the
/// unit's serial.
pub type Variables = BTreeMap<String, String>;

/// A parsed template. `{name}` is a variable, `{{` and `}}` are braces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    text: String,
    parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    Variable(String),
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    #[error("a brace at character {at} has no partner; write {{{{ or }}}} for a brace itself")]
    Unbalanced { at: usize },
    #[error("{name:?} is not a variable name: use a-z, A-Z, 0-9 and _")]
    BadName { name: String },
    #[error("there is no variable {name:?} here")]
    Unknown { name: String },
}

impl Template {
    pub fn parse(text: &str) -> Result<Self, TemplateError> {
        let mut parts = Vec::new();
        let mut plain = String::new();
        let mut chars = text.chars().enumerate().peekable();
        while let Some((at, c)) = chars.next() {
            let doubled = chars.peek().is_some_and(|(_, next)| *next == c);
            match c {
                '{' | '}' if doubled => {
                    chars.next();
                    plain.push(c);
                }
                '{' => {
                    let mut name = String::new();
                    loop {
                        match chars.next() {
                            Some((_, '}')) => break,
                            Some((_, c)) => name.push(c),
                            None => return Err(TemplateError::Unbalanced { at }),
                        }
                    }
                    if name.is_empty() || !name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
                        return Err(TemplateError::BadName { name });
                    }
                    if !plain.is_empty() {
                        parts.push(Part::Text(std::mem::take(&mut plain)));
                    }
                    parts.push(Part::Variable(name));
                }
                '}' => return Err(TemplateError::Unbalanced { at }),
                _ => plain.push(c),
            }
        }
        if !plain.is_empty() {
            parts.push(Part::Text(plain));
        }
        Ok(Self { text: text.to_owned(), parts })
    }

    /// The names this template needs.
    pub fn variables(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().filter_map(|part| match part {
            Part::Variable(name) => Some(name.as_str()),
            Part::Text(_) => None,
        })
    }

    pub fn render(&self, variables: &Variables) -> Result<String, TemplateError> {
        self.render_by(|name| variables.get(name).map(String::as_str))
    }

    /// Into one piece of memory that is never moved: whoever wipes it has wiped all that was rendered.
    pub fn render_by<'v>(&'v self, value_of: impl Fn(&str) -> Option<&'v str>) -> Result<String, TemplateError> {
        let text_of = |part: &'v Part| match part {
            Part::Text(text) => Ok(text.as_str()),
            Part::Variable(name) => value_of(name).ok_or_else(|| TemplateError::Unknown { name: name.clone() }),
        };
        Ok(self.parts.iter().map(text_of).collect::<Result<Vec<&str>, _>>()?.concat())
    }

    /// The template as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn renders_variables_and_doubled_braces() {
        let template = Template::parse("{{{serial}}}-{port}").unwrap();
        let variables = Variables::from([("serial".into(), "A1".into()), ("port".into(), "p".into())]);
        assert_eq!(template.render(&variables).unwrap(), "{A1}-p");
        assert_eq!(template.variables().collect::<Vec<_>>(), ["serial", "port"]);
    }

    #[test]
    fn a_variable_that_does_not_exist_is_an_error_not_an_empty_text() {
        let template = Template::parse("gw-{seriall}").unwrap();
        let error = template.render(&Variables::new()).unwrap_err();
        assert_eq!(error, TemplateError::Unknown { name: "seriall".into() });
    }

    #[test]
    fn a_lone_brace_is_refused_where_it_stands() {
        assert_eq!(Template::parse("ab{c").unwrap_err(), TemplateError::Unbalanced { at: 2 });
        assert_eq!(Template::parse("ab}c").unwrap_err(), TemplateError::Unbalanced { at: 2 });
        assert!(matches!(Template::parse("{a b}"), Err(TemplateError::BadName { .. })));
    }
}

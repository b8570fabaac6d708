//! `[label]`: the ZPL II files, with variables.

use std::path::Path;

use crate::config::problem::Mistake;
use crate::config::section::{Entry, Known};
use crate::config::source::Source;
use crate::domain::profile::{LABEL_VARIABLES, LabelPlan};
use crate::domain::{Template, TemplateError};

pub(super) fn read(entry: &Entry<'_>, known: &Known) -> Option<LabelPlan> {
    let section = entry.section("[label]")?;
    let mut known = known.clone();
    known.names.extend(LABEL_VARIABLES.map(str::to_owned));
    let template = section.required("template").and_then(|entry| read_file(&entry, &known));
    let slip = section.required("slip").and_then(|entry| read_file(&entry, &known));
    Some(LabelPlan { template: template?, slip: slip? })
}

fn read_file(entry: &Entry<'_>, known: &Known) -> Option<Template> {
    let path = entry.path()?;
    let text = match std::fs::read(&path) {
        Ok(bytes) => String::from_utf8(bytes).map_err(|_| "is not UTF-8 text".to_owned()),
        Err(error) => Err(format!("cannot be read: {error}")),
    };
    match text {
        Ok(text) => check(&path, text, entry, known),
        Err(because) => {
            entry.report(Mistake::BadFile { key: entry.name.clone(), path, because });
            None
        }
    }
}

/// Mistakes inside the label are reported with the label's own lines.
fn check(path: &Path, text: String, entry: &Entry<'_>, known: &Known) -> Option<Template> {
    let problems = entry.source.problems;
    problems.opened(path);
    let source = Source::of(path, text, problems);
    let text = source.text.as_str();
    let template = match Template::parse(text) {
        Ok(template) => template,
        Err(error) => {
            let at = match &error {
                TemplateError::Unbalanced { at } => text.char_indices().nth(*at).map(|(offset, _)| offset),
                TemplateError::BadName { name } | TemplateError::Unknown { name } => text.find(&format!("{{{name}")),
            };
            // The line says where; the template's own count of characters would only confuse.
            let message = match error {
                TemplateError::Unbalanced { .. } => {
                    "a brace has no partner; write {{ or }} for a brace itself".to_owned()
                }
                other => other.to_string(),
            };
            source.report(at.map(|at| at..at), Mistake::Refused { key: "the label".into(), because: message });
            return None;
        }
    };
    let mut good = true;
    for name in known.strange(&template) {
        let at = text.find(&format!("{{{name}}}"));
        source.report(at.map(|at| at..at), known.mistake("the label", name));
        good = false;
    }
    let upper = text.to_ascii_uppercase();
    if !(upper.contains("^XA") && upper.trim_end().ends_with("^XZ")) {
        let because = "is not ZPL: it has to go from ^XA to ^XZ".to_owned();
        source.report(None, Mistake::Refused { key: "the label".into(), because });
        good = false;
    }
    for at in unprotected_fields(&upper) {
        // Values are handed over with ^ ~ and _ as hexadecimal codes, so that none of them is a command.
        let because = "a field with a variable needs ^FH before its ^FD, e.g. ^FH^FD{serial}^FS".to_owned();
        source.report(Some(at..at), Mistake::Refused { key: "the label".into(), because });
        good = false;
    }
    good.then_some(template)
}

/// Offsets of the ^FD (and ^FV) that hold a variable and do not read hexadecimal codes: those without
/// ^FH, or with another code character than `_`.
fn unprotected_fields(upper: &str) -> Vec<usize> {
    let mut found = Vec::new();
    let mut start = 0;
    for field in upper.split_inclusive("^FS") {
        let data = field.find("^FD").or_else(|| field.find("^FV"));
        if let Some(data) = data {
            let (before, inside) = field.split_at(data);
            let variable = inside.replace("{{", "").contains('{');
            let protected = before.rfind("^FH").is_some_and(|at| {
                let next = before[at + 3..].trim_start().chars().next();
                matches!(next, None | Some('^' | '_'))
            });
            if variable && !protected {
                found.push(start + data);
            }
        }
        start += field.len();
    }
    found
}

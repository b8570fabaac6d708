//! `[label]`: the ZPL II files, with variables.

use std::path::Path;

use crate::config::problem::Mistake;
use crate::config::section::{Entry, Known};
use crate::config::source::Source;
use crate::domain::profile::{LABEL_VARIABLES, LabelPlan};
use crate::domain::{Template, TemplateError, Variables, label};

/// `drawn`: the station's printer takes pictures, so that the label is drawn here.
pub(super) fn read(entry: &Entry<'_>, known: &Known, drawn: bool) -> Option<LabelPlan> {
    let section = entry.section("[label]")?;
    let mut known = known.clone();
    known.names.extend(LABEL_VARIABLES.map(str::to_owned));
    let read = |entry: Entry<'_>| read_file(&entry, &known, drawn);
    let template = section.required("template").and_then(read);
    let slip = section.required("slip").and_then(read);
    let fail_slip = section.optional("fail_slip").map(read);
    let scan_back = section.optional("scan_back").map_or(Some(false), |entry| {
        let wanted = entry.boolean()?;
        if wanted && template.as_ref().is_some_and(|template| !names_the_unit(template)) {
            entry.refuse(
                "no code on the label names the unit, so that none can be scanned back: put {serial}, {thing}, \
                 {fingerprint}, {certificate_id} or {run} into one",
            );
        }
        Some(wanted)
    });
    let fail_slip = fail_slip.map_or(Some(None), |template| template.map(Some));
    Some(LabelPlan { template: template?, slip: slip?, fail_slip: fail_slip?, scan_back: scan_back? })
}

/// What no two units have alike is in something that a scanner reads.
fn names_the_unit(template: &Template) -> bool {
    let own = ["serial", "thing", "fingerprint", "certificate_id", "run"];
    let value = |name: &str| if own.contains(&name) { "\u{1}" } else { "1" }.to_owned();
    let values = template.variables().map(|name| (name.to_owned(), value(name))).collect();
    let filled = template.render(&values).unwrap_or_default();
    label::codes(&filled).iter().any(|code| code.contains('\u{1}'))
}

fn read_file(entry: &Entry<'_>, known: &Known, drawn: bool) -> Option<Template> {
    let path = entry.path()?;
    let text = match std::fs::read(&path) {
        Ok(bytes) => String::from_utf8(bytes).map_err(|_| "is not UTF-8 text".to_owned()),
        Err(error) => Err(format!("cannot be read: {error}")),
    };
    match text {
        Ok(text) => check(&path, text, entry, known, drawn),
        Err(because) => {
            entry.report(Mistake::BadFile { key: entry.name.clone(), path, because });
            None
        }
    }
}

/// Mistakes inside the label are reported with the label's own lines.
fn check(path: &Path, text: String, entry: &Entry<'_>, known: &Known, drawn: bool) -> Option<Template> {
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
    for fault in faults(&template, known, drawn) {
        let at: usize = text.split_inclusive('\n').take(fault.line.saturating_sub(1)).map(str::len).sum();
        source.report(Some(at..at), Mistake::Refused { key: "the label".into(), because: fault.because });
        good = false;
    }
    good.then_some(template)
}

/// What can't be right whatever the unit is: its values are taken to be as short as they may be.
fn faults(template: &Template, known: &Known, drawn: bool) -> Vec<label::Fault> {
    let least = |name: &str| known.values.iter().find(|(known, _)| *known == name).map(|(_, value)| value.clone());
    let values: Variables = template
        .variables()
        .map(|name| (name.to_owned(), least(name).unwrap_or_else(|| shortest(name).to_owned())))
        .collect();
    // A variable that does not exist is told by now, and has a value here.
    let Ok(zpl) = template.render(&values) else { return Vec::new() };
    let mut faults = label::faults(&zpl);
    if drawn {
        faults.extend(label::undrawable(&zpl));
        faults.sort_by_key(|fault| fault.line);
    }
    faults
}

fn shortest(name: &str) -> &'static str {
    match name {
        "fingerprint" | "certificate_id" => "3f0a9c17be54d2863f0a9c17be54d2863f0a9c17be54d2863f0a9c17be54d286",
        "time" | "not_before" | "not_after" => "2026-11-29T17:05:00Z",
        "date" => "2026-11-29",
        "run" => "01939f3a-7c51-7b0e-9d5a-3f0a9c17be54",
        "verdict" => "PASS",
        "practice" => "",
        _ => "1",
    }
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

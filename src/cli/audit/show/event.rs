//! One event, as it was written.

use serde_json::json;

use super::super::super::exit;
use super::super::super::output::{self, data, plain};
use super::super::found;
use super::super::labels::{field, time};
use super::super::reader::Reader;
use super::{Telling, print_certificates, unknown};
use crate::audit::{Body, LineEvent, Node, RunEvent};
use crate::domain::{Failure, ReasonCode};

pub async fn show(reader: &mut Reader, seq: u64, telling: &Telling<'_>) -> Result<u8, Failure> {
    if seq >= reader.history.tree_head().await?.size {
        return Err(unknown(format!("there is no event {seq} yet")));
    }
    let leaf = hex::encode(reader.history.hashes(&[Node { level: 0, index: seq }]).await?.concat());
    let event = match reader.history.events(seq, 1).await {
        Err(failure) if failure.code == ReasonCode::LOG_ARCHIVED && !telling.certificate => {
            output::failure(&failure, telling.language);
            if telling.json {
                output::json(&json!({ "seq": seq, "leaf": leaf, "archived": true })).unwrap_or_default();
            } else {
                data(&format!("event {seq}"));
                field("leaf hash", leaf);
            }
            return Ok(exit::of_failure(&failure));
        }
        answer => answer?.pop(),
    };
    let Some((logged, bytes)) = event.filter(|(logged, _)| logged.receipt.seq == seq) else {
        return Err(Failure::new(ReasonCode::STORE_CORRUPT, format!("event {seq} is missing")));
    };
    if telling.certificate {
        let certificate = match &logged.event.body {
            Body::Run(RunEvent::ChipRead { reading } | RunEvent::ReadAgain { reading }) => Some(&reading.certificate),
            Body::Line(LineEvent::Imported { certificate, .. }) => certificate.as_ref(),
            _ => None,
        };
        return Ok(print_certificates(&[], &certificate.map(|bytes| &**bytes).into_iter().collect::<Vec<_>>()));
    }
    if telling.json {
        return found::print_event(reader, &logged, &bytes).await.map(|()| exit::DONE);
    }
    // It was decoded: it is UTF-8.
    let text = String::from_utf8_lossy(&bytes);
    data(&format!("event {seq}"));
    field("leaf hash", leaf);
    field("time", format!("{} UTC", time(logged.event.at)));
    field("station", &logged.event.station);
    if let Some(operator) = &logged.event.operator {
        field("operator", reader.who(operator.id).await?);
    }
    data("");
    indented(&text).lines().for_each(|line| data(&plain(line)));
    Ok(exit::DONE)
}

/// JSON with a line for each value, every byte of it otherwise as it was written.
fn indented(json: &str) -> String {
    let (mut out, mut depth, mut quoted, mut escaped) = (String::new(), 0, false, false);
    let line = |out: &mut String, depth: usize| {
        out.push('\n');
        out.push_str(&"  ".repeat(depth));
    };
    let mut characters = json.chars().peekable();
    while let Some(c) = characters.next() {
        if quoted {
            out.push(c);
            (quoted, escaped) = (escaped || c != '"', !escaped && c == '\\');
            continue;
        }
        match c {
            '{' | '[' => {
                out.push(c);
                if let Some(end) = characters.next_if(|next| matches!(next, '}' | ']')) {
                    out.push(end);
                } else {
                    depth += 1;
                    line(&mut out, depth);
                }
            }
            '}' | ']' => {
                depth = depth.saturating_sub(1);
                line(&mut out, depth);
                out.push(c);
            }
            ',' => {
                out.push(c);
                line(&mut out, depth);
            }
            ':' => out.push_str(": "),
            _ => {
                quoted = c == '"';
                out.push(c);
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_laid_out_and_says_what_it_said() {
        let json = r#"{"b":{},"a":["x,\"{:}","y\\"],"n":1}"#;
        let laid = indented(json);
        assert_eq!(laid, "{\n  \"b\": {},\n  \"a\": [\n    \"x,\\\"{:}\",\n    \"y\\\\\"\n  ],\n  \"n\": 1\n}");
        let value = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
        assert_eq!(value(&laid), value(json));
    }
}

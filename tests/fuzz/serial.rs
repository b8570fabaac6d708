//! What a board answers over its serial port.

use std::time::Duration;

use lineseal::adapters::boards::answer;
use lineseal::domain::profile::Dialogue;
use lineseal::provisioning::label::escape_zpl;

use super::engine::Target;

#[test]
fn a_board_says_what_its_answer_holds_and_commands_no_printer() {
    let dialogues = [
        r"SN=(?<serial>[A-Z0-9-]+)",
        r"(?s-u)SN=(?<serial>.*?)\r\n",
        r"SERIAL: (?<serial>\w+) MAC: (?<mac>[0-9a-f:]{17})",
        r"(?m)^(?<all>.*)$",
    ]
    .map(|expect| Dialogue {
        baud: 115_200,
        send: None,
        expect: regex::bytes::Regex::new(expect).unwrap(),
        timeout: Duration::from_secs(1),
        retries: 0,
    });
    let check = |input: &[u8]| {
        let outcomes = dialogues.iter().map(|dialogue| match answer(dialogue, input) {
            Ok(Some(answer)) => {
                for (name, value) in &answer {
                    let heard = value.is_empty() || input.windows(value.len()).any(|part| part == value.as_bytes());
                    assert!(heard, "{name} was never said");
                    assert!(!escape_zpl(value).contains(|c: char| "^~".contains(c) || c.is_control()));
                }
                format!("{} values", answer.len())
            }
            Ok(None) => "nothing".to_owned(),
            Err(failure) => failure.code.to_string(),
        });
        outcomes.collect::<Vec<_>>().join(", ")
    };
    let words = &["SN=", "SERIAL: ", " MAC: ", "\r\n", "^XZ", "~JR", "\u{fffd}", "\u{1b}[2J"];
    Target { name: "serial", inputs: 150_000, seeds: vec![], words, check: &check }.run();
}

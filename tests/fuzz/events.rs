//! What is read back from the log, from a bundle or from another station.

use lineseal::audit::{Event, LeafHash};
use lineseal::domain::ReasonCode;
use lineseal::ports::{Logged, Receipt};
use lineseal::provisioning::{Run, UnitRecord, verdict_of};

use super::engine::{Target, kind_of};

/// Lines, one event each; together they may be a run.
#[test]
fn an_event_that_is_read_is_written_as_it_was_read() {
    let check = |input: &[u8]| {
        let (mut logged, mut outcome) = (Vec::new(), String::new());
        for (seq, line) in (0..).zip(input.split(|byte| *byte == b'\n')) {
            match Event::decode(line) {
                Ok(event) => {
                    let written = event.encode().unwrap();
                    let again = Event::decode(&written).unwrap();
                    assert!(again == event, "it is another one when it is read again");
                    assert_eq!(again.encode().unwrap(), written);
                    let receipt = Receipt { seq, leaf: LeafHash::of(&written) };
                    logged.push(Logged { receipt, event });
                }
                Err(error) => outcome += &kind_of(&error.to_string()),
            }
        }
        if let Ok(run) = Run::fold(&logged) {
            let _ = (UnitRecord::of(&run), run.proven_identity(), run.step(), run.pending_targets());
            outcome += &format!("{:?} {:?}", run.verdict(), verdict_of(ReasonCode::CHIP_LACKS_KEY, &run));
        }
        outcome.chars().take(120).collect()
    };
    let words =
        &["null", "\"v\":2", "\"event\":\"", "{}", "\\u0000", "1e400", "-0", "\"PASS\"", "9999-12-31T23:59:59.999Z"];
    Target { name: "events", inputs: 40_000, seeds: vec![], words, check: &check }.run();
}

//! What a token's worker says over its socket: the vendor's module may speak in its name.

use lineseal::adapters::pkcs11::{Report, heard, receive};
use lineseal::domain::ReasonCode;
use lineseal::provisioning::checks::verify_signature;

use super::certificates::{check, leaves, trust};
use super::corpus::{self, MESSAGE};
use super::engine::{Target, kind_of};

#[test]
fn nothing_that_a_worker_says_proves_a_chip_but_what_the_chip_has_signed() {
    let (trust, leaf, answer) = (trust(), leaves().remove(0), corpus::file("answers", "p256"));
    let checked = check(&leaf, &trust).unwrap();
    let check = |input: &[u8]| {
        let (mut stream, mut outcome) = (input, String::new());
        loop {
            let said = match receive::<Report>(&mut stream) {
                Ok(Some(report)) => heard(report),
                Ok(None) => break outcome + " end",
                Err(error) => break outcome + " " + &kind_of(&error.to_string()),
            };
            outcome += match said {
                Ok(Report::Calling(function)) => {
                    assert!(function.chars().count() <= 512 && !function.contains(char::is_control));
                    " calling"
                }
                Ok(Report::Read(reading)) => {
                    let read = check(&reading.certificate, &trust);
                    assert!(read.is_err() || reading.certificate.0 == leaf, "another chip is taken for proven");
                    " read"
                }
                Ok(Report::Signed(signature)) => {
                    let proven = verify_signature(&checked, MESSAGE, &signature);
                    assert!(proven.is_err() || signature.0 == answer, "a forged answer is taken for proof");
                    " signed"
                }
                Ok(Report::Contents(contents)) => {
                    let plain = |text: &str| text.chars().count() <= 512 && !text.contains(char::is_control);
                    assert!(contents.objects.iter().all(|object| object.label.as_deref().is_none_or(plain)));
                    " contents"
                }
                Ok(Report::Opened | Report::Closed | Report::Kept(_) | Report::LogKey(_) | Report::Failed(_)) => {
                    " opened"
                }
                Err(failure) => {
                    let of_a_token = failure.code.as_str().starts_with("T-");
                    let of_its_chip = [ReasonCode::CERTIFICATE_UNREADABLE, ReasonCode::CHIP_LACKS_KEY];
                    assert!(of_a_token || of_its_chip.contains(&failure.code), "{failure}");
                    assert!(failure.args.is_empty() && !failure.cause.contains(char::is_control));
                    " failed"
                }
            };
            outcome.truncate(64);
        }
    };
    let words =
        &["\"Read\"", "\"Signed\"", "\"Opened\"", "\"Failed\":{\"code\":\"A-301\"", "\\u0000", "null", "{", "["];
    Target { name: "worker", inputs: 40_000, seeds: vec![], words, check: &check }.run();
}

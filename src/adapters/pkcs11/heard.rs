//! What a worker said, cut to what a worker can have to say: the module it loaded may speak in its name.

use super::wire::Report;
use crate::audit::event::{Reading, TokenFacts};
use crate::domain::{Failure, ReasonCode};
use crate::ports::{Contents, Kept, TokenObject};

/// Characters of a name or a cause; the longest honest one is a path.
const LONGEST: usize = 512;

/// A module's certificate is a few kilobytes.
const LARGEST_CERTIFICATE: usize = 64 << 10;

/// What the station takes a report for. An error: the worker has failed, or said what it can't have to say.
pub fn heard(report: Report) -> Result<Report, Failure> {
    match report {
        Report::Calling(function) => Ok(Report::Calling(word(&function))),
        Report::Contents(said) => Ok(Report::Contents(Box::new(contents(*said)))),
        Report::Read(said) => Ok(Report::Read(Box::new(reading(*said)?))),
        Report::Kept(Kept::Refused(why)) => Ok(Report::Kept(Kept::Refused(word(&why)))),
        Report::Failed(said) => Err(failure(said)),
        Report::Opened | Report::Closed | Report::Signed(_) | Report::Kept(_) | Report::LogKey(_) => Ok(report),
    }
}

/// A failure of a token. Any other would speak for a part of the station that the worker is not: a cloud
/// out of reach, say, which would have the unit wait for it, HELD.
fn failure(said: Failure) -> Failure {
    const OF_A_TOKEN: [ReasonCode; 12] = [
        ReasonCode::TOKEN_MODULE,
        ReasonCode::TOKEN_ABSENT,
        ReasonCode::TOKEN_NO_CERTIFICATE,
        ReasonCode::TOKEN_SILENT,
        ReasonCode::TOKEN_LOST,
        ReasonCode::TOKEN_PIN,
        ReasonCode::TOKEN_NO_KEY,
        ReasonCode::TOKEN_NO_UID,
        ReasonCode::TOKEN_REFUSED,
        ReasonCode::TOKEN_CRASHED,
        ReasonCode::TOKEN_MECHANISM,
        ReasonCode::CERTIFICATE_UNREADABLE,
    ];
    // The certificate is another chip's: mechanism.rs.
    if OF_A_TOKEN.contains(&said.code) || said.code == ReasonCode::CHIP_LACKS_KEY {
        return Failure::new(said.code, word(&said.cause));
    }
    let cause = format!("the worker named a cause that is none of a token's: {}: {}", said.code, word(&said.cause));
    Failure::new(ReasonCode::TOKEN_CRASHED, cause)
}

fn reading(said: Reading) -> Result<Reading, Failure> {
    if said.certificate.len() > LARGEST_CERTIFICATE {
        let cause = format!("the certificate has {} bytes", said.certificate.len());
        return Err(Failure::new(ReasonCode::CERTIFICATE_UNREADABLE, cause));
    }
    Ok(Reading { token: facts(said.token), ..said })
}

fn facts(said: TokenFacts) -> TokenFacts {
    TokenFacts {
        module: word(&said.module),
        module_version: word(&said.module_version),
        manufacturer: word(&said.manufacturer),
        token_label: word(&said.token_label),
        token_model: word(&said.token_model),
        token_serial: word(&said.token_serial),
        certificate_found_as: word(&said.certificate_found_as),
        key_found_as: said.key_found_as.as_deref().map(word),
        uid_found_as: said.uid_found_as.as_deref().map(word),
        ..said
    }
}

fn contents(said: Contents) -> Contents {
    let object = |said: TokenObject| TokenObject {
        label: said.label.as_deref().map(word),
        id: said.id.as_deref().map(word),
        key_type: said.key_type.as_deref().map(word),
        ..said
    };
    Contents { token: facts(said.token), objects: said.objects.into_iter().map(object).collect(), ..said }
}

/// Without control characters, which would write over the lines of a terminal or a log.
pub(super) fn word(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c }).take(LONGEST).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worker_speaks_for_its_token_only() {
        for code in ReasonCode::ALL.iter().copied() {
            let heard = failure(Failure::new(code, "said").with("unit", "another"));
            let of_a_token = code.as_str().starts_with("T-")
                || [ReasonCode::CERTIFICATE_UNREADABLE, ReasonCode::CHIP_LACKS_KEY].contains(&code);
            assert_eq!(heard.code, if of_a_token { code } else { ReasonCode::TOKEN_CRASHED });
            assert!(heard.args.is_empty());
        }
    }

    #[test]
    fn what_it_says_is_short_and_plain() {
        let long = format!("\u{1b}[2J{}", "x".repeat(1 << 20));
        let heard = failure(Failure::new(ReasonCode::TOKEN_LOST, long));
        assert!(heard.cause.starts_with("\u{fffd}[2Jxx") && heard.cause.chars().count() == LONGEST);
    }
}

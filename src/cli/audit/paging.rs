//! Long answers come in pages; where one ends, it says how to ask for the next.

use serde_json::json;

use super::super::output::{self, say};
use crate::ports::Cursor;

#[derive(clap::Args)]
pub struct Paging {
    /// How many at most.
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub limit: u32,
    /// Goes on where a page ended, as that page said.
    #[arg(long, value_name = "CURSOR", value_parser = parse)]
    pub after: Option<Cursor>,
}

/// Where the next page begins, and by which option it is asked for.
pub enum Next {
    After(Cursor),
    From(u64),
}

/// The last thing that a page says.
pub fn tell(next: Option<&Next>, as_json: bool) {
    let (option, value) = match next {
        None => return,
        Some(Next::After(cursor)) => ("after", written(cursor)),
        Some(Next::From(seq)) => ("from", seq.to_string()),
    };
    say(&format!("there is more: --{option} {}", quoted(&value)));
    if as_json {
        // Whoever stopped reading has seen enough.
        output::json(&json!({ "next": { option: value } })).unwrap_or_default();
    }
}

/// `123`, or `123:value` where the page is ordered by a value.
fn written(cursor: &Cursor) -> String {
    match &cursor.value {
        Some(value) => format!("{}:{value}", cursor.seq),
        None => cursor.seq.to_string(),
    }
}

fn parse(text: &str) -> Result<Cursor, String> {
    let (seq, value) = match text.split_once(':') {
        Some((seq, value)) => (seq, Some(value.to_owned())),
        None => (text, None),
    };
    let seq = seq.parse().map_err(|_| "a page's end is a number, or a number, a colon and a value".to_owned())?;
    Ok(Cursor { value, seq })
}

/// As a shell takes it for one word.
fn quoted(value: &str) -> String {
    let harmless = |c: char| c.is_ascii_alphanumeric() || "-_.:/".contains(c);
    if value.chars().all(harmless) { value.to_owned() } else { format!("'{}'", value.replace('\'', r"'\''")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_page_says_is_what_the_next_one_takes() {
        for cursor in [
            Cursor { value: None, seq: 7 },
            Cursor { value: Some("GW4:0'1".to_owned()), seq: 0 },
            Cursor { value: Some(String::new()), seq: 9 },
        ] {
            assert_eq!(parse(&written(&cursor)), Ok(cursor));
        }
        assert!(parse("GW4").is_err());
        assert_eq!(quoted("7:GW4-1"), "7:GW4-1");
        assert_eq!(quoted("7:a'b$(x)"), r"'7:a'\''b$(x)'");
    }
}

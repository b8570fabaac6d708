//! Names in the log's checkpoints, and what people give as reasons.

use super::text_type;

text_type!(
    /// Who signs a note (C2SP signed-note), and which log a checkpoint is of (C2SP tlog-checkpoint: its
    /// origin). Best a URL without a scheme, such as `plant.example/lineseal`; nothing has to answer
    /// there.
    ///
    /// An origin need not obey the rule of a key's name by the letter of C2SP. Ours does: the log's keys
    /// carry the origin as their name.
    KeyName,
    "name of a log or of a key",
    "1 to 200 bytes without white space, plus signs and control characters",
    |text| {
        (1..=200).contains(&text.len())
            && !text.chars().any(|c| c.is_whitespace() || c.is_control() || c == '+')
    }
);

text_type!(
    /// Why people rule as they do, in their own words.
    RulingReason,
    "reason",
    "1 to 2000 characters, not all of them spaces, and no control characters but line ends and tabs",
    |text| {
        let control = |c: char| c.is_control() && !matches!(c, '\n' | '\r' | '\t');
        !text.trim().is_empty() && text.chars().count() <= 2000 && !text.chars().any(control)
    }
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_says_something_and_fits_a_form() {
        for good in ["x", "再はんだ付け後に再試験", "chip replaced\r\n\tRMA 4711", &"長".repeat(2000)] {
            assert_eq!(good.parse::<RulingReason>().unwrap().as_str(), good);
        }
        for bad in ["", " \n\t ", "\u{3000}", "a\0b", "a\u{1b}[31m", &"長".repeat(2001)] {
            bad.parse::<RulingReason>().unwrap_err();
        }
    }
}

//! Names in the log's checkpoints.

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

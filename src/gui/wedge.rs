//! The barcode scanner as a keyboard ("wedge"): it types a line and presses Enter, wherever the
//! focus is. A person may type the same by hand.

/// Seconds without a key after which what was typed is forgotten: a digit that someone touched in
/// passing must not become the beginning of the next barcode.
const FORGET: f64 = 1.5;

/// No barcode on a board is longer; what is longer is a cat on the keyboard.
const LONGEST: usize = 512;

/// The line that is being typed.
#[derive(Debug, Default)]
pub struct Wedge {
    typed: String,
    last: f64,
}

/// What became of a key.
#[derive(Debug, PartialEq, Eq)]
pub enum Taken {
    /// It was none of ours: the focused widget may have it.
    No,
    Yes,
    /// Enter: the whole line.
    Line(String),
}

impl Wedge {
    /// Characters arrived at `now` (seconds, of any clock that runs forward).
    pub fn text(&mut self, text: &str, now: f64) -> Taken {
        if now - self.last > FORGET {
            self.typed.clear();
        }
        // A space begins no barcode, but presses the focused button.
        if self.typed.is_empty() && text == " " {
            return Taken::No;
        }
        self.last = now;
        self.typed.extend(text.chars().filter(|c| !c.is_control()));
        if self.typed.len() > LONGEST {
            self.typed.clear();
        }
        Taken::Yes
    }

    pub fn enter(&mut self) -> Taken {
        match std::mem::take(&mut self.typed) {
            line if line.trim().is_empty() => Taken::No,
            line => Taken::Line(line.trim().to_owned()),
        }
    }

    pub fn backspace(&mut self) -> Taken {
        if self.typed.pop().is_some() { Taken::Yes } else { Taken::No }
    }

    pub fn escape(&mut self) -> Taken {
        if self.typed.is_empty() {
            Taken::No
        } else {
            self.typed.clear();
            Taken::Yes
        }
    }

    pub fn typed(&self) -> &str {
        &self.typed
    }

    /// For the screen: of a badge nothing but that it is one.
    pub fn shown(&self, badge_prefix: &str) -> String {
        match self.typed.strip_prefix(badge_prefix) {
            Some(_) => format!("{badge_prefix}…"),
            None => self.typed.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_what_was_typed_before_enter() {
        let mut wedge = Wedge::default();
        for (at, c) in "GW4-0031188 A".chars().enumerate() {
            assert_eq!(wedge.text(&c.to_string(), at as f64 * 0.01), Taken::Yes);
        }
        assert_eq!(wedge.enter(), Taken::Line("GW4-0031188 A".into()));
        assert_eq!(wedge.enter(), Taken::No);
        assert_eq!(wedge.typed(), "");
    }

    #[test]
    fn a_key_touched_long_before_is_not_part_of_the_barcode() {
        let mut wedge = Wedge::default();
        wedge.text("7", 10.0);
        wedge.text("A", 12.0);
        wedge.text("B", 12.01);
        assert_eq!(wedge.enter(), Taken::Line("AB".into()));
    }

    #[test]
    fn a_slow_frame_in_the_middle_of_a_scan_splits_nothing() {
        let mut wedge = Wedge::default();
        wedge.text("AB", 1.0);
        wedge.text("CD", 1.9);
        assert_eq!(wedge.enter(), Taken::Line("ABCD".into()));
    }

    #[test]
    fn keys_that_begin_no_line_stay_with_the_focused_widget() {
        let mut wedge = Wedge::default();
        assert_eq!(wedge.text(" ", 0.0), Taken::No);
        assert_eq!(wedge.backspace(), Taken::No);
        assert_eq!(wedge.escape(), Taken::No);
        wedge.text("x", 0.0);
        assert_eq!(wedge.escape(), Taken::Yes);
        assert_eq!(wedge.typed(), "");
    }
}

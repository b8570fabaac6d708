//! The barcode scanner as a keyboard ("wedge"): it types a code and a key that ends it, wherever the focus is. A
//! person may type the same by hand, where no text field is open.

use std::time::Duration;

use egui::{Event as Input, Key};

use crate::config::{ScanEnd, Scanner};

/// Seconds without a key after which what was typed is forgotten: a digit that someone touched in
/// passing must not become the beginning of the next barcode.
const FORGET: f64 = 1.5;

/// Seconds between two keys of a scanner, at most; nobody types so fast. (Scanners are set to 5 to 20 ms.)
const GAP: f64 = 0.035;

/// So many characters and the key that ends a code, each within [`GAP`]: a scanner, without a prefix to say so.
const BURST: usize = 3;

/// No barcode on a board is longer; what is longer is a cat on the keyboard.
const LONGEST: usize = 512;

/// What the keyboard has typed, and whether the scanner did.
#[derive(Debug, Default)]
pub struct Wedge {
    scanner: Scanner,
    /// Typed while no text field was open.
    typed: String,
    /// Typed while one was, and not given to it yet: it may be the scanner's.
    held: String,
    last: f64,
}

/// A line that was typed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Line {
    /// A code, without what the scanner types around it.
    Scanned(String),
    /// Not framed as the scanner frames a code: a person has typed it.
    ByHand(String),
}

impl Wedge {
    pub fn new(scanner: Scanner) -> Wedge {
        Wedge { scanner, ..Wedge::default() }
    }

    /// Takes out of `events`, which came at `now` (seconds of any clock that runs forward), what is none of the
    /// focused widget's. `in_a_field`: that widget is a text field.
    pub fn take(&mut self, events: &mut Vec<Input>, now: f64, in_a_field: bool) -> Vec<Line> {
        let mut lines = Vec::new();
        if in_a_field {
            self.beside_a_field(events, now, &mut lines);
        } else {
            // A field that was closed in the middle of a scan.
            let held = std::mem::take(&mut self.held);
            self.typed.push_str(&held);
            events.retain(|event| !self.takes(event, now, &mut lines));
        }
        lines
    }

    /// For the screen: of a badge nothing but that it is one.
    pub fn shown(&self, badge_prefix: &str) -> String {
        match self.typed.find(badge_prefix) {
            // What the scanner types first may stand before it.
            Some(at) => format!("{}{badge_prefix}…", &self.typed[..at]),
            None => self.typed.clone(),
        }
    }

    pub fn forget(&mut self) {
        self.typed.clear();
    }

    /// When a text field is owed what is held back for it, if nothing more comes.
    pub fn owes_in(&self, now: f64) -> Option<Duration> {
        (!self.held.is_empty()).then(|| Duration::from_secs_f64((self.patience() - (now - self.last)).max(0.001)))
    }

    /// No field is open: all text is the wedge's.
    fn takes(&mut self, event: &Input, now: f64, lines: &mut Vec<Line>) -> bool {
        match event {
            Input::Text(text) => {
                if now - self.last > FORGET {
                    self.typed.clear();
                }
                // A space begins no barcode, but presses the focused button.
                if self.typed.is_empty() && text == " " {
                    return false;
                }
                self.last = now;
                self.typed.extend(text.chars().filter(|c| !c.is_control()));
                if self.typed.len() > LONGEST {
                    self.typed.clear();
                }
                if self.scanner.end == ScanEnd::Suffix && self.scanner.code(&self.typed).is_some() {
                    lines.extend(self.line());
                }
                true
            }
            Input::Key { key, pressed: true, .. } => match key {
                Key::Enter => {
                    let line = self.line();
                    let taken = line.is_some();
                    lines.extend(line);
                    taken
                }
                Key::Tab if self.scanner.end == ScanEnd::Tab && !self.typed.is_empty() => {
                    lines.extend(self.line());
                    true
                }
                Key::Backspace => self.typed.pop().is_some(),
                Key::Escape => !std::mem::take(&mut self.typed).is_empty(),
                _ => false,
            },
            _ => false,
        }
    }

    /// A text field is open: what is typed by hand is its, and what is scanned is not.
    fn beside_a_field(&mut self, events: &mut Vec<Input>, now: f64, lines: &mut Vec<Line>) {
        let typed: usize = events.iter().map(characters).sum();
        // A frame that took long brings many characters at once: it is their pace that counts.
        let begins_anew = now - self.last > self.patience() * typed.max(1) as f64;
        let mut at = if begins_anew { self.give(events, 0) } else { 0 };
        while at < events.len() {
            match &events[at] {
                Input::Text(text) => {
                    self.held.push_str(text);
                    self.last = now;
                    events.remove(at);
                    if self.scanner.end == ScanEnd::Suffix && self.is_scanned() {
                        lines.extend(self.held_line());
                    } else if !self.may_be_scanned() {
                        at += self.give(events, at);
                    }
                }
                Input::Key { key, pressed: true, .. } if self.ends(*key) && self.is_scanned() => {
                    lines.extend(self.held_line());
                    events.remove(at);
                }
                // Whatever works on the text comes after it.
                Input::Key { key, pressed: true, .. } if edits(*key) => at += self.give(events, at) + 1,
                Input::Paste(_) | Input::Cut | Input::Ime(_) | Input::PointerButton { pressed: true, .. } => {
                    at += self.give(events, at) + 1;
                }
                _ => at += 1,
            }
        }
    }

    /// Gives back what was held, at this place among `events`; how many events that is.
    fn give(&mut self, events: &mut Vec<Input>, at: usize) -> usize {
        if self.held.is_empty() {
            return 0;
        }
        events.insert(at, Input::Text(std::mem::take(&mut self.held)));
        1
    }

    fn patience(&self) -> f64 {
        if self.scanner.prefix.is_empty() { GAP } else { FORGET / 6.0 }
    }

    fn ends(&self, key: Key) -> bool {
        match self.scanner.end {
            ScanEnd::Enter => key == Key::Enter,
            ScanEnd::Tab => key == Key::Tab,
            ScanEnd::Suffix => false,
        }
    }

    fn may_be_scanned(&self) -> bool {
        let prefix = self.scanner.prefix.as_str();
        self.held.len() <= LONGEST && (prefix.starts_with(&self.held) || self.held.starts_with(prefix))
    }

    fn is_scanned(&self) -> bool {
        let long_enough = !self.scanner.prefix.is_empty() || self.held.chars().count() >= BURST;
        long_enough && self.held.starts_with(&self.scanner.prefix) && self.scanner.code(&self.held).is_some()
    }

    fn held_line(&mut self) -> Option<Line> {
        let held = std::mem::take(&mut self.held);
        self.scanner.code(&held).map(|code| Line::Scanned(code.to_owned()))
    }

    fn line(&mut self) -> Option<Line> {
        let typed = std::mem::take(&mut self.typed);
        match self.scanner.code(&typed) {
            Some(code) => Some(Line::Scanned(code.to_owned())),
            None if typed.trim().is_empty() => None,
            None => Some(Line::ByHand(typed.trim().to_owned())),
        }
    }
}

/// How many keys of a scanner an event is.
fn characters(event: &Input) -> usize {
    match event {
        Input::Text(text) => text.chars().count(),
        Input::Key { key: Key::Enter | Key::Tab, pressed: true, .. } => 1,
        _ => 0,
    }
}

fn edits(key: Key) -> bool {
    use Key::{ArrowDown, ArrowLeft, ArrowRight, ArrowUp, Backspace, Delete, End, Enter, Escape, Home, Tab};
    [Backspace, Delete, ArrowLeft, ArrowRight, ArrowUp, ArrowDown, Home, End, Enter, Tab, Escape].contains(&key)
}

#[cfg(test)]
mod tests {
    use super::*;
    use egui::Modifiers;

    fn text(text: &str) -> Input {
        Input::Text(text.into())
    }

    fn key(key: Key) -> Input {
        Input::Key { key, physical_key: None, pressed: true, repeat: false, modifiers: Modifiers::NONE }
    }

    fn framed(prefix: &str, suffix: &str, end: ScanEnd) -> Wedge {
        Wedge::new(Scanner { prefix: prefix.into(), suffix: suffix.into(), end })
    }

    fn scanned(code: &str) -> Line {
        Line::Scanned(code.into())
    }

    /// Keys, `every` seconds apart, each in a frame of its own; what became of them: lines, and what a field got.
    fn play(wedge: &mut Wedge, keys: &[Input], every: f64, in_a_field: bool) -> (Vec<Line>, String) {
        let (mut lines, mut field) = (Vec::new(), String::new());
        let begin = wedge.last + 10.0;
        // Some frames without a key follow, as they do when the window is asked to wake up.
        let times = (0..).map(|at| begin + f64::from(at) * every);
        for (now, event) in times.zip(keys.iter().cloned().map(Some).chain([None, None])) {
            let now = if event.is_none() { now + 1.0 } else { now };
            let mut events: Vec<Input> = event.into_iter().collect();
            lines.extend(wedge.take(&mut events, now, in_a_field));
            for event in events {
                match event {
                    Input::Text(text) => field.push_str(&text),
                    Input::Key { key: Key::Enter, .. } => field.push('⏎'),
                    Input::Key { key: Key::Tab, .. } => field.push('⇥'),
                    _ => {}
                }
            }
        }
        (lines, field)
    }

    fn keys(code: &str, end: Key) -> Vec<Input> {
        code.chars().map(|c| text(&c.to_string())).chain([key(end)]).collect()
    }

    const BY_HAND: f64 = 0.12;
    const SCANNER: f64 = 0.008;

    #[test]
    fn without_a_field_a_line_is_what_was_typed_before_enter() {
        let mut wedge = Wedge::default();
        for every in [SCANNER, BY_HAND] {
            let (lines, field) = play(&mut wedge, &keys("GW4-0031188 A", Key::Enter), every, false);
            assert_eq!((lines, field.as_str()), (vec![scanned("GW4-0031188 A")], ""));
        }
        assert_eq!(wedge.typed, "");
    }

    #[test]
    fn a_key_touched_long_before_is_not_part_of_the_barcode() {
        let mut wedge = Wedge::default();
        wedge.take(&mut vec![text("7")], 10.0, false);
        wedge.take(&mut vec![text("A")], 12.0, false);
        let lines = wedge.take(&mut vec![text("B"), key(Key::Enter)], 12.01, false);
        assert_eq!(lines, [scanned("AB")]);
    }

    #[test]
    fn a_slow_frame_in_the_middle_of_a_scan_splits_nothing() {
        let mut wedge = Wedge::default();
        wedge.take(&mut vec![text("AB")], 1.0, false);
        assert_eq!(wedge.take(&mut vec![text("CD"), key(Key::Enter)], 1.9, false), [scanned("ABCD")]);
        // The same beside a text field, drawn ten times a second by a slow machine.
        let mut field = vec![text("GW4-00")];
        wedge.take(&mut field, 5.0, true);
        assert!(field.is_empty());
        let mut rest = vec![text("311"), text("90"), key(Key::Enter)];
        assert_eq!(wedge.take(&mut rest, 5.1, true), [scanned("GW4-0031190")]);
        assert!(rest.is_empty());
    }

    #[test]
    fn keys_that_begin_no_line_stay_with_the_focused_widget() {
        let mut wedge = Wedge::default();
        let mut events = vec![text(" "), key(Key::Backspace), key(Key::Escape), key(Key::Enter), key(Key::Tab)];
        assert_eq!(wedge.take(&mut events, 1.0, false), []);
        assert_eq!(events.len(), 5);
        wedge.take(&mut vec![text("x")], 1.0, false);
        let mut escape = vec![key(Key::Escape)];
        wedge.take(&mut escape, 1.1, false);
        assert!(escape.is_empty() && wedge.typed.is_empty());
    }

    #[test]
    fn what_is_typed_into_a_field_arrives_there_and_what_is_scanned_does_not() {
        let mut wedge = Wedge::default();
        let batch = keys("GW4-2611-08", Key::Enter);
        assert_eq!(play(&mut wedge, &batch, BY_HAND, true), (vec![], "GW4-2611-08⏎".into()));
        assert_eq!(play(&mut wedge, &batch, SCANNER, true), (vec![scanned("GW4-2611-08")], String::new()));
        // Two keys that a fast hand rolls over are no code; nor is a burst that nothing ends.
        assert_eq!(play(&mut wedge, &keys("50", Key::Enter), SCANNER, true), (vec![], "50⏎".into()));
        assert_eq!(play(&mut wedge, &batch[..5], SCANNER, true), (vec![], "GW4-2".into()));
    }

    #[test]
    fn what_is_held_back_for_a_field_is_owed_soon() {
        let mut wedge = Wedge::default();
        assert_eq!(wedge.owes_in(1.0), None);
        let mut events = vec![text("5")];
        wedge.take(&mut events, 1.0, true);
        assert!(events.is_empty() && wedge.owes_in(1.01).is_some_and(|wait| wait.as_secs_f64() <= GAP));
        wedge.take(&mut events, 1.05, true);
        assert!(matches!(events.as_slice(), [Input::Text(text)] if text == "5"));
    }

    #[test]
    fn with_a_prefix_only_what_bears_it_is_scanned() {
        let mut wedge = framed("~", "", ScanEnd::Enter);
        let code = keys("~GW4-0031190", Key::Enter);
        for in_a_field in [false, true] {
            for every in [SCANNER, BY_HAND] {
                let (lines, field) = play(&mut wedge, &code, every, in_a_field);
                assert_eq!((lines, field.as_str()), (vec![scanned("GW4-0031190")], ""), "{in_a_field} {every}");
            }
        }
        let by_hand = keys("GW4-0031190", Key::Enter);
        assert_eq!(play(&mut wedge, &by_hand, SCANNER, false).0, [Line::ByHand("GW4-0031190".into())]);
        assert_eq!(play(&mut wedge, &by_hand, SCANNER, true), (vec![], "GW4-0031190⏎".into()));
        // A digit that was touched before is no part of it; the prefix alone is a character like others.
        assert_eq!(play(&mut wedge, &keys("3~AB", Key::Enter), SCANNER, false).0, [scanned("AB")]);
        assert_eq!(play(&mut wedge, &[text("~"), text("x")], 0.4, true).1, "~x");
    }

    #[test]
    fn a_code_ends_as_the_scanner_is_set_up() {
        let mut tab = framed("", "", ScanEnd::Tab);
        for in_a_field in [false, true] {
            let (lines, _) = play(&mut tab, &keys("AB12", Key::Tab), SCANNER, in_a_field);
            assert_eq!(lines, [scanned("AB12")]);
        }
        assert_eq!(play(&mut tab, &[key(Key::Tab)], SCANNER, false).1, "⇥", "alone it moves the focus");
        let mut framed = framed("<", "#>", ScanEnd::Suffix);
        for in_a_field in [false, true] {
            let code: Vec<Input> = "<AB12#>".chars().map(|c| text(&c.to_string())).collect();
            assert_eq!(play(&mut framed, &code, SCANNER, in_a_field), (vec![scanned("AB12")], String::new()));
        }
    }
}

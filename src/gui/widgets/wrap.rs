//! Line breaks where a reader would pause: after sentences and commas first, never within a Japanese
//! phrase if it can be helped, and rows of about equal width.

/// A text in pieces that stay whole, with the width of each.
pub struct Phrases {
    phrases: Vec<String>,
    widths: Vec<f32>,
}

impl Phrases {
    /// `measure` tells the width of a piece of text, in the unit that [`Phrases::wrap`] is asked in.
    pub fn new(text: &str, measure: impl Fn(&str) -> f32) -> Phrases {
        let phrases = split(text);
        let widths = phrases.iter().map(|phrase| measure(phrase)).collect();
        Phrases { phrases, widths }
    }

    /// Rows no wider than `width`, as few as possible; nothing if one phrase alone is too wide.
    pub fn wrap(&self, width: f32) -> Option<Vec<String>> {
        // best[n]: rows and cost of the first n phrases, and where their last row begins.
        let mut best: Vec<(usize, f32, usize)> = vec![(0, 0.0, 0)];
        for end in 1..=self.phrases.len() {
            let mut found: Option<(usize, f32, usize)> = None;
            for start in (0..end).rev() {
                let row: f32 = self.widths[start..end].iter().sum();
                if row > width {
                    break;
                }
                let (rows, cost, _) = best[start];
                let slack = (width - row) / width;
                let pause = if end == self.phrases.len() { 0.0 } else { reluctance(&self.phrases[end - 1]) };
                let candidate = (rows + 1, cost + slack * slack + pause, start);
                if found.is_none_or(|known| (candidate.0, candidate.1) < (known.0, known.1)) {
                    found = Some(candidate);
                }
            }
            best.push(found?);
        }
        let mut rows = Vec::new();
        let mut end = self.phrases.len();
        while end > 0 {
            let start = best[end].2;
            rows.push(self.phrases[start..end].concat().trim().to_owned());
            end = start;
        }
        rows.reverse();
        Some(rows)
    }
}

/// How much a row must not end with this phrase.
fn reluctance(phrase: &str) -> f32 {
    match phrase.trim_end().chars().last() {
        Some('。' | '.' | '?' | '!') => 0.0,
        Some('、' | ',' | ':' | ';') => 0.08,
        _ => 0.2,
    }
}

/// Pieces that stay whole. Latin breaks after spaces; Japanese where a particle or ending (hiragana)
/// meets the next word (kanji, katakana, Latin), and after its punctuation.
fn split(text: &str) -> Vec<String> {
    let mut phrases = Vec::new();
    let mut phrase = String::new();
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        phrase.push(c);
        let Some(next) = chars.peek() else { break };
        let breaks = match kind(c) {
            Kind::Space | Kind::Stop => !matches!(kind(*next), Kind::Space | Kind::Stop),
            Kind::Hiragana => matches!(kind(*next), Kind::Japanese | Kind::Latin) && ends_word(&phrase),
            Kind::Japanese | Kind::Latin => false,
        };
        if breaks {
            phrases.push(std::mem::take(&mut phrase));
        }
    }
    phrases.push(phrase);
    phrases
}

/// Whether the hiragana at the end of `phrase` is a particle or an ending, rather than the middle of
/// a word (挿し|直す).
fn ends_word(phrase: &str) -> bool {
    let kana: Vec<char> = phrase.chars().rev().take_while(|c| kind(*c) == Kind::Hiragana).collect();
    kana.len() >= 2 || kana.iter().any(|c| "をはがにでのへと".contains(*c))
}

#[derive(PartialEq)]
enum Kind {
    Space,
    /// Japanese punctuation that ends a phrase.
    Stop,
    Hiragana,
    /// Kanji and katakana.
    Japanese,
    Latin,
}

fn kind(c: char) -> Kind {
    match c {
        ' ' => Kind::Space,
        '、' | '。' => Kind::Stop,
        '\u{3041}'..='\u{309F}' => Kind::Hiragana,
        '\u{30A0}'..='\u{30FF}' | '\u{3400}'..='\u{9FFF}' => Kind::Japanese,
        _ => Kind::Latin,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every character one wide, Japanese ones two.
    fn columns(text: &str) -> f32 {
        text.chars().map(|c| if c.is_ascii() { 1.0 } else { 2.0 }).sum()
    }

    fn wrap(text: &str, width: f32) -> Option<String> {
        Some(Phrases::new(text, columns).wrap(width)?.join("\n"))
    }

    #[test]
    fn breaks_after_a_sentence_if_that_costs_no_row() {
        let text = "The chip does not answer. Plug the cable in again.";
        assert_eq!(wrap(text, 30.0).unwrap(), "The chip does not answer.\nPlug the cable in again.");
        let text = "チップが応答しません。ケーブルを挿し直してください。";
        assert_eq!(wrap(text, 34.0).unwrap(), "チップが応答しません。\nケーブルを挿し直してください。");
    }

    #[test]
    fn never_tears_a_word() {
        let text = "青い箱へ。通信が戻り次第、登録します。";
        assert_eq!(wrap(text, 28.0).unwrap(), "青い箱へ。通信が戻り次第、\n登録します。");
        assert_eq!(wrap("extraordinary", 5.0), None);
    }

    #[test]
    fn what_fits_stays_in_one_row() {
        assert_eq!(wrap("Apply the label, next board", 40.0).unwrap(), "Apply the label, next board");
        assert_eq!(wrap("", 40.0).unwrap(), "");
    }
}

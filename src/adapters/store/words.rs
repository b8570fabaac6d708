//! Words, cut in one way for every database, so that each finds the same.
//!
//! A word is a run of letters and digits, in lower case. Chinese and Japanese are written without
//! spaces: a run of their characters becomes every pair of neighbours, and a search for a part of it
//! finds the pairs that the part is made of.

/// The words of some texts, each once, separated by single spaces.
pub fn index(texts: &[&str]) -> String {
    let mut words: Vec<String> = Vec::new();
    for text in texts {
        for word in cut(text) {
            if !words.contains(&word) {
                words.push(word);
            }
        }
    }
    words.join(" ")
}

/// What is asked for: all of these words, the last one perhaps cut off.
pub fn asked(text: &str) -> Vec<String> {
    cut(text)
}

fn cut(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut run: Vec<char> = Vec::new();
    for c in text.chars().flat_map(char::to_lowercase).chain([' ']) {
        if is_ideographic(c) {
            end_word(&mut word, &mut words);
            run.push(c);
        } else {
            end_run(&mut run, &mut words);
            if c.is_alphanumeric() {
                word.push(c);
            } else {
                end_word(&mut word, &mut words);
            }
        }
    }
    words
}

/// Longer than any name of ours; what a chip or a server answers may be one endless word.
const LONGEST: usize = 64;

fn end_word(word: &mut String, words: &mut Vec<String>) {
    if !word.is_empty() {
        words.push(word.chars().take(LONGEST).collect());
        word.clear();
    }
}

fn end_run(run: &mut Vec<char>, words: &mut Vec<String>) {
    match run.as_slice() {
        [] => {}
        [one] => words.push(one.to_string()),
        several => words.extend(several.windows(2).map(|pair| pair.iter().collect::<String>())),
    }
    run.clear();
}

/// Hiragana, katakana, and the unified ideographs (Unicode blocks).
fn is_ideographic(c: char) -> bool {
    matches!(c, '\u{3041}'..='\u{30ff}' | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{f900}'..='\u{faff}'
        | '\u{20000}'..='\u{2fa1f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_runs_of_letters_and_digits() {
        assert_eq!(
            index(&["GW4-0030954", "gateway-g4", "S-105; held by  GW4"]),
            "gw4 0030954 gateway g4 s 105 held by"
        );
        assert_eq!(index(&["", " -- "]), "");
    }

    #[test]
    fn japanese_is_found_by_any_part_of_it() {
        let words = index(&["はんだ不良のため再加工"]);
        for part in ["はんだ", "不良", "再加工", "不良のため"] {
            assert!(asked(part).iter().all(|word| words.split(' ').any(|known| known == word)), "{part}");
        }
        assert!(!words.contains("良品"));
    }

    #[test]
    fn an_endless_word_is_cut() {
        assert_eq!(index(&[&"a".repeat(1000)]).len(), LONGEST);
    }
}

//! What every reason code says to the technician and to QA: `assets/reasons.toml`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use crate::domain::{Failure, ReasonCode, Template, TemplateError, Variables};

use super::{FALLBACK, Language};

/// What stands where a sentence names a value that the failure does not bring.
const MISSING: &str = "—";

/// The three texts of one failure in one language, placeholders filled in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReasonText {
    /// A few words: a row of a table, a heading.
    pub title: String,
    /// One sentence: what the technician does.
    pub technician: String,
    /// What QA looks at.
    pub qa: String,
}

/// All codes in all languages.
#[derive(Debug)]
pub struct Reasons {
    codes: BTreeMap<String, Entry>,
}

#[derive(Debug)]
struct Entry {
    args: BTreeSet<String>,
    languages: BTreeMap<String, Sentences>,
}

#[derive(Debug)]
struct Sentences {
    title: Template,
    technician: Template,
    qa: Template,
}

#[derive(Debug, thiserror::Error)]
pub enum ReasonsError {
    #[error("the reason texts are not TOML of the known form")]
    Toml(#[from] toml::de::Error),
    #[error("reason {code}, language {language}: the text is not a template")]
    Template { code: String, language: String, source: TemplateError },
    #[error("reason {code}, language {language}: placeholder {{{name}}} is not among its args")]
    UndeclaredArg { code: String, language: String, name: String },
}

/// The embedded `assets/reasons.toml`, parsed once.
pub fn reasons() -> &'static Reasons {
    static REASONS: LazyLock<Reasons> = LazyLock::new(|| {
        // The file is compiled in and the tests below parse it: this can't fail in a program that
        // passed them.
        Reasons::parse(include_str!("../../assets/reasons.toml"))
            .unwrap_or_else(|error| unreachable!("assets/reasons.toml: {error}"))
    });
    &REASONS
}

impl Reasons {
    /// Reads the form of `assets/reasons.toml`:
    ///
    /// ```toml
    /// [S-105]
    /// args = ["unit"]
    /// en = { title = "…", technician = "…", qa = "…" }
    /// ```
    pub fn parse(text: &str) -> Result<Reasons, ReasonsError> {
        let raw: BTreeMap<String, RawEntry> = toml::from_str(text)?;
        let mut codes = BTreeMap::new();
        for (code, raw) in raw {
            let mut languages = BTreeMap::new();
            for (language, texts) in raw.languages {
                let template = |text: &str| {
                    let template = Template::parse(text).map_err(|source| ReasonsError::Template {
                        code: code.clone(),
                        language: language.clone(),
                        source,
                    })?;
                    let undeclared = template.variables().find(|name| !raw.args.contains(*name)).map(str::to_owned);
                    match undeclared {
                        Some(name) => {
                            Err(ReasonsError::UndeclaredArg { code: code.clone(), language: language.clone(), name })
                        }
                        None => Ok(template),
                    }
                };
                let sentences = Sentences {
                    title: template(&texts.title)?,
                    technician: template(&texts.technician)?,
                    qa: template(&texts.qa)?,
                };
                languages.insert(language, sentences);
            }
            codes.insert(code, Entry { args: raw.args, languages });
        }
        Ok(Reasons { codes })
    }

    /// The texts for `failure`. A language without the code falls back to English; an argument that
    /// the failure lacks reads "—".
    pub fn text(&self, language: &Language, failure: &Failure) -> ReasonText {
        let sentences = self
            .codes
            .get(failure.code.as_str())
            .and_then(|entry| entry.languages.get(&language.tag()).or_else(|| entry.languages.get(FALLBACK)));
        match sentences {
            Some(sentences) => ReasonText {
                title: fill(&sentences.title, failure),
                technician: fill(&sentences.technician, failure),
                qa: fill(&sentences.qa, failure),
            },
            // Unreachable while the test below holds; the code itself is then still the truth.
            None => {
                let code = failure.code.to_string();
                ReasonText { title: code.clone(), technician: code.clone(), qa: code }
            }
        }
    }

    /// The placeholders that the texts of `code` may use.
    pub fn args(&self, code: ReasonCode) -> impl Iterator<Item = &str> {
        self.codes.get(code.as_str()).into_iter().flat_map(|entry| entry.args.iter().map(String::as_str))
    }
}

fn fill(template: &Template, failure: &Failure) -> String {
    let mut variables: Variables = template.variables().map(|name| (name.to_owned(), MISSING.to_owned())).collect();
    variables.extend(failure.args.iter().map(|(name, value)| (name.clone(), value.clone())));
    template.render(&variables).unwrap_or_else(|_| template.as_str().to_owned())
}

#[derive(serde::Deserialize)]
struct RawEntry {
    #[serde(default)]
    args: BTreeSet<String>,
    #[serde(flatten)]
    languages: BTreeMap<String, RawSentences>,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct RawSentences {
    title: String,
    technician: String,
    qa: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_documented_in_every_language_and_no_code_is_extra() {
        let documented: BTreeSet<&str> = reasons().codes.keys().map(String::as_str).collect();
        let existing: BTreeSet<&str> = ReasonCode::ALL.iter().map(|code| code.as_str()).collect();
        assert_eq!(documented, existing);
        let languages: BTreeSet<String> = Language::available().iter().map(Language::tag).collect();
        for (code, entry) in &reasons().codes {
            let has: BTreeSet<String> = entry.languages.keys().cloned().collect();
            assert_eq!(has, languages, "{code}");
            for (language, texts) in &entry.languages {
                for text in [&texts.title, &texts.technician, &texts.qa] {
                    assert!(!text.as_str().trim().is_empty(), "{code} {language}");
                }
                // What fits the smallest tile: two lines.
                let wide = texts.technician.as_str().chars().any(|c| c > '\u{2E80}');
                let limit = if wide { 44 } else { 84 };
                let length = texts.technician.as_str().chars().count();
                assert!(length <= limit, "{code} {language}: {length} characters");
            }
        }
    }

    #[test]
    fn placeholders_are_filled_and_a_missing_one_reads_as_a_dash() {
        let failure = Failure::new(ReasonCode::CERTIFICATE_BOUND, "bound").with("unit", "GW4-0030954");
        let english = Language::default();
        assert_eq!(
            reasons().text(&english, &failure).technician,
            "Red tray. This certificate already belongs to board GW4-0030954."
        );
        let bare = Failure::new(ReasonCode::CERTIFICATE_BOUND, "bound");
        assert_eq!(
            reasons().text(&english, &bare).technician,
            "Red tray. This certificate already belongs to board —."
        );
    }

    #[test]
    fn every_args_list_is_used_by_each_language_or_not_declared() {
        for (code, entry) in &reasons().codes {
            for name in &entry.args {
                let used = entry.languages.values().any(|texts| {
                    [&texts.title, &texts.technician, &texts.qa].iter().any(|t| t.variables().any(|v| v == name))
                });
                assert!(used, "{code}: {name} is declared and never used");
            }
        }
    }

    #[test]
    fn a_placeholder_that_is_not_declared_is_refused() {
        let text = "[B-101]\nen = { title = \"a\", technician = \"b {unit}\", qa = \"c\" }\n";
        let error = Reasons::parse(text).unwrap_err();
        assert_eq!(error.to_string(), "reason B-101, language en: placeholder {unit} is not among its args");
        let error = Reasons::parse("[B-101]\nen = { title = \"a\" }\n").unwrap_err();
        assert!(matches!(error, ReasonsError::Toml(_)));
    }
}

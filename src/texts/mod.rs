//! Every text that a person reads, in every language that `assets/i18n` has.
//!
//! Messages are Fluent (<https://projectfluent.org>), embedded in the binary; `fl!` checks each id
//! against the English file while compiling. What reason codes say is data of its own, see
//! [`reasons`]. A further language is a further folder plus its entries in `assets/reasons.toml`:
//! no code changes.

mod reasons;

use i18n_embed::fluent::FluentLanguageLoader;
use i18n_embed::{I18nAssets, LanguageLoader as _};
use rust_embed::RustEmbed;
use unic_langid::LanguageIdentifier;

pub use i18n_embed_fl::fl;
pub use reasons::{ReasonText, Reasons, ReasonsError, reasons};

/// Where a language lacks a message, this one's stands in.
const FALLBACK: &str = "en";

/// The name of each language's file: `assets/i18n/<language>/lineseal.ftl`.
const DOMAIN: &str = "lineseal";

#[derive(RustEmbed)]
#[folder = "assets/i18n/"]
struct Messages;

/// One of the languages that are embedded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Language(LanguageIdentifier);

#[derive(Debug, thiserror::Error)]
pub enum TextsError {
    #[error("{value:?} is not a language of this program; there are {known}")]
    UnknownLanguage { value: String, known: String },
    #[error("the texts of language {language} can't be loaded")]
    Load { language: String, source: i18n_embed::I18nEmbedError },
}

impl Language {
    /// All of them, by tag: `en`, `ja`.
    pub fn available() -> Vec<Language> {
        Language::all_of(&Messages)
    }

    fn all_of(files: &dyn I18nAssets) -> Vec<Language> {
        let suffix = format!("/{DOMAIN}.ftl");
        let mut languages: Vec<Language> =
            files.filenames_iter().filter_map(|path| path.strip_suffix(&suffix)?.parse().ok()).map(Language).collect();
        languages.sort_by_key(|language| language.0.to_string());
        languages
    }

    /// The language of a POSIX locale such as `ja_JP.UTF-8` (as in `LC_ALL`, `LC_MESSAGES`, `LANG`),
    /// English when we have no such language.
    pub fn of_locale(locale: &str) -> Language {
        let tag = locale.split(['.', '@']).next().unwrap_or_default().replace('_', "-");
        let wanted: Option<LanguageIdentifier> = tag.parse().ok();
        wanted
            .and_then(|wanted| Language::available().into_iter().find(|known| known.0.language == wanted.language))
            .unwrap_or_default()
    }

    /// Its tag, e.g. `ja`: the key in `assets/reasons.toml`.
    pub fn tag(&self) -> String {
        self.0.to_string()
    }

    /// The one after this in [`Language::available`], round and round: what one key switches through.
    pub fn next(&self) -> Language {
        self.next_of(&Messages)
    }

    fn next_of(&self, files: &dyn I18nAssets) -> Language {
        let all = Language::all_of(files);
        let here = all.iter().position(|language| language == self).map_or(0, |at| at + 1);
        all.get(here % all.len().max(1)).cloned().unwrap_or_default()
    }
}

impl Default for Language {
    fn default() -> Self {
        Language(LanguageIdentifier::from_bytes(FALLBACK.as_bytes()).unwrap_or_default())
    }
}

impl std::str::FromStr for Language {
    type Err = TextsError;
    fn from_str(text: &str) -> Result<Self, TextsError> {
        Language::available().into_iter().find(|language| language.tag() == text).ok_or_else(|| {
            let known = Language::available().iter().map(Language::tag).collect::<Vec<_>>().join(", ");
            TextsError::UnknownLanguage { value: text.to_owned(), known }
        })
    }
}

/// The messages of one language, switchable while running.
pub struct Texts {
    loader: FluentLanguageLoader,
    language: Language,
    next_name: String,
}

impl Texts {
    pub fn load(language: Language) -> Result<Texts, TextsError> {
        Texts::of(&Messages, language)
    }

    fn of(files: &dyn I18nAssets, language: Language) -> Result<Texts, TextsError> {
        let next_name = fl!(loader(files, &language.next_of(files))?, "language-name");
        Ok(Texts { loader: loader(files, &language)?, language, next_name })
    }

    /// From here on every text is of `language`; on an error the old one stays.
    pub fn switch_to(&mut self, language: Language) -> Result<(), TextsError> {
        *self = Texts::load(language)?;
        Ok(())
    }

    pub fn language(&self) -> &Language {
        &self.language
    }

    /// What the language after this one calls itself: on the switch, so that who can't read this
    /// language finds theirs.
    pub fn next_name(&self) -> &str {
        &self.next_name
    }

    /// For `fl!(texts.loader(), "id", argument = value)`.
    pub fn loader(&self) -> &FluentLanguageLoader {
        &self.loader
    }

    /// A message whose id is made while running (names that the practice line brings along), or
    /// nothing where no language has it.
    pub fn lookup(&self, id: &str) -> Option<String> {
        self.loader.has(id).then(|| self.loader.get(id))
    }
}

fn loader(files: &dyn I18nAssets, language: &Language) -> Result<FluentLanguageLoader, TextsError> {
    let loader = FluentLanguageLoader::new(DOMAIN, Language::default().0);
    loader
        .load_languages(files, std::slice::from_ref(&language.0))
        .map_err(|source| TextsError::Load { language: language.tag(), source })?;
    // Isolation marks (U+2068) serve mixed writing directions; the window's fonts would draw boxes.
    loader.set_use_isolating(false);
    Ok(loader)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn ids(language: &Language) -> BTreeSet<String> {
        let path = format!("{}/{DOMAIN}.ftl", language.tag());
        let text = String::from_utf8(Messages::get(&path).unwrap().data.into_owned()).unwrap();
        let id = |line: &str| Some(line.split_once(" =")?.0.to_owned());
        text.lines().filter(|line| line.starts_with(|c: char| c.is_ascii_lowercase())).filter_map(id).collect()
    }

    #[test]
    fn every_language_has_every_message_and_no_other() {
        let english = ids(&Language::default());
        assert!(english.len() > 50);
        for language in Language::available() {
            assert_eq!(ids(&language), english, "{}", language.tag());
        }
    }

    #[test]
    fn languages_are_found_and_follow_one_another() {
        let all = Language::available();
        let tags: Vec<_> = all.iter().map(Language::tag).collect();
        let japanese: Language = "ja".parse().unwrap();
        assert!(all.contains(&Language::default()) && all.contains(&japanese));
        assert_eq!(Language::of_locale("ja_JP.UTF-8"), japanese);
        assert_eq!(Language::of_locale("C"), Language::default());
        // One after the other, and round again.
        let mut language = Language::default();
        for _ in &all {
            language = language.next();
        }
        assert_eq!(language, Language::default());
        let error = "tlh".parse::<Language>().unwrap_err();
        let known = tags.join(", ");
        assert_eq!(error.to_string(), format!("\"tlh\" is not a language of this program; there are {known}"));
    }

    /// The embedded files and one more, as if it stood beside them in `assets/i18n`.
    struct WithGerman(&'static str);

    impl I18nAssets for WithGerman {
        fn get_files(&self, path: &str) -> Vec<std::borrow::Cow<'_, [u8]>> {
            match path {
                "de/lineseal.ftl" => vec![self.0.as_bytes().into()],
                path => Messages::get(path).map(|file| file.data).into_iter().collect(),
            }
        }

        fn filenames_iter(&self) -> Box<dyn Iterator<Item = String> + '_> {
            Box::new(Messages::iter().map(String::from).chain(["de/lineseal.ftl".to_owned()]))
        }
    }

    /// A third language is a folder and entries in reasons.toml, and no code. What it lacks is English.
    #[test]
    fn a_further_language_is_a_further_file() {
        let files = WithGerman("language-name = Deutsch\nverdict-fail = SCHLECHT\ndrawer-lane = Platz { $lane }\n");
        let tags: Vec<_> = Language::all_of(&files).iter().map(Language::tag).collect();
        assert_eq!(tags, ["de", "en", "ja"]);
        let german = Language("de".parse().unwrap());
        let texts = Texts::of(&files, german.clone()).unwrap();
        assert_eq!(fl!(texts.loader(), "verdict-fail"), "SCHLECHT");
        assert_eq!(fl!(texts.loader(), "drawer-lane", lane = 3), "Platz 3");
        assert_eq!(fl!(texts.loader(), "verdict-pass"), "PASS");
        assert_eq!((texts.next_name(), german.next_of(&files)), ("English", Language::default()));
        let japanese: Language = "ja".parse().unwrap();
        assert_eq!(Texts::of(&files, japanese).unwrap().next_name(), "Deutsch");
        let entry = "[S-105]\nargs = [\"unit\"]\nde = { title = \"a\", technician = \"Gehört {unit}\", qa = \"b\" }\n";
        let bound = crate::domain::Failure::new(crate::domain::ReasonCode::CERTIFICATE_BOUND, "").with("unit", "A-1");
        assert_eq!(Reasons::parse(entry).unwrap().text(&german, &bound).technician, "Gehört A-1");
    }

    #[test]
    fn switches_while_running() {
        let mut texts = Texts::load(Language::default()).unwrap();
        assert_eq!(fl!(texts.loader(), "verdict-fail"), "FAIL");
        texts.switch_to("ja".parse().unwrap()).unwrap();
        assert_eq!(fl!(texts.loader(), "verdict-fail"), "不合格");
        assert_eq!(fl!(texts.loader(), "drawer-lane", lane = 3), "レーン 3");
    }
}

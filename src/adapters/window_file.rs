//! What was chosen in the window by key, kept over the next start: `window.toml` in the data directory.

use std::io;
use std::path::{Path, PathBuf};

use super::durable;
use crate::config::Look;

/// The choice holds as long as the configuration says what it said when it was made: whoever changes the
/// configuration later wants that.
#[derive(Debug, Clone)]
pub struct WindowFile {
    path: PathBuf,
    configured: Look,
}

#[derive(serde::Serialize, serde::Deserialize)]
struct Kept {
    theme: String,
    configured: String,
}

impl WindowFile {
    pub fn of(data_dir: &Path, configured: Look) -> Self {
        Self { path: data_dir.join("window.toml"), configured }
    }

    /// A file that is missing, damaged or of another version says nothing.
    pub fn look(&self) -> Look {
        let kept = std::fs::read_to_string(&self.path).ok().and_then(|text| toml::from_str::<Kept>(&text).ok());
        let chosen = kept.filter(|kept| kept.configured == self.configured.name());
        chosen.and_then(|kept| Look::of_name(&kept.theme)).unwrap_or(self.configured)
    }

    pub fn keep(&self, chosen: Look) -> io::Result<()> {
        let kept = Kept { theme: chosen.name().to_owned(), configured: self.configured.name().to_owned() };
        let text = toml::to_string(&kept).map_err(io::Error::other)?;
        durable::replace(&self.path, text.as_bytes(), 0o600)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_choice_is_kept_until_the_configuration_says_something_else() {
        let folder = tempfile::tempdir().unwrap();
        let of = |configured| WindowFile::of(folder.path(), configured);
        assert_eq!(of(Look::Light).look(), Look::Light);
        of(Look::Light).keep(Look::Contrast).unwrap();
        assert_eq!(of(Look::Light).look(), Look::Contrast);
        assert_eq!(of(Look::Dark).look(), Look::Dark, "the administrator has changed it since");
        std::fs::write(folder.path().join("window.toml"), "theme = 3").unwrap();
        assert_eq!(of(Look::Light).look(), Look::Light);
    }
}

use std::path::Path;

use crate::domain::Failure;

/// The station's own file, for whoever changes a setting in it. All of it blocks.
pub trait SettingsFile: Send + Sync {
    fn path(&self) -> &Path;

    fn read(&self) -> Result<String, Failure>;

    /// K-709: this program may not write it.
    fn may_be_written(&self) -> Result<(), Failure>;

    /// Whole or not at all. K-708: it is no longer `known`, and was left as it is.
    fn replace(&self, known: &str, text: &str) -> Result<(), Failure>;

    /// The TOML files in a folder that is named as the file names one, by name; none where it can't be listed.
    fn beside(&self, folder: &str) -> Vec<String>;
}

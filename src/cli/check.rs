//! `lineseal config check`

use std::process::ExitCode;

use super::output::say;
use super::{Global, places, with_config};

pub fn main(global: &Global) -> ExitCode {
    with_config(global, |config| {
        let profiles: Vec<&str> = config.profiles.iter().map(|profile| profile.name.as_str()).collect();
        say(&format!("{}: no mistakes; profiles: {}", places(global).config.display(), profiles.join(", ")));
        ExitCode::SUCCESS
    })
}

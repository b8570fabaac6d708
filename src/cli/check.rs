//! `lineseal config check`

use std::process::ExitCode;

use super::output::{self, say};
use super::{Global, exit, held, places, remark_on_copies, with_config};
use crate::bootstrap;
use crate::config::Config;
use crate::domain::profile::{Profile, UidRule};
use crate::provisioning::checks::{Pin, Pins};
use crate::texts::{Language, Texts, fl};

pub fn main(global: &Global) -> ExitCode {
    with_config(global, |config| {
        let language = output::language(global.language.as_deref(), config.station.language.as_deref());
        let texts = match Texts::load(language.clone()) {
            Ok(texts) => texts,
            Err(error) => {
                say(&error.to_string());
                return ExitCode::from(exit::NOTHING_DONE);
            }
        };
        if !profiles(&config, &texts) || !claims(&config, &language) {
            return ExitCode::from(exit::USAGE);
        }
        if let Err(failure) = held::known_keys(&config) {
            output::failure(&failure, &language);
            return ExitCode::from(exit::USAGE);
        }
        let profiles: Vec<&str> = config.profiles.iter().map(|profile| profile.name.as_str()).collect();
        let file = places(global).config.display().to_string();
        say(&fl!(texts.loader(), "cli-config-good", file = file, profiles = profiles.join(", ")));
        remark_on_copies(&config, &places(global).data_dir, &texts);
        ExitCode::SUCCESS
    })
}

/// What each profile pins; `false`: something that no chip could be judged by.
pub(super) fn profiles(config: &Config, texts: &Texts) -> bool {
    let mut good = true;
    for profile in &config.profiles {
        say(&fl!(texts.loader(), "check-profile", name = profile.name.as_str()));
        match bootstrap::check_trust(&profile.trust) {
            Ok(pins) => {
                pins_of(&pins, texts);
                remark_on_uid(profile, texts);
            }
            Err(failure) => {
                output::failure(&failure, texts.language());
                good = false;
            }
        }
    }
    good
}

/// By what each profile's fleet is entered; `false`: it could not be.
fn claims(config: &Config, language: &Language) -> bool {
    let checked = config.profiles.iter().filter_map(bootstrap::check_claim).filter_map(Result::err);
    checked.inspect(|failure| output::failure(failure, language)).count() == 0
}

fn pins_of(pins: &Pins, texts: &Texts) {
    for root in &pins.roots {
        pin(&fl!(texts.loader(), "check-root"), root, texts);
    }
    for intermediate in &pins.intermediates {
        pin(&fl!(texts.loader(), "check-intermediate"), intermediate, texts);
    }
    for (file, crl) in &pins.crls {
        let number = crl.number.as_deref().unwrap_or("-");
        let (from, until) = (crl.this_update.as_str(), crl.next_update.as_str());
        let (file, issuer) = (file.display().to_string(), crl.issuer.as_str());
        say(&fl!(
            texts.loader(),
            "check-crl",
            file = file,
            issuer = issuer,
            number = number,
            from = from,
            until = until
        ));
    }
}

/// What a profile leaves open is told by the one command that is asked whether all is well.
fn remark_on_uid(profile: &Profile, texts: &Texts) {
    match (profile.trust.uid, &profile.trust.uid_from_cn) {
        (UidRule::None, _) => say(&fl!(texts.loader(), "check-uid-none")),
        (UidRule::Required, None) => say(&fl!(texts.loader(), "check-uid-uncompared")),
        _ => {}
    }
}

fn pin(role: &str, pin: &Pin, texts: &Texts) {
    let Pin { subject, key, not_before, not_after, .. } = pin;
    let (subject, key) = (subject.as_str(), key.as_str());
    let (from, until) = (not_before.as_str(), not_after.as_str());
    say(&fl!(texts.loader(), "check-pin", role = role, subject = subject, key = key, from = from, until = until));
    if pin.expired {
        say(&fl!(texts.loader(), "check-expired"));
    }
}

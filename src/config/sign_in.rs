//! `[sign_in]`: who may operate this station, and how that is proven.

use super::section::Entry;
use super::{BadgeUse, SignIn};

pub(super) fn read(entry: &Entry<'_>, practice: bool) -> Option<SignIn> {
    let section = entry.section("[sign_in]")?;
    let default = SignIn::of(practice);
    let (required, undecided) = match section.optional("required") {
        Some(entry) => (entry.boolean(), false),
        None => (Some(default.required), default.undecided),
    };
    let badge = match section.optional("badge") {
        Some(entry) => entry.choice(&[("alone", BadgeUse::Alone), ("with-pin", BadgeUse::WithPin)]),
        None => Some(default.badge),
    };
    let badge_prefix = section.optional("badge_prefix").map_or(Some(default.badge_prefix), |entry| prefix(&entry));
    let idle = section.optional("idle_minutes").map_or(Some(default.idle), |entry| {
        let minutes = u64::try_from(entry.integer(0..=24 * 60)?).ok()?;
        Some((minutes > 0).then(|| std::time::Duration::from_secs(60 * minutes)))
    });
    let badge_key = section.optional("badge_key").map_or(Some(None), |entry| entry.path().map(Some));
    Some(SignIn {
        required: required?,
        undecided,
        badge: badge?,
        badge_prefix: badge_prefix?,
        idle: idle?,
        badge_key: badge_key?,
    })
}

/// Nothing else that is scanned at the station begins like a badge.
fn prefix(entry: &Entry<'_>) -> Option<String> {
    let text = entry.text()?;
    let good = (2..=16).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
    let taken = ["SLIP-", "LANE-"].iter().any(|taken| taken.starts_with(text) || text.starts_with(taken));
    if !good || taken {
        entry
            .refuse("has to be 2 to 16 of ASCII's letters, digits and signs, and none that begins like SLIP- or LANE-");
        return None;
    }
    Some(text.to_owned())
}

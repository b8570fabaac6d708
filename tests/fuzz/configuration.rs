//! What an administrator writes: the station's file, and a product's profile.

use std::path::Path;

use base64::Engine as _;
use lineseal::config::load;
use lineseal::domain::StationName;

use super::corpus;
use super::engine::{Target, kind_of};

const STATION: &str = include_str!("../../assets/lineseal.toml");
const PROFILES: [&str; 4] = [
    include_str!("../../assets/profiles/practice.toml"),
    include_str!("../../assets/profiles/se050-vcom.toml"),
    include_str!("../../assets/profiles/se050c-linux-gateway.toml"),
    include_str!("../../assets/profiles/tpm2.toml"),
];
const WORDS: &[&str] = &[
    "[",
    "]]",
    "{",
    "'''",
    "\"\"\"",
    " = ",
    "true",
    "1979-05-27",
    "inf",
    "0x7f",
    "\\u0000",
    "(?<uid>",
    "{serial}",
    "..",
    "\u{feff}",
];

#[test]
fn a_station_s_file_is_read_or_its_mistakes_are_told() {
    let folder = laid_out();
    let file = folder.path().join("lineseal.toml");
    let genuine = with_profile("profiles/1.toml");
    assert!(
        loaded(&file, &file, genuine.as_bytes()).starts_with("read"),
        "{}",
        loaded(&file, &file, genuine.as_bytes())
    );
    let check = |input: &[u8]| loaded(&file, &file, input);
    Target { name: "station", inputs: 5_000, seeds: vec![genuine.into_bytes()], words: WORDS, check: &check }.run();
}

#[test]
fn a_profile_is_read_or_its_mistakes_are_told() {
    let folder = laid_out();
    let (file, profile) = (folder.path().join("lineseal.toml"), folder.path().join("profiles/tested.toml"));
    std::fs::write(&file, with_profile("profiles/tested.toml")).unwrap();
    for text in &PROFILES[1..] {
        let outcome = loaded(&file, &profile, text.as_bytes());
        assert!(outcome.starts_with("read"), "{outcome}");
    }
    let check = |input: &[u8]| loaded(&file, &profile, input);
    let seeds = PROFILES.iter().map(|text| text.as_bytes().to_vec()).collect();
    Target { name: "profile", inputs: 5_000, seeds, words: WORDS, check: &check }.run();
}

fn with_profile(name: &str) -> String {
    let (before, rest) = STATION.split_once("profiles = [").unwrap();
    let (_, after) = rest.split_once(']').unwrap();
    format!("{before}profiles = [\"{name}\"]{after}")
}

/// All that the files of `assets` name.
fn laid_out() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let vendor = folder.path().join("profiles/vendor");
    std::fs::create_dir_all(&vendor).unwrap();
    for (number, text) in PROFILES.iter().enumerate() {
        std::fs::write(folder.path().join(format!("profiles/{number}.toml")), text).unwrap();
        // Whatever a profile calls its vendor's certificates.
        for name in text.split(['"', '\'']).filter_map(|part| part.strip_prefix("vendor/")) {
            let of = if name.contains("root") { "root.der" } else { "intermediate.der" };
            let der = base64::engine::general_purpose::STANDARD.encode(corpus::file("certificates", of));
            let pem = format!("-----BEGIN CERTIFICATE-----\n{der}\n-----END CERTIFICATE-----\n");
            std::fs::write(vendor.join(name), pem).unwrap();
        }
    }
    for text in PROFILES.iter().chain([&STATION]) {
        for name in text.split(['"', '\'']).filter(|part| part.ends_with(".zpl") || part.ends_with(".json")) {
            let to = folder.path().join("profiles").join(name);
            let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/profiles").join(name);
            if from.exists() {
                std::fs::create_dir_all(to.parent().unwrap()).unwrap();
                std::fs::copy(from, to).unwrap();
            }
        }
    }
    folder
}

fn loaded(station: &Path, changed: &Path, bytes: &[u8]) -> String {
    std::fs::write(changed, bytes).unwrap();
    match load(station) {
        Ok(config) => {
            assert_eq!(format!("{config:?}"), format!("{:?}", load(station).unwrap()), "read otherwise the next time");
            assert_eq!(config.station.name.to_string().parse::<StationName>().unwrap(), config.station.name);
            format!("read {} {} {}", config.lanes.len(), config.targets.len(), config.profiles.len())
        }
        Err(errors) => {
            assert!(!errors.problems().is_empty());
            let lines = String::from_utf8_lossy(bytes).lines().count() + 1;
            for problem in errors.problems().iter().filter(|problem| problem.file == changed) {
                assert!(problem.line.is_none_or(|line| (1..=lines).contains(&line)), "{problem}");
            }
            kind_of(&errors.problems()[0].mistake.to_string())
        }
    }
}

//! What is shipped under `assets/` has to be right as it stands.

use std::path::{Path, PathBuf};

use super::fixture::root_pem;
use crate::config::load;
use crate::domain::profile::{KeyKind, ObjectName};

/// A copy of `assets/` with stand-ins for the vendors' certificates, which are not ours to ship.
fn assets() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("assets"), dir.path());
    let vendor = dir.path().join("profiles/vendor");
    std::fs::create_dir(&vendor).unwrap();
    for name in [
        "nxp-se050-root.pem",
        "nxp-se050-rsa-intermediate.pem",
        "nxp-se050-ec-intermediate.pem",
        "device-root.pem",
        "root.pem",
        "intermediate.pem",
    ] {
        std::fs::write(vendor.join(name), root_pem()).unwrap();
    }
    std::fs::create_dir(dir.path().join("ca")).unwrap();
    std::fs::write(dir.path().join("ca/plant.pem"), root_pem()).unwrap();
    dir
}

/// The parts of `assets/` that a configuration refers to.
fn copy(from: &Path, to: &Path) {
    std::fs::copy(from.join("lineseal.toml"), to.join("lineseal.toml")).unwrap();
    for folder in ["profiles", "policies", "templates", "labels"] {
        std::fs::create_dir(to.join(folder)).unwrap();
        for entry in std::fs::read_dir(from.join(folder)).unwrap() {
            let path = entry.unwrap().path();
            std::fs::copy(&path, to.join(folder).join(path.file_name().unwrap())).unwrap();
        }
    }
}

#[test]
fn the_example_station_and_its_profiles_have_no_mistake() {
    let dir = assets();
    let config = load(&dir.path().join("lineseal.toml")).unwrap_or_else(|errors| panic!("{errors}"));
    let gateway = &config.profiles[0];
    assert_eq!(gateway.name, "se050c-linux-gateway");
    assert_eq!(gateway.token.certificate, ObjectName::Se050(0xF000_0111));
    assert_eq!(gateway.token.key, ObjectName::Se050(0xF000_0110));
    assert_eq!(gateway.token.uid, Some(ObjectName::Se050(0x7FFF_0206)));
    assert_eq!(gateway.trust.keys, [KeyKind::Rsa2048]);
}

#[test]
fn every_shipped_profile_has_no_mistake() {
    let dir = assets();
    let profiles: Vec<PathBuf> = std::fs::read_dir(dir.path().join("profiles"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "toml"))
        .collect();
    assert!(profiles.len() >= 4, "{profiles:?}");
    let word = regex::Regex::new("@[A-Z]+@").unwrap();
    for path in profiles {
        let folder = dir.path().display();
        let text = std::fs::read_to_string(&path)
            .unwrap()
            .replace("@MODULE@", "/usr/lib/softhsm/libsofthsm2.so")
            .replace("@TOKENS@", "/tmp/tokens")
            .replace("@PIN@", "/tmp/pin")
            .replace("@VENDOR@", &format!("{folder}/profiles/vendor"))
            .replace("@POLICY@", &format!("{folder}/policies/device.json"))
            .replace("@CONNECT@", "required")
            .replace("@LABELS@", &format!("{folder}/labels"));
        assert!(!text.lines().any(|line| !line.starts_with('#') && word.is_match(line)), "a word is left: {text}");
        std::fs::write(&path, text).unwrap();
        let station = dir.path().join("station.toml");
        let targets = ["production", "practice"]
            .map(|name| format!("{{ name = '{name}', region = 'eu-west-1', account = '123456789012' }}"));
        let text = format!(
            "profiles = [{path:?}]\nstation.name = 'a'\ntargets = [{}]\n\
             ca.plant.certificate = 'ca/plant.pem'\nca.plant.auto_registration = true",
            targets.join(", ")
        );
        std::fs::write(&station, text).unwrap();
        let config = load(&station).unwrap_or_else(|errors| panic!("{errors}"));
        assert_eq!(config.profiles.len(), 1);
        assert!(config.profiles[0].label.is_some());
    }
}

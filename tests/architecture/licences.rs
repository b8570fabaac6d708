//! What is linked into Lineseal, or builds it, stands under a licence of the house.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use cargo_metadata::{CargoOpt, DependencyKind, Metadata, MetadataCommand, Package, PackageId};
use spdx::{Expression, ParseMode};

use crate::root;

/// The house's licences.
const HOUSE: &[&str] = &[
    "MIT",
    "MIT-0",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "MPL-2.0",
    "Zlib",
    "ISC",
    "OFL-1.1",
];

/// What else is accepted, package by package, and why.
const EXCEPTIONS: &[Exception] = &[
    Exception {
        licence: "Unicode-3.0",
        why: "permissive; it covers the tables that are generated from Unicode's data files",
        packages: &[
            "icu_collections",
            "icu_locale_core",
            "icu_normalizer",
            "icu_normalizer_data",
            "icu_properties",
            "icu_properties_data",
            "icu_provider",
            "litemap",
            "potential_utf",
            "tinystr",
            "unicode-ident",
            "unicode-normalization",
            "unicode-properties",
            "writeable",
            "yoke",
            "yoke-derive",
            "zerofrom",
            "zerofrom-derive",
            "zerotrie",
            "zerovec",
            "zerovec-derive",
        ],
    },
    Exception {
        licence: "Ubuntu-font-1.0",
        why: "one of egui's default fonts, embedded unchanged: an OFL-like font licence",
        packages: &["epaint_default_fonts"],
    },
];

struct Exception {
    licence: &'static str,
    why: &'static str,
    packages: &'static [&'static str],
}

#[test]
fn everything_linked_is_under_a_licence_of_the_house() {
    let metadata = metadata();
    let packages = linked(&metadata);
    assert!(packages.len() > 100, "only {} packages are reached", packages.len());
    let refused: Vec<String> = packages
        .iter()
        .filter_map(|package| {
            judge(&package.name, package.license.as_deref())
                .err()
                .map(|why| format!("{} {}: {why}", package.name, package.version))
        })
        .collect();
    assert!(refused.is_empty(), "{}", refused.join("\n"));
}

#[test]
fn every_exception_is_still_needed() {
    let metadata = metadata();
    let names: BTreeSet<&str> = linked(&metadata).iter().map(|package| package.name.as_str()).collect();
    for exception in EXCEPTIONS {
        assert!(!exception.why.is_empty());
        for package in exception.packages {
            assert!(names.contains(package), "{package} is not linked any more: take its exception away");
        }
    }
}

#[test]
fn licences_are_judged_as_spdx_expressions() {
    for fine in [
        "MIT",
        "MIT/Apache-2.0",
        "Apache-2.0 / MIT",
        "MIT OR GPL-3.0-only",
        "Unlicense OR MIT",
        "CC0-1.0 OR MIT-0 OR Apache-2.0",
        "Apache-2.0 WITH LLVM-exception",
        "(MIT OR Apache-2.0) AND BSD-3-Clause",
        "MPL-2.0",
    ] {
        assert_eq!(judge("some", Some(fine)), Ok(()), "{fine}");
    }
    for refused in ["GPL-3.0-only", "AGPL-3.0", "MIT AND GPL-2.0-only", "CC0-1.0", "LGPL-2.1+", "Unicode-3.0"] {
        assert_eq!(judge("some", Some(refused)), Err(format!("{refused} is not one of the house's licences")));
    }
    assert_eq!(judge("unicode-ident", Some("(MIT OR Apache-2.0) AND Unicode-3.0")), Ok(()));
    assert!(judge("unicode-ident", Some("Ubuntu-font-1.0")).is_err());
    assert_eq!(judge("some", None), Err("names no licence".to_owned()));
    assert!(judge("some", Some("whatever you like")).unwrap_err().starts_with("no SPDX expression"));
}

/// This package, as its manifest has it.
pub fn this_package() -> Package {
    metadata().root_package().expect("a root package").clone()
}

fn judge(name: &str, licence: Option<&str>) -> Result<(), String> {
    let licence = licence.ok_or("names no licence")?;
    let expression = Expression::parse_mode(licence, ParseMode::LAX)
        .map_err(|e| format!("no SPDX expression: {licence}: {}", e.reason))?;
    let exceptions =
        EXCEPTIONS.iter().filter(|exception| exception.packages.contains(&name)).map(|exception| exception.licence);
    let accepted: Vec<String> = HOUSE.iter().copied().chain(exceptions).map(str::to_owned).collect();
    if expression.evaluate(|required| accepted.contains(&required.to_string())) {
        Ok(())
    } else {
        Err(format!("{licence} is not one of the house's licences"))
    }
}

/// What the package reaches through normal and build dependencies, itself excluded.
fn linked(metadata: &Metadata) -> Vec<&Package> {
    let resolve = metadata.resolve.as_ref().expect("a resolved graph");
    let nodes: BTreeMap<&PackageId, _> = resolve.nodes.iter().map(|node| (&node.id, node)).collect();
    let root = resolve.root.as_ref().expect("a root package");
    let mut reached = BTreeSet::new();
    let mut waiting = vec![root];
    while let Some(id) = waiting.pop() {
        if !reached.insert(id) {
            continue;
        }
        let dependencies = nodes.get(id).map(|node| node.deps.as_slice()).unwrap_or_default();
        waiting.extend(
            dependencies
                .iter()
                .filter(|dependency| dependency.dep_kinds.iter().any(|kind| kind.kind != DependencyKind::Development))
                .map(|dependency| &dependency.pkg),
        );
    }
    metadata.packages.iter().filter(|package| package.id != *root && reached.contains(&package.id)).collect()
}

/// Offline and locked: whoever runs this has built the tests, so all of it is on the disk.
fn metadata() -> Metadata {
    MetadataCommand::new()
        .manifest_path(root().join("Cargo.toml"))
        .features(CargoOpt::SomeFeatures(Vec::new()))
        .other_options(["--locked", "--offline", "--filter-platform", &host()].map(str::to_owned).to_vec())
        .exec()
        .unwrap_or_else(|e| panic!("cargo metadata: {e}"))
}

/// The triple that this machine builds for.
fn host() -> String {
    let output = Command::new("rustc").arg("-vV").output().expect("rustc");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let host = text.lines().find_map(|line| line.strip_prefix("host: ")).expect("a host line").to_owned();
    assert!(host.contains("linux"), "{host}: the list is checked for Linux");
    host
}

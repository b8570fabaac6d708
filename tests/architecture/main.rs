//! The rules of the house, read from its own source: which room may name which, what the pure rooms
//! know nothing of, where faults may be named, what may be linked, what the repository may say,
//! what is packaged with it.
//!
//! Nothing here uses the crate itself, so this suite builds in seconds. Each rule is also fed with
//! small sources that break it: a rule that reports nothing would be no rule.

mod licences;
mod packaging;
mod repository;
mod rules;
mod source;

use std::path::{Path, PathBuf};

use source::Source;

#[test]
fn every_arrow_and_every_name_in_the_source_is_allowed() {
    let sources = crate_sources();
    let crossings = sources.iter().map(|source| rules::crossings(source).count()).sum::<usize>();
    assert!(sources.len() >= 20 && crossings >= 10, "read {} files, {crossings} crossings", sources.len());
    let violations = rules::violations(&sources);
    let list: Vec<String> = violations.iter().map(ToString::to_string).collect();
    assert!(list.is_empty(), "{} violations\n{}", list.len(), list.join("\n"));
}

/// Every file under `src`, read.
fn crate_sources() -> Vec<Source> {
    let root = root();
    let mut files = Vec::new();
    collect(&root.join("src"), &mut files);
    files.sort();
    files
        .iter()
        .map(|file| {
            let text = std::fs::read_to_string(file).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
            let name = file.strip_prefix(&root).expect("below the root").to_string_lossy().into_owned();
            Source::read(&name, &text).unwrap_or_else(|e| panic!("{e}"))
        })
        .collect()
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    let entries = std::fs::read_dir(folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    for entry in entries {
        let path = entry.expect("a directory entry").path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

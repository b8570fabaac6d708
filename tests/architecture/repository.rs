//! What holds for the repository as a whole.

use std::process::Command;

use crate::root;

#[test]
fn no_file_speaks_of_the_place_it_was_written_in() {
    // Put together here, so that this file does not hold them.
    let needles = ["shared", ".library"].map(|folder| format!("../{folder}"));
    let needles = needles.into_iter().chain(["shared", "main", "wt"].map(|folder| format!("/work/{folder}")));
    let needles: Vec<String> = needles.collect();
    let files = files();
    assert!(files.iter().any(|file| file == "src/lib.rs"), "git lists {} files", files.len());
    let mut found = Vec::new();
    for file in files {
        // A file that is listed and gone is a deletion that is not committed yet.
        let Ok(bytes) = std::fs::read(root().join(&file)) else { continue };
        for needle in needles.iter().filter(|needle| contains(&bytes, needle.as_bytes())) {
            found.push(format!("{file}: {needle}"));
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
    assert!(contains(b"see ../lib/a", b"../lib") && !contains(b"see ../li/a", b"../lib"));
}

#[test]
fn the_oldest_rust_is_named_and_no_toolchain_is_pinned() {
    let package = crate::licences::this_package();
    assert!(package.rust_version.is_some(), "Cargo.toml has no rust-version");
    for file in files() {
        let name = file.rsplit('/').next().unwrap_or(&file);
        assert!(!name.starts_with("rust-toolchain"), "{file}: rust-version says what is needed");
    }
}

/// Every file that is in the repository or would be with the next commit.
fn files() -> Vec<String> {
    let output = Command::new("git")
        // Root runs this in a checkout that someone else owns, too.
        .args(["-c", "safe.directory=*", "ls-files", "-z", "--cached", "--others", "--exclude-standard"])
        .current_dir(root())
        .output()
        .expect("git");
    assert!(output.status.success(), "git ls-files: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout.split(|byte| *byte == 0).filter(|name| !name.is_empty()).map(text).collect()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn contains(bytes: &[u8], needle: &[u8]) -> bool {
    bytes.windows(needle.len()).any(|window| window == needle)
}

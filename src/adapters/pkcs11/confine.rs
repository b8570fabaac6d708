//! A module is somebody else's program, and runs as the station's user: what is the station's alone, its log,
//! its keys, its mark, it need not see (landlock(7)); nor may it signal or trace what it has not started. No
//! privileges are needed for that. What a kernel does not know of it yet is left out; which of it a module may
//! still do then says the README.

use std::io;
use std::os::unix::fs::FileTypeExt as _;
use std::path::{Path, PathBuf};

use landlock::{
    ABI, Access, AccessFs, CompatLevel, Compatible, PathBeneath, PathFd, Ruleset, RulesetAttr, RulesetCreated,
    RulesetCreatedAttr, Scope,
};

/// What the rules below were written for.
const KNOWN: ABI = ABI::V6;

/// From here on this process, and whatever it starts, has no way into `folder` except to its sub-folders, which
/// may hold a token.
pub(super) fn keep_out_of(folder: &Path) -> io::Result<()> {
    let refused = |error: &dyn std::error::Error| io::Error::other(error.to_string());
    let ruleset = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .scope(Scope::Signal)
        .map_err(|error| refused(&error))?;
    let restricted = match around(folder) {
        Some(others) => ruleset
            .handle_access(AccessFs::from_all(KNOWN))
            .and_then(Ruleset::create)
            .and_then(|ruleset| allow(ruleset, &others))
            .and_then(RulesetCreated::restrict_self),
        // Where nobody can say what else there is, files stay as they are.
        None => ruleset.create().and_then(RulesetCreated::restrict_self),
    };
    restricted.map(drop).map_err(|error| refused(&error))
}

fn allow(mut ruleset: RulesetCreated, others: &[PathBuf]) -> Result<RulesetCreated, landlock::RulesetError> {
    // Names are no secret, and whoever looks for a file lists folders on the way.
    if let Ok(root) = PathFd::new("/") {
        ruleset = ruleset.add_rule(PathBeneath::new(root, AccessFs::ReadDir))?;
    }
    // What has gone meanwhile needs no rule, and for pipes and sockets there is none.
    let may_have = |path: &&PathBuf| {
        std::fs::metadata(path).is_ok_and(|it| !it.file_type().is_fifo() && !it.file_type().is_socket())
    };
    for other in others.iter().filter(may_have).filter_map(|path| PathFd::new(path).ok()) {
        ruleset = ruleset.add_rule(PathBeneath::new(other, AccessFs::from_all(KNOWN)))?;
    }
    Ok(ruleset)
}

/// All that there is beside `folder` and beside each folder above it, and its own sub-folders.
fn around(folder: &Path) -> Option<Vec<PathBuf>> {
    let folder = folder.canonicalize().ok()?;
    let listed = |folder: &Path| {
        let entries = std::fs::read_dir(folder).ok()?.collect::<Result<Vec<_>, _>>().ok()?;
        Some(entries.into_iter().map(|entry| entry.path()))
    };
    let mut others: Vec<PathBuf> = listed(&folder)?.filter(|path| path.is_dir() && !path.is_symlink()).collect();
    let mut inside = folder.as_path();
    while let Some(above) = inside.parent() {
        // Nor by a link that leads back: what a link leads to is judged where it lies.
        others.extend(listed(above)?.filter(|path| path != inside && !leads_to(path, &folder)));
        inside = above;
    }
    Some(others)
}

fn leads_to(path: &Path, folder: &Path) -> bool {
    path.is_symlink() && path.canonicalize().map_or(true, |real| folder.starts_with(real))
}

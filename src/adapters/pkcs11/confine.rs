//! A module is somebody else's program, and runs as the station's user: what is the station's alone, its log,
//! its keys, its mark, its configuration, it need not see (landlock(7)); nor may it signal or trace what it has not started. No
//! privileges are needed for that. What a kernel does not know of it yet is left out; which of it a module may
//! still do then says the README.

use std::collections::BTreeSet;
use std::io;
use std::os::unix::fs::FileTypeExt as _;
use std::path::{Path, PathBuf};

use landlock::{
    ABI, Access, AccessFs, CompatLevel, Compatible, PathBeneath, PathFd, Ruleset, RulesetAttr, RulesetCreated,
    RulesetCreatedAttr, Scope,
};

/// What the rules below were written for.
const KNOWN: ABI = ABI::V6;

/// From here on this process, and whatever it starts, has no way to `files`, nor into `folder` except to its
/// sub-folders, which may hold a token; nor to any serial port but `ports`: behind the others are other lanes'
/// boards, whose answers it could read away, or give.
pub(super) fn keep_out_of(folder: &Path, files: &[PathBuf], ports: &[PathBuf]) -> io::Result<()> {
    let kept: Vec<PathBuf> = files.iter().cloned().chain(terminals(ports)).collect();
    let refused = |error: &dyn std::error::Error| io::Error::other(error.to_string());
    let ruleset = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .scope(Scope::Signal)
        .and_then(|ruleset| ruleset.handle_access(AccessFs::from_all(KNOWN)))
        .and_then(Ruleset::create)
        .and_then(|ruleset| allow(ruleset, &beside(folder, &kept)));
    ruleset.and_then(RulesetCreated::restrict_self).map(drop).map_err(|error| refused(&error))
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

/// Every serial port but `ports`; of pseudo-terminals, which are boards only where one of `ports` is, likewise.
fn terminals(ports: &[PathBuf]) -> Vec<PathBuf> {
    const PSEUDO: &str = "/dev/pts";
    let own: BTreeSet<PathBuf> = ports.iter().filter_map(|port| port.canonicalize().ok()).collect();
    let mut folders = vec!["/dev"];
    folders.extend(own.iter().any(|port| port.starts_with(PSEUDO)).then_some(PSEUDO));
    let entries = folders.into_iter().flat_map(|folder| std::fs::read_dir(folder).into_iter().flatten().flatten());
    entries.map(|entry| entry.path()).filter(|path| is_terminal(path) && !own.contains(path)).collect()
}

/// By what the kernel calls it. A process's own terminal is none of a board's, and `ptmx` makes a new one.
fn is_terminal(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let is_device = std::fs::symlink_metadata(path).is_ok_and(|it| it.file_type().is_char_device());
    let is_named_so = name.starts_with("tty") || path.starts_with("/dev/pts");
    let is_known = || Path::new("/sys/class/tty").join(&*name).exists();
    is_device && !["tty", "ptmx", "console"].contains(&&*name) && (is_named_so || is_known())
}

/// All that there is beside them and beside each folder above them, and the folder's own sub-folders. A right on
/// a folder is one on all below it, so that each on the way is opened entry by entry: nothing is made or removed
/// in it, and where it cannot be listed nothing beside the way is open.
fn beside(folder: &Path, files: &[PathBuf]) -> Vec<PathBuf> {
    let folder = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
    let mut kept = BTreeSet::from([folder.clone()]);
    for file in files {
        // By the place where it is looked for, and by the one that a link there leads to.
        let there = file.parent().and_then(|above| above.canonicalize().ok()).zip(file.file_name());
        kept.extend(there.map(|(above, name)| above.join(name)).into_iter().chain(file.canonicalize()));
    }
    let leads_to_one = |path: &Path| kept.iter().any(|kept| kept.starts_with(path));
    let mut others = Vec::new();
    let mut on_the_way = vec![PathBuf::from("/")];
    while let Some(way) = on_the_way.pop() {
        let entries = std::fs::read_dir(&way).into_iter().flatten().flatten().map(|entry| entry.path());
        for path in entries {
            let is_link = path.is_symlink();
            match () {
                () if path == folder => on_the_way.push(path),
                () if kept.contains(&path) || (way == folder && (is_link || !path.is_dir())) => {}
                () if leads_to_one(&path) => on_the_way.push(path),
                // What a link leads to is judged where it lies.
                () if is_link && path.canonicalize().map_or(true, |real| leads_to_one(&real)) => {}
                () => others.push(path),
            }
        }
    }
    others
}

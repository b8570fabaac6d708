//! The window on a screen of its own (Xvfb): what a person standing before it sees, and what their
//! keys and scanner make of it.
//!
//! Needs `Xvfb`, `xdotool` and ImageMagick's `import` and `convert`; fails without them. Pictures stay
//! under `target/window/`. The test program starts itself again as the program with the window,
//! because a window belongs to a process's main thread: so this suite has no libtest harness.
//!
//! `cargo test --test window [NAME…]` runs the tests whose names contain a NAME.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "without libtest it reports by itself")]

mod practice;
#[path = "../../src/gui/scenes.rs"]
mod scenes;
mod screen;
mod shown;
mod tests;

use std::process::ExitCode;
use std::time::Instant;

fn main() -> ExitCode {
    if let Some(script) = std::env::var_os(shown::SCENE) {
        return shown::run(&script.to_string_lossy());
    }
    let wanted: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with('-')).collect();
    let chosen =
        tests::ALL.iter().filter(|(name, _)| wanted.is_empty() || wanted.iter().any(|part| name.contains(part)));
    let (mut passed, mut failed) = (0, 0);
    let began = Instant::now();
    for (name, test) in chosen {
        match std::panic::catch_unwind(test) {
            Ok(()) => {
                passed += 1;
                println!("test {name} ... ok");
            }
            Err(_) => {
                failed += 1;
                println!("test {name} ... FAILED");
            }
        }
    }
    let filtered = tests::ALL.len() - passed - failed;
    println!(
        "\ntest result: {}. {passed} passed; {failed} failed; 0 ignored; 0 measured; {filtered} filtered out; finished in {:.2}s",
        if failed == 0 { "ok" } else { "FAILED" },
        began.elapsed().as_secs_f64()
    );
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

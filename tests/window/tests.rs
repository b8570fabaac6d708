//! What must be true of the window.

use std::time::Duration;

use crate::screen::{Rgb, Screen};

type Test = (&'static str, fn());

pub const ALL: &[Test] =
    &[("pictures_at_1920x1080", pictures_at_1920x1080), ("pictures_at_1280x800", pictures_at_1280x800)];

const PASS: Rgb = [0x07, 0x60, 0x2F];

fn pictures_at_1920x1080() {
    pictures(1920, 1080);
}

fn pictures_at_1280x800() {
    pictures(1280, 800);
}

/// Every lane count in both languages, to be looked at.
fn pictures(width: u32, height: u32) {
    let screen = Screen::new(width, height);
    for language in ["en", "ja"] {
        let mut window = screen.open(language, "idle 1");
        for lanes in [1, 4, 8, 16] {
            window.scene(&format!("busy {lanes}"));
            let picture = window.picture(&format!("{width}x{height}-{language}-{lanes}"));
            assert!(picture.share(PASS, [0.0, 0.0, 1.0, 1.0]) > 0.02);
        }
        for lanes in [8, 16] {
            window.scene(&format!("troubled {lanes} practice"));
            window.picture(&format!("{width}x{height}-{language}-{lanes}-practice"));
        }
    }
    let _ = Duration::ZERO;
}

//! What must be true of the window.

use std::time::Duration;

use lineseal::domain::ReasonCode;

use crate::screen::{Picture, Rgb, Screen};

type Test = (&'static str, fn());

pub const ALL: &[Test] = &[
    ("a_pass_and_a_fail_fill_their_tiles", a_pass_and_a_fail_fill_their_tiles),
    ("practice_is_unmistakable", practice_is_unmistakable),
    ("an_idle_window_costs_nothing", an_idle_window_costs_nothing),
    ("keys_and_scanner_reach_the_runner", keys_and_scanner_reach_the_runner),
    ("touch_reaches_the_runner", touch_reaches_the_runner),
    ("a_full_queue_never_blocks_the_window", a_full_queue_never_blocks_the_window),
    ("the_end_of_the_runner_is_shown", the_end_of_the_runner_is_shown),
    ("the_practice_line_shows_a_real_pass_and_a_real_fail", crate::practice::shows_a_real_pass_and_a_real_fail),
    ("the_practice_line_passes_sixteen_boards_at_once", crate::practice::passes_sixteen_boards_at_once),
    ("the_practice_line_leads_a_newcomer_through_five_steps", crate::practice::leads_a_newcomer_through_five_steps),
    ("pictures_at_1920x1080", pictures_at_1920x1080),
    ("pictures_at_1280x800", pictures_at_1280x800),
    ("pictures_of_all_reasons", pictures_of_all_reasons),
    ("pictures_of_who_operates", pictures_of_who_operates),
    ("a_person_signs_in_and_no_secret_is_shown_or_said", a_person_signs_in_and_no_secret_is_shown_or_said),
    ("reference_pictures", reference_pictures),
    ("an_enlarged_desktop_cuts_nothing", an_enlarged_desktop_cuts_nothing),
    ("a_scan_never_ends_in_a_text_field", a_scan_never_ends_in_a_text_field),
];

pub const PASS: Rgb = [0x07, 0x60, 0x2F];
pub const FAIL: Rgb = [0xA3, 0x12, 0x1A];
const WHITE: Rgb = [0xFF, 0xFF, 0xFF];
const BLACK: Rgb = [0, 0, 0];
const PRACTICE: Rgb = [0x5A, 0x1A, 0x8C];
const NOTICE: Rgb = [0xFF, 0xF3, 0xD6];

/// Processor time in 3 s that counts as none: proc(5) counts in steps of 10 ms.
const REST: Duration = Duration::from_millis(20);

pub const EVERYTHING: [f32; 4] = [0.0, 0.0, 1.0, 1.0];
const SIZES: [(u32, u32); 2] = [(1920, 1080), (1280, 800)];

/// The bodies of two tiles side by side, below their heads.
const LEFT_BODY: [f32; 4] = [0.02, 0.22, 0.48, 0.88];
const RIGHT_BODY: [f32; 4] = [0.52, 0.22, 0.98, 0.88];

fn a_pass_and_a_fail_fill_their_tiles() {
    for (width, height) in SIZES {
        let screen = Screen::new(width, height);
        for language in ["en", "ja"] {
            let mut window = screen.open(language, "pair 2");
            let picture = window.settle();
            picture.keep(&format!("pair-{width}x{height}-{language}"));
            let pass = picture.share(PASS, LEFT_BODY);
            let fail = picture.share(FAIL, RIGHT_BODY);
            assert!(pass > 0.7, "PASS covers {pass} of its tile at {width}x{height} in {language}");
            assert!(fail > 0.65, "FAIL covers {fail} of its tile at {width}x{height} in {language}");
            assert_eq!(picture.share(FAIL, LEFT_BODY) + picture.share(PASS, RIGHT_BODY), 0.0);
            // Icon, word and sentence stand on it.
            for body in [LEFT_BODY, RIGHT_BODY] {
                let written = picture.share(WHITE, body);
                assert!(written > 0.05, "{written} of a verdict is written on at {width}x{height} in {language}");
            }
            assert_eq!(picture.share(PRACTICE, EVERYTHING), 0.0);
            assert_eq!(window.title(), "Lineseal L3-ST2");
        }
    }
}

fn practice_is_unmistakable() {
    for (width, height) in SIZES {
        let screen = Screen::new(width, height);
        let mut window = screen.open("ja", "pair 2 practice");
        let picture = window.settle();
        picture.keep(&format!("practice-{width}x{height}-ja"));
        let top = picture.share(PRACTICE, [0.0, 0.0, 1.0, 0.025]);
        let bottom = picture.share(PRACTICE, [0.0, 0.988, 1.0, 1.0]);
        assert!(top > 0.3 && bottom > 0.3, "the banners cover {top} and {bottom}");
        assert!(window.title().contains("PRACTICE"), "{}", window.title());
    }
}

fn an_idle_window_costs_nothing() {
    let screen = Screen::new(1280, 800);
    for scene in ["idle 16", "busy 16 practice"] {
        let window = screen.open("en", scene);
        // The window system may still have something to say right after the start (focus, exposure):
        // one stretch of rest out of three must be rest, a window that polls has none.
        let stretch = || {
            let before = window.cpu();
            std::thread::sleep(Duration::from_secs(3));
            window.cpu() - before
        };
        let mut spent = Vec::new();
        while spent.len() < 3 && spent.last().is_none_or(|last| *last > REST) {
            spent.push(stretch());
        }
        assert!(spent.last().is_some_and(|last| *last <= REST), "{scene}: {spent:?} of processor time in 3 s each");
    }
}

fn keys_and_scanner_reach_the_runner() {
    let screen = Screen::new(1280, 800);
    let mut window = screen.open("en", "busy 8");
    window.press(&["F2"]);
    assert_eq!(window.asked(), "Pause");
    window.scan("GW4-0031190");
    assert_eq!(window.asked(), "Scan(\"GW4-0031190\")");
    window.press(&["6", "F4"]);
    assert_eq!(window.asked(), "Retry(LaneNumber(6))");
    window.press(&["F5"]);
    assert_eq!(window.asked(), "ResumeHeld");
    window.changes(|window| window.press(&["F9"]));
    window.press(&["F9"]);
    assert_eq!(window.asked(), "CloseBatch");
    // A tile in focus takes nothing away from the scanner.
    window.changes(|window| window.press(&["Down"]));
    window.scan("BADGE 014");
    assert_eq!(window.asked(), "Scan(\"BADGE 014\")");
    window.asked_nothing();
    // A batch, by keyboard alone.
    window.scene("unopened 8");
    window.changes(|window| window.press(&["F6"]));
    window.type_text("GW4-2611-08");
    window.settle();
    // One key at a time: each moves the focus, or presses what has it.
    window.changes(|window| window.press(&["Tab"]));
    window.type_text("500");
    window.settle().keep("batch-form");
    for key in ["Tab", "Tab", "Return", "shift+Tab"] {
        window.changes(|window| window.press(&[key]));
    }
    window.press(&["Return"]);
    assert_eq!(window.asked(), "OpenBatch { name: BatchName(\"GW4-2611-08\"), profile: \"gateway-g4\", planned: 500 }");
}

fn touch_reaches_the_runner() {
    let screen = Screen::new(1280, 800);
    let mut window = screen.open("en", "busy 4");
    // Anywhere on lane 3's tile (the left lower of four): QA's detail unfolds, and folds again.
    let detail = window.changes(|window| window.click(320, 600));
    detail.keep("details");
    assert!(detail.share(FAIL, EVERYTHING) > 0.03, "the detail does not cover the lane");
    window.changes(|window| window.press(&["Escape"]));
    window.click(686, 771);
    assert_eq!(window.asked(), "Pause");
}

fn a_full_queue_never_blocks_the_window() {
    let screen = Screen::new(1280, 800);
    let mut window = screen.open_with_queue("en", "busy 4", 1);
    window.press(&["F2"]);
    let said = window.changes(|window| window.press(&["F2"]));
    said.keep("busy-remark");
    assert!(notice(&said), "nothing says that the key was not taken");
    // It still draws what comes, and the remark goes away by itself.
    window.scene("busy 8");
    assert!(!notice(&window.changes(|_| {})), "the remark stays");
}

fn the_end_of_the_runner_is_shown() {
    let screen = Screen::new(1280, 800);
    let mut window = screen.open("ja", "busy 4");
    let picture = window.changes(|window| window.tell("gone"));
    picture.keep("runner-gone");
    assert!(notice(&picture));
}

fn pictures_at_1920x1080() {
    pictures(1920, 1080);
}

fn pictures_at_1280x800() {
    pictures(1280, 800);
}

/// Lane counts and languages, to be looked at; a snapshot that arrives is drawn without any input.
fn pictures(width: u32, height: u32) {
    let screen = Screen::new(width, height);
    for language in ["en", "ja"] {
        let mut window = screen.open(language, "idle 1");
        for lanes in [1, 4, 8, 16] {
            let picture = window.scene(&format!("busy {lanes}"));
            picture.keep(&format!("{width}x{height}-{language}-{lanes}"));
            assert!(picture.share(PASS, EVERYTHING) > 0.02);
        }
        for lanes in [8, 16] {
            let picture = window.scene(&format!("troubled {lanes} practice"));
            picture.keep(&format!("{width}x{height}-{language}-{lanes}-practice"));
            assert!(notice(&picture));
        }
        window.changes(|window| window.press(&["F8"]));
    }
}

/// What is committed under `reference`, to be looked at beside a change: LINESEAL_RENEW=1 makes them again.
fn reference_pictures() {
    for (width, height) in SIZES {
        let screen = Screen::new(width, height);
        for language in ["en", "ja"] {
            let mut window = screen.open(language, "unopened 4");
            let name = |what: &str| format!("{what}-{width}x{height}-{language}");
            window.settle().keep_for_reference(&name("idle"));
            window.scene("busy 16").keep_for_reference(&name("sixteen"));
            window.scene("busy 8").keep_for_reference(&name("verdicts"));
            // Somebody else is asked to sign in while the lanes work on.
            window.scene("nobody 16");
            window.changes(|window| window.press(&["F1"])).keep_for_reference(&name("sign-in"));
            window.changes(|window| window.press(&["Escape"]));
            // An administrator's settings: all of them, a lane that is taught, the printer, the targets.
            window.scene("settings 8");
            window.changes(|window| window.press(&["shift+F1"])).keep_for_reference(&name("settings"));
            window.changes(|window| window.press(&["space"])).keep_for_reference(&name("settings-lanes"));
            window.scene("taught 8").keep_for_reference(&name("settings-taught"));
            window.scene("settings 8");
            window.changes(|window| window.press(&["Escape"]));
            // One by one: a frame moves the focus once, however many Tabs it sees.
            for key in ["Tab", "Tab", "space"] {
                window.changes(|window| window.press(&[key]));
            }
            window.settle().keep_for_reference(&name("settings-printer"));
            for key in ["Escape", "Tab", "Tab", "Tab", "space"] {
                window.changes(|window| window.press(&[key]));
            }
            window.scene("targets 8").keep_for_reference(&name("settings-targets"));
            window.press(&["Escape", "Escape"]);
            window.settle();
            // What the label looks like, and the form for another copy.
            window.scene("labelled");
            window.changes(|window| window.type_text("1"));
            window.changes(|window| window.press(&["shift+F3"]));
            window.settle().keep_for_reference(&name("reprint"));
            // A newcomer's first look at the practice line.
            let mut practice = screen.open(language, "idle 4 practice tour");
            practice.settle().keep_for_reference(&name("practice"));
        }
    }
    let screen = Screen::new(1280, 800);
    let mut window = screen.open("en", "busy 8");
    // Each theme fills a FAIL's tile in its own red, and a PASS's in its own green.
    let fills = |picture: &Picture, fill: Rgb| picture.share(fill, EVERYTHING) > 0.04;
    assert!(fills(&window.settle(), FAIL));
    let dark = window.changes(|window| window.press(&["shift+F8"]));
    dark.keep_for_reference("verdicts-dark");
    assert!(fills(&dark, FAIL) && fills(&dark, PASS) && !fills(&dark, WHITE));
    let contrast = window.changes(|window| window.press(&["shift+F8"]));
    contrast.keep_for_reference("verdicts-contrast");
    assert!(fills(&contrast, BLACK) && !fills(&contrast, PASS));
    assert!(fills(&window.changes(|window| window.press(&["shift+F8"])), WHITE));
    window.type_text("7");
    window.changes(|window| window.press(&["Delete"])).keep_for_reference("wrong-board");
    window.press(&["Escape"]);
    window.scene("troubled 16 practice").keep_for_reference("troubled-practice");
}

fn an_enlarged_desktop_cuts_nothing() {
    for (width, height) in SIZES {
        let screen = Screen::new(width, height);
        let mut window = screen.open_enlarged("ja", "busy 16", 1.5);
        let picture = window.settle();
        picture.keep(&format!("enlarged-{width}x{height}"));
        // The lowest row of tiles and the keys below it are there.
        assert!(picture.share(PASS, [0.75, 0.7, 1.0, 0.92]) > 0.1);
        assert!(picture.share(WHITE, [0.0, 0.93, 1.0, 1.0]) > 0.5);
    }
}

fn a_scan_never_ends_in_a_text_field() {
    let screen = Screen::new(1280, 800);
    let mut window = screen.open("en", "unopened 8");
    window.changes(|window| window.press(&["F6"]));
    let empty = window.settle();
    window.scan("SLIP-12");
    assert_eq!(window.asked(), "Scan(\"SLIP-12\")");
    assert!(window.settle() == empty, "something of it was typed into the field");
    window.changes(|window| window.type_text("GW4"));
}

/// What every reason tells the technician, in the smallest tiles.
fn pictures_of_all_reasons() {
    let screen = Screen::new(1280, 800);
    for language in ["en", "ja"] {
        let mut window = screen.open(language, "idle 16");
        for part in 1..=ReasonCode::ALL.len().div_ceil(16) {
            let picture = window.scene(&format!("told {part}"));
            picture.keep(&format!("reasons-{language}-{part}"));
        }
    }
}

/// Signing in and out, and the people: the panel stands beside the lanes.
fn pictures_of_who_operates() {
    for (width, height) in SIZES {
        let screen = Screen::new(width, height);
        for language in ["en", "ja"] {
            for scene in ["first", "nobody 16", "locked 4", "badge 4", "busy 8", "people 4"] {
                let mut window = screen.open(language, scene);
                let before = window.settle();
                if scene != "badge 4" {
                    window.changes(|window| window.press(&["F1"]));
                }
                if scene == "people 4" {
                    for key in ["Tab", "Tab", "Return"] {
                        window.changes(|window| window.press(&[key]));
                    }
                }
                let picture = window.settle();
                picture
                    .keep(&format!("who-{}-{width}x{height}-{language}", scene.split(' ').next().unwrap_or_default()));
                if scene != "first" {
                    let verdicts = |picture: &Picture| picture.share(PASS, EVERYTHING) > 0.02;
                    assert!(verdicts(&before) && verdicts(&picture), "{scene} at {width}x{height} in {language}");
                }
            }
        }
    }
}

fn a_person_signs_in_and_no_secret_is_shown_or_said() {
    let screen = Screen::new(1280, 800);
    let mut window = screen.open("en", "nobody 8");
    window.scan("BADGE-00417350918");
    assert_eq!(window.asked(), "Badge(BadgeCode(SecretBox<str>([REDACTED])))");
    window.changes(|window| window.press(&["F1"]));
    window.type_text("B. Mori");
    window.changes(|window| window.press(&["Tab"]));
    window.type_text("73509182");
    window.settle().keep("sign-in");
    window.press(&["Return"]);
    assert_eq!(window.asked(), "SignIn { name: \"B. Mori\", pin: Pin(SecretBox<str>([REDACTED])) }");
}

/// Whether the bar above the lanes is there.
fn notice(picture: &Picture) -> bool {
    picture.share(NOTICE, EVERYTHING) > 0.015
}

//! The whole window without a display: what is drawn where, what is read aloud, and what keys ask
//! for. `tests/window` does the same on a real screen, more slowly.

mod settings;
mod sign_in;

use std::sync::Arc;

use eframe::App as _;
use egui::{Color32, Event as Input, Key, Modifiers, RawInput, Rect, Shape, Vec2, pos2, vec2};
use tokio::sync::{mpsc, watch};

use crate::config::{Look, ScanEnd, Scanner};
use crate::domain::{Failure, ReasonCode, Verdict};
use crate::runner::view::{Command, Copies, CopyPlace, Health, LaneState, Snapshot};
use crate::texts::{Language, Texts, fl};

use super::app::{App, WindowOptions};
use super::practice_panel::{PracticeBridge, PracticeCommand};
use super::{Bridge, scenes, theme};

const SIZES: [Vec2; 2] = [vec2(1280.0, 800.0), vec2(1920.0, 1080.0)];

/// Screens in pixels, and how much the desktop enlarges everything on them.
const SCREENS: [(Vec2, f32); 4] = [(SIZES[0], 1.0), (SIZES[1], 1.0), (SIZES[0], 1.5), (SIZES[1], 1.5)];

#[test]
fn no_text_is_cut_or_overlaps_in_any_scene() {
    for language in Language::available() {
        for (size, scale) in SCREENS {
            let mut desk = Desk::enlarged(language.clone(), size, scale, scenes::idle(1, false));
            let on = format!("{language:?} {size} {scale}");
            desk.show(scenes::pair(true));
            desk.assert_legible(&format!("{on} pair true"));
            let lanes: &[u8] = if scale > 1.0 { &[1, 4, 16] } else { &[1, 2, 3, 4, 6, 8, 12, 16] };
            for lanes in lanes.iter().copied() {
                for practice in [false, true] {
                    desk.show(scenes::busy(lanes, practice));
                    desk.assert_legible(&format!("{on} busy {lanes} {practice}"));
                    desk.show(scenes::troubled(lanes, practice));
                    desk.assert_legible(&format!("{on} troubled {lanes} {practice}"));
                }
                desk.show(scenes::unopened(lanes));
                desk.assert_legible(&format!("{on} unopened {lanes}"));
                desk.show(scenes::unknown(lanes));
                desk.assert_legible(&format!("{on} unknown {lanes}"));
            }
        }
    }
}

/// What opens below the lanes, and what stands above them.
#[test]
fn no_text_is_cut_or_overlaps_in_any_drawer_or_notice() {
    for language in Language::available() {
        for (size, scale) in SCREENS {
            let mut desk = Desk::enlarged(language.clone(), size, scale, scenes::busy(16, false));
            for (typed, key) in [("7", Key::F3), ("3", Key::F3), ("11", Key::F3), ("7", Key::Delete), ("", Key::F9)] {
                desk.type_text(typed);
                desk.press(key);
                desk.assert_legible(&format!("{language:?} {size} {scale} {typed} {key:?}, scrolls"));
                desk.press(Key::Escape);
            }
            // Lane 2 has its identity, lane 99 is none, and what is typed by hand is no scan.
            for typed in ["2", "99"] {
                desk.type_text(typed);
                desk.press(Key::Delete);
                desk.assert_legible(&format!("{language:?} {size} {scale} remark {typed}"));
            }
            for code in [ReasonCode::SCAN_UNEXPECTED, ReasonCode::SCAN_AMBIGUOUS, ReasonCode::WRONG_BOARD_LATE] {
                desk.show(Snapshot { notice: Some(Failure::new(code, "no lane waits")), ..scenes::busy(16, false) });
                desk.assert_legible(&format!("{language:?} {size} {scale} notice {code}"));
            }
            desk.show(scenes::unopened(16));
            desk.press(Key::F6);
            desk.assert_legible(&format!("{language:?} {size} {scale} form"));
        }
    }
}

/// Every pair of text and ground that is ever drawn, in every theme: WCAG 2.2, 1.4.6 for verdicts, 1.4.3 for the rest.
#[test]
fn every_text_stands_out_from_its_ground_in_every_theme() {
    let scenes = [scenes::busy(16, false), scenes::troubled(16, true), scenes::unopened(4), scenes::idle(8, true)];
    for look in Look::ALL {
        let theme = theme::Theme::of(look);
        let verdicts = Verdict::ALL.map(|verdict| theme.verdict(verdict).fill);
        let mut desk = Desk::with(WindowOptions { theme: look, ..options() }, SIZES[1], 1.0, scenes::idle(1, false));
        let mut seen = 0;
        for scene in &scenes {
            desk.show(scene.clone());
            for (drawer, key) in [("", Key::Escape), ("3", Key::F3), ("", Key::F9), ("", Key::F6), ("7", Key::Delete)] {
                desk.type_text(drawer);
                desk.press(key);
                for (words, colour, ground) in desk.inked() {
                    let least = if verdicts.contains(&ground) { 7.0 } else { 4.5 };
                    let contrast = theme::contrast(colour, ground);
                    assert!(contrast >= least, "{look:?}: {words:?}, {colour:?} on {ground:?}: {contrast:.1}");
                    seen += 1;
                }
            }
        }
        assert!(seen > 200, "{seen}");
    }
}

#[test]
fn the_theme_is_switched_by_a_key_that_says_so_and_told_to_whoever_keeps_it() {
    let (chosen, mut kept) = mpsc::channel(4);
    let options = WindowOptions { chosen: Some(chosen), ..options() };
    let mut desk = Desk::with(options, SIZES[0], 1.0, scenes::busy(4, false));
    let ground =
        |desk: &Desk| desk.inked().into_iter().find(|(words, ..)| words == "Lineseal").map(|(.., ground)| ground);
    for (look, next) in [(Look::Light, "Dark"), (Look::Dark, "High contrast"), (Look::Contrast, "Light")] {
        assert_eq!(ground(&desk), Some(theme::Theme::of(look).surface));
        assert!(desk.spoken().contains(&format!("{next} (Shift F8)")));
        desk.press_with(Modifiers::SHIFT, Key::F8);
        assert_eq!(kept.try_recv().ok(), Some(look.next()));
    }
    // The language's own key is another.
    desk.click("Dark (Shift F8)");
    desk.press(Key::F8);
    assert!(desk.drawn().contains("不合格"));
    assert_eq!(ground(&desk), Some(theme::Theme::of(Look::Dark).surface));
}

/// Where the desktop enlarges everything on a small screen, the window is drawn smaller as a whole.
#[test]
fn an_enlarged_desktop_makes_the_window_no_smaller_than_it_is_laid_out_for() {
    for (size, scale, zoom) in
        [(SIZES[0], 1.0, 1.0), (SIZES[1], 1.0, 1.0), (SIZES[0], 1.5, 0.667), (SIZES[1], 1.5, 0.9)]
    {
        let desk = Desk::enlarged(Language::default(), size, scale, scenes::idle(4, false));
        assert!((desk.ctx.zoom_factor() - zoom).abs() < 0.001, "{size} {scale}: {}", desk.ctx.zoom_factor());
    }
}

#[test]
fn a_gloved_finger_hits_every_button() {
    for (size, scale) in SCREENS {
        let mut desk = Desk::enlarged(Language::default(), size, scale, scenes::troubled(16, false));
        desk.type_text("3");
        desk.press(Key::F3);
        for (_, node) in desk.nodes() {
            let (Some(bounds), Some(label)) = (node.bounds(), node.label()) else { continue };
            if node.role() == egui::accesskit::Role::Button {
                let least = f64::from(theme::size::TOUCH) - 0.5;
                let (wide, high) = (bounds.x1 - bounds.x0, bounds.y1 - bounds.y0);
                assert!(wide >= least && high >= least, "{label}: {wide} × {high} of {least} at {size} {scale}");
            }
        }
    }
}

#[test]
fn a_batch_s_pace_and_end_are_told_and_nothing_while_unknown() {
    for (size, scale) in SCREENS {
        let mut desk = Desk::enlarged(Language::default(), size, scale, scenes::busy(16, false));
        let pace = scenes::busy(16, false).batch.and_then(|batch| batch.pace).unwrap();
        let end = pace.ends.unwrap().to_zoned(jiff::tz::TimeZone::system()).strftime("%H:%M").to_string();
        for told in ["164", "Units/h", "Ends about", &end, "98.4 %", "312 / 500"] {
            assert!(desk.drawn().lines().any(|line| line == told), "{told} at {size} {scale}: {}", desk.drawn());
        }
        desk.show(scenes::unknown(16));
        let unknown = desk.drawn().lines().filter(|line| *line == "—").count();
        assert!(unknown >= 3, "yield, pace and end at {size} {scale}: {}", desk.drawn());
    }
}

/// As QA reads it off the screen: what was listed, and what of it was seen.
#[test]
fn a_batch_s_vendor_list_is_told_whole_in_every_size_and_language() {
    for language in Language::available() {
        for size in SIZES {
            // Beside the practice line's panel, which no real station has.
            let whole = size + vec2(theme::size::PRACTICE_PANEL, 0.0);
            let desk = Desk::new(language.clone(), whole, scenes::busy(4, false));
            let texts = Texts::load(language.clone()).unwrap();
            let drawn = desk.drawn();
            for caption in [
                fl!(texts.loader(), "header-manifest-used"),
                fl!(texts.loader(), "header-manifest-unknown"),
                fl!(texts.loader(), "header-manifest-missing"),
                fl!(texts.loader(), "header-manifest-matched"),
            ] {
                assert!(drawn.contains(&caption), "{caption} at {size} in {language:?}: {drawn}");
            }
        }
    }
}

#[test]
fn every_reason_s_sentence_fits_the_smallest_tile() {
    for language in Language::available() {
        for size in SIZES {
            let mut desk = Desk::new(language.clone(), size, scenes::idle(1, false));
            for codes in ReasonCode::ALL.chunks(16) {
                desk.show(scenes::told(codes));
                desk.assert_legible(&format!("{language:?} {size} {codes:?}"));
            }
        }
    }
}

#[test]
fn lanes_are_read_aloud_with_verdict_and_code() {
    let mut desk = Desk::new(Language::default(), SIZES[0], scenes::busy(4, false));
    let spoken = desk.spoken();
    for label in ["Lane 1: PASS", "Lane 2: step 6 of 9, Registering with AWS", "Lane 3: FAIL S-105", "Lane 4: free"] {
        assert!(spoken.iter().any(|known| known == label), "{label} is missing in {spoken:?}");
    }
    for label in ["Pause (F2)", "Cloud: good", "Lane 1, GW4-0031188: PASS"] {
        assert!(spoken.iter().any(|known| known == label), "{label} is missing in {spoken:?}");
    }
}

#[test]
fn a_log_without_copies_elsewhere_says_that_a_rollback_could_not_be_proven() {
    let mut snapshot = scenes::idle(4, false);
    let mut desk = Desk::new(Language::default(), SIZES[0], snapshot.clone());
    assert!(desk.spoken().contains(&"Copies: good".to_owned()));
    for place in [CopyPlace::Nowhere, CopyPlace::SameDisk] {
        snapshot.copies = Copies { health: Health::Good, place };
        desk.show(snapshot.clone());
        let spoken = "No copies: a rollback could not be proven";
        desk.click(spoken);
        assert!(desk.drawn().contains(spoken), "{}", desk.drawn());
        desk.press(Key::Escape);
    }
    // A copy that fails is said before anything else of it.
    for language in Language::available() {
        for size in SIZES {
            let bad = |code| Health::Bad(Failure::new(code, "broken"));
            snapshot.copies = Copies { health: bad(ReasonCode::COPY_FAILED), place: CopyPlace::SameDisk };
            snapshot.log = bad(ReasonCode::STORE_FULL);
            snapshot.cloud = bad(ReasonCode::CLOUD_UNREACHABLE);
            snapshot.printer = bad(ReasonCode::PRINTER_UNREACHABLE);
            let desk = Desk::new(language.clone(), size, snapshot.clone());
            desk.assert_legible(&format!("{language:?} {size} all bad"));
            assert!(desk.drawn().contains("L-523"), "{}", desk.drawn());
        }
    }
}

#[test]
fn keys_pause_and_continue() {
    let mut desk = Desk::new(Language::default(), SIZES[0], scenes::busy(4, false));
    desk.press(Key::F2);
    assert_eq!(desk.asked(), [Command::Pause]);
    desk.show(scenes::troubled(4, false));
    desk.press(Key::F2);
    desk.press(Key::F5);
    assert_eq!(desk.asked(), [Command::Continue, Command::ResumeHeld]);
}

#[test]
fn the_scanner_needs_no_focus_and_presses_no_focused_button() {
    let mut desk = Desk::new(Language::default(), SIZES[0], scenes::busy(4, false));
    // A tile has the focus: Enter alone would open its details.
    desk.press(Key::ArrowDown);
    desk.type_text("GW4-0031190");
    desk.press(Key::Enter);
    assert_eq!(desk.asked(), [Command::Scan("GW4-0031190".into())]);
    assert!(!desk.drawn().contains("What to do"));
}

/// A field that is being typed into gets what is typed and never what is scanned, with a prefix and without.
#[test]
fn a_scan_goes_where_the_scanner_is_for_while_a_field_has_the_focus() {
    let prefixed = Scanner { prefix: "~".into(), suffix: String::new(), end: ScanEnd::Enter };
    for (scanner, typed) in [(Scanner::default(), "SLIP-12"), (prefixed, "~SLIP-12")] {
        let options = WindowOptions { scanner, ..options() };
        let mut desk = Desk::with(options, SIZES[0], 1.0, scenes::unopened(4));
        desk.press(Key::F6);
        desk.press(Key::Tab);
        desk.type_text("50");
        desk.scan(typed);
        assert_eq!(desk.asked(), [Command::Scan("SLIP-12".into())]);
        desk.type_text("0");
        // A batch's barcode is its name, whichever field is open.
        desk.scan(&typed.replace("SLIP-12", "GW4-2611-08"));
        desk.click("sensor-s1");
        desk.click("Open");
        let open =
            Command::OpenBatch { name: "GW4-2611-08".parse().unwrap(), profile: "sensor-s1".into(), planned: 500 };
        assert_eq!(desk.asked(), [open]);
    }
}

#[test]
fn a_batch_s_own_barcode_opens_its_form_and_a_waiting_lane_goes_first() {
    let mut desk = Desk::new(Language::default(), SIZES[0], scenes::unopened(4));
    desk.scan("BATCH-GW4-2611-08");
    assert_eq!(desk.asked(), []);
    assert!(desk.drawn().contains("GW4-2611-08") && desk.drawn().contains("Planned boards"));
    // Lane 10 waits for a serial number.
    desk.show(Snapshot { batch: None, ..scenes::busy(16, false) });
    desk.scan("GW4-0031190");
    assert_eq!(desk.asked(), [Command::Scan("GW4-0031190".into())]);
}

#[test]
fn with_a_prefix_what_is_typed_by_hand_is_no_scan_and_the_window_says_so() {
    let scanner = Scanner { prefix: "~".into(), suffix: "#".into(), end: ScanEnd::Enter };
    let mut desk = Desk::with(WindowOptions { scanner, ..options() }, SIZES[0], 1.0, scenes::busy(8, false));
    desk.type_text("GW4-0031190");
    desk.press(Key::Enter);
    assert_eq!(desk.asked(), []);
    assert!(desk.drawn().contains("was not scanned"), "{}", desk.drawn());
    desk.scan("~GW4-0031190#");
    assert_eq!(desk.asked(), [Command::Scan("GW4-0031190".into())]);
    desk.type_text("6");
    desk.press(Key::F4);
    assert_eq!(desk.asked(), [Command::Retry(6.try_into().unwrap())]);
}

#[test]
fn a_command_that_was_refused_is_said_until_it_is_read_and_said_again_the_next_time() {
    let refused = Failure::new(ReasonCode::SCAN_UNEXPECTED, "no lane waits").with("scan", "X-1");
    let mut desk = Desk::new(Language::default(), SIZES[0], scenes::busy(4, false));
    desk.show(Snapshot { notice: Some(refused.clone()), ..scenes::busy(4, false) });
    assert!(desk.drawn().contains("(O-602)"), "{}", desk.drawn());
    desk.press(Key::Escape);
    assert!(!desk.drawn().contains("(O-602)"));
    // The same code once more is refused for the same reason: the snapshot does not even change.
    desk.scan("X-1");
    assert!(desk.drawn().contains("(O-602)"));
}

#[test]
fn a_wrong_board_is_taken_out_by_asking_twice_and_only_before_it_is_bound() {
    let mut desk = Desk::new(Language::default(), SIZES[0], scenes::busy(8, false));
    let run_of = |lane: usize| match &scenes::busy(8, false).lanes[lane - 1].state {
        LaneState::Running { run, .. } => *run,
        other => panic!("{other:?}"),
    };
    let wrong = |lane: usize| Command::WrongBoard { lane: (lane as u8).try_into().unwrap(), run: run_of(lane) };
    // Lane 7 is being proven.
    desk.type_text("7");
    desk.press(Key::Delete);
    assert_eq!(desk.asked(), []);
    assert!(desk.drawn().contains("Wrong board GW4-0031187 in lane 7?"), "{}", desk.drawn());
    desk.press(Key::Escape);
    desk.press(Key::Delete);
    assert_eq!(desk.asked(), [], "nobody said which lane");
    desk.type_text("7");
    desk.press(Key::Delete);
    desk.press(Key::Delete);
    assert_eq!(desk.asked(), [wrong(7)]);
    // By touch: the lane, then the button, then the answer.
    desk.click("Lane 7: step 4 of 9, Proving the certificate");
    desk.click("Wrong board (Del)");
    desk.click("Stop its run (Del)");
    assert_eq!(desk.asked(), [wrong(7)]);
    // Lane 2 is being registered: bound. Lane 1 has its verdict, lane 4 is free.
    for lane in ["2", "1", "4"] {
        desk.type_text(lane);
        desk.press(Key::Delete);
        desk.press(Key::Delete);
        assert_eq!(desk.asked(), []);
    }
    assert!(desk.drawn().contains("too late"));
    // What is asked about while it is still possible is not done once it is not.
    desk.type_text("7");
    desk.press(Key::Delete);
    let mut bound = scenes::busy(8, false);
    if let LaneState::Running { claimed, .. } = &mut bound.lanes[6].state {
        *claimed = true;
    }
    desk.show(bound);
    assert!(!desk.drawn().contains("Wrong board GW4"));
    desk.press(Key::Delete);
    assert_eq!(desk.asked(), []);
}

#[test]
fn a_typed_number_and_f4_retry_that_lane() {
    let mut desk = Desk::new(Language::default(), SIZES[0], scenes::busy(8, false));
    desk.type_text("6");
    desk.press(Key::F4);
    let lane = 6.try_into().unwrap();
    assert_eq!(desk.asked(), [Command::Retry(lane)]);
    // The digit is used up, not left for the next barcode.
    desk.type_text("AB");
    desk.press(Key::Enter);
    assert_eq!(desk.asked(), [Command::Scan("AB".into())]);
}

#[test]
fn a_pass_or_a_fail_can_not_be_retried_and_the_window_says_so() {
    let mut desk = Desk::new(Language::default(), SIZES[0], scenes::busy(8, false));
    for lane in ["1", "3", "9"] {
        desk.type_text(lane);
        desk.press(Key::F4);
        assert_eq!(desk.asked(), []);
    }
    assert!(desk.drawn().contains("There is no lane 9."));
}

#[test]
fn qa_s_detail_is_folded_away_until_asked_for() {
    let mut desk = Desk::new(Language::default(), SIZES[0], scenes::busy(8, false));
    assert!(!desk.drawn().contains("CKR_DEVICE_ERROR"));
    desk.type_text("3");
    desk.press(Key::F3);
    assert!(desk.drawn().contains("CKR_DEVICE_ERROR"));
    desk.assert_legible("details");
    desk.press(Key::Escape);
    assert!(!desk.drawn().contains("CKR_DEVICE_ERROR"));
}

#[test]
fn a_batch_is_opened_by_keys_alone_and_its_form_takes_the_scanner() {
    let mut desk = Desk::new(Language::default(), SIZES[0], scenes::unopened(4));
    desk.press(Key::F6);
    desk.type_text("GW4-2611-08");
    desk.press(Key::Enter);
    assert_eq!(desk.asked(), [], "there is no profile and no number yet");
    assert!(desk.drawn().contains("Choose a profile."));
    desk.click("sensor-s1");
    desk.press(Key::F6);
    desk.type_text("GW4-2611-08");
    desk.press(Key::Tab);
    desk.type_text("500");
    desk.click("sensor-s1");
    desk.click("Open");
    let open = Command::OpenBatch { name: "GW4-2611-08".parse().unwrap(), profile: "sensor-s1".into(), planned: 500 };
    assert_eq!(desk.asked(), [open]);
}

#[test]
fn a_batch_is_closed_by_asking_twice() {
    let mut desk = Desk::new(Language::default(), SIZES[0], scenes::busy(4, false));
    desk.press(Key::F9);
    assert_eq!(desk.asked(), []);
    assert!(desk.drawn().contains("312 of 500 are done."));
    desk.press(Key::Escape);
    desk.press(Key::F9);
    desk.press(Key::F9);
    assert_eq!(desk.asked(), [Command::CloseBatch]);
}

#[test]
fn a_label_s_fate_is_told_by_key_or_touch() {
    let mut desk = Desk::new(Language::default(), SIZES[0], scenes::troubled(4, false));
    let run = scenes::troubled(4, false).questions[0].run;
    desk.press(Key::F10);
    desk.click("Print again (F11)");
    let settle = |printed| Command::SettleLabel { run, printed };
    assert_eq!(desk.asked(), [settle(true), settle(false)]);
}

#[test]
fn a_label_is_looked_at_and_printed_once_more_for_a_reason() {
    for language in Language::available() {
        for size in SIZES {
            let mut desk = Desk::new(language.clone(), size, scenes::labelled_pair());
            desk.type_text("1");
            desk.press_with(Modifiers::SHIFT, Key::F3);
            desk.assert_legible(&format!("a label, {language:?} {size}"));
            desk.type_text("1");
            desk.press(Key::F3);
            desk.assert_legible(&format!("details with a label, {language:?} {size}"));
        }
    }
    let scene = scenes::labelled_pair();
    let run = scene.scan_back[0].run;
    let mut desk = Desk::new(Language::default(), SIZES[0], scene);
    assert!(desk.drawn().contains("and scan it there"), "{}", desk.drawn());
    desk.type_text("1");
    desk.press_with(Modifiers::SHIFT, Key::F3);
    assert_eq!(desk.asked(), [Command::ShowLabel(run)]);
    assert!(desk.spoken().iter().any(|label| label.starts_with("Picture of the label for")));
    assert!(desk.drawn().contains("Copies up to 1 are void"), "{}", desk.drawn());
    // Not without a reason.
    desk.click("Void it and print another");
    assert_eq!(desk.asked(), []);
    assert!(desk.drawn().contains("Say why"));
    desk.click_field();
    desk.type_text("torn");
    desk.click("Void it and print another");
    assert_eq!(desk.asked(), [Command::Reprint { run, reason: "torn".parse().unwrap() }]);
}

#[test]
fn a_full_queue_is_said_and_the_remark_leaves_by_itself() {
    let mut desk = Desk::new(Language::default(), SIZES[0], scenes::busy(4, false));
    for _ in 0..20 {
        desk.press(Key::F2);
    }
    assert!(desk.drawn().contains("did not take that"));
    desk.now += 60.0;
    desk.frame(Vec::new());
    assert!(!desk.drawn().contains("did not take that"));
}

#[test]
fn the_language_is_switched_while_running() {
    let mut desk = Desk::new(Language::default(), SIZES[0], scenes::busy(4, false));
    assert!(desk.drawn().contains("FAIL"));
    desk.press(Key::F8);
    assert!(desk.drawn().contains("不合格") && desk.drawn().contains("赤い箱へ"));
    desk.press(Key::F8);
    assert!(desk.drawn().contains("Red tray."));
}

#[test]
fn practice_is_written_across_the_window_and_only_then() {
    let mut desk = Desk::new("ja".parse().unwrap(), SIZES[0], scenes::busy(4, true));
    assert!(desk.drawn().contains("PRACTICE 練習 · 本番ではありません"));
    desk.show(scenes::busy(4, false));
    assert!(!desk.drawn().contains("PRACTICE") && !desk.drawn().contains("練習"));
}

#[test]
fn practice_boards_are_plugged_and_made_bad_by_button() {
    let mut desk = Desk::new(Language::default(), SIZES[1], scenes::busy(4, true));
    desk.click("Unplug");
    desk.click("Plug in");
    desk.click("Take down");
    desk.click("Plug in all");
    desk.click("Unplug all");
    desk.click("Make bad");
    desk.click("Foreign CA");
    let port = || "port-1".to_owned();
    let expected = [
        PracticeCommand::Unplug { port: port() },
        PracticeCommand::Plug { port: "port-2".to_owned() },
        PracticeCommand::Cloud { up: false },
        PracticeCommand::PlugAll,
        PracticeCommand::UnplugAll,
        PracticeCommand::Fault { port: port(), fault: Some("foreign-ca".to_owned()) },
    ];
    let asked: Vec<_> = std::iter::from_fn(|| desk.practice_asked.try_recv().ok()).collect();
    assert_eq!(asked, expected);
}

/// Neither "set it aside" nor "did it come out" flashes up while the printer is at it.
#[test]
fn a_label_on_its_way_is_told_as_that() {
    for language in Language::available() {
        for (size, scale) in SCREENS {
            let texts = Texts::load(language.clone()).unwrap();
            let mut snapshot = scenes::busy(16, false);
            for lane in &mut snapshot.lanes {
                if let LaneState::Finished { label, .. } = &mut lane.state {
                    *label = None;
                }
            }
            let desk = Desk::enlarged(language.clone(), size, scale, snapshot);
            desk.assert_legible(&format!("{language:?} {size} {scale} on its way"));
            let drawn = desk.drawn();
            assert!(drawn.contains(&fl!(texts.loader(), "pass-label-printing")), "{drawn}");
            for wrong in [fl!(texts.loader(), "pass-label-pending"), fl!(texts.loader(), "pass-label-failed")] {
                assert!(!drawn.contains(&wrong), "{drawn}");
            }
        }
    }
}

/// In every size and language; the line takes the steps off, not the newcomer's word.
#[test]
fn the_guided_tour_takes_a_newcomer_through_five_steps() {
    for language in Language::available() {
        for (size, scale) in SCREENS {
            let texts = Texts::load(language.clone()).unwrap();
            let step = |step: u8| fl!(texts.loader(), "practice-tour-step", step = step);
            let lanes = scenes::busy(16, true).lanes;
            let [pass, fail, later, held] = [0, 2, 8, 4].map(|at: usize| lanes[at].state.clone());
            let showing = |state: &LaneState, held, paused| {
                let mut snapshot = Snapshot { held, paused, ..scenes::idle(4, true) };
                snapshot.lanes[1].state = state.clone();
                snapshot
            };
            let options = WindowOptions { language: language.clone(), ..options() };
            let mut desk = Desk::seated(options, size, scale, showing(&LaneState::Free, 0, false), true);
            let acts = [
                (LaneState::Free, 0, false, step(1)),
                (pass, 0, false, step(2)),
                (fail, 0, false, step(3)),
                (LaneState::Free, 0, false, step(3)),
                (later.clone(), 0, false, step(4)),
                (held, 1, false, step(4)),
                (LaneState::Free, 1, false, step(4)),
                (LaneState::Free, 0, false, step(5)),
                (later.clone(), 0, true, step(5)),
            ];
            for (at, (state, held, paused, told)) in acts.into_iter().enumerate() {
                desk.show(showing(&state, held, paused));
                desk.assert_legible(&format!("{language:?} {size} {scale} act {at}"));
                assert!(desk.drawn().contains(&told), "act {at}: {told} in {}", desk.drawn());
            }
            desk.show(showing(&later, 0, false));
            desk.assert_legible(&format!("{language:?} {size} {scale} over"));
            assert!(desk.drawn().contains(&fl!(texts.loader(), "practice-tour-over")));
            desk.click(&fl!(texts.loader(), "button-close"));
            assert_eq!(desk.practice_asked.try_recv(), Ok(PracticeCommand::TourEnded));
            assert!(!desk.drawn().contains(&fl!(texts.loader(), "practice-tour-over")));
        }
    }
}

#[test]
fn the_guided_tour_is_ended_at_once_and_taken_again_by_button() {
    let mut desk = Desk::seated(options(), SIZES[1], 1.0, scenes::busy(2, true), true);
    assert!(desk.drawn().contains("step 1 of 5"), "what passed before is no step: {}", desk.drawn());
    desk.click("End the tour");
    assert!(!desk.drawn().contains("step 1 of 5"));
    assert_eq!(desk.practice_asked.try_recv(), Ok(PracticeCommand::TourEnded));
    desk.click("Guided tour");
    assert!(desk.drawn().contains("step 1 of 5"));
}

#[test]
fn closing_the_window_on_running_boards_asks_first() {
    let mut desk = Desk::new(Language::default(), SIZES[0], scenes::busy(4, false));
    let cancelled = |desk: &mut Desk| {
        desk.close = true;
        let output = desk.frame(Vec::new());
        let commands = &output.viewport_output[&egui::ViewportId::ROOT].commands;
        commands.contains(&egui::ViewportCommand::CancelClose)
    };
    assert!(cancelled(&mut desk));
    assert!(desk.drawn().contains("One board is still running."));
    desk.assert_legible("leave");
    desk.click("Stay (Esc)");
    assert!(!desk.drawn().contains("still running"));
    assert!(cancelled(&mut desk));
    desk.click("Stop and quit");
    assert!(!cancelled(&mut desk), "asked twice");
    let mut idle = Desk::new(Language::default(), SIZES[0], scenes::idle(4, false));
    assert!(!cancelled(&mut idle));
}

#[test]
fn at_rest_no_frame_asks_for_another() {
    let mut desk = Desk::new(Language::default(), SIZES[0], scenes::busy(16, true));
    desk.frame(Vec::new());
    let output = desk.frame(Vec::new());
    for viewport in output.viewport_output.values() {
        assert_eq!(viewport.repaint_delay, std::time::Duration::MAX);
    }
}

/// The window on a desk of its own: a runner's ends of the channels, and hands.
struct Desk {
    ctx: egui::Context,
    app: App,
    /// Pixels.
    size: Vec2,
    /// How much the desktop enlarges.
    scale: f32,
    now: f64,
    /// The next frame is asked to close the window.
    close: bool,
    snapshots: watch::Sender<Arc<Snapshot>>,
    commands: mpsc::Receiver<Command>,
    practice_asked: mpsc::Receiver<PracticeCommand>,
    shapes: Vec<egui::epaint::ClippedShape>,
    _runtime: tokio::runtime::Runtime,
}

/// In English, light, without anybody who keeps what is chosen.
fn options() -> WindowOptions {
    WindowOptions {
        language: Language::default(),
        size: None,
        theme: Look::Light,
        chosen: None,
        scanner: Scanner::default(),
        practice: None,
    }
}

impl Desk {
    fn new(language: Language, size: Vec2, snapshot: Snapshot) -> Desk {
        Desk::enlarged(language, size, 1.0, snapshot)
    }

    fn enlarged(language: Language, size: Vec2, scale: f32, snapshot: Snapshot) -> Desk {
        Desk::with(WindowOptions { language, ..options() }, size, scale, snapshot)
    }

    fn with(options: WindowOptions, size: Vec2, scale: f32, snapshot: Snapshot) -> Desk {
        Desk::seated(options, size, scale, snapshot, false)
    }

    /// `tour`: a newcomer sits there.
    fn seated(options: WindowOptions, size: Vec2, scale: f32, snapshot: Snapshot, tour: bool) -> Desk {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let (snapshots, receiver) = watch::channel(Arc::new(snapshot));
        let (sender, commands) = mpsc::channel(8);
        // A newcomer's ports fit without scrolling.
        let (_, views) = watch::channel(scenes::practice_view(if tour { 2 } else { 8 }));
        let (practice_sender, practice_asked) = mpsc::channel(8);
        let bridge = Bridge::new(runtime.handle().clone(), receiver, sender);
        let practice = Some(PracticeBridge { views, commands: practice_sender, tour });
        let ctx = egui::Context::default();
        ctx.enable_accesskit();
        let texts = Texts::load(options.language.clone()).unwrap();
        let app = App::new(&ctx, bridge, WindowOptions { practice, ..options }, texts);
        let shapes = Vec::new();
        let mut desk = Desk {
            ctx,
            app,
            size,
            scale,
            now: 1.0,
            close: false,
            snapshots,
            commands,
            practice_asked,
            shapes,
            _runtime: runtime,
        };
        for _ in 0..4 {
            desk.frame(Vec::new());
        }
        desk
    }

    fn show(&mut self, snapshot: Snapshot) {
        self.snapshots.send_replace(Arc::new(snapshot));
        self.frame(Vec::new());
        self.frame(Vec::new());
    }

    fn frame(&mut self, events: Vec<Input>) -> egui::FullOutput {
        self.now += 0.02;
        let points = self.size / (self.scale * self.ctx.zoom_factor());
        let screen = Rect::from_min_size(pos2(0.0, 0.0), points);
        let mut input = RawInput { screen_rect: Some(screen), time: Some(self.now), events, ..RawInput::default() };
        input.viewports.entry(egui::ViewportId::ROOT).or_default().native_pixels_per_point = Some(self.scale);
        self.app.raw_input_hook(&self.ctx, &mut input);
        if std::mem::take(&mut self.close) {
            let viewport = input.viewports.entry(egui::ViewportId::ROOT).or_default();
            viewport.events.push(egui::ViewportEvent::Close);
        }
        let mut output = self.ctx.clone().run_ui(input, |ui| {
            self.app.prepare(&ui.ctx().clone());
            self.app.draw(ui);
        });
        output.textures_delta.clear();
        self.shapes.clone_from(&output.shapes);
        output
    }

    fn press(&mut self, key: Key) {
        self.press_with(Modifiers::NONE, key);
    }

    fn press_with(&mut self, modifiers: Modifiers, key: Key) {
        let event = |pressed| Input::Key { key, physical_key: None, pressed, repeat: false, modifiers };
        self.frame(vec![event(true)]);
        self.frame(vec![event(false)]);
        self.frame(Vec::new());
    }

    /// As a person types.
    fn type_text(&mut self, text: &str) {
        for c in text.chars() {
            self.now += 0.1;
            self.frame(vec![Input::Text(c.to_string())]);
        }
        self.now += 0.1;
        self.frame(Vec::new());
    }

    /// As a barcode scanner types, wherever the focus is.
    fn scan(&mut self, text: &str) {
        self.now += 1.0;
        let enter = Input::Key {
            key: Key::Enter,
            physical_key: None,
            pressed: true,
            repeat: false,
            modifiers: Modifiers::NONE,
        };
        let keys = text.chars().map(|c| Input::Text(c.to_string())).chain([enter]);
        for key in keys {
            // Frames of 20 ms, as `frame` counts them.
            self.frame(vec![key]);
        }
        self.frame(Vec::new());
    }

    /// Presses the topmost button that is read aloud as `label`.
    fn click(&mut self, label: &str) {
        let named = self.nodes().into_iter().filter(|(_, node)| node.label().is_some_and(|known| known == label));
        let places = named.filter_map(|(_, node)| node.bounds());
        let first = places.min_by(|a, b| (a.y0, a.x0).partial_cmp(&(b.y0, b.x0)).expect("numbers"));
        self.click_at(first.unwrap_or_else(|| panic!("there is no {label:?}")));
    }

    /// The only field for text.
    fn click_field(&mut self) {
        let fields = self.nodes().into_iter().filter(|(_, node)| node.role() == egui::accesskit::Role::TextInput);
        let bounds = fields.filter_map(|(_, node)| node.bounds()).next().expect("a field");
        self.click_at(bounds);
    }

    fn click_at(&mut self, bounds: egui::accesskit::Rect) {
        let at = pos2((bounds.x0 + bounds.x1) as f32 / 2.0, (bounds.y0 + bounds.y1) as f32 / 2.0);
        let button = |pressed| Input::PointerButton {
            pos: at,
            button: egui::PointerButton::Primary,
            pressed,
            modifiers: Modifiers::NONE,
        };
        self.frame(vec![Input::PointerMoved(at)]);
        self.frame(vec![button(true)]);
        self.frame(vec![button(false)]);
        self.frame(Vec::new());
    }

    fn nodes(&mut self) -> Vec<(egui::accesskit::NodeId, egui::accesskit::Node)> {
        self.frame(Vec::new()).platform_output.accesskit_update.expect("AccessKit is on").nodes
    }

    fn spoken(&mut self) -> Vec<String> {
        self.nodes().iter().filter_map(|(_, node)| node.label().or(node.value()).map(str::to_owned)).collect()
    }

    fn asked(&mut self) -> Vec<Command> {
        std::iter::from_fn(|| self.commands.try_recv().ok()).collect()
    }

    /// All text that is drawn, one piece a line.
    fn drawn(&self) -> String {
        texts(&self.shapes).map(|(_, text)| text.galley.job.text.replace('\n', " ")).collect::<Vec<_>>().join("\n")
    }

    /// Each text with its colour and that of what lies below it.
    fn inked(&self) -> Vec<(String, Color32, Color32)> {
        let mut grounds: Vec<(Rect, Color32)> = Vec::new();
        let mut inked = Vec::new();
        for (clip, shape) in flat(&self.shapes) {
            match shape {
                Shape::Rect(rect) if rect.fill.a() == 255 => grounds.push((rect.rect.intersect(clip), rect.fill)),
                Shape::Text(text) if text.angle == 0.0 && !text.galley.job.text.is_empty() => {
                    let place = text.galley.rect.translate(text.pos.to_vec2()).intersect(clip);
                    let below = grounds.iter().rev().find(|(rect, _)| rect.contains(place.center()));
                    let own = text.galley.job.sections[0].format.color;
                    let own = if own == Color32::PLACEHOLDER { text.fallback_color } else { own };
                    let colour = text.override_text_color.unwrap_or(own);
                    let words = text.galley.job.text.clone();
                    let ground = below.unwrap_or_else(|| panic!("nothing lies below {words:?}")).1;
                    inked.push((words, colour, ground));
                }
                _ => {}
            }
        }
        inked
    }

    fn assert_legible(&self, what: &str) {
        let panel = self.ctx.content_rect().width() - theme::size::PRACTICE_PANEL;
        let mut seen: Vec<(Rect, &str)> = Vec::new();
        for (clip, text) in texts(&self.shapes) {
            let words = text.galley.job.text.as_str();
            // The watermark lies below other text on purpose.
            if text.angle != 0.0 || words.is_empty() {
                continue;
            }
            assert!(!text.galley.elided, "{what}: {words:?} is cut");
            let rect = text.galley.rect.translate(text.pos.to_vec2());
            // The practice line's ports scroll.
            let scrolls = clip.left() >= panel && what.contains("true");
            if scrolls {
                continue;
            }
            // What QA looks at may be longer than the drawer is high.
            let below = clip.top() > self.ctx.content_rect().height() * 0.55;
            let rect = if what.ends_with("scrolls") && below { rect.intersect(clip) } else { rect };
            assert!(clip.expand(2.0).contains_rect(rect), "{what}: {words:?} leaves its place, {rect:?} of {clip:?}");
            // A label in a row of wrapping widgets is laid out from the row's beginning: its ink is what counts.
            let ink = text.galley.mesh_bounds.translate(text.pos.to_vec2()).intersect(rect);
            for (other, other_words) in &seen {
                let both = ink.intersect(*other);
                let overlap = both.width() > 1.0 && both.height() > 3.0;
                assert!(!overlap, "{what}: {words:?} overlaps {other_words:?}");
            }
            seen.push((ink, words));
        }
    }
}

fn texts(shapes: &[egui::epaint::ClippedShape]) -> impl Iterator<Item = (Rect, &egui::epaint::TextShape)> {
    flat(shapes).into_iter().filter_map(|(clip, shape)| match shape {
        Shape::Text(text) => Some((clip, text)),
        _ => None,
    })
}

/// All shapes in the order in which they are drawn, each with the place that it is cut to.
fn flat(shapes: &[egui::epaint::ClippedShape]) -> Vec<(Rect, &Shape)> {
    fn within<'a>(clip: Rect, shape: &'a Shape, found: &mut Vec<(Rect, &'a Shape)>) {
        match shape {
            Shape::Vec(shapes) => shapes.iter().for_each(|shape| within(clip, shape, found)),
            shape => found.push((clip, shape)),
        }
    }
    let mut found = Vec::new();
    for shape in shapes {
        within(shape.clip_rect, &shape.shape, &mut found);
    }
    found
}

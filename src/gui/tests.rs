//! The whole window without a display: what is drawn where, what is read aloud, and what keys ask
//! for. `tests/window` does the same on a real screen, more slowly.

mod sign_in;

use std::sync::Arc;

use eframe::App as _;
use egui::{Event as Input, Key, Modifiers, RawInput, Rect, Shape, Vec2, pos2, vec2};
use tokio::sync::{mpsc, watch};

use crate::domain::{Failure, ReasonCode};
use crate::runner::view::{Command, Copies, CopyPlace, Health, Snapshot};
use crate::texts::{Language, Texts, fl};

use super::app::App;
use super::practice_panel::{PracticeBridge, PracticeCommand};
use super::{Bridge, scenes, theme};

const SIZES: [Vec2; 2] = [vec2(1280.0, 800.0), vec2(1920.0, 1080.0)];

#[test]
fn no_text_is_cut_or_overlaps_in_any_scene() {
    for language in Language::available() {
        for size in SIZES {
            let mut desk = Desk::new(language.clone(), size, scenes::idle(1, false));
            desk.show(scenes::pair(true));
            desk.assert_legible(&format!("{language:?} {size} pair true"));
            for lanes in [1, 2, 3, 4, 6, 8, 12, 16] {
                for practice in [false, true] {
                    desk.show(scenes::busy(lanes, practice));
                    desk.assert_legible(&format!("{language:?} {size} busy {lanes} {practice}"));
                    desk.show(scenes::troubled(lanes, practice));
                    desk.assert_legible(&format!("{language:?} {size} troubled {lanes} {practice}"));
                }
                desk.show(scenes::unopened(lanes));
                desk.assert_legible(&format!("{language:?} {size} unopened {lanes}"));
            }
        }
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
    for label in ["Pause (F2)", "Cloud: good", "GW4-0031188: PASS"] {
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
    desk.click("Make bad");
    desk.click("Foreign CA");
    let port = || "port-1".to_owned();
    let expected = [
        PracticeCommand::Unplug { port: port() },
        PracticeCommand::Plug { port: "port-2".to_owned() },
        PracticeCommand::Cloud { up: false },
        PracticeCommand::Fault { port: port(), fault: Some("foreign-ca".to_owned()) },
    ];
    let asked: Vec<_> = std::iter::from_fn(|| desk.practice_asked.try_recv().ok()).collect();
    assert_eq!(asked, expected);
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
    size: Vec2,
    now: f64,
    /// The next frame is asked to close the window.
    close: bool,
    snapshots: watch::Sender<Arc<Snapshot>>,
    commands: mpsc::Receiver<Command>,
    practice_asked: mpsc::Receiver<PracticeCommand>,
    shapes: Vec<egui::epaint::ClippedShape>,
    _runtime: tokio::runtime::Runtime,
}

impl Desk {
    fn new(language: Language, size: Vec2, snapshot: Snapshot) -> Desk {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let (snapshots, receiver) = watch::channel(Arc::new(snapshot));
        let (sender, commands) = mpsc::channel(8);
        let (_, views) = watch::channel(scenes::practice_view(8));
        let (practice_sender, practice_asked) = mpsc::channel(8);
        let bridge = Bridge::new(runtime.handle().clone(), receiver, sender);
        let practice = PracticeBridge { views, commands: practice_sender };
        let ctx = egui::Context::default();
        ctx.enable_accesskit();
        let app = App::new(&ctx, bridge, Some(practice), Texts::load(language).unwrap());
        let shapes = Vec::new();
        let mut desk = Desk {
            ctx,
            app,
            size,
            now: 1.0,
            close: false,
            snapshots,
            commands,
            practice_asked,
            shapes,
            _runtime: runtime,
        };
        desk.frame(Vec::new());
        desk.frame(Vec::new());
        desk
    }

    fn show(&mut self, snapshot: Snapshot) {
        self.snapshots.send_replace(Arc::new(snapshot));
        self.frame(Vec::new());
        self.frame(Vec::new());
    }

    fn frame(&mut self, events: Vec<Input>) -> egui::FullOutput {
        self.now += 0.02;
        let screen = Rect::from_min_size(pos2(0.0, 0.0), self.size);
        let mut input = RawInput { screen_rect: Some(screen), time: Some(self.now), events, ..RawInput::default() };
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

    fn type_text(&mut self, text: &str) {
        for c in text.chars() {
            self.frame(vec![Input::Text(c.to_string())]);
        }
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

    fn assert_legible(&self, what: &str) {
        let panel = self.size.x - theme::size::PRACTICE_PANEL;
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
            let scrolls = clip.left() > panel && what.contains("true");
            if scrolls {
                continue;
            }
            assert!(clip.expand(2.0).contains_rect(rect), "{what}: {words:?} leaves its place, {rect:?} of {clip:?}");
            for (other, other_words) in &seen {
                let both = rect.intersect(*other);
                let overlap = both.width() > 1.0 && both.height() > 3.0;
                assert!(!overlap, "{what}: {words:?} overlaps {other_words:?}");
            }
            seen.push((rect, words));
        }
    }
}

fn texts(shapes: &[egui::epaint::ClippedShape]) -> impl Iterator<Item = (Rect, &egui::epaint::TextShape)> {
    fn within<'a>(clip: Rect, shape: &'a Shape, found: &mut Vec<(Rect, &'a egui::epaint::TextShape)>) {
        match shape {
            Shape::Text(text) => found.push((clip, text)),
            Shape::Vec(shapes) => shapes.iter().for_each(|shape| within(clip, shape, found)),
            _ => {}
        }
    }
    let mut found = Vec::new();
    for shape in shapes {
        within(shape.clip_rect, &shape.shape, &mut found);
    }
    found.into_iter()
}

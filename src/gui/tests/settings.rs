//! The station's settings: what an administrator asks of the station by keys alone, and what is shown of it.

use egui::accesskit::Role as Spoken;
use egui::{Key, Modifiers};

use super::{Desk, SIZES};
use crate::config::{Change, Look, PrinterChoice, PrinterKind};
use crate::domain::{Failure, LaneNumber, Proof, ReasonCode, Role};
use crate::gui::{scenes, theme};
use crate::runner::view::{Answer, Command, DeskState, SettingsOrder, SettingsView, Snapshot, TeachView, TestLabel};
use crate::texts::Language;

fn asked(order: SettingsOrder) -> [Command; 1] {
    [Command::Settings(order)]
}

fn lane(number: u8) -> LaneNumber {
    LaneNumber::try_from(number).unwrap()
}

fn plain(_: &mut SettingsView) {}

fn answered(number: u64, result: Result<(), Failure>, change: impl FnOnce(&mut SettingsView)) -> Snapshot {
    scenes::settings(4, |settings| {
        settings.answer = Some(Answer { number, result });
        change(settings);
    })
}

impl Desk {
    /// Presses the control of this label, led to by Tab.
    fn tab_to(&mut self, label: &str) {
        for _ in 0..80 {
            let update = self.frame(Vec::new()).platform_output.accesskit_update.unwrap();
            let focus = update.focus;
            let node = update.nodes.into_iter().find(|(id, _)| *id == focus);
            if node.is_some_and(|(_, it)| it.label() == Some(label) && it.role() == Spoken::Button) {
                return self.press(Key::Space);
            }
            self.press(Key::Tab);
        }
        panic!("no Tab leads to {label:?}");
    }

    fn open_settings(&mut self) {
        self.press_with(Modifiers::SHIFT, Key::F1);
    }

    /// An administrator at the settings, a section open.
    fn at_settings(section: &str) -> Desk {
        let mut desk = Desk::new(Language::default(), SIZES[0], scenes::settings(4, plain));
        desk.open_settings();
        desk.tab_to(section);
        assert_eq!(desk.asked(), asked(SettingsOrder::Show));
        desk
    }
}

#[test]
fn only_an_administrator_who_gave_a_pin_is_shown_any_setting() {
    for (role, proof) in [(Role::Technician, Proof::Pin), (Role::Administrator, Proof::Badge)] {
        let state = DeskState::SignedIn { name: "K. Tanaka".into(), role, proof };
        let mut desk = Desk::new(Language::default(), SIZES[0], scenes::at_desk(4, state));
        assert!(!desk.drawn().contains("Shift F1"), "no button that leads nowhere");
        desk.open_settings();
        assert!(desk.drawn().contains("Only an administrator"), "{}", desk.drawn());
        assert_eq!(desk.asked(), []);
        // From here F1 leads on.
        desk.press(Key::F1);
        assert!(!desk.drawn().contains("Only an administrator") && desk.drawn().contains("Sign out"));
        desk.asked();
    }
}

#[test]
fn the_settings_open_and_close_beside_the_lanes() {
    let mut desk = Desk::new(Language::default(), SIZES[0], scenes::settings(4, plain));
    desk.click("Settings (Shift F1)");
    assert_eq!(desk.asked(), asked(SettingsOrder::Show));
    assert!(desk.drawn().contains("Station settings") && desk.drawn().contains("Lane 3 · Printer"), "{}", desk.drawn());
    let lanes = desk.spoken();
    assert!(
        ["Lane 1: PASS", "Lane 3: FAIL S-105", "Lane 4: free"].iter().all(|lane| lanes.iter().any(|it| it == lane))
    );
    desk.press(Key::Escape);
    assert_eq!(desk.asked(), asked(SettingsOrder::Hide));
    assert!(!desk.drawn().contains("Station settings"));
    desk.open_settings();
    desk.open_settings();
    assert!(!desk.drawn().contains("Station settings"));
}

#[test]
fn a_lane_is_taught_by_keys_alone() {
    let mut desk = Desk::at_settings("Lanes and ports");
    desk.tab_to("3");
    desk.tab_to("Teach the port");
    assert_eq!(desk.asked(), asked(SettingsOrder::Teach(lane(3))));
    let refused = Failure::new(ReasonCode::PORT_OF_OTHER_LANE, "lane 1 takes it").with("lane", 1);
    desk.show(answered(1, Ok(()), |settings| {
        settings.teaching = Some((lane(3), TeachView::Waiting { refused: Some(refused) }));
    }));
    let drawn = desk.drawn();
    assert!(drawn.contains("Plug a board into lane 3 now") && drawn.contains("lane 1's already"), "{drawn}");
    desk.show(answered(1, Ok(()), scenes::taught));
    assert!(desk.drawn().contains("pci-0000:00:14.0-usb-0:3:1.0"));
    // What is asked has the focus.
    desk.press(Key::Space);
    assert_eq!(desk.asked(), asked(SettingsOrder::TakePort));
    desk.show(answered(2, Ok(()), plain));
    assert!(desk.drawn().contains("Saved. It takes effect when the station is started again."), "{}", desk.drawn());
    // Given up.
    desk.tab_to("Teach the port");
    desk.asked();
    desk.show(answered(3, Ok(()), |settings| settings.teaching = Some((lane(3), TeachView::NobodyCame))));
    assert!(desk.drawn().contains("No board came for lane 3"));
    desk.press(Key::Escape);
    assert_eq!(desk.asked(), asked(SettingsOrder::StopTeaching));
}

#[test]
fn another_printer_is_chosen_and_a_test_label_is_printed_by_keys_alone() {
    let mut desk = Desk::at_settings("Printer");
    desk.tab_to("Print a test label");
    assert_eq!(desk.asked(), asked(SettingsOrder::TestLabel));
    desk.show(answered(1, Ok(()), |settings| settings.test = TestLabel::Printing));
    assert!(desk.drawn().contains("is at the printer") && !desk.drawn().contains("Print a test label"));
    desk.show(answered(1, Ok(()), |settings| settings.test = TestLabel::Ended(Ok(()))));
    assert!(desk.drawn().contains("Look whether it came out."));
    // Nothing to save yet.
    assert!(!desk.drawn().contains("Save"));
    desk.tab_to("Folder");
    desk.press(Key::Tab);
    desk.press(Key::Tab);
    desk.type_text("labelss");
    // Keys of the lanes are the field's.
    desk.press(Key::ArrowLeft);
    desk.press(Key::Delete);
    desk.press(Key::Enter);
    let choice = PrinterChoice { kind: PrinterKind::Folder, place: "labels".into() };
    assert_eq!(desk.asked(), asked(SettingsOrder::Change(Change::Printer(choice))));
    let refused = Failure::new(ReasonCode::CONFIG_READ_ONLY, "/etc/lineseal/lineseal.toml: permission denied");
    desk.show(answered(2, Err(refused), plain));
    assert!(desk.drawn().contains("K-709") && desk.drawn().contains("permission denied"), "{}", desk.drawn());
}

#[test]
fn a_profile_is_taken_and_left_by_keys_alone() {
    let mut desk = Desk::at_settings("Profiles");
    desk.tab_to("tpm2");
    let tpm2 = Change::Profile { file: "profiles/tpm2.toml".into(), taken: true };
    assert_eq!(desk.asked(), asked(SettingsOrder::Change(tpm2)));
    desk.tab_to("se050-vcom (taken)");
    let vcom = Change::Profile { file: "profiles/se050-vcom.toml".into(), taken: false };
    assert_eq!(desk.asked(), asked(SettingsOrder::Change(vcom)));
}

#[test]
fn language_and_theme_are_in_effect_at_once_when_they_are_written() {
    let mut desk = Desk::at_settings("Theme");
    desk.tab_to("Dark");
    assert_eq!(desk.asked(), asked(SettingsOrder::Change(Change::Theme(Look::Dark))));
    let ground = |desk: &Desk| desk.inked().into_iter().find(|(words, ..)| words == "Lineseal").map(|(.., it)| it);
    assert_eq!(ground(&desk), Some(theme::Theme::of(Look::Light).surface), "it is not written yet");
    desk.show(answered(1, Ok(()), |settings| settings.theme = Look::Dark));
    assert_eq!(ground(&desk), Some(theme::Theme::of(Look::Dark).surface));
    assert!(desk.drawn().contains("Saved, and in effect."));
    desk.press(Key::Escape);
    desk.tab_to("Language");
    desk.tab_to("English");
    assert_eq!(desk.asked(), asked(SettingsOrder::Change(Change::Language("en".into()))));
    // The file's own, which the window has not.
    desk.tab_to("\u{65e5}\u{672c}\u{8a9e} (chosen)");
    assert_eq!(desk.asked(), []);
    assert!(desk.drawn().contains("\u{4e0d}\u{5408}\u{683c}"), "{}", desk.drawn());
}

#[test]
fn the_targets_are_looked_at_and_what_is_missing_comes_first() {
    let mut desk = Desk::at_settings("Targets");
    desk.tab_to("Check the targets now");
    assert_eq!(desk.asked(), asked(SettingsOrder::LookAtTargets));
    desk.show(scenes::settings(4, scenes::looked_at));
    let drawn = desk.drawn();
    let at = |words: &str| drawn.find(words).unwrap_or_else(|| panic!("{words} in {drawn}"));
    assert!(at("NO target production: iot:AttachThingPrincipal") < at("ok target production: credentials"));
    assert!(drawn.contains("A-312") && drawn.contains("4 checks: 1 missing, 1 could not be told"), "{drawn}");
}

#[test]
fn no_text_of_the_settings_is_cut_or_overlaps() {
    let failure = || Failure::new(ReasonCode::CONFIG_CHANGED, "/home/line3/.config/lineseal/lineseal.toml was edited");
    for language in Language::available() {
        for size in SIZES {
            for lanes in [4, 16] {
                let mut desk = Desk::new(language.clone(), size, scenes::settings(lanes, plain));
                desk.open_settings();
                let on = format!("{language:?} {size} {lanes}");
                desk.assert_legible(&format!("{on} menu"));
                for section in 0..6 {
                    for _ in 0..section {
                        desk.press(Key::Tab);
                    }
                    desk.press(Key::Space);
                    desk.assert_legible(&format!("{on} section {section}"));
                    let number = section as u64 + 1;
                    desk.show(scenes::settings(lanes, |settings| {
                        settings.answer = Some(Answer { number, result: Err(failure()) });
                        settings.test = TestLabel::Ended(Err(failure()));
                    }));
                    desk.assert_legible(&format!("{on} section {section}, refused, scrolls"));
                    if section == 0 {
                        for stage in [TeachView::Waiting { refused: Some(failure()) }, TeachView::NobodyCame] {
                            desk.show(scenes::settings(lanes, |settings| settings.teaching = Some((lane(3), stage))));
                            desk.assert_legible(&format!("{on} teaching"));
                        }
                        desk.show(scenes::settings(lanes, scenes::taught));
                        desk.assert_legible(&format!("{on} taught"));
                        desk.show(scenes::settings(lanes, plain));
                    }
                    if section == 3 {
                        desk.show(scenes::settings(lanes, scenes::looked_at));
                        desk.assert_legible(&format!("{on} looked at, scrolls"));
                    }
                    desk.press(Key::Escape);
                }
            }
        }
    }
}

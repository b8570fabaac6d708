//! Who operates: what the window asks for, by keys, touch and scanner.

use egui::Key;
use egui::accesskit::Role as Spoken;
use secrecy::SecretString;

use super::{Desk, SIZES};
use crate::domain::{BadgeCode, Failure, PersonName, Pin, Proof, ReasonCode, Role};
use crate::gui::scenes;
use crate::runner::view::{Answer, Command, DeskState, LaneState, PeopleOrder, Snapshot};
use crate::texts::Language;

const NOBODY: DeskState = DeskState::Nobody { required: true };

fn pin(text: &str) -> Pin {
    SecretString::from(text).try_into().unwrap()
}

fn badge(text: &str) -> BadgeCode {
    SecretString::from(text).try_into().unwrap()
}

fn name(text: &str) -> PersonName {
    text.parse().unwrap()
}

fn signed_in(who: &str, role: Role, proof: Proof) -> DeskState {
    DeskState::SignedIn { name: who.into(), role, proof }
}

fn answered(mut snapshot: Snapshot, number: u64, result: Result<(), Failure>) -> Snapshot {
    snapshot.desk.answer = Some(Answer { number, result });
    snapshot
}

impl Desk {
    fn at(state: DeskState) -> Desk {
        Desk::new(Language::default(), SIZES[0], scenes::at_desk(4, state))
    }

    /// The one node of this role and label.
    fn node(&mut self, role: Spoken, label: &str) -> egui::accesskit::Node {
        let nodes = self.nodes();
        let labels: std::collections::BTreeMap<_, _> =
            nodes.iter().filter_map(|(id, node)| Some((*id, node.label().or(node.value())?.to_owned()))).collect();
        let named = |node: &egui::accesskit::Node| {
            let by = node.labelled_by().iter().filter_map(|id| labels.get(id)).any(|known| known == label);
            by || node.label() == Some(label)
        };
        let found: Vec<_> = nodes.iter().filter(|(_, node)| node.role() == role && named(node)).collect();
        assert_eq!(found.len(), 1, "{role:?} {label:?}");
        found[0].1.clone()
    }
}

#[test]
fn a_person_signs_in_by_name_and_pin_with_keys_alone() {
    let mut desk = Desk::at(NOBODY);
    assert!(desk.drawn().contains("Nobody has signed in"));
    desk.press(Key::F1);
    desk.node(Spoken::TextInput, "Name");
    desk.node(Spoken::PasswordInput, "PIN");
    desk.type_text("B. Mori");
    desk.press(Key::Enter);
    desk.type_text("73509182");
    assert!(!desk.drawn().contains("7350"), "{}", desk.drawn());
    assert!(!desk.spoken().iter().any(|said| said.contains("7350")));
    desk.press(Key::Enter);
    assert_eq!(desk.asked(), [Command::SignIn { name: "B. Mori".into(), pin: pin("73509182") }]);
    // The station's answer closes the panel, and nothing of the PIN is left in it.
    let here = scenes::at_desk(4, signed_in("B. Mori", Role::Qa, Proof::Pin));
    desk.show(answered(here, 1, Ok(())));
    assert!(!desk.drawn().contains("Nobody has signed in") && desk.drawn().contains("B. Mori"));
    assert!(!desk.drawn().contains("Or scan your badge"));
}

#[test]
fn a_wrong_pin_is_said_and_typed_anew() {
    let mut desk = Desk::at(NOBODY);
    desk.press(Key::F1);
    desk.type_text("B. Mori");
    desk.press(Key::Tab);
    desk.type_text("123");
    desk.press(Key::Enter);
    assert_eq!(desk.asked(), []);
    assert!(desk.drawn().contains("A PIN has 4 to 64 characters."));
    desk.type_text("1234");
    desk.click("Sign in");
    assert_eq!(desk.asked(), [Command::SignIn { name: "B. Mori".into(), pin: pin("1234") }]);
    let locked = Failure::new(ReasonCode::OPERATOR_LOCKED, "B. Mori is locked out").with("minutes", 5);
    desk.show(answered(scenes::at_desk(4, NOBODY), 1, Err(locked)));
    assert!(desk.drawn().contains("Wait 5 minutes") && desk.drawn().contains("O-609"), "{}", desk.drawn());
    // The name stays, the PIN is empty and has the focus.
    desk.type_text("73509182");
    desk.press(Key::Enter);
    assert_eq!(desk.asked(), [Command::SignIn { name: "B. Mori".into(), pin: pin("73509182") }]);
}

#[test]
fn a_badge_needs_no_focus_and_is_written_nowhere() {
    let mut desk = Desk::at(NOBODY);
    desk.type_text("BADGE-004173");
    assert!(desk.drawn().contains("BADGE-…") && !desk.drawn().contains("0041"), "{}", desk.drawn());
    assert!(!desk.spoken().iter().any(|said| said.contains("0041")));
    desk.scan("50918");
    assert_eq!(desk.asked(), [Command::Badge(badge("00417350918"))]);
    assert!(!format!("{:?}", Command::Badge(badge("00417350918"))).contains("0041"));
    // What begins otherwise is the board's.
    desk.scan("GW4-0031190");
    assert_eq!(desk.asked(), [Command::Scan("GW4-0031190".into())]);
    // One that is no badge's length is none, and is repeated nowhere.
    desk.scan("BADGE-1");
    assert_eq!(desk.asked(), [Command::Scan("BADGE-".into())]);
}

#[test]
fn a_badge_that_is_scanned_into_a_field_is_a_badge_and_the_field_is_as_it_was() {
    let mut desk = Desk::new(Language::default(), SIZES[0], scenes::unopened(4));
    desk.press(Key::F6);
    desk.type_text("GW4-26");
    desk.now += 5.0;
    desk.scan("BADGE-00417350918");
    assert_eq!(desk.asked(), [Command::Badge(badge("00417350918"))]);
    desk.type_text("11-08");
    desk.press(Key::Tab);
    desk.type_text("500");
    desk.click("sensor-s1");
    desk.click("Open");
    let open = Command::OpenBatch { name: "GW4-2611-08".parse().unwrap(), profile: "sensor-s1".into(), planned: 500 };
    assert_eq!(desk.asked(), [open]);
    // Nor does it end in a PIN, or as somebody's name.
    let mut desk = Desk::at(NOBODY);
    desk.press(Key::F1);
    desk.scan("BADGE-00417350918");
    assert_eq!(desk.asked(), [Command::Badge(badge("00417350918"))]);
    desk.type_text("B. Mori");
    desk.press(Key::Enter);
    desk.now += 5.0;
    desk.scan("BADGE-00417350918");
    assert_eq!(desk.asked(), [Command::Badge(badge("00417350918"))]);
    desk.type_text("73509182");
    desk.press(Key::Enter);
    assert_eq!(desk.asked(), [Command::SignIn { name: "B. Mori".into(), pin: pin("73509182") }]);
}

#[test]
fn after_a_badge_the_window_asks_for_the_pin_where_the_station_wants_both() {
    let mut desk = Desk::at(NOBODY);
    desk.scan("BADGE-00417350918");
    desk.asked();
    let shown = scenes::at_desk(4, DeskState::BadgeShown { name: "K. Tanaka".into() });
    let follows = Failure::new(ReasonCode::BADGE_NEEDS_PIN, "the PIN follows");
    desk.show(answered(shown.clone(), 1, Err(follows)));
    assert!(desk.drawn().contains("K. Tanaka"));
    desk.type_text("73509182");
    desk.press(Key::Enter);
    assert_eq!(desk.asked(), [Command::BadgePin(pin("73509182"))]);
    let wrong = Failure::new(ReasonCode::OPERATOR_PIN, "wrong PIN");
    desk.show(answered(scenes::at_desk(4, NOBODY), 2, Err(wrong)));
    assert!(desk.drawn().contains("O-608"), "{}", desk.drawn());
    // Who walks away from it leaves nothing behind.
    desk.show(shown);
    desk.press(Key::Escape);
    assert_eq!(desk.asked(), [Command::SignOut]);
}

#[test]
fn a_refused_badge_says_so_where_no_panel_was_open() {
    let mut desk = Desk::at(NOBODY);
    desk.scan("BADGE-00417350918");
    let unknown = Failure::new(ReasonCode::BADGE_UNKNOWN, "it is on record for nobody");
    desk.show(answered(scenes::at_desk(4, NOBODY), 1, Err(unknown)));
    assert!(desk.drawn().contains("This badge opens nothing here") && desk.drawn().contains("O-622"));
}

#[test]
fn one_key_leads_in_and_out() {
    let mut desk = Desk::at(signed_in("K. Tanaka", Role::Technician, Proof::Badge));
    desk.node(Spoken::Button, "K. Tanaka (F1)");
    desk.press(Key::F1);
    desk.node(Spoken::Button, "Sign out (F1)");
    // A technician manages nobody.
    assert!(!desk.drawn().contains("People"));
    desk.press(Key::F1);
    assert_eq!(desk.asked(), [Command::SignOut]);
    desk.click("K. Tanaka (F1)");
    desk.press(Key::Escape);
    assert!(!desk.drawn().contains("Sign out"));
    assert_eq!(desk.asked(), []);
}

/// Reading details is no idleness, and says nothing else to the station.
#[test]
fn a_touched_window_tells_the_station_that_somebody_is_there() {
    let mut desk = Desk::at(signed_in("K. Tanaka", Role::Technician, Proof::Badge));
    desk.now += 30.0;
    desk.type_text("3");
    desk.press(Key::F3);
    assert_eq!(desk.asked(), [Command::Here]);
    desk.press(Key::Escape);
    assert_eq!(desk.asked(), []);
}

#[test]
fn a_locked_station_shows_its_lanes_and_takes_anybody_s_pin() {
    let mut desk = Desk::at(DeskState::Locked { name: "K. Tanaka".into(), required: true });
    assert!(desk.drawn().contains("Locked, since nobody was here. K. Tanaka or somebody else"));
    let lanes = |spoken: Vec<String>| {
        ["Lane 1: PASS", "Lane 3: FAIL S-105", "Lane 4: free"].iter().all(|lane| spoken.iter().any(|it| it == lane))
    };
    assert!(lanes(desk.spoken()));
    desk.press(Key::F1);
    assert!(lanes(desk.spoken()), "the panel stands beside the lanes");
    // Whose turn it was is filled in; the PIN is what is missing.
    desk.type_text("73509182");
    desk.press(Key::Enter);
    assert_eq!(desk.asked(), [Command::SignIn { name: "K. Tanaka".into(), pin: pin("73509182") }]);
}

#[test]
fn at_the_first_start_an_administrator_is_created_and_practice_asks_nobody() {
    let mut desk = Desk::new(Language::default(), SIZES[0], scenes::first_start());
    assert!(desk.drawn().contains("Nobody is known at this station yet"));
    desk.press(Key::F1);
    desk.type_text("A. Sato");
    desk.press(Key::Enter);
    desk.type_text("73509182");
    desk.press(Key::Enter);
    desk.type_text("73509183");
    desk.press(Key::Enter);
    assert_eq!(desk.asked(), []);
    assert!(desk.drawn().contains("The two PINs differ."));
    // Both are empty, and the first has the focus.
    desk.type_text("73509182");
    desk.press(Key::Enter);
    desk.type_text("73509182");
    desk.click("Create and sign in");
    let add = PeopleOrder::Add { name: name("A. Sato"), role: Role::Administrator, pin: pin("73509182") };
    assert_eq!(desk.asked(), [Command::People(add)]);
    let root = signed_in("A. Sato", Role::Administrator, Proof::Pin);
    desk.show(answered(scenes::at_desk(4, root), 1, Ok(())));
    assert!(!desk.drawn().contains("Create"));

    let mut later = Desk::new(Language::default(), SIZES[0], scenes::first_start());
    later.click("Not now");
    assert!(!later.drawn().contains("Nobody is known"));
    let mut practice = scenes::first_start();
    practice.practice = true;
    let practice = Desk::new(Language::default(), SIZES[0], practice);
    assert!(!practice.drawn().contains("Nobody is known"));
}

#[test]
fn an_administrator_manages_people_by_keys_alone() {
    let mut desk = Desk::new(Language::default(), SIZES[0], scenes::administration(4));
    desk.press(Key::F1);
    // Sign out, then the people.
    let to = |desk: &mut Desk, label: &str| {
        for _ in 0..60 {
            let focus = {
                let update = desk.frame(Vec::new()).platform_output.accesskit_update.unwrap();
                let focus = update.focus;
                update.nodes.into_iter().find(|(id, _)| *id == focus).and_then(|(_, it)| it.label().map(str::to_owned))
            };
            if focus.as_deref() == Some(label) {
                return desk.press(Key::Space);
            }
            desk.press(Key::Tab);
        }
        panic!("no Tab leads to {label:?}");
    };
    to(&mut desk, "People");
    assert_eq!(desk.asked(), [Command::People(PeopleOrder::Show)]);
    assert!(desk.drawn().contains("K. Tanaka (T-014) · Technician · locked out · badge"), "{}", desk.drawn());
    // The arrows choose; the first is chosen.
    desk.press(Key::ArrowDown);
    to(&mut desk, "New PIN");
    desk.type_text("73509182");
    desk.press(Key::Enter);
    desk.type_text("73509182");
    desk.press(Key::Enter);
    let order = PeopleOrder::NewPin { name: "K. Tanaka (T-014)".into(), pin: pin("73509182") };
    assert_eq!(desk.asked(), [Command::People(order)]);
    desk.show(answered(scenes::administration(4), 1, Ok(())));

    desk.press(Key::ArrowDown);
    to(&mut desk, "Revoke badge");
    assert_eq!(desk.asked(), [Command::People(PeopleOrder::RevokeBadge("K. Tanaka (T-014)".into()))]);
    to(&mut desk, "Disable");
    assert_eq!(desk.asked(), [], "it is asked for twice");
    to(&mut desk, "Disable");
    assert_eq!(desk.asked(), [Command::People(PeopleOrder::Disable("K. Tanaka (T-014)".into()))]);
    desk.press(Key::Escape);
    to(&mut desk, "Role");
    to(&mut desk, "Supervisor");
    let order = PeopleOrder::Role { name: "B. Mori".into(), role: Role::Supervisor };
    assert_eq!(desk.asked(), [Command::People(order)]);
    desk.show(answered(scenes::administration(4), 2, Ok(())));
    // The next badge is B. Mori's, with or without what badges begin with.
    for scanned in ["BADGE-00417350918", "00417350918"] {
        to(&mut desk, "Badge");
        desk.scan(scanned);
        let order = PeopleOrder::GiveBadge { name: "B. Mori".into(), code: badge("00417350918") };
        assert_eq!(desk.asked(), [Command::People(order)]);
        desk.press(Key::Escape);
    }
    to(&mut desk, "Add a person");
    desk.type_text("C. Ito");
    desk.press(Key::Enter);
    desk.type_text("73509182");
    desk.press(Key::Enter);
    desk.type_text("73509182");
    desk.press(Key::Enter);
    assert!(desk.drawn().contains("Choose a role."));
    to(&mut desk, "QA");
    desk.asked();
}

#[test]
fn a_badge_alone_shows_no_people() {
    let mut desk = Desk::at(signed_in("A. Sato", Role::Administrator, Proof::Badge));
    desk.press(Key::F1);
    assert!(desk.drawn().contains("Signed in with a badge alone.") && !desk.drawn().contains("People"));
}

#[test]
fn no_text_of_who_operates_is_cut_or_overlaps() {
    let failure = Failure::new(ReasonCode::BADGE_ALTERED, "somebody wrote to the database");
    for language in Language::available() {
        for size in SIZES {
            let scenes = [
                ("first", scenes::first_start()),
                ("nobody", scenes::at_desk(16, NOBODY)),
                ("locked", scenes::at_desk(16, DeskState::Locked { name: "K. Tanaka (T-014)".into(), required: true })),
                ("badge", scenes::at_desk(4, DeskState::BadgeShown { name: "K. Tanaka (T-014)".into() })),
                ("technician", scenes::at_desk(16, signed_in("K. Tanaka (T-014)", Role::Technician, Proof::Badge))),
                ("administrator", scenes::administration(16)),
            ];
            for (what, scene) in scenes {
                let mut desk = Desk::new(language.clone(), size, scene.clone());
                desk.assert_legible(&format!("{language:?} {size} {what}"));
                desk.press(Key::F1);
                desk.assert_legible(&format!("{language:?} {size} {what}, open"));
                desk.show(answered(scene.clone(), 1, Err(failure.clone())));
                desk.assert_legible(&format!("{language:?} {size} {what}, refused"));
                let lanes = scene.lanes.iter().filter(|lane| !matches!(lane.state, LaneState::Free)).count();
                assert!(lanes == 0 || desk.spoken().iter().any(|said| said.contains('1')), "lanes are drawn");
            }
        }
    }
}

//! An administrator changes the station's settings from the window: by events, in the file, and no lane waits for it.

use std::sync::Arc;

use aws_credential_types::provider::SharedCredentialsProvider;
use lineseal::config::{self, Change, Look, PrinterChoice, PrinterKind};
use lineseal::domain::profile::KeyKind;
use lineseal::domain::{LaneNumber, Pin, ReasonCode, Sha256};
use lineseal::runner::people::Named;
use lineseal::runner::view::{
    Command, LaneState, SettingsOrder, SettingsView, Snapshot, TargetsLook, TeachView, TestLabel,
};
use secrecy::SecretString;
use serde_json::{Value, json};

use crate::bench::Bench;
use crate::log::all;
use crate::peers::Cloud;
use crate::rulings::Line;
use crate::station::{Station, assert_outcome};

/// As a real line has it: people are known, and none of them is named at the start.
async fn station(bench: &Bench<'_>) -> Station {
    let credentials = SharedCredentialsProvider::new(bench.cloud.credentials.clone());
    let anybody = |equipment: &mut lineseal::runner::Equipment| equipment.operator = Named::default();
    Station::start_at(Arc::new(bench.config()), bench.data_dir(), credentials, anybody).await
}

async fn sign_in(station: &mut Station, who: &str) {
    let pin: Pin = SecretString::from(format!("{who}'s own pin")).try_into().unwrap();
    station.command(Command::SignIn { name: who.to_owned(), pin }).await;
    station.until("somebody", |snapshot| snapshot.operator.as_deref() == Some(who)).await;
}

/// What the station answers to this; the settings are open.
async fn ask(station: &mut Station, order: SettingsOrder) -> Result<(), ReasonCode> {
    let number = |snapshot: &Snapshot| {
        snapshot.settings.as_ref().and_then(|it| it.answer.as_ref()).map_or(0, |answer| answer.number)
    };
    let before = number(&*station.until("a snapshot", |_| true).await);
    station.command(Command::Settings(order)).await;
    let answered = station.until("an answer", |snapshot| number(snapshot) > before).await;
    let answer = answered.settings.clone().unwrap().answer.unwrap();
    answer.result.map_err(|failure| failure.code)
}

async fn settings(station: &mut Station, what: &str, holds: impl Fn(&SettingsView) -> bool) -> SettingsView {
    let seen = station.until(what, |snapshot| snapshot.settings.as_ref().is_some_and(&holds)).await;
    seen.settings.clone().unwrap()
}

fn change(change: Change) -> SettingsOrder {
    SettingsOrder::Change(change)
}

fn lane(number: u8) -> LaneNumber {
    LaneNumber::try_from(number).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_administrator_changes_settings_by_events_and_nobody_else_does() {
    let line = Line::new(Cloud::shared().await).await;
    let file = line.bench.config_file.clone();
    let read = || std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, format!("# mine\n{}", read())).unwrap();
    let (first, mut station) = (read(), station(&line.bench).await);

    // Nobody, and a technician, see and change nothing.
    let dark = || change(Change::Theme(Look::Dark));
    for who in [None, Some("Tess")] {
        if let Some(who) = who {
            sign_in(&mut station, who).await;
        }
        station.command(Command::Settings(SettingsOrder::Show)).await;
        station.command(Command::Settings(dark())).await;
        station.command(Command::Pause).await;
        let after = station.until("paused", |snapshot| snapshot.paused).await;
        assert_eq!(after.settings, None);
        station.command(Command::Continue).await;
        station.until("going on", |snapshot| !snapshot.paused).await;
    }
    assert_eq!(read(), first);

    sign_in(&mut station, "Root").await;
    assert_eq!(ask(&mut station, SettingsOrder::Show).await, Ok(()));
    assert_eq!(ask(&mut station, dark()).await, Ok(()));
    let second = read();
    assert!(second.starts_with("# mine\n") && config::load(&file).unwrap().window.theme == Look::Dark, "{second}");
    // What would not load is refused, and so is what somebody edited by hand meanwhile.
    let nowhere = PrinterChoice { kind: PrinterKind::Tcp, place: "a b:c".to_owned() };
    assert_eq!(ask(&mut station, change(Change::Printer(nowhere))).await, Err(ReasonCode::CONFIG_INVALID));
    assert_eq!(read(), second);
    std::fs::write(&file, format!("{second}# by hand\n")).unwrap();
    let light = || change(Change::Theme(Look::Light));
    assert_eq!(ask(&mut station, light()).await, Err(ReasonCode::CONFIG_CHANGED));
    assert!(read().ends_with("# by hand\n"));
    // The window has what the file says now.
    assert_eq!(ask(&mut station, light()).await, Ok(()));
    assert!(read().ends_with("# by hand\n"));
    let shown = settings(&mut station, "the theme", |settings| settings.theme == Look::Light).await;
    assert_eq!(shown.pending, []);

    // The settings are closed behind whoever leaves.
    station.command(Command::SignOut).await;
    station.until("closed", |snapshot| snapshot.settings.is_none()).await;
    let log = station.stop().await;
    let (intended, ended) = (all(&log, "setting-intended"), all(&log, "setting-ended"));
    let told: Vec<_> =
        intended.iter().map(|it| (it["setting"].clone(), it["old"].clone(), it["new"].clone())).collect();
    let theme = |old: &str, new: &str| (json!("window.theme"), json!(old), json!(new));
    assert_eq!(told, [theme("light", "dark"), theme("dark", "light")]);
    assert_eq!(intended[0]["file"], json!(Sha256::of(second.as_bytes())));
    assert!(ended.len() == 2 && ended.iter().all(|it| it["failure"] == Value::Null), "{ended:?}");
    let root = all(&log, "operator-added")[0]["person"].clone();
    assert!(intended.iter().chain(&ended).all(|it| it["operator"] == root));
    line.verified().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lane_is_taught_its_port_by_a_board_that_starts_no_run() {
    let mut line = Line::of(Bench::new(2, Cloud::shared().await).await).await;
    let chips = [(); 2].map(|()| line.bench.chip(KeyKind::EcP256));
    // Nobody knows where lane 2 is.
    let file = std::fs::read_to_string(&line.bench.config_file).unwrap();
    let unknown = file.replace("\"^jig-02$\"", "\"^elsewhere$\"");
    assert_ne!(file, unknown);
    std::fs::write(&line.bench.config_file, unknown).unwrap();
    let mut station = station(&line.bench).await;
    sign_in(&mut station, "Root").await;
    ask(&mut station, SettingsOrder::Show).await.unwrap();
    assert_eq!(ask(&mut station, SettingsOrder::Teach(lane(9))).await, Err(ReasonCode::NOT_NOW));

    // Lane 1's own port is no other lane's: said in lane 1, and no run is begun there.
    ask(&mut station, SettingsOrder::Teach(lane(2))).await.unwrap();
    line.bench.plug(1, "A", &chips[0]);
    let other = |snapshot: &Arc<Snapshot>| {
        matches!(&snapshot.lanes[0].state, LaneState::Refused { failure }
            if failure.code == ReasonCode::PORT_OF_OTHER_LANE && failure.args["lane"] == "1")
    };
    let seen = station.until("lane 1 is another", other).await;
    let taught = seen.settings.as_ref().unwrap().teaching.clone();
    assert!(matches!(taught, Some((_, TeachView::Waiting { refused: Some(_) }))), "{taught:?}");
    // The board in lane 2 shows its port.
    line.bench.plug(2, "B", &chips[1]);
    let offers = |settings: &SettingsView| matches!(settings.teaching, Some((_, TeachView::Offered(_))));
    let offered = settings(&mut station, "a port", offers).await;
    let Some((_, TeachView::Offered(port))) = offered.teaching else { unreachable!("it offers one") };
    assert_eq!(ask(&mut station, SettingsOrder::TakePort).await, Ok(()));
    let shown = settings(&mut station, "no teaching", |settings| settings.teaching.is_none()).await;
    let written = config::load(&line.bench.config_file).unwrap().lanes;
    let written = written.iter().find(|it| it.number == lane(2)).unwrap().port.clone().unwrap();
    assert_eq!(written.as_str(), format!("^{}$", regex::escape(port.as_str()).replace("\\-", "-")));
    assert_eq!(shown.pending.len(), 1);
    // Given up, it is nobody's.
    ask(&mut station, SettingsOrder::Teach(lane(1))).await.unwrap();
    ask(&mut station, SettingsOrder::StopTeaching).await.unwrap();
    assert_eq!(ask(&mut station, SettingsOrder::TakePort).await, Err(ReasonCode::NOT_NOW));
    assert_eq!(all(&station.log(), "run-started").len(), 0);
    // Plugged in again, lane 1's is a board like any.
    line.bench.unplug(1);
    station.until_gone(&[1]).await;
    line.bench.plug(1, "A", &chips[0]);
    assert_outcome(&station.unit().await, "PASS");
    line.bench.unplug(1);
    station.until_gone(&[1]).await;
    station.stop().await;
    // The next start takes the port up.
    let mut station = self::station(&line.bench).await;
    let record = station.unit().await;
    assert_outcome(&record, "PASS");
    assert_eq!(record.lane, 2);
    let log = station.stop().await;
    let intended = all(&log, "setting-intended");
    assert_eq!((intended.len(), &intended[0]["setting"]), (1, &json!("lanes.2.port")));
    line.verified().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_test_label_is_printed_by_an_event_and_the_targets_are_looked_at() {
    let line = Line::new(Cloud::shared().await).await;
    let mut station = station(&line.bench).await;
    sign_in(&mut station, "Root").await;
    ask(&mut station, SettingsOrder::Show).await.unwrap();
    ask(&mut station, SettingsOrder::TestLabel).await.unwrap();
    settings(&mut station, "a label", |settings| settings.test == TestLabel::Ended(Ok(()))).await;
    let labels = std::fs::read_dir(line.bench.labels()).unwrap().map(|it| it.unwrap().path());
    // The practice printer draws each besides.
    let texts: Vec<_> = labels.filter_map(|path| String::from_utf8(std::fs::read(path).unwrap()).ok()).collect();
    assert!(matches!(&texts[..], [only] if only.contains("^FDTEST^FS") && only.contains("PRACTICE")), "{texts:?}");

    ask(&mut station, SettingsOrder::LookAtTargets).await.unwrap();
    let found = settings(&mut station, "findings", |it| matches!(it.look, TargetsLook::Found(_))).await;
    let TargetsLook::Found(found) = found.look else { unreachable!() };
    let found = serde_json::to_value(&*found).unwrap();
    let checks: Vec<_> = found.as_array().unwrap().iter().map(|it| it["check"].as_str().unwrap()).collect();
    assert!(checks.starts_with(&["credentials", "account"]), "{found:#}");
    let log = station.stop().await;
    assert_eq!((all(&log, "test-label-intended").len(), all(&log, "test-label-ended").len()), (1, 1));
    assert_eq!(all(&log, "test-label-ended")[0]["failure"], Value::Null);
    line.verified().await;
}

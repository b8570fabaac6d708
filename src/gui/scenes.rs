//! Snapshots to draw, for the unit tests here and for `tests/window`: every state a lane can be in, in as
//! many lanes as wanted.

use std::sync::Arc;

use jiff::Timestamp;
use lineseal::audit::event::{LabelKind, LabelStatus};
use lineseal::config::{LaneSetting, Look, PrinterChoice, PrinterKind, Setting};
use lineseal::domain::label::Dots;
use lineseal::domain::{Device, Failure, LaneNumber, Proof, ReasonCode, Role, RunId, Step, Verdict};
use lineseal::gui::practice_panel::{PracticePort, PracticeView};
use lineseal::runner::doctor::{About, Finding, Need, State};
use lineseal::runner::view::{
    BatchView, Copies, CopyPlace, DeskState, DeskView, FinishedView, Health, LabelQuestion, LabelView, LaneState,
    LaneView, ManifestView, PaceView, PersonView, ProfileSetting, ScanBack, SettingsView, Snapshot, TargetsLook,
    TeachView, TestLabel,
};

/// Everything at once: `lanes` lanes (1 to 16) in all states, lane 1 a PASS, lane 3 a FAIL.
pub fn busy(lanes: u8, practice: bool) -> Snapshot {
    let states = [
        ended(1, Verdict::Pass, None),
        running(2, Step::Register),
        ended(3, Verdict::Fail, Some(reason(ReasonCode::CERTIFICATE_BOUND).with("unit", "GW4-0030954"))),
        LaneState::Free,
        ended(5, Verdict::Held, Some(reason(ReasonCode::CLOUD_UNREACHABLE))),
        ended(6, Verdict::Error, Some(reason(ReasonCode::TOKEN_SILENT))),
        running(7, Step::Prove),
        ended(8, Verdict::Aborted, Some(reason(ReasonCode::BOARD_UNPLUGGED))),
        labelled(ended(9, Verdict::Pass, None), LabelStatus::Pending),
        scanning(10),
        LaneState::Refused { failure: reason(ReasonCode::STORE_FULL) },
        ended(12, Verdict::Fail, Some(reason(ReasonCode::CERTIFICATE_FOREIGN))),
        ended(13, Verdict::Error, Some(reason(ReasonCode::BOARD_TWIN).with("serial", "GW4-0031200"))),
        removed(ended(14, Verdict::Fail, Some(reason(ReasonCode::CHIP_LACKS_KEY)))),
        labelled(ended(15, Verdict::Pass, None), LabelStatus::Failed),
        removed(ended(16, Verdict::Pass, None)),
    ];
    with_lanes(states.into_iter().take(usize::from(lanes)).collect(), practice)
}

/// All lanes free, nothing to do: what must cost no processor time.
pub fn idle(lanes: u8, practice: bool) -> Snapshot {
    with_lanes((0..lanes).map(|_| LaneState::Free).collect(), practice)
}

/// Two lanes: a PASS and a FAIL.
pub fn pair(practice: bool) -> Snapshot {
    let fail = reason(ReasonCode::CERTIFICATE_FOREIGN_CA);
    with_lanes(vec![ended(1, Verdict::Pass, None), ended(2, Verdict::Fail, Some(fail))], practice)
}

/// A lane for each of `codes`, to see its sentence in a tile.
pub fn told(codes: &[ReasonCode]) -> Snapshot {
    let failure = |code| {
        ["unit", "thing", "other", "serial", "profiles", "action", "port"]
            .into_iter()
            .fold(reason(code), |failure, arg| failure.with(arg, "GW4-0030954"))
    };
    let lanes = (1..).zip(codes).map(|(lane, code)| ended(lane, code.verdict(), Some(failure(*code))));
    with_lanes(lanes.collect(), false)
}

/// What is not well, a question, and a board that no lane took.
pub fn troubled(lanes: u8, practice: bool) -> Snapshot {
    let mut snapshot = busy(lanes, practice);
    snapshot.paused = true;
    snapshot.cloud = Health::Bad(reason(ReasonCode::CLOUD_UNREACHABLE));
    snapshot.printer = Health::Bad(reason(ReasonCode::PRINTER_UNREACHABLE));
    snapshot.log = Health::Unknown;
    snapshot.copies = Copies { health: Health::Unknown, place: CopyPlace::Nowhere };
    snapshot.questions =
        vec![LabelQuestion { run: run(77), serial: "GW4-0031177".parse().ok(), kind: LabelKind::Unit }];
    let device = Device {
        path: "pci-0000:00:14.0-usb-0:3:1.0".parse().expect("a port path"),
        instance: "1".into(),
        node: None,
        usb: None,
        usb_serial: None,
        interface: None,
        product: None,
        denied: None,
    };
    snapshot.refused = vec![(device, reason(ReasonCode::BOARD_NO_LANE))];
    snapshot
}

/// As a person at the desk finds it, boards in their lanes.
pub fn at_desk(lanes: u8, state: DeskState) -> Snapshot {
    let operator = match &state {
        DeskState::SignedIn { name, .. } => Some(name.clone()),
        _ => None,
    };
    Snapshot { operator, desk: desk(state), ..busy(lanes, false) }
}

/// A station that is used for the first time.
pub fn first_start() -> Snapshot {
    Snapshot { operator: None, desk: desk(DeskState::NoPeople), ..unopened(4) }
}

/// An administrator who looks at the people.
pub fn administration(lanes: u8) -> Snapshot {
    let role = Role::Administrator;
    let mut snapshot = at_desk(lanes, DeskState::SignedIn { name: "佐藤 愛子".into(), role, proof: Proof::Pin });
    let person = |name: &str, role, disabled, badge, locked: bool| PersonView {
        name: name.into(),
        role,
        disabled,
        badge,
        locked_until: locked.then_some(Timestamp::UNIX_EPOCH),
    };
    snapshot.desk.people = Some(vec![
        person("B. Mori", Role::Qa, false, false, false),
        person("K. Tanaka (T-014)", Role::Technician, false, true, true),
        person("S. Ueda", Role::Supervisor, true, true, false),
        person("佐藤 愛子", role, false, false, false),
    ]);
    snapshot
}

/// The same administrator at the station's settings, while lane 3 is taught, say, or the targets were looked at.
pub fn settings(lanes: u8, change: impl FnOnce(&mut SettingsView)) -> Snapshot {
    let mut snapshot = administration(lanes);
    snapshot.desk.people = None;
    let lane = |number| LaneSetting {
        number: lane(number),
        name: if number == 1 { "left".into() } else { number.to_string() },
        port: (number != 4).then(|| format!(r"^pci-0000:00:14\.0-usb-0:{number}:1\.0$")),
    };
    let profile = |name: &str, taken| ProfileSetting { file: format!("profiles/{name}.toml"), taken };
    let mut settings = SettingsView {
        file: "/home/line3/.config/lineseal/lineseal.toml".into(),
        lanes: (1..=lanes).map(lane).collect(),
        profiles: vec![
            profile("se050c-linux-gateway", true),
            profile("se050-vcom", true),
            profile("se050-csr", false),
            profile("tpm2", false),
        ],
        printer: PrinterChoice { kind: PrinterKind::Tcp, place: "192.0.2.7:9100".into() },
        language: Some("ja".into()),
        theme: Look::Light,
        pending: vec![Setting::Port(self::lane(3)), Setting::Printer],
        answer: None,
        teaching: None,
        prints: true,
        test: TestLabel::None,
        targets: vec!["production".parse().expect("a target"), "staging".parse().expect("a target")],
        can_look: true,
        look: TargetsLook::None,
    };
    change(&mut settings);
    snapshot.settings = Some(settings);
    snapshot
}

/// A board was plugged in to teach lane 3 its port.
pub fn taught(settings: &mut SettingsView) {
    let port = "pci-0000:00:14.0-usb-0:3:1.0".parse().expect("a port path");
    settings.teaching = Some((lane(3), TeachView::Offered(port)));
}

/// One target is as it should be, the other's clock and permissions are not.
pub fn looked_at(settings: &mut SettingsView) {
    let target = || "production".parse().expect("a target");
    let source = Some("profile lineseal".to_owned());
    let endpoint = Some("a1b2c3d4e5f6g7-ats.iot.ap-northeast-1.amazonaws.com".to_owned());
    let permission = About::Permission {
        target: target(),
        action: "iot:AttachThingPrincipal".into(),
        resource: "arn:aws:iot:ap-northeast-1:123456789012:cert/*".into(),
        need: Need::Always,
    };
    let denied = Failure::new(ReasonCode::CLOUD_PERMISSION, "the policy of lineseal-station has no such statement");
    settings.look = TargetsLook::Found(Arc::new(vec![
        Finding { about: About::Credentials { target: target(), source, expires: None }, state: State::Good },
        Finding { about: About::Endpoint { target: target(), endpoint }, state: State::Good },
        Finding { about: permission, state: State::Bad(denied) },
        Finding {
            about: About::Clock { target: target(), ahead_ms: None, within_ms: None },
            state: State::Unknown(None),
        },
    ]));
}

/// The label of the first lane's board is looked at, as its second copy, and waits to be scanned.
pub fn labelled_pair() -> Snapshot {
    let mut snapshot = pair(false);
    let (lane, run, serial) = match &snapshot.lanes[0].state {
        LaneState::Finished { run, serial, .. } => (snapshot.lanes[0].number, *run, serial.clone()),
        _ => panic!("the first lane has a unit"),
    };
    let (width, height) = (400, 240);
    // Lines, as far as a picture is told from a grey field.
    let grey = (0..width * height).map(|at| if at / width % 24 < 6 { 0 } else { 255 }).collect();
    let picture = Arc::new(Dots { width, height, grey });
    let status = LabelStatus::Printed;
    snapshot.label = Some(LabelView { run, serial: serial.clone(), status, copy: 2, confirmed: false, picture });
    snapshot.scan_back = vec![ScanBack { run, lane, serial }];
    snapshot
}

/// No batch is open.
pub fn unopened(lanes: u8) -> Snapshot {
    Snapshot { batch: None, held: 0, recent: Vec::new(), ..idle(lanes, false) }
}

/// A batch that has just begun, of which nothing is known; a board waits in lane 1.
pub fn unknown(lanes: u8) -> Snapshot {
    let mut snapshot = idle(lanes, false);
    snapshot.paused = true;
    snapshot.lanes[0].state = LaneState::Waiting;
    if let Some(batch) = &mut snapshot.batch {
        *batch = BatchView { passed: 0, held: 0, first_passes: 0, first_attempts: 0, pace: None, ..batch.clone() };
    }
    snapshot
}

pub fn practice_view(ports: u8) -> PracticeView {
    let port = |at: u8| PracticePort {
        name: format!("port-{at}"),
        plugged: (at % 2 == 1).then(|| format!("PR-{at:07}")),
        again: (at == 2).then(|| "PR-3355CB-004".to_owned()),
        fault: (at == 3).then(|| "foreign-ca".to_owned()),
    };
    let faults = [
        "key-missing",
        "certificate-copied",
        "foreign-ca",
        "expired",
        "duplicate",
        "board-exchanged",
        "unplugged",
        "silent-board",
        "hung-token",
    ];
    PracticeView {
        ports: (1..=ports).map(port).collect(),
        faults: faults.map(str::to_owned).to_vec(),
        cloud_up: true,
        printer_up: false,
    }
}

fn with_lanes(states: Vec<LaneState>, practice: bool) -> Snapshot {
    let lanes = states.into_iter().enumerate().map(|(at, state)| {
        let number = lane(at as u8 + 1);
        LaneView { number, name: number.to_string(), port: None, state }
    });
    let verdicts = [Verdict::Pass, Verdict::Fail, Verdict::Pass, Verdict::Held, Verdict::Error, Verdict::Aborted];
    let recent = verdicts.into_iter().cycle().take(12).enumerate().map(|(at, verdict)| FinishedView {
        run: run(100 + at as u8),
        lane: lane(at as u8 % 16 + 1),
        serial: format!("GW4-00311{:02}", 88 - at).parse().ok(),
        verdict,
    });
    Snapshot {
        notice: None,
        station: "L3-ST2".parse().expect("a station name"),
        practice,
        operator: Some("Tanaka (T-014)".into()),
        desk: desk(DeskState::SignedIn { name: "Tanaka (T-014)".into(), role: Role::Technician, proof: Proof::Badge }),
        batch: Some(BatchView {
            name: "GW4-2611-07".parse().expect("a batch name"),
            planned: 500,
            passed: 312,
            held: 3,
            first_passes: 307,
            first_attempts: 312,
            pace: Some(pace(164)),
            manifest: Some(ManifestView { entries: 500, consumed: 312, matched: 314, unknown: 1 }),
        }),
        held: 3,
        lanes: lanes.collect(),
        recent: recent.collect(),
        cloud: Health::Good,
        log: Health::Good,
        printer: Health::Good,
        copies: Copies { health: Health::Good, place: CopyPlace::Elsewhere },
        signals: Health::Unknown,
        paused: false,
        questions: Vec::new(),
        scan_back: Vec::new(),
        label: None,
        pulled: Vec::new(),
        refused: Vec::new(),
        settings: None,
        profiles: vec!["gateway-g4".into(), "sensor-s1".into()],
    }
}

/// At a station that takes badges.
fn desk(state: DeskState) -> DeskView {
    DeskView { state, badge_prefix: "BADGE-".into(), answer: None, people: None }
}

/// 2026-11-29, and the batch would be done in the afternoon.
fn pace(per_hour: u64) -> PaceView {
    let at = |second| Timestamp::from_second(second).expect("a time");
    PaceView { per_hour, ends: Some(at(1_795_966_860)), at: at(1_795_962_780) }
}

fn ended(number: u8, verdict: Verdict, reason: Option<Failure>) -> LaneState {
    let serial = format!("GW4-00311{:02}", 80 + number);
    let label = match verdict {
        Verdict::Pass | Verdict::Held => LabelStatus::Printed,
        _ => LabelStatus::None,
    };
    LaneState::Finished {
        run: run(number),
        thing: (verdict == Verdict::Pass).then(|| format!("gw-{serial}").parse().expect("a thing name")),
        serial: serial.parse().ok(),
        verdict,
        reason,
        slip: (verdict == Verdict::Held).then_some(12),
        label: Some(label),
        step: if verdict == Verdict::Pass { Step::Seal } else { Step::Register },
        took_ms: 3_120,
        present: verdict != Verdict::Aborted || number == 8,
    }
}

fn labelled(mut state: LaneState, status: LabelStatus) -> LaneState {
    if let LaneState::Finished { label, .. } = &mut state {
        *label = Some(status);
    }
    state
}

fn removed(mut state: LaneState) -> LaneState {
    if let LaneState::Finished { present, .. } = &mut state {
        *present = false;
    }
    state
}

fn running(number: u8, step: Step) -> LaneState {
    LaneState::Running {
        run: run(number),
        serial: format!("GW4-00311{:02}", 80 + number).parse().ok(),
        step,
        waits_for_scan: false,
        claimed: step >= Step::Register,
        started: Timestamp::UNIX_EPOCH,
    }
}

fn scanning(number: u8) -> LaneState {
    LaneState::Running {
        run: run(number),
        serial: None,
        step: Step::Identify,
        waits_for_scan: true,
        claimed: false,
        started: Timestamp::UNIX_EPOCH,
    }
}

fn reason(code: ReasonCode) -> Failure {
    Failure::new(code, "C_Sign returned CKR_DEVICE_ERROR (0x30) after 2.0 s on slot 0, attempt 3 of 3")
}

fn run(number: u8) -> RunId {
    RunId::from_random([number; 16])
}

fn lane(number: u8) -> LaneNumber {
    LaneNumber::try_from(number).expect("a lane's number")
}

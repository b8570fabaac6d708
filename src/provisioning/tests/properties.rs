//! Events and answers in any order: the table refuses what cannot be, and a PASS is what it says.

use std::sync::LazyLock;

use proptest::prelude::*;

use super::world::{CHIPS, World, connection_of, failing, failure, record_of, refused, started, unit};
use crate::audit::RunEvent;
use crate::audit::event::{FreeText, IssuedCertificate, LabelKind, LabelStatus, Purpose, Reading, Standing};
use crate::domain::profile::{ConnectMode, WriteBack};
use crate::domain::{Bytes, Failure, Fingerprint, Identity, ReasonCode, Step, TargetName, Variables, Verdict};
use crate::ports::{Collision, CollisionRule, Lock, LockKind};
use crate::provisioning::{Effect, Input, Run, decide};

/// The events of whole runs, in their order: what a random walk follows most of the time.
static PATHS: LazyLock<Vec<Vec<RunEvent>>> = LazyLock::new(|| {
    let two = || World::with_targets(&["one", "two"]);
    let tell = |mut world: World, resumed: bool| {
        world.begin();
        if resumed {
            world.script = Box::new(|_, _| None);
            world.go(Input::Resume);
            world.go(Input::PrintLabel);
        }
        world.events().skip(1).cloned().collect()
    };
    let refusing = |code| {
        let mut world = two();
        world.script = Box::new(move |_, effect| match effect {
            Effect::Register(asked) if asked.target.as_str() == "two" => Some(refused(asked, failure(code), true)),
            _ => None,
        });
        world
    };
    let connecting = |mode| World::connecting(mode, &["one", "two"]);
    let unreached = |mode| {
        let mut world = connecting(mode);
        world.script = Box::new(|_, effect| match effect {
            Effect::Connect(trial) if trial.target.as_str() == "one" => {
                Some(failing(effect, failure(ReasonCode::CONNECT_REFUSED)))
            }
            _ => None,
        });
        world
    };
    let held = || {
        let mut world = connecting(ConnectMode::Required);
        world.script = Box::new(|_, effect| match effect {
            Effect::Register(asked) => Some(refused(asked, failure(ReasonCode::CLOUD_UNREACHABLE), false)),
            _ => None,
        });
        world
    };
    vec![
        tell(connecting(ConnectMode::Required), false),
        tell(unreached(ConnectMode::Required), false),
        tell(unreached(ConnectMode::Optional), false),
        tell(held(), true),
        tell(World::new(), false),
        tell(two(), false),
        tell(refusing(ReasonCode::THING_FOREIGN), false),
        tell(refusing(ReasonCode::CLOUD_UNREACHABLE), true),
        tell(World::with_request(), false),
        tell(World::with_write_back(WriteBack::Required), false),
        tell(World::joining(), false),
        tell(World::in_a_fleet(), false),
        tell(World::in_a_fleet_of_keys(), false),
    ]
});

/// Everything that could be written, right and wrong.
static POOL: LazyLock<Vec<RunEvent>> = LazyLock::new(|| {
    use RunEvent as E;
    let mut pool: Vec<E> = PATHS.iter().flatten().cloned().collect();
    let [ours, theirs] = &*CHIPS;
    let their_uid = Reading { uid: theirs.reading.uid.clone(), ..ours.reading.clone() };
    let readings = [theirs.reading.clone(), their_uid];
    pool.extend(readings.iter().cloned().map(|reading| E::ChipRead { reading }));
    pool.extend(readings.into_iter().map(|reading| E::ReadAgain { reading }));
    let mixed = Identity { fingerprint: ours.fingerprint(), ..theirs.identity() };
    for identity in [theirs.identity(), mixed, ours.identity()] {
        for serial in ["A-0001", "B-0002"] {
            pool.push(E::Claimed {
                unit: unit(serial),
                identity: identity.clone(),
                standing: Standing::Known,
                ruling: None,
                replaces: Vec::new(),
                entry: None,
            });
        }
    }
    pool.push(E::Identified { unit: unit("B-0002"), variables: Variables::new(), again: false });
    pool.push(E::Identified { unit: unit("A-0001"), variables: Variables::new(), again: false });
    pool.push(E::IdentifiedAgain { serial: unit("B-0002").serial });
    for answered in PATHS[0].clone() {
        if let E::ChallengeAnswered { purpose, signature, scheme, mut decision } = answered {
            decision.path[0] = theirs.fingerprint();
            pool.push(E::ChallengeAnswered { purpose, signature, scheme, decision });
        }
    }
    let target = |name: &str| name.parse::<TargetName>().unwrap();
    for event in PATHS[8].clone() {
        if let E::CertificateIssued { issued } = event {
            let certificate = super::world::made(&theirs.key).certificate;
            let fingerprint = Fingerprint::of(&certificate);
            pool.push(E::CertificateIssued {
                issued: IssuedCertificate { certificate, fingerprint, ..issued.clone() },
            });
            pool.push(E::CertificateIssued { issued: IssuedCertificate { target: target("two"), ..issued } });
        }
    }
    let made = Fingerprint::of(&super::world::made(&ours.key).certificate);
    for fingerprint in [ours.fingerprint(), theirs.fingerprint(), made] {
        for thing in ["gw-A-0001", "gw-B-0002"] {
            for targets in [vec![], vec![target("one")], vec![target("two"), target("one")]] {
                for connect in [None, Some(ConnectMode::Optional), Some(ConnectMode::Required)] {
                    let (thing, targets) = (thing.parse().unwrap(), targets.clone());
                    pool.push(E::RegisterIntended { fingerprint, thing, targets, connect });
                }
            }
            for name in ["one", "two", "three"] {
                pool.push(E::Connected { connection: connection_of(&target(name), thing) });
                pool.push(E::NotConnected { target: target(name), failure: failure(ReasonCode::CONNECT_REFUSED) });
                pool.push(E::Registered { target: record_of(&target(name), fingerprint, &thing) });
            }
        }
    }
    let codes =
        [ReasonCode::TOKEN_NO_KEY, ReasonCode::TOKEN_SILENT, ReasonCode::BOARD_UNPLUGGED, ReasonCode::CLOUD_FAILED];
    for code in codes {
        pool.push(E::StepFailed { step: Step::Prove, failure: failure(code), untouched: false });
        for verdict in [Verdict::Pass, Verdict::Fail, Verdict::Error, Verdict::Aborted, Verdict::Held] {
            for (reason, slip, label) in [
                (Some(failure(code)), None, None),
                (Some(failure(code)), Some(40), Some(LabelKind::Slip)),
                (Some(failure(code)), Some(41), None),
                (None, None, Some(LabelKind::Unit)),
                (None, Some(40), Some(LabelKind::Unit)),
                (None, None, None),
            ] {
                pool.push(E::Sealed { verdict, reason, slip, label });
            }
        }
    }
    for kind in [LabelKind::Unit, LabelKind::Slip] {
        pool.push(E::LabelIntended { kind });
        for status in [LabelStatus::Printed, LabelStatus::Pending, LabelStatus::Failed, LabelStatus::None] {
            pool.push(E::LabelEnded { kind, status, failure: None });
        }
        pool.extend([true, false].map(|printed| E::LabelSettled { kind, printed }));
        for copy in [1, 2, 3] {
            pool.push(E::LabelReplaced { kind, copy, reason: typed() });
            pool.push(E::LabelConfirmed { kind, copy });
        }
    }
    for name in ["one", "three"] {
        pool.push(E::DeactivateIntended { target: target(name) });
        pool.push(E::Deactivated { target: target(name), failure: None });
    }
    pool.push(E::Resumed {});
    pool.push(started());
    pool.extend(Step::ALL.map(|step| E::StepBegan { step }));
    pool
});

/// What a run has to have gone through to be PASS, kept apart from the run's own book-keeping.
#[derive(Default, Clone)]
struct Promises {
    kept: usize,
    fingerprint: Option<Fingerprint>,
    /// Made for its key, and what is registered in the place of its own.
    issued: Option<Fingerprint>,
    /// The token is to keep it, and does.
    must_keep: bool,
    /// AWS made the key, and the board does not have it.
    owes_key: bool,
    keeps: bool,
    thing: Option<String>,
    targets: Vec<TargetName>,
    registered: Vec<TargetName>,
    /// The board is elsewhere: its last look is not asked for.
    held: bool,
    looked: Option<Fingerprint>,
    confirmed: bool,
    asks_again: bool,
    asked_again: bool,
    /// The most that was promised, and what became of it.
    connect: Option<ConnectMode>,
    connected: Vec<TargetName>,
    tried: Vec<TargetName>,
}

impl Promises {
    /// Identify, read, prove, claim, read again, prove again, intend; then every target, and the chip once
    /// more, and its board if it is to be asked again.
    const ALL: usize = 7;

    fn note(&mut self, event: &RunEvent) {
        use RunEvent as E;
        let read = |reading: &Reading| Some(Fingerprint::of(&reading.certificate));
        let kept = match event {
            E::Identified { again, .. } => {
                self.asks_again = *again;
                self.kept == 0
            }
            E::IdentifiedAgain { serial } => {
                self.asked_again = self.confirmed && *serial == unit("A-0001").serial;
                false
            }
            E::ChipRead { reading } => {
                self.fingerprint = read(reading);
                self.kept == 1
            }
            E::ChallengeAnswered { purpose, decision, .. } => {
                let turn = match purpose {
                    Purpose::First => 2,
                    Purpose::BeforeRegister => 5,
                    Purpose::AfterConnect => {
                        self.confirmed = self.everywhere() && self.looked.take() == self.fingerprint;
                        Self::ALL + 1
                    }
                };
                self.kept == turn && decision.path.first() == self.fingerprint.as_ref()
            }
            E::Claimed { identity, unit: claimed, .. } => {
                self.kept == 3 && Some(identity.fingerprint) == self.fingerprint && *claimed == unit("A-0001")
            }
            E::ReadAgain { reading } => {
                self.looked = read(reading).filter(|_| self.everywhere());
                self.kept == 4 && read(reading) == self.fingerprint
            }
            E::RegisterIntended { fingerprint, thing, targets, connect } => {
                self.connect = self.connect.max(*connect);
                let promised = self.thing.get_or_insert_with(|| thing.to_string()) == thing.as_str();
                self.targets = targets.clone();
                let again = self.kept == Self::ALL;
                if again {
                    assert!(promised && Some(*fingerprint) == self.certificate());
                }
                self.kept == 6 && Some(*fingerprint) == self.certificate()
            }
            E::CertificateIssued { issued } => {
                let ours = CHIPS.iter().find(|chip| Some(chip.fingerprint()) == self.fingerprint);
                let spki = crate::provisioning::checks::spki_hash(&issued.certificate).ok();
                let of_chip = ours.is_some_and(|chip| Some(chip.identity().spki) == spki);
                assert_eq!(of_chip, issued.request.is_some(), "made for another key");
                self.owes_key = issued.request.is_none();
                assert_eq!(issued.fingerprint, Fingerprint::of(&issued.certificate));
                self.issued = Some(issued.fingerprint);
                self.must_keep = issued.write_back == Some(WriteBack::Required);
                false
            }
            E::BoardConfigured {} => {
                self.owes_key = false;
                false
            }
            E::CertificateKept { .. } => {
                self.keeps = self.everywhere();
                false
            }
            E::Registered { target } => {
                let ours = self.certificate().is_some_and(|ours| target.certificate_arn.ends_with(&ours.to_string()));
                if ours && target.thing_arn.ends_with(&format!("/{}", self.thing.as_deref().unwrap_or("?"))) {
                    self.registered.push(target.target.clone());
                }
                false
            }
            E::Connected { connection } => {
                if self.everywhere() && Some(connection.client_id.as_str()) == self.thing.as_deref() {
                    self.connected.push(connection.target.clone());
                }
                false
            }
            E::NotConnected { target, .. } => {
                self.tried.push(target.clone());
                false
            }
            E::Sealed { verdict: Verdict::Held, .. } => {
                self.held = true;
                false
            }
            _ => false,
        };
        self.kept += usize::from(kept);
    }

    fn certificate(&self) -> Option<Fingerprint> {
        self.issued.or(self.fingerprint)
    }

    fn all_kept(&self) -> bool {
        let connected = self.targets.iter().all(|target| match self.connect {
            None => true,
            Some(ConnectMode::Required) => self.connected.contains(target),
            Some(ConnectMode::Optional) => self.held || self.connected.contains(target) || self.tried.contains(target),
        });
        connected
            && (self.keeps || !self.must_keep)
            && !self.owes_key
            && self.everywhere()
            && (self.held || self.confirmed && (self.asked_again || !self.asks_again))
    }

    fn everywhere(&self) -> bool {
        self.kept == Self::ALL
            && !self.targets.is_empty()
            && self.targets.iter().all(|target| self.registered.contains(target))
    }
}

/// Follow the path (`None`), or take any event.
fn typed() -> FreeText {
    FreeText { id: uuid::Uuid::from_u128(5), text_sha256: "0".repeat(64) }
}

fn walks() -> impl Strategy<Value = (usize, Vec<Option<prop::sample::Index>>)> {
    let turn = prop_oneof![5 => Just(None), 1 => any::<prop::sample::Index>().prop_map(Some)];
    (0..PATHS.len(), prop::collection::vec(turn, 1..60))
}

/// The run after a walk, each event refused or applied.
fn walk(path: usize, turns: &[Option<prop::sample::Index>]) -> Result<World, TestCaseError> {
    let mut world = World::new();
    let mut promises = Promises::default();
    let mut along = PATHS[path].iter();
    for turn in turns {
        let event = match turn {
            None => along.next(),
            Some(index) => Some(index.get(&POOL)),
        };
        let Some(event) = event.cloned() else { continue };
        let before = world.run();
        match world.append(event.clone()) {
            Err(_) => prop_assert_eq!(&world.run(), &before),
            Ok(()) => promises.note(&event),
        }
        let after = world.run();
        if matches!(event, RunEvent::Sealed { .. }) && after != before && after.verdict() == Some(Verdict::Pass) {
            prop_assert!(promises.all_kept(), "a PASS that is none: {:#?}", world.events().collect::<Vec<_>>());
            prop_assert_eq!(after.intent.as_ref().unwrap().fingerprint, promises.certificate().unwrap());
        }
        if let Some(sealed) = &before.sealed
            && sealed.verdict != Verdict::Held
        {
            prop_assert_eq!(after.verdict(), Some(sealed.verdict), "a verdict changed");
        }
        prop_assert_eq!(after.stage == crate::provisioning::Stage::Sealed && after.sealed.is_none(), false);
    }
    Ok(world)
}

fn any_failure() -> impl Strategy<Value = Failure> {
    (0..ReasonCode::ALL.len()).prop_map(|index| failure(ReasonCode::ALL[index]))
}

fn any_reading() -> impl Strategy<Value = Reading> {
    let bytes = prop::collection::vec(any::<u8>(), 0..300);
    prop_oneof![
        2 => Just(CHIPS[0].reading.clone()),
        1 => Just(CHIPS[1].reading.clone()),
        1 => bytes.prop_map(|bytes| Reading { certificate: Bytes(bytes), ..CHIPS[0].reading.clone() }),
        1 => (any::<prop::sample::Index>(), any::<u8>()).prop_map(|(index, byte)| {
            let mut reading = CHIPS[0].reading.clone();
            let at = index.index(reading.certificate.0.len());
            reading.certificate.0[at] = byte;
            reading
        }),
    ]
}

fn any_lock() -> impl Strategy<Value = Lock> {
    let kinds = vec![LockKind::Failed, LockKind::Scrapped, LockKind::Conflict, LockKind::Withdrawn];
    let run = prop::option::of(Just(super::world::run_id()));
    (prop::sample::select(kinds), run).prop_map(|(kind, run)| Lock { kind, run, reason: None, seq: 3 })
}

fn any_input() -> impl Strategy<Value = Input> {
    let target = || prop::sample::select(vec!["one", "two", "three"]).prop_map(|name| name.parse().unwrap());
    let rules = vec![
        CollisionRule::Entry,
        CollisionRule::Certificate,
        CollisionRule::Key,
        CollisionRule::Uid,
        CollisionRule::Unit,
    ];
    let collisions = prop::collection::vec(prop::sample::select(rules), 0..4).prop_map(|rules| {
        let holder = |rule| Collision {
            rule,
            unit: unit("B-0002"),
            fingerprint: CHIPS[1].fingerprint(),
            run: Some(super::world::run_id()),
            seq: 3,
        };
        rules.into_iter().map(holder).collect()
    });
    let done = || prop_oneof![Just(Ok(())), any_failure().prop_map(Err)];
    let chip = prop::sample::select(vec![0usize, 1]);
    prop_oneof![
        Just(Input::Begin),
        Just(Input::Claimed),
        Just(Input::Resume),
        Just(Input::PrintLabel),
        any::<String>().prop_map(|serial| Input::Identified(Ok(Variables::from([("serial".into(), serial)])))),
        Just(()).prop_map(|()| Input::Identified(Ok(Variables::from([("serial".into(), "A-0001".into())])))),
        any_failure().prop_map(|failure| Input::Identified(Err(failure))),
        prop::sample::select(vec!["A-0001", "B-0002"])
            .prop_map(|serial| Input::IdentifiedAgain(Ok(Variables::from([("serial".into(), serial.into())])))),
        any_failure().prop_map(|failure| Input::IdentifiedAgain(Err(failure))),
        any_reading().prop_map(|reading| Input::Read(Ok(reading))),
        any_failure().prop_map(|failure| Input::Read(Err(failure))),
        prop::collection::vec(any::<u8>(), 0..100).prop_map(|signature| Input::Signed(Ok(signature))),
        any_failure().prop_map(|failure| Input::Signed(Err(failure))),
        collisions.prop_map(Input::Collided),
        any_lock().prop_map(Input::Locked),
        (target(), prop::sample::select(vec![0usize, 1]))
            .prop_map(|(asked, chip)| { Input::Issued(asked, Box::new(Ok(super::world::made(&CHIPS[chip].key)))) }),
        (target(), any_failure()).prop_map(|(target, failure)| Input::Issued(target, Box::new(Err(failure)))),
        (target(), target(), chip).prop_map(|(asked, target, chip)| {
            let record = record_of(&target, CHIPS[chip].fingerprint(), &"gw-A-0001");
            Input::Registered(asked, Box::new(Ok(record)))
        }),
        (target(), any_failure(), any::<bool>()).prop_map(|(target, failure, certificate_left)| {
            Input::Registered(target, Box::new(Err(crate::ports::Refusal { failure, certificate_left })))
        }),
        (target(), target(), prop::sample::select(vec!["gw-A-0001", "gw-B-0002"]))
            .prop_map(|(asked, target, thing)| Input::Connected(asked, Box::new(Ok(connection_of(&target, thing))))),
        (target(), any_failure()).prop_map(|(target, failure)| Input::Connected(target, Box::new(Err(failure)))),
        (target(), done()).prop_map(|(target, result)| Input::Deactivated(target, result)),
        any_failure().prop_map(Input::Interrupted),
        any_failure().prop_map(Input::Recover),
        done().prop_map(Input::Printed),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    /// Whatever is written: an illegal event leaves the run as it was, a verdict stays, and PASS comes
    /// only after identify, read, prove, claim, read again, prove again and register in every target,
    /// all of one certificate, and connected to each where that was promised.
    #[test]
    fn the_table_takes_no_wrong_pass((path, turns) in walks()) {
        walk(path, &turns)?;
    }

    /// Whatever is answered, in whatever state: no panic, and nothing that the table would refuse.
    #[test]
    fn what_is_decided_can_be_recorded(
        (path, turns) in walks(),
        inputs in prop::collection::vec(any_input(), 1..8),
        two in any::<bool>(),
    ) {
        let mut world = walk(path, &turns)?;
        if two {
            world.profile = World::connecting(ConnectMode::Optional, &["one", "two"]).profile;
        }
        for input in inputs {
            let run = world.run();
            let Ok(effects) = decide(&run, input, &world.context()) else { continue };
            for effect in effects {
                if let Effect::Record(events) = effect {
                    for event in events {
                        let refused = world.append(event.clone()).err();
                        prop_assert!(refused.is_none(), "{:?} after {:#?}", refused, world.run().stage);
                    }
                }
            }
        }
    }

    /// A run that has begun ends, whatever the world answers, with one verdict; and the same run
    /// folded from its log is the same run.
    #[test]
    fn a_run_ends_whatever_is_answered(codes in prop::collection::vec(prop::option::weighted(0.15, any_failure()), 30)) {
        let mut world = World::connecting(ConnectMode::Optional, &["one", "two"]);
        let mut codes = codes.into_iter();
        world.script = Box::new(move |_, effect| {
            codes.next().flatten().map(|failure| failing(effect, failure))
        });
        let run = world.begin();
        prop_assert_eq!(world.seals().len(), 1);
        prop_assert_eq!(run, Run::fold(&world.log).unwrap());
    }
}

/// The walks do come to PASS, and do try the wrong ones: otherwise the first property says nothing.
#[test]
fn each_path_is_legal_as_a_whole() {
    for (index, path) in PATHS.iter().enumerate() {
        let turns = vec![None; path.len()];
        let world = walk(index, &turns).unwrap();
        assert_eq!(world.log.len(), path.len() + 1);
    }
    let verdicts: Vec<_> = (0..PATHS.len()).map(|index| walk(index, &[None; 60]).unwrap().run().verdict()).collect();
    use Verdict::{Error, Fail, Held, Pass};
    assert_eq!(verdicts, [Pass, Error, Pass, Held, Pass, Pass, Fail, Pass, Pass, Pass, Pass, Pass, Pass].map(Some));
}

/// Every wrong event in the place of each right one is refused, or what comes of it is no PASS.
#[test]
fn no_single_wrong_event_leads_to_a_wrong_pass() {
    for (index, path) in PATHS.iter().enumerate() {
        let mut before = World::new();
        let mut kept = Promises::default();
        for (place, right) in path.iter().enumerate() {
            for wrong in POOL.iter() {
                let mut run = before.run();
                let mut promises = kept.clone();
                for event in std::iter::once(wrong).chain(&path[place + 1..]) {
                    if run.apply(&before.logged(event.clone())).is_err() {
                        break;
                    }
                    promises.note(event);
                    let passed = run.verdict() == Some(Verdict::Pass);
                    assert!(!passed || promises.all_kept(), "path {index}, {wrong:?} at {place}");
                }
            }
            before.append(right.clone()).unwrap();
            kept.note(right);
        }
    }
}

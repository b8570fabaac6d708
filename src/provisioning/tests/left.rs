//! What a locked unit may have left ACTIVE: told by its history, whatever became of its runs.

use super::world::{CHIPS, Call, World, failure, refused};
use crate::audit::event::{FreeText, Holding, Ruling, Withdrawal};
use crate::audit::{Body, Event, LineEvent, RunEvent};
use crate::domain::{EventId, Fingerprint, ReasonCode, RunId, Verdict};
use crate::ports::{Lock, LockKind, Logged, Receipt, RunLog, UnitHistory, Unlisted};
use crate::provisioning::left::{left, open};
use crate::provisioning::{Effect, Input};

/// Runs and rulings of one unit, in the order in which they are told.
struct Story {
    history: UnitHistory,
    next: u64,
}

impl Story {
    fn new() -> Self {
        let unit = World::new().begin().unit.unwrap();
        let (runs, rulings, imported, withdrawn, locks) = Default::default();
        Self { history: UnitHistory { unit, runs, rulings, imported, withdrawn, locks }, next: 100 }
    }

    /// With events of its own numbers; a FAIL locks.
    fn tell(&mut self, world: &World) -> RunId {
        let run = RunId::from_random([self.history.runs.len() as u8 + 20; 16]);
        let mut events = world.log.clone();
        for logged in &mut events {
            self.next += 1;
            logged.receipt.seq = self.next;
            logged.event.run = Some(run);
            logged.event.id = EventId::from_random([self.next as u8; 16]);
        }
        self.history.runs.push(RunLog { run, events });
        if world.run().verdict() == Some(Verdict::Fail) {
            self.lock(LockKind::Failed, Some(run));
        }
        run
    }

    fn lock(&mut self, kind: LockKind, run: Option<RunId>) {
        self.history.locks.push(Lock { kind, run, reason: None, seq: self.next });
    }

    fn line(&mut self, event: LineEvent) -> Logged {
        self.next += 1;
        let like = self.history.runs[0].events[0].clone();
        let id = EventId::from_random([self.next as u8; 16]);
        let receipt = Receipt { seq: self.next, ..like.receipt };
        Logged { receipt, event: Event { id, run: None, body: Body::Line(event), ..like.event } }
    }

    fn withdraw(&mut self) -> EventId {
        let unit = self.history.unit.clone();
        let holding = Holding {
            target: "one".parse().unwrap(),
            certificates: vec![CHIPS[0].fingerprint()],
            things: Vec::new(),
            intended: Vec::new(),
            policies: Vec::new(),
            unanswered: Vec::new(),
        };
        let ruling = Ruling::Withdraw { unit, act: Withdrawal::Delete, targets: vec![holding] };
        let reason = FreeText { id: uuid::Uuid::nil(), text_sha256: "0".repeat(64) };
        let ruled = LineEvent::Ruled {
            ruling,
            second: None,
            persons: None,
            reason,
            evidence: Vec::new(),
            references: Vec::new(),
        };
        let logged = self.line(ruled);
        self.history.rulings.push(logged.clone());
        self.lock(LockKind::Withdrawn, None);
        logged.event.id
    }

    fn withdrawn(&mut self, by: EventId, code: Option<ReasonCode>) {
        let (unit, target) = (self.history.unit.clone(), "one".parse().unwrap());
        let done = LineEvent::Withdrawn {
            by,
            unit,
            target,
            changed: Vec::new(),
            found: Vec::new(),
            failure: code.map(failure),
        };
        let logged = self.line(done);
        self.history.withdrawn.push(logged);
    }

    fn release(&mut self) {
        self.history.locks.clear();
    }

    /// Which run is to take back what, and where.
    fn left(&self) -> Vec<(RunId, Fingerprint, String)> {
        let each = left(&self.history).into_iter().flat_map(|left| {
            let certificate = left.run.intent.as_ref().unwrap().fingerprint;
            left.targets.into_iter().map(move |target| (left.run.id, certificate, target.to_string()))
        });
        each.collect()
    }
}

fn passed() -> World {
    let mut world = World::new();
    assert_eq!(world.begin().verdict(), Some(Verdict::Pass));
    world
}

/// Its one target refuses, and says whether it left a certificate; it can't be set INACTIVE either.
fn refusing(code: ReasonCode, certificate_left: bool) -> World {
    let mut world = World::new();
    world.script = Box::new(move |_, effect| match effect {
        Effect::Register(asked) => Some(refused(asked, failure(code), certificate_left)),
        Effect::Deactivate { target, .. } => {
            Some(Input::Deactivated(target.clone(), Err(failure(ReasonCode::CLOUD_UNREACHABLE))))
        }
        _ => None,
    });
    world.begin();
    world
}

/// Killed while its target was asked, and closed by the next start.
fn cut_off() -> World {
    let mut world = passed();
    let intended = |event: &RunEvent| matches!(event, RunEvent::RegisterIntended { .. });
    let count = world.events().position(intended).unwrap() + 1;
    world.cut(count);
    world.go(Input::Recover(failure(ReasonCode::STATION_STOPPED)));
    world
}

fn foreign() -> World {
    refusing(ReasonCode::THING_FOREIGN, false)
}

fn of_chip(run: RunId) -> Vec<(RunId, Fingerprint, String)> {
    vec![(run, CHIPS[0].fingerprint(), "one".to_owned())]
}

/// What an earlier run left, or may have, is taken back when the unit fails, although the run that failed has left
/// nothing itself; of what is not locked nothing is.
#[test]
fn a_failed_unit_leaves_nothing_that_an_earlier_run_of_it_registered() {
    for earlier in [cut_off as fn() -> World, || refusing(ReasonCode::CLOUD_LIMIT, true)] {
        let mut story = Story::new();
        let first = story.tell(&earlier());
        assert_eq!(story.left(), [], "it may be tried again");
        story.tell(&foreign());
        assert_eq!(story.left(), of_chip(first));
    }
    // One that said that nothing of it is there has nothing to be taken back: what is there is another's.
    let mut story = Story::new();
    story.tell(&refusing(ReasonCode::CLOUD_LIMIT, false));
    story.tell(&foreign());
    assert_eq!(story.left(), []);
}

#[test]
fn a_deactivation_that_failed_is_owed_until_it_is_done_or_the_unit_is_released() {
    let mut story = Story::new();
    let mut failed = refusing(ReasonCode::THING_FOREIGN, true);
    let run = story.tell(&failed);
    assert_eq!(story.left(), of_chip(run));
    story.release();
    assert_eq!(story.left(), []);

    for code in [None, Some(ReasonCode::CERTIFICATE_ABSENT)] {
        let mut failed = refusing(ReasonCode::THING_FOREIGN, true);
        failed.script = Box::new(move |_, effect| match effect {
            Effect::Deactivate { target, .. } => {
                Some(Input::Deactivated(target.clone(), code.map_or(Ok(()), |code| Err(failure(code)))))
            }
            _ => None,
        });
        failed.go(Input::TakeBack(vec!["one".parse().unwrap()]));
        assert_eq!(failed.seals(), [Verdict::Fail], "the verdict stays what it is");
        let mut story = Story::new();
        story.tell(&failed);
        assert_eq!(story.left(), [], "{code:?}");
    }
    // Cut off between intent and result, it is gone on with.
    failed.script = Box::new(|_, _| None);
    let before = failed.log.len();
    failed.go(Input::TakeBack(vec!["one".parse().unwrap()]));
    failed.cut(before + 1);
    let mut story = Story::new();
    let run = story.tell(&failed);
    assert_eq!(story.left(), of_chip(run));
    failed.go(Input::TakeBack(vec!["one".parse().unwrap()]));
    assert!(failed.run().left.is_empty() && failed.run().deactivate.is_empty());
}

#[test]
fn what_is_no_longer_open_is_what_may_be_taken_back() {
    let one = || vec!["one".parse().unwrap()];
    let mut held = refusing(ReasonCode::CLOUD_UNREACHABLE, true);
    assert_eq!(held.run().verdict(), Some(Verdict::Held));
    assert!(held.try_go(Input::TakeBack(one())).is_err(), "it comes to a verdict first");
    let mut story = Story::new();
    story.tell(&held);
    story.lock(LockKind::Scrapped, None);
    assert_eq!(story.left(), []);
    // Its own fault, when it is taken up: what it left before is taken back although this attempt left nothing.
    held.script = Box::new(|_, effect| match effect {
        Effect::Register(asked) => Some(refused(asked, failure(ReasonCode::THING_FOREIGN), false)),
        _ => None,
    });
    held.calls.clear();
    let run = held.go(Input::Resume);
    assert_eq!((run.verdict(), held.count(Call::Deactivate)), (Some(Verdict::Fail), 1));
}

/// What a PASS stands for stays ACTIVE when another board fails under the unit's serial number, or the unit again for
/// being locked; not when the very chip fails a substitution rule.
#[test]
fn a_pass_stands_until_the_very_chip_is_suspect() {
    let mut story = Story::new();
    let run = story.tell(&passed());
    let mut other_chip = World::new();
    other_chip.chip = CHIPS[1].clone();
    other_chip.script = Box::new(|_, effect| match effect {
        Effect::Register(asked) => Some(refused(asked, failure(ReasonCode::THING_FOREIGN), false)),
        _ => None,
    });
    other_chip.begin();
    story.tell(&other_chip);
    assert_eq!(story.left(), []);
    story.lock(LockKind::Scrapped, None);
    assert_eq!(story.left(), [], "scrapped, it is taken back by whoever says so");
    story.tell(&foreign());
    assert_eq!(story.left(), [], "what somebody put beside it in the cloud stops no device in use");
    let mut suspect = World::new();
    suspect.script = Box::new(|_, effect| match effect {
        Effect::Claim { .. } => Some(Input::Unlisted(Unlisted::Absent { batch: "B-1".parse().unwrap() })),
        _ => None,
    });
    assert_eq!(suspect.begin().verdict(), Some(Verdict::Fail));
    story.tell(&suspect);
    assert_eq!(story.left(), of_chip(run));
    // A later PASS, after a release, stands again.
    story.release();
    story.tell(&passed());
    story.lock(LockKind::Scrapped, None);
    assert_eq!(story.left(), []);
}

/// A run that went on in the cloud while its unit was taken back: what it did may have come after that.
#[test]
fn what_a_run_may_have_done_after_a_withdrawal_is_taken_back() {
    let mut story = Story::new();
    story.tell(&passed());
    let ruling = story.withdraw();
    story.withdrawn(ruling, Some(ReasonCode::CLOUD_UNREACHABLE));
    assert_eq!(story.left(), [], "the same command goes on with that");
    story.withdrawn(ruling, None);
    assert_eq!(story.left(), []);
    let cut = story.tell(&cut_off());
    assert_eq!(story.left(), of_chip(cut));

    // Before the ruling it was found by it.
    let mut story = Story::new();
    story.tell(&cut_off());
    let ruling = story.withdraw();
    story.withdrawn(ruling, None);
    assert_eq!(story.left(), []);
}

#[test]
fn a_run_without_a_verdict_is_open() {
    let mut story = Story::new();
    story.tell(&passed());
    assert_eq!(open(&story.history).len(), 0);
    let mut world = passed();
    world.cut(5);
    let run = story.tell(&world);
    assert_eq!(open(&story.history).iter().map(|run| run.id).collect::<Vec<_>>(), [run]);
}

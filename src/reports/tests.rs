use std::io::{self, Cursor, Read as _, Seek, SeekFrom, Write};
use std::sync::{Arc, Mutex};

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::Value;

use super::*;
use crate::domain::{Failure, ReasonCode, ReportFormat, ReportScope, RunId, Verdict};
use crate::ports::{ReportFile, ReportedRun, Written};

/// A run of unit `serial` that began at this time of November 2026 and took ten seconds.
fn run(serial: &str, began: &str, verdict: Verdict) -> Seen {
    static SEQ: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(1);
    let seq = SEQ.fetch_add(10, std::sync::atomic::Ordering::Relaxed);
    let started: Timestamp = format!("2026-11-{began}Z").parse().unwrap();
    let passed = verdict == Verdict::Pass;
    let run = ReportedRun {
        seq,
        sealed: seq + 9,
        run: RunId::from_random(u128::from(seq).to_be_bytes()),
        station: "ST-1".parse().unwrap(),
        lane: 3.try_into().unwrap(),
        product: "gateway".parse().unwrap(),
        serial: (!serial.is_empty()).then(|| serial.to_owned()),
        batch: Some("WO-1".parse().unwrap()),
        operator: None,
        thing: None,
        fingerprint: None,
        uid: None,
        started,
        finished: started + jiff::SignedDuration::from_secs(10),
        verdict,
        reason: (!passed).then_some(ReasonCode::CLOUD_UNREACHABLE),
        resumed: false,
        came_back: false,
        scrapped: false,
    };
    Seen { run, operator: None }
}

fn folded(runs: Vec<Seen>, calendar: Calendar) -> (Vec<Line>, Figures) {
    let mut fold = Fold::new(calendar);
    let mut lines: Vec<Line> = runs.into_iter().flat_map(|seen| fold.take(seen)).collect();
    lines.extend(fold.end_unit());
    let figures = fold.figures(&[]);
    (lines, figures)
}

fn utc() -> Calendar {
    Calendar::new(TimeZone::UTC)
}

fn count(attempts: u64, units: u64, first_passes: u64, final_passes: u64, retested: u64) -> Yield {
    Yield { attempts, units, first_passes, final_passes, retested }
}

#[test]
fn yield_is_counted_by_unit_and_day_and_first_attempt() {
    use Verdict::{Aborted, Error, Fail, Held, Pass};
    let (lines, figures) = folded(
        vec![
            run("A1", "01T08:00:00", Pass),
            // ABORTED is no attempt, ERROR is one that did not pass.
            run("A2", "01T08:00:00", Aborted),
            run("A2", "01T09:00:00", Error),
            run("A2", "01T10:00:00", Pass),
            // The next day is another first attempt.
            run("A3", "01T08:00:00", Fail),
            run("A3", "02T08:00:00", Pass),
            // Not decided yet; only ever aborted; of no unit.
            run("A4", "02T08:00:00", Held),
            run("A5", "02T08:00:00", Aborted),
            run("", "02T08:00:00", Error),
            run("", "02T09:00:00", Error),
        ],
        utc(),
    );
    assert_eq!(figures.total, count(5, 4, 2, 3, 1));
    let days: Vec<_> =
        figures.groups[&By::Day].iter().map(|group| (group.name.as_deref().unwrap(), group.count)).collect();
    assert_eq!(days, [("2026-11-01", count(4, 3, 1, 2, 1)), ("2026-11-02", count(1, 1, 1, 1, 0))]);
    assert_eq!(figures.units, Units { passed: 3, held: 1, ..Units::default() });
    assert_eq!(figures.runs, 10);
    assert_eq!(figures.verdicts, [("ABORTED", 2), ("ERROR", 3), ("FAIL", 1), ("HELD", 1), ("PASS", 3)].into());
    // What keeps a board from being known is a reason, too.
    let [reason] = &figures.reasons[..] else { panic!("{:?}", figures.reasons) };
    assert_eq!((reason.failed, reason.errors), (1, 3));
    assert_eq!(figures.groups[&By::Lane], [Group { name: Some("ST-1/3".to_owned()), count: figures.total }]);
    assert_eq!(figures.groups[&By::Operator], [Group { name: None, count: figures.total }]);
    let firsts: Vec<bool> = lines.iter().map(|line| line.first_of_day).collect();
    assert_eq!(firsts, [true, false, true, false, true, true, false, false, false, false]);
    assert_eq!(figures.total.first_pass_yield(), Some(0.5));
    assert_eq!(Yield::default().first_pass_yield(), None);
}

#[test]
fn a_held_run_that_is_decided_late_is_still_the_first_attempt_and_the_last_word() {
    let mut held = run("B1", "01T08:00:00", Verdict::Fail);
    let second = run("B1", "01T09:00:00", Verdict::Error);
    held.run.sealed = second.run.sealed + 1;
    let (_, figures) = folded(vec![held, second], utc());
    assert_eq!(figures.total, count(2, 1, 0, 0, 1));
    assert_eq!(figures.units, Units { failed: 1, ..Units::default() });
}

#[test]
fn what_came_back_is_held_no_more_and_what_is_scrapped_is_told_beside_its_verdict() {
    let mut held = run("B1", "01T08:00:00", Verdict::Held);
    held.run.came_back = true;
    let mut scrapped = run("B2", "01T08:00:00", Verdict::Fail);
    scrapped.run.scrapped = true;
    let (_, figures) = folded(vec![held, scrapped], utc());
    assert_eq!(figures.units, Units { failed: 1, scrapped: 1, ..Units::default() });
}

#[test]
fn a_day_is_the_plants() {
    let tokyo = Calendar::new(TimeZone::posix("JST-9").unwrap());
    let runs = vec![run("A1", "01T14:59:59", Verdict::Fail), run("A1", "01T15:00:00", Verdict::Pass)];
    let (lines, figures) = folded(runs.clone(), tokyo);
    assert_eq!(figures.total, count(2, 2, 1, 1, 0));
    assert_eq!(lines[1].day.to_string(), "2026-11-02");
    let hours: Vec<&str> = figures.hours.iter().map(|hour| hour.hour.as_str()).collect();
    assert_eq!(hours, ["2026-11-02T00:00+09:00"], "by their end");
    assert_eq!(folded(runs, utc()).1.total, count(2, 1, 0, 1, 1));
}

#[test]
fn times_are_told_by_nearest_rank() {
    let timed: Vec<Timed> =
        (1..=20).map(|n| Timed { steps: [(crate::domain::Step::Read, n)].into(), run: 100 }).collect();
    let [read, run] = &steps::times(&timed)[..] else { panic!() };
    let StepTimes { step, runs, min, p25, median, p75, p95, max } = *read;
    assert_eq!((step, runs, min, p25, median, p75, p95, max), ("read", 20, 1, 5, 10, 15, 19, 20));
    assert_eq!((run.step, run.min, run.max), ("run", 100, 100));
}

#[test]
fn a_sample_is_the_same_in_any_order() {
    let runs: Vec<RunId> =
        (0..5000_u128).map(|n| RunId::from_random((n * 0x9e37_79b9_7f4a_7c15_f39c_c060).to_be_bytes())).collect();
    let drawn = |runs: &mut dyn Iterator<Item = RunId>| {
        let mut sample = steps::Sample::default();
        runs.for_each(|run| sample.offer(run));
        let mut drawn = sample.runs();
        drawn.sort_unstable();
        drawn
    };
    let forth = drawn(&mut runs.iter().copied());
    assert_eq!(forth.len(), 2000);
    assert_eq!(forth, drawn(&mut runs.iter().rev().copied()));
}

/// A file in memory that can be looked at afterwards.
#[derive(Clone, Default)]
pub struct Memory(Arc<Mutex<Cursor<Vec<u8>>>>);

impl Memory {
    pub fn bytes(&self) -> Vec<u8> {
        self.0.lock().unwrap().get_ref().clone()
    }
}
impl Write for Memory {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
impl Seek for Memory {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.0.lock().unwrap().seek(to)
    }
}
impl ReportFile for Memory {
    fn finish(&mut self) -> Result<Written, Failure> {
        unreachable!("nobody keeps it")
    }
    fn keep(self: Box<Self>) -> Result<(), Failure> {
        unreachable!("nobody keeps it")
    }
}

/// What people and machines call themselves, and what a spreadsheet, a quote or a terminal would make of it.
pub fn hostile() -> Vec<String> {
    let mut values: Vec<String> = [
        "=cmd|' /C calc'!A0",
        "+1",
        "-2+3",
        "@SUM(A1)",
        "\t=1",
        "＝1+1",
        "'=already",
        "''",
        "comma, semicolon; \"quotes\"",
        "two\r\nlines",
        "\nbegins below",
        "😀 👩‍🏭 e\u{301}",
        "مرحبا بالعالم",
        "a\u{202e}drowssap\u{202c}",
        "山田 太郎",
        " spaces ",
        "\u{feff}bom",
        "</script><w:t>&amp;",
        "null",
        "12345678901234567890",
        "1e5",
        "2026-11-30",
    ]
    .map(str::to_owned)
    .to_vec();
    values.push("長".repeat(10_000));
    values
}

pub fn written(format: ReportFormat, style: &Style) -> Vec<u8> {
    let runs = hostile()
        .into_iter()
        .enumerate()
        .map(|(n, value)| Seen { operator: Some(value), ..run(&format!("U{n:03}"), "30T08:00:00", Verdict::Pass) });
    let mut fold = Fold::new(utc());
    let file = Memory::default();
    let mut document = document(format, style, Box::new(file.clone())).unwrap();
    for seen in runs {
        fold.take(seen).iter().for_each(|line| document.line(line).unwrap());
    }
    fold.end_unit().iter().for_each(|line| document.line(line).unwrap());
    let head = Head {
        made: "2026-11-30T12:00:00Z".parse().unwrap(),
        by: Some("=cmd".to_owned()),
        station: "ST-1".parse().unwrap(),
        scope: ReportScope::default(),
        batch: None,
        time_zone: "UTC".to_owned(),
        pseudonymous: false,
        log_size: 7,
        log_root: "00".repeat(32),
        checkpoint: None,
        rollback_unprovable: true,
    };
    drop(document.end(&Report { head, figures: fold.figures(&[]) }).unwrap());
    file.bytes()
}

#[test]
fn a_csv_file_gives_every_value_back_and_none_to_compute() {
    let bytes = written(ReportFormat::Csv, &Style { bom: true });
    let text = std::str::from_utf8(bytes.strip_prefix(b"\xef\xbb\xbf").unwrap()).unwrap();
    assert!(text.starts_with("product,serial,batch,station,lane,operator,") && text.ends_with("\r\n"));
    let mut reader = ::csv::Reader::from_reader(text.as_bytes());
    let read: Vec<String> = reader.records().map(|record| record.unwrap()[5].to_owned()).collect();
    for (read, value) in read.iter().zip(hostile()) {
        assert!(!read.starts_with(['=', '+', '-', '@', '\t', '\r', '\n', '＝']), "{read:?}");
        // As csv.rs tells whoever reads it.
        let behind = read.trim_start_matches('\'');
        let is_guarded = read.len() > behind.len() && behind.starts_with(['=', '+', '-', '@', '\t', '\r', '\n', '＝']);
        assert_eq!(if is_guarded { &read[1..] } else { read }, value);
    }
    assert_eq!(read.len(), hostile().len());
    let plain = written(ReportFormat::Csv, &Style { bom: false });
    assert!(plain.starts_with(b"product,"));
}

#[test]
fn a_json_file_gives_every_value_back() {
    let bytes = written(ReportFormat::Json, &Style { bom: false });
    let report: Value = serde_json::from_slice(&bytes).unwrap();
    let read: Vec<&str> =
        report["runs"].as_array().unwrap().iter().map(|run| run["operator"].as_str().unwrap()).collect();
    assert_eq!(read, hostile());
    assert_eq!(report["report"]["figures"]["total"]["units"], hostile().len());
    assert_eq!(report["report"]["figures"]["total"]["first_pass_yield"], 1.0);
    let mut left = String::new();
    (&bytes[bytes.len() - 1..]).read_to_string(&mut left).unwrap();
    assert_eq!(left, "\n");
}

//! Mutates inputs and watches what becomes of them: a small engine, seeded, without instrumentation.
//!
//! Whatever a target says of an input (its outcome) guides it a little: an input that ends as none did
//! before is mutated further.

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// No input of this size takes a slow machine a tenth of it.
const HANGS_AFTER: Duration = Duration::from_secs(30);
/// What a mutation may grow an input to.
const LARGEST: usize = 64 << 10;
/// An input that is the same over and over.
const LARGE: usize = 256 << 10;
/// Inputs that are kept for what became of them.
const KEPT: usize = 2000;
/// Targets of the suite: each has its part of the time.
const TARGETS: u32 = 9;

pub struct Target<'t> {
    /// The test's name, and the folder of its corpus.
    pub name: &'static str,
    /// How many inputs are tried when no time is given.
    pub inputs: u64,
    pub seeds: Vec<Vec<u8>>,
    /// What this kind of input is made of.
    pub words: &'static [&'static str],
    /// Panics if the input does any harm; else says in few words what became of it.
    pub check: &'t dyn Fn(&[u8]) -> String,
}

impl Target<'_> {
    /// All of the corpus, then mutations of it: so many, or for so long as the environment says.
    pub fn run(self) {
        let watch = Watch::start(self.name);
        if let Some(file) = std::env::var_os("LINESEAL_FUZZ_INPUT") {
            if is_of(Path::new(&file), self.name) {
                let input = std::fs::read(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
                println!("{}: {}", self.name, watch.during(&input, || (self.check)(&input)));
            }
            return;
        }
        let (until, seed) = (time(), seed());
        println!("LINESEAL_SEED={seed} {}", self.name);
        let mut outcomes = BTreeSet::new();
        let mut pool = self.seeds.clone();
        pool.extend(saved(self.name).into_iter().map(|(_, bytes)| bytes));
        for input in pool.clone() {
            outcomes.insert(self.one(&watch, &input));
            // What takes the square of an input's size does not end in time.
            self.one(&watch, &input.iter().copied().cycle().take(LARGE).collect::<Vec<u8>>());
        }
        let mut random = Random(seed ^ self.name.bytes().fold(0, |sum, byte| sum * 31 + u64::from(byte)));
        let mut tried = 0;
        while until.map_or(tried < self.inputs, |until| Instant::now() < until) {
            let input = mutate(&mut random, &pool, self.words);
            let outcome = self.one(&watch, &input);
            if outcomes.insert(outcome) && pool.len() < KEPT {
                pool.push(input);
            }
            tried += 1;
        }
        println!("{}: {tried} inputs, {} outcomes", self.name, outcomes.len());
    }

    fn one(&self, watch: &Watch, input: &[u8]) -> String {
        match catch_unwind(AssertUnwindSafe(|| watch.during(input, || (self.check)(input)))) {
            Ok(outcome) => outcome,
            Err(_) => panic!("{}", keep(self.name, input)),
        }
    }
}

/// Inputs that are kept beside the tests, by their names.
pub fn saved(target: &str) -> Vec<(String, Vec<u8>)> {
    // Some have none of their own but those of `assets`.
    let Ok(folder) = std::fs::read_dir(corpus(target)) else { return Vec::new() };
    let mut files: Vec<PathBuf> = folder.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let named = |file: PathBuf| (file.file_name().unwrap().to_str().unwrap().to_owned(), std::fs::read(&file).unwrap());
    files.into_iter().map(named).collect()
}

pub fn corpus(target: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus").join(target)
}

/// Kept after a failure, or in the corpus.
fn is_of(file: &Path, target: &str) -> bool {
    let name = |path: &Path| path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    name(file).starts_with(&format!("{target}-")) || file.parent().is_some_and(|folder| name(folder) == target)
}

/// Causes without what differs from input to input.
pub fn kind_of(text: &str) -> String {
    text.chars().filter(|c| c.is_ascii_alphabetic() || *c == ' ').take(60).collect()
}

/// Writes a failing input down, and says how to try it again.
fn keep(target: &str, input: &[u8]) -> String {
    let folder = std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("target"), PathBuf::from)
        .join("fuzz");
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, input);
    let file = folder.join(format!("{target}-{}", hex::encode(&digest.as_ref()[..8])));
    if let Err(error) = std::fs::create_dir_all(&folder).and_then(|()| std::fs::write(&file, input)) {
        return format!("{target}: an input of {} bytes fails, and can't be written: {error}", input.len());
    }
    let file = file.display();
    format!("{target}: {file} fails; again: LINESEAL_FUZZ_INPUT={file} cargo test --test fuzz")
}

/// Since when, and the input.
type UnderWay = Option<(Instant, Vec<u8>)>;

/// Ends the program when one input takes for ever: the thread that is in it can't be ended otherwise.
struct Watch {
    under_way: Arc<Mutex<UnderWay>>,
    over: Arc<AtomicBool>,
}

impl Watch {
    fn start(target: &'static str) -> Self {
        let watch = Self { under_way: Arc::default(), over: Arc::default() };
        let (under_way, over) = (Arc::clone(&watch.under_way), Arc::clone(&watch.over));
        std::thread::spawn(move || {
            while !over.load(Ordering::Relaxed) {
                std::thread::sleep(Duration::from_millis(200));
                let now = under_way.lock().unwrap_or_else(PoisonError::into_inner).clone();
                if let Some((begun, input)) = now.filter(|(begun, _)| begun.elapsed() > HANGS_AFTER) {
                    println!("after {} s: {}", begun.elapsed().as_secs(), keep(target, &input));
                    std::process::exit(1);
                }
            }
        });
        watch
    }

    fn during<T>(&self, input: &[u8], work: impl FnOnce() -> T) -> T {
        let set = |now| *self.under_way.lock().unwrap_or_else(PoisonError::into_inner) = now;
        set(Some((Instant::now(), input.to_vec())));
        let done = work();
        set(None);
        done
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
    }
}

/// `LINESEAL_FUZZ_MINUTES` are those of the whole suite, one target after the other.
fn time() -> Option<Instant> {
    let minutes = match std::env::var("LINESEAL_FUZZ_MINUTES") {
        Ok(minutes) => minutes.parse().unwrap(),
        Err(_) if std::env::var_os("LINESEAL_LONG").is_some() => 60,
        Err(_) => return None,
    };
    Some(Instant::now() + Duration::from_secs(60 * minutes) / TARGETS)
}

fn seed() -> u64 {
    match std::env::var("LINESEAL_SEED") {
        Ok(seed) => seed.parse().unwrap(),
        Err(_) if time().is_some() => rand::random(),
        // The same inputs at every run.
        Err(_) => 1,
    }
}

/// SplitMix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Less than `bound`, which may be 0.
    fn below(&mut self, bound: usize) -> usize {
        if bound == 0 { 0 } else { (self.next() % bound as u64) as usize }
    }
}

fn mutate(random: &mut Random, pool: &[Vec<u8>], words: &[&str]) -> Vec<u8> {
    let mut bytes = pool[random.below(pool.len())].clone();
    // Few at a time: what is bent in many places is refused at the first.
    for _ in 0..1 + random.below(4) {
        once(random, &mut bytes, pool, words);
        bytes.truncate(LARGEST);
    }
    bytes
}

fn once(random: &mut Random, bytes: &mut Vec<u8>, pool: &[Vec<u8>], words: &[&str]) {
    let at = random.below(bytes.len() + 1);
    let some = at + random.below((bytes.len() - at).min(64) + 1);
    match random.below(14) {
        0 | 1 => with(bytes, at, |byte| byte ^ (1 << (random.next() % 8))),
        2 => with(bytes, at, |_| random.next() as u8),
        3 => {
            let interesting = [0, 1, 0x7f, 0x80, 0xff, 0x30, 0x31, 0x02, 0x0a, b'"', b'\\', b'[', b'{'];
            with(bytes, at, |_| interesting[random.below(interesting.len())]);
        }
        4 => with(bytes, at, |byte| byte.wrapping_add(1 + (random.next() % 8) as u8).wrapping_sub(4)),
        5 => bytes.insert(at, random.next() as u8),
        6 => drop(bytes.drain(at..some)),
        7 => {
            let piece = bytes[at..some].to_vec();
            let times = 1 << random.below(9);
            let repeated: Vec<u8> = piece.iter().copied().cycle().take((piece.len() * times).min(LARGEST)).collect();
            drop(bytes.splice(at..at, repeated));
        }
        8 => bytes.truncate(at),
        9 => {
            // The head of this one, the tail of another one.
            let other = &pool[random.below(pool.len())];
            let from = random.below(other.len() + 1);
            bytes.truncate(at);
            bytes.extend_from_slice(&other[from..]);
        }
        10 => {
            let other = &pool[random.below(pool.len())];
            let from = random.below(other.len() + 1);
            let piece = &other[from..(from + 1 + random.below(64)).min(other.len())];
            drop(bytes.splice(at..(at + piece.len()).min(bytes.len()), piece.iter().copied()));
        }
        11 => integer(random, bytes, at),
        12 => der_length(random, bytes, at),
        _ if words.is_empty() => with(bytes, at, |byte| !byte),
        _ => {
            let word = words[random.below(words.len())].bytes();
            drop(bytes.splice(at..if random.below(2) == 0 { at } else { some }, word));
        }
    }
}

fn with(bytes: &mut [u8], at: usize, change: impl FnOnce(u8) -> u8) {
    if let Some(byte) = bytes.get_mut(at) {
        *byte = change(*byte);
    }
}

/// At the edges of what a number's type can hold; in text where there is text.
fn integer(random: &mut Random, bytes: &mut Vec<u8>, at: usize) {
    const EDGES: [u64; 12] =
        [0, 1, 0x7f, 0x80, 0xff, 0x7fff, 0xffff, 0x7fff_ffff, 0xffff_ffff, 1 << 53, i64::MAX as u64, u64::MAX];
    let number = EDGES[random.below(EDGES.len())];
    if bytes.get(at).is_some_and(u8::is_ascii_digit) {
        let end = at + bytes[at..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        let sign = if random.below(4) == 0 { "-" } else { "" };
        drop(bytes.splice(at..end, format!("{sign}{number}").into_bytes()));
    } else {
        let width = 1 << random.below(4);
        for (byte, edge) in bytes.iter_mut().skip(at).zip(&number.to_be_bytes()[8 - width..]) {
            *byte = *edge;
        }
    }
}

/// Another length for an element of DER (X.690 §8.1.3) that begins near `at`.
fn der_length(random: &mut Random, bytes: &mut Vec<u8>, at: usize) {
    let tags = [0x30, 0x31, 0x02, 0x03, 0x04, 0x06, 0x0c, 0x13, 0x17, 0xa0, 0xa3];
    let Some(tag) = (at..bytes.len()).find(|place| tags.contains(&bytes[*place])) else { return };
    let Some(length) = bytes.get(tag + 1).copied() else { return };
    let written: &[u8] = match random.below(7) {
        0 => &[length.wrapping_add(1)],
        1 => &[length.wrapping_sub(1)],
        // Indefinite, longer than it has to be, longer than there is.
        2 => &[0x80],
        3 => &[0x81, length],
        4 => &[0x82, 0, length],
        5 => &[0x84, 0xff, 0xff, 0xff, 0xff],
        _ => &[0x88, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
    };
    drop(bytes.splice(tag + 1..tag + 2, written.iter().copied()));
}

#[test]
fn the_same_seed_makes_the_same_inputs_and_they_differ() {
    let pool = vec![b"{\"a\": 12}".to_vec(), vec![0x30, 0x03, 0x02, 0x01, 0x05]];
    let made = |seed| {
        let mut random = Random(seed);
        (0..500).map(|_| mutate(&mut random, &pool, &["null"])).collect::<Vec<_>>()
    };
    assert_eq!(made(7), made(7));
    assert_ne!(made(7), made(8));
    assert!(made(7).into_iter().collect::<BTreeSet<_>>().len() > 300);
}

#[test]
fn a_failing_input_is_kept_and_the_command_is_said() {
    let check = |input: &[u8]| if input.is_empty() { String::new() } else { panic!("as the test wants") };
    let target = Target { name: "serial", inputs: 0, seeds: vec![b"x".to_vec()], words: &[], check: &check };
    let said = catch_unwind(AssertUnwindSafe(|| target.run())).unwrap_err();
    let said = said.downcast_ref::<String>().unwrap();
    let (_, rest) = said.split_once("LINESEAL_FUZZ_INPUT=").unwrap();
    let file = rest.split(' ').next().unwrap();
    assert!(std::fs::read(file).is_ok() && is_of(Path::new(file), "serial"), "{said}");
    std::fs::remove_file(file).unwrap();
}

//! Whatever stands in the files: an answer, never a panic.

use proptest::prelude::*;

use super::fixture::{Fixture, PROFILE, SLIP, STATION, UNIT};
use crate::config::load;

/// One change to a text's bytes.
#[derive(Debug, Clone)]
enum Change {
    Remove(prop::sample::Index, usize),
    Insert(prop::sample::Index, Vec<u8>),
    Swap(prop::sample::Index, prop::sample::Index, usize),
}

fn change() -> impl Strategy<Value = Change> {
    let bit = prop_oneof![
        prop::collection::vec(any::<u8>(), 1..4),
        "[\\[\\]{}=\"'.,\n\\\\0-9a-z^~\u{e9}-]{1,6}".prop_map(String::into_bytes),
    ];
    prop_oneof![
        (any::<prop::sample::Index>(), 1..30_usize).prop_map(|(at, size)| Change::Remove(at, size)),
        (any::<prop::sample::Index>(), bit).prop_map(|(at, bytes)| Change::Insert(at, bytes)),
        (any::<prop::sample::Index>(), any::<prop::sample::Index>(), 1..30_usize)
            .prop_map(|(a, b, size)| Change::Swap(a, b, size)),
    ]
}

fn spoil(text: &str, changes: &[Change]) -> Vec<u8> {
    let mut bytes = text.as_bytes().to_vec();
    for change in changes {
        let len = bytes.len() + 1;
        match change {
            Change::Remove(at, size) => {
                let at = at.index(len);
                let end = (at + size).min(bytes.len());
                bytes.drain(at..end);
            }
            Change::Insert(at, new) => {
                let at = at.index(len);
                bytes.splice(at..at, new.iter().copied());
            }
            Change::Swap(a, b, size) => {
                let (a, b) = (a.index(len), b.index(len));
                let end = (a + size).min(bytes.len());
                let moved: Vec<u8> = bytes.drain(a..end).collect();
                let b = b.min(bytes.len());
                bytes.splice(b..b, moved);
            }
        }
    }
    bytes
}

/// Loads; every mistake has to have a text and a file.
fn answers(fixture: &Fixture) {
    if let Err(errors) = load(&fixture.path("lineseal.toml")) {
        assert!(!errors.problems().is_empty());
        assert!(errors.problems().iter().all(|problem| problem.line != Some(0) && problem.column != Some(0)));
        assert!(!errors.to_string().is_empty());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn random_bytes(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let fixture = Fixture::new();
        fixture.write("profiles/gateway.toml", &bytes);
        fixture.write("profiles/unit.zpl", &bytes);
        answers(&fixture);
        fixture.write("lineseal.toml", &bytes);
        answers(&fixture);
    }

    #[test]
    fn spoilt_files(changes in prop::collection::vec(change(), 1..6)) {
        let fixture = Fixture::new();
        fixture.write("profiles/unit.zpl", spoil(UNIT, &changes));
        fixture.write("profiles/slip.zpl", spoil(SLIP, &changes));
        answers(&fixture);
        fixture.write("profiles/gateway.toml", spoil(PROFILE, &changes));
        answers(&fixture);
        fixture.write("lineseal.toml", spoil(STATION, &changes));
        answers(&fixture);
    }
}

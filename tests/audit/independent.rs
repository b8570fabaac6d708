//! Proofs and checkpoints of ours before an implementation that is not.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use base64::Engine as _;
use base64::alphabet;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD};
use lineseal::audit::TreeHead;
use lineseal::audit::note::SignedCheckpoint;
use lineseal::audit::proof::{prove_consistency, prove_inclusion, root_at};
use lineseal::audit::tlog_proof::TlogProof;
use serde_json::{Value, json};

use crate::sample::{Log, station_key};

fn log(size: u32) -> Log {
    let mut log = Log::default();
    (0..size).for_each(|number| log.push(format!("event {number}").into_bytes()));
    log
}

fn proof(log: &Log, index: u64) -> TlogProof {
    let checkpoint = SignedCheckpoint::sign(log.checkpoint(), &station_key()).unwrap();
    let hashes = prove_inclusion(index, checkpoint.checkpoint().head().size, log.read()).unwrap();
    TlogProof { extra: None, index, hashes, checkpoint }
}

fn inclusion(text: &str, event: &[u8]) -> Value {
    let key = station_key().verifier().to_string();
    json!({ "check": "tlog-proof", "text": text, "event": STANDARD.encode(event), "key": key })
}

fn consistency(old: TreeHead, new: TreeHead, proof: &[[u8; 32]]) -> Value {
    let head = |head: TreeHead| json!({ "size": head.size, "root": STANDARD.encode(head.root) });
    let proof: Vec<String> = proof.iter().map(|hash| STANDARD.encode(hash)).collect();
    json!({ "check": "consistency", "old": head(old), "new": head(new), "proof": proof })
}

#[test]
fn another_implementation_accepts_every_proof_of_small_logs() {
    let mut cases = Vec::new();
    for size in 1..=33 {
        let log = log(size);
        let head = |size: u64| TreeHead { size, root: root_at(size, log.read()).unwrap() };
        let size = u64::from(size);
        for index in 0..size {
            cases.push(inclusion(&proof(&log, index).to_string(), &log.events[index as usize]));
            let old = index + 1;
            cases.push(consistency(head(old), head(size), &prove_consistency(old, size, log.read()).unwrap()));
        }
    }
    let answers = judge(&cases);
    let refused: Vec<&Value> = cases.iter().zip(&answers).filter(|(_, ok)| !**ok).map(|(case, _)| case).collect();
    assert!(refused.is_empty(), "{refused:#?}");
}

#[test]
fn another_implementation_refuses_a_proof_with_any_bit_flipped() {
    let log = log(23);
    let (index, honest) = (12, proof(&log, 12).to_string());
    let event = &log.events[index];
    let mut cases: Vec<Value> = flipped_texts(&honest).map(|text| inclusion(&text, event)).collect();
    cases.extend(flips(event).map(|event| inclusion(&honest, &event)));
    assert!(cases.len() > 2000, "{}", cases.len());
    all_refused(&cases);
    assert_eq!(judge(&[inclusion(&honest, event)]), [true]);
}

#[test]
fn another_implementation_refuses_a_checkpoint_with_any_bit_flipped() {
    let key = station_key().verifier().to_string();
    let honest = SignedCheckpoint::sign(log(23).checkpoint(), &station_key()).unwrap().to_string();
    let case = |note: &str| json!({ "check": "checkpoint", "note": note, "key": key });
    let cases: Vec<Value> = flipped_texts(&honest).map(|text| case(&text)).collect();
    assert!(cases.len() > 1000, "{}", cases.len());
    all_refused(&cases);
    assert_eq!(judge(&[case(&honest)]), [true]);
}

#[test]
fn another_implementation_refuses_consistency_with_any_bit_flipped() {
    let log = log(23);
    let head = |size: u64| TreeHead { size, root: root_at(size, log.read()).unwrap() };
    let proof = prove_consistency(9, 23, log.read()).unwrap();
    let (old, new) = (head(9), head(23));
    let mut cases: Vec<Value> =
        flips(&proof.concat()).map(|bytes| consistency(old, new, bytes.as_chunks::<32>().0)).collect();
    let rooted = |head: TreeHead, root: Vec<u8>| TreeHead { root: root.try_into().unwrap(), ..head };
    cases.extend(flips(&old.root).map(|root| consistency(rooted(old, root), new, &proof)));
    cases.extend(flips(&new.root).map(|root| consistency(old, rooted(new, root), &proof)));
    all_refused(&cases);
    assert_eq!(judge(&[consistency(old, new, &proof)]), [true]);
}

/// Of a text that ends with a signature in base64. Its last digit has two bits that mean nothing: this
/// peer, by Python's decoder, reads over them, and we refuse them.
fn flipped_texts(honest: &str) -> impl Iterator<Item = String> {
    let bits = GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true);
    let lenient = GeneralPurpose::new(&alphabet::STANDARD, bits);
    let signature = move |text: &str| lenient.decode(text.trim_end().rsplit(' ').next().unwrap_or_default()).ok();
    let (honest, meant) = (honest.to_owned(), signature(honest));
    let texts = flips(honest.as_bytes()).filter_map(|text| String::from_utf8(text).ok()).collect::<Vec<_>>();
    texts.into_iter().filter(move |text| {
        let (before, last) = text.split_at(text.len() - 5);
        let only_spare = honest.starts_with(before) && signature(text) == meant && last.ends_with("=\n");
        assert!(!only_spare || (text.parse::<SignedCheckpoint>().is_err() && text.parse::<TlogProof>().is_err()));
        !only_spare
    })
}

fn flips(bytes: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    (0..bytes.len() * 8).map(|bit| {
        let mut flipped = bytes.to_vec();
        flipped[bit / 8] ^= 1 << (bit % 8);
        flipped
    })
}

fn all_refused(cases: &[Value]) {
    let answers = judge(cases);
    let accepted: Vec<&Value> = cases.iter().zip(&answers).filter(|(_, ok)| **ok).map(|(case, _)| case).collect();
    assert!(accepted.is_empty(), "{accepted:#?}");
}

/// `tests/peers/judge_log.py`: one answer a case.
fn judge(cases: &[Value]) -> Vec<bool> {
    let mut peer = Command::new(venv().join("bin/python"))
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers/judge_log.py"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("a Python environment with tests/peers/requirements-log.txt in LINESEAL_TEST_VENV");
    let mut input = peer.stdin.take().unwrap();
    input.write_all(&serde_json::to_vec(cases).unwrap()).unwrap();
    drop(input);
    let output = peer.wait_with_output().unwrap();
    assert!(output.status.success(), "the peer failed");
    let answers: Vec<bool> = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(answers.len(), cases.len());
    answers
}

pub fn venv() -> PathBuf {
    let default = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/test-venv");
    std::env::var_os("LINESEAL_TEST_VENV").map_or(default, PathBuf::from)
}

//! Published vectors, reproduced as values, and what their forms refuse.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secrecy::{ExposeSecret, SecretBox};
use signed_note::Verifier as _;

use super::{Checkpoint, CheckpointError, KeyError, NoteKey, SignatureError, SignedCheckpoint, VerifierKey};
use crate::audit::tlog_proof::{TlogProof, TlogProofError};
use crate::audit::tree::{LeafHash, TreeHead, TreeState};

/// C2SP signed-note, "Ed25519 signatures".
const SPEC_KEY: &str = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k";
const SPEC_TEXT: &str = "This is an example message.\n";
const SPEC_SIGNATURE: &str =
    "Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=";
/// golang.org/x/mod/sumdb/note, example_test.go; the signer key without its PRIVATE+KEY+name+id.
const GO_KEY: &str = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
const GO_SIGNER: &str = "AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz";
const GO_TEXT: &str =
    "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n";
const GO_SIGNATURE: &str =
    "x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=";
/// C2SP tlog-checkpoint.
const SPEC_CHECKPOINT: &str = "example.com/behind-the-sofa
20852163
CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=

— example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=
";

fn key(name: &str, seed: u8) -> NoteKey {
    NoteKey::from_seed(name.parse().unwrap(), &SecretBox::new(Box::new([seed; 32]))).unwrap()
}

fn checkpoint(size: u64) -> Checkpoint {
    let mut tree = TreeState::default();
    (0..size).for_each(|index| drop(tree.append(LeafHash::of(&index.to_be_bytes()))));
    Checkpoint::new("plant.example/log".parse().unwrap(), tree.head())
}

#[test]
fn published_signatures_verify_under_published_keys() {
    for (key, text, signature) in [(SPEC_KEY, SPEC_TEXT, SPEC_SIGNATURE), (GO_KEY, GO_TEXT, GO_SIGNATURE)] {
        let verifier: VerifierKey = key.parse().unwrap();
        assert_eq!(verifier.to_string(), key);
        let bytes = STANDARD.decode(signature).unwrap();
        let (id, signature) = bytes.split_first_chunk().unwrap();
        assert_eq!(u32::from_be_bytes(*id), verifier.id());
        assert!(verifier.verify(text.as_bytes(), signature));
        assert!(!verifier.verify(&text.as_bytes()[1..], signature));
        assert!(!verifier.verify(text.as_bytes(), &signature[1..]));
    }
}

#[test]
fn a_published_key_signs_as_published() {
    let typed = STANDARD.decode(GO_SIGNER).unwrap();
    let seed: [u8; 32] = typed[1..].try_into().unwrap();
    let key = NoteKey::from_seed("PeterNeumann".parse().unwrap(), &SecretBox::new(Box::new(seed))).unwrap();
    assert_eq!(key.verifier().to_string(), GO_KEY);
    assert_eq!(key.sign(GO_TEXT.as_bytes()), STANDARD.decode(GO_SIGNATURE).unwrap()[4..]);
}

#[test]
fn a_key_in_any_other_form_is_no_key() {
    let parse = |text: &str| text.parse::<VerifierKey>().unwrap_err();
    for text in ["", "name", "a+b", "example.com/foo+530d903a+", "example.com/foo+530d903a+!!"] {
        assert_eq!(parse(text), KeyError::Format, "{text}");
    }
    assert!(matches!(parse(&format!(" {SPEC_KEY}")), KeyError::Name(_)));
    assert_eq!(parse(&format!("{SPEC_KEY}\n")), KeyError::Format);
    assert_eq!(parse(&SPEC_KEY.replace("530d903a", "530D903A")), KeyError::Id);
    assert_eq!(parse(&SPEC_KEY.replace("/foo", "/bar")), KeyError::Id);
    // Type 0x04 is a timestamped cosignature, another algorithm.
    assert_eq!(parse(&SPEC_KEY.replace("+Ae", "+BO")), KeyError::Algorithm);
    let off_curve = VerifierKey::from_public("x".parse().unwrap(), [2; 32]);
    assert_eq!(off_curve, Err(KeyError::Point));
}

/// A note key's file is a plain PKCS#8 key, which other tools read, and the other way round.
#[test]
fn a_signing_key_survives_its_pem() {
    let key = key("plant.example/log", 7);
    let pem = key.to_pem().unwrap();
    assert_eq!(pem.expose_secret().lines().count(), 3);
    let again = NoteKey::from_pem("plant.example/log".parse().unwrap(), &pem).unwrap();
    assert_eq!(again.verifier(), key.verifier());
    assert!(!format!("{key:?}").contains(&"07".repeat(4)), "{key:?}");
    assert!(NoteKey::from_pem("x".parse().unwrap(), &"no key".into()).is_err());
}

#[test]
fn the_published_checkpoint_is_read_and_written_back() {
    let signed: SignedCheckpoint = SPEC_CHECKPOINT.parse().unwrap();
    assert_eq!(signed.to_string(), SPEC_CHECKPOINT);
    let checkpoint = signed.checkpoint();
    assert_eq!(checkpoint.origin().as_str(), "example.com/behind-the-sofa");
    assert_eq!(checkpoint.head().size, 20_852_163);
    assert_eq!(STANDARD.encode(checkpoint.head().root), "CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=");
    assert_eq!(signed.verify(&[SPEC_KEY.parse().unwrap()]), Err(SignatureError::NoKnownKey));
}

#[test]
fn a_checkpoint_in_any_other_form_is_none() {
    let root = "CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=";
    let parse = |text: &str| text.parse::<Checkpoint>();
    assert_eq!(parse(&format!("log\n0\n{root}\n")).unwrap().head().size, 0);
    let extended = format!("log\n7\n{root}\nmore\n");
    assert_eq!(parse(&extended).unwrap().extensions(), ["more"]);
    assert_eq!(parse(&extended).unwrap().to_string(), extended);
    for (text, error) in [
        (String::new(), CheckpointError::Lines),
        (format!("log\n7\n{root}"), CheckpointError::Lines),
        ("log\n7\n".to_owned(), CheckpointError::Lines),
        (format!("\n7\n{root}\n"), CheckpointError::Lines),
        (format!("log\n7\n{root}\n\n"), CheckpointError::Lines),
        (format!("log\r\n7\n{root}\n"), CheckpointError::Lines),
        (format!("log\n07\n{root}\n"), CheckpointError::Size),
        (format!("log\n+7\n{root}\n"), CheckpointError::Size),
        (format!("log\n-7\n{root}\n"), CheckpointError::Size),
        (format!("log\n18446744073709551616\n{root}\n"), CheckpointError::Size),
        (format!("log\n7\n{}\n", &root[..43]), CheckpointError::Root),
        (format!("log\n7\n{}\n", root.replace("2I=", "2J=")), CheckpointError::Root),
        (format!("log\n7\n{}\n", STANDARD.encode([0; 31])), CheckpointError::Root),
    ] {
        assert_eq!(parse(&text), Err(error), "{text:?}");
    }
    assert!(matches!(parse(&format!("two words\n7\n{root}\n")), Err(CheckpointError::Origin(_))));
}

#[test]
fn the_log_signs_and_qa_cosigns_the_same_text() {
    let (log, qa, stranger) = (key("plant.example/log", 1), key("plant.example/qa", 2), key("plant.example/log", 3));
    let mut signed = SignedCheckpoint::sign(checkpoint(5), &log).unwrap();
    signed.cosign(&qa).unwrap();
    signed.cosign(&qa).unwrap();
    let text = signed.to_string();
    assert_eq!(text.matches('—').count(), 2, "{text}");
    let read: SignedCheckpoint = text.parse().unwrap();
    assert_eq!(read, signed);

    let keys = [stranger, log, qa].map(|key| key.verifier().clone());
    assert_eq!(read.verify(&keys).unwrap(), [&keys[1], &keys[2]]);
    assert_eq!(read.verify(&keys[2..]).unwrap(), [&keys[2]]);
    assert_eq!(read.verify(&keys[..1]), Err(SignatureError::NoKnownKey));
    assert_eq!(read.verify(&[]), Err(SignatureError::NoKnownKey));
}

/// A token that was asked for the wrong mechanism, and a QA key used as the log's.
#[test]
fn a_signature_that_does_not_verify_is_not_attached() {
    let (log, qa) = (key("plant.example/log", 1), key("plant.example/qa", 2));
    let head = checkpoint(5);
    let made = log.sign(head.to_string().as_bytes());
    SignedCheckpoint::attach(head.clone(), log.verifier(), &made).unwrap();
    for nonsense in [vec![0; 64], made[..63].to_vec(), log.sign(b"another text")] {
        let refused = SignedCheckpoint::attach(head.clone(), log.verifier(), &nonsense);
        assert!(matches!(refused, Err(SignatureError::Wrong { .. })), "{refused:?}");
    }
    let refused = SignedCheckpoint::sign(head, &qa);
    assert!(matches!(refused, Err(SignatureError::NotTheLogs { .. })), "{refused:?}");
}

#[test]
fn every_flipped_bit_of_a_signed_checkpoint_is_found() {
    let (log, qa) = (key("plant.example/log", 1), key("plant.example/qa", 2));
    let mut signed = SignedCheckpoint::sign(checkpoint(5), &log).unwrap();
    signed.cosign(&qa).unwrap();
    let keys = [log, qa].map(|key| key.verifier().clone());
    let honest = signed.to_string().into_bytes();
    for bit in 0..honest.len() * 8 {
        let mut flipped = honest.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        let Ok(text) = String::from_utf8(flipped) else { continue };
        // A name or an id that is nobody's leaves the other signature standing: not both, then.
        let signers = text.parse::<SignedCheckpoint>().ok().and_then(|note| Some(note.verify(&keys).ok()?.len()));
        assert!(signers.is_none_or(|count| count < 2), "bit {bit}: {text}");
    }
}

fn proof() -> (TlogProof, Vec<VerifierKey>) {
    let log = key("plant.example/log", 1);
    let events = [b"zero".as_slice(), b"one"];
    let mut tree = TreeState::default();
    events.iter().for_each(|event| drop(tree.append(LeafHash::of(event))));
    let checkpoint = Checkpoint::new("plant.example/log".parse().unwrap(), tree.head());
    let checkpoint = SignedCheckpoint::sign(checkpoint, &log).unwrap();
    let proof = TlogProof { extra: None, index: 1, hashes: vec![LeafHash::of(events[0]).0], checkpoint };
    (proof, vec![log.verifier().clone()])
}

/// The forms of C2SP tlog-proof and of transparency-dev/formats' tests of it.
#[test]
fn a_proof_is_written_as_published_and_read_back() {
    let (mut proof, keys) = proof();
    let hash = STANDARD.encode(proof.hashes[0]);
    assert_eq!(proof.to_string(), format!("c2sp.org/tlog-proof@v1\nindex 1\n{hash}\n\n{}", proof.checkpoint));
    assert_eq!(proof.to_string().parse::<TlogProof>().unwrap(), proof);
    assert_eq!(proof.verify(b"one", &keys).unwrap(), [&keys[0]]);
    assert!(matches!(proof.verify(b"0ne", &keys), Err(TlogProofError::Proof(_))));
    assert!(matches!(proof.verify(b"one", &[]), Err(TlogProofError::Signature(_))));

    proof.extra = Some(b"extra information".to_vec());
    let text = proof.to_string();
    assert!(text.starts_with("c2sp.org/tlog-proof@v1\nextra ZXh0cmEgaW5mb3JtYXRpb24=\nindex 1\n"), "{text}");
    assert_eq!(text.parse::<TlogProof>().unwrap(), proof);
    proof.hashes.clear();
    assert_eq!(proof.to_string().parse::<TlogProof>().unwrap(), proof);
}

#[test]
fn a_proof_in_any_other_form_is_none() {
    let (proof, _) = proof();
    let note = proof.checkpoint.to_string();
    let long = STANDARD.encode([0; 64]);
    for (text, error) in [
        (format!("wrong-header\nindex 0\n\n{note}"), TlogProofError::Header),
        (format!("c2sp.org/tlog-proof@v1\nextra !!notbase64!!\nindex 0\n\n{note}"), TlogProofError::Extra),
        (format!("c2sp.org/tlog-proof@v1\n\n\n{note}"), TlogProofError::Index),
        (format!("c2sp.org/tlog-proof@v1\nindex notanumber\n\n{note}"), TlogProofError::Index),
        (format!("c2sp.org/tlog-proof@v1\nindex -5\n\n{note}"), TlogProofError::Index),
        (format!("c2sp.org/tlog-proof@v1\nindex 01\n\n{note}"), TlogProofError::Index),
        (format!("c2sp.org/tlog-proof@v1\nindex 0\n!!notbase64!!\n\n{note}"), TlogProofError::Hash),
        (format!("c2sp.org/tlog-proof@v1\nindex 0\n{long}\n\n{note}"), TlogProofError::Hash),
        ("c2sp.org/tlog-proof@v1\nindex 0\n".to_owned(), TlogProofError::End),
    ] {
        assert_eq!(text.parse::<TlogProof>(), Err(error), "{text}");
    }
    let refused = "c2sp.org/tlog-proof@v1\nindex 0\n\ncheckpoint\n".parse::<TlogProof>();
    assert_eq!(refused, Err(TlogProofError::Checkpoint(CheckpointError::Note)));
}

/// A wrong size fits some proofs; the signature over the size does not let it pass.
#[test]
fn another_size_under_the_same_signature_is_refused() {
    let (proof, keys) = proof();
    let text = proof.to_string().replace("plant.example/log\n2\n", "plant.example/log\n3\n");
    let other = text.parse::<TlogProof>().unwrap();
    assert_eq!(other.checkpoint.checkpoint().head(), TreeHead { size: 3, ..proof.checkpoint.checkpoint().head() });
    let refused = other.verify(b"one", &keys);
    assert!(matches!(refused, Err(TlogProofError::Signature(SignatureError::Wrong { .. }))), "{refused:?}");
}

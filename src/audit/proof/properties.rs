//! What holds for every log: its proofs verify, and nothing else does.

use std::collections::HashMap;
use std::convert::Infallible;

use proptest::prelude::*;

use super::{ProveError, prove_consistency, prove_inclusion, root_at, verify_consistency, verify_inclusion};
use crate::audit::tree::{LeafHash, Node, TreeHead, TreeState, empty_root, parent};

struct Log {
    leaves: Vec<LeafHash>,
    stored: HashMap<Node, [u8; 32]>,
}

impl Log {
    fn of(size: u64) -> Self {
        let leaves: Vec<_> = (0..size).map(|index| LeafHash::of(&index.to_be_bytes())).collect();
        let mut tree = TreeState::default();
        let mut stored = HashMap::new();
        for leaf in &leaves {
            stored.insert(Node { level: 0, index: tree.size() }, leaf.0);
            stored.extend(tree.append(*leaf));
        }
        Self { leaves, stored }
    }

    fn read(&self) -> impl FnOnce(&[Node]) -> Result<Vec<[u8; 32]>, Infallible> {
        |nodes| Ok(nodes.iter().map(|node| self.stored[node]).collect())
    }

    /// By the definition of RFC 6962 §2.1, from the leaves alone.
    fn head(&self, size: u64) -> TreeHead {
        fn hash(leaves: &[LeafHash]) -> [u8; 32] {
            match leaves {
                [] => empty_root(),
                [leaf] => leaf.0,
                _ => {
                    let (left, right) = leaves.split_at(leaves.len().next_power_of_two() / 2);
                    parent(&hash(left), &hash(right))
                }
            }
        }
        TreeHead { size, root: hash(&self.leaves[..size as usize]) }
    }
}

/// (index, size) of a leaf in a log.
fn leaf() -> impl Strategy<Value = (u64, u64)> {
    (1_u64..400).prop_flat_map(|size| (0..size, Just(size)))
}

/// (old, new): sizes with something in between to prove.
fn sizes() -> impl Strategy<Value = (u64, u64)> {
    (2_u64..400).prop_flat_map(|new| (1..new, Just(new)))
}

fn flips(proof: &[[u8; 32]]) -> impl Iterator<Item = Vec<[u8; 32]>> {
    (0..proof.len() * 256).map(|bit| {
        let mut flipped = proof.to_vec();
        flipped[bit / 256][bit % 256 / 8] ^= 1 << (bit % 8);
        flipped
    })
}

/// One hash dropped, doubled, or swapped with its neighbour.
fn rearranged(proof: &[[u8; 32]]) -> Vec<Vec<[u8; 32]>> {
    let mut all = Vec::new();
    for at in 0..proof.len() {
        let mut dropped = proof.to_vec();
        dropped.remove(at);
        all.push(dropped);
        let mut doubled = proof.to_vec();
        doubled.insert(at, proof[at]);
        all.push(doubled);
        if at + 1 < proof.len() {
            let mut swapped = proof.to_vec();
            swapped.swap(at, at + 1);
            all.push(swapped);
        }
    }
    all
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn stored_nodes_give_the_roots_that_recomputation_gives(size in 0_u64..400, cut in 0_u64..400) {
        let log = Log::of(size);
        let cut = cut.min(size);
        prop_assert_eq!(root_at(cut, log.read()).unwrap(), log.head(cut).root);
    }

    #[test]
    fn an_inclusion_proof_verifies_and_nothing_near_it_does((index, size) in leaf()) {
        let log = Log::of(size);
        let head = log.head(size);
        let proof = prove_inclusion(index, size, log.read()).unwrap();
        let this = log.leaves[index as usize];
        prop_assert_eq!(verify_inclusion(this, index, head, &proof), Ok(()));

        for flipped in flips(&proof) {
            prop_assert!(verify_inclusion(this, index, head, &flipped).is_err());
        }
        for wrong in rearranged(&proof) {
            prop_assert!(verify_inclusion(this, index, head, &wrong).is_err());
        }
        for other in (0..size).filter(|other| *other != index) {
            prop_assert!(verify_inclusion(this, other, head, &proof).is_err());
            prop_assert!(verify_inclusion(log.leaves[other as usize], index, head, &proof).is_err());
        }
        for bit in 0..256 {
            let mut leaf = this;
            leaf.0[bit / 8] ^= 1 << (bit % 8);
            prop_assert!(verify_inclusion(leaf, index, head, &proof).is_err());
            let mut root = head;
            root.root[bit / 8] ^= 1 << (bit % 8);
            prop_assert!(verify_inclusion(this, index, root, &proof).is_err());
        }
        // Every other size with its own root: no proof of one state passes for another.
        for other in (1..size).chain(size + 1..size + 9) {
            let larger = Log::of(other);
            prop_assert!(verify_inclusion(this, index, larger.head(other), &proof).is_err());
        }
    }

    #[test]
    fn a_consistency_proof_verifies_and_nothing_near_it_does((old, new) in sizes()) {
        let log = Log::of(new);
        let (before, after) = (log.head(old), log.head(new));
        let proof = prove_consistency(old, new, log.read()).unwrap();
        prop_assert_eq!(verify_consistency(before, after, &proof), Ok(()));

        for flipped in flips(&proof) {
            prop_assert!(verify_consistency(before, after, &flipped).is_err());
        }
        for wrong in rearranged(&proof) {
            prop_assert!(verify_consistency(before, after, &wrong).is_err());
        }
        for bit in 0..256 {
            let (mut then, mut now) = (before, after);
            then.root[bit / 8] ^= 1 << (bit % 8);
            now.root[bit / 8] ^= 1 << (bit % 8);
            prop_assert!(verify_consistency(then, after, &proof).is_err());
            prop_assert!(verify_consistency(before, now, &proof).is_err());
        }
        for other in (1..new).filter(|other| *other != old) {
            prop_assert!(verify_consistency(log.head(other), after, &proof).is_err());
        }
    }

    /// One event of the past is edited, and everything is recomputed: no proof joins the two logs.
    #[test]
    fn no_proof_leads_from_a_log_to_its_rewritten_self((old, new) in sizes(), edited in 0_u64..400) {
        let log = Log::of(new);
        let mut leaves = log.leaves.clone();
        leaves[(edited % old) as usize] = LeafHash::of(b"edited");
        let mut tree = TreeState::default();
        let mut stored = HashMap::new();
        for leaf in &leaves {
            stored.insert(Node { level: 0, index: tree.size() }, leaf.0);
            stored.extend(tree.append(*leaf));
        }
        let rewritten = Log { leaves, stored };
        let proof = prove_consistency(old, new, rewritten.read()).unwrap();
        prop_assert!(verify_consistency(log.head(old), rewritten.head(new), &proof).is_err());
        prop_assert_eq!(verify_consistency(rewritten.head(old), rewritten.head(new), &proof), Ok(()));
    }

    /// Whatever is handed in: an answer, not a panic.
    #[test]
    fn verification_is_total(
        index: u64, sizes: (u64, u64), root: [u8; 32], proof in prop::collection::vec(any::<[u8; 32]>(), 0..70)
    ) {
        let (old, new) = (TreeHead { size: sizes.0, root }, TreeHead { size: sizes.1, root });
        prop_assert!(verify_inclusion(LeafHash(root), index, new, &proof).is_err());
        if old != new {
            prop_assert!(verify_consistency(old, new, &proof).is_err());
        }
    }
}

#[test]
fn all_proofs_of_all_small_logs_verify() {
    for size in 1..=40 {
        let log = Log::of(size);
        for index in 0..size {
            let proof = prove_inclusion(index, size, log.read()).unwrap();
            assert_eq!(verify_inclusion(log.leaves[index as usize], index, log.head(size), &proof), Ok(()));
        }
        for old in 0..=size {
            let proof = prove_consistency(old, size, log.read()).unwrap();
            assert_eq!(verify_consistency(log.head(old), log.head(size), &proof), Ok(()), "{old} to {size}");
        }
    }
}

#[test]
fn bad_arguments_are_told_from_a_store_that_fails() {
    let log = Log::of(4);
    assert_eq!(prove_inclusion(4, 4, log.read()), Err(ProveError::NoSuchLeaf { index: 4, size: 4 }));
    assert_eq!(prove_inclusion(0, 0, log.read()), Err(ProveError::NoSuchLeaf { index: 0, size: 0 }));
    assert_eq!(prove_consistency(5, 4, log.read()), Err(ProveError::NoSuchState { old: 5, new: 4 }));
    assert_eq!(prove_inclusion(1, 4, |_| Err("disk gone")), Err(ProveError::Read("disk gone")));
    let short = |_: &[Node]| Ok::<_, Infallible>(vec![[0; 32]]);
    assert_eq!(prove_inclusion(1, 4, short), Err(ProveError::Missing { asked: 2, read: 1 }));
}

#[test]
fn a_proof_in_ten_million_events_reads_a_few_dozen_nodes_at_once() {
    let mut asked = Vec::new();
    let zeros = |nodes: &[Node]| {
        asked.push(nodes.len());
        Ok::<_, Infallible>(vec![[0; 32]; nodes.len()])
    };
    prove_inclusion(123_456, 9_999_999, zeros).unwrap();
    assert!(asked.len() == 1 && asked[0] < 48, "{asked:?}");
}

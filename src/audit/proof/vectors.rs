//! Published vectors: transparency-dev/merkle, proof/verify_test.go, from whose corruptions its files in
//! testdata/inclusion and testdata/consistency are written. Values are reproduced; indices there count
//! from one.

use super::{ProofError, verify_consistency, verify_inclusion};
use crate::audit::tree::{LeafHash, Node, TreeHead, TreeState};

const LEAVES: [&str; 8] =
    ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"];
const ROOTS: [&str; 8] = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
];
/// (leaf from one, size, proof)
const INCLUSION: [(u64, u64, &[&str]); 5] = [
    (1, 1, &[]),
    (
        1,
        8,
        &[
            "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
        ],
    ),
    (
        6,
        8,
        &[
            "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
            "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        ],
    ),
    (3, 3, &["fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"]),
    (
        2,
        5,
        &[
            "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
        ],
    ),
];
/// (old size, new size, proof)
const CONSISTENCY: [(u64, u64, &[&str]); 5] = [
    (1, 1, &[]),
    (
        1,
        8,
        &[
            "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
        ],
    ),
    (
        6,
        8,
        &[
            "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
            "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        ],
    ),
    (
        2,
        5,
        &[
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
        ],
    ),
    (
        6,
        7,
        &[
            "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
            "b08693ec2e721597130641e8211e7eedccb4c26413963eee6c1e2ed16ffb1a5f",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        ],
    ),
];
const SOME: &str = "abacaba000000000000000000000000000000000000000000060061e00123456";
const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

fn hash(text: &str) -> [u8; 32] {
    hex::decode(text).unwrap().try_into().unwrap()
}

fn hashes(texts: &[&str]) -> Vec<[u8; 32]> {
    texts.iter().map(|text| hash(text)).collect()
}

fn head(size: u64) -> TreeHead {
    TreeHead { size, root: hash(ROOTS[size as usize - 1]) }
}

fn leaf(number: u64) -> LeafHash {
    LeafHash::of(&hex::decode(LEAVES[number as usize - 1]).unwrap())
}

fn stored(nodes: &[Node]) -> Result<Vec<[u8; 32]>, std::convert::Infallible> {
    let mut all = std::collections::HashMap::new();
    let mut tree = TreeState::default();
    for number in 1..=8 {
        all.insert(Node { level: 0, index: number - 1 }, leaf(number).0);
        all.extend(tree.append(leaf(number)));
    }
    Ok(nodes.iter().map(|node| all[node]).collect())
}

/// A proof with something before or after it, or with one byte of one hash changed by `mask`.
fn before(proof: &[[u8; 32]], hash: [u8; 32]) -> Vec<[u8; 32]> {
    [&[hash], proof].concat()
}
fn after(proof: &[[u8; 32]], hash: [u8; 32]) -> Vec<[u8; 32]> {
    [proof, &[hash]].concat()
}
fn modified(proof: &[[u8; 32]], at: usize, mask: u8) -> Vec<[u8; 32]> {
    let mut proof = proof.to_vec();
    proof[at][0] ^= mask;
    proof
}

#[test]
fn published_inclusion_proofs_are_made_and_verify() {
    for (number, size, proof) in INCLUSION {
        let proof = hashes(proof);
        assert_eq!(super::prove_inclusion(number - 1, size, stored).unwrap(), proof, "{number} of {size}");
        assert_eq!(verify_inclusion(leaf(number), number - 1, head(size), &proof), Ok(()), "{number} of {size}");
    }
}

#[test]
fn published_corruptions_of_inclusion_proofs_are_refused() {
    for (number, size, proof) in INCLUSION {
        let (index, proof, head, leaf) = (number - 1, hashes(proof), head(size), leaf(number));
        let mut probes = vec![
            ("leafIndex - 1", index.wrapping_sub(1), head, leaf, proof.clone()),
            ("leafIndex + 1", index + 1, head, leaf, proof.clone()),
            ("leafIndex ^ 2", index ^ 2, head, leaf, proof.clone()),
            ("treeSize * 2", index, TreeHead { size: size * 2, ..head }, leaf, proof.clone()),
            ("treeSize / 2", index, TreeHead { size: size / 2, ..head }, leaf, proof.clone()),
            ("wrong leaf", index, head, LeafHash::of(b"WrongLeaf"), proof.clone()),
            ("empty root", index, TreeHead { root: hash(EMPTY), ..head }, leaf, proof.clone()),
            ("random root", index, TreeHead { root: hash(SOME), ..head }, leaf, proof.clone()),
            ("trailing garbage", index, head, leaf, after(&proof, [0; 32])),
            ("trailing root", index, head, leaf, after(&proof, head.root)),
            ("preceding garbage", index, head, leaf, before(&proof, [0; 32])),
            ("preceding root", index, head, leaf, before(&proof, head.root)),
        ];
        for at in 0..proof.len() {
            probes.push(("modified proof, bit 3", index, head, leaf, modified(&proof, at, 8)));
        }
        if let [first, rest @ ..] = proof.as_slice() {
            probes.push(("removed component", index, head, leaf, proof[..proof.len() - 1].to_vec()));
            if !rest.is_empty() {
                let inserted = [&[*first, hash(SOME)], rest].concat();
                probes.push(("inserted component", index, head, leaf, inserted));
            }
        }
        for (what, index, head, leaf, proof) in probes {
            assert!(verify_inclusion(leaf, index, head, &proof).is_err(), "{what}: leaf {number} of {size}");
        }
    }
}

#[test]
fn nothing_is_in_an_empty_log_nor_beyond_the_end_of_one() {
    for (index, size) in [(0, 0), (1, 0), (2, 1), (u64::MAX, u64::MAX)] {
        let head = TreeHead { size, root: hash(EMPTY) };
        let refused = verify_inclusion(LeafHash(hash(SOME)), index, head, &[]);
        assert_eq!(refused, Err(ProofError::NoSuchLeaf { index, size }));
    }
    let last = TreeHead { size: u64::MAX, root: hash(EMPTY) };
    assert!(verify_inclusion(LeafHash(hash(SOME)), u64::MAX - 1, last, &[[0; 32]; 63]).is_err());
}

#[test]
fn published_consistency_proofs_are_made_and_verify() {
    for (old, new, proof) in CONSISTENCY {
        let proof = hashes(proof);
        assert_eq!(super::prove_consistency(old, new, stored).unwrap(), proof, "{old} to {new}");
        assert_eq!(verify_consistency(head(old), head(new), &proof), Ok(()), "{old} to {new}");
    }
}

#[test]
fn published_corruptions_of_consistency_proofs_are_refused() {
    for (old, new, proof) in &CONSISTENCY[1..] {
        let (old, new, proof) = (head(*old), head(*new), hashes(proof));
        let sized = |head: TreeHead, size| TreeHead { size, ..head };
        let rooted = |head: TreeHead, root| TreeHead { root, ..head };
        let wrong = LeafHash::of(b"WrongRoot").0;
        let mut probes = vec![
            ("size1 - 1", sized(old, old.size - 1), new, proof.clone()),
            ("size1 + 1", sized(old, old.size + 1), new, proof.clone()),
            ("size1 ^ 2", sized(old, old.size ^ 2), new, proof.clone()),
            ("size2 * 2", old, sized(new, new.size * 2), proof.clone()),
            ("size2 / 2", old, sized(new, new.size / 2), proof.clone()),
            ("wrong root1", rooted(old, wrong), new, proof.clone()),
            ("wrong root2", old, rooted(new, wrong), proof.clone()),
            ("swapped roots", rooted(old, new.root), rooted(new, old.root), proof.clone()),
            ("empty proof", old, new, Vec::new()),
            ("trailing garbage", old, new, after(&proof, [0; 32])),
            ("trailing root1", old, new, after(&proof, old.root)),
            ("trailing root2", old, new, after(&proof, new.root)),
            ("preceding garbage", old, new, before(&proof, [0; 32])),
            ("preceding root1", old, new, before(&proof, old.root)),
            ("preceding root2", old, new, before(&proof, new.root)),
            ("preceding proof[0]", old, new, before(&proof, proof[0])),
            ("truncated proof", old, new, proof[..proof.len() - 1].to_vec()),
        ];
        for at in 0..proof.len() {
            probes.push(("modified proof, bit 4", old, new, modified(&proof, at, 16)));
        }
        for (what, old, new, proof) in probes {
            assert!(verify_consistency(old, new, &proof).is_err(), "{what}: {} to {}", old.size, new.size);
        }
    }
}

/// TestVerifyConsistency's table, save that an empty log's root is not "don't care" here.
#[test]
fn empty_logs_equal_sizes_and_the_past() {
    let (one, two) = (hash(ROOTS[0]), hash(ROOTS[1]));
    let empty = hash(EMPTY);
    let check = |old: (u64, [u8; 32]), new: (u64, [u8; 32]), proof: &[[u8; 32]]| {
        verify_consistency(TreeHead { size: old.0, root: old.1 }, TreeHead { size: new.0, root: new.1 }, proof)
    };
    for (old, new) in [((0, empty), (0, empty)), ((0, empty), (1, one)), ((1, two), (1, two))] {
        assert_eq!(check(old, new, &[]), Ok(()));
        assert_eq!(check(old, new, &[empty]), Err(ProofError::Length { expected: 0, got: 1 }));
    }
    for (old, new) in [((0, one), (0, two)), ((0, one), (0, one)), ((0, one), (1, one)), ((0, empty), (0, one))] {
        assert_eq!(check(old, new, &[]), Err(ProofError::Forked { size: 0 }));
    }
    assert_eq!(check((1, one), (1, two), &[]), Err(ProofError::Forked { size: 1 }));
    assert_eq!(check((1, one), (0, two), &[]), Err(ProofError::Shrunk { old: 1, new: 0 }));
    assert_eq!(check((2, one), (1, two), &[]), Err(ProofError::Shrunk { old: 2, new: 1 }));
    assert_eq!(check((1, one), (2, two), &[]), Err(ProofError::Length { expected: 1, got: 0 }));
}

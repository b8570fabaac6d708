//! Verification as RFC 9162 §2.1.3.2 and §2.1.4.2 spell it out for the trees of RFC 6962. Total: no
//! input panics, and how long a proof has to be is settled before anything is hashed.
//!
//! A proof binds a leaf to an index *given* the tree's size and root, which a checkpoint's signature
//! binds to each other. Taken alone, a proof can fit several sizes.

use crate::audit::tree::{LeafHash, TreeHead, empty_root, parent};

/// Why a proof proves nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    #[error("a log of {size} events has no event {index}")]
    NoSuchLeaf { index: u64, size: u64 },
    #[error("the log had {old} events, and would have {new} now")]
    Shrunk { old: u64, new: u64 },
    #[error("the proof has {got} hashes where it must have {expected}")]
    Length { expected: usize, got: usize },
    #[error("the proof does not lead to the tree's root")]
    Root,
    #[error("the proof does not lead to the earlier tree's root")]
    OldRoot,
    #[error("two different roots are claimed for {size} events")]
    Forked { size: u64 },
}

/// Is `leaf` the event `index` of the log with this head?
pub fn verify_inclusion(leaf: LeafHash, index: u64, head: TreeHead, proof: &[[u8; 32]]) -> Result<(), ProofError> {
    if index >= head.size {
        return Err(ProofError::NoSuchLeaf { index, size: head.size });
    }
    let shape = Shape::of(index, head.size);
    let (inner, border) = shape.split(proof)?;
    if along_edge(climb(leaf.0, inner, index), border) == head.root { Ok(()) } else { Err(ProofError::Root) }
}

/// Does the log of `new` begin with the whole log of `old`? An empty log is the beginning of every log,
/// and has but one root.
pub fn verify_consistency(old: TreeHead, new: TreeHead, proof: &[[u8; 32]]) -> Result<(), ProofError> {
    if old.size > new.size {
        return Err(ProofError::Shrunk { old: old.size, new: new.size });
    }
    if old.size == 0 || old.size == new.size {
        if !proof.is_empty() {
            return Err(ProofError::Length { expected: 0, got: proof.len() });
        }
        let expected = if old.size == 0 { empty_root() } else { new.root };
        if old.root != expected || (new.size == 0 && new.root != expected) {
            return Err(ProofError::Forked { size: old.size });
        }
        return Ok(());
    }

    // The last leaf of the old tree, seen from the largest perfect subtree that ends with it.
    let level = old.size.trailing_zeros();
    let last = (old.size - 1) >> level;
    let shape = Shape::of(old.size - 1, new.size).above(level);
    let (seed, path) = if old.size.is_power_of_two() {
        (old.root, proof)
    } else {
        let (seed, path) = proof.split_first().ok_or(ProofError::Length { expected: shape.len() + 1, got: 0 })?;
        (*seed, path)
    };
    let told = proof.len() - path.len();
    let (inner, border) =
        shape.split(path).map_err(|_| ProofError::Length { expected: shape.len() + told, got: proof.len() })?;
    if along_edge(climb_left(seed, inner, last), border) != old.root {
        return Err(ProofError::OldRoot);
    }
    if along_edge(climb(seed, inner, last), border) != new.root {
        return Err(ProofError::Root);
    }
    Ok(())
}

type Hash = [u8; 32];

/// How a path to the root runs: first where the tree has siblings on either side, then along its right
/// edge, where they are all on the left.
#[derive(Clone, Copy)]
struct Shape {
    inner: usize,
    border: usize,
}

impl Shape {
    /// `index < size`.
    fn of(index: u64, size: u64) -> Self {
        let inner = u64::BITS - (index ^ (size - 1)).leading_zeros();
        let border = index.checked_shr(inner).unwrap_or(0).count_ones();
        Self { inner: inner as usize, border: border as usize }
    }

    /// The rest of the path, from the node at `level` on.
    fn above(self, level: u32) -> Self {
        Self { inner: self.inner.saturating_sub(level as usize), ..self }
    }

    fn len(self) -> usize {
        self.inner + self.border
    }

    /// Into the inner and the border part.
    fn split(self, proof: &[Hash]) -> Result<(&[Hash], &[Hash]), ProofError> {
        if proof.len() != self.len() {
            return Err(ProofError::Length { expected: self.len(), got: proof.len() });
        }
        Ok(proof.split_at(self.inner))
    }
}

fn climb(seed: Hash, siblings: &[Hash], index: u64) -> Hash {
    siblings.iter().enumerate().fold(seed, |node, (level, sibling)| match index >> level & 1 {
        0 => parent(&node, sibling),
        _ => parent(sibling, &node),
    })
}

/// As [`climb`], for a tree that ends here: what is on the right came later.
fn climb_left(seed: Hash, siblings: &[Hash], index: u64) -> Hash {
    let left = siblings.iter().enumerate().filter(|(level, _)| index >> level & 1 == 1);
    left.fold(seed, |node, (_, sibling)| parent(sibling, &node))
}

fn along_edge(seed: Hash, siblings: &[Hash]) -> Hash {
    siblings.iter().fold(seed, |node, sibling| parent(sibling, &node))
}

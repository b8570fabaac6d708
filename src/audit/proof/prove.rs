//! Proofs out of stored nodes. Which nodes a proof needs follows from two numbers alone, so they are
//! asked for all at once: a database answers with one query.

use crate::audit::tree::{Node, bag, empty_root};

/// Why there is no proof. `E` is the store's own.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProveError<E> {
    #[error("a log of {size} events has no event {index}")]
    NoSuchLeaf { index: u64, size: u64 },
    #[error("a log of {new} events has no earlier state of {old}")]
    NoSuchState { old: u64, new: u64 },
    #[error("the stored hashes of the tree were not read")]
    Read(#[source] E),
    #[error("{asked} stored hashes of the tree were asked for, {read} came")]
    Missing { asked: usize, read: usize },
}

/// The audit path of RFC 6962 §2.1.1, sibling of the leaf first. `read` gets every node that it takes,
/// and answers in their order; it is not called where there is nothing to read.
pub fn prove_inclusion<E>(
    index: u64,
    size: u64,
    read: impl FnOnce(&[Node]) -> Result<Vec<[u8; 32]>, E>,
) -> Result<Vec<[u8; 32]>, ProveError<E>> {
    if index >= size {
        return Err(ProveError::NoSuchLeaf { index, size });
    }
    let mut ranges = Vec::new();
    let mut here = Range { from: 0, to: size };
    while here.len() > 1 {
        let (left, right) = here.halves();
        let (on, beside) = if index < right.from { (left, right) } else { (right, left) };
        ranges.push(beside);
        here = on;
    }
    ranges.reverse();
    roots(&ranges, read)
}

/// The consistency proof of RFC 6962 §2.1.2. Nothing needs to be proven of an empty log, nor between
/// equal sizes: that proof is empty.
pub fn prove_consistency<E>(
    old: u64,
    new: u64,
    read: impl FnOnce(&[Node]) -> Result<Vec<[u8; 32]>, E>,
) -> Result<Vec<[u8; 32]>, ProveError<E>> {
    if old > new {
        return Err(ProveError::NoSuchState { old, new });
    }
    if old == 0 || old == new {
        return Ok(Vec::new());
    }
    let mut ranges = Vec::new();
    let mut here = Range { from: 0, to: new };
    while here.to != old {
        let (left, right) = here.halves();
        let (on, beside) = if old <= right.from { (left, right) } else { (right, left) };
        ranges.push(beside);
        here = on;
    }
    // Who verifies knows the old root already; anything smaller has to be told.
    if here.from != 0 {
        ranges.push(here);
    }
    ranges.reverse();
    roots(&ranges, read)
}

/// The root as it was when the log had `size` events.
pub fn root_at<E>(
    size: u64,
    read: impl FnOnce(&[Node]) -> Result<Vec<[u8; 32]>, E>,
) -> Result<[u8; 32], ProveError<E>> {
    if size == 0 {
        return Ok(empty_root());
    }
    let root = roots(&[Range { from: 0, to: size }], read)?;
    Ok(root.first().copied().unwrap_or_else(empty_root))
}

/// The leaves `from..to` under one node of the tree as RFC 6962 draws it; not empty.
#[derive(Clone, Copy)]
struct Range {
    from: u64,
    to: u64,
}

impl Range {
    fn len(self) -> u64 {
        self.to - self.from
    }

    /// Split at the largest power of two below the length, which must be two at least.
    fn halves(self) -> (Range, Range) {
        let middle = self.from + (1 << (self.len() - 1).ilog2());
        (Range { from: self.from, to: middle }, Range { from: middle, to: self.to })
    }

    /// The stored nodes that make it up, largest first: one for each set bit of its length.
    fn nodes(self) -> impl Iterator<Item = Node> {
        let mut from = self.from;
        std::iter::from_fn(move || {
            let level = (self.to - from).checked_ilog2()?;
            let node = Node { level, index: from >> level };
            from += 1 << level;
            Some(node)
        })
    }
}

/// The hash of each range.
fn roots<E>(
    ranges: &[Range],
    read: impl FnOnce(&[Node]) -> Result<Vec<[u8; 32]>, E>,
) -> Result<Vec<[u8; 32]>, ProveError<E>> {
    let nodes: Vec<Node> = ranges.iter().flat_map(|range| range.nodes()).collect();
    if nodes.is_empty() {
        return Ok(Vec::new());
    }
    let hashes = read(&nodes).map_err(ProveError::Read)?;
    if hashes.len() != nodes.len() {
        return Err(ProveError::Missing { asked: nodes.len(), read: hashes.len() });
    }
    let mut rest = hashes.as_slice();
    let root = |range: &Range| {
        let (own, others) = rest.split_at(range.len().count_ones() as usize);
        rest = others;
        bag(own)
    };
    Ok(ranges.iter().filter_map(root).collect())
}

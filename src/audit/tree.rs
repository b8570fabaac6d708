//! The Merkle tree of RFC 6962 §2.1 over the bytes of all events.
//!
//! Only the right edge is kept (one hash per set bit of the size), so an append is O(log n) and
//! never reads the log. The nodes that an append completes never change again: stored, they make a
//! proof O(log n), too.

use aws_lc_rs::digest;

/// What stands before an event's bytes when they are hashed (RFC 6962 §2.1).
pub const LEAF_PREFIX: u8 = 0x00;

/// SHA-256(0x00 ‖ event bytes).
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct LeafHash(pub [u8; 32]);

impl LeafHash {
    pub fn of(event: &[u8]) -> Self {
        // Nearly all events fit, and are spared a piece of memory of their own.
        let mut short = [LEAF_PREFIX; 1536];
        if let Some(place) = short.get_mut(1..=event.len()) {
            place.copy_from_slice(event);
            return Self(sha256(&short[..=event.len()]));
        }
        Self(sha256(&[&[LEAF_PREFIX], event].concat()))
    }

    /// Of an event's bytes behind [`LEAF_PREFIX`].
    pub fn of_prefixed(leaf: &[u8]) -> Self {
        Self(sha256(leaf))
    }

    pub fn to_hex(self) -> String {
        hex::encode(self.0)
    }
}

impl std::fmt::Debug for LeafHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "LeafHash({})", self.to_hex())
    }
}

/// The size of the log and the root over it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TreeHead {
    pub size: u64,
    pub root: [u8; 32],
}

/// The root of a perfect subtree: over the leaves `index << level` to `(index + 1) << level`, the
/// latter not among them. Level 0 is a leaf's own hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Node {
    pub level: u32,
    pub index: u64,
}

impl Node {
    /// Where it stands among the hashes of all perfect subtrees, leaves included, in the order in which
    /// appends complete them, without gaps: `StoredHashIndex` of Go's golang.org/x/mod/sumdb/tlog.
    /// Below 2^63 for every node of a tree of up to 2^62 leaves.
    pub fn position(self) -> u64 {
        // It follows the leaf that completes it by its level; before that leaf stand one hash for every
        // 1, 2, 4, … leaves, which add up to 2n less the set bits of n.
        let last = ((self.index + 1) << self.level) - 1;
        2 * last - u64::from(last.count_ones()) + u64::from(self.level)
    }
}

/// What an appending transaction needs of the tree: the size and the roots of the perfect subtrees
/// along its right edge, largest first.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TreeState {
    size: u64,
    edge: Vec<[u8; 32]>,
}

/// A stored edge that does not belong to its size.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a tree of {size} leaves has {expected} edge hashes, not {bytes} bytes")]
pub struct BadEdge {
    size: u64,
    expected: u32,
    bytes: usize,
}

impl TreeState {
    /// From the stored size and the edge's hashes, 32 bytes each, largest subtree first.
    pub fn from_stored(size: u64, edge: &[u8]) -> Result<Self, BadEdge> {
        let expected = size.count_ones();
        if edge.len() != expected as usize * 32 {
            return Err(BadEdge { size, expected, bytes: edge.len() });
        }
        let (hashes, _) = edge.as_chunks::<32>();
        Ok(Self { size, edge: hashes.to_vec() })
    }

    pub fn edge_bytes(&self) -> Vec<u8> {
        self.edge.concat()
    }

    pub fn size(&self) -> u64 {
        self.size
    }

    /// Appends one leaf; its index is the size before. Returned are the nodes above it that are complete
    /// from now on, lowest first: for every second leaf none, and one a leaf on average.
    pub fn append(&mut self, leaf: LeafHash) -> Vec<(Node, [u8; 32])> {
        let mut completed = Vec::new();
        self.append_to(leaf, &mut completed);
        completed
    }

    /// [`append`](Self::append), the nodes behind those that are in `completed` already.
    pub fn append_to(&mut self, leaf: LeafHash, completed: &mut Vec<(Node, [u8; 32])>) {
        let mut hash = leaf.0;
        // Each trailing set bit of the size is a perfect subtree that this leaf completes.
        for level in 1..=self.size.trailing_ones() {
            if let Some(left) = self.edge.pop() {
                hash = parent(&left, &hash);
                completed.push((Node { level, index: self.size >> level }, hash));
            }
        }
        self.edge.push(hash);
        self.size += 1;
    }

    pub fn head(&self) -> TreeHead {
        TreeHead { size: self.size, root: bag(&self.edge).unwrap_or_else(empty_root) }
    }
}

/// The root over perfect subtrees that stand side by side, largest first.
pub(super) fn bag(subtrees: &[[u8; 32]]) -> Option<[u8; 32]> {
    subtrees.iter().rev().copied().reduce(|right, left| parent(&left, &right))
}

pub(super) fn empty_root() -> [u8; 32] {
    sha256(b"")
}

pub(super) fn parent(left: &[u8; 32], right: &[u8; 32]) -> [u8; 32] {
    let mut node = [0x01; 65];
    node[1..33].copy_from_slice(left);
    node[33..].copy_from_slice(right);
    sha256(&node)
}

/// In one piece: a context for several would cost as much as the hash of a node.
fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest::digest(&digest::SHA256, bytes).as_ref());
    hash
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The leaves and roots of the certificate-transparency reference tests (values reproduced from
    /// transparency-dev/merkle, testonly/constants).
    #[test]
    fn roots_equal_the_published_ones() {
        let leaves =
            ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"];
        let roots = [
            "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
            "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
            "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
            "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
            "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
            "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
            "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
        ];
        let mut tree = TreeState::default();
        assert_eq!(hex::encode(tree.head().root), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
        for (leaf, root) in leaves.iter().zip(roots) {
            tree.append(LeafHash::of(&hex::decode(leaf).unwrap()));
            assert_eq!(hex::encode(tree.head().root), root, "after {} leaves", tree.size());
            tree = TreeState::from_stored(tree.size(), &tree.edge_bytes()).unwrap();
        }
    }

    /// As StoredHashIndex and its test in golang.org/x/mod/sumdb/tlog count.
    #[test]
    fn stored_nodes_are_numbered_without_gaps_in_the_order_of_their_completion() {
        let mut tree = TreeState::default();
        let mut next = 0;
        for index in 0..1000 {
            assert_eq!(Node { level: 0, index }.position(), next);
            next += 1;
            for (node, _) in tree.append(LeafHash([0; 32])) {
                assert_eq!(node.position(), next, "{node:?}");
                next += 1;
            }
        }
        let last = Node { level: 62, index: 0 };
        assert_eq!(last.position(), (1 << 63) - 2);
    }

    #[test]
    fn an_append_returns_the_nodes_it_completes() {
        let mut tree = TreeState::default();
        let roots: Vec<_> = (0..8_u8).map(|leaf| (tree.append(LeafHash([leaf; 32])), tree.head().root)).collect();
        let nodes = |leaf: usize| roots[leaf].0.iter().map(|(node, _)| (node.level, node.index)).collect::<Vec<_>>();
        assert_eq!(nodes(0), []);
        assert_eq!(nodes(1), [(1, 0)]);
        assert_eq!(nodes(5), [(1, 2)]);
        assert_eq!(nodes(7), [(1, 3), (2, 1), (3, 0)]);
        for size in [2, 4, 8] {
            assert_eq!(roots[size - 1].0.last().unwrap().1, roots[size - 1].1);
        }
    }

    #[test]
    fn an_edge_of_the_wrong_length_is_refused() {
        assert!(TreeState::from_stored(3, &[0; 32]).is_err());
        assert!(TreeState::from_stored(4, &[0; 33]).is_err());
    }
}

//! The parts of an LMDB page, found without trusting any of its numbers. Reads no file.

/// A page of a tree: a branch or a leaf.
pub(super) struct Page {
    bytes: Vec<u8>,
}

/// A node of a page.
pub(super) struct Node<'p> {
    bytes: &'p [u8],
    key_bytes: usize,
}

/// What a meta page, or the row of a table, says of a tree.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tree {
    /// How many pages lie above one another.
    pub(super) depth: u16,
    /// How many rows it has.
    pub(super) rows: u64,
    /// Its topmost page; [`NO_PAGE`] if it is empty.
    pub(super) root: u64,
}

impl Page {
    /// The page that these bytes are.
    pub(super) fn new(bytes: Vec<u8>) -> Self {
        Self { bytes }
    }

    pub(super) fn is_branch(&self) -> bool {
        u16_at(&self.bytes, PAGE_FLAGS) & BRANCH != 0
    }

    /// Its nodes in order; `None` for one that is not where it can be.
    pub(super) fn nodes(&self) -> impl Iterator<Item = Option<Node<'_>>> {
        let end = usize::from(u16_at(&self.bytes, PAGE_LOWER));
        let places = self.bytes.get(PAGE_HEAD..end).unwrap_or_default();
        // A page without a readable list of places has one node that is nowhere.
        let none = places.is_empty().then_some(None);
        let nodes = places
            .chunks_exact(2)
            .map(move |place| self.node(usize::from(u16_at(place, 0)), end));
        none.into_iter().chain(nodes)
    }

    fn node(&self, at: usize, lowest: usize) -> Option<Node<'_>> {
        let bytes = self
            .bytes
            .get(at..)
            .filter(|bytes| at >= lowest && bytes.len() >= NODE_HEAD)?;
        let key_bytes = usize::from(u16_at(bytes, 6));
        let node = Node { bytes, key_bytes };
        (bytes.len() >= NODE_HEAD + key_bytes).then_some(node)
    }
}

impl<'p> Node<'p> {
    pub(super) fn key(&self) -> &'p [u8] {
        &self.bytes[NODE_HEAD..NODE_HEAD + self.key_bytes]
    }

    /// On a branch: the page below, 48 bits in three parts.
    pub(super) fn below(&self) -> u64 {
        u64::from(u32_at(self.bytes, 0)) | u64::from(u16_at(self.bytes, 4)) << 32
    }

    /// On a leaf: how long the value is.
    pub(super) fn value_length(&self) -> u64 {
        u64::from(u32_at(self.bytes, 0))
    }

    /// On a leaf: the value, or what stands for it; `None` if it does not fit into the page.
    pub(super) fn value(&self) -> Option<&'p [u8]> {
        let length = if self.has_own_pages() {
            8
        } else {
            usize::try_from(self.value_length()).ok()?
        };
        self.bytes[NODE_HEAD + self.key_bytes..].get(..length)
    }

    /// On a leaf: the first of the pages that the value has for itself.
    pub(super) fn own_page(&self) -> Option<u64> {
        let number = self.value().filter(|_| self.has_own_pages())?;
        Some(u64_at(number, 0))
    }

    pub(super) fn has_own_pages(&self) -> bool {
        u16_at(self.bytes, 4) & BIG_DATA != 0
    }

    /// On a leaf: the tree, if the value is one.
    pub(super) fn tree(&self) -> Option<Tree> {
        let value = self.value().filter(|_| u16_at(self.bytes, 4) & SUB_DATA != 0)?;
        (value.len() == TREE_BYTES).then(|| Tree::read(value))
    }
}

impl Tree {
    /// The tree that bytes begin with.
    pub(super) fn read(bytes: &[u8]) -> Self {
        Self {
            depth: u16_at(bytes, 6),
            rows: u64_at(bytes, 32),
            root: u64_at(bytes, 40),
        }
    }
}

/// The numbers of a list of free pages.
pub(super) fn numbers(bytes: &[u8]) -> impl Iterator<Item = u64> + '_ {
    bytes.chunks_exact(8).map(|number| u64_at(number, 0))
}

// LMDB writes numbers as the machine has them.
pub(super) fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_ne_bytes(bytes[at..at + 2].try_into().expect("two bytes"))
}

pub(super) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_ne_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}

pub(super) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_ne_bytes(bytes[at..at + 8].try_into().expect("eight bytes"))
}

/// The root of a tree without pages.
pub(super) const NO_PAGE: u64 = u64::MAX;

// A page: its number (8 bytes), 2 bytes, flags, the end of the places of its nodes, 2 bytes, those places. A page that is
// the first of a value has the number of pages (4 bytes) behind the flags.
pub(super) const PAGE_FLAGS: usize = 10;
const PAGE_LOWER: usize = 12;
pub(super) const PAGE_COUNT: usize = 12;
pub(super) const PAGE_HEAD: usize = 16;
pub(super) const BRANCH: u16 = 1;
pub(super) const LEAF: u16 = 2;
pub(super) const VALUE: u16 = 4;
pub(super) const META: u16 = 8;

// A node: the length of its value or the page below it, flags, the length of its key; then key and value.
const NODE_HEAD: usize = 8;
const BIG_DATA: u16 = 1;
const SUB_DATA: u16 = 2;

const TREE_BYTES: usize = 48;

//! The store's file as bytes, looked at before it is trusted: is its head whole, does it end before pages that are used?
//! Knows no table.
//!
//! LMDB maps its file and follows page numbers without asking where the file ends; beyond the end the system kills the
//! process. The head names the last page, but a file may be shorter by pages that were freed before they were ever
//! written; LMDB allows that as long as they are in its list of free pages. So a short file is accepted if every page
//! that it lacks is in that list, which is read here page by page, and is damaged otherwise.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::StoreError;
use super::page::{
    BRANCH, LEAF, META, NO_PAGE, Node, PAGE_FLAGS, PAGE_HEAD, Page, Tree, numbers, u16_at, u32_at, u64_at,
};

/// The file of a store.
pub(super) struct DataFile {
    file: File,
    path: PathBuf,
}

/// What the newer of the two meta pages says.
#[derive(Clone, Copy, Debug)]
pub(super) struct Head {
    pub(super) page_bytes: u64,
    pub(super) last_page: u64,
    /// The free list and the table of tables.
    pub(super) trees: [Tree; 2],
    transaction: u64,
}

impl DataFile {
    /// The file of the store in a data folder; `None` if there is none.
    pub(super) fn find(folder: &Path) -> Result<Option<Self>, StoreError> {
        let path = folder.join(DATA_FILE);
        match File::open(&path) {
            Ok(file) => Ok(Some(Self { file, path })),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(StoreError::io(format!("opening {}", path.display()), error)),
        }
    }

    /// Its length in bytes.
    pub(super) fn length(&self) -> Result<u64, StoreError> {
        let metadata = self.file.metadata().map_err(|error| self.io(error))?;
        Ok(metadata.len())
    }

    /// Refuses a file whose head is not that of a store.
    pub(super) fn check_head(&self) -> Result<(), StoreError> {
        self.head().map(|_| ())
    }

    /// Refuses a file that ends before pages that are used. Call it while a snapshot is open if somebody may write: then
    /// no page that it looks at is written over.
    pub(super) fn check_length(&self) -> Result<(), StoreError> {
        let head = self.head()?;
        self.check_tops(&head)?;
        let (length, needed) = (self.length()?, head.needed());
        if length >= needed {
            return Ok(());
        }
        let missing = length / head.page_bytes..=head.last_page;
        let mut free = self.free_pages(&head, *missing.start())?;
        free.sort_unstable();
        free.dedup();
        if free.into_iter().eq(missing) {
            return Ok(());
        }
        Err(self.damaged(format!("it is cut off: {length} bytes long where {needed} are needed")))
    }

    /// Makes the file as long as its head says; only for one whose missing pages are free.
    pub(super) fn extend(&self) -> Result<(), StoreError> {
        let needed = self.head()?.needed();
        if self.length()? < needed {
            let file = OpenOptions::new().write(true).open(&self.path);
            file.and_then(|file| file.set_len(needed))
                .map_err(|error| self.io(error))?;
        }
        Ok(())
    }

    pub(super) fn head(&self) -> Result<Head, StoreError> {
        let first = self.meta(0)?;
        let second = self.meta(first.page_bytes)?;
        if first.page_bytes != second.page_bytes {
            return Err(self.damaged("its two heads do not agree"));
        }
        Ok(if second.transaction > first.transaction {
            second
        } else {
            first
        })
    }

    fn meta(&self, at: u64) -> Result<Head, StoreError> {
        let bytes = self.read(at, META_BYTES)?;
        if u16_at(&bytes, PAGE_FLAGS) & META == 0 || u32_at(&bytes, META_MAGIC) != MAGIC {
            return Err(self.damaged("it is no store"));
        }
        let version = u32_at(&bytes, META_VERSION);
        if version != VERSION {
            return Err(self.damaged(format!("version {version} of LMDB's format is not known")));
        }
        let head = Head {
            page_bytes: u64::from(u32_at(&bytes, META_FREE)),
            last_page: u64_at(&bytes, META_LAST_PAGE),
            trees: [META_FREE, META_MAIN].map(|tree| Tree::read(&bytes[tree..])),
            transaction: u64_at(&bytes, META_TRANSACTION),
        };
        if !head.is_possible() {
            return Err(self.damaged("its head holds impossible numbers"));
        }
        Ok(head)
    }

    /// The pages from `first` on that the newest transaction left free.
    fn free_pages(&self, head: &Head, first: u64) -> Result<Vec<u64>, StoreError> {
        let mut free = Vec::new();
        let mut ahead: Vec<u64> = Some(head.trees[0].root)
            .filter(|root| *root != NO_PAGE)
            .into_iter()
            .collect();
        let mut visited = 0;
        while let Some(number) = ahead.pop() {
            visited += 1;
            if visited > head.last_page {
                return Err(self.damaged("its list of free pages has no end"));
            }
            let page = self.page(head, number)?;
            for node in page.nodes() {
                let broken = || self.damaged("its list of free pages is broken");
                let node = node.ok_or_else(broken)?;
                if page.is_branch() {
                    ahead.push(node.below());
                } else {
                    let list = self.value(head, &node)?.ok_or_else(broken)?;
                    free.extend(numbers(&list).skip(1).filter(|page| *page >= first));
                }
            }
        }
        Ok(free)
    }

    /// The value of a node on a leaf, which may have pages of its own; `None` for one that cannot be. The error says that
    /// the file ends before those pages.
    fn value(&self, head: &Head, node: &Node<'_>) -> Result<Option<Vec<u8>>, StoreError> {
        let Some(page) = node.own_page() else {
            return Ok(node.value().map(<[u8]>::to_vec));
        };
        let (length, pages) = (node.value_length(), head.last_page + 1);
        if page >= pages || length > (pages - page) * head.page_bytes {
            return Ok(None);
        }
        let length = usize::try_from(length).map_err(|_| self.damaged("a value is too long"))?;
        self.read(page * head.page_bytes + PAGE_HEAD as u64, length).map(Some)
    }

    /// A page of a tree.
    pub(super) fn page(&self, head: &Head, number: u64) -> Result<Page, StoreError> {
        if number > head.last_page {
            return Err(self.damaged(format!("it speaks of page {number}, which it cannot have")));
        }
        let bytes = self.read(number * head.page_bytes, head.page_bytes as usize)?;
        let flags = u16_at(&bytes, PAGE_FLAGS);
        if u64_at(&bytes, 0) != number || flags != BRANCH && flags != LEAF {
            return Err(self.damaged(format!("page {number} is not what it should be")));
        }
        Ok(Page::new(bytes))
    }

    /// Some bytes, all of which must be there.
    pub(super) fn read(&self, at: u64, length: usize) -> Result<Vec<u8>, StoreError> {
        let mut bytes = vec![0; length];
        match self.file.read_exact_at(&mut bytes, at) {
            Ok(()) => Ok(bytes),
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => {
                let length = self.length()?;
                Err(self.damaged(format!("it is cut off: {length} bytes long")))
            }
            Err(error) => Err(self.io(error)),
        }
    }

    fn io(&self, error: io::Error) -> StoreError {
        StoreError::io(format!("reading {}", self.path.display()), error)
    }

    /// The error that says what is wrong with it.
    pub(super) fn damaged(&self, what: impl Into<String>) -> StoreError {
        StoreError::Damaged {
            path: self.path.clone(),
            what: what.into(),
        }
    }
}

impl Head {
    /// Whether numbers can be computed from it without surprises; more is not known before pages are read.
    fn is_possible(&self) -> bool {
        let root = |root: u64| root == NO_PAGE || (METAS..=self.last_page).contains(&root);
        self.page_bytes.is_power_of_two()
            && PAGE_SIZES.contains(&self.page_bytes)
            && (METAS - 1..MOST_PAGES).contains(&self.last_page)
            && self.trees.iter().map(|tree| tree.root).all(root)
    }

    fn needed(&self) -> u64 {
        (self.last_page + 1) * self.page_bytes
    }
}

/// The name that LMDB gives its file.
pub(super) const DATA_FILE: &str = "data.mdb";

// A meta page behind its head: magic, version, two numbers, two trees of 48 bytes, the last page, the transaction.
const META_MAGIC: usize = PAGE_HEAD;
const META_VERSION: usize = PAGE_HEAD + 4;
const META_FREE: usize = PAGE_HEAD + 24;
const META_MAIN: usize = META_FREE + 48;
const META_LAST_PAGE: usize = META_MAIN + 48;
const META_TRANSACTION: usize = META_LAST_PAGE + 8;
const META_BYTES: usize = META_TRANSACTION + 8;
const MAGIC: u32 = 0xBEEF_C0DE;
const VERSION: u32 = 1;
/// How many meta pages there are; they come first.
const METAS: u64 = 2;
const PAGE_SIZES: std::ops::RangeInclusive<u64> = 512..=65_536;
/// More than any machine can map.
const MOST_PAGES: u64 = 1 << 40;

#[cfg(test)]
#[path = "data_file_tests.rs"]
mod tests;

//! Checks every tree of a store's file: that pages are where others say, and keys are in order. Trusts no number.

use super::StoreError;
use super::data_file::{DataFile, Head};
use super::page::{NO_PAGE, Node, PAGE_COUNT, PAGE_FLAGS, PAGE_HEAD, Tree, VALUE, u16_at, u32_at, u64_at};

/// A page that is still to be looked at.
struct Ahead {
    page: u64,
    /// How many pages lie one above the other from here on.
    depth: u16,
    /// The keys that its own must not be below, and must be below.
    bounds: [Option<Vec<u8>>; 2],
}

/// A walk over one tree.
struct Walk<'f> {
    file: &'f DataFile,
    head: Head,
    /// Keys of the free list are numbers, which are not in the order of their bytes.
    ordered: bool,
    ahead: Vec<Ahead>,
    rows: u64,
    /// The trees that the rows of this one are.
    trees: Vec<Tree>,
}

impl DataFile {
    /// Refuses a file of which a page that is used is not what it must be. Reads every page but those of long values, of
    /// which it reads the first. Call it while a snapshot is open if somebody may write.
    pub(super) fn check_trees(&self) -> Result<(), StoreError> {
        let head = self.head()?;
        let [free, tables] = head.trees;
        self.check_tree(head, free, false)?;
        for tree in self.check_tree(head, tables, true)? {
            self.check_tree(head, tree, true)?;
        }
        Ok(())
    }

    /// Refuses a file whose table of tables, or the topmost page of a table, is not what it must be: a few pages.
    pub(super) fn check_tops(&self, head: &Head) -> Result<(), StoreError> {
        let [free, tables] = head.trees;
        let tables = self.check_tree(*head, tables, true)?;
        for (tree, ordered) in tables.into_iter().map(|tree| (tree, true)).chain([(free, false)]) {
            let mut walk = Walk::new(self, *head, tree, ordered);
            if let Some(top) = walk.ahead.pop() {
                walk.look(&top)?;
            }
        }
        Ok(())
    }

    fn check_tree(&self, head: Head, tree: Tree, ordered: bool) -> Result<Vec<Tree>, StoreError> {
        let mut walk = Walk::new(self, head, tree, ordered);
        let mut pages = 0;
        while let Some(ahead) = walk.ahead.pop() {
            pages += 1;
            if pages > head.last_page {
                return Err(self.damaged("a tree of its pages has no end"));
            }
            walk.look(&ahead)?;
        }
        if walk.rows != tree.rows {
            return Err(self.damaged(format!(
                "a table has {} rows where {} are counted",
                walk.rows, tree.rows
            )));
        }
        Ok(walk.trees)
    }
}

impl<'f> Walk<'f> {
    fn new(file: &'f DataFile, head: Head, tree: Tree, ordered: bool) -> Self {
        let top = (tree.root != NO_PAGE).then_some(Ahead {
            page: tree.root,
            depth: tree.depth,
            bounds: [None, None],
        });
        Self {
            file,
            head,
            ordered,
            ahead: top.into_iter().collect(),
            rows: 0,
            trees: Vec::new(),
        }
    }

    fn look(&mut self, ahead: &Ahead) -> Result<(), StoreError> {
        let broken = || {
            self.file
                .damaged(format!("page {} is not what it should be", ahead.page))
        };
        let page = self.file.page(&self.head, ahead.page)?;
        if page.is_branch() != (ahead.depth > 1) || ahead.depth == 0 {
            return Err(broken());
        }
        let nodes: Option<Vec<Node<'_>>> = page.nodes().collect();
        let nodes = nodes.ok_or_else(broken)?;
        // The first key of a branch stands for everything below the second.
        let keys = &nodes[usize::from(page.is_branch())..];
        if self.ordered && !in_order(keys, &ahead.bounds) {
            return Err(broken());
        }
        if page.is_branch() {
            self.descend(&nodes, ahead);
            return Ok(());
        }
        self.rows += nodes.len() as u64;
        for node in &nodes {
            if !self.value_is_whole(node)? {
                return Err(broken());
            }
            self.trees.extend(node.tree());
        }
        Ok(())
    }

    fn descend(&mut self, nodes: &[Node<'_>], above: &Ahead) {
        for (at, node) in nodes.iter().enumerate() {
            let low = if at == 0 {
                above.bounds[0].clone()
            } else {
                Some(node.key().to_vec())
            };
            let high = nodes.get(at + 1).map(|next| next.key().to_vec());
            self.ahead.push(Ahead {
                page: node.below(),
                depth: above.depth - 1,
                bounds: [low, high.or_else(|| above.bounds[1].clone())],
            });
        }
    }

    /// Whether a value is in its page, or in pages of its own. The error says that the file ends before those.
    fn value_is_whole(&self, node: &Node<'_>) -> Result<bool, StoreError> {
        if node.value().is_none() {
            return Ok(false);
        }
        let Some(page) = node.own_page() else { return Ok(true) };
        if page > self.head.last_page {
            return Ok(false);
        }
        let first = self.file.read(page * self.head.page_bytes, PAGE_HEAD)?;
        let pages = u64::from(u32_at(&first, PAGE_COUNT));
        Ok(u64_at(&first, 0) == page
            && u16_at(&first, PAGE_FLAGS) == VALUE
            && node.value_length() + PAGE_HEAD as u64 <= pages * self.head.page_bytes
            && page + pages <= self.head.last_page + 1)
    }
}

fn in_order(nodes: &[Node<'_>], [low, high]: &[Option<Vec<u8>>; 2]) -> bool {
    let inside = |node: &Node<'_>| {
        low.as_ref().is_none_or(|low| node.key() >= low.as_slice())
            && high.as_ref().is_none_or(|high| node.key() < high.as_slice())
    };
    nodes.is_sorted_by(|a, b| a.key() < b.key()) && nodes.iter().all(inside)
}

#[cfg(test)]
#[path = "trees_tests.rs"]
mod tests;

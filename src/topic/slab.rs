//! Values by number, in chunks that never move as a whole. Knows nothing of what it keeps.

use std::ops::{Index, IndexMut};

/// The number of a value in a [`Slab`].
pub(super) type SlabId = u32;

const CHUNK: usize = 1024;

/// Values by number. Numbers of removed values are used again; growing costs one chunk and copies nothing.
pub(super) struct Slab<T> {
    chunks: Vec<Vec<T>>,
    free: Vec<SlabId>,
    len: usize,
}

impl<T: Default> Slab<T> {
    /// A slab that holds only the default value, as number 0.
    pub(super) fn with_root() -> Self {
        let mut slab = Self {
            chunks: Vec::new(),
            free: Vec::new(),
            len: 0,
        };
        slab.insert();
        slab
    }

    /// Adds a default value.
    pub(super) fn insert(&mut self) -> SlabId {
        if let Some(id) = self.free.pop() {
            return id;
        }
        let id = SlabId::try_from(self.len).expect("memory ends before 2^32 nodes");
        if self.len.is_multiple_of(CHUNK) {
            // The first chunk grows as needed, since most slabs are small.
            let capacity = if self.len == 0 { 0 } else { CHUNK };
            self.chunks.push(Vec::with_capacity(capacity));
        }
        let last = self.chunks.last_mut().expect("a chunk was just made sure of");
        last.push(T::default());
        self.len += 1;
        id
    }

    /// Removes a value; its number may come again.
    pub(super) fn remove(&mut self, id: SlabId) -> T {
        self.free.push(id);
        std::mem::take(&mut self[id])
    }

    /// How many values are in use.
    #[cfg(test)]
    pub(super) fn in_use(&self) -> usize {
        self.len - self.free.len()
    }
}

impl<T> Index<SlabId> for Slab<T> {
    type Output = T;

    fn index(&self, id: SlabId) -> &T {
        &self.chunks[id as usize / CHUNK][id as usize % CHUNK]
    }
}

impl<T> IndexMut<SlabId> for Slab<T> {
    fn index_mut(&mut self, id: SlabId) -> &mut T {
        &mut self.chunks[id as usize / CHUNK][id as usize % CHUNK]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_used_again() {
        let mut slab: Slab<String> = Slab::with_root();
        let ids: Vec<_> = (0..3 * CHUNK).map(|_| slab.insert()).collect();
        for &id in &ids {
            slab[id] = id.to_string();
        }
        assert_eq!(slab.remove(ids[5]), ids[5].to_string());
        assert_eq!(slab.insert(), ids[5]);
        assert_eq!(slab[ids[5]], "");
        assert_eq!(slab[ids[2000]], ids[2000].to_string());
        assert_eq!(slab.in_use(), 3 * CHUNK + 1);
    }
}

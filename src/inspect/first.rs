//! The few that come first by a rank, out of any number.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Keeps the `limit` values of the highest rank.
pub(super) struct First<T> {
    limit: usize,
    heap: BinaryHeap<Reverse<Ranked<T>>>,
    seen: u64,
}

struct Ranked<T> {
    /// Of equal ranks the earlier value wins.
    rank: (u64, Reverse<u64>),
    value: T,
}

impl<T> First<T> {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            limit,
            heap: BinaryHeap::new(),
            seen: 0,
        }
    }

    /// Takes a value if its rank is high enough.
    pub(super) fn push(&mut self, rank: u64, value: T) {
        let rank = (rank, Reverse(self.seen));
        self.seen += 1;
        self.heap.push(Reverse(Ranked { rank, value }));
        if self.heap.len() > self.limit {
            self.heap.pop();
        }
    }

    /// The values, highest rank first.
    pub(super) fn into_vec(self) -> Vec<T> {
        let ranked = self.heap.into_sorted_vec().into_iter();
        ranked.map(|Reverse(ranked)| ranked.value).collect()
    }
}

impl<T> Ord for Ranked<T> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.rank.cmp(&other.rank)
    }
}

impl<T> PartialOrd for Ranked<T> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> PartialEq for Ranked<T> {
    fn eq(&self, other: &Self) -> bool {
        self.rank == other.rank
    }
}

impl<T> Eq for Ranked<T> {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_highest_ranks_stay_and_the_earlier_of_equals() {
        let mut first = First::new(3);
        for (rank, name) in [(1, 'a'), (5, 'b'), (2, 'c'), (5, 'd'), (2, 'e'), (0, 'f')] {
            first.push(rank, name);
        }
        assert_eq!(first.into_vec(), ['b', 'd', 'c']);
        let mut none = First::new(0);
        none.push(1, 'a');
        assert!(none.into_vec().is_empty());
    }
}

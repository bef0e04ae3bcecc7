//! A map that costs next to nothing while it is small. Knows nothing of what it keeps.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hash};

use ahash::RandomState;
use thin_vec::ThinVec;

/// A map from `K` to `V`: one pair in place, up to `FEW` pairs in a vector, more in a hash map.
#[derive(Debug, Default)]
#[allow(clippy::box_collection, reason = "a hash map in place is four times as large")]
pub enum SmallMap<K, V, const FEW: usize> {
    /// No pair.
    #[default]
    Empty,
    /// One pair.
    One(K, V),
    /// Two to `FEW` pairs, behind one pointer.
    Few(ThinVec<(K, V)>),
    /// More, boxed lest every node be as large as a hash map; goes back to `Few` only at half of `FEW`, so that one
    /// pair coming and going does not rebuild it.
    Many(Box<HashMap<K, V, RandomState>>),
}

impl<K: Hash + Eq, V, const FEW: usize> SmallMap<K, V, FEW> {
    /// Whether there is no pair.
    pub fn is_empty(&self) -> bool {
        matches!(self, Self::Empty)
    }

    /// The value of a key.
    pub fn get(&self, key: &K) -> Option<&V> {
        match self {
            Self::One(held, value) if held == key => Some(value),
            Self::Few(pairs) => pairs.iter().find(|(held, _)| held == key).map(|(_, value)| value),
            Self::Many(map) => map.get(key),
            _ => None,
        }
    }

    /// The value of a key, to be changed.
    pub fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        match self {
            Self::One(held, value) if held == key => Some(value),
            Self::Few(pairs) => pairs.iter_mut().find(|(held, _)| held == key).map(|(_, value)| value),
            Self::Many(map) => map.get_mut(key),
            _ => None,
        }
    }

    /// How many pairs there are.
    pub fn len(&self) -> usize {
        match self {
            Self::Empty => 0,
            Self::One(..) => 1,
            Self::Few(pairs) => pairs.len(),
            Self::Many(map) => map.len(),
        }
    }

    /// Whether there is a value for a key.
    pub fn contains_key(&self, key: &K) -> bool {
        self.get(key).is_some()
    }

    /// All pairs, in no particular order.
    pub fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        let (one, few, many) = match self {
            Self::Empty => (None, None, None),
            Self::One(key, value) => (Some((key, value)), None, None),
            Self::Few(pairs) => (None, Some(pairs), None),
            Self::Many(map) => (None, None, Some(map)),
        };
        let few = few.into_iter().flatten().map(|(key, value)| (key, value));
        one.into_iter()
            .chain(few)
            .chain(many.into_iter().flat_map(|map| map.iter()))
    }

    /// All values, in no particular order.
    pub fn values(&self) -> impl Iterator<Item = &V> {
        self.iter().map(|(_, value)| value)
    }

    /// Takes out all pairs, in no particular order.
    pub fn take_all(&mut self) -> Vec<(K, V)> {
        match std::mem::take(self) {
            Self::Empty => Vec::new(),
            Self::One(key, value) => vec![(key, value)],
            Self::Few(pairs) => pairs.into_iter().collect(),
            Self::Many(map) => map.into_iter().collect(),
        }
    }

    /// Sets the value of a key; gives the one it had.
    pub fn insert(&mut self, key: K, value: V) -> Option<V> {
        if let Self::Many(map) = self {
            return map.insert(key, value);
        }
        if let Some(held) = self.get_mut(&key) {
            return Some(std::mem::replace(held, value));
        }
        *self = match std::mem::take(self) {
            Self::Empty => Self::One(key, value),
            Self::One(first, held) => {
                let mut pairs = ThinVec::with_capacity(2);
                pairs.extend([(first, held), (key, value)]);
                Self::Few(pairs)
            }
            Self::Few(mut pairs) => {
                pairs.push((key, value));
                if pairs.len() <= FEW {
                    Self::Few(pairs)
                } else {
                    Self::Many(Box::new(pairs.into_iter().collect()))
                }
            }
            Self::Many(_) => unreachable!("a hash map takes the pair at the top"),
        };
        None
    }

    /// Removes a key; gives the value it had.
    pub fn remove(&mut self, key: &K) -> Option<V> {
        match self {
            Self::Few(pairs) => {
                let at = pairs.iter().position(|(held, _)| held == key)?;
                let (_, value) = pairs.swap_remove(at);
                if let [_] = pairs[..] {
                    let (key, value) = pairs.pop().expect("one pair is left");
                    *self = Self::One(key, value);
                }
                Some(value)
            }
            Self::Many(map) => {
                let value = map.remove(key)?;
                if map.len() <= FEW / 2 {
                    *self = Self::Few(map.drain().collect());
                } else {
                    shrink(map);
                }
                Some(value)
            }
            Self::One(held, _) if held == key => match std::mem::take(self) {
                Self::One(_, value) => Some(value),
                _ => unreachable!("it was matched as one pair"),
            },
            _ => None,
        }
    }

    /// Calls `visit` with every pair, in no particular order.
    pub fn for_each<'a>(&'a self, mut visit: impl FnMut(&'a K, &'a V)) {
        match self {
            Self::Empty => {}
            Self::One(key, value) => visit(key, value),
            Self::Few(pairs) => pairs.iter().for_each(|(key, value)| visit(key, value)),
            Self::Many(map) => map.iter().for_each(|(key, value)| visit(key, value)),
        }
    }
}

/// Gives memory back when three quarters of a large map stand empty: amortised constant per removal, and walking the
/// map stays linear in what it holds.
pub fn shrink<K: Hash + Eq, V, S: BuildHasher>(map: &mut HashMap<K, V, S>) {
    if map.capacity() > 64 && map.len() * 4 < map.capacity() {
        map.shrink_to(map.len() * 2);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_leaf_costs_no_more_than_its_pair_and_a_tag() {
        assert_eq!(size_of::<SmallMap<u32, u32, 8>>(), 16);
        assert_eq!(size_of::<SmallMap<u64, [u64; 2], 31>>(), 32);
    }

    proptest! {
        #[test]
        fn it_behaves_as_a_map(steps in prop::collection::vec((any::<bool>(), 0u32..14, any::<u8>()), 0..200)) {
            let mut map: SmallMap<u32, u8, 8> = SmallMap::default();
            let mut model = HashMap::new();
            for (insert, key, value) in steps {
                if insert {
                    prop_assert_eq!(map.insert(key, value), model.insert(key, value));
                } else {
                    prop_assert_eq!(map.remove(&key), model.remove(&key));
                }
                prop_assert_eq!(map.get(&key), model.get(&key));
                prop_assert_eq!(map.is_empty(), model.is_empty());
                let mut seen = HashMap::new();
                map.for_each(|key, value| assert_eq!(seen.insert(*key, *value), None));
                prop_assert_eq!(&seen, &model);
                prop_assert_eq!(map.iter().map(|(key, value)| (*key, *value)).collect::<HashMap<_, _>>(), model.clone());
                prop_assert_eq!((map.len(), map.values().count()), (model.len(), model.len()));
            }
            let all = map.take_all();
            prop_assert_eq!((all.into_iter().collect::<HashMap<_, _>>(), map.is_empty()), (model, true));
        }
    }
}

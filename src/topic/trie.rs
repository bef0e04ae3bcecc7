//! Subscriptions by filter, found by topic. Knows nothing of who subscribes.

use std::hash::Hash;

use smallvec::SmallVec;

use super::TopicFilter;
use super::levels::{LevelId, Levels};
use super::slab::{Slab, SlabId};
use crate::types::SmallMap;

/// Subscriptions: a value for each pair of a filter and a subscriber.
///
/// Made for millions: a level's text is kept once, a node is 48 bytes while `K` and `V` take up to 24 with a tag, and it goes when
/// its last subscriber goes. Nothing recurses, since a topic may have 65,535 levels.
pub struct Trie<K, V> {
    nodes: Slab<Node<K, V>>,
    levels: Levels,
    len: usize,
}

struct Node<K, V> {
    children: SmallMap<LevelId, SlabId, 8>,
    plus: SlabId,
    hash: SlabId,
    subscribers: SmallMap<K, V, 31>,
}

const ROOT: SlabId = 0;
/// No child: the root is nobody's.
const NONE: SlabId = ROOT;

impl<K: Hash + Eq, V> Trie<K, V> {
    /// A trie without subscription.
    pub fn new() -> Self {
        Self {
            nodes: Slab::with_root(),
            levels: Levels::default(),
            len: 0,
        }
    }

    /// Sets the value of a subscriber of a filter; gives the one it had.
    pub fn insert(&mut self, filter: &TopicFilter, subscriber: K, value: V) -> Option<V> {
        let mut node = ROOT;
        for level in filter.levels() {
            node = match self.child(node, level) {
                Some(child) => child,
                None => self.add_child(node, level),
            };
        }
        let previous = self.nodes[node].subscribers.insert(subscriber, value);
        self.len += usize::from(previous.is_none());
        previous
    }

    /// Removes a subscriber of a filter; gives the value it had.
    pub fn remove(&mut self, filter: &TopicFilter, subscriber: &K) -> Option<V> {
        let mut path: SmallVec<[SlabId; 16]> = SmallVec::new();
        path.push(ROOT);
        let mut node = ROOT;
        for level in filter.levels() {
            node = self.child(node, level)?;
            path.push(node);
        }
        let removed = self.nodes[node].subscribers.remove(subscriber)?;
        self.len -= 1;
        self.prune(filter, &path);
        Some(removed)
    }

    /// The value of a subscriber of a filter.
    pub fn get(&self, filter: &TopicFilter, subscriber: &K) -> Option<&V> {
        let node = self.find(filter)?;
        self.nodes[node].subscribers.get(subscriber)
    }

    /// The value of a subscriber of a filter, to change it.
    pub fn get_mut(&mut self, filter: &TopicFilter, subscriber: &K) -> Option<&mut V> {
        let node = self.find(filter)?;
        self.nodes[node].subscribers.get_mut(subscriber)
    }

    /// Whether anyone subscribes to this very filter.
    pub fn contains(&self, filter: &TopicFilter) -> bool {
        self.find(filter)
            .is_some_and(|node| !self.nodes[node].subscribers.is_empty())
    }

    /// How many subscriptions there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is no subscription.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Calls `visit` once for each subscription whose filter matches the topic, in no particular order.
    pub fn visit<'a>(&'a self, topic: &str, mut visit: impl FnMut(&'a K, &'a V)) {
        let mut here: SmallVec<[SlabId; 32]> = SmallVec::new();
        let mut below: SmallVec<[SlabId; 32]> = SmallVec::new();
        here.push(ROOT);
        // [MQTT-4.7.2-1]: a filter's first wildcard does not match a topic's first `$`.
        let mut wildcards = !topic.starts_with('$');
        for level in topic.split('/') {
            let level = self.levels.find(level);
            for node in here.drain(..) {
                let node = &self.nodes[node];
                if wildcards {
                    self.visit_hash(node, &mut visit);
                    below.extend(some(node.plus));
                }
                below.extend(level.and_then(|level| node.children.get(&level).copied()));
            }
            if below.is_empty() {
                return;
            }
            std::mem::swap(&mut here, &mut below);
            wildcards = true;
        }
        for node in here {
            let node = &self.nodes[node];
            node.subscribers.for_each(&mut visit);
            // `a/#` matches `a` (MQTT 5.0 section 4.7.1.2).
            self.visit_hash(node, &mut visit);
        }
    }

    /// Calls `visit` with the subscribers of this very filter, in no particular order.
    pub fn subscribers<'a>(&'a self, filter: &TopicFilter, visit: impl FnMut(&'a K, &'a V)) {
        if let Some(node) = self.find(filter) {
            self.nodes[node].subscribers.for_each(visit);
        }
    }

    /// Calls `visit` with each subscription and the text of its filter, in no particular order.
    pub fn for_each<'a>(&'a self, mut visit: impl FnMut(&str, &'a K, &'a V)) {
        let texts = self.levels.texts();
        let mut filter = String::new();
        // What is still to walk: a node, its level, and how much of the text is its parent's (the root's children have
        // none).
        let mut ahead: Vec<(SlabId, &str, Option<usize>)> = Vec::new();
        let mut next = Some((ROOT, None));
        while let Some((id, parent_len)) = next {
            let node = &self.nodes[id];
            node.subscribers
                .for_each(|subscriber, value| visit(&filter, subscriber, value));
            ahead.extend(some(node.plus).map(|child| (child, "+", parent_len)));
            ahead.extend(some(node.hash).map(|child| (child, "#", parent_len)));
            node.children
                .for_each(|level, &child| ahead.push((child, texts[level], parent_len)));
            next = ahead.pop().map(|(child, level, parent_len)| {
                filter.truncate(parent_len.unwrap_or(0));
                if parent_len.is_some() {
                    filter.push('/');
                }
                filter.push_str(level);
                (child, Some(filter.len()))
            });
        }
    }

    fn visit_hash<'a>(&'a self, node: &Node<K, V>, visit: impl FnMut(&'a K, &'a V)) {
        if let Some(hash) = some(node.hash) {
            self.nodes[hash].subscribers.for_each(visit);
        }
    }

    fn find(&self, filter: &TopicFilter) -> Option<SlabId> {
        filter.levels().try_fold(ROOT, |node, level| self.child(node, level))
    }

    fn child(&self, parent: SlabId, level: &str) -> Option<SlabId> {
        let parent = &self.nodes[parent];
        match level {
            "+" => some(parent.plus),
            "#" => some(parent.hash),
            text => parent.children.get(&self.levels.find(text)?).copied(),
        }
    }

    fn add_child(&mut self, parent: SlabId, level: &str) -> SlabId {
        let child = self.nodes.insert();
        let parent = &mut self.nodes[parent];
        match level {
            "+" => parent.plus = child,
            "#" => parent.hash = child,
            text => {
                let previous = parent.children.insert(self.levels.acquire(text), child);
                assert!(previous.is_none(), "a level has one child");
            }
        }
        child
    }

    /// Removes what became empty along the path of a filter, from its end upwards.
    fn prune(&mut self, filter: &TopicFilter, path: &[SlabId]) {
        for (level, edge) in filter.as_str().rsplit('/').zip(path.windows(2).rev()) {
            if !self.nodes[edge[1]].is_vacant() {
                return;
            }
            self.nodes.remove(edge[1]);
            let parent = &mut self.nodes[edge[0]];
            match level {
                "+" => parent.plus = NONE,
                "#" => parent.hash = NONE,
                text => {
                    let id = self.levels.find(text).expect("the child refers to its level");
                    parent.children.remove(&id);
                    self.levels.release(text);
                }
            }
        }
    }
}

impl<K: Hash + Eq, V> Default for Trie<K, V> {
    fn default() -> Self {
        Self::new()
    }
}

impl<K: Hash + Eq, V> Node<K, V> {
    fn is_vacant(&self) -> bool {
        self.plus == NONE && self.hash == NONE && self.children.is_empty() && self.subscribers.is_empty()
    }
}

impl<K, V> Default for Node<K, V> {
    fn default() -> Self {
        Self {
            children: SmallMap::Empty,
            plus: NONE,
            hash: NONE,
            subscribers: SmallMap::Empty,
        }
    }
}

fn some(child: SlabId) -> Option<SlabId> {
    (child != NONE).then_some(child)
}

impl<K, V> std::fmt::Debug for Trie<K, V> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Trie").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;

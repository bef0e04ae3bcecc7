//! Values by topic, found by filter. Knows nothing of the values.

use std::collections::BTreeMap;
use std::collections::btree_map::Range;
use std::ops::Bound;

use super::TopicFilter;

/// A value for each topic, with the wildcard on the asking side.
///
/// It is a sorted map. In its keys U+0000, which no topic contains, stands for `/`: so the topics below a level stand
/// together, and a filter is answered by leaping from one candidate to the next. Depth costs nothing, and a question
/// costs at most two looks at each topic.
pub struct TopicTree<V> {
    values: BTreeMap<Box<str>, V>,
}

impl<V> TopicTree<V> {
    /// A tree without topic.
    pub fn new() -> Self {
        Self {
            values: BTreeMap::new(),
        }
    }

    /// Sets the value of a topic; gives the one it had.
    pub fn insert(&mut self, topic: &str, value: V) -> Option<V> {
        self.values.insert(key(topic).into_boxed_str(), value)
    }

    /// Removes a topic; gives the value it had.
    pub fn remove(&mut self, topic: &str) -> Option<V> {
        self.values.remove(&*key(topic))
    }

    /// The value of a topic.
    pub fn get(&self, topic: &str) -> Option<&V> {
        self.values.get(&*key(topic))
    }

    /// The value of a topic, to change it.
    pub fn get_mut(&mut self, topic: &str) -> Option<&mut V> {
        self.values.get_mut(&*key(topic))
    }

    /// How many topics there are.
    pub fn len(&self) -> usize {
        self.values.len()
    }

    /// Whether there is no topic.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// Calls `visit` with each topic that matches the filter, in a steady order.
    pub fn matching<'a>(&'a self, filter: &TopicFilter, mut visit: impl FnMut(&str, &'a V)) {
        if filter.is_exact() {
            if let Some(value) = self.get(filter.as_str()) {
                visit(filter.as_str(), value);
            }
            return;
        }
        let mut topic = String::new();
        let mut candidates = self.from(start(filter));
        while let Some((key, value)) = candidates.next() {
            match judge(filter.as_str(), key) {
                Verdict::Match => {
                    write_topic(&mut topic, key);
                    visit(&topic, value);
                }
                Verdict::Leap(to) => candidates = self.from(&to),
                Verdict::End => return,
            }
        }
    }

    fn from(&self, key: &str) -> Range<'_, Box<str>, V> {
        self.values.range::<str, _>((Bound::Included(key), Bound::Unbounded))
    }

    /// Calls `visit` with every topic, in a steady order.
    pub fn for_each<'a>(&'a self, mut visit: impl FnMut(&str, &'a V)) {
        let mut topic = String::new();
        for (key, value) in &self.values {
            write_topic(&mut topic, key);
            visit(&topic, value);
        }
    }
}

impl<V> Default for TopicTree<V> {
    fn default() -> Self {
        Self::new()
    }
}

const SEPARATOR: char = '\0';

fn key(topic: &str) -> String {
    topic.replace('/', "\0")
}

fn write_topic(topic: &mut String, key: &str) {
    topic.clear();
    for (depth, level) in key.split(SEPARATOR).enumerate() {
        if depth > 0 {
            topic.push('/');
        }
        topic.push_str(level);
    }
}

/// A key at or below the lowest that can match: the first level, unless that is a wildcard.
fn start(filter: &TopicFilter) -> &str {
    // More levels would need a key of their own, and the first leap goes there anyway.
    let first = filter.levels().next().unwrap_or_default();
    if matches!(first, "+" | "#") { "" } else { first }
}

/// What a key is to a filter.
enum Verdict {
    /// It matches; the next may too.
    Match,
    /// It does not, and no key below this one will.
    Leap(String),
    /// It does not, and no later one will.
    End,
}

/// Judges a key by the first level at which it and the filter part.
fn judge(filter: &str, key: &str) -> Verdict {
    // [MQTT-4.7.2-1]: keys that begin with `$` end before `%`, the character after it.
    if key.starts_with('$') && filter.starts_with(['+', '#']) {
        return Verdict::Leap("%".into());
    }
    let mut levels = key.split(SEPARATOR);
    // How many bytes of the key are judged, its last separator included; and where the last level under a `+` ended.
    let mut judged = 0;
    let mut last_plus = None;
    for asked in filter.split('/') {
        if asked == "#" {
            return Verdict::Match;
        }
        let Some(level) = levels.next() else {
            // What is below the key comes next, from the level that is asked for.
            let lowest = if asked == "+" { "" } else { asked };
            return Verdict::Leap(format!("{key}{SEPARATOR}{lowest}"));
        };
        let end = judged + level.len();
        if asked == "+" {
            last_plus = Some(end);
        } else if level < asked {
            return Verdict::Leap(format!("{}{asked}", &key[..judged]));
        } else if level > asked {
            return last_plus.map_or(Verdict::End, |end| Verdict::Leap(after(&key[..end])));
        }
        judged = end + 1;
    }
    match levels.next() {
        None => Verdict::Match,
        Some(_) => Verdict::Leap(after(&key[..judged - 1])),
    }
}

/// The lowest text above a key and all that is below it.
fn after(key: &str) -> String {
    format!("{key}\u{1}")
}

impl<V> std::fmt::Debug for TopicTree<V> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TopicTree").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::super::plain_matches;
    use super::super::strategies::{filter, topic};
    use super::*;
    use proptest::prelude::*;

    fn found(tree: &TopicTree<u32>, filter: &TopicFilter) -> Vec<(String, u32)> {
        let mut found = Vec::new();
        tree.matching(filter, |topic, value| found.push((topic.to_owned(), *value)));
        found.sort_unstable();
        found
    }

    proptest! {
        #[test]
        fn a_tree_finds_what_the_plain_matcher_finds(
            steps in prop::collection::vec((0u8..4, topic(), any::<u32>()), 0..80),
            filters in prop::collection::vec(filter(), 1..20),
        ) {
            let mut tree = TopicTree::new();
            let mut model = BTreeMap::new();
            for (step, topic, value) in steps {
                if step > 0 {
                    prop_assert_eq!(tree.insert(&topic, value), model.insert(topic.clone(), value));
                } else {
                    prop_assert_eq!(tree.remove(&topic), model.remove(&topic));
                }
                prop_assert_eq!(tree.get(&topic), model.get(&topic));
            }
            prop_assert_eq!(tree.len(), model.len());
            for filter in filters {
                let matching = model.iter().filter(|(topic, _)| plain_matches(filter.as_str(), topic));
                let expected: Vec<_> = matching.map(|(topic, value)| (topic.clone(), *value)).collect();
                prop_assert_eq!(found(&tree, &filter), expected, "{}", filter);
            }
            let mut all = BTreeMap::new();
            tree.for_each(|topic, value| assert_eq!(all.insert(topic.to_owned(), *value), None));
            prop_assert_eq!(all, model);
        }
    }

    #[test]
    fn the_deepest_topic_and_filter_need_no_stack() {
        let deep = "/".repeat(65_535);
        let plus = format!("{}+", "+/".repeat(32_767));
        let mut tree = TopicTree::new();
        tree.insert(&deep, 1);
        tree.insert(&deep[..32_767], 2);
        assert_eq!(found(&tree, &TopicFilter::parse("#").expect("a filter")).len(), 2);
        assert_eq!(found(&tree, &TopicFilter::parse(&plus).expect("a filter")).len(), 1);
    }

    #[test]
    fn a_question_leaps_over_what_cannot_match() {
        let mut tree = TopicTree::new();
        for device in 0..100 {
            for reading in 0..1000 {
                tree.insert(&format!("site/{device}/{reading}"), 0);
            }
        }
        let filter = TopicFilter::parse("site/+/7").expect("a filter");
        let mut looks = 0;
        let mut at = Some(start(&filter).to_owned());
        while let Some(from) = at.take() {
            at = tree
                .from(&from)
                .next()
                .and_then(|(key, _)| match judge(filter.as_str(), key) {
                    Verdict::Match => Some(format!("{key}{SEPARATOR}")),
                    Verdict::Leap(to) => Some(to),
                    Verdict::End => None,
                });
            looks += 1;
        }
        assert!(looks < 500, "{looks} looks for 100 topics");
        assert_eq!(found(&tree, &filter).len(), 100);
    }
}

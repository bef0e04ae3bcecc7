//! Random topics and filters over an alphabet so small that they often meet.

use proptest::prelude::*;

use super::TopicFilter;

fn level() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["", "a", "b", "ab", "é", "$s", "\u{1}", "%", "日本"])
}

/// A topic of one to five levels.
pub(super) fn topic() -> impl Strategy<Value = String> {
    let levels = prop::collection::vec(level(), 1..=5);
    let topics = levels.prop_map(|levels| levels.join("/"));
    topics.prop_filter("a topic has a character", |topic| !topic.is_empty())
}

/// A filter of one to five levels.
pub(super) fn filter() -> impl Strategy<Value = TopicFilter> {
    let level = prop_oneof![2 => level(), 1 => Just("+")];
    let levels = (prop::collection::vec(level, 0..=4), prop::option::of(Just("#")));
    levels.prop_filter_map("a filter has a character", |(mut levels, last)| {
        levels.extend(last);
        TopicFilter::parse(&levels.join("/")).ok()
    })
}

//! The trie against the plain matcher and a plain list.

use std::collections::HashMap;

use proptest::prelude::*;

use super::super::plain_matches;
use super::super::strategies::{filter, topic};
use super::*;

fn parse(text: &str) -> TopicFilter {
    TopicFilter::parse(text).expect(text)
}

fn found(trie: &Trie<u8, u32>, topic: &str) -> Vec<(u8, u32)> {
    let mut found = Vec::new();
    trie.visit(topic, |subscriber, value| found.push((*subscriber, *value)));
    found.sort_unstable();
    found
}

type Model = HashMap<(TopicFilter, u8), u32>;

fn expected(model: &Model, topic: &str) -> Vec<(u8, u32)> {
    let matching = model
        .iter()
        .filter(|((filter, _), _)| plain_matches(filter.as_str(), topic));
    let mut expected: Vec<_> = matching.map(|((_, subscriber), value)| (*subscriber, *value)).collect();
    expected.sort_unstable();
    expected
}

fn contents(trie: &Trie<u8, u32>) -> Model {
    let mut contents = Model::new();
    trie.for_each(|filter, subscriber, value| {
        assert_eq!(
            contents.insert((parse(filter), *subscriber), *value),
            None,
            "{filter} twice"
        );
    });
    contents
}

proptest! {
    #[test]
    fn a_trie_finds_what_the_plain_matcher_finds(
        filters in prop::collection::vec((filter(), 0u8..4, any::<u32>()), 0..60),
        topics in prop::collection::vec(topic(), 1..30),
    ) {
        let mut trie = Trie::new();
        let mut model = Model::new();
        for (filter, subscriber, value) in filters {
            let previous = model.insert((filter.clone(), subscriber), value);
            prop_assert_eq!(trie.insert(&filter, subscriber, value), previous);
        }
        for topic in topics {
            prop_assert_eq!(found(&trie, &topic), expected(&model, &topic), "{}", topic);
        }
    }

    #[test]
    fn a_trie_keeps_up_with_coming_and_going(
        steps in prop::collection::vec((any::<bool>(), filter(), 0u8..3, any::<u32>(), topic()), 0..120),
    ) {
        let mut trie = Trie::new();
        let mut model = Model::new();
        for (insert, filter, subscriber, value, topic) in steps {
            let key = (filter.clone(), subscriber);
            if insert {
                prop_assert_eq!(trie.insert(&filter, subscriber, value), model.insert(key.clone(), value));
            } else {
                // Half of the removals hit, the others miss.
                let hit = model.keys().min().filter(|_| value % 2 == 0).cloned();
                let (filter, subscriber) = hit.unwrap_or(key.clone());
                prop_assert_eq!(trie.remove(&filter, &subscriber), model.remove(&(filter, subscriber)));
            }
            prop_assert_eq!(trie.get(&filter, &subscriber), model.get(&key));
            prop_assert_eq!(trie.len(), model.len());
            prop_assert_eq!(found(&trie, &topic), expected(&model, &topic));
        }
        prop_assert_eq!(contents(&trie), model.clone());
        for ((filter, subscriber), value) in model {
            prop_assert_eq!(trie.remove(&filter, &subscriber), Some(value));
        }
        prop_assert!(trie.is_empty());
        prop_assert_eq!((trie.nodes.in_use(), trie.levels.len()), (1, 0));
    }
}

#[test]
fn the_deepest_filter_and_topic_need_no_stack() {
    let deep = "/".repeat(65_535);
    let plus = format!("{}+", "+/".repeat(32_767));
    let topic = format!("{}x", "x/".repeat(32_767));
    let mut trie = Trie::new();
    for text in [&deep, &plus, &topic, "#"] {
        trie.insert(&parse(text), 1, 0);
    }
    assert_eq!((found(&trie, &deep).len(), found(&trie, &topic).len()), (2, 3));
    assert_eq!(contents(&trie).len(), 4);
    for text in [&deep, &plus, &topic, "#"] {
        assert_eq!(trie.remove(&parse(text), &1), Some(0));
    }
    assert_eq!((trie.nodes.in_use(), trie.levels.len()), (1, 0));
}

#[test]
fn many_subscribers_of_one_filter_come_and_go() {
    let filter = parse("a/+");
    let mut trie = Trie::new();
    for subscriber in 0..100_000u32 {
        trie.insert(&filter, subscriber, ());
    }
    let mut count = 0;
    trie.visit("a/b", |_, ()| count += 1);
    assert_eq!((count, trie.len()), (100_000, 100_000));
    for subscriber in 0..100_000 {
        assert_eq!(trie.remove(&filter, &subscriber), Some(()));
    }
    assert!(trie.is_empty() && !trie.contains(&filter));
    assert_eq!(trie.nodes.in_use(), 1);
}

#[test]
fn a_node_with_an_ordinary_subscriber_takes_48_bytes() {
    // A value with a tag of few values, as a target of the broker is.
    assert_eq!(size_of::<Node<u64, (u64, Option<bool>)>>(), 48);
}

#[test]
fn one_filter_has_its_own_subscribers_and_changeable_values() {
    let mut trie = Trie::new();
    trie.insert(&parse("a/#"), 1, 1);
    trie.insert(&parse("a"), 2, 2);
    *trie.get_mut(&parse("a/#"), &1).expect("just inserted") = 7;
    let mut subscribers = Vec::new();
    trie.subscribers(&parse("a/#"), |subscriber, value| {
        subscribers.push((*subscriber, *value))
    });
    assert_eq!(subscribers, [(1, 7)]);
    assert!(!trie.contains(&parse("+")));
}

//! How shared subscriptions without a replay choose a member. Knows no member.

use serde::Serialize;

use super::reader::{Reader, Section};
use super::value::{self, Given, Words};

/// Shared subscriptions.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Shared {
    /// The strategy of a group that no rule names.
    pub strategy: SharedStrategy,
    /// Strategies of groups by their names; the first rule that matches counts.
    pub rules: Vec<SharedRule>,
}

/// One `[[shared.rules]]`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct SharedRule {
    /// A group name; each `*` in it stands for any text.
    pub group: String,
    /// How a member is chosen.
    pub strategy: SharedStrategy,
}

/// How a member of a group is chosen for a message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SharedStrategy {
    /// One after the other.
    #[default]
    RoundRobin,
    /// The one with the fewest unacknowledged messages.
    LeastInflight,
    /// The same one for as long as it is there.
    Sticky,
    /// One by the topic, so that a topic stays with its member.
    HashTopic,
    /// Any.
    Random,
}

impl Shared {
    /// The strategy of a group.
    pub fn strategy_of(&self, group: &str) -> SharedStrategy {
        let rule = self.rules.iter().find(|rule| matches(&rule.group, group));
        rule.map_or(self.strategy, |rule| rule.strategy)
    }
}

impl Section for Shared {
    fn read(&mut self, reader: &mut Reader<'_, '_>) {
        reader.option("strategy", &mut self.strategy, value::word);
        let strategy = self.strategy;
        reader.tables("rules", &mut self.rules, || SharedRule {
            strategy,
            ..SharedRule::default()
        });
    }
}

impl Section for SharedRule {
    fn read(&mut self, reader: &mut Reader<'_, '_>) {
        reader.require("group");
        reader.require("strategy");
        reader.option("group", &mut self.group, group);
        reader.option("strategy", &mut self.strategy, value::word);
    }
}

impl Words for SharedStrategy {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("round_robin", Self::RoundRobin),
        ("least_inflight", Self::LeastInflight),
        ("sticky", Self::Sticky),
        ("hash_topic", Self::HashTopic),
        ("random", Self::Random),
    ];
}

/// A share name has at least one character and none of `/`, `+`, `#` [MQTT-4.8.2-1] [MQTT-4.8.2-2].
fn group(given: &Given<'_>) -> Result<String, String> {
    let name = given
        .text()
        .filter(|name| !name.is_empty() && !name.contains(['/', '+', '#']));
    name.map(str::to_owned)
        .ok_or_else(|| given.instead_of("a group name without / + #, such as \"billing-*\""))
}

/// Whether `name` is `pattern` with some text in place of each `*`.
fn matches(pattern: &str, name: &str) -> bool {
    let Some((head, rest)) = pattern.split_once('*') else {
        return pattern == name;
    };
    let Some(mut name) = name.strip_prefix(head) else {
        return false;
    };
    let mut parts: Vec<&str> = rest.split('*').collect();
    let last = parts.pop().unwrap_or_default();
    for part in parts {
        // The earliest place leaves the most to the parts that follow.
        let Some(at) = name.find(part) else { return false };
        name = &name[at + part.len()..];
    }
    name.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_any_text() {
        for (pattern, name, expected) in [
            ("a", "a", true),
            ("a", "ab", false),
            ("*", "", true),
            ("*", "x", true),
            ("a*", "abc", true),
            ("a*", "ba", false),
            ("*c", "abc", true),
            ("a*c", "ac", true),
            ("a*a", "a", false),
            ("a*b*c", "a1b2c", true),
            ("a*b*c", "a1c2b", false),
            ("*bb*b", "abbb", true),
            ("*bb*b", "abb", false),
            ("é*", "éa", true),
        ] {
            assert_eq!(matches(pattern, name), expected, "{pattern} {name}");
        }
    }

    #[test]
    fn the_first_rule_that_matches_counts() {
        let rule = |group: &str, strategy| SharedRule {
            group: group.to_owned(),
            strategy,
        };
        let shared = Shared {
            strategy: SharedStrategy::Random,
            rules: vec![
                rule("a*", SharedStrategy::Sticky),
                rule("ab", SharedStrategy::HashTopic),
            ],
        };
        assert_eq!(shared.strategy_of("ab"), SharedStrategy::Sticky);
        assert_eq!(shared.strategy_of("b"), SharedStrategy::Random);
    }
}

//! What is stored, and for how long: the configured rules. Knows no store.

use crate::config;
use crate::log::Retention;
use crate::topic::TopicFilter;

/// The rules in the order of the configuration; the first that matches decides.
#[derive(Debug)]
pub struct StoreRules {
    rules: Vec<Rule>,
    allow_publisher_store: bool,
    default_retention: Retention,
}

#[derive(Debug)]
struct Rule {
    filters: Vec<TopicFilter>,
    exclude: Vec<TopicFilter>,
    retention: Retention,
}

/// What the rules and the publisher's wish come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// It is stored.
    Yes,
    /// It is not stored.
    No,
    /// The publisher asked for it and may not.
    Forbidden,
}

impl StoreRules {
    /// The rules of a checked configuration; filters that are none are left out.
    pub fn new(config: &config::Store) -> Self {
        let parse = |texts: &[String]| texts.iter().filter_map(|text| TopicFilter::parse(text).ok()).collect();
        let rules = config.rules.iter().map(|rule| Rule {
            filters: parse(&rule.filters),
            exclude: parse(&rule.exclude),
            retention: retention(&rule.retention),
        });
        Self {
            rules: rules.collect(),
            allow_publisher_store: config.allow_publisher_store,
            default_retention: retention(&config.default_retention),
        }
    }

    /// Whether a message of this topic is stored; `asked` if its publisher wants it.
    pub fn decide(&self, topic: &str, asked: bool) -> Keep {
        if topic.starts_with('$') {
            return Keep::No;
        }
        if self.rule(topic).is_some() {
            return Keep::Yes;
        }
        match (asked, self.allow_publisher_store) {
            (false, _) => Keep::No,
            (true, true) => Keep::Yes,
            (true, false) => Keep::Forbidden,
        }
    }

    /// The filters of the rule that stores a topic, for people.
    pub fn filters_for(&self, topic: &str) -> Option<String> {
        let filters = self.rule(topic)?.filters.iter().map(TopicFilter::as_str);
        Some(filters.collect::<Vec<_>>().join(", "))
    }

    /// How long the events of a topic are kept.
    pub fn retention(&self, topic: &str) -> Retention {
        self.rule(topic).map_or(self.default_retention, |rule| rule.retention)
    }

    fn rule(&self, topic: &str) -> Option<&Rule> {
        let matches = |filters: &[TopicFilter]| filters.iter().any(|filter| filter.matches(topic));
        self.rules
            .iter()
            .find(|rule| matches(&rule.filters) && !matches(&rule.exclude))
    }
}

fn retention(config: &config::Retention) -> Retention {
    Retention {
        max_age: config.max_age,
        max_count: config.max_count,
        max_bytes: config.max_bytes,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(allow_publisher_store: bool) -> StoreRules {
        let rule = config::StoreRule {
            filters: vec!["a/#".into()],
            exclude: vec!["a/x".into()],
            retention: config::Retention {
                max_age: None,
                max_count: Some(3),
                max_bytes: None,
            },
        };
        StoreRules::new(&config::Store {
            rules: vec![rule],
            allow_publisher_store,
            ..config::Store::default()
        })
    }

    #[test]
    fn rule_stores_and_exclude_does_not() {
        assert_eq!(rules(true).decide("a/b", false), Keep::Yes);
        assert_eq!(rules(true).decide("a/x", false), Keep::No);
        assert_eq!(rules(true).decide("b", false), Keep::No);
    }

    #[test]
    fn publisher_may_ask_unless_forbidden() {
        assert_eq!(rules(true).decide("b", true), Keep::Yes);
        assert_eq!(rules(false).decide("b", true), Keep::Forbidden);
        assert_eq!(rules(false).decide("a/b", true), Keep::Yes);
    }

    #[test]
    fn dollar_topics_are_never_stored() {
        assert_eq!(rules(true).decide("$a", true), Keep::No);
    }

    #[test]
    fn retention_is_that_of_the_first_matching_rule() {
        assert_eq!(rules(true).retention("a/b").max_count, Some(3));
        assert_eq!(rules(true).retention("b").max_count, None);
    }
}

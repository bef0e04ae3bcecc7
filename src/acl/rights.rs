//! What one client may do: the rules that concern it, with its name filled in.

use std::fmt;
use std::sync::Arc;

use super::coverage::{self, Coverage, Deciding};
use super::pattern::Pattern;
use super::{Acl, Action, Effect, Rule};
use crate::topic::TopicFilter;

/// Who asks.
#[derive(Clone, Copy)]
pub struct Principal<'a> {
    /// Who it has proved to be.
    pub user: Option<&'a str>,
    /// The groups that the proof names.
    pub groups: &'a [String],
    /// The client identifier.
    pub client: &'a str,
    /// What the proof says under a name.
    pub claim: &'a dyn Fn(&str) -> Option<&'a str>,
}

impl fmt::Debug for Principal<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Principal")
            .field("user", &self.user)
            .field("groups", &self.groups)
            .field("client", &self.client)
            .finish_non_exhaustive()
    }
}

/// The rights of one client under one set of rules.
#[derive(Debug)]
pub struct Rights {
    acl: Arc<Acl>,
    own: Box<[Own]>,
}

/// A rule that concerns the client.
#[derive(Debug)]
struct Own {
    rule: u32,
    /// Its filter, where it has the client's name in it.
    filter: Option<TopicFilter>,
}

/// Whether something is allowed, and which rule says so.
#[derive(Clone, Copy, Debug)]
pub struct Decision<'a> {
    /// Whether it is.
    pub allowed: bool,
    /// The rule; `None`: no rule speaks of it, so that it is denied.
    pub rule: Option<&'a Rule>,
}

impl Rights {
    /// What somebody may do under these rules.
    pub fn new(acl: &Arc<Acl>, who: &Principal<'_>) -> Self {
        let own = acl.concerning(who).into_iter().filter_map(|rule| {
            let filter = match &acl.rule(rule).pattern {
                Pattern::Fixed(_) => None,
                made @ Pattern::Made(_) => Some(made.fill(who)?),
            };
            Some(Own { rule, filter })
        });
        Self {
            own: own.collect(),
            acl: acl.clone(),
        }
    }

    /// The rules.
    pub fn acl(&self) -> &Arc<Acl> {
        &self.acl
    }

    /// Whether the client may do this with a topic, and which rule says so: the first that matches.
    pub fn decide(&self, action: Action, topic: &str) -> Decision<'_> {
        let rule = self
            .concerning(action)
            .find(|(_, filter)| filter.matches(topic))
            .map(|(rule, _)| rule);
        Decision {
            allowed: rule.is_some_and(|rule| rule.effect == Effect::Allow),
            rule,
        }
    }

    /// Whether the client may do this with a topic.
    pub fn may(&self, action: Action, topic: &str) -> bool {
        self.decide(action, topic).allowed
    }

    /// Of how much of a filter's topics this may be done.
    pub fn coverage(&self, action: Action, filter: &TopicFilter) -> Coverage {
        let rules: Vec<_> = self.concerning(action).collect();
        coverage::coverage(&rules, filter)
    }

    /// The same, with the rules that decide of some of the topics.
    pub fn explain(&self, action: Action, filter: &TopicFilter) -> (Coverage, Deciding<'_>) {
        let rules: Vec<_> = self.concerning(action).collect();
        coverage::explain(&rules, filter)
    }

    fn concerning(&self, action: Action) -> impl Iterator<Item = (&Rule, &TopicFilter)> {
        self.own.iter().filter_map(move |own| {
            let rule = self.acl.rule(own.rule);
            let filter = match (&own.filter, &rule.pattern) {
                (Some(filter), _) | (None, Pattern::Fixed(filter)) => filter,
                (None, Pattern::Made(_)) => return None,
            };
            rule.concerns(action).then_some((rule, filter))
        })
    }
}

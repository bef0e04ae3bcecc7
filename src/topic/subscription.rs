//! The filter text of a SUBSCRIBE or UNSUBSCRIBE, taken apart. Knows no start option: a value stays text here.

use std::sync::Arc;

use super::channel::percent_decode;
use super::filter::check_text;
use super::{TopicError, TopicFilter};

/// What a filter text asks for: `[$share/<group>/][$replay/<value>/][$select/<percent-encoded selector>/]<filter>`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubscriptionFilter {
    /// The group, where the subscription is shared.
    pub group: Option<Arc<str>>,
    /// The start value of a `$replay` prefix, unread.
    pub replay: Option<String>,
    /// The selector of a `$select` prefix, percent-decoded.
    pub selector: Option<String>,
    /// The bare filter: the key of a cursor, and what topics are matched with.
    pub filter: TopicFilter,
}

impl SubscriptionFilter {
    /// Takes a filter text apart.
    pub fn parse(text: &str) -> Result<Self, TopicError> {
        check_text(text)?;
        let (group, rest) = match text.strip_prefix("$share/") {
            Some(rest) => parse_group(rest)?,
            None => (None, text),
        };
        let (replay, rest) = match prefixed(rest, "$replay") {
            Some(rest) => parse_replay(rest)?,
            None => (None, rest),
        };
        let (selector, rest) = match prefixed(rest, "$select") {
            Some(rest) => parse_selector(rest)?,
            None => (None, rest),
        };
        if rest.starts_with("$share/") || ["$replay", "$select"].iter().any(|name| prefixed(rest, name).is_some()) {
            return Err(TopicError::PrefixOrder);
        }
        let filter = TopicFilter::parse(rest)?;
        Ok(Self {
            group,
            replay,
            selector,
            filter,
        })
    }
}

fn parse_group(rest: &str) -> Result<(Option<Arc<str>>, &str), TopicError> {
    let (name, rest) = rest
        .split_once('/')
        .map_or((rest, None), |(name, rest)| (name, Some(rest)));
    // [MQTT-4.8.2-1]
    if name.is_empty() {
        return Err(TopicError::EmptyGroup);
    }
    // [MQTT-4.8.2-2]
    if name.contains(['+', '#']) {
        return Err(TopicError::WildcardInGroup);
    }
    match rest {
        None | Some("") => Err(TopicError::GroupWithoutFilter),
        Some(rest) => Ok((Some(name.into()), rest)),
    }
}

fn parse_replay(rest: &str) -> Result<(Option<String>, &str), TopicError> {
    let (value, rest) = rest.split_once('/').unwrap_or((rest, ""));
    if value.is_empty() {
        return Err(TopicError::EmptyReplay);
    }
    if value.contains(['+', '#']) {
        return Err(TopicError::WildcardInReplay);
    }
    if rest.is_empty() {
        return Err(TopicError::ReplayWithoutFilter);
    }
    Ok((Some(value.into()), rest))
}

fn parse_selector(rest: &str) -> Result<(Option<String>, &str), TopicError> {
    let (encoded, rest) = rest.split_once('/').unwrap_or((rest, ""));
    if encoded.is_empty() {
        return Err(TopicError::EmptySelector);
    }
    if encoded.contains(['+', '#']) {
        return Err(TopicError::WildcardInSelector);
    }
    if rest.is_empty() {
        return Err(TopicError::SelectorWithoutFilter);
    }
    let mut bytes = Vec::with_capacity(encoded.len());
    percent_decode(encoded, &mut bytes).ok_or(TopicError::MalformedSelector)?;
    let selector = String::from_utf8(bytes).map_err(|_| TopicError::MalformedSelector)?;
    Ok((Some(selector), rest))
}

/// What follows a prefix: `""` after the bare name, so that a forgotten value is refused and not taken for a topic.
fn prefixed<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let rest = text.strip_prefix(name)?;
    if rest.is_empty() {
        Some("")
    } else {
        rest.strip_prefix('/')
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parts(text: &str) -> (Option<String>, Option<String>, Option<String>, String) {
        let parsed = SubscriptionFilter::parse(text).expect(text);
        let group = parsed.group.map(|group| group.to_string());
        (group, parsed.replay, parsed.selector, parsed.filter.as_str().into())
    }

    fn some(text: &str) -> Option<String> {
        Some(text.into())
    }

    #[test]
    fn prefixes_are_taken_off() {
        assert_eq!(parts("a/#"), (None, None, None, "a/#".into()));
        assert_eq!(parts("$share/g/a"), (some("g"), None, None, "a".into()));
        assert_eq!(parts("$share/g//"), (some("g"), None, None, "/".into()));
        assert_eq!(parts("$replay/first//a"), (None, some("first"), None, "/a".into()));
        assert_eq!(
            parts("$share/g/$replay/seq:5/a/#"),
            (some("g"), some("seq:5"), None, "a/#".into())
        );
        assert_eq!(
            parts("$replay/last:3/$select/a%20%3D%201%2F2/x"),
            (None, some("last:3"), some("a = 1/2"), "x".into())
        );
        assert_eq!(parts("$select/%C3%A9=é/x"), (None, None, some("é=é"), "x".into()));
        assert_eq!(parts("$replays/a"), (None, None, None, "$replays/a".into()));
        assert_eq!(parts("$share"), (None, None, None, "$share".into()));
    }

    #[test]
    fn each_fault_has_its_own_error() {
        use TopicError::*;
        let table = [
            ("", Empty),
            ("$share/", EmptyGroup),
            ("$share//a", EmptyGroup),
            ("$share/+/a", WildcardInGroup),
            ("$share/a#/b", WildcardInGroup),
            ("$share/g", GroupWithoutFilter),
            ("$share/g/", GroupWithoutFilter),
            ("$share/g/a+", MisplacedPlus),
            ("$replay", EmptyReplay),
            ("$replay/", EmptyReplay),
            ("$replay//a", EmptyReplay),
            ("$replay/#", WildcardInReplay),
            ("$replay/time:2024-01-01T00:00:00+01:00/a", WildcardInReplay),
            ("$replay/first", ReplayWithoutFilter),
            ("$replay/first/", ReplayWithoutFilter),
            ("$share/g/$replay/first", ReplayWithoutFilter),
            ("$select//a", EmptySelector),
            ("$select/a=1", SelectorWithoutFilter),
            ("$select/a+1/x", WildcardInSelector),
            ("$select/a%2/x", MalformedSelector),
            ("$select/%FF/x", MalformedSelector),
            ("$select/a/$replay/first/x", PrefixOrder),
            ("$replay/first/$share/g/x", PrefixOrder),
            ("$replay/first/$replay/first/x", PrefixOrder),
            ("$share/g/$share/h/x", PrefixOrder),
            ("a\0", Null),
        ];
        for (text, error) in table {
            assert_eq!(SubscriptionFilter::parse(text), Err(error), "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_parsed_or_refused(text in any::<String>(), prefix in "(\\$share/|\\$replay/|\\$select/|%|é){0,3}") {
            let _ = SubscriptionFilter::parse(&format!("{prefix}{text}"));
        }
    }
}

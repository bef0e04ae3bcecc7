//! Topic names and filters as values, and the plain way to match them. Knows no prefix such as `$share/`.

use std::borrow::Borrow;
use std::fmt;

use smol_str::SmolStr;

use super::channel::push_level;
use super::{MAX_TOPIC_BYTES, TopicError};

/// Checks the topic of a PUBLISH: 1 to 65,535 bytes without wildcard and U+0000.
pub fn check_topic_name(topic: &str) -> Result<(), TopicError> {
    check_text(topic)?;
    // [MQTT-3.3.2-2]
    if topic.contains(['+', '#']) {
        return Err(TopicError::WildcardInName);
    }
    Ok(())
}

/// A valid topic filter. Cheap to clone; one of up to 23 bytes has no allocation.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TopicFilter(SmolStr);

impl TopicFilter {
    /// The filter of a text, which may be a topic name as well (MQTT 5.0 section 4.7).
    pub fn parse(text: &str) -> Result<Self, TopicError> {
        check_text(text)?;
        let mut levels = text.split('/').peekable();
        while let Some(level) = levels.next() {
            // [MQTT-4.7.1-1]
            if level.contains('#') && (level != "#" || levels.peek().is_some()) {
                return Err(TopicError::MisplacedHash);
            }
            // [MQTT-4.7.1-2]
            if level.contains('+') && level != "+" {
                return Err(TopicError::MisplacedPlus);
            }
        }
        Ok(Self(text.into()))
    }

    /// The filter as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it has no wildcard, so that it matches one topic only.
    pub fn is_exact(&self) -> bool {
        !self.0.contains(['+', '#'])
    }

    /// Whether a topic matches it.
    pub fn matches(&self, topic: &str) -> bool {
        plain_matches(&self.0, topic)
    }

    /// Its levels, the wildcards among them.
    pub fn levels(&self) -> impl Iterator<Item = &str> {
        self.0.split('/')
    }

    /// The patterns of channel names that mean the same: `+` is `*`, `a/#` is `a` and `a.>`, `#` is `>`.
    pub fn channel_patterns(&self) -> Vec<String> {
        let mut pattern = String::with_capacity(self.0.len() + 2);
        for (depth, level) in self.levels().enumerate() {
            if level == "#" {
                let below = if depth == 0 { ">".into() } else { format!("{pattern}.>") };
                return if depth == 0 { vec![below] } else { vec![pattern, below] };
            }
            if depth > 0 {
                pattern.push('.');
            }
            match level {
                "+" => pattern.push('*'),
                text => push_level(&mut pattern, text),
            }
        }
        vec![pattern]
    }
}

impl Borrow<str> for TopicFilter {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for TopicFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", &*self.0)
    }
}

impl fmt::Display for TopicFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Whether a topic matches a valid filter, level by level: what every faster way to match must agree with.
pub fn plain_matches(filter: &str, topic: &str) -> bool {
    // [MQTT-4.7.2-1]
    if topic.starts_with('$') && filter.starts_with(['+', '#']) {
        return false;
    }
    let mut asked = filter.split('/');
    let mut levels = topic.split('/');
    loop {
        match (asked.next(), levels.next()) {
            (Some("#"), _) | (None, None) => return true,
            (Some("+"), Some(_)) => {}
            (Some(wanted), Some(level)) if wanted == level => {}
            _ => return false,
        }
    }
}

pub(super) fn check_text(text: &str) -> Result<(), TopicError> {
    if text.is_empty() {
        return Err(TopicError::Empty);
    }
    if text.len() > MAX_TOPIC_BYTES {
        return Err(TopicError::TooLong(text.len()));
    }
    if text.contains('\0') {
        return Err(TopicError::Null);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filter(text: &str) -> TopicFilter {
        TopicFilter::parse(text).expect(text)
    }

    #[test]
    fn names_have_no_wildcards_and_a_bounded_length() {
        for good in ["a", "/", "a//b", "é/a", "$SYS/x", " "] {
            assert_eq!(check_topic_name(good), Ok(()), "{good}");
        }
        assert_eq!(check_topic_name(&"x".repeat(65_535)), Ok(()));
        assert_eq!(check_topic_name(&"x".repeat(65_536)), Err(TopicError::TooLong(65_536)));
        assert_eq!(check_topic_name(""), Err(TopicError::Empty));
        assert_eq!(check_topic_name("a\0"), Err(TopicError::Null));
        assert_eq!(check_topic_name("a/+"), Err(TopicError::WildcardInName));
        assert_eq!(check_topic_name("a#"), Err(TopicError::WildcardInName));
    }

    #[test]
    fn wildcards_stand_alone_and_hash_stands_last() {
        for good in ["#", "+", "+/#", "a/+/b", "/+", "+/", "a/b/#", "//"] {
            assert!(TopicFilter::parse(good).is_ok(), "{good}");
        }
        for bad in ["#/a", "a#", "a/#b", "#/", "##", "a/#/#"] {
            assert_eq!(TopicFilter::parse(bad), Err(TopicError::MisplacedHash), "{bad}");
        }
        for bad in ["a+", "+a/b", "++", "a/é+"] {
            assert_eq!(TopicFilter::parse(bad), Err(TopicError::MisplacedPlus), "{bad}");
        }
    }

    #[test]
    fn matching_follows_the_specification() {
        let table = [
            ("a/#", "a", true),
            ("a/#", "a/", true),
            ("a/#", "a/b/c", true),
            ("a/#", "ab", false),
            ("#", "é/a", true),
            ("#", "/", true),
            ("+", "a", true),
            ("+", "/a", false),
            ("+/+", "/a", true),
            ("/+", "/a", true),
            ("a/+", "a", false),
            ("a/+", "a/", true),
            ("a/+/c", "a//c", true),
            ("+/+/#", "a/b", true),
            ("a", "a/", false),
            ("é/+", "é/ü", true),
            ("#", "$SYS/a", false),
            ("+/a", "$SYS/a", false),
            ("$SYS/#", "$SYS", true),
            ("$SYS/+", "$SYS/a", true),
            ("a/#", "a/$b", true),
        ];
        for (text, topic, expected) in table {
            assert_eq!(filter(text).matches(topic), expected, "{text} against {topic}");
        }
    }

    #[test]
    fn patterns_speak_of_channels() {
        assert_eq!(filter("#").channel_patterns(), [">"]);
        assert_eq!(filter("a/#").channel_patterns(), ["a", "a.>"]);
        assert_eq!(filter("+/#").channel_patterns(), ["*", "*.>"]);
        assert_eq!(filter("/+/x.y").channel_patterns(), ["%-.*.x%2Ey"]);
        assert_eq!(filter("*/>").channel_patterns(), ["%2A.%3E"]);
        assert_eq!(filter("/#").channel_patterns(), ["%-", "%-.>"]);
    }

    #[test]
    fn exact_filters_have_no_wildcard() {
        assert!(filter("a//b").is_exact());
        assert!(!filter("a/+").is_exact());
        assert!(!filter("#").is_exact());
    }
}

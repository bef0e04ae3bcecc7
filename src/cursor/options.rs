//! What the user properties of SUBSCRIBE and UNSUBSCRIBE say about replay. Reads no selector.

use super::start::clip;
use super::{Start, StartError};
use crate::topic::SubscriptionFilter;

/// What a SUBSCRIBE asks of the event store.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReplayOptions {
    /// Where to start; `None` is a plain subscription.
    pub start: Option<Start>,
    /// The selector's text.
    pub selector: Option<String>,
    /// Whether the saved cursor is to be dropped first.
    pub reset_cursor: bool,
}

/// Why options are refused; each message names the fault.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OptionError {
    /// The start cannot be read.
    #[error("replay {value:?}: {fault}")]
    Start {
        /// What was asked for.
        value: String,
        /// What is wrong with it.
        fault: StartError,
    },
    /// A property that may come once came again.
    #[error("user property {0} is given twice; give it once")]
    Duplicate(&'static str),
    /// Both spellings of the start.
    #[error("user properties replay and stream-offset both give a start; give one")]
    BothStarts,
    /// The start as a property and as a prefix.
    #[error("both the user property and $replay/ give a start; give one")]
    StartTwice,
    /// The selector as a property and as a prefix.
    #[error("both the user property and $select/ give a selector; give one")]
    SelectorTwice,
    /// A name that looks like one of ours and is none.
    #[error("unknown user property {name:?}; did you mean {meant}?")]
    Unknown {
        /// The name.
        name: String,
        /// The name that is likely meant.
        meant: &'static str,
    },
    /// SUBSCRIBE with `cursor` other than `reset`.
    #[error("unknown value {0:?} of user property cursor; SUBSCRIBE takes reset")]
    SubscribeCursor(String),
    /// UNSUBSCRIBE with `cursor` other than `keep`.
    #[error("unknown value {0:?} of user property cursor; UNSUBSCRIBE takes keep")]
    UnsubscribeCursor(String),
}

impl ReplayOptions {
    /// The options that the user properties of a SUBSCRIBE give; names that are none of ours are not looked at.
    pub fn from_properties(properties: &[(String, String)]) -> Result<Self, OptionError> {
        let replay = once(properties, REPLAY)?;
        let offset = once(properties, STREAM_OFFSET)?;
        let selector = once(properties, SELECTOR)?;
        let cursor = once(properties, CURSOR)?;
        refuse_misspelt(properties)?;
        let start = match (replay, offset) {
            (Some(_), Some(_)) => return Err(OptionError::BothStarts),
            (Some(value), None) => Some(parse_start(value, Start::parse)?),
            (None, Some(value)) => Some(parse_start(value, Start::parse_stream_offset)?),
            (None, None) => None,
        };
        let reset_cursor = match cursor {
            None => false,
            Some("reset") => true,
            Some(other) => return Err(OptionError::SubscribeCursor(clip(other))),
        };
        Ok(Self {
            start,
            selector: selector.map(str::to_owned),
            reset_cursor,
        })
    }

    /// These options of the packet together with those in the prefixes of one of its filters.
    pub fn with_prefix(&self, filter: &SubscriptionFilter) -> Result<Self, OptionError> {
        let start = match (self.start, &filter.replay) {
            (Some(_), Some(_)) => return Err(OptionError::StartTwice),
            (start, None) => start,
            (None, Some(value)) => Some(parse_start(value, Start::parse)?),
        };
        if self.selector.is_some() && filter.selector.is_some() {
            return Err(OptionError::SelectorTwice);
        }
        Ok(Self {
            start,
            selector: self.selector.clone().or_else(|| filter.selector.clone()),
            reset_cursor: self.reset_cursor,
        })
    }
}

/// Whether the user properties of an UNSUBSCRIBE keep the cursor.
pub fn keep_cursor(properties: &[(String, String)]) -> Result<bool, OptionError> {
    match once(properties, CURSOR)? {
        None => Ok(false),
        Some("keep") => Ok(true),
        Some(other) => Err(OptionError::UnsubscribeCursor(clip(other))),
    }
}

fn parse_start(value: &str, parse: impl Fn(&str) -> Result<Start, StartError>) -> Result<Start, OptionError> {
    parse(value).map_err(|fault| OptionError::Start {
        value: clip(value),
        fault,
    })
}

const REPLAY: &str = "replay";
const SELECTOR: &str = "selector";
const CURSOR: &str = "cursor";
const STREAM_OFFSET: &str = "stream-offset";

fn once<'a>(properties: &'a [(String, String)], wanted: &'static str) -> Result<Option<&'a str>, OptionError> {
    let mut values = properties.iter().filter(|(name, _)| name == wanted);
    let value = values.next().map(|(_, value)| value.as_str());
    if values.next().is_some() {
        return Err(OptionError::Duplicate(wanted));
    }
    Ok(value)
}

/// A misspelt option must not turn into a live-only subscription.
fn refuse_misspelt(properties: &[(String, String)]) -> Result<(), OptionError> {
    for (name, _) in properties {
        for meant in [REPLAY, SELECTOR] {
            let begin = name.as_bytes().get(..meant.len());
            if name != meant && begin.is_some_and(|begin| begin.eq_ignore_ascii_case(meant.as_bytes())) {
                return Err(OptionError::Unknown {
                    name: clip(name),
                    meant,
                });
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn properties(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|&(name, value)| (name.into(), value.into())).collect()
    }

    fn options(pairs: &[(&str, &str)]) -> Result<ReplayOptions, OptionError> {
        ReplayOptions::from_properties(&properties(pairs))
    }

    fn filter(text: &str) -> SubscriptionFilter {
        SubscriptionFilter::parse(text).expect(text)
    }

    #[test]
    fn known_names_are_read_and_foreign_ones_left_alone() {
        assert_eq!(
            options(&[("colour", "red"), ("colour", "blue")]),
            Ok(ReplayOptions::default())
        );
        let all = options(&[
            ("cursor", "reset"),
            ("x", "y"),
            ("selector", "a = 1"),
            ("replay", "seq:5"),
        ]);
        let expected = ReplayOptions {
            start: Some(Start::Sequence(5)),
            selector: Some("a = 1".into()),
            reset_cursor: true,
        };
        assert_eq!(all, Ok(expected));
        let offset = options(&[("stream-offset", "earliest")]).expect("an alias");
        assert_eq!(offset.start, Some(Start::First));
    }

    #[test]
    fn a_property_comes_once() {
        for name in ["replay", "selector", "cursor", "stream-offset"] {
            let twice = options(&[(name, "reset"), (name, "reset")]);
            assert_eq!(twice, Err(OptionError::Duplicate(name)));
        }
        let both = options(&[("replay", "first"), ("stream-offset", "earliest")]);
        assert_eq!(both, Err(OptionError::BothStarts));
    }

    #[test]
    fn a_misspelt_name_is_refused() {
        for (name, meant) in [
            ("replay ", "replay"),
            ("replays", "replay"),
            ("Replay", "replay"),
            ("replay-from", "replay"),
            ("selectors", "selector"),
            ("selector:", "selector"),
        ] {
            let error = OptionError::Unknown {
                name: name.into(),
                meant,
            };
            assert_eq!(options(&[(name, "first")]), Err(error));
        }
        assert!(options(&[("repläy", "x"), ("re", "x"), ("é", "x")]).is_ok());
    }

    #[test]
    fn unknown_values_are_refused() {
        assert!(matches!(
            options(&[("replay", "frist")]),
            Err(OptionError::Start { .. })
        ));
        assert!(matches!(
            options(&[("stream-offset", "first")]),
            Err(OptionError::Start { .. })
        ));
        assert_eq!(
            options(&[("cursor", "keep")]),
            Err(OptionError::SubscribeCursor("keep".into()))
        );
    }

    #[test]
    fn prefix_and_property_exclude_each_other() {
        let none = ReplayOptions::default();
        let given = options(&[("replay", "new"), ("selector", "a = 1"), ("cursor", "reset")]).expect("options");
        let prefixed = none
            .with_prefix(&filter("$replay/first/$select/b=2/a"))
            .expect("prefixes");
        assert_eq!(
            (prefixed.start, prefixed.selector.as_deref()),
            (Some(Start::First), Some("b=2"))
        );
        assert_eq!(given.with_prefix(&filter("$share/g/a")), Ok(given.clone()));
        assert_eq!(
            given.with_prefix(&filter("$replay/new/a")),
            Err(OptionError::StartTwice)
        );
        assert_eq!(
            given.with_prefix(&filter("$select/b=2/a")),
            Err(OptionError::SelectorTwice)
        );
        assert!(matches!(
            none.with_prefix(&filter("$replay/x/a")),
            Err(OptionError::Start { .. })
        ));
    }

    #[test]
    fn unsubscribe_may_keep_the_cursor() {
        let keep = |pairs: &[(&str, &str)]| keep_cursor(&properties(pairs));
        assert_eq!(keep(&[("x", "y")]), Ok(false));
        assert_eq!(keep(&[("cursor", "keep")]), Ok(true));
        assert_eq!(
            keep(&[("cursor", "reset")]),
            Err(OptionError::UnsubscribeCursor("reset".into()))
        );
        assert_eq!(
            keep(&[("cursor", "keep"), ("cursor", "keep")]),
            Err(OptionError::Duplicate("cursor"))
        );
    }
}

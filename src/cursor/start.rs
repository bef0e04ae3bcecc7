//! The start options of a replay, read from their text. Knows no property and no topic.

use std::fmt;
use std::time::Duration;

use super::moment::{parse_delta, parse_time};
use crate::types::Timestamp;

/// Where a replay subscription starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Start {
    /// Only what comes after the subscription.
    New,
    /// The first stored event.
    First,
    /// The newest n of each matching channel; n >= 1.
    Last(u64),
    /// This sequence of each matching channel; from 1 to 2^63-1.
    Sequence(u64),
    /// The first event at or after a time.
    Time(Timestamp),
    /// The first event at or after this long ago; longer than zero.
    Delta(Duration),
}

/// Why a text is no start; each message says what would be right.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StartError {
    /// No word of the table.
    #[error("unknown start {0:?}; write new, first, last, last:<n>, seq:<n>, time:<t> or delta:<d>")]
    Unknown(String),
    /// `last:` or `seq:` without a number in bounds.
    #[error("{word}: needs a whole number from 1 to 9223372036854775807, not {text:?}")]
    Number {
        /// `last` or `seq`.
        word: &'static str,
        /// What stands after it.
        text: String,
    },
    /// Not one of the ways to write a time.
    #[error(
        "{0:?} is no time; write RFC 3339 with a zone (2024-05-01T12:00:00Z), Unix seconds (1714564800.5) or a whole number with s, ms, us or ns"
    )]
    Time(String),
    /// A date and a time of day without a zone.
    #[error("time {0} has no zone; write {0}Z for UTC")]
    TimeWithoutZone(String),
    /// A fraction finer than a nanosecond.
    #[error("time {0} has more than 9 fraction digits; nanoseconds are the finest")]
    TimeFraction(String),
    /// A fraction and a unit.
    #[error("time {0} has a fraction and a unit; write a whole number of a smaller unit (s, ms, us, ns)")]
    TimeFractionWithUnit(String),
    /// A time at or before the beginning of 1970.
    #[error("time {0} is not after the beginning of 1970 (UTC)")]
    TimeNotPositive(String),
    /// A bare number so large that seconds cannot be meant.
    #[error("time {text} looks like {unit}; write {text}{suffix}")]
    TimeUnit {
        /// The number.
        text: String,
        /// The unit that is likely meant.
        unit: &'static str,
        /// How it is written.
        suffix: &'static str,
    },
    /// A number of more than 64 bits.
    #[error("time {0} is too large; at most 18446744073709551615 of a unit")]
    TimeTooLarge(String),
    /// Not one of the ways to write a duration.
    #[error(
        "{0:?} is no duration; write whole numbers with units (d h m s ms us ns) such as 1h30m or 500ms, or whole seconds"
    )]
    Delta(String),
    /// A duration of zero.
    #[error("delta:{0} is zero; write a longer duration, or new for what comes from now on")]
    DeltaNotPositive(String),
    /// A `stream-offset` that is neither a word nor a number.
    #[error("unknown stream-offset {0:?}; write earliest, latest or a time in whole Unix microseconds above 0")]
    StreamOffset(String),
}

impl Start {
    /// The start that a `replay` property or a `$replay` prefix asks for.
    pub fn parse(text: &str) -> Result<Self, StartError> {
        match text {
            "new" | "latest" | "next" => return Ok(Self::New),
            "first" | "earliest" | "all" => return Ok(Self::First),
            "last" => return Ok(Self::Last(1)),
            _ => {}
        }
        match text.split_once(':') {
            Some(("last", count)) => parse_number("last", count).map(Self::Last),
            Some(("seq", sequence)) => parse_number("seq", sequence).map(Self::Sequence),
            Some(("time", time)) => parse_time(time).map(Self::Time),
            Some(("delta", delta)) => parse_delta(delta).map(Self::Delta),
            _ => Err(StartError::Unknown(clip(text))),
        }
    }

    /// The start that a `stream-offset` property asks for: `earliest`, `latest`, or Unix microseconds.
    pub fn parse_stream_offset(text: &str) -> Result<Self, StartError> {
        match text {
            "earliest" => Ok(Self::First),
            "latest" => Ok(Self::New),
            _ => {
                let micros = whole(text).filter(|&micros| micros > 0);
                let micros = micros.ok_or_else(|| StartError::StreamOffset(clip(text)))?;
                Ok(Self::Time(Timestamp(micros.saturating_mul(1000))))
            }
        }
    }
}

impl fmt::Display for Start {
    /// A text that [`Start::parse`] reads back.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::New => f.write_str("new"),
            Self::First => f.write_str("first"),
            Self::Last(count) => write!(f, "last:{count}"),
            Self::Sequence(sequence) => write!(f, "seq:{sequence}"),
            Self::Time(time) => write!(f, "time:{}ns", time.0),
            Self::Delta(delta) => write!(f, "delta:{}ns", delta.as_nanos()),
        }
    }
}

const MAX_NUMBER: u64 = i64::MAX as u64;

fn parse_number(word: &'static str, text: &str) -> Result<u64, StartError> {
    let number = whole(text).filter(|number| (1..=MAX_NUMBER).contains(number));
    number.ok_or_else(|| StartError::Number { word, text: clip(text) })
}

/// A number of decimal digits alone; no sign, since `str::parse` takes one.
fn whole(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten()
}

/// What an error quotes of a text: its beginning.
pub(super) fn clip(text: &str) -> String {
    const MOST: usize = 60;
    if text.chars().nth(MOST).is_none() {
        return text.into();
    }
    text.chars().take(MOST).chain("...".chars()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn fault(text: &str) -> String {
        Start::parse(text).expect_err(text).to_string()
    }

    #[test]
    fn words_and_aliases_are_read() {
        let table = [
            ("new", Start::New),
            ("latest", Start::New),
            ("next", Start::New),
            ("first", Start::First),
            ("earliest", Start::First),
            ("all", Start::First),
            ("last", Start::Last(1)),
            ("last:25", Start::Last(25)),
            ("seq:1", Start::Sequence(1)),
            ("seq:9223372036854775807", Start::Sequence(MAX_NUMBER)),
            ("time:1714564800", Start::Time(Timestamp(1_714_564_800_000_000_000))),
            ("delta:90s", Start::Delta(Duration::from_secs(90))),
        ];
        for (text, start) in table {
            assert_eq!(Start::parse(text), Ok(start), "{text}");
        }
    }

    #[test]
    fn other_words_are_refused_with_what_is_right() {
        for text in [
            "", "First", "first ", " first", "new:", "frist", "seq", "time", "delta", "seq=5", "é", ":",
        ] {
            assert_eq!(Start::parse(text), Err(StartError::Unknown(text.into())), "{text}");
            assert!(fault(text).contains("write new, first, last"), "{text}");
        }
        assert!(fault(&"é".repeat(70_000)).len() < 300);
    }

    #[test]
    fn numbers_have_bounds() {
        for text in [
            "",
            "0",
            "-1",
            "+1",
            "1.0",
            "9223372036854775808",
            "99999999999999999999",
            "x",
            "1 ",
            "٣",
        ] {
            for word in ["last", "seq"] {
                let error = StartError::Number {
                    word,
                    text: text.into(),
                };
                assert_eq!(Start::parse(&format!("{word}:{text}")), Err(error));
            }
        }
        assert_eq!(
            fault("seq:0"),
            "seq: needs a whole number from 1 to 9223372036854775807, not \"0\""
        );
    }

    #[test]
    fn stream_offset_speaks_microseconds() {
        assert_eq!(Start::parse_stream_offset("earliest"), Ok(Start::First));
        assert_eq!(Start::parse_stream_offset("latest"), Ok(Start::New));
        assert_eq!(
            Start::parse_stream_offset("1714564800000001"),
            Ok(Start::Time(Timestamp(1_714_564_800_000_001_000)))
        );
        for text in ["", "0", "first", "-1", "1.5", "12ms", "99999999999999999999"] {
            assert_eq!(
                Start::parse_stream_offset(text),
                Err(StartError::StreamOffset(text.into()))
            );
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused_and_reads_back(word in "(last:|seq:|time:|delta:|new|)", rest in "([0-9.smhdunTZ:+-]{0,24}|\\PC{0,8})") {
            if let Ok(start) = Start::parse(&format!("{word}{rest}")) {
                prop_assert_eq!(Start::parse(&start.to_string()), Ok(start));
            }
        }
    }
}

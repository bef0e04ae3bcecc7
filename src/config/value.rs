//! How the text of one option becomes a value: words, numbers, sizes, durations, lists. Knows no option.

use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use toml::de::DeValue;

use super::suggest;
use super::units::{digits, parse_duration, parse_size, show_duration, show_size};

/// What stands where a value is wanted.
#[derive(Debug)]
pub(super) enum Given<'a> {
    /// A TOML string.
    Text(&'a str),
    /// A TOML integer.
    Integer(i128),
    /// A TOML boolean.
    Boolean(bool),
    /// A TOML array.
    List(Vec<Given<'a>>),
    /// What no option takes, by the name of its type.
    Other(&'static str),
    /// An environment variable: text that stands for any type.
    Variable(&'a str),
}

/// An option that is one of a few words.
pub(super) trait Words: Copy + 'static {
    /// Each word and what it means.
    const WORDS: &'static [(&'static str, Self)];
}

impl<'a> From<&'a DeValue<'_>> for Given<'a> {
    fn from(value: &'a DeValue<'_>) -> Self {
        match value {
            DeValue::String(text) => Self::Text(text),
            DeValue::Integer(integer) => i128::from_str_radix(integer.as_str(), integer.radix())
                .map_or(Self::Other("an integer out of range"), Self::Integer),
            DeValue::Boolean(boolean) => Self::Boolean(*boolean),
            DeValue::Array(items) => Self::List(items.iter().map(|item| item.get_ref().into()).collect()),
            DeValue::Float(_) => Self::Other("a number with a fraction"),
            DeValue::Datetime(_) => Self::Other("a date"),
            DeValue::Table(_) => Self::Other("a table"),
        }
    }
}

impl Given<'_> {
    /// The text, if it is one.
    pub(super) fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) | Self::Variable(text) => Some(text),
            _ => None,
        }
    }

    /// The fault: this stands where `right` was expected.
    pub(super) fn instead_of(&self, right: &str) -> String {
        let found = match self {
            Self::Text(text) | Self::Variable(text) => format!("\"{}\"", text.escape_debug()),
            Self::Integer(integer) => integer.to_string(),
            Self::Boolean(boolean) => boolean.to_string(),
            Self::List(_) => "a list".to_owned(),
            Self::Other(name) => (*name).to_owned(),
        };
        format!("expected {right}, found {found}")
    }

    fn number(&self) -> Option<u64> {
        match self {
            Self::Integer(integer) => u64::try_from(*integer).ok(),
            Self::Variable(text) => digits(text),
            _ => None,
        }
    }

    fn is_zero(&self) -> bool {
        let zero = |text: &str| text.trim_end_matches(|c: char| c.is_ascii_alphabetic()) == "0";
        self.number() == Some(0) || self.text().is_some_and(zero)
    }
}

/// `true` or `false`.
pub(super) fn boolean(given: &Given<'_>) -> Result<bool, String> {
    match given {
        Given::Boolean(boolean) => Ok(*boolean),
        Given::Variable("true") => Ok(true),
        Given::Variable("false") => Ok(false),
        _ => Err(given.instead_of("true or false")),
    }
}

/// `true`, `false`, or empty text for neither.
pub(super) fn boolean_or_auto(given: &Given<'_>) -> Result<Option<bool>, String> {
    match given.text() {
        Some("") => Ok(None),
        _ => boolean(given).map(Some),
    }
}

/// Text of one line, or empty text for none.
pub(super) fn optional_text(given: &Given<'_>) -> Result<Option<String>, String> {
    match given.text() {
        Some("") => Ok(None),
        Some(text) if !text.chars().any(char::is_control) => Ok(Some(text.to_owned())),
        _ => Err(given.instead_of("a line of text")),
    }
}

/// One of the words of `T`.
pub(super) fn word<T: Words>(given: &Given<'_>) -> Result<T, String> {
    let words = || T::WORDS.iter().map(|(word, _)| *word);
    let Some(text) = given.text() else {
        let list = words().map(|word| format!("\"{word}\"")).collect::<Vec<_>>().join(", ");
        return Err(given.instead_of(&format!("one of {list}")));
    };
    let known = T::WORDS.iter().find(|(word, _)| *word == text);
    known
        .map(|(_, value)| *value)
        .ok_or_else(|| suggest::word(text, words()))
}

/// A path of a folder or file.
pub(super) fn path(given: &Given<'_>) -> Result<PathBuf, String> {
    let text = given.text().filter(|text| !text.is_empty() && !text.contains('\0'));
    text.map(PathBuf::from)
        .ok_or_else(|| given.instead_of("a path such as \"./data\""))
}

/// A path, or empty text for none.
pub(super) fn optional_path(given: &Given<'_>) -> Result<Option<PathBuf>, String> {
    match given.text() {
        Some("") => Ok(None),
        _ => path(given).map(Some),
    }
}

/// An integer in `range`.
pub(super) fn integer<T>(range: RangeInclusive<T>) -> impl Fn(&Given<'_>) -> Result<T, String>
where
    T: TryFrom<u64> + TryInto<u64> + Copy,
{
    let (first, last) = bounds(&range);
    move |given| {
        let number = given.number().filter(|number| (first..=last).contains(number));
        let right = || format!("an integer {}", between(first, last, |number| number.to_string()));
        number
            .and_then(|number| T::try_from(number).ok())
            .ok_or_else(|| given.instead_of(&right()))
    }
}

/// A number of bytes in `range`: an integer, or text with a unit such as `"64KiB"` or `"10MB"`.
pub(super) fn size<T>(range: RangeInclusive<T>) -> impl Fn(&Given<'_>) -> Result<T, String>
where
    T: TryFrom<u64> + TryInto<u64> + Copy,
{
    let (first, last) = bounds(&range);
    move |given| {
        let bytes = given.number().or_else(|| given.text().and_then(parse_size));
        let Some(bytes) = bytes else {
            return Err(given.instead_of("a size such as \"64KiB\", \"10MB\", or a number of bytes"));
        };
        let inside = Some(bytes).filter(|bytes| (first..=last).contains(bytes));
        let right = || format!("a size {}", between(first, last, show_size));
        inside
            .and_then(|bytes| T::try_from(bytes).ok())
            .ok_or_else(|| given.instead_of(&right()))
    }
}

/// A duration in `range`: text such as `"7d"`, `"1h30m"` or `"500ms"`.
pub(super) fn duration(range: RangeInclusive<Duration>) -> impl Fn(&Given<'_>) -> Result<Duration, String> {
    move |given| {
        let duration = if given.is_zero() {
            Some(Duration::ZERO)
        } else {
            given.text().and_then(parse_duration)
        };
        let Some(duration) = duration else {
            return Err(given.instead_of("a duration with its unit, such as \"7d\", \"90s\" or \"500ms\""));
        };
        let right = || format!("a duration {}", between(*range.start(), *range.end(), show_duration));
        if range.contains(&duration) {
            Ok(duration)
        } else {
            Err(given.instead_of(&right()))
        }
    }
}

/// A duration of whole seconds, as many as `range` allows.
pub(super) fn whole_seconds(range: RangeInclusive<u64>) -> impl Fn(&Given<'_>) -> Result<Duration, String> {
    let inner = duration(Duration::from_secs(*range.start())..=Duration::from_secs(*range.end()));
    move |given| {
        let duration = inner(given)?;
        if duration.subsec_nanos() == 0 {
            Ok(duration)
        } else {
            Err(given.instead_of("a duration of whole seconds"))
        }
    }
}

/// What `inner` reads, or 0 for no limit.
pub(super) fn limit<T>(
    inner: impl Fn(&Given<'_>) -> Result<T, String>,
) -> impl Fn(&Given<'_>) -> Result<Option<T>, String> {
    move |given| {
        if given.is_zero() {
            return Ok(None);
        }
        inner(given)
            .map(Some)
            .map_err(|fault| format!("{fault} (0 means no limit)"))
    }
}

/// A list of what `inner` reads; one alone may stand without brackets, a variable holds them between commas.
pub(super) fn list<T>(
    inner: impl Fn(&Given<'_>) -> Result<T, String>,
) -> impl Fn(&Given<'_>) -> Result<Vec<T>, String> {
    move |given| match given {
        Given::List(items) => items.iter().map(&inner).collect(),
        Given::Variable(text) if text.trim().is_empty() => Ok(Vec::new()),
        Given::Variable(text) => text
            .split(',')
            .map(|part| inner(&Given::Variable(part.trim())))
            .collect(),
        alone => Ok(vec![inner(alone)?]),
    }
}

fn bounds<T: TryInto<u64> + Copy>(range: &RangeInclusive<T>) -> (u64, u64) {
    let bound = |bound: T| bound.try_into().unwrap_or(u64::MAX);
    (bound(*range.start()), bound(*range.end()))
}

fn between<T: PartialEq + Bound>(first: T, last: T, show: impl Fn(T) -> String) -> String {
    if last == T::UNBOUNDED {
        format!("of at least {}", show(first))
    } else {
        format!("from {} to {}", show(first), show(last))
    }
}

/// What has a value that means "no upper bound" in a range.
trait Bound {
    const UNBOUNDED: Self;
}

impl Bound for u64 {
    const UNBOUNDED: Self = Self::MAX;
}

impl Bound for Duration {
    const UNBOUNDED: Self = Self::MAX;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zero_means_no_limit_only_where_limits_are_read() {
        for zero in [
            Given::Integer(0),
            Given::Text("0"),
            Given::Text("0s"),
            Given::Variable("0"),
        ] {
            assert_eq!(
                limit(duration(Duration::from_secs(1)..=Duration::MAX))(&zero),
                Ok(None),
                "{zero:?}"
            );
            assert!(
                duration(Duration::from_secs(1)..=Duration::MAX)(&zero).is_err(),
                "{zero:?}"
            );
        }
        assert_eq!(limit(size(1..=u64::MAX))(&Given::Text("0KiB")), Ok(None));
        assert_eq!(limit(integer(1..=u64::MAX))(&Given::Integer(5)), Ok(Some(5)));
    }

    #[test]
    fn integers_hold_their_range() {
        let read = integer(1..=u16::MAX);
        assert_eq!(read(&Given::Integer(65_535)), Ok(65_535));
        assert_eq!(read(&Given::Variable("10_000")), Ok(10_000));
        for wrong in [
            Given::Integer(0),
            Given::Integer(65_536),
            Given::Integer(-1),
            Given::Text("5"),
        ] {
            let fault = read(&wrong).expect_err("out of range");
            assert!(
                fault.starts_with("expected an integer from 1 to 65535, found "),
                "{fault}"
            );
        }
    }
}

//! How a value of the API reads in a cell: numbers, sizes, times, texts that cannot play with the terminal.

use serde_json::Value;

/// One column of a table, or one line of what is shown of a thing.
#[derive(Clone, Copy, Debug)]
pub(super) struct Column {
    /// Its title.
    pub title: &'static str,
    path: &'static str,
    /// How its values read.
    pub kind: Kind,
}

/// How a value reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    /// A text that stands at the right.
    Right,
    Flag,
    Number,
    /// A number whose thousands are set apart.
    Count,
    Bytes,
    Seconds,
}

impl Column {
    /// A text, or whatever JSON has.
    pub const fn text(title: &'static str, path: &'static str) -> Self {
        Self::new(title, path, Kind::Text)
    }

    /// A text that stands at the right.
    pub const fn right(title: &'static str, path: &'static str) -> Self {
        Self::new(title, path, Kind::Right)
    }

    /// Yes or no.
    pub const fn flag(title: &'static str, path: &'static str) -> Self {
        Self::new(title, path, Kind::Flag)
    }

    /// A number.
    pub const fn number(title: &'static str, path: &'static str) -> Self {
        Self::new(title, path, Kind::Number)
    }

    /// A number whose thousands are set apart.
    pub const fn count(title: &'static str, path: &'static str) -> Self {
        Self::new(title, path, Kind::Count)
    }

    /// A number of bytes.
    pub const fn bytes(title: &'static str, path: &'static str) -> Self {
        Self::new(title, path, Kind::Bytes)
    }

    /// A number of seconds.
    pub const fn seconds(title: &'static str, path: &'static str) -> Self {
        Self::new(title, path, Kind::Seconds)
    }

    const fn new(title: &'static str, path: &'static str, kind: Kind) -> Self {
        Self { title, path, kind }
    }

    /// The cell of an item.
    pub fn cell(&self, item: &Value) -> String {
        let value = self.path.split('.').fold(item, |value, name| &value[name]);
        match (self.kind, value) {
            (_, Value::Null) => "-".to_owned(),
            (Kind::Flag, Value::Bool(flag)) => if *flag { "yes" } else { "no" }.to_owned(),
            (Kind::Count, Value::Number(number)) => show_count(number.as_f64().unwrap_or_default()),
            (Kind::Bytes, Value::Number(number)) => show_bytes(number.as_f64().unwrap_or_default()),
            (Kind::Seconds, Value::Number(number)) => show_seconds(number.as_f64().unwrap_or_default()),
            (_, Value::String(text)) => show_text(text),
            (_, Value::Array(items)) => items.len().to_string(),
            (_, value) => show_text(&value.to_string()),
        }
    }
}

/// A text without characters that a terminal obeys.
pub(super) fn show_text(text: &str) -> String {
    let is_visible = |c: char| !c.is_control() && !is_direction(c);
    if text.chars().all(is_visible) {
        return text.to_owned();
    }
    let shown = text.chars().map(|c| {
        if is_visible(c) {
            c.to_string()
        } else {
            c.escape_unicode().to_string()
        }
    });
    shown.collect()
}

/// Marks that turn the direction of writing, and lines that others end.
fn is_direction(c: char) -> bool {
    matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// A number without a fraction, its thousands set apart; one below ten with a digit of its fraction.
pub(super) fn show_count(number: f64) -> String {
    if number < 9.95 && number.fract() > 0.0 {
        return format!("{number:.1}");
    }
    let digits = format!("{number:.0}");
    let grouped = digits.bytes().enumerate().map(|(at, digit)| {
        let sets_apart = at > 0 && (digits.len() - at).is_multiple_of(3);
        format!("{}{}", if sets_apart { "," } else { "" }, char::from(digit))
    });
    grouped.collect()
}

/// A size in the largest unit that leaves a number of at least one.
pub(in crate::cli) fn show_bytes(bytes: f64) -> String {
    let (mut size, mut unit) = (bytes, 0);
    while size >= 1024.0 && unit + 1 < UNITS.len() {
        size /= 1024.0;
        unit += 1;
    }
    let digits = usize::from(unit > 0 && size < 99.95);
    format!("{size:.digits$} {}", UNITS[unit])
}

/// A duration by its two largest units.
pub(super) fn show_seconds(seconds: f64) -> String {
    let whole = seconds as u64;
    match whole {
        0..=59 => format!("{seconds:.1} s"),
        60..=3_599 => format!("{}m{:02}s", whole / 60, whole % 60),
        3_600..=86_399 => format!("{}h{:02}m", whole / 3_600, whole % 3_600 / 60),
        _ => format!("{}d{:02}h", whole / 86_400, whole % 86_400 / 3_600),
    }
}

const UNITS: [&str; 6] = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_read_well() {
        let item = json!({"id": "a\u{1b}[2J\n", "on": true, "lag": {"events": 5, "seconds": 3_700.2}, "none": null, "members": [1, 2]});
        assert_eq!(Column::text("", "id").cell(&item), "a\\u{1b}[2J\\u{a}");
        assert_eq!(Column::flag("", "on").cell(&item), "yes");
        assert_eq!(Column::number("", "lag.events").cell(&item), "5");
        assert_eq!(Column::seconds("", "lag.seconds").cell(&item), "1h01m");
        assert_eq!(Column::number("", "none.events").cell(&item), "-");
        assert_eq!(Column::number("", "members").cell(&item), "2");
    }

    #[test]
    fn sizes_and_durations_have_few_digits() {
        assert_eq!(
            [0.0, 2.25, 999.0, 1_234_567.0].map(show_count),
            ["0", "2.2", "999", "1,234,567"]
        );
        assert_eq!(
            [0.0, 1023.0, 1536.0, 123_456_789.0].map(show_bytes),
            ["0 B", "1023 B", "1.5 KiB", "118 MiB"]
        );
        assert_eq!(
            [0.04, 59.0, 60.0, 90_000.0].map(show_seconds),
            ["0.0 s", "59.0 s", "1m00s", "1d01h"]
        );
    }
}

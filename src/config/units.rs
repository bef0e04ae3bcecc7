//! Sizes and durations as text with units, both ways.

use std::time::Duration;

/// Digits, which may be parted by `_` as in TOML.
pub(super) fn digits(text: &str) -> Option<u64> {
    let plain = text.replace('_', "");
    let all = !plain.is_empty() && plain.bytes().all(|byte| byte.is_ascii_digit());
    if all { plain.parse().ok() } else { None }
}

/// A number and the unit behind it.
fn split_unit(text: &str) -> Option<(u64, &str, &str)> {
    let text = text.trim_start();
    let unit = text
        .find(|c: char| !c.is_ascii_digit() && c != '_')
        .unwrap_or(text.len());
    let rest = &text[unit..];
    let end = rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len());
    Some((digits(&text[..unit])?, rest[..end].trim(), &rest[end..]))
}

/// A number of bytes with or without a unit.
pub(super) fn parse_size(text: &str) -> Option<u64> {
    let (number, unit, "") = split_unit(text)? else {
        return None;
    };
    let unit = unit.to_ascii_lowercase();
    let factor = if unit.is_empty() {
        1
    } else {
        SIZES.iter().find(|(name, _)| name.to_ascii_lowercase() == unit)?.1
    };
    number.checked_mul(factor)
}

/// Numbers with their units, joined: `1h30m`; `None` if the text is something else.
pub fn parse_duration(text: &str) -> Option<Duration> {
    let mut rest = text.trim_end();
    let mut total = Duration::ZERO;
    while !rest.is_empty() {
        let (number, unit, behind) = split_unit(rest)?;
        let (_, nanos) = DURATIONS.iter().find(|(name, _)| *name == unit)?;
        let whole = u128::from(number).checked_mul(*nanos)?;
        let secs = u64::try_from(whole / SECOND_NANOS).ok()?;
        let nanos = u32::try_from(whole % SECOND_NANOS).ok()?;
        total = total.checked_add(Duration::new(secs, nanos))?;
        rest = behind;
    }
    if text.trim().is_empty() { None } else { Some(total) }
}

/// A duration as the configuration takes it.
///
/// # Errors
/// What would be right.
pub fn check_duration(text: &str) -> Result<Duration, String> {
    parse_duration(text).ok_or_else(|| format!("{text:?} is no duration; write one such as \"5s\" or \"1h30m\""))
}

/// A number of bytes in the largest binary unit that divides it, as it can stand in the file: `64KiB`.
pub fn show_size(bytes: u64) -> String {
    let unit = SIZES
        .iter()
        .filter(|(name, _)| name.contains('i'))
        .find(|(_, size)| bytes != 0 && bytes.is_multiple_of(*size));
    unit.map_or_else(|| bytes.to_string(), |(name, size)| format!("{}{name}", bytes / size))
}

/// A duration in the largest unit that divides it, as it can stand in the file: `7d`.
pub fn show_duration(duration: Duration) -> String {
    let nanos = duration.as_nanos();
    let unit = DURATIONS
        .iter()
        .find(|(_, unit)| nanos != 0 && nanos.is_multiple_of(*unit));
    unit.map_or_else(|| "0".to_owned(), |(name, unit)| format!("{}{name}", nanos / unit))
}

const SECOND_NANOS: u128 = 1_000_000_000;

/// Larger units first.
const SIZES: [(&str, u64); 9] = [
    ("TiB", 1 << 40),
    ("TB", 1_000_000_000_000),
    ("GiB", 1 << 30),
    ("GB", 1_000_000_000),
    ("MiB", 1 << 20),
    ("MB", 1_000_000),
    ("KiB", 1 << 10),
    ("kB", 1_000),
    ("B", 1),
];

/// Larger units first.
const DURATIONS: [(&str, u128); 7] = [
    ("d", 24 * 3_600 * SECOND_NANOS),
    ("h", 3_600 * SECOND_NANOS),
    ("m", 60 * SECOND_NANOS),
    ("s", SECOND_NANOS),
    ("ms", 1_000_000),
    ("us", 1_000),
    ("ns", 1),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_with_binary_and_decimal_units() {
        for (text, bytes) in [
            ("0", Some(0)),
            ("64", Some(64)),
            ("64B", Some(64)),
            ("64KiB", Some(65_536)),
            ("64 kib", Some(65_536)),
            ("10MB", Some(10_000_000)),
            ("1_000kB", Some(1_000_000)),
            ("16777216TiB", None),
            ("64K", None),
            ("1.5GiB", None),
            ("-1", None),
            ("KiB", None),
            ("1KiB1", None),
            ("", None),
        ] {
            assert_eq!(parse_size(text), bytes, "{text}");
        }
    }

    #[test]
    fn durations_are_read_with_their_units() {
        for (text, millis) in [
            ("7d", Some(604_800_000)),
            ("1h30m", Some(5_400_000)),
            ("1h 30m", Some(5_400_000)),
            ("90s", Some(90_000)),
            ("500ms", Some(500)),
            ("2000us", Some(2)),
            ("1000000ns", Some(1)),
            ("90", None),
            ("1w", None),
            ("s", None),
            ("1.5h", None),
            ("", None),
            ("99999999999999999999d", None),
            ("18446744073709551615d", None),
        ] {
            assert_eq!(parse_duration(text), millis.map(Duration::from_millis), "{text}");
        }
    }

    #[test]
    fn bounds_are_shown_in_the_largest_unit_that_fits() {
        assert_eq!(show_size(65_536), "64KiB");
        assert_eq!(show_size(1_000), "1000");
        assert_eq!(show_duration(Duration::from_secs(5_400)), "90m");
        assert_eq!(show_duration(Duration::from_millis(1_500)), "1500ms");
    }
}

//! Times and durations, read from the text of a start option. Asks no clock.

use std::time::Duration;

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::StartError;
use super::start::clip;
use crate::types::Timestamp;

/// A time: RFC 3339 with a zone, Unix seconds, or a whole number with `s`, `ms`, `us` or `ns`. What lies past the end
/// of the clock stands at its end.
pub(super) fn parse_time(text: &str) -> Result<Timestamp, StartError> {
    let nanos = if text.contains([':', '-', 'T', 't']) {
        date_nanos(text)?
    } else {
        number_nanos(text)?
    };
    if nanos <= 0 {
        return Err(StartError::TimeNotPositive(clip(text)));
    }
    Ok(Timestamp(u64::try_from(nanos).unwrap_or(u64::MAX)))
}

/// A duration: whole numbers with units, added up, or whole seconds. What is longer than the clock counts is as long as
/// the clock.
pub(super) fn parse_delta(text: &str) -> Result<Duration, StartError> {
    let malformed = || StartError::Delta(clip(text));
    let mut nanos = 0u128;
    let mut rest = text;
    loop {
        let (number, after) = split_digits(rest);
        let letters = after.find(|character: char| character.is_ascii_digit());
        let (unit, after) = after.split_at(letters.unwrap_or(after.len()));
        let bare = number.len() == text.len();
        let unit = if bare { Some(SECOND) } else { unit_nanos(unit) };
        if number.is_empty() {
            return Err(malformed());
        }
        let factor = u128::from(unit.ok_or_else(malformed)?);
        // Digits that do not fit are longer than the clock counts.
        let number = number.parse::<u64>().unwrap_or(u64::MAX);
        nanos = nanos.saturating_add(u128::from(number) * factor);
        rest = after;
        if rest.is_empty() {
            break;
        }
    }
    if nanos == 0 {
        return Err(StartError::DeltaNotPositive(clip(text)));
    }
    Ok(Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX)))
}

const SECOND: u64 = 1_000_000_000;

fn unit_nanos(unit: &str) -> Option<u64> {
    Some(match unit {
        "ns" => 1,
        "us" => 1_000,
        "ms" => 1_000_000,
        "s" => SECOND,
        "m" => 60 * SECOND,
        "h" => 3_600 * SECOND,
        "d" => 86_400 * SECOND,
        _ => return None,
    })
}

fn split_digits(text: &str) -> (&str, &str) {
    let end = text.find(|character: char| !character.is_ascii_digit());
    text.split_at(end.unwrap_or(text.len()))
}

fn date_nanos(text: &str) -> Result<i128, StartError> {
    // A date and a time may stand apart by any character as far as the parser goes; here by a T.
    if !matches!(text.as_bytes().get(10), Some(b'T' | b't')) {
        return Err(StartError::Time(clip(text)));
    }
    let fraction = text
        .split_once('.')
        .map_or("", |(_, fraction)| split_digits(fraction).0);
    if fraction.len() > FRACTION_DIGITS {
        return Err(StartError::TimeFraction(clip(text)));
    }
    if let Ok(time) = OffsetDateTime::parse(text, &Rfc3339) {
        return Ok(time.unix_timestamp_nanos());
    }
    let only_the_zone_is_missing = OffsetDateTime::parse(&format!("{text}Z"), &Rfc3339).is_ok();
    Err(if only_the_zone_is_missing {
        StartError::TimeWithoutZone(clip(text))
    } else {
        StartError::Time(clip(text))
    })
}

fn number_nanos(text: &str) -> Result<i128, StartError> {
    let (number, rest) = split_digits(text);
    if number.is_empty() {
        return Err(StartError::Time(clip(text)));
    }
    if let Some(rest) = rest.strip_prefix('.') {
        let (fraction, unit) = split_digits(rest);
        let fraction_nanos = fraction_nanos(text, fraction, unit)?;
        return Ok(seconds(number)? * i128::from(SECOND) + fraction_nanos);
    }
    if rest.is_empty() {
        return Ok(seconds(number)? * i128::from(SECOND));
    }
    let factor = match rest {
        "s" | "ms" | "us" | "ns" => unit_nanos(rest),
        _ => None,
    };
    let factor = factor.ok_or_else(|| StartError::Time(clip(text)))?;
    let number = number.parse::<u64>();
    let number = number.map_err(|_| StartError::TimeTooLarge(clip(text)))?;
    Ok(i128::from(number) * i128::from(factor))
}

const FRACTION_DIGITS: usize = 9;

fn fraction_nanos(text: &str, fraction: &str, unit: &str) -> Result<i128, StartError> {
    match unit {
        _ if fraction.is_empty() => Err(StartError::Time(clip(text))),
        "" if fraction.len() > FRACTION_DIGITS => Err(StartError::TimeFraction(clip(text))),
        "" => {
            let nanos = format!("{fraction:0<FRACTION_DIGITS$}").parse();
            Ok(nanos.expect("nine decimal digits are a number"))
        }
        "s" | "ms" | "us" | "ns" => Err(StartError::TimeFractionWithUnit(clip(text))),
        _ => Err(StartError::Time(clip(text))),
    }
}

/// A bare number of seconds, below 10^11: more than that was meant in another unit.
fn seconds(digits: &str) -> Result<i128, StartError> {
    let significant = digits.trim_start_matches('0');
    let (unit, suffix) = match significant.len() {
        0 => return Ok(0),
        1..=11 => return Ok(significant.parse().expect("eleven decimal digits are a number")),
        12..=14 => ("milliseconds", "ms"),
        15..=17 => ("microseconds", "us"),
        18..=20 => ("nanoseconds", "ns"),
        _ => return Err(StartError::TimeTooLarge(clip(digits))),
    };
    Err(StartError::TimeUnit {
        text: significant.into(),
        unit,
        suffix,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: u64 = 1_714_564_800_000_000_000;

    fn nanos(text: &str) -> u64 {
        parse_time(text).expect(text).0
    }

    fn fault(text: &str) -> String {
        parse_time(text).expect_err(text).to_string()
    }

    #[test]
    fn rfc_3339_is_read_to_the_nanosecond() {
        assert_eq!(nanos("2024-05-01T12:00:00Z"), NOON);
        assert_eq!(nanos("2024-05-01t12:00:00z"), NOON);
        assert_eq!(nanos("2024-05-01T14:00:00+02:00"), NOON);
        assert_eq!(nanos("2024-05-01T06:30:00-05:30"), NOON);
        assert_eq!(nanos("2024-05-01T12:00:00.5Z"), NOON + 500_000_000);
        assert_eq!(nanos("2024-05-01T12:00:00.000000001Z"), NOON + 1);
        assert_eq!(nanos("9999-12-31T23:59:59Z"), u64::MAX);
    }

    #[test]
    fn rfc_3339_needs_a_zone_a_real_date_and_at_most_nine_digits() {
        assert_eq!(
            fault("2024-05-01T12:00:00"),
            "time 2024-05-01T12:00:00 has no zone; write 2024-05-01T12:00:00Z for UTC"
        );
        assert!(fault("2024-05-01T12:00:00.0000000001Z").contains("more than 9 fraction digits"));
        for text in [
            "2024-05-01",
            "2024-05-01 12:00:00Z",
            "2024-02-30T12:00:00Z",
            "2024-05-01T25:00:00Z",
            "2024-05-01T12:00Z",
            "2024-05-01T12:00:00.Z",
            "2024-05-01T12:00:00Zx",
            "24-05-01T12:00:00Z",
            "-5",
            "T",
            "2024-05-0éT12:00:00Z",
        ] {
            assert_eq!(parse_time(text), Err(StartError::Time(text.into())), "{text}");
        }
        for text in ["1969-12-31T23:59:59Z", "1970-01-01T00:00:00Z"] {
            assert!(fault(text).contains("not after the beginning of 1970"), "{text}");
        }
    }

    #[test]
    fn numbers_are_seconds_or_say_their_unit() {
        let table = [
            ("1714564800", NOON),
            ("1714564800.5", NOON + 500_000_000),
            ("1714564800.000000001", NOON + 1),
            ("0.000000001", 1),
            ("1714564800s", NOON),
            ("1714564800000ms", NOON),
            ("1714564800000000us", NOON),
            ("1714564800000000000ns", NOON),
            ("18446744073709551615ns", u64::MAX),
            ("18446744073709551615s", u64::MAX),
            ("99999999999", u64::MAX),
            ("000000001714564800", NOON),
        ];
        for (text, expected) in table {
            assert_eq!(nanos(text), expected, "{text}");
        }
    }

    #[test]
    fn a_bare_number_that_is_no_second_is_refused_with_the_right_spelling() {
        let table = [
            ("100000000000", "milliseconds", "100000000000ms"),
            ("1714564800000", "milliseconds", "1714564800000ms"),
            ("1714564800000.25", "milliseconds", "1714564800000ms"),
            ("1714564800000000", "microseconds", "1714564800000000us"),
            ("1714564800000000000", "nanoseconds", "1714564800000000000ns"),
        ];
        for (text, unit, right) in table {
            let message = fault(text);
            assert!(
                message.ends_with(&format!("looks like {unit}; write {right}")),
                "{message}"
            );
            assert!(parse_time(right).is_ok());
        }
    }

    #[test]
    fn other_numbers_are_refused() {
        for text in [
            "", "x", ".5", "1.", "1.s", "5m", "5h", "5 s", "5S", "1e9", "+5", "1_000", "1.5x", "0x10",
        ] {
            assert_eq!(parse_time(text), Err(StartError::Time(text.into())), "{text}");
        }
        for text in ["0", "0.0", "0ns", "000"] {
            assert_eq!(
                parse_time(text),
                Err(StartError::TimeNotPositive(text.into())),
                "{text}"
            );
        }
        assert!(fault("1.5s").contains("a fraction and a unit"));
        assert!(fault("1.0000000000").contains("more than 9 fraction digits"));
        assert!(fault("18446744073709551616ns").contains("too large"));
        assert!(fault(&"9".repeat(1000)).contains("too large"));
    }

    #[test]
    fn durations_add_up_and_saturate() {
        let table = [
            ("1h30m", 5_400_000_000_000),
            ("90s", 90_000_000_000),
            ("90", 90_000_000_000),
            ("500ms", 500_000_000),
            ("1d2h3m4s5ms6us7ns", 93_784_005_006_007),
            ("1ns", 1),
            ("0s1ns", 1),
            ("99999999999999999999999999d", u64::MAX),
            ("18446744073709551615", u64::MAX),
        ];
        for (text, nanos) in table {
            assert_eq!(parse_delta(text), Ok(Duration::from_nanos(nanos)), "{text}");
        }
    }

    #[test]
    fn other_durations_are_refused() {
        for text in [
            "", "h", "-5s", "1.5h", "1h30", "5 s", "5S", "1h 30m", "5w", "5min", "+5s", "5sé", "é5s",
        ] {
            assert_eq!(parse_delta(text), Err(StartError::Delta(text.into())), "{text}");
        }
        for text in ["0", "0s", "0h0m"] {
            assert_eq!(
                parse_delta(text),
                Err(StartError::DeltaNotPositive(text.into())),
                "{text}"
            );
        }
    }
}

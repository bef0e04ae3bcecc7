//! Where a subscription starts, as people type it: the broker's words, and short ones for a time and for how long ago.

use std::fmt;
use std::str::FromStr;

use crate::cursor::Start;

/// A start option in the form that the user property `replay` takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StartText(String);

impl StartText {
    /// The value of the user property.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for StartText {
    type Err = String;

    /// The broker decides on what it is sent; what it would refuse is refused here, before there is a connection.
    fn from_str(text: &str) -> Result<Self, String> {
        let full = spelt_out(text)?;
        match Start::parse(&full) {
            Ok(_) => Ok(Self(full)),
            Err(fault) => Err(fault.to_string()),
        }
    }
}

fn spelt_out(text: &str) -> Result<String, String> {
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
    if !text.is_empty() && is_number {
        return Err(format!(
            "write {text}s for that long ago, time:{text} for Unix seconds, or seq:{text}"
        ));
    }
    if !text.starts_with(|first: char| first.is_ascii_digit()) {
        return Ok(text.to_owned());
    }
    let is_date = text.contains(['-', ':', 'T', '.']);
    Ok(if is_date {
        format!("time:{text}")
    } else {
        format!("delta:{text}")
    })
}

impl fmt::Display for StartText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_forms_are_spelt_out() {
        for (text, full) in [
            ("new", "new"),
            ("first", "first"),
            ("last", "last"),
            ("last:3", "last:3"),
            ("seq:10", "seq:10"),
            ("5m", "delta:5m"),
            ("1h30m", "delta:1h30m"),
            ("500ms", "delta:500ms"),
            ("2026-11-22T10:00:00Z", "time:2026-11-22T10:00:00Z"),
            ("1714564800.5", "time:1714564800.5"),
            ("time:1714564800", "time:1714564800"),
            ("delta:90", "delta:90"),
        ] {
            assert_eq!(
                text.parse::<StartText>().map(|start| start.to_string()).as_deref(),
                Ok(full)
            );
        }
    }

    #[test]
    fn what_the_broker_would_refuse_is_refused_here() {
        for (text, said) in [
            ("", "unknown start"),
            ("yesterday", "unknown start"),
            ("10", "time:10"),
            ("5 minutes", "no duration"),
            ("2026-11-22T10:00:00", "has no zone"),
            ("2026-11-22", "no time"),
            ("seq:0", "from 1 to"),
        ] {
            let fault = text.parse::<StartText>().expect_err(text);
            assert!(fault.contains(said), "{text}: {fault}");
        }
    }
}

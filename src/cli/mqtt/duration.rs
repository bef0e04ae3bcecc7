//! Durations of the command line, written as in the configuration.

use std::time::Duration;

use crate::config::parse_duration;

/// A duration above zero.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let found = parse_duration(text).filter(|duration| !duration.is_zero());
    found.ok_or_else(|| "write a duration above zero with its unit, such as 500ms, 5s or 1h30m".to_owned())
}

/// Whole seconds as MQTT counts them, at least one.
pub(super) fn seconds(text: &str) -> Result<u32, String> {
    let duration = duration(text)?;
    if duration.subsec_nanos() != 0 {
        return Err("MQTT counts whole seconds here".to_owned());
    }
    u32::try_from(duration.as_secs()).map_err(|_| "at most 4294967295s".to_owned())
}

/// A Keep Alive: seconds, or `0` for none.
pub(super) fn keep_alive(text: &str) -> Result<u16, String> {
    if text == "0" {
        return Ok(0);
    }
    let secs = seconds(text)?;
    u16::try_from(secs).map_err(|_| "at most 65535s, or 0 for none".to_owned())
}

//! `rewindmq trace`.

use std::io::{BufRead, Write, stdout};
use std::time::Duration;

use serde_json::Value;

use super::api::OpsError;
use super::cells::show_text;
use super::shell::{Shell, given};
use crate::config::check_duration;

/// What is traced, and for how long.
#[derive(Clone, Debug, Default, PartialEq, Eq, clap::Args)]
pub struct TraceArgs {
    /// What one client sends and gets
    #[arg(long, value_name = "CLIENT")]
    pub client: Option<String>,
    /// What has a topic that matches, or this filter; acknowledgements and connections have none
    #[arg(long, value_name = "FILTER")]
    pub topic: Option<String>,
    /// End after so many events [default: none]
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u64).range(1..))]
    pub count: Option<u64>,
    /// End after this time, an hour at most
    #[arg(long, value_name = "DURATION", default_value = "1h", value_parser = check_timeout)]
    pub timeout: Duration,
}

fn check_timeout(text: &str) -> Result<Duration, String> {
    let timeout = check_duration(text)?;
    if (SHORTEST..=LONGEST).contains(&timeout) {
        return Ok(timeout);
    }
    Err("a trace lasts from \"1ms\" to \"1h\"".to_owned())
}

impl TraceArgs {
    pub(super) fn run(&self, shell: &Shell) -> Result<String, OpsError> {
        let query = [
            ("client_id", given(self.client.as_ref())),
            ("topic", given(self.topic.as_ref())),
            ("count", self.count.map(|count| count.to_string())),
            ("wait_ms", Some(self.timeout.as_millis().to_string())),
        ];
        for line in shell.api.lines("/trace", &query)?.lines() {
            let line = line.map_err(|fault| shell.api.broken(&fault))?;
            let event: Value = serde_json::from_str(&line).unwrap_or_default();
            if event["event"] == "end" {
                return Ok(String::new());
            }
            let text = if shell.json { line } else { told(&event) };
            let written = writeln!(stdout(), "{text}").and_then(|()| stdout().flush());
            if written.is_err() {
                // Nobody reads any more.
                return Ok(String::new());
            }
        }
        Err(shell.api.broken(&"the broker ended the trace"))
    }
}

/// One event in one line: when, whose, what, and what is known of it.
fn told(event: &Value) -> String {
    let text = |name: &str| show_text(event[name].as_str().unwrap_or_default());
    if let Some(lost) = event["lost"].as_u64() {
        return format!("{lost} events are missing here: they came faster than they were read");
    }
    let at = text("at");
    let time = at.get(TIME_OF_DAY).unwrap_or(&at);
    let client_id = Some(&event["client_id"]).filter(|client_id| **client_id != "");
    let client_id = client_id.and_then(shown).unwrap_or_else(|| "-".to_owned());
    let mut line = format!("{time} {client_id} {}", text("event"));
    for name in ["packet", "topic", "filters"] {
        if let Some(value) = shown(&event[name]) {
            line += &format!(" {value}");
        }
    }
    for (name, value) in event.as_object().into_iter().flatten() {
        let value = shown(value).filter(|_| !TOLD.contains(&name.as_str()));
        if let Some(value) = value {
            line += &format!(" {name}={value}");
        }
    }
    line
}

/// A value for people; what is not so is not said.
fn shown(value: &Value) -> Option<String> {
    match value {
        Value::Null | Value::Bool(false) => None,
        Value::String(text) if text.contains(' ') => Some(format!("\"{}\"", show_text(text))),
        Value::String(text) => Some(show_text(text)),
        Value::Array(values) => Some(values.iter().filter_map(shown).collect::<Vec<_>>().join(",")),
        value => Some(value.to_string()),
    }
}

/// What stands before the rest without its name, and what is for programs.
const TOLD: [&str; 7] = ["at", "client_id", "event", "packet", "topic", "filters", "bytes"];
/// Where it stands in a time of RFC 3339, to the millisecond.
const TIME_OF_DAY: std::ops::Range<usize> = 11..23;
const SHORTEST: Duration = Duration::from_millis(1);
const LONGEST: Duration = Duration::from_secs(3_600);

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_event_is_a_line_without_what_is_not_so() {
        let event = json!({
            "at": "2026-11-25T23:12:01.123456789Z", "client_id": "writer", "event": "in", "packet": "PUBLISH",
            "topic": "s/a", "bytes": 9, "qos": 1, "dup": false, "retain": true, "packet_id": 7,
        });
        assert_eq!(
            told(&event),
            "23:12:01.123 writer in PUBLISH s/a packet_id=7 qos=1 retain=true"
        );
    }

    #[test]
    fn an_event_cannot_steer_the_terminal() {
        let event = json!({
            "at": "", "client_id": "\u{1b}[2J", "event": "refused", "packet": "CONNECT",
            "why": "no\nsuch user", "filters": ["a/\u{7}", "b"],
        });
        assert!(!told(&event).contains(char::is_control), "{}", told(&event));
    }

    #[test]
    fn a_name_cannot_look_like_another_event() {
        let event = json!({"at": "", "client_id": "a in PUBLISH b", "event": "connected"});
        assert_eq!(told(&event), " \"a in PUBLISH b\" connected");
        let unknown = json!({"at": "", "client_id": "", "event": "refused"});
        assert_eq!(told(&unknown), " - refused");
    }

    #[test]
    fn lost_events_are_said() {
        assert!(told(&json!({"event": "lost", "lost": 3})).starts_with("3 events are missing"));
    }

    #[test]
    fn a_timeout_is_from_a_millisecond_to_an_hour() {
        assert_eq!(check_timeout("1h"), Ok(LONGEST));
        assert_eq!(check_timeout("1ms"), Ok(SHORTEST));
        for text in ["0s", "2h", "500us", "x"] {
            assert!(check_timeout(text).is_err(), "{text}");
        }
    }
}

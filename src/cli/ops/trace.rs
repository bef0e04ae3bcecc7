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
    /// What has a topic, or a filter, that matches
    #[arg(long, value_name = "FILTER")]
    pub topic: Option<String>,
    /// End after so many events [default: none]
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u64).range(1..))]
    pub count: Option<u64>,
    /// End after this time, an hour at most
    #[arg(long, value_name = "DURATION", default_value = "1h", value_parser = check_duration)]
    pub timeout: Duration,
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
    let at = text("at");
    let time = at.get(11..23).unwrap_or(&at);
    let mut line = format!("{time}  {}  {}", text("client_id"), text("event"));
    if let Some(packet) = event["packet"].as_str() {
        line += "  ";
        line += packet;
    }
    let fields = event.as_object().into_iter().flatten();
    for (name, value) in fields.filter(|(name, value)| !TOLD.contains(&name.as_str()) && !value.is_null()) {
        let value = match value {
            Value::String(text) => show_text(text),
            value => show_text(&value.to_string()),
        };
        line += &format!("  {name}={value}");
    }
    line
}

/// What stands before the rest.
const TOLD: [&str; 4] = ["at", "client_id", "event", "packet"];

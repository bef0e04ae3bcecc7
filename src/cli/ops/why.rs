//! `rewindmq why`.

use serde_json::Value;

use super::api::{OpsError, path};
use super::cells::{Column, show_text};
use super::shell::{Shell, document};
use super::table::Table;

/// A client, and the topic of a message for it.
#[derive(Clone, Debug, PartialEq, Eq, clap::Args)]
pub struct WhyArgs {
    /// The client identifier
    pub client: String,
    /// The topic of a message
    pub topic: String,
}

impl WhyArgs {
    pub(super) fn run(&self, shell: &Shell) -> Result<String, OpsError> {
        let query = [("topic", Some(self.topic.clone()))];
        let why = shell.api.read(&path(&["clients", &self.client, "why"]), &query)?;
        if shell.json {
            return Ok(document(&why));
        }
        Ok(told(&why, shell.width))
    }
}

fn told(why: &Value, width: Option<usize>) -> String {
    let text = |name: &str| show_text(why[name].as_str().unwrap_or_default());
    let findings = why["findings"].as_array().map(Vec::as_slice).unwrap_or_default();
    let mut told = format!("{}: {}\n\n", text("verdict"), text("because"));
    told += &Table::of(FINDINGS, findings).wrapped(width);
    let last = &why["last_drop"];
    told += "\n";
    told += &if last.is_null() {
        "no message of this client was dropped lately\n".to_owned()
    } else {
        let part = |name: &str| show_text(last[name].as_str().unwrap_or_default());
        let topic = match part("topic") {
            topic if topic.is_empty() => String::new(),
            topic => format!(", topic {topic}"),
        };
        format!(
            "dropped last: {} at {}{topic} ({} in all)\n",
            part("reason"),
            part("at"),
            last["count"]
        )
    };
    told
}

const FINDINGS: &[Column] = &[
    Column::text("", "verdict"),
    Column::text("", "about"),
    Column::text("", "what"),
];

//! `rewindmq broker`.

use clap::Subcommand;
use serde_json::json;
use ureq::http::Method;

use super::api::OpsError;
use super::cells::Column;
use super::shell::{Shell, document};
use crate::config::check_log_level;

/// What is asked of the broker itself.
#[derive(Clone, Debug, PartialEq, Eq, Subcommand)]
pub enum BrokerAction {
    /// Its version and what it stands at
    About,
    /// Where it listens
    Listeners,
    /// The configuration in force, without secrets, as JSON
    Config,
    /// What it logs; with a level, it logs that from now on, until it ends
    LogLevel {
        /// error, warn, info, debug, trace, or levels of modules such as info,rewindmq::net=debug
        #[arg(value_name = "LEVEL", value_parser = level)]
        level: Option<String>,
    },
}

impl BrokerAction {
    pub(super) fn run(&self, shell: &Shell) -> Result<String, OpsError> {
        match self {
            Self::About => shell.show("/broker", SHOWN),
            Self::Listeners => {
                let found = shell.api.read("/listeners", &[])?;
                Ok(shell.listed(&found, LISTENERS))
            }
            Self::Config => Ok(document(&shell.api.read("/config", &[])?)),
            Self::LogLevel { level: None } => shell.show("/log-level", LEVEL),
            Self::LogLevel { level: Some(level) } => {
                let body = json!({ "level": level });
                let said = shell.api.change(&Method::PUT, "/log-level", &[], Some(&body))?;
                Ok(shell.shown(&said, LEVEL))
            }
        }
    }
}

fn level(text: &str) -> Result<String, String> {
    check_log_level(text).map(|_| text.to_owned())
}

const SHOWN: &[Column] = &[
    Column::text("version", "version"),
    Column::text("started", "started"),
    Column::seconds("running for", "uptime_seconds"),
    Column::number("connections", "connections"),
    Column::number("sessions", "sessions"),
    Column::number("subscriptions", "subscriptions"),
    Column::number("retained messages", "retained"),
    Column::number("channels", "channels"),
    Column::number("cursors", "cursors"),
    Column::bytes("store", "store_used_bytes"),
    Column::number("last position", "position"),
    Column::bytes("to be committed", "queued_bytes"),
    Column::number("messages received", "messages_received"),
    Column::number("messages sent", "messages_sent"),
    Column::number("messages dropped", "dropped"),
    Column::bytes("received", "bytes_received"),
    Column::bytes("sent", "bytes_sent"),
    Column::flag("stopping", "stopping"),
];

const LISTENERS: &[Column] = &[
    Column::text("PROTOCOL", "protocol"),
    Column::text("ADDRESS", "address"),
    Column::flag("ACCEPTING", "accepting"),
];

const LEVEL: &[Column] = &[Column::text("level", "level")];

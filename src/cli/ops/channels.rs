//! `rewindmq channels`.

use clap::Subcommand;
use serde_json::json;
use ureq::http::Method;

use super::api::{OpsError, path};
use super::cells::Column;
use super::shell::{Change, Shell, given};
use super::{Limit, Yes};

/// What is asked of channels of stored events.
#[derive(Clone, Debug, PartialEq, Eq, Subcommand)]
pub enum ChannelsAction {
    /// Channels, in the order of their first events
    List {
        /// Those whose topics match
        #[arg(long, value_name = "FILTER")]
        filter: Option<String>,
        /// Empty ones too
        #[arg(long)]
        empty: bool,
        /// How many.
        #[command(flatten)]
        limit: Limit,
    },
    /// What the channel of a topic holds, and of when
    Show {
        /// The topic
        topic: String,
    },
    /// Remove events of a channel; its sequences are not used again
    Purge {
        /// The topic
        topic: String,
        /// Those up to and including this sequence [default: all]
        #[arg(long, value_name = "SEQUENCE", value_parser = clap::value_parser!(u64).range(1..))]
        through: Option<u64>,
        /// Consent.
        #[command(flatten)]
        yes: Yes,
    },
    /// Remove the events and the retained message of a topic; its sequences are not used again
    Delete {
        /// The topic
        topic: String,
        /// Consent.
        #[command(flatten)]
        yes: Yes,
    },
}

impl ChannelsAction {
    pub(super) fn run(&self, shell: &Shell) -> Result<String, OpsError> {
        match self {
            Self::List { filter, empty, limit } => {
                let empty = empty.then(|| "true".to_owned());
                let query = [("filter", given(filter.as_ref())), ("empty", empty)];
                shell.list("/channels", &query, *limit, LISTED)
            }
            Self::Show { topic } => shell.show(&path(&["channels", topic]), SHOWN),
            Self::Purge { topic, through, yes } => {
                let which = through.map_or("all events".to_owned(), |through| format!("events up to {through}"));
                let left = shell.change(Change {
                    method: Method::POST,
                    path: path(&["channels", topic, "purge"]),
                    query: &[],
                    body: Some(json!({ "through": through })),
                    question: format!("Remove {which} of topic {topic:?}"),
                    yes: *yes,
                })?;
                Ok(shell.shown(&left, SHOWN))
            }
            Self::Delete { topic, yes } => shell.done(Change {
                method: Method::DELETE,
                path: path(&["channels", topic]),
                query: &[],
                body: None,
                question: format!("Remove all events and the retained message of topic {topic:?}"),
                yes: *yes,
            }),
        }
    }
}

const LISTED: &[Column] = &[
    Column::text("TOPIC", "topic"),
    Column::number("FIRST", "first"),
    Column::number("LAST", "last"),
    Column::number("EVENTS", "count"),
    Column::bytes("SIZE", "bytes"),
];

const SHOWN: &[Column] = &[
    Column::text("topic", "topic"),
    Column::text("channel", "channel"),
    Column::number("events", "count"),
    Column::bytes("size", "bytes"),
    Column::number("first sequence", "first"),
    Column::text("committed", "first_time"),
    Column::number("last sequence", "last"),
    Column::text("committed", "last_time"),
    Column::number("next sequence", "next"),
];

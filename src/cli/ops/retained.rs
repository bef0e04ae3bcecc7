//! `rewindmq retained`.

use clap::Subcommand;
use ureq::http::Method;

use super::api::{OpsError, path};
use super::cells::Column;
use super::shell::{Change, Shell, document, given};
use super::{Limit, Yes};

/// What is asked of retained messages.
#[derive(Clone, Debug, PartialEq, Eq, Subcommand)]
pub enum RetainedAction {
    /// Retained messages, by topic
    List {
        /// Those whose topics match
        #[arg(long, value_name = "FILTER")]
        filter: Option<String>,
        /// How many.
        #[command(flatten)]
        limit: Limit,
    },
    /// The retained message of a topic
    Show {
        /// The topic
        topic: String,
    },
    /// Remove the retained message of a topic, or of all topics that match
    Clear {
        /// The topic
        #[arg(required_unless_present = "filter", conflicts_with = "filter")]
        topic: Option<String>,
        /// All topics that match; # is all of them
        #[arg(long, value_name = "FILTER")]
        filter: Option<String>,
        /// Consent.
        #[command(flatten)]
        yes: Yes,
    },
}

impl RetainedAction {
    pub(super) fn run(&self, shell: &Shell) -> Result<String, OpsError> {
        match self {
            Self::List { filter, limit } => {
                shell.list("/retained", &[("filter", given(filter.as_ref()))], *limit, LISTED)
            }
            Self::Show { topic } => shell.show(&path(&["retained", topic]), SHOWN),
            Self::Clear {
                topic: Some(topic),
                yes,
                ..
            } => shell.done(Change {
                method: Method::DELETE,
                path: path(&["retained", topic]),
                query: &[],
                body: None,
                question: format!("Remove the retained message of topic {topic:?}"),
                yes: *yes,
            }),
            Self::Clear { filter, yes, .. } => {
                let filter = filter.as_deref().unwrap_or_default();
                clear_all(shell, filter, *yes)
            }
        }
    }
}

/// The API clears some with each request.
fn clear_all(shell: &Shell, filter: &str, yes: Yes) -> Result<String, OpsError> {
    let (mut cleared, mut yes) = (0, yes);
    loop {
        let said = shell.change(Change {
            method: Method::DELETE,
            path: "/retained".to_owned(),
            query: &[("filter", Some(filter.to_owned()))],
            body: None,
            question: format!("Remove the retained messages of all topics that match {filter:?}"),
            yes,
        })?;
        yes = Yes { yes: true };
        let of_this = said["cleared"].as_u64().unwrap_or(0);
        cleared += of_this;
        if said["more"] != true || of_this == 0 {
            let all = serde_json::json!({ "cleared": cleared, "more": said["more"] });
            return Ok(if shell.json {
                document(&all)
            } else {
                format!("{cleared} retained messages are gone\n")
            });
        }
    }
}

const LISTED: &[Column] = &[
    Column::text("TOPIC", "topic"),
    Column::number("QOS", "qos"),
    Column::bytes("SIZE", "payload_bytes"),
    Column::text("PUBLISHED", "published"),
    Column::text("BY", "publisher"),
];

const SHOWN: &[Column] = &[
    Column::text("topic", "topic"),
    Column::number("QoS", "qos"),
    Column::bytes("size", "payload_bytes"),
    Column::text("published", "published"),
    Column::text("by", "publisher"),
    Column::seconds("expires in", "expires_in_seconds"),
    Column::text("content type", "content_type"),
    Column::text("response topic", "response_topic"),
    Column::number("user properties", "user_properties"),
    Column::text("payload", "payload"),
    Column::text("payload (base64)", "payload_base64"),
];

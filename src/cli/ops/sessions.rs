//! `rewindmq sessions`.

use clap::Subcommand;
use serde_json::json;
use ureq::http::Method;

use super::Yes;
use super::api::{OpsError, path};
use super::cells::Column;
use super::clients::{SHOWN, Wanted};
use super::shell::{Change, Shell};
use super::subscriptions::OF_ONE;

/// What is asked of sessions that survive their connections.
#[derive(Clone, Debug, PartialEq, Eq, Subcommand)]
pub enum SessionsAction {
    /// Sessions, by client identifier
    List(Wanted),
    /// What one session stands at, when it ends, and its subscriptions
    Show {
        /// The client identifier
        client: String,
    },
    /// End a session: its connection, its subscriptions, what waits for it; its will is published
    Delete {
        /// The client identifier
        client: String,
        /// Consent.
        #[command(flatten)]
        yes: Yes,
    },
}

impl SessionsAction {
    pub(super) fn run(&self, shell: &Shell) -> Result<String, OpsError> {
        match self {
            Self::List(wanted) => wanted.list(shell, "/sessions", LISTED),
            Self::Show { client } => {
                let found = shell.api.read(&path(&["sessions", client]), &[])?;
                if shell.json {
                    return Ok(shell.shown(&found, SHOWN));
                }
                let columns: Vec<Column> = SHOWN.iter().chain(ENDS).copied().collect();
                let subscriptions = json!({ "items": found["subscriptions"] });
                let subscriptions = shell.listed(&subscriptions, OF_ONE);
                Ok(shell.shown(&found, &columns) + "\nsubscriptions\n" + &subscriptions)
            }
            Self::Delete { client, yes } => shell.done(Change {
                method: Method::DELETE,
                path: path(&["sessions", client]),
                query: &[],
                body: None,
                question: format!("End the session of client {client:?}, and lose what waits for it"),
                yes: *yes,
            }),
        }
    }
}

const LISTED: &[Column] = &[
    Column::text("CLIENT", "client_id"),
    Column::flag("CONNECTED", "connected"),
    Column::text("MQTT", "protocol"),
    Column::text("USER", "user"),
    Column::number("WAITING", "waiting"),
];

const ENDS: &[Column] = &[Column::text("expires", "expires"), Column::text("will due", "will_due")];

//! `rewindmq clients`.

use clap::Subcommand;
use ureq::http::Method;

use super::api::{OpsError, path};
use super::cells::Column;
use super::shell::{Change, Shell, given};
use super::subscriptions::OF_ONE;
use super::{Limit, Yes};

/// What is asked of clients.
#[derive(Clone, Debug, PartialEq, Eq, Subcommand)]
pub enum ClientsAction {
    /// Connected clients and those with a session, by identifier
    List(Wanted),
    /// What one client stands at, and its subscriptions
    Show {
        /// The client identifier
        client: String,
    },
    /// End a client's connection (0x98, administrative action); a session that survives connections stays
    Kick {
        /// The client identifier
        client: String,
        /// Consent.
        #[command(flatten)]
        yes: Yes,
    },
}

/// Which clients are listed.
#[derive(Clone, Debug, Default, PartialEq, Eq, clap::Args)]
pub struct Wanted {
    /// Those whose identifiers begin so
    #[arg(long, value_name = "TEXT")]
    pub prefix: Option<String>,
    /// Those that are connected
    #[arg(long, conflicts_with = "disconnected")]
    pub connected: bool,
    /// Those that are not
    #[arg(long)]
    pub disconnected: bool,
    /// How many.
    #[command(flatten)]
    pub limit: Limit,
}

impl ClientsAction {
    pub(super) fn run(&self, shell: &Shell) -> Result<String, OpsError> {
        match self {
            Self::List(wanted) => wanted.list(shell, "/clients", LISTED),
            Self::Show { client } => {
                let found = shell.api.read(&path(&["clients", client]), &[])?;
                let mut text = shell.shown(&found, SHOWN);
                if !shell.json {
                    text += "\nsubscriptions\n";
                    let items = serde_json::json!({ "items": found["subscriptions"] });
                    text += &shell.listed(&items, OF_ONE);
                }
                Ok(text)
            }
            Self::Kick { client, yes } => shell.done(Change {
                method: Method::DELETE,
                path: path(&["clients", client]),
                query: &[],
                body: None,
                question: format!("End the connection of client {client:?}"),
                yes: *yes,
            }),
        }
    }
}

impl Wanted {
    pub(super) fn list(&self, shell: &Shell, path: &str, columns: &[Column]) -> Result<String, OpsError> {
        let connected = (self.connected || self.disconnected).then(|| self.connected.to_string());
        let query = [("prefix", given(self.prefix.as_ref())), ("connected", connected)];
        shell.list(path, &query, self.limit, columns)
    }
}

pub(super) const LISTED: &[Column] = &[
    Column::text("CLIENT", "client_id"),
    Column::flag("CONNECTED", "connected"),
    Column::text("MQTT", "protocol"),
    Column::text("USER", "user"),
    Column::flag("DURABLE", "durable"),
    Column::number("WAITING", "waiting"),
];

pub(super) const SHOWN: &[Column] = &[
    Column::text("client", "client_id"),
    Column::flag("connected", "connected"),
    Column::text("peer", "connection.peer"),
    Column::text("listener", "connection.listener"),
    Column::text("since", "connection.since"),
    Column::text("MQTT version", "protocol"),
    Column::text("user", "user"),
    Column::flag("durable session", "durable"),
    Column::seconds("session expiry", "session_expiry_seconds"),
    Column::number("waiting", "waiting"),
    Column::number("in flight", "in_flight"),
    Column::number("send quota", "send_quota"),
    Column::number("commits awaited", "commits_awaited"),
    Column::text("will topic", "will_topic"),
];

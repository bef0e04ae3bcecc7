//! `rewindmq groups`.

use clap::Subcommand;
use serde_json::json;
use ureq::http::Method;

use super::api::{OpsError, path};
use super::cells::Column;
use super::cursors::{SHOWN as CURSOR, start};
use super::shell::{Change, Shell};
use super::{Limit, Yes};

/// What is asked of groups.
#[derive(Clone, Debug, PartialEq, Eq, Subcommand)]
pub enum GroupsAction {
    /// Groups, by name and filter
    List {
        /// How many.
        #[command(flatten)]
        limit: Limit,
    },
    /// Where one group stands, and its members
    Show(Named),
    /// Let a group with a start option begin anew
    Reset {
        /// Which.
        #[command(flatten)]
        named: Named,
        /// Where: first, new, last, last:N, seq:N, time:T, delta:D, or a bare duration (5m) or time (2026-11-22T10:00:00Z)
        #[arg(value_name = "START", value_parser = start)]
        to: String,
        /// Consent.
        #[command(flatten)]
        yes: Yes,
    },
    /// Remove the cursor of a group without members
    Delete {
        /// Which.
        #[command(flatten)]
        named: Named,
        /// Consent.
        #[command(flatten)]
        yes: Yes,
    },
}

/// A group: what stands between the slashes of `$share/GROUP/FILTER`.
#[derive(Clone, Debug, PartialEq, Eq, clap::Args)]
pub struct Named {
    /// Its name
    pub group: String,
    /// Its filter
    pub filter: String,
}

impl GroupsAction {
    pub(super) fn run(&self, shell: &Shell) -> Result<String, OpsError> {
        match self {
            Self::List { limit } => shell.list("/groups", &[], *limit, LISTED),
            Self::Show(named) => {
                let found = shell.api.read(&named.path(&[]), &[])?;
                let mut text = shell.shown(&found, SHOWN);
                if !shell.json {
                    text += "\nmembers\n";
                    text += &shell.listed(&json!({ "items": found["members"] }), MEMBERS);
                }
                Ok(text)
            }
            Self::Reset { named, to, yes } => {
                let now = shell.change(Change {
                    method: Method::POST,
                    path: named.path(&["reset"]),
                    query: &[],
                    body: Some(json!({ "to": to })),
                    question: format!("Let group {:?} on {:?} begin anew at {to}", named.group, named.filter),
                    yes: *yes,
                })?;
                Ok(shell.shown(&now, CURSOR))
            }
            Self::Delete { named, yes } => shell.done(Change {
                method: Method::DELETE,
                path: named.path(&[]),
                query: &[],
                body: None,
                question: format!("Remove the cursor of group {:?} on {:?}", named.group, named.filter),
                yes: *yes,
            }),
        }
    }
}

impl Named {
    fn path(&self, more: &[&str]) -> String {
        path(&[&["groups", &self.group, &self.filter], more].concat())
    }
}

const LISTED: &[Column] = &[
    Column::text("GROUP", "group"),
    Column::text("FILTER", "filter"),
    Column::text("KIND", "kind"),
    Column::number("SUBSCRIBED", "subscribed"),
    Column::number("CONNECTED", "members"),
    Column::number("BEHIND", "cursor.lag.events"),
    Column::seconds("SINCE", "cursor.lag.seconds"),
];

const SHOWN: &[Column] = &[
    Column::text("group", "group"),
    Column::text("filter", "filter"),
    Column::text("kind", "kind"),
    Column::number("subscribed", "subscribed"),
    Column::number("cursor", "cursor.id"),
    Column::number("position", "cursor.position"),
    Column::number("events behind", "cursor.lag.events"),
    Column::seconds("since", "cursor.lag.seconds"),
];

const MEMBERS: &[Column] = &[
    Column::text("CLIENT", "client_id"),
    Column::number("IN FLIGHT", "in_flight"),
];

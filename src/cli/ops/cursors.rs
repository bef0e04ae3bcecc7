//! `rewindmq cursors`, and the start option of a reset.

use clap::{Subcommand, ValueEnum};
use serde_json::json;
use ureq::http::Method;

use super::api::{OpsError, path};
use super::cells::Column;
use super::shell::{Change, Shell, given};
use super::{Limit, Yes};
use crate::cursor::Start;

/// What is asked of cursors.
#[derive(Clone, Debug, PartialEq, Eq, Subcommand)]
pub enum CursorsAction {
    /// Cursors of clients and groups, by number
    List {
        /// Those of clients, of groups with a start option, or of shared subscriptions without one
        #[arg(long, value_name = "KIND")]
        kind: Option<CursorKind>,
        /// Those of one client or group
        #[arg(long, value_name = "NAME")]
        owner: Option<String>,
        /// Those that are the most events behind, the largest lag first
        #[arg(long, value_name = "COUNT", conflicts_with = "limit", value_parser = clap::value_parser!(u16).range(1..=100))]
        most_lag: Option<u16>,
        /// How many.
        #[command(flatten)]
        limit: Limit,
    },
    /// Where one cursor stands, and how far that is behind
    Show {
        /// Its number
        id: u64,
    },
    /// Let a cursor begin anew; it gets another number
    Reset {
        /// Its number
        id: u64,
        /// Where: first, new, last, last:N, seq:N, time:T, delta:D, or a bare duration (5m) or time (2026-11-22T10:00:00Z)
        #[arg(value_name = "START", value_parser = start)]
        to: String,
        /// Consent.
        #[command(flatten)]
        yes: Yes,
    },
    /// Remove a cursor that no session is subscribed with
    Delete {
        /// Its number
        id: u64,
        /// Consent.
        #[command(flatten)]
        yes: Yes,
    },
}

/// Whose a cursor is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum CursorKind {
    /// A client's replay subscription
    Client,
    /// A group with a start option
    Group,
    /// A shared subscription without one
    Share,
}

impl CursorsAction {
    pub(super) fn run(&self, shell: &Shell) -> Result<String, OpsError> {
        match self {
            Self::List {
                kind,
                owner,
                most_lag,
                limit,
            } => {
                let kind = kind.map(|kind| format!("{kind:?}").to_lowercase());
                let mut query = vec![("kind", kind), ("owner", given(owner.as_ref()))];
                let Some(count) = most_lag else {
                    return shell.list("/cursors", &query, *limit, LISTED);
                };
                query.push(("sort", Some("lag".to_owned())));
                query.push(("limit", Some(count.to_string())));
                let found = shell.api.read("/cursors", &query)?;
                Ok(shell.listed(&found, LISTED))
            }
            Self::Show { id } => shell.show(&path(&["cursors", &id.to_string()]), SHOWN),
            Self::Reset { id, to, yes } => {
                let now = shell.change(Change {
                    method: Method::POST,
                    path: path(&["cursors", &id.to_string(), "reset"]),
                    query: &[],
                    body: Some(json!({ "to": to })),
                    question: format!("Let cursor {id} begin anew at {to}"),
                    yes: *yes,
                })?;
                Ok(shell.shown(&now, SHOWN))
            }
            Self::Delete { id, yes } => shell.done(Change {
                method: Method::DELETE,
                path: path(&["cursors", &id.to_string()]),
                query: &[],
                body: None,
                question: format!("Remove cursor {id}: its reader begins anew when it comes back"),
                yes: *yes,
            }),
        }
    }
}

/// A start option; a bare duration or time is one too.
pub(super) fn start(text: &str) -> Result<String, String> {
    let begins_with_digit = text.starts_with(|c: char| c.is_ascii_digit());
    let bare = begins_with_digit && !text.bytes().all(|byte| byte.is_ascii_digit());
    let text = match bare {
        true if text.contains(['T', 't']) && text.contains('-') => format!("time:{text}"),
        true => format!("delta:{text}"),
        false => text.to_owned(),
    };
    Start::parse(&text).map_err(|fault| fault.to_string())?;
    Ok(text)
}

const LISTED: &[Column] = &[
    Column::number("ID", "id"),
    Column::text("KIND", "kind"),
    Column::text("OWNER", "owner"),
    Column::text("FILTER", "filter"),
    Column::flag("IN USE", "in_use"),
    Column::number("BEHIND", "lag.events"),
    Column::seconds("SINCE", "lag.seconds"),
];

pub(super) const SHOWN: &[Column] = &[
    Column::number("cursor", "id"),
    Column::text("kind", "kind"),
    Column::text("owner", "owner"),
    Column::text("filter", "filter"),
    Column::flag("in use", "in_use"),
    Column::number("events behind", "lag.events"),
    Column::seconds("since", "lag.seconds"),
    Column::number("position", "position"),
    Column::number("acknowledged above", "acknowledged_above"),
    Column::text("created", "created"),
    Column::text("used", "used"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bare_duration_or_time_is_a_start() {
        for (text, expected) in [
            ("first", "first"),
            ("seq:10", "seq:10"),
            ("5m", "delta:5m"),
            ("1h30m", "delta:1h30m"),
            ("2026-11-22T10:00:00Z", "time:2026-11-22T10:00:00Z"),
        ] {
            assert_eq!(start(text).as_deref(), Ok(expected));
        }
        for text in ["10", "5 minutes", "yesterday", "seq:0", "2026-11-22T10:00:00"] {
            assert!(start(text).is_err(), "{text}");
        }
    }
}

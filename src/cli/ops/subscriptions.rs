//! `rewindmq subscriptions`.

use clap::Subcommand;

use super::Limit;
use super::api::OpsError;
use super::cells::Column;
use super::shell::{Shell, given};

/// What is asked of subscriptions.
#[derive(Clone, Debug, PartialEq, Eq, Subcommand)]
pub enum SubscriptionsAction {
    /// Subscriptions, client by client
    List {
        /// Those of one client
        #[arg(long, value_name = "CLIENT")]
        client: Option<String>,
        /// Those with exactly this filter
        #[arg(long, value_name = "FILTER")]
        filter: Option<String>,
        /// Those that match a topic
        #[arg(long, value_name = "TOPIC")]
        matches: Option<String>,
        /// How many.
        #[command(flatten)]
        limit: Limit,
    },
}

impl SubscriptionsAction {
    pub(super) fn run(&self, shell: &Shell) -> Result<String, OpsError> {
        let Self::List {
            client,
            filter,
            matches,
            limit,
        } = self;
        let query = [
            ("client_id", given(client.as_ref())),
            ("filter", given(filter.as_ref())),
            ("matches", given(matches.as_ref())),
        ];
        shell.list("/subscriptions", &query, *limit, LISTED)
    }
}

const LISTED: &[Column] = &[
    Column::text("CLIENT", "client_id"),
    Column::flag("CONNECTED", "connected"),
    Column::text("FILTER", "filter"),
    Column::text("GROUP", "group"),
    Column::text("KIND", "kind"),
    Column::number("QOS", "qos"),
    Column::text("SELECTOR", "selector"),
];

/// Where the client is known.
pub(super) const OF_ONE: &[Column] = &[
    Column::text("FILTER", "filter"),
    Column::text("GROUP", "group"),
    Column::text("KIND", "kind"),
    Column::number("QOS", "qos"),
    Column::flag("NO LOCAL", "no_local"),
    Column::number("ID", "subscription_id"),
    Column::text("SELECTOR", "selector"),
];

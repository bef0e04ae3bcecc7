//! Commands that talk to a running broker through its API: which there are, and what they have in common.

mod api;
mod broker;
mod cells;
mod channels;
mod clients;
mod confirm;
mod cursors;
mod groups;
mod progress;
mod retained;
mod sessions;
mod shell;
mod subscriptions;
mod table;
mod top;
mod why;

use std::ffi::OsString;
use std::path::PathBuf;

use clap::Subcommand;

use shell::Shell;

pub use api::OpsError;
pub use broker::BrokerAction;
pub(super) use cells::show_bytes;
pub use channels::ChannelsAction;
pub use clients::ClientsAction;
pub use cursors::CursorsAction;
pub use groups::GroupsAction;
pub(super) use progress::Progress;
pub use retained::RetainedAction;
pub use sessions::SessionsAction;
pub use subscriptions::SubscriptionsAction;
pub use top::TopArgs;
pub use why::WhyArgs;

/// What is asked of a running broker.
#[derive(Clone, Debug, PartialEq, Eq, Subcommand)]
pub enum OpsCommand {
    /// Tell what a running broker stands at, how it is configured, what it logs
    Broker(Asked<BrokerAction>),
    /// List, show and kick clients of a running broker
    Clients(Asked<ClientsAction>),
    /// List the subscriptions of a running broker
    Subscriptions(Asked<SubscriptionsAction>),
    /// List, show and end sessions that survive their connections
    Sessions(Asked<SessionsAction>),
    /// List, show, purge and delete channels of stored events
    Channels(Asked<ChannelsAction>),
    /// List, show, reset and delete cursors: how far each reader has got
    Cursors(Asked<CursorsAction>),
    /// List, show, reset and delete groups: shared subscriptions, their members and cursors
    Groups(Asked<GroupsAction>),
    /// List, show and clear retained messages
    Retained(Asked<RetainedAction>),
    /// Watch a running broker: rates, the largest lags, the busiest clients and channels
    ///
    /// q, Esc or Ctrl-C ends it. Without a terminal, or with --json, pictures are printed one after another.
    Top(Told<TopArgs>),
    /// Say step by step whether and why a message of a topic reaches a client
    ///
    /// Looks at the connection, the subscriptions that match, access rules, selectors, groups, cursors, flow control and what
    /// was dropped last. The first word is yes, later, depends or no.
    Why(Told<WhyArgs>),
}

/// What is asked, and of whom.
#[derive(Clone, Debug, PartialEq, Eq, clap::Args)]
pub struct Asked<A: Subcommand> {
    /// Of whom.
    #[command(flatten)]
    pub api: ApiArgs,
    /// What is asked.
    #[command(subcommand)]
    pub action: A,
}

/// What is to be told, and by whom.
#[derive(Clone, Debug, PartialEq, Eq, clap::Args)]
pub struct Told<A: clap::Args> {
    /// By whom.
    #[command(flatten)]
    pub api: ApiArgs,
    /// What.
    #[command(flatten)]
    pub what: A,
}

/// Where the API of a broker is, and how its answers are shown.
#[derive(Clone, Debug, Default, PartialEq, Eq, clap::Args)]
pub struct ApiArgs {
    /// The broker's HTTP listener [default: http://127.0.0.1:9883, or what REWINDMQ_API names]
    #[arg(long, value_name = "URL", global = true)]
    pub api: Option<String>,
    /// File whose first token opens the API [default: none, or what REWINDMQ_TOKEN_FILE names]
    #[arg(long, value_name = "FILE", global = true)]
    pub token_file: Option<PathBuf>,
    /// Print what the API said as one JSON document
    #[arg(long, global = true)]
    pub json: bool,
}

/// How many are listed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::Args)]
pub struct Limit {
    /// List so many at most [default: all]
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u64).range(1..))]
    pub limit: Option<u64>,
}

/// Consent to what cannot be undone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::Args)]
pub struct Yes {
    /// Do not ask; needed where there is no terminal to ask at
    #[arg(short, long)]
    pub yes: bool,
}

/// Does what is asked; gives what is to be printed.
///
/// # Errors
/// Why it could not be done, and what to do about it.
pub fn ops(
    command: &OpsCommand,
    variables: impl IntoIterator<Item = (OsString, OsString)>,
) -> Result<String, OpsError> {
    let shell = |args: &ApiArgs| Shell::new(args, variables);
    match command {
        OpsCommand::Broker(asked) => asked.action.run(&shell(&asked.api)?),
        OpsCommand::Clients(asked) => asked.action.run(&shell(&asked.api)?),
        OpsCommand::Subscriptions(asked) => asked.action.run(&shell(&asked.api)?),
        OpsCommand::Sessions(asked) => asked.action.run(&shell(&asked.api)?),
        OpsCommand::Channels(asked) => asked.action.run(&shell(&asked.api)?),
        OpsCommand::Cursors(asked) => asked.action.run(&shell(&asked.api)?),
        OpsCommand::Groups(asked) => asked.action.run(&shell(&asked.api)?),
        OpsCommand::Retained(asked) => asked.action.run(&shell(&asked.api)?),
        OpsCommand::Top(told) => told.what.run(&shell(&told.api)?),
        OpsCommand::Why(told) => told.what.run(&shell(&told.api)?),
    }
}

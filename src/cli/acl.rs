//! `rewindmq acl`: whether a file of access rules is right, and which of its rules decides a request.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt::Write;
use std::path::PathBuf;
use std::sync::Arc;

use clap::{Subcommand, ValueEnum};

use super::{Args, load};
use crate::acl::{Acl, AclError, Action, Coverage, Principal, Rights, Rule, Syntax, load_as};
use crate::config::ConfigErrors;
use crate::server::load_acl;
use crate::topic::{SubscriptionFilter, check_topic_name};

/// What is asked of access rules.
#[derive(Clone, Debug, PartialEq, Eq, Subcommand)]
pub enum AclCommand {
    /// Say whether a file is right, or every fault with its line and column (exit code 1)
    Check(CheckArgs),
    /// Say whether a client may do something, and which rule decides
    ///
    /// A filter of `subscribe` and `replay` is allowed whole, in part, or not at all: in part, a client may subscribe and
    /// gets only the messages of topics that it may read. The rules that decide of any of its topics are shown.
    Explain(ExplainArgs),
}

/// A file to be checked.
#[derive(Clone, Debug, PartialEq, Eq, clap::Args)]
pub struct CheckArgs {
    /// The file
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// It has the syntax of mosquitto's acl_file
    #[arg(long)]
    pub mosquitto: bool,
}

/// A request to be decided.
#[derive(Clone, Debug, PartialEq, Eq, clap::Args)]
pub struct ExplainArgs {
    /// The file of rules [default: what the configuration names]
    #[arg(long, value_name = "FILE", conflicts_with = "config")]
    pub acl: Option<PathBuf>,
    /// The file has the syntax of mosquitto's acl_file
    #[arg(long, requires = "acl")]
    pub mosquitto: bool,
    /// Configuration file that names the file of rules [default: none, or what REWINDMQ_CONFIG names]
    #[arg(short, long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// The user; without it, a client that has proved nothing
    #[arg(long, value_name = "USER")]
    pub user: Option<String>,
    /// A group that the user's proof names; repeatable
    #[arg(long = "group", value_name = "GROUP", requires = "user")]
    pub groups: Vec<String>,
    /// A claim of the user's proof; repeatable
    #[arg(long = "claim", value_name = "NAME=VALUE", value_parser = claim, requires = "user")]
    pub claims: Vec<(String, String)>,
    /// The client identifier
    #[arg(long, value_name = "CLIENT", default_value = "")]
    pub client: String,
    /// What the client wants to do
    #[arg(value_name = "ACTION")]
    pub action: Asked,
    /// The topic; for `subscribe` and `replay`, the filter as a client writes it
    #[arg(value_name = "TOPIC")]
    pub topic: String,
}

/// An action on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Asked {
    /// Publish to a topic
    Publish,
    /// Subscribe to a filter
    Subscribe,
    /// Read what is stored of a filter
    Replay,
    /// Ask that a message is stored
    Store,
}

/// Why nothing can be said.
#[derive(Debug, thiserror::Error)]
pub enum AclCommandError {
    /// The configuration is faulty.
    #[error("{0}")]
    Config(#[from] ConfigErrors),
    /// The file of rules is faulty.
    #[error("{0}")]
    Acl(#[from] AclError),
    /// There is no file of rules.
    #[error("the configuration names no file of rules (auth.acl_file, auth.mosquitto_acl_file): everything is allowed")]
    NoRules,
    /// The topic or filter is none.
    #[error("{0:?} is no {1}: {2}")]
    Topic(String, &'static str, String),
}

/// Does what is asked.
///
/// # Errors
/// If a file is faulty, or there are no rules to ask.
pub fn acl(
    command: &AclCommand,
    variables: impl IntoIterator<Item = (OsString, OsString)>,
) -> Result<String, AclCommandError> {
    match command {
        AclCommand::Check(args) => {
            let acl = load_as(&args.file, syntax(args.mosquitto))?;
            Ok(format!("ok, {} rules\n", acl.rules().len()))
        }
        AclCommand::Explain(args) => explain(args, variables),
    }
}

fn explain(
    args: &ExplainArgs,
    variables: impl IntoIterator<Item = (OsString, OsString)>,
) -> Result<String, AclCommandError> {
    let acl = match &args.acl {
        Some(path) => load_as(path, syntax(args.mosquitto))?,
        None => {
            let config = Args {
                config: args.config.clone(),
                ..Args::default()
            };
            load_acl(&load(&config, variables)?.auth)?.ok_or(AclCommandError::NoRules)?
        }
    };
    let acl = Arc::new(acl);
    let claims: BTreeMap<&str, &str> = args.claims.iter().map(|(name, value)| (&**name, &**value)).collect();
    let rights = Rights::new(
        &acl,
        &Principal {
            user: args.user.as_deref(),
            groups: &args.groups,
            client: &args.client,
            claim: &|name| claims.get(name).copied(),
        },
    );
    match args.action {
        Asked::Publish => of_topic(&acl, &rights, Action::Publish, &args.topic),
        Asked::Store => of_topic(&acl, &rights, Action::Store, &args.topic),
        Asked::Subscribe => of_filter(&acl, &rights, Action::Subscribe, &args.topic),
        Asked::Replay => of_filter(&acl, &rights, Action::Replay, &args.topic),
    }
}

fn of_topic(acl: &Acl, rights: &Rights, action: Action, topic: &str) -> Result<String, AclCommandError> {
    check_topic_name(topic).map_err(|fault| AclCommandError::Topic(topic.into(), "topic", fault.to_string()))?;
    let decision = rights.decide(action, topic);
    let said = if decision.allowed { "allowed" } else { "denied" };
    Ok(match decision.rule {
        Some(rule) => format!("{said}\n{}", shown(acl, rule)),
        None => format!("{said}\n  no rule speaks of it\n"),
    })
}

fn of_filter(acl: &Acl, rights: &Rights, action: Action, text: &str) -> Result<String, AclCommandError> {
    let parsed = SubscriptionFilter::parse(text)
        .map_err(|fault| AclCommandError::Topic(text.into(), "topic filter", fault.to_string()))?;
    let (coverage, deciding) = rights.explain(action, &parsed.filter);
    let mut said = String::from(match coverage {
        Coverage::Whole => "allowed\n",
        Coverage::Part => "allowed in part\n",
        Coverage::None => "denied\n",
    });
    for rule in deciding.allowing.iter().chain(&deciding.denying) {
        said += &shown(acl, rule);
    }
    if deciding.unmentioned {
        said += "  no rule speaks of the other topics: denied\n";
    }
    if deciding.incomplete {
        said += "  there may be more rules: too many combinations to look at\n";
    }
    Ok(said)
}

fn shown(acl: &Acl, rule: &Rule) -> String {
    let mut text = String::new();
    // Writing into a String cannot fail.
    let _ = writeln!(text, "  {}:{}: {}", acl.path().display(), rule.line, rule.text());
    text
}

const fn syntax(mosquitto: bool) -> Syntax {
    if mosquitto { Syntax::Mosquitto } else { Syntax::Own }
}

fn claim(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("write NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}

#[cfg(test)]
mod tests;

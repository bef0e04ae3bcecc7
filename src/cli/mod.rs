//! The command line: flags into a configuration, a configuration into a summary, and the other commands of the program.

mod acl;
mod backup;
mod generate;
mod health;
mod inspect;
mod log;
mod mqtt;
mod ops;
mod passwd;
mod selector;

use std::ffi::OsString;
use std::fmt::Write as _;
use std::path::PathBuf;

use clap::{CommandFactory, Parser, Subcommand};
use metrics::Gauge;

use crate::acl::AclError;
use crate::auth::{Backends, BackendsError};
use crate::config::{
    Address, Config, ConfigErrors, Durability, Listener, Retention, Store, Transport, check_filter, show_duration,
    show_size,
};
use crate::net::{Certificates, TlsFileError};
use crate::server::load_acl;

pub use acl::{AclCommand, AclCommandError, acl};
pub use backup::{BackupArgs, BackupError, backup};
pub use generate::{CompletionsArgs, ManArgs, ManError};
pub use health::{HealthArgs, HealthError, health};
pub use inspect::{InspectArgs, inspect};
pub use log::start_log;
pub use mqtt::{BrokerUrl, ConnectionArgs, PubArgs, StartText, SubArgs, publish, subscribe};
pub use ops::{OpsCommand, OpsError, ops};
pub use passwd::{PasswdArgs, PasswdError, passwd};
pub use selector::{SelectorArgs, SelectorError, try_selector};

/// What the user asks the program to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Invocation {
    /// Run the broker.
    Run(Args),
    /// Say whether the broker would start with these arguments.
    Check(Args),
    /// Copy the store.
    Backup(BackupArgs),
    /// Tell what a data folder holds.
    Inspect(InspectArgs),
    /// Put a user into a users file, or take one out.
    Passwd(PasswdArgs),
    /// Try a selector.
    Selector(SelectorArgs),
    /// Ask access rules.
    Acl(AclCommand),
    /// Publish.
    Pub(Box<PubArgs>),
    /// Subscribe.
    Sub(Box<SubArgs>),
    /// Print the completions of a shell.
    Completions(CompletionsArgs),
    /// Print or write manual pages.
    Man(ManArgs),
    /// Ask a running broker.
    Ops(OpsCommand),
    /// Ask a running broker whether it can do its work.
    Health(HealthArgs),
}

/// Where the configuration comes from, and the options that the command line sets.
#[derive(Clone, Debug, Default, PartialEq, Eq, clap::Args)]
pub struct Args {
    /// Configuration file [default: none, or what REWINDMQ_CONFIG names]
    #[arg(short, long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Listen for MQTT clients here instead (PORT for loopback, :PORT, HOST:PORT, an IPv6 address in brackets and :PORT, unix:/PATH, or a URL of mqtt, mqtts, ws or wss such as ws://127.0.0.1:8083/mqtt); repeatable
    #[arg(short, long, value_name = "ADDR")]
    pub listen: Vec<Listener>,
    /// Let clients in that prove nothing, through every listener; needed to open one to a network without authentication
    #[arg(long)]
    pub anonymous: bool,
    /// Certificate of the mqtts and wss listeners of --listen, with those that sign it (PEM)
    #[arg(long, value_name = "FILE", requires = "tls_key", requires = "listen")]
    pub tls_cert: Option<PathBuf>,
    /// Its key (PEM)
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    pub tls_key: Option<PathBuf>,
    /// Serve /metrics here instead
    #[arg(long, value_name = "ADDR")]
    pub http: Option<Address>,
    /// Folder of the event store
    #[arg(short, long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// Store the messages whose topics match, with the default retention; repeatable
    #[arg(short, long, value_name = "FILTER", value_parser = filter)]
    pub store: Vec<String>,
}

/// The arguments of this process; faults end it with exit code 2, help and version with 0.
pub fn parse_args() -> Invocation {
    Cli::parse().into()
}

/// What a shell needs to complete the commands and options.
pub fn completions(args: &CompletionsArgs) -> String {
    generate::completions(args, Cli::command())
}

/// The manual page; empty where all pages were written into a folder.
///
/// # Errors
/// If they cannot be written.
pub fn man(args: &ManArgs) -> Result<String, ManError> {
    generate::man(args, Cli::command())
}

/// The configuration by the defaults, the file, the variables and the flags; a later one wins.
///
/// # Errors
/// All faults that were found.
pub fn load(args: &Args, variables: impl IntoIterator<Item = (OsString, OsString)>) -> Result<Config, ConfigErrors> {
    let variables: Vec<(OsString, OsString)> = variables.into_iter().collect();
    let named = variables
        .iter()
        .find(|(name, value)| name == CONFIG_VARIABLE && !value.is_empty());
    let file = args
        .config
        .clone()
        .or_else(|| named.map(|(_, value)| PathBuf::from(value)));
    Config::load(file.as_deref(), variables, |config| args.apply(config))
}

/// Whether the files that `[auth]` names can be used.
///
/// # Errors
/// What is wrong with one; with the users file, line by line.
pub fn check_auth(config: &Config) -> Result<(), BackendsError> {
    Backends::load(&config.auth, &Gauge::noop()).map(drop)
}

/// Whether the file of access rules, if there is one, can be used.
///
/// # Errors
/// What is wrong with it, line by line.
pub fn check_acl(config: &Config) -> Result<(), AclError> {
    load_acl(&config.auth).map(drop)
}

/// Whether the certificates of every listener with TLS can be used.
///
/// # Errors
/// Which file cannot, and why.
pub fn check_certificates(config: &Config) -> Result<(), TlsFileError> {
    for listener in &config.listeners {
        Certificates::load(listener, |_| Gauge::noop())?;
    }
    Ok(())
}

/// What `rewindmq check` says about a configuration without a fault; ends with a line break.
pub fn summary(config: &Config) -> String {
    let mut text = String::from("ok\n");
    for listener in &config.listeners {
        line(
            &mut text,
            listener.protocol(),
            place_of(listener, config.auth.is_configured()),
        );
    }
    let http = config.http.enabled.then(|| config.http.address.to_string());
    line(&mut text, "http", http.as_deref().unwrap_or("none"));
    line(&mut text, "store", place(&config.store));
    for rule in &config.store.rules {
        let except = if rule.exclude.is_empty() {
            String::new()
        } else {
            format!(" except {}", rule.exclude.join(" "))
        };
        let kept = retention(&rule.retention);
        line(
            &mut text,
            "stored",
            format_args!("{}{except}, {kept}", rule.filters.join(" ")),
        );
    }
    if let Some(kept) = on_request(&config.store) {
        line(&mut text, "stored", kept);
    }
    text
}

#[derive(Parser)]
#[command(name = "rewindmq", version, about, after_help = AFTER_HELP, args_conflicts_with_subcommands = true)]
struct Cli {
    #[command(flatten)]
    args: Args,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Say whether the configuration is right: what the broker would do, or every fault with its line (exit code 1)
    Check(Args),
    /// Copy the store to a folder on which a broker can be started; a broker may go on meanwhile
    ///
    /// The copy is the store as of one instant, without free pages, and on disk when the command ends with exit code 0. A
    /// copy that was interrupted is not taken for a store. As long as the copy takes, the store does not use freed pages
    /// again: it grows by what is written in that time.
    Backup(BackupArgs),
    /// Tell what a data folder holds: tables, channels, cursors, sessions; a broker may run on it meanwhile
    ///
    /// Changes nothing. Rows that cannot be read are told and passed over. While a broker runs, what is told is of slightly
    /// different moments.
    Inspect(InspectArgs),
    /// Set the password of a user in a users file (auth.users_file), or remove the user
    ///
    /// At a terminal the password is asked for twice and not shown; otherwise it is the first line of standard input. The file
    /// is replaced as a whole and readable by its owner only. A broker reads it at its start.
    Passwd(PasswdArgs),
    /// Try a message selector: prints true, false or unknown, or the fault with a caret under it (exit code 1)
    ///
    /// A subscriber with this selector gets the message only if it is true. The message has the given properties and
    /// payload, and counts as not stored.
    Selector(SelectorArgs),
    /// Say who may do what, by a file of access rules (auth.acl_file)
    #[command(subcommand)]
    Acl(AclCommand),
    /// Publish messages, and say what the broker answered
    ///
    /// Waits until every message of QoS 1 and 2 is acknowledged. What the broker refuses is told with its reason, and the exit
    /// code is 1 then. Messages are sent without waiting for each other's acknowledgements; if the connection breaks, what was
    /// not answered may have been taken all the same.
    Pub(Box<PubArgs>),
    /// Subscribe and print messages, live or from any point of the past
    ///
    /// A line shows the time (UTC; of storing where there is a replay), the topic, the sequence in its channel, and the payload.
    /// A message is acknowledged when it is printed: what was not printed comes again, to this client or another one of its
    /// group. With --from and --client-id the place is remembered: the next time it goes on there.
    Sub(Box<SubArgs>),
    /// Print what a shell needs to complete commands and options
    ///
    /// For bash: rewindmq completions bash > /etc/bash_completion.d/rewindmq
    Completions(CompletionsArgs),
    /// Print the manual page, or write the pages of all commands into a folder
    Man(ManArgs),
    #[command(flatten)]
    Ops(OpsCommand),
    /// Ask a running broker whether it can do its work: exit code 0 if so, 1 otherwise, with the reason
    ///
    /// It is ready when the store takes writes, every listener accepts, every worker answers and it is not about to stop
    /// (/readyz). For health checks of containers and of whoever starts the broker.
    Health(HealthArgs),
}

impl From<Cli> for Invocation {
    fn from(cli: Cli) -> Self {
        match cli.command {
            None => Self::Run(cli.args),
            Some(Command::Check(args)) => Self::Check(args),
            Some(Command::Backup(args)) => Self::Backup(args),
            Some(Command::Inspect(args)) => Self::Inspect(args),
            Some(Command::Passwd(args)) => Self::Passwd(args),
            Some(Command::Selector(args)) => Self::Selector(args),
            Some(Command::Acl(command)) => Self::Acl(command),
            Some(Command::Pub(args)) => Self::Pub(args),
            Some(Command::Sub(args)) => Self::Sub(args),
            Some(Command::Completions(args)) => Self::Completions(args),
            Some(Command::Man(args)) => Self::Man(args),
            Some(Command::Ops(command)) => Self::Ops(command),
            Some(Command::Health(args)) => Self::Health(args),
        }
    }
}

impl Args {
    fn apply(&self, config: &mut Config) {
        if !self.listen.is_empty() {
            config.listeners.clone_from(&self.listen);
            for tls in config.listeners.iter_mut().filter_map(|listener| listener.tls.as_mut()) {
                tls.certificates = self.tls_cert.iter().cloned().collect();
                tls.keys = self.tls_key.iter().cloned().collect();
            }
        }
        if self.anonymous {
            for listener in &mut config.listeners {
                listener.anonymous = Some(true);
            }
        }
        if let Some(address) = &self.http {
            config.http.enabled = true;
            config.http.address = address.clone();
        }
        if let Some(path) = &self.data {
            config.store.path.clone_from(path);
        }
        for filter in &self.store {
            let rule = config.store.rule_for(filter.clone());
            config.store.rules.push(rule);
        }
    }
}

fn filter(text: &str) -> Result<String, String> {
    check_filter(text).map(|()| text.to_owned())
}

fn line(text: &mut String, name: &str, value: impl std::fmt::Display) {
    writeln!(text, "  {name:<7}{value}").expect("a String takes all text");
}

/// Where the store is, how large it may grow, and how safe it is unless that is as safe as can be.
fn place(store: &Store) -> String {
    let size = store.max_bytes.map_or_else(
        || "no limit".to_owned(),
        |bytes| format!("at most {}", show_size(bytes)),
    );
    let path = store.path.display();
    match store.durability {
        Durability::Sync => format!("{path}, {size}"),
        Durability::Async => format!(
            "{path}, {size}, durability async: forced to disk every {}, a crash of the system may damage it",
            show_duration(store.async_flush)
        ),
        Durability::Memory => format!("{size}, durability memory: nothing survives the broker"),
    }
}

/// Where a listener is, and whether it lets in clients that prove nothing.
fn place_of(listener: &Listener, authenticates: bool) -> String {
    let path = match listener.transport {
        Transport::Tcp => "",
        Transport::WebSocket => &*listener.path,
    };
    let whom = if listener.lets_in_anonymous(authenticates) {
        "anonymous clients too"
    } else {
        "authenticated clients only"
    };
    format!("{}{path}, {whom}", listener.address)
}

fn on_request(store: &Store) -> Option<String> {
    let kept = retention(&store.default_retention);
    store
        .allow_publisher_store
        .then(|| format!("what publishers ask to store, {kept}"))
}

fn retention(retention: &Retention) -> String {
    let age = retention.max_age.map(show_duration);
    let count = retention.max_count.map(|count| format!("{count} events"));
    let bytes = retention.max_bytes.map(show_size);
    let limits: Vec<String> = [age, count, bytes].into_iter().flatten().collect();
    if limits.is_empty() {
        "all of it".to_owned()
    } else {
        format!("at most {} of each topic", limits.join(", "))
    }
}

const CONFIG_VARIABLE: &str = "REWINDMQ_CONFIG";
const AFTER_HELP: &str = "\
Every option of the configuration file can be set by a variable REWINDMQ__SECTION__KEY, such as REWINDMQ__STORE__PATH.
Flags win over variables, variables over the file, the file over the defaults.
Exit codes: 0 stopped in order, or done; 1 the configuration is faulty, or it cannot go on, or a broker refuses; 2 the command line is faulty; of sub also: 3 fewer messages came than --count.";

#[cfg(test)]
mod tests;

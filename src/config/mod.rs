//! What the operator wants: one tree of options, already valid when loaded. Knows no part that uses it.
//!
//! An option is one line in its section's `read`: that line names its key, its field and what may stand in it, and it
//! serves the file, the environment and the test that compares `conf/rewindmq.toml` with the defaults.

mod address;
mod auth;
mod changes;
mod error;
mod filter;
mod limits;
mod listen;
mod listener;
mod process;
mod reader;
mod session;
mod shared;
mod store;
mod suggest;
mod sys;
mod tls;
mod units;
mod value;

#[cfg(test)]
mod tests;

use std::ffi::OsString;
use std::path::Path;

use serde::Serialize;

pub use address::Address;
pub use auth::{Auth, AuthHttp, Jwt, TokenUserName};
pub use changes::{Change, Effect, changes};
pub use error::{ConfigError, ConfigErrors, Place};
pub use filter::check_filter;
pub use limits::Limits;
pub use listen::Http;
pub use listener::{Endpoint, Listener, Transport, Versions};
pub use process::{Log, LogFormat, Runtime, check_log_level};
pub use session::{DuplicateClientId, PendingPolicy, Retained, Session};
pub use shared::{Shared, SharedRule, SharedStrategy};
pub use store::{Durability, Retention, Store, StoreRule};
pub use sys::Sys;
pub use tls::{ClientCertificate, Identified, Tls, TlsVersion};
pub use units::{check_duration, parse_duration, show_duration, show_size};

use reader::{Reader, Section, Sources};

/// Every option of the broker.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Config {
    /// `[[listeners]]`: where MQTT clients connect; at least one.
    pub listeners: Vec<Listener>,
    /// `[http]`: metrics, health, the API.
    pub http: Http,
    /// `[auth]`: who may come in.
    pub auth: Auth,
    /// `[store]`: the event store.
    pub store: Store,
    /// `[session]`: what one client may ask of the broker.
    pub session: Session,
    /// `[limits]`: what one client and one address may cost the others.
    pub limits: Limits,
    /// `[retained]`: retained messages.
    pub retained: Retained,
    /// `[shared]`: shared subscriptions without a replay.
    pub shared: Shared,
    /// `[sys]`: what the broker tells about itself in topics.
    pub sys: Sys,
    /// `[runtime]`: the process.
    pub runtime: Runtime,
    /// `[log]`: what the broker says on standard error.
    pub log: Log,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listeners: vec![Listener::default()],
            http: Http::default(),
            auth: Auth::default(),
            store: Store::default(),
            session: Session::default(),
            limits: Limits::default(),
            retained: Retained::default(),
            shared: Shared::default(),
            sys: Sys::default(),
            runtime: Runtime::default(),
            log: Log::default(),
        }
    }
}

impl Config {
    /// The defaults, then `file`, then those of `variables` that begin with `REWINDMQ__`, then what `flags` changes; a
    /// later one wins.
    ///
    /// # Errors
    /// All faults that were found, in the order of the file's lines and then of the variables' names.
    pub fn load(
        file: Option<&Path>,
        variables: impl IntoIterator<Item = (OsString, OsString)>,
        flags: impl FnOnce(&mut Self),
    ) -> Result<Self, ConfigErrors> {
        let Some(path) = file else {
            return Self::read_from(None, variables, flags);
        };
        let text = std::fs::read_to_string(path).map_err(|error| ConfigError::unreadable(path, &error))?;
        Self::read_from(Some((path, &text)), variables, flags)
    }

    fn read_from(
        file: Option<(&Path, &str)>,
        variables: impl IntoIterator<Item = (OsString, OsString)>,
        flags: impl FnOnce(&mut Self),
    ) -> Result<Self, ConfigErrors> {
        let mut config = Self::default();
        let mut sources = Sources::new(file, variables);
        let document = sources.document()?;
        sources.read(document.get_ref(), &mut config);
        sources.finish()?;
        flags(&mut config);
        ConfigErrors::unless_empty(config.clashes().chain(config.open_doors()).collect())?;
        Ok(config)
    }

    /// Addresses that two listeners claim, two files where one counts: what no single option shows to be impossible.
    fn clashes(&self) -> impl Iterator<Item = ConfigError> {
        let http = Endpoint::Tcp(self.http.address.clone());
        let http = self.http.enabled.then_some(("http.address", http));
        let mqtt = self.listeners.iter();
        let mqtt = mqtt.map(|listener| ("listeners.address", listener.address.clone()));
        let mut seen: Vec<Endpoint> = Vec::new();
        let mut clashes = Vec::new();
        for (key, address) in mqtt.chain(http) {
            let any_port = matches!(&address, Endpoint::Tcp(address) if address.port == 0);
            if !any_port && seen.contains(&address) {
                clashes.push(ConfigError::whole(
                    key,
                    format!("{address} is taken twice; give each listener its own port"),
                ));
            }
            seen.push(address);
        }
        if self.auth.acl_file.is_some() && self.auth.mosquitto_acl_file.is_some() {
            let what = "is set beside auth.acl_file; keep one of them".to_owned();
            clashes.push(ConfigError::whole("auth.mosquitto_acl_file", what));
        }
        clashes.into_iter()
    }

    /// Listeners of which nobody said who may come in, and such with TLS but no certificate.
    fn open_doors(&self) -> impl Iterator<Item = ConfigError> {
        let authenticates = self.auth.is_configured();
        self.listeners.iter().filter_map(move |listener| {
            let address = &listener.address;
            let what = if listener.tls.as_ref().is_some_and(|tls| tls.certificates.is_empty()) {
                format!("{address} needs a certificate and its key: --tls-cert FILE --tls-key FILE, or [listeners.tls] in a file")
            } else if listener.is_undecided(authenticates) {
                format!(
                    "{address} can be reached from a network, and nothing says who may come in; either let clients prove who \
                     they are (auth.users_file, or client certificates by [listeners.tls]), or let everybody in \
                     (anonymous = true in [[listeners]], or the flag --anonymous)"
                )
            } else {
                return None;
            };
            Some(ConfigError::whole("listeners", what))
        })
    }
}

impl Section for Config {
    fn read(&mut self, reader: &mut Reader<'_, '_>) {
        listen::read_listeners(&mut self.listeners, reader);
        reader.section("http", &mut self.http);
        reader.section("auth", &mut self.auth);
        reader.section("store", &mut self.store);
        reader.section("session", &mut self.session);
        reader.section("limits", &mut self.limits);
        reader.section("retained", &mut self.retained);
        reader.section("shared", &mut self.shared);
        reader.section("sys", &mut self.sys);
        reader.section("runtime", &mut self.runtime);
        reader.section("log", &mut self.log);
    }
}

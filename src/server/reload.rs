//! The configuration read again: all of it takes effect, or none. Knows no signal and no file but those that it names.

use super::{Server, ServerError, hygiene};
use crate::acl::{self, Acl, AclError};
use crate::auth::Backends;
use crate::broker::Broker;
use crate::config::{Auth, Config, Effect, changes};
use crate::metrics::Metrics;

/// How a running program reads its configuration again.
pub struct Reloading {
    /// Reads the configuration from where the first one came.
    pub load: Box<dyn Fn() -> Result<Config, String>>,
    /// Sets the log's level.
    pub set_log_level: Box<dyn Fn(&str)>,
}

/// A configuration with everything that it names loaded: nothing can fail any more.
pub(super) struct Prepared {
    config: Config,
    backends: Backends,
    acl: Option<Acl>,
}

impl Prepared {
    /// Loads what a configuration names.
    pub fn new(config: Config, metrics: &Metrics) -> Result<Self, ServerError> {
        let backends = Backends::load(&config.auth, &metrics.authentication_queue)?;
        warn_of_weak(&backends);
        let auth = &config.auth;
        for path in auth.users_file.iter().chain(&auth.jwt.secret_file) {
            hygiene::check_secret(path);
        }
        let acl = load_acl(&config.auth)?;
        Ok(Self { config, backends, acl })
    }

    /// The configuration.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Installs what the configuration names, at the start.
    pub fn install(self, broker: &Broker) {
        broker.set_backends(self.backends);
        broker.set_acl(self.acl);
    }

    /// Puts it in force in the place of what is.
    fn apply(self, broker: &Broker) {
        broker.set_backends(self.backends);
        broker.set_acl(self.acl);
        let running = broker.config().clone();
        broker.set_config(self.config.with_restarts_of(&running));
    }
}

/// The access rules that a configuration names, if it names any.
///
/// # Errors
/// What is wrong with the file, line by line.
pub fn load_acl(auth: &Auth) -> Result<Option<Acl>, AclError> {
    match (&auth.acl_file, &auth.mosquitto_acl_file) {
        (Some(path), _) => acl::load(path).map(Some),
        (None, Some(path)) => acl::load_as(path, acl::Syntax::Mosquitto).map(Some),
        (None, None) => Ok(None),
    }
}

impl Reloading {
    /// Everything that can fail.
    fn prepare(&self, server: &Server) -> Result<Prepared, String> {
        let prepared = Prepared::new((self.load)()?, server.broker().metrics()).map_err(|fault| fault.to_string())?;
        server.check_certificates().map_err(|fault| fault.to_string())?;
        Ok(prepared)
    }

    /// Reads the configuration again and says what came of it. A fault leaves everything as it is; then it
    /// returns false.
    pub(super) fn reload(&self, server: &Server) -> bool {
        let broker = server.broker();
        let prepared = match self.prepare(server) {
            Ok(prepared) => prepared,
            Err(fault) => {
                broker.metrics().reloads_failed.increment(1);
                for fault in fault.lines() {
                    tracing::error!(%fault, "the configuration was read again and is faulty; what was in force stays");
                }
                return false;
            }
        };
        let changed = changes(&broker.config(), prepared.config());
        let keys = |effect| {
            let keys = changed.iter().filter(|change| change.effect == effect);
            keys.map(|change| change.key).collect::<Vec<_>>().join(" ")
        };
        (self.set_log_level)(&prepared.config().log.level);
        prepared.apply(broker);
        server.reload_certificates();
        broker.metrics().reloads.increment(1);
        tracing::info!(
            changed = keys(Effect::Now),
            for_new_connections = keys(Effect::NewConnections),
            "the configuration and the files that it names were read again"
        );
        let restart = keys(Effect::Restart);
        if !restart.is_empty() {
            tracing::warn!(
                options = restart,
                "changed options that take effect only when the broker is started again"
            );
        }
        true
    }
}

fn warn_of_weak(backends: &Backends) {
    let users = backends.users.as_deref();
    let weak: Vec<&str> = users.into_iter().flat_map(|users| users.weakly_kept()).collect();
    if let Some(first) = weak.first() {
        tracing::warn!(
            count = weak.len(),
            first,
            "passwords are kept as $6$, a single SHA-512: who gets at the users file soon has them; set them anew with `rewindmq passwd`"
        );
    }
}

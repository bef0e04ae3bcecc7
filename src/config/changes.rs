//! What differs between two configurations, and when that takes effect. Applies nothing.

use super::{Auth, Config, Http, Limits, Log, Retained, Runtime, Session, Shared, Store, Sys};

/// When a changed option takes effect after the configuration was read again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// At once.
    Now,
    /// For connections that are made from now on: what a client was told, or was given, stays.
    NewConnections,
    /// When the broker is started again.
    Restart,
}

/// An option that differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    /// Its section and key, as in the file.
    pub key: &'static str,
    /// When it takes effect.
    pub effect: Effect,
}

/// Compares section by section. Taking the sections apart without `..` makes the compiler ask for an option that is missing.
macro_rules! compare {
    ($old:ident, $new:ident, $found:ident; $($section:ident: $kind:ident { $($key:ident: $effect:ident,)* })*) => {
        $({
            let $kind { $($key),* } = &$old.$section;
            $(if *$key != $new.$section.$key {
                let key = concat!(stringify!($section), ".", stringify!($key));
                $found.push(Change { key, effect: Effect::$effect });
            })*
        })*
    };
}

/// The options that differ, in the order of the file.
pub fn changes(old: &Config, new: &Config) -> Vec<Change> {
    let mut found = Vec::new();
    if old.listeners != new.listeners {
        found.push(Change {
            key: "listeners",
            effect: Effect::Restart,
        });
    }
    compare! { old, new, found;
        http: Http {
            enabled: Restart,
            address: Restart,
            token_file: Restart,
        }
        auth: Auth {
            users_file: Now,
            acl_file: Now,
            mosquitto_acl_file: Now,
        }
        store: Store {
            path: Restart,
            durability: Restart,
            async_flush: Restart,
            max_bytes: Restart,
            allow_publisher_store: Now,
            default_retention: Now,
            rules: Now,
            cursor_expiry: Now,
            max_cursors: Now,
            max_cursors_per_client: Now,
            retention_interval: Restart,
            cursor_flush: Restart,
        }
        session: Session {
            max_expiry: NewConnections,
            duplicate_client_id: Now,
            allow_zero_length_client_id: Now,
            connect_timeout: NewConnections,
            max_keep_alive: NewConnections,
            receive_maximum: NewConnections,
            max_inflight: NewConnections,
            max_packet_size: NewConnections,
            topic_alias_maximum: NewConnections,
            max_queued_messages: NewConnections,
            max_queued_bytes: NewConnections,
            max_pending_messages: Now,
            max_pending_bytes: Now,
            max_pending_age: Now,
            pending_policy: Now,
            outbox_bytes: NewConnections,
            max_subscriptions: Now,
            max_connections: Now,
        }
        limits: Limits {
            max_sessions: Now,
            max_connections_per_address: Now,
            connection_rate: Now,
            connection_burst: Now,
            limit_loopback: Now,
            max_topic_levels: Now,
            max_topic_bytes: Now,
            max_filter_levels: Now,
            max_filter_bytes: Now,
            max_user_properties: Now,
            max_user_property_bytes: Now,
            max_will_bytes: Now,
            publish_rate: NewConnections,
            publish_bytes: NewConnections,
        }
        retained: Retained {
            max_messages: Now,
            max_bytes: Now,
        }
        shared: Shared {
            strategy: Now,
            rules: Now,
        }
        sys: Sys {
            interval: Restart,
        }
        runtime: Runtime {
            workers: Restart,
        }
        log: Log {
            level: Now,
            format: Restart,
        }
    }
    found
}

impl Config {
    /// This configuration with what needs a restart as it is in `running`, so that what is reported is what is in force.
    pub fn with_restarts_of(mut self, running: &Self) -> Self {
        self.listeners.clone_from(&running.listeners);
        self.http = running.http.clone();
        self.store.path.clone_from(&running.store.path);
        self.store.durability = running.store.durability;
        self.store.async_flush = running.store.async_flush;
        self.store.max_bytes = running.store.max_bytes;
        self.store.retention_interval = running.store.retention_interval;
        self.store.cursor_flush = running.store.cursor_flush;
        self.sys = running.sys.clone();
        self.runtime = running.runtime.clone();
        self.log.format = running.log.format;
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::LogFormat;

    #[test]
    fn what_differs_is_named_with_its_effect() {
        let old = Config::default();
        let mut new = old.clone();
        assert_eq!(changes(&old, &new), []);
        new.session.receive_maximum += 1;
        new.limits.max_sessions = None;
        new.log.format = LogFormat::Json;
        let found: Vec<_> = changes(&old, &new).iter().map(|one| (one.key, one.effect)).collect();
        assert_eq!(
            found,
            [
                ("session.receive_maximum", Effect::NewConnections),
                ("limits.max_sessions", Effect::Now),
                ("log.format", Effect::Restart),
            ]
        );
    }

    #[test]
    fn what_needs_a_restart_stays_as_it_runs() {
        let running = Config::default();
        let mut new = running.clone();
        new.listeners.clear();
        new.http.enabled = false;
        new.store.path = "/elsewhere".into();
        new.store.durability = crate::config::Durability::Memory;
        new.store.async_flush *= 2;
        new.store.max_bytes = None;
        new.store.retention_interval *= 2;
        new.store.cursor_flush *= 2;
        new.sys.interval = None;
        new.runtime.workers += 1;
        new.log.format = LogFormat::Json;
        new.session.max_connections = Some(7);
        assert!(
            changes(&running, &new)
                .iter()
                .filter(|one| one.effect == Effect::Restart)
                .count()
                >= 11
        );
        let merged = new.with_restarts_of(&running);
        let left = changes(&running, &merged);
        assert_eq!(left.len(), 1, "{left:?}");
        assert_eq!(left[0].key, "session.max_connections");
    }
}

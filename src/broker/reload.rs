//! A configuration in the place of the one before: what takes effect while the broker runs.

use std::sync::Arc;

use super::Broker;
use super::addresses::AddressLimits;
use super::cursors::CursorLimits;
use super::rules::StoreRules;
use crate::config::Config;
use crate::log::{Retention, RetentionRule};
use crate::router::RetainedLimits;

impl Broker {
    /// Puts a configuration in force. What needs a restart must be as it was: see [`Config::with_restarts_of`].
    pub fn set_config(&self, config: Config) {
        let rules = Arc::new(StoreRules::new(&config.store));
        self.log.set_retention(retention_rule(&rules));
        self.rules.store(rules);
        self.cursors.set_limits(CursorLimits::new(&config.store));
        self.retained.set_limits(retained_limits(&config));
        self.addresses.set_limits(AddressLimits::new(&config.limits));
        self.config.store(Arc::new(config));
        // Routes remember what no rule stores, and which topics are within the limits.
        self.router.touch();
    }
}

pub(super) fn retention_rule(rules: &Arc<StoreRules>) -> RetentionRule {
    let rules = rules.clone();
    Arc::new(move |topic: &str| -> Retention { rules.retention(topic) })
}

pub(super) fn retained_limits(config: &Config) -> RetainedLimits {
    RetainedLimits {
        max_messages: config.retained.max_messages,
        max_bytes: config.retained.max_bytes,
    }
}

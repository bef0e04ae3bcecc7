//! Starts the log of the process on standard error.

use std::io::{self, IsTerminal};

use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, fmt, registry, reload};

use crate::admin::LogControl;
use crate::config::{Log, LogFormat};

/// Starts the log; once in a process. Returns what changes its level.
///
/// # Panics
/// If the process has a log already.
pub fn start_log(log: &Log) -> LogControl {
    let lines = fmt::layer().with_writer(io::stderr);
    let layer = match log.format {
        LogFormat::Text => lines.with_ansi(io::stderr().is_terminal()).boxed(),
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
    };
    let (filter, handle) = reload::Layer::new(targets(&log.level));
    registry().with(layer.with_filter(filter)).init();
    LogControl::new(log.level.clone(), move |level| {
        let targets: Targets = level.parse().map_err(|fault| format!("level: {fault}"))?;
        handle
            .reload(targets)
            .map_err(|fault| format!("the log is gone: {fault}"))
    })
}

fn targets(level: &str) -> Targets {
    level.parse().expect("a configuration holds valid levels")
}

#[cfg(test)]
mod tests {
    use tracing::Level;

    use super::*;
    use crate::config::Config;

    #[test]
    fn every_level_that_the_configuration_takes_is_understood() {
        for (level, info, debug_of_store) in [
            ("info", true, false),
            ("off", false, false),
            ("trace", true, true),
            ("warn, rewindmq::store=debug", false, true),
            ("rewindmq::store=off,debug", true, false),
        ] {
            let variables = [("REWINDMQ__LOG__LEVEL".into(), level.into())];
            let config = Config::load(None, variables, |_| {}).expect(level);
            let targets = targets(&config.log.level);
            assert_eq!(targets.would_enable("rewindmq", &Level::INFO), info, "{level}");
            assert_eq!(
                targets.would_enable("rewindmq::store::lmdb", &Level::DEBUG),
                debug_of_store,
                "{level}"
            );
        }
    }
}

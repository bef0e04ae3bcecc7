//! How the process runs and what it says on standard error. Starts nothing.

use serde::Serialize;

use super::reader::{Reader, Section};
use super::suggest;
use super::value::{self, Given, Words};

/// The process.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Runtime {
    /// How many threads serve connections; 0: one per core.
    pub workers: usize,
}

/// The log on standard error.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Log {
    /// A level, or several `target=level` between commas; a level alone is that of all other targets.
    pub level: String,
    /// How a line looks.
    pub format: LogFormat,
}

/// How a log line looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object per line.
    Json,
}

impl Default for Log {
    fn default() -> Self {
        Self {
            level: "info".to_owned(),
            format: LogFormat::default(),
        }
    }
}

impl Section for Runtime {
    fn read(&mut self, reader: &mut Reader<'_, '_>) {
        reader.option("workers", &mut self.workers, value::integer(0..=1_024));
    }
}

impl Section for Log {
    fn read(&mut self, reader: &mut Reader<'_, '_>) {
        reader.option("level", &mut self.level, level);
        reader.option("format", &mut self.format, value::word);
    }
}

impl Words for LogFormat {
    const WORDS: &'static [(&'static str, Self)] = &[("text", Self::Text), ("json", Self::Json)];
}

/// A log level as the option `log.level` takes it, in its plain form.
///
/// # Errors
/// What would be right.
pub fn check_log_level(text: &str) -> Result<String, String> {
    level(&Given::Variable(text))
}

fn level(given: &Given<'_>) -> Result<String, String> {
    let text = given
        .text()
        .ok_or_else(|| given.instead_of("a log level such as \"info\""))?;
    let parts: Vec<&str> = text.split(',').map(str::trim).collect();
    for part in &parts {
        let (target, level) = part
            .split_once('=')
            .map_or((None, *part), |(target, level)| (Some(target), level));
        if !LEVELS.contains(&level) {
            return Err(suggest::word(level, LEVELS.into_iter()));
        }
        let path = |target: &str| {
            target
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || c == '_' || c == ':')
        };
        if target.is_some_and(|target| target.is_empty() || !path(target)) {
            return Err(given.instead_of("a part of the broker before =, such as \"rewindmq::store=debug\""));
        }
    }
    Ok(parts.join(","))
}

const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];

//! The figures of one scenario, and the file to which each scenario appends its own. Knows no table.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::error::BenchError;
use crate::faults::Faults;
use crate::label::Label;
use crate::latency::Latency;
use crate::measure::Usage;
use crate::sessions::Sessions;

/// The figures of one scenario.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// What was done.
    pub scenario: String,
    /// How many messages went through.
    pub messages: u64,
    /// Wall time.
    pub seconds: f64,
    /// Messages per second of wall time.
    pub messages_per_second: f64,
    /// The broker's CPU time for each message, microseconds.
    pub broker_us_per_message: f64,
    /// The part of it in the program.
    pub broker_user_us_per_message: f64,
    /// The part of it in the kernel.
    pub broker_system_us_per_message: f64,
    /// The load client's CPU time for each message, microseconds.
    pub client_us_per_message: f64,
    /// The most memory that the broker had resident, pages of mapped files included.
    pub broker_peak_rss_bytes: u64,
    /// The same without mapped files, as sampled.
    pub broker_peak_anonymous_bytes: u64,
    /// What it had without mapped files before.
    pub broker_anonymous_before_bytes: u64,
    /// And after.
    pub broker_anonymous_after_bytes: u64,
    /// What the data folder grew by for each message; where something was stored.
    pub disk_bytes_per_message: Option<f64>,
    /// How often messages were delivered, all together.
    pub deliveries: u64,
    /// What one subscription or connection takes of the broker's memory, bytes; where there are many.
    pub bytes_each: Option<f64>,
    /// By what the row is found; where programs are compared.
    pub label: Option<Label>,
    /// How long messages took; where they are sent one by one.
    pub latency: Option<Latency>,
    /// What the row is compared by; where durable sessions are measured.
    pub sessions: Option<Sessions>,
    /// What went wrong.
    pub faults: Faults,
}

impl Row {
    /// The figures of a scenario from what it cost.
    pub fn new(scenario: String, messages: u64, usage: &Usage, faults: Faults) -> Self {
        let per_message = |time: Duration| per(time.as_secs_f64() * 1e6, messages as f64);
        let seconds = usage.elapsed.as_secs_f64();
        Self {
            scenario,
            messages,
            seconds,
            messages_per_second: per(messages as f64, seconds),
            broker_us_per_message: per_message(usage.broker.user + usage.broker.system),
            broker_user_us_per_message: per_message(usage.broker.user),
            broker_system_us_per_message: per_message(usage.broker.system),
            client_us_per_message: per_message(usage.client.user + usage.client.system),
            broker_peak_rss_bytes: usage.peak_rss_bytes,
            broker_peak_anonymous_bytes: usage.peak_anonymous_bytes,
            broker_anonymous_before_bytes: usage.anonymous_before_bytes,
            broker_anonymous_after_bytes: usage.anonymous_after_bytes,
            disk_bytes_per_message: None,
            deliveries: messages,
            bytes_each: None,
            label: None,
            latency: None,
            sessions: None,
            faults,
        }
    }
}

/// Broker CPU time of one delivery, microseconds; 0 if it was too little to be seen.
pub fn us_per_delivery(row: &Row) -> f64 {
    row.broker_us_per_message * row.messages as f64 / row.deliveries.max(1) as f64
}

/// Nothing for each of none: rows without a message are read back and compared, too.
fn per(amount: f64, of: f64) -> f64 {
    if of > 0.0 { amount / of } else { 0.0 }
}

/// A file of rows; appending a row to the text appends it to the list.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Rows {
    #[serde(default)]
    row: Vec<Row>,
}

/// Appends a row to a file, which need not exist.
///
/// # Errors
/// If the file cannot be written.
pub fn append(file: &Path, row: &Row) -> Result<(), BenchError> {
    let rows = Rows { row: vec![row.clone()] };
    let text = toml::to_string(&rows).map_err(|error| format_error(file, &error))?;
    let fault = || BenchError::io(format!("cannot write {}", file.display()));
    let mut file = OpenOptions::new()
        .create(true)
        .append(true)
        .open(file)
        .map_err(fault())?;
    file.write_all(text.as_bytes()).map_err(fault())
}

/// All rows in a file.
///
/// # Errors
/// If the file cannot be read or holds something else.
pub fn read(file: &Path) -> Result<Vec<Row>, BenchError> {
    let text = fs::read_to_string(file).map_err(BenchError::io(format!("cannot read {}", file.display())))?;
    let rows: Rows = toml::from_str(&text).map_err(|error| format_error(file, &error))?;
    Ok(rows.row)
}

fn format_error(file: &Path, error: &dyn std::error::Error) -> BenchError {
    BenchError::Format {
        file: file.display().to_string(),
        what: error.to_string(),
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use crate::measure::CpuTime;
    use crate::sessions::{Kept, Step};

    /// A row for tests.
    pub fn row(disk: Option<f64>) -> Row {
        Row {
            scenario: "s".to_owned(),
            messages: 2,
            seconds: 0.5,
            messages_per_second: 4.0,
            broker_us_per_message: 1.5,
            broker_user_us_per_message: 1.0,
            broker_system_us_per_message: 0.5,
            client_us_per_message: 0.25,
            broker_peak_rss_bytes: 1 << 20,
            broker_peak_anonymous_bytes: 1 << 19,
            broker_anonymous_before_bytes: 1 << 18,
            broker_anonymous_after_bytes: 1 << 19,
            disk_bytes_per_message: disk,
            deliveries: 2,
            bytes_each: None,
            label: None,
            latency: None,
            sessions: None,
            faults: Faults::default(),
        }
    }

    /// A row for tests of durable sessions, with this much CPU time for each message.
    pub fn with_sessions(step: Step, kept: Kept, absent: u64, broker_us_per_message: f64) -> Row {
        Row {
            broker_us_per_message,
            sessions: Some(Sessions { step, kept, absent }),
            ..row(None)
        }
    }

    #[test]
    fn appended_rows_read_back_as_a_list() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let file = folder.path().join("rows");
        let rows = [
            row(Some(300.0)),
            row(None),
            with_sessions(Step::Restart, Kept::Stored, 10, 2.0),
        ];
        for row in &rows {
            append(&file, row).expect("writable");
        }
        assert_eq!(read(&file).expect("well-formed"), rows);
    }

    #[test]
    fn a_row_without_messages_has_figures_that_are_numbers() {
        let time = CpuTime {
            user: Duration::from_secs(1),
            system: Duration::ZERO,
        };
        let usage = Usage {
            elapsed: Duration::ZERO,
            broker: time,
            client: time,
            peak_rss_bytes: 0,
            peak_anonymous_bytes: 0,
            anonymous_before_bytes: 0,
            anonymous_after_bytes: 0,
        };
        let row = Row::new("s".to_owned(), 0, &usage, Faults::default());
        assert_eq!((row.messages_per_second, row.broker_us_per_message), (0.0, 0.0));
    }
}

//! Rows of figures: appended to a file by each scenario, then printed as one table and written as JSON.

use std::fmt::Write as _;
use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::error::BenchError;
use crate::faults::Faults;
use crate::measure::Usage;

/// Where the rows are, and where they go.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// File with the rows
    #[arg(long, value_name = "FILE")]
    rows: PathBuf,
    /// Write them as JSON here, too
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

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
    /// What the data folder grew by for each message; where something was stored.
    pub disk_bytes_per_message: Option<f64>,
    /// What went wrong.
    pub faults: Faults,
}

impl Row {
    /// The figures of a scenario from what it cost.
    pub fn new(scenario: String, messages: u64, usage: &Usage, faults: Faults) -> Self {
        let per_message = |time: std::time::Duration| time.as_secs_f64() * 1e6 / messages as f64;
        let seconds = usage.elapsed.as_secs_f64();
        Self {
            scenario,
            messages,
            seconds,
            messages_per_second: messages as f64 / seconds,
            broker_us_per_message: per_message(usage.broker.user + usage.broker.system),
            broker_user_us_per_message: per_message(usage.broker.user),
            broker_system_us_per_message: per_message(usage.broker.system),
            client_us_per_message: per_message(usage.client.user + usage.client.system),
            broker_peak_rss_bytes: usage.peak_rss_bytes,
            broker_peak_anonymous_bytes: usage.peak_anonymous_bytes,
            disk_bytes_per_message: None,
            faults,
        }
    }
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

/// The table of all rows in a file; writes the JSON if it is wanted.
///
/// # Errors
/// If a file cannot be read or written.
pub fn run(args: &Args) -> Result<String, BenchError> {
    let text =
        fs::read_to_string(&args.rows).map_err(BenchError::io(format!("cannot read {}", args.rows.display())))?;
    let rows: Rows = toml::from_str(&text).map_err(|error| format_error(&args.rows, &error))?;
    if let Some(file) = &args.json {
        fs::write(file, json(&rows.row)).map_err(BenchError::io(format!("cannot write {}", file.display())))?;
    }
    Ok(table(&rows.row))
}

fn format_error(file: &Path, error: &dyn std::error::Error) -> BenchError {
    BenchError::Format {
        file: file.display().to_string(),
        what: error.to_string(),
    }
}

fn table(rows: &[Row]) -> String {
    let mut lines = vec![HEAD.map(str::to_owned)];
    lines.extend(rows.iter().map(cells));
    let widths: [usize; COLUMNS] =
        std::array::from_fn(|column| lines.iter().map(|line| line[column].len()).max().unwrap_or(0));
    let mut text = String::new();
    for line in &lines {
        let mut out = format!("{:<width$}", line[0], width = widths[0]);
        for (cell, width) in line.iter().zip(widths).skip(1) {
            write!(out, "  {cell:>width$}").expect("a String takes all text");
        }
        text.push_str(out.trim_end());
        text.push('\n');
    }
    text
}

fn cells(row: &Row) -> [String; COLUMNS] {
    [
        row.scenario.clone(),
        row.messages.to_string(),
        format!("{:.2}", row.seconds),
        format!("{:.0}", row.messages_per_second),
        format!("{:.2}", row.broker_us_per_message),
        format!("{:.2}", row.broker_user_us_per_message),
        format!("{:.2}", row.broker_system_us_per_message),
        format!("{:.2}", row.client_us_per_message),
        row.disk_bytes_per_message
            .map_or_else(|| "-".to_owned(), |bytes| format!("{bytes:.0}")),
        mebibytes(row.broker_peak_rss_bytes),
        mebibytes(row.broker_peak_anonymous_bytes),
        if row.faults.is_none() {
            "ok".to_owned()
        } else {
            row.faults.to_string()
        },
    ]
}

fn mebibytes(bytes: u64) -> String {
    format!("{:.1}", bytes as f64 / f64::from(1 << 20))
}

fn json(rows: &[Row]) -> String {
    let objects: Vec<String> = rows.iter().map(json_object).collect();
    format!(
        "{{\n  \"version\": {:?},\n  \"rows\": [\n{}\n  ]\n}}\n",
        env!("CARGO_PKG_VERSION"),
        objects.join(",\n")
    )
}

/// Names and scenarios are plain ASCII without quotes, so Rust's way to write text is JSON's.
fn json_object(row: &Row) -> String {
    let disk = row
        .disk_bytes_per_message
        .map_or_else(|| "null".to_owned(), |bytes| format!("{bytes:.1}"));
    let members = [
        ("scenario", format!("{:?}", row.scenario)),
        ("messages", row.messages.to_string()),
        ("seconds", format!("{:.3}", row.seconds)),
        ("messages_per_second", format!("{:.0}", row.messages_per_second)),
        ("broker_us_per_message", format!("{:.3}", row.broker_us_per_message)),
        (
            "broker_user_us_per_message",
            format!("{:.3}", row.broker_user_us_per_message),
        ),
        (
            "broker_system_us_per_message",
            format!("{:.3}", row.broker_system_us_per_message),
        ),
        ("client_us_per_message", format!("{:.3}", row.client_us_per_message)),
        ("disk_bytes_per_message", disk),
        ("broker_peak_rss_bytes", row.broker_peak_rss_bytes.to_string()),
        (
            "broker_peak_anonymous_bytes",
            row.broker_peak_anonymous_bytes.to_string(),
        ),
        ("lost", row.faults.lost.to_string()),
        ("duplicated", row.faults.duplicated.to_string()),
        ("out_of_order", row.faults.out_of_order.to_string()),
        ("altered", row.faults.altered.to_string()),
    ];
    let lines: Vec<String> = members
        .iter()
        .map(|(name, value)| format!("      \"{name}\": {value}"))
        .collect();
    format!("    {{\n{}\n    }}", lines.join(",\n"))
}

const COLUMNS: usize = 12;
const HEAD: [&str; COLUMNS] = [
    "scenario",
    "messages",
    "s",
    "msg/s",
    "broker us/msg",
    "user",
    "system",
    "client us/msg",
    "disk B/msg",
    "peak RSS MiB",
    "anon MiB",
    "faults",
];

#[cfg(test)]
mod tests {
    use super::*;

    fn row(disk: Option<f64>) -> Row {
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
            disk_bytes_per_message: disk,
            faults: Faults::default(),
        }
    }

    #[test]
    fn appended_rows_read_back_as_a_list() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let file = folder.path().join("rows");
        let rows = [row(Some(300.0)), row(None)];
        for row in &rows {
            append(&file, row).expect("writable");
        }
        let text = fs::read_to_string(&file).expect("written");
        let back: Rows = toml::from_str(&text).expect("well-formed");
        assert_eq!(back.row, rows);
    }

    #[test]
    fn columns_line_up() {
        let text = table(&[row(Some(300.0))]);
        let lens: Vec<usize> = text.lines().map(|line| line.trim_end().len()).collect();
        assert_eq!(lens.len(), 2);
        assert!(lens[0].abs_diff(lens[1]) <= "faults".len());
    }

    #[test]
    fn json_says_null_where_nothing_was_stored() {
        assert!(json(&[row(None)]).contains("\"disk_bytes_per_message\": null"));
    }
}

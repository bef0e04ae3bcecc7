//! Prints all rows of figures as one table. Leaves out the columns in which no row has a figure.

use std::fs;
use std::path::PathBuf;

use crate::error::BenchError;
use crate::json::json;
use crate::row::{self, Row};
use crate::sessions::{Kept, Sessions};

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

/// The table of all rows in a file; writes the JSON if it is wanted.
///
/// # Errors
/// If a file cannot be read or written.
pub fn run(args: &Args) -> Result<String, BenchError> {
    let rows = row::read(&args.rows)?;
    if let Some(file) = &args.json {
        fs::write(file, json(&rows)).map_err(BenchError::io(format!("cannot write {}", file.display())))?;
    }
    Ok(table(&rows))
}

fn table(rows: &[Row]) -> String {
    let mut lines = vec![String::new(); rows.len() + 1];
    for (index, (head, cell)) in COLUMNS.iter().enumerate() {
        let mut cells = vec![(*head).to_owned()];
        cells.extend(rows.iter().map(|row| cell(row, rows).unwrap_or_else(|| "-".to_owned())));
        if cells[1..].iter().all(|cell| cell == "-") {
            continue;
        }
        let width = cells.iter().map(String::len).max().unwrap_or(0);
        for (line, cell) in lines.iter_mut().zip(cells) {
            line.push_str(&match index {
                0 => format!("{cell:<width$}"),
                _ => format!("  {cell:>width$}"),
            });
        }
    }
    lines.iter().map(|line| format!("{}\n", line.trim_end())).collect()
}

/// A figure as part of that of the row to which `is_base` leads, where there are both.
fn ratio(
    row: &Row,
    rows: &[Row],
    figure: fn(&Row) -> f64,
    is_base: fn(&Sessions, &Sessions) -> bool,
) -> Option<String> {
    let own = row.sessions.as_ref()?;
    let base = rows
        .iter()
        .find(|row| row.sessions.as_ref().is_some_and(|other| is_base(own, other)))?;
    let (figure, base) = (figure(row), figure(base));
    (figure > 0.0 && base > 0.0).then(|| format!("{:.2}", figure / base))
}

/// The same step with one session.
fn one_session(own: &Sessions, other: &Sessions) -> bool {
    (other.step, other.kept, other.absent) == (own.step, own.kept, 1)
}

/// The same step with what is stored by a rule and no session.
fn by_rule(own: &Sessions, other: &Sessions) -> bool {
    (other.step, other.kept, other.absent) == (own.step, Kept::Stored, 0)
}

fn mebibytes(bytes: u64) -> Option<String> {
    Some(format!("{:.1}", bytes as f64 / f64::from(1 << 20)))
}

fn micros(us: f64) -> Option<String> {
    Some(format!("{us:.2}"))
}

/// What a row has in a column; some are told by other rows, too.
type Cell = fn(&Row, &[Row]) -> Option<String>;

const COLUMNS: [(&str, Cell); 17] = [
    ("scenario", |row, _| Some(row.scenario.clone())),
    ("messages", |row, _| Some(row.messages.to_string())),
    ("s", |row, _| Some(format!("{:.3}", row.seconds))),
    ("msg/s", |row, _| Some(format!("{:.0}", row.messages_per_second))),
    ("x1", |row, rows| {
        ratio(row, rows, |row| row.messages_per_second, one_session)
    }),
    ("broker us/msg", |row, _| micros(row.broker_us_per_message)),
    ("x1", |row, rows| {
        ratio(row, rows, |row| row.broker_us_per_message, one_session)
    }),
    ("xrule", |row, rows| {
        ratio(row, rows, |row| row.broker_us_per_message, by_rule)
    }),
    ("user", |row, _| micros(row.broker_user_us_per_message)),
    ("system", |row, _| micros(row.broker_system_us_per_message)),
    ("client us/msg", |row, _| micros(row.client_us_per_message)),
    ("disk B/msg", |row, _| {
        row.disk_bytes_per_message.map(|bytes| format!("{bytes:.0}"))
    }),
    ("peak RSS MiB", |row, _| mebibytes(row.broker_peak_rss_bytes)),
    ("anon MiB", |row, _| mebibytes(row.broker_peak_anonymous_bytes)),
    ("before", |row, _| mebibytes(row.broker_anonymous_before_bytes)),
    ("after", |row, _| mebibytes(row.broker_anonymous_after_bytes)),
    ("faults", |row, _| {
        Some(if row.faults.is_none() {
            "ok".to_owned()
        } else {
            row.faults.to_string()
        })
    }),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::row::tests::{row, with_sessions};
    use crate::sessions::Step;

    #[test]
    fn columns_line_up() {
        let text = table(&[row(Some(300.0))]);
        let lens: Vec<usize> = text.lines().map(str::len).collect();
        assert_eq!(lens.len(), 2);
        assert_eq!(lens[0], lens[1]);
    }

    #[test]
    fn columns_without_figures_are_left_out() {
        assert!(!table(&[row(None)]).contains("disk"));
        assert!(!table(&[row(None)]).contains("x1"));
    }

    #[test]
    fn ratios_are_to_one_session_of_the_same_step_and_to_the_rule() {
        let rows = [
            with_sessions(Step::Ingest, Kept::Stored, 0, 1.0),
            with_sessions(Step::Ingest, Kept::Held, 1, 2.0),
            with_sessions(Step::Ingest, Kept::Held, 10, 3.0),
            with_sessions(Step::Drain, Kept::Held, 10, 9.0),
        ];
        let of = |row: usize, is_base| ratio(&rows[row], &rows, |row| row.broker_us_per_message, is_base);
        assert_eq!(of(0, one_session), None);
        assert_eq!(of(2, one_session).as_deref(), Some("1.50"));
        assert_eq!(of(2, by_rule).as_deref(), Some("3.00"));
        assert_eq!(of(3, one_session), None);
    }
}

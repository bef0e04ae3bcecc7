//! The table of figures: one line for each scenario, in Markdown.

use crate::label::Side;
use crate::row::{Row, us_per_delivery};

/// The row of a scenario and a program.
pub fn find<'a>(rows: &'a [Row], key: &str, side: Side) -> Option<&'a Row> {
    rows.iter().find(|row| {
        row.label
            .as_ref()
            .is_some_and(|label| label.key == key && label.side == side)
    })
}

/// All scenarios that have a short name, in the order in which they were run.
pub fn table(rows: &[Row]) -> String {
    let mut keys: Vec<&str> = Vec::new();
    for label in rows.iter().filter_map(|row| row.label.as_ref()) {
        if !keys.contains(&label.key.as_str()) {
            keys.push(&label.key);
        }
    }
    let lines = keys.iter().map(|key| line(rows, key));
    let mut cells = vec![HEAD.map(str::to_owned).to_vec()];
    cells.extend(lines);
    markdown(&cells)
}

/// Rows of cells, the first one the head, as a Markdown table that reads well as it stands.
pub fn markdown(lines: &[Vec<String>]) -> String {
    let columns = lines.first().map_or(0, Vec::len);
    let widths: Vec<usize> = (0..columns)
        .map(|column| lines.iter().map(|cells| cells[column].len()).max().unwrap_or(0))
        .collect();
    let mut text = String::new();
    for (index, cells) in lines.iter().enumerate() {
        for (column, (cell, width)) in cells.iter().zip(&widths).enumerate() {
            text.push_str(&match column {
                0 => format!("| {cell:<width$}"),
                _ => format!(" | {cell:>width$}"),
            });
        }
        text.push_str(" |\n");
        if index == 0 {
            for (column, width) in widths.iter().enumerate() {
                let end = if column == 0 { "-" } else { ":" };
                text.push_str(&format!("|{}{end}", "-".repeat(width + 1)));
            }
            text.push_str("|\n");
        }
    }
    text
}

fn line(rows: &[Row], key: &str) -> Vec<String> {
    let of = |side| find(rows, key, side);
    let own = of(Side::Rewindmq);
    let floor = of(Side::Relay).or(of(Side::File));
    let peer = of(Side::Mosquitto);
    let title = own.or(peer).or(floor).map_or(key, |row| &row.scenario);
    let cpu = |row: Option<&Row>| cell(row.map(us_per_delivery), 3);
    let rate = |row: Option<&Row>| cell(row.map(per_second), 0);
    let anonymous = |row: Option<&Row>| cell(row.map(mebibytes), 1);
    let p50 = |row: Option<&Row>| cell(row.and_then(|row| Some(row.latency?.p50_us)), 0);
    let p99 = |row: Option<&Row>| cell(row.and_then(|row| Some(row.latency?.p99_us)), 0);
    let each = |row: Option<&Row>| cell(row.and_then(|row| row.bytes_each), 0);
    vec![
        title.to_owned(),
        cpu(own),
        cpu(floor),
        cpu(peer),
        ratio(own, floor, us_per_delivery),
        ratio(peer, own, us_per_delivery),
        [own, floor, peer].map(rate).join(" / "),
        [own, floor, peer].map(anonymous).join(" / "),
        [own, floor, peer].map(p50).join(" / "),
        [own, floor, peer].map(p99).join(" / "),
        [own, floor, peer].map(each).join(" / "),
        faults(&[own, floor, peer]),
    ]
    .into_iter()
    .map(|cell| if cell == "- / - / -" { "-".to_owned() } else { cell })
    .collect()
}

/// Whose messages went wrong, and how: their figures are worth nothing.
fn faults(rows: &[Option<&Row>]) -> String {
    let faulty = rows.iter().flatten().filter(|row| !row.faults.is_none());
    let told: Vec<String> = faulty
        .map(|row| {
            let side = row.label.as_ref().map_or("?", |label| label.side.word());
            format!("{side}: {}", row.faults)
        })
        .collect();
    if told.is_empty() {
        "none".to_owned()
    } else {
        told.join("; ")
    }
}

fn ratio(row: Option<&Row>, base: Option<&Row>, figure: fn(&Row) -> f64) -> String {
    let (Some(row), Some(base)) = (row, base) else {
        return "-".to_owned();
    };
    let ratio = (figure(base) > 0.0).then(|| figure(row) / figure(base));
    cell(ratio, 2)
}

fn per_second(row: &Row) -> f64 {
    row.deliveries as f64 / row.seconds.max(f64::MIN_POSITIVE)
}

fn mebibytes(row: &Row) -> f64 {
    row.broker_peak_anonymous_bytes as f64 / f64::from(1 << 20)
}

fn cell(figure: Option<f64>, digits: usize) -> String {
    figure.map_or_else(|| "-".to_owned(), |figure| format!("{figure:.digits$}"))
}

const HEAD: [&str; 12] = [
    "scenario (CPU: broker's us per delivery)",
    "RewindMQ",
    "floor",
    "mosquitto",
    "x floor",
    "mosquitto x",
    "rate/s, each",
    "anon MiB, each",
    "p50 us, each",
    "p99 us, each",
    "B per thing, each",
    "faults",
];

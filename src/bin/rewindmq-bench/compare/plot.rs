//! Draws the broker's CPU time per delivery as bars on a logarithmic scale, from the JSON.

use std::fmt::Write as _;

use serde::Deserialize;

use crate::error::BenchError;
use crate::faults::Faults;
use crate::label::Side;

#[derive(Deserialize)]
struct History {
    rows: Vec<Figure>,
}

#[derive(Deserialize)]
struct Figure {
    scenario: String,
    key: Option<String>,
    side: Option<Side>,
    broker_us_per_delivery: f64,
    #[serde(flatten)]
    faults: Faults,
}

/// What stands together: a short name, its words, and a bar for each program.
type Group<'a> = (&'a str, &'a str, Vec<(Side, f64)>);

/// The plot of all scenarios that a broker and its peer or floor have gone through.
///
/// # Errors
/// If the JSON is not that of rows.
pub fn svg(json: &str) -> Result<String, BenchError> {
    let history: History = serde_json::from_str(json).map_err(|error| BenchError::Format {
        file: "the JSON".to_owned(),
        what: error.to_string(),
    })?;
    let mut groups: Vec<Group<'_>> = Vec::new();
    for row in &history.rows {
        let (Some(key), Some(side)) = (&row.key, row.side) else {
            continue;
        };
        if !row.faults.is_none() {
            continue;
        }
        let bar = (side, row.broker_us_per_delivery);
        match groups.iter_mut().find(|group| group.0 == key) {
            Some(group) => group.2.push(bar),
            None => groups.push((key, &row.scenario, vec![bar])),
        }
    }
    groups.retain(|group| group.2.len() > 1);
    Ok(draw(&groups))
}

fn draw(groups: &[Group<'_>]) -> String {
    let bars: usize = groups.iter().map(|group| group.2.len()).sum();
    let height = TOP + bars * BAR_HEIGHT + groups.len() * GAP + 10;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{height}\" font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n\
         <text x=\"10\" y=\"20\" font-size=\"14\">Broker's CPU time per delivery, microseconds (logarithmic; shorter is better)</text>\n"
    );
    for (index, side) in [Side::Rewindmq, Side::Relay, Side::File, Side::Mosquitto]
        .into_iter()
        .enumerate()
    {
        let x = 10 + index * 110;
        let (color, word) = (color(side), side.word());
        let _ = writeln!(
            svg,
            "<rect x=\"{x}\" y=\"30\" width=\"12\" height=\"12\" fill=\"{color}\"/>"
        );
        let _ = writeln!(svg, "<text x=\"{}\" y=\"41\">{word}</text>", x + 18);
    }
    let mut y = TOP;
    for (_, title, bars) in groups {
        let middle = y + bars.len() * BAR_HEIGHT / 2 + 4;
        let _ = writeln!(
            svg,
            "<text x=\"{}\" y=\"{middle}\" text-anchor=\"end\">{title}</text>",
            LEFT - 8
        );
        for (side, us) in bars {
            let width = bar_width(*us);
            let (color, text_x, text_y) = (color(*side), LEFT as f64 + width + 5.0, y + BAR_HEIGHT - 4);
            let bar_height = BAR_HEIGHT - 2;
            let _ = writeln!(
                svg,
                "<rect x=\"{LEFT}\" y=\"{y}\" width=\"{width:.1}\" height=\"{bar_height}\" fill=\"{color}\"/>"
            );
            let _ = writeln!(svg, "<text x=\"{text_x:.1}\" y=\"{text_y}\">{us:.2}</text>");
            y += BAR_HEIGHT;
        }
        y += GAP;
    }
    svg.push_str("</svg>\n");
    svg
}

/// From the least to the most microseconds that are drawn.
fn bar_width(us: f64) -> f64 {
    let part = (us.clamp(LEAST_US, MOST_US) / LEAST_US).ln() / (MOST_US / LEAST_US).ln();
    (part * (WIDTH - LEFT - 60) as f64).max(1.0)
}

fn color(side: Side) -> &'static str {
    match side {
        Side::Rewindmq => "#c0392b",
        Side::Mosquitto => "#7f8c8d",
        Side::Relay | Side::File => "#a9cce3",
    }
}

const WIDTH: usize = 900;
const LEFT: usize = 380;
const TOP: usize = 60;
const BAR_HEIGHT: usize = 15;
const GAP: usize = 8;
const LEAST_US: f64 = 0.01;
const MOST_US: f64 = 100.0;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::json;
    use crate::label::Label;
    use crate::row::Row;
    use crate::row::tests::row;

    #[test]
    fn longer_bars_are_more_time_and_single_rows_are_left_out() {
        assert!(bar_width(10.0) > bar_width(1.0));
        let labelled = |key: &str, side| Row {
            label: Some(Label {
                key: key.to_owned(),
                side,
            }),
            ..row(None)
        };
        let rows = [
            labelled("a", Side::Rewindmq),
            labelled("a", Side::Relay),
            labelled("b", Side::Rewindmq),
        ];
        let svg = svg(&json(&rows)).expect("well-formed");
        assert_eq!(svg.matches(">1.50</text>").count(), 2);
    }
}

//! The goals as ratios within one run, and whether they are met.

use super::sides::{find, markdown};
use crate::label::Side;
use crate::row::{Row, us_per_delivery};

/// One goal: a figure of the rows, and what it may be.
struct Goal {
    what: &'static str,
    figure: fn(&[Row]) -> Option<f64>,
    limit: Limit,
}

#[derive(Clone, Copy)]
enum Limit {
    AtMost(f64),
    AtLeast(f64),
}

impl Limit {
    fn holds(self, figure: f64) -> bool {
        match self {
            Self::AtMost(limit) => figure <= limit,
            Self::AtLeast(limit) => figure >= limit,
        }
    }

    fn text(self) -> String {
        match self {
            Self::AtMost(limit) => format!("<= {limit}"),
            Self::AtLeast(limit) => format!(">= {limit}"),
        }
    }
}

/// The goals whose rows are there, with their figures. A row in which a message went wrong has no figure.
pub fn table(rows: &[Row]) -> String {
    let rows: Vec<Row> = rows.iter().filter(|row| row.faults.is_none()).cloned().collect();
    let mut lines = vec![["goal", "limit", "figure", ""].map(str::to_owned).to_vec()];
    for goal in &GOALS {
        let Some(figure) = (goal.figure)(&rows).filter(|figure| figure.is_finite() && *figure > 0.0) else {
            continue;
        };
        let verdict = if goal.limit.holds(figure) { "met" } else { "NOT MET" };
        lines.push(vec![
            goal.what.to_owned(),
            goal.limit.text(),
            format!("{figure:.2}"),
            verdict.to_owned(),
        ]);
    }
    let missing = GOALS.len() + 1 - lines.len();
    format!(
        "{}\n{missing} of {} goals not measured\n",
        markdown(&lines),
        GOALS.len()
    )
}

fn own<'a>(rows: &'a [Row], key: &str) -> Option<&'a Row> {
    find(rows, key, Side::Rewindmq)
}

/// CPU time of one delivery, as part of that of another program in the same scenario.
fn to_side(rows: &[Row], key: &str, side: Side) -> Option<f64> {
    Some(us_per_delivery(own(rows, key)?) / us_per_delivery(find(rows, key, side)?))
}

/// The same as part of that of another scenario.
fn to_own(rows: &[Row], key: &str, base: &str) -> Option<f64> {
    Some(us_per_delivery(own(rows, key)?) / us_per_delivery(own(rows, base)?))
}

fn rate(row: &Row) -> f64 {
    row.messages_per_second
}

const fn at_most(what: &'static str, limit: f64, figure: fn(&[Row]) -> Option<f64>) -> Goal {
    Goal {
        what,
        figure,
        limit: Limit::AtMost(limit),
    }
}

const fn at_least(what: &'static str, limit: f64, figure: fn(&[Row]) -> Option<f64>) -> Goal {
    Goal {
        what,
        figure,
        limit: Limit::AtLeast(limit),
    }
}

const GOALS: [Goal; 19] = [
    at_most("ten pairs QoS 0, 64 B: CPU to the relay's", 4.0, |rows| {
        to_side(rows, "pairs-qos0-64", Side::Relay)
    }),
    at_least("ten pairs QoS 0, 64 B: mosquitto's CPU to it", 25.0, |rows| {
        Some(1.0 / to_side(rows, "pairs-qos0-64", Side::Mosquitto)?)
    }),
    at_most("QoS 1, 256 B, window 100: CPU to the relay's", 3.0, |rows| {
        to_side(rows, "pairs-qos1-v5", Side::Relay)
    }),
    at_least("QoS 1, 256 B, window 100: mosquitto's CPU to it", 35.0, |rows| {
        Some(1.0 / to_side(rows, "pairs-qos1-v5", Side::Mosquitto)?)
    }),
    at_most("one at a time, QoS 0: CPU to the relay's", 1.3, |rows| {
        to_side(rows, "one-qos0", Side::Relay)
    }),
    at_most("one at a time, QoS 1: CPU to the relay's", 1.3, |rows| {
        to_side(rows, "one-qos1", Side::Relay)
    }),
    at_most("fan-out to 1,000: CPU per delivery to the relay's", 1.6, |rows| {
        to_side(rows, "fan-out", Side::Relay)
    }),
    at_least("fan-out to 1,000: mosquitto's CPU to it", 25.0, |rows| {
        Some(1.0 / to_side(rows, "fan-out", Side::Mosquitto)?)
    }),
    at_most("groups of 4: CPU to that of pairs", 1.3, |rows| {
        to_own(rows, "groups", "pairs-qos0-64")
    }),
    at_most("100,000 subscriptions: CPU to that with 10", 2.0, |rows| {
        to_own(rows, "subscriptions-100k", "subscriptions-10")
    }),
    at_most("memory of one subscription, bytes", 250.0, |rows| {
        own(rows, "subscriptions-100k")?.bytes_each
    }),
    at_most("memory of an idle connection, bytes", 2_048.0, |rows| {
        own(rows, "idle")?.bytes_each
    }),
    at_most("memory of an idle TLS connection, bytes", 20_480.0, |rows| {
        own(rows, "tls-idle")?.bytes_each
    }),
    at_most("stored ingest: CPU to that of QoS 1 pairs", 2.5, |rows| {
        to_own(rows, "ingest", "pairs-qos1-v5")
    }),
    at_least("stored ingest: rate to that of a bare file", 0.25, |rows| {
        Some(rate(own(rows, "ingest")?) / rate(find(rows, "ingest", Side::File)?))
    }),
    at_least("replay: rate to that of live QoS 1", 0.7, |rows| {
        Some(rate(own(rows, "replay-qos1")?) / rate(own(rows, "pairs-qos1-v5")?))
    }),
    at_most(
        "stored ingest, 1,000 absent sessions: CPU to that with 0",
        1.2,
        |rows| to_own(rows, "absent-1000", "absent-0"),
    ),
    // Client and broker share the cores, so the second worker's worth is told by CPU time.
    at_least("two workers: twice the CPU of one to that of two", 1.7, |rows| {
        Some(2.0 / to_own(rows, "workers-2", "workers-1")?)
    }),
    at_most(
        "1,000 subscribers with 10 selectors: CPU to that without",
        1.3,
        |rows| to_own(rows, "selectors-ten", "selectors-none"),
    ),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::label::Label;
    use crate::row::tests::row;

    fn labelled(key: &str, side: Side, broker_us_per_message: f64) -> Row {
        let key = key.to_owned();
        Row {
            broker_us_per_message,
            label: Some(Label { key, side }),
            ..row(None)
        }
    }

    #[test]
    fn goals_are_judged_only_with_their_rows() {
        let own = labelled("one-qos0", Side::Rewindmq, 1.2);
        assert!(table(std::slice::from_ref(&own)).contains("19 of 19 goals not measured"));
        let met = table(&[own.clone(), labelled("one-qos0", Side::Relay, 1.0)]);
        assert!(met.contains("1.20 | met |"), "{met}");
        let not_met = table(&[own, labelled("one-qos0", Side::Relay, 0.9)]);
        assert!(not_met.contains("NOT MET"), "{not_met}");
    }

    #[test]
    fn a_row_with_a_lost_message_meets_no_goal() {
        let mut own = labelled("one-qos0", Side::Rewindmq, 1.0);
        own.faults.lost = 1;
        let text = table(&[own, labelled("one-qos0", Side::Relay, 1.0)]);
        assert!(text.contains("19 of 19 goals not measured"), "{text}");
    }
}

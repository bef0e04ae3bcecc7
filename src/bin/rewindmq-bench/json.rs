//! Rows of figures as JSON.

use crate::row::{Row, us_per_delivery};

/// All rows, and the version that they belong to.
pub fn json(rows: &[Row]) -> String {
    let objects: Vec<String> = rows.iter().map(object).collect();
    format!(
        "{{\n  \"version\": {:?},\n  \"rows\": [\n{}\n  ]\n}}\n",
        env!("CARGO_PKG_VERSION"),
        objects.join(",\n")
    )
}

/// Names and scenarios are plain ASCII without quotes, so Rust's way to write text is JSON's.
fn object(row: &Row) -> String {
    let sessions = row.sessions.as_ref();
    let faults = &row.faults;
    let members = [
        ("scenario", format!("{:?}", row.scenario)),
        ("key", or_null(row.label.as_ref(), |it| format!("{:?}", it.key))),
        (
            "side",
            or_null(row.label.as_ref(), |it| format!("{:?}", it.side.word())),
        ),
        ("step", or_null(sessions, |it| format!("{:?}", it.step.word()))),
        ("kept", or_null(sessions, |it| format!("{:?}", it.kept.word()))),
        ("absent_sessions", or_null(sessions, |it| it.absent.to_string())),
        ("messages", row.messages.to_string()),
        ("deliveries", row.deliveries.to_string()),
        ("seconds", format!("{:.3}", row.seconds)),
        ("messages_per_second", format!("{:.0}", row.messages_per_second)),
        ("broker_us_per_message", micros(row.broker_us_per_message)),
        ("broker_us_per_delivery", micros(us_per_delivery(row))),
        ("broker_user_us_per_message", micros(row.broker_user_us_per_message)),
        ("broker_system_us_per_message", micros(row.broker_system_us_per_message)),
        ("client_us_per_message", micros(row.client_us_per_message)),
        ("latency_p50_us", or_null(row.latency.as_ref(), |it| micros(it.p50_us))),
        ("latency_p90_us", or_null(row.latency.as_ref(), |it| micros(it.p90_us))),
        ("latency_p99_us", or_null(row.latency.as_ref(), |it| micros(it.p99_us))),
        (
            "latency_p999_us",
            or_null(row.latency.as_ref(), |it| micros(it.p999_us)),
        ),
        ("latency_max_us", or_null(row.latency.as_ref(), |it| micros(it.max_us))),
        (
            "bytes_each",
            or_null(row.bytes_each.as_ref(), |bytes| format!("{bytes:.1}")),
        ),
        (
            "disk_bytes_per_message",
            or_null(row.disk_bytes_per_message.as_ref(), |bytes| format!("{bytes:.1}")),
        ),
        ("broker_peak_rss_bytes", row.broker_peak_rss_bytes.to_string()),
        (
            "broker_peak_anonymous_bytes",
            row.broker_peak_anonymous_bytes.to_string(),
        ),
        (
            "broker_anonymous_before_bytes",
            row.broker_anonymous_before_bytes.to_string(),
        ),
        (
            "broker_anonymous_after_bytes",
            row.broker_anonymous_after_bytes.to_string(),
        ),
        ("lost", faults.lost.to_string()),
        ("duplicated", faults.duplicated.to_string()),
        ("out_of_order", faults.out_of_order.to_string()),
        ("altered", faults.altered.to_string()),
    ];
    let lines: Vec<String> = members
        .iter()
        .map(|(name, value)| format!("      \"{name}\": {value}"))
        .collect();
    format!("    {{\n{}\n    }}", lines.join(",\n"))
}

fn micros(us: f64) -> String {
    format!("{us:.3}")
}

fn or_null<T>(value: Option<&T>, text: impl FnOnce(&T) -> String) -> String {
    value.map_or_else(|| "null".to_owned(), text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::row::tests::{row, with_sessions};
    use crate::sessions::{Kept, Step};

    #[test]
    fn json_says_null_where_nothing_was_stored() {
        assert!(json(&[row(None)]).contains("\"disk_bytes_per_message\": null"));
    }

    #[test]
    fn json_tells_step_reason_and_number_of_sessions() {
        let text = json(&[with_sessions(Step::Drain, Kept::Held, 10, 4.0)]);
        for member in ["\"step\": \"drain\"", "\"kept\": \"held\"", "\"absent_sessions\": 10"] {
            assert!(text.contains(member), "{member} in {text}");
        }
        assert!(json(&[row(None)]).contains("\"step\": null"));
    }
}

//! The page of all metrics, and that the table in `metrics.md` says the same.

use std::collections::{BTreeMap, BTreeSet};

use super::*;

fn page() -> (Metrics, MetricsPage) {
    Metrics::new(Timestamp(1_500_000_000))
}

/// Lines that begin with `# TYPE` or `# HELP`, by the metric's name.
fn headers(text: &str, kind: &str) -> BTreeMap<String, String> {
    let lines = text.lines().filter_map(|line| line.strip_prefix(kind));
    lines
        .filter_map(|line| line.split_once(' '))
        .map(|(a, b)| (a.to_owned(), b.to_owned()))
        .collect()
}

/// The page of a broker with everything that a metric can be about.
fn full_page() -> String {
    let (metrics, page) = page();
    metrics.certificate_expiry("tls").set(1);
    page.render()
}

/// Each metric's labels with their values; those of a histogram's buckets are not among them.
fn labels(text: &str) -> BTreeMap<String, BTreeMap<String, BTreeSet<String>>> {
    let mut found: BTreeMap<String, BTreeMap<String, BTreeSet<String>>> = BTreeMap::new();
    for line in text.lines().filter(|line| !line.starts_with('#') && !line.is_empty()) {
        let (sample, _) = line.rsplit_once(' ').expect("a sample has a value");
        let (name, labels) = sample.split_once('{').unwrap_or((sample, "}"));
        let of = found.entry(name.to_owned()).or_default();
        let pairs = labels
            .trim_end_matches('}')
            .split("\",")
            .filter_map(|pair| pair.split_once("=\""));
        for (label, value) in pairs {
            let value = value.trim_end_matches('"').to_owned();
            of.entry(label.to_owned()).or_default().insert(value);
        }
    }
    found
}

/// The table of `metrics.md`, as the page has it.
fn table(text: &str) -> String {
    let (help, labels) = (headers(text, "# HELP "), labels(text));
    let mut table = "| name | type | labels | meaning |\n|---|---|---|---|\n".to_owned();
    for (name, kind) in headers(text, "# TYPE ") {
        let sample = if kind == "histogram" {
            format!("{name}_count")
        } else {
            name.clone()
        };
        let of = labels.get(&sample).unwrap_or_else(|| panic!("{name} has no sample"));
        let shown = of.iter().map(|(label, values)| match label.as_str() {
            "listener" => "`listener`: its name".to_owned(),
            "version" | "os" | "arch" | "profile" => format!("`{label}`"),
            _ => format!("`{label}`: {}", values.iter().cloned().collect::<Vec<_>>().join(", ")),
        });
        let shown = shown.collect::<Vec<_>>().join("; ");
        table += &format!("| `{name}` | {kind} | {shown} | {} |\n", help[&name]);
    }
    table
}

#[test]
fn the_table_in_metrics_md_is_what_the_page_says() {
    let wanted = table(&full_page());
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/src/metrics/metrics.md");
    let text = std::fs::read_to_string(path).expect("metrics.md is there");
    let from = text.find("| name |").expect("a table");
    let (before, table) = text.split_at(from);
    if std::env::var_os("REWINDMQ_WRITE_TABLES").is_some() {
        std::fs::write(path, format!("{before}{wanted}")).expect("metrics.md can be written");
    } else {
        assert_eq!(
            table, wanted,
            "REWINDMQ_WRITE_TABLES=1 cargo test --lib metrics:: writes the table anew"
        );
    }
}

#[test]
fn every_metric_has_help_and_a_type_and_is_there_from_the_start() {
    let text = full_page();
    let (help, types) = (headers(&text, "# HELP "), headers(&text, "# TYPE "));
    assert!(
        help.values().all(|help| help.ends_with('.') && !help.contains('|')),
        "{help:?}"
    );
    assert!(help.keys().eq(types.keys()), "{text}");
    assert!(types.len() > 60, "{types:?}");
}

#[test]
fn the_process_shows_itself_under_the_usual_names() {
    let text = full_page();
    let value = |name: &str| -> f64 {
        let mut lines = text
            .lines()
            .filter_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok());
        lines.next().unwrap_or_else(|| panic!("{name} is missing: {text}"))
    };
    let (resident, mapped) = (
        value("process_resident_memory_bytes"),
        value("process_virtual_memory_bytes"),
    );
    assert!(
        (1e6..1e12).contains(&resident) && mapped >= resident,
        "{resident} {mapped}"
    );
    let (open, most) = (value("process_open_fds"), value("process_max_fds"));
    assert!((3.0..=most).contains(&open), "{open} {most}");
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .expect("after 1970");
    assert!((1.5e9..=now.as_secs_f64() + 2.0).contains(&value("process_start_time_seconds")));
    assert!(value("process_cpu_seconds_total") >= 0.0 && value("process_threads") >= 1.0);
}

#[test]
fn names_tell_their_kind() {
    let (_metrics, page) = page();
    for (name, kind) in headers(&page.render(), "# TYPE ") {
        assert_eq!(name.ends_with("_total"), kind == "counter", "{name}");
    }
}

#[test]
fn what_is_counted_is_shown_with_its_label() {
    let (metrics, page) = page();
    metrics.messages_received.of(QoS::ExactlyOnce).increment(3);
    metrics.dropped.of(DropReason::QueueFull).increment(1);
    metrics.deliveries.of(DeliveryKind::Replay).increment(7);
    metrics.connections.set(5);
    metrics.store_commit_seconds.record(0.002);
    metrics.publish_to_deliver_seconds.of(DeliveryPath::Direct).record(0.1);
    let text = page.render();
    for line in [
        "rewindmq_messages_received_total{qos=\"2\"} 3",
        "rewindmq_messages_received_total{qos=\"0\"} 0",
        "rewindmq_dropped_total{reason=\"queue_full\"} 1",
        "rewindmq_deliveries_total{kind=\"replay\"} 7",
        "rewindmq_connections 5",
        "rewindmq_start_time_seconds 1.5",
        "rewindmq_store_commit_seconds_bucket{le=\"0.001\"} 0",
        "rewindmq_store_commit_seconds_bucket{le=\"0.0025\"} 1",
        "rewindmq_store_commit_seconds_count 1",
        "rewindmq_publish_to_deliver_seconds_count{path=\"direct\"} 1",
    ] {
        assert!(text.lines().any(|found| found == line), "{line}\n{text}");
    }
    let build = concat!("rewindmq_build_info{version=\"", env!("CARGO_PKG_VERSION"), "\",");
    assert!(
        text.lines()
            .any(|line| line.starts_with(build) && line.ends_with("} 1")),
        "{text}"
    );
}

#[test]
fn what_is_shown_reads_back() {
    let (metrics, page) = page();
    metrics.messages_received.of(QoS::AtMostOnce).increment(1);
    metrics.messages_received.of(QoS::ExactlyOnce).increment(3);
    metrics.dropped.of(DropReason::QueueFull).increment(2);
    metrics.sessions.of(SessionState::Connected).set(5);
    metrics.sessions.of(SessionState::Absent).set(2);
    metrics.channels.set(4);
    let readings = page.read();
    assert_eq!((readings.value("channels"), readings.value("channels_x")), (4.0, 0.0));
    assert_eq!(readings.sum("sessions"), 7.0);
    assert_eq!(readings.labelled("dropped_total", "reason", "queue_full"), 2.0);
    assert_eq!(
        (readings.sum("messages_received_total"), readings.sum("dropped")),
        (4.0, 0.0)
    );
}

#[test]
fn two_brokers_in_one_process_count_apart() {
    let ((first, _), (_second, page)) = (page(), page());
    first.wills_published.increment(1);
    assert!(page.render().contains("rewindmq_wills_published_total 0"));
}

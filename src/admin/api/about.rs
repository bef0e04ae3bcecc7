//! The broker itself: what it stands at, where it listens, how it is configured, what it logs.

use axum::extract::State;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Listing;
use crate::admin::answer::{Answer, Json, Problem};
use crate::admin::query::{JsonBody, Query};
use crate::admin::site::Site;
use crate::broker::manage::Overview;
use crate::config::{check_log_level, show_duration};
use crate::types::rfc3339;

#[derive(Serialize)]
struct About {
    version: &'static str,
    started: String,
    uptime_seconds: u64,
    #[serde(flatten)]
    overview: Overview,
    messages_received: u64,
    messages_sent: u64,
    dropped: u64,
    bytes_received: u64,
    bytes_sent: u64,
    store_used_bytes: u64,
}

#[derive(Serialize)]
struct ListenerView {
    address: String,
    protocol: &'static str,
    accepting: bool,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(in crate::admin) struct Level {
    level: String,
}

pub(super) async fn broker(State(site): State<Site>, query: Query) -> Answer {
    query.only(&[])?;
    let readings = site.page.read();
    let now = site.broker.clock().now();
    Ok(Json::ok(&About {
        version: env!("CARGO_PKG_VERSION"),
        started: rfc3339(site.started),
        uptime_seconds: now.since(site.started).as_secs(),
        overview: site.broker.overview(),
        messages_received: readings.sum("messages_received_total") as u64,
        messages_sent: readings.sum("messages_sent_total") as u64,
        dropped: readings.sum("dropped_total") as u64,
        bytes_received: readings.value("bytes_received_total") as u64,
        bytes_sent: readings.value("bytes_sent_total") as u64,
        store_used_bytes: readings.value("store_used_bytes") as u64,
    }))
}

pub(super) async fn listeners(State(site): State<Site>, query: Query) -> Answer {
    query.only(&[])?;
    let mqtt = site.vitals.listeners().iter().map(|listener| ListenerView {
        address: listener.address.to_string(),
        protocol: listener.protocol,
        accepting: !listener.task.is_finished(),
    });
    let http = ListenerView {
        address: site.address.to_string(),
        protocol: "http",
        accepting: true,
    };
    let items = mqtt.chain([http]).collect();
    Ok(Json::ok(&Listing { items, next: None }))
}

pub(super) async fn config(State(site): State<Site>, query: Query) -> Answer {
    query.only(&[])?;
    let config = serde_json::to_value(&**site.broker.config());
    let mut config =
        config.map_err(|fault| Problem::unavailable(format!("the configuration cannot be shown: {fault}")))?;
    for_people(&mut config);
    Ok(Json::ok(&config))
}

pub(super) async fn log_level(State(site): State<Site>, query: Query) -> Answer {
    query.only(&[])?;
    let log = site.log.as_ref().ok_or_else(no_log)?;
    Ok(Json::ok(&Level { level: log.level() }))
}

pub(super) async fn set_log_level(State(site): State<Site>, query: Query, JsonBody(body): JsonBody<Level>) -> Answer {
    query.only(&[])?;
    let log = site.log.as_ref().ok_or_else(no_log)?;
    let level = check_log_level(&body.level).map_err(|what| Problem::invalid(format!("level: {what}")))?;
    log.set_level(&level).map_err(Problem::conflict)?;
    tracing::info!(level, "an administrator changed the log level");
    Ok(Json::ok(&Level { level }))
}

fn no_log() -> Problem {
    Problem::not_found("this process has no log of the broker's: it is embedded in another program")
}

/// Durations as the configuration writes them; secrets are left out.
fn for_people(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            if let (2, Some(secs), Some(nanos)) = (fields.len(), number(fields, "secs"), number(fields, "nanos")) {
                let nanos = u32::try_from(nanos).unwrap_or_default();
                *value = show_duration(std::time::Duration::new(secs, nanos)).into();
                return;
            }
            for (name, field) in fields.iter_mut() {
                if is_secret(name) && !field.is_null() {
                    *field = "(not shown)".into();
                } else {
                    for_people(field);
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(for_people),
        _ => {}
    }
}

fn number(fields: &serde_json::Map<String, Value>, name: &str) -> Option<u64> {
    fields.get(name).and_then(Value::as_u64)
}

/// Files are named, what stands in them is not.
fn is_secret(name: &str) -> bool {
    let secret = ["secret", "password", "token", "key"];
    !name.ends_with("_file") && secret.iter().any(|word| name.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_not_shown_and_durations_read_well() {
        let mut value = serde_json::json!({
            "age": {"secs": 5400, "nanos": 0}, "jwt_secret": "x", "token_file": "/t", "list": [{"secs": 0, "nanos": 1000000}],
        });
        for_people(&mut value);
        let expected =
            serde_json::json!({"age": "90m", "jwt_secret": "(not shown)", "token_file": "/t", "list": ["1ms"]});
        assert_eq!(value, expected);
    }
}

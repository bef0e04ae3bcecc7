//! Every metric named, described and registered in one place. Knows neither who counts nor who reads.
//!
#![doc = include_str!("metrics.md")]
//!
//! Handles are made once and cost an atomic operation each; nothing is looked up by name while the broker runs. The
//! recorder is never installed for the process, so that several brokers can live in one.

mod labels;
mod page;
mod process;
mod readings;

use std::sync::Arc;

use metrics::{Counter, Gauge, Histogram};

pub use labels::{
    Backend, CursorKind, DeliveryKind, DeliveryPath, DropReason, Family, Label, Limit, RefusalReason, SessionState,
    StoreFault, Unauthorized,
};
pub use page::MetricsPage;
pub use readings::Readings;

use crate::types::{QoS, Timestamp};
use page::Registrar;

/// A handle of every metric.
#[derive(Clone)]
pub struct Metrics {
    /// Times that the configuration was read again and took effect.
    pub reloads: Counter,
    /// Times that it was read again and was faulty.
    pub reloads_failed: Counter,
    /// Clients connected now.
    pub connections: Gauge,
    /// Connections that were accepted by a CONNACK.
    pub connections_total: Counter,
    /// Connections that were closed before they were accepted.
    pub connections_refused: Family<RefusalReason>,
    /// Clients that proved who they are, by what.
    pub authentications: Family<Backend>,
    /// Clients that did not, by what they tried.
    pub authentications_refused: Family<Backend>,
    /// Clients refused because too many waited for their authentication.
    pub authentications_busy: Counter,
    /// Requests to the HTTP service that brought no answer.
    pub authentication_failures: Counter,
    /// Clients whose password waits to be checked.
    pub authentication_queue: Gauge,
    /// Seconds from CONNECT to the verdict on its password.
    pub authentication_seconds: Histogram,
    /// Sessions, of connected and of absent clients.
    pub sessions: Family<SessionState, Gauge>,
    /// Sessions that ended because nobody came back in time.
    pub sessions_expired: Counter,
    /// Subscriptions of all sessions.
    pub subscriptions: Gauge,
    /// Control packets received.
    pub packets_received: Counter,
    /// Control packets sent.
    pub packets_sent: Counter,
    /// Bytes read from connections.
    pub bytes_received: Counter,
    /// Bytes written to connections.
    pub bytes_sent: Counter,
    /// PUBLISH packets received, by QoS.
    pub messages_received: Family<QoS>,
    /// Payload bytes of the PUBLISH packets received.
    pub message_bytes_received: Family<QoS>,
    /// PUBLISH packets sent, by QoS.
    pub messages_sent: Family<QoS>,
    /// Payload bytes of the PUBLISH packets sent.
    pub message_bytes_sent: Family<QoS>,
    /// Messages given to sessions.
    pub deliveries: Family<DeliveryKind>,
    /// Messages that somebody did not get.
    pub dropped: Family<DropReason>,
    /// What clients were not allowed to do.
    pub unauthorized: Family<Unauthorized>,
    /// Times that a limit refused something, or held a client back.
    pub limited: Family<Limit>,
    /// Messages sent again, under the same packet identifier or a new one.
    pub redeliveries: Counter,
    /// Connections closed for a malformed packet or a protocol error.
    pub protocol_errors: Counter,
    /// Will messages published.
    pub wills_published: Counter,
    /// Retained messages.
    pub retained_messages: Gauge,
    /// Channels of the event store.
    pub channels: Gauge,
    /// Cursors on the event store.
    pub cursors: Gauge,
    /// Records committed to the event store.
    pub store_records: Counter,
    /// Bytes of the records committed to the event store.
    pub store_bytes: Counter,
    /// Bytes of the store that are in use.
    pub store_used_bytes: Gauge,
    /// Bytes in use beyond which no event is stored.
    pub store_limit_bytes: Gauge,
    /// Bytes of the store's file.
    pub store_file_bytes: Gauge,
    /// Bytes that the file may still grow by on its disk.
    pub store_disk_free_bytes: Gauge,
    /// Bytes that wait to be committed and handed out.
    pub store_queue_bytes: Gauge,
    /// Bytes beyond which publishers wait.
    pub store_queue_limit_bytes: Gauge,
    /// Whether the store takes writes at all.
    pub store_writable: Gauge,
    /// Whether events are refused because there is no room.
    pub store_full: Gauge,
    /// Seconds that a commit took.
    pub store_commit_seconds: Histogram,
    /// Records in a commit.
    pub store_batch_records: Histogram,
    /// Batches that the store did not take, or not all of.
    pub store_errors: Family<StoreFault>,
    /// Records removed by retention.
    pub store_trimmed_records: Counter,
    /// Held records removed because every durable session that wanted them has them.
    pub store_released_records: Counter,
    /// Events that retention removed before a cursor had passed them.
    pub retention_lost_events: Counter,
    /// Events that cursors have still to get, all together.
    pub lag_events: Family<CursorKind, Gauge>,
    /// Events that the cursor furthest behind has still to get.
    pub lag_max_events: Family<CursorKind, Gauge>,
    /// The age of the oldest event that a cursor has still to get.
    pub lag_max_seconds: Family<CursorKind, Gauge>,
    /// Cursors whose lag takes too long to find out.
    pub lag_unknown_cursors: Family<CursorKind, Gauge>,
    /// Seconds from a PUBLISH to its acknowledgement.
    pub publish_to_ack_seconds: Histogram,
    /// Seconds from a PUBLISH to the mailboxes of its subscribers.
    pub publish_to_deliver_seconds: Family<DeliveryPath, Histogram>,
    /// Times that a selector was asked about a message.
    pub selector_evaluated: Counter,
    /// Times that a message passed.
    pub selector_passed: Counter,
    /// Times that a message did not pass.
    pub selector_skipped: Counter,
    registrar: Arc<Registrar>,
}

impl Metrics {
    /// All metrics at zero, and the page they are read from. `started` is when the broker was started.
    pub fn new(started: Timestamp) -> (Self, MetricsPage) {
        let registrar = Arc::new(Registrar::new(&[
            (COMMIT_SECONDS, COMMIT_SECONDS_BUCKETS),
            (BATCH_RECORDS, BATCH_RECORDS_BUCKETS),
            (AUTHENTICATION_SECONDS, AUTHENTICATION_SECONDS_BUCKETS),
            (PUBLISH_TO_ACK_SECONDS, COMMIT_SECONDS_BUCKETS),
            (PUBLISH_TO_DELIVER_SECONDS, PUBLISH_TO_DELIVER_SECONDS_BUCKETS),
        ]));
        let to = &*registrar;
        to.labelled_gauge(
            "rewindmq_build_info",
            "1; the labels tell the broker's version and what it was built for.",
            BUILD,
        )
        .set(1);
        let start_time = to.gauge(
            "rewindmq_start_time_seconds",
            "When the broker was started, in Unix seconds.",
        );
        start_time.set(seconds(started));
        let metrics = Self {
            reloads: to.counter(
                "rewindmq_reloads_total",
                "Times that the configuration was read again and took effect.",
            ),
            reloads_failed: to.counter(
                "rewindmq_reloads_failed_total",
                "Times that the configuration was read again and was faulty, so that the one before stayed.",
            ),
            connections: to.gauge("rewindmq_connections", "Clients connected now."),
            connections_total: to.counter("rewindmq_connections_total", "Connections accepted by a CONNACK."),
            connections_refused: to.family(
                "rewindmq_connections_refused_total",
                "Connections closed before they were accepted, by reason.",
            ),
            authentications: to.family(
                "rewindmq_authentications_total",
                "Clients that proved who they are, by what.",
            ),
            authentications_refused: to.family(
                "rewindmq_authentications_refused_total",
                "Clients that did not prove who they are, by what they tried.",
            ),
            authentications_busy: to.counter(
                "rewindmq_authentications_busy_total",
                "Clients refused because as many as allowed waited for their authentication.",
            ),
            authentication_failures: to.counter(
                "rewindmq_authentication_failures_total",
                "Requests to the HTTP service for authentication that brought no answer.",
            ),
            authentication_queue: to.gauge(
                "rewindmq_authentication_queue",
                "Clients whose password waits to be checked.",
            ),
            authentication_seconds: to.histogram(
                AUTHENTICATION_SECONDS,
                "Seconds from CONNECT to the verdict on its password, the wait in the queue included.",
            ),
            sessions: to.gauges("rewindmq_sessions", "Sessions, of connected and of absent clients."),
            sessions_expired: to.counter(
                "rewindmq_sessions_expired_total",
                "Sessions that ended because their client did not come back in time.",
            ),
            subscriptions: to.gauge("rewindmq_subscriptions", "Subscriptions of all sessions."),
            packets_received: to.counter("rewindmq_packets_received_total", "MQTT packets received."),
            packets_sent: to.counter("rewindmq_packets_sent_total", "MQTT packets sent."),
            bytes_received: to.counter("rewindmq_bytes_received_total", "Bytes read from MQTT connections."),
            bytes_sent: to.counter("rewindmq_bytes_sent_total", "Bytes written to MQTT connections."),
            messages_received: to.family("rewindmq_messages_received_total", "PUBLISH packets received, by QoS."),
            message_bytes_received: to.family(
                "rewindmq_message_bytes_received_total",
                "Payload bytes of the PUBLISH packets received, by QoS.",
            ),
            messages_sent: to.family("rewindmq_messages_sent_total", "PUBLISH packets sent, by QoS."),
            message_bytes_sent: to.family(
                "rewindmq_message_bytes_sent_total",
                "Payload bytes of the PUBLISH packets sent, by QoS.",
            ),
            deliveries: to.family(
                "rewindmq_deliveries_total",
                "Messages given to sessions: live, from a replay, or retained ones at a subscription.",
            ),
            dropped: to.family(
                "rewindmq_dropped_total",
                "Messages that somebody did not get, by reason.",
            ),
            unauthorized: to.family(
                "rewindmq_unauthorized_total",
                "What clients wanted to do and were not allowed to, by action.",
            ),
            limited: to.family(
                "rewindmq_limited_total",
                "Times that a limit refused something or held a client back, by limit.",
            ),
            redeliveries: to.counter(
                "rewindmq_redeliveries_total",
                "Messages sent again because they had not been acknowledged.",
            ),
            protocol_errors: to.counter(
                "rewindmq_protocol_errors_total",
                "Connections closed for a malformed packet or a protocol error.",
            ),
            wills_published: to.counter("rewindmq_wills_published_total", "Will messages published."),
            retained_messages: to.gauge("rewindmq_retained_messages", "Retained messages."),
            channels: to.gauge("rewindmq_channels", "Channels of the event store."),
            cursors: to.gauge("rewindmq_cursors", "Cursors on the event store."),
            store_records: to.counter("rewindmq_store_records_total", "Records committed to the event store."),
            store_bytes: to.counter(
                "rewindmq_store_bytes_total",
                "Bytes of the records committed to the event store.",
            ),
            store_used_bytes: to.gauge("rewindmq_store_used_bytes", "Bytes of the event store that are in use."),
            store_limit_bytes: to.gauge(
                "rewindmq_store_limit_bytes",
                "Bytes in use beyond which no event is stored: store.max_bytes, or what the store can address.",
            ),
            store_file_bytes: to.gauge(
                "rewindmq_store_file_bytes",
                "Bytes of the event store's file, pages that are free in it included; 0 without a data folder.",
            ),
            store_disk_free_bytes: to.gauge(
                "rewindmq_store_disk_free_bytes",
                "Bytes that are free on the disk of the data folder; 0 without a data folder.",
            ),
            store_queue_bytes: to.gauge(
                "rewindmq_store_queue_bytes",
                "Bytes of commands that wait to be committed and handed out.",
            ),
            store_queue_limit_bytes: to.gauge(
                "rewindmq_store_queue_limit_bytes",
                "Bytes in that queue beyond which publishers are not read from.",
            ),
            store_writable: to.gauge(
                "rewindmq_store_writable",
                "1 as long as no write has failed; 0 from then on until a restart, and no event is stored.",
            ),
            store_full: to.gauge(
                "rewindmq_store_full",
                "1 while events are refused because there is no room, until one is stored again.",
            ),
            store_commit_seconds: to.histogram(COMMIT_SECONDS, "Seconds that a commit of the event store took."),
            store_batch_records: to.histogram(BATCH_RECORDS, "Records in a commit of the event store."),
            store_errors: to.family(
                "rewindmq_store_errors_total",
                "Batches of which the event store refused something, by reason.",
            ),
            store_trimmed_records: to.counter("rewindmq_store_trimmed_records_total", "Records removed by retention."),
            store_released_records: to.counter(
                "rewindmq_store_released_records_total",
                "Held records removed because every durable session that wanted them has them.",
            ),
            retention_lost_events: to.counter(
                "rewindmq_retention_lost_events_total",
                "Events that retention removed before a cursor had passed them.",
            ),
            lag_events: to.gauges(
                "rewindmq_lag_events",
                "Stored events that cursors have not acknowledged, all cursors of a kind together; looked at every 2 s, less often where that takes long.",
            ),
            lag_max_events: to.gauges(
                "rewindmq_lag_max_events",
                "Stored events that the cursor with most of them has not acknowledged.",
            ),
            lag_max_seconds: to.gauges(
                "rewindmq_lag_max_seconds",
                "Seconds since the oldest event was committed that some cursor has not acknowledged.",
            ),
            lag_unknown_cursors: to.gauges(
                "rewindmq_lag_unknown_cursors",
                "Cursors that are in none of these figures because counting takes too long.",
            ),
            publish_to_ack_seconds: to.histogram(
                PUBLISH_TO_ACK_SECONDS,
                "Seconds from reading a PUBLISH of QoS 1 or 2 that is kept to writing its PUBACK or PUBREC; of one message of each commit.",
            ),
            publish_to_deliver_seconds: to.histograms(
                PUBLISH_TO_DELIVER_SECONDS,
                "Seconds from reading a PUBLISH to handing it to the sessions that are subscribed; of one message of each commit, and of one in a millisecond and thread of those that nobody keeps.",
            ),
            selector_evaluated: to.counter(
                "rewindmq_selector_evaluated_total",
                "Times that a distinct selector was asked about a message.",
            ),
            selector_passed: to.counter(
                "rewindmq_selector_passed_total",
                "Times that a message passed a distinct selector.",
            ),
            selector_skipped: to.counter(
                "rewindmq_selector_skipped_total",
                "Times that a message did not pass a distinct selector.",
            ),
            registrar: registrar.clone(),
        };
        (metrics, registrar.page())
    }

    /// When the first certificate of a listener with TLS expires, Unix seconds.
    pub fn certificate_expiry(&self, listener: &str) -> Gauge {
        self.registrar.labelled_gauge(
            "rewindmq_tls_certificate_expiry_timestamp_seconds",
            "When the first certificate of a listener expires, in Unix seconds.",
            &[("listener", listener)],
        )
    }
}

/// Seconds with their fraction; a gauge holds an f64, exact to a microsecond here.
fn seconds(time: Timestamp) -> f64 {
    time.0 as f64 / 1e9
}

const BUILD: &[(&str, &str)] = &[
    ("version", env!("CARGO_PKG_VERSION")),
    ("os", std::env::consts::OS),
    ("arch", std::env::consts::ARCH),
    ("profile", if cfg!(debug_assertions) { "debug" } else { "release" }),
];
const COMMIT_SECONDS: &str = "rewindmq_store_commit_seconds";
const BATCH_RECORDS: &str = "rewindmq_store_batch_records";
const AUTHENTICATION_SECONDS: &str = "rewindmq_authentication_seconds";
const PUBLISH_TO_ACK_SECONDS: &str = "rewindmq_publish_to_ack_seconds";
const PUBLISH_TO_DELIVER_SECONDS: &str = "rewindmq_publish_to_deliver_seconds";
const PUBLISH_TO_DELIVER_SECONDS_BUCKETS: &[f64] = &[
    0.000_01, 0.000_025, 0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25,
    0.5, 1.0, 2.5, 10.0,
];
const AUTHENTICATION_SECONDS_BUCKETS: &[f64] = &[
    0.000_1, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
];
const COMMIT_SECONDS_BUCKETS: &[f64] = &[
    0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0,
];
const BATCH_RECORDS_BUCKETS: &[f64] = &[
    1.0, 2.0, 5.0, 10.0, 25.0, 50.0, 100.0, 250.0, 500.0, 1_000.0, 2_500.0, 5_000.0, 10_000.0, 50_000.0,
];

#[cfg(test)]
mod tests;

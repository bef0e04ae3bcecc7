//! `$SYS/broker/...`: what the broker tells about itself, with the names and forms that mosquitto's have. Counts nothing:
//! the values are the metrics'.

mod load;

use std::collections::HashMap;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use super::Broker;
use super::turn::Turn;
use crate::log::Publish;
use crate::metrics::Readings;
use crate::types::{Message, MessageParts, QoS, Timestamp};
use load::{Load, SPANS};

/// What was told last.
#[derive(Debug, Default)]
pub(super) struct Sys {
    started: Option<Timestamp>,
    last: Timestamp,
    /// The text that each topic stands at.
    told: HashMap<String, String>,
    loads: HashMap<&'static str, Load>,
    most_clients: f64,
}

impl Broker {
    /// Publishes what has changed of `$SYS/broker/...`, from the metrics as they stand at `now`.
    ///
    /// The messages are retained in memory only, and of QoS 0: nothing of them waits for anybody.
    pub fn publish_sys(&self, readings: &Readings, now: Timestamp) {
        let mut turn = Turn::default();
        let changed = {
            let mut sys = self.sys.lock().unwrap_or_else(PoisonError::into_inner);
            let values = sys.values(&self.counts(readings), now);
            sys.changed(values)
        };
        for (topic, text) in changed {
            let message = sys_message(&topic, &text, now);
            self.sys_retained.publish(&message);
            self.publish_now(&Publish::passing(message), None, None, &mut turn);
        }
        self.flush(&mut turn);
    }

    fn counts(&self, readings: &Readings) -> Counts {
        let (groups, members) = self.groups.count();
        let kept = readings.value("store_records_total")
            - readings.value("store_trimmed_records_total")
            - readings.value("store_released_records_total");
        let dropped = |reason| readings.labelled("dropped_total", "reason", reason);
        let refused = |reason| readings.labelled("connections_refused_total", "reason", reason);
        let sockets = readings.value("connections_total") + readings.sum("connections_refused_total");
        Counts {
            clients: readings.sum("sessions"),
            connected: readings.value("connections"),
            expired: readings.value("sessions_expired_total"),
            packets_received: readings.value("packets_received_total"),
            packets_sent: readings.value("packets_sent_total"),
            bytes_received: readings.value("bytes_received_total"),
            bytes_sent: readings.value("bytes_sent_total"),
            publish_received: readings.sum("messages_received_total"),
            publish_sent: readings.sum("messages_sent_total"),
            publish_dropped: dropped("queue_full") + dropped("slow_reader") + dropped("session_limit"),
            publish_bytes_received: readings.sum("message_bytes_received_total"),
            publish_bytes_sent: readings.sum("message_bytes_sent_total"),
            subscriptions: self.router.len().saturating_sub(groups) as f64,
            shared_subscriptions: members as f64,
            retained: self.retained.len() as f64,
            stored: (self.records_at_start as f64 + kept).max(0.0),
            stored_bytes: readings.value("store_used_bytes"),
            sockets,
            connects: sockets - refused("timeout") - refused("lost"),
        }
    }
}

/// What the broker stands at.
#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    clients: f64,
    connected: f64,
    expired: f64,
    packets_received: f64,
    packets_sent: f64,
    bytes_received: f64,
    bytes_sent: f64,
    publish_received: f64,
    publish_sent: f64,
    publish_dropped: f64,
    publish_bytes_received: f64,
    publish_bytes_sent: f64,
    subscriptions: f64,
    shared_subscriptions: f64,
    retained: f64,
    stored: f64,
    stored_bytes: f64,
    sockets: f64,
    connects: f64,
}

impl Counts {
    /// Whole numbers, by the topic below `$SYS/broker/`.
    fn totals(&self, most_clients: f64) -> [(&'static str, f64); 24] {
        let disconnected = (self.clients - self.connected).max(0.0);
        [
            ("clients/total", self.clients),
            ("clients/maximum", most_clients),
            ("clients/connected", self.connected),
            ("clients/active", self.connected),
            ("clients/disconnected", disconnected),
            ("clients/inactive", disconnected),
            ("clients/expired", self.expired),
            ("messages/received", self.packets_received),
            ("messages/sent", self.packets_sent),
            ("messages/stored", self.stored),
            ("store/messages/count", self.stored),
            ("store/messages/bytes", self.stored_bytes),
            ("publish/messages/received", self.publish_received),
            ("publish/messages/sent", self.publish_sent),
            ("publish/messages/dropped", self.publish_dropped),
            ("publish/bytes/received", self.publish_bytes_received),
            ("publish/bytes/sent", self.publish_bytes_sent),
            ("bytes/received", self.bytes_received),
            ("bytes/sent", self.bytes_sent),
            ("subscriptions/count", self.subscriptions),
            ("shared_subscriptions/count", self.shared_subscriptions),
            ("retained messages/count", self.retained),
            ("connections/socket/count", self.sockets),
            ("connections/accepted/count", self.connects),
        ]
    }

    /// What load averages are told of.
    fn loads(&self) -> [(&'static str, f64); 9] {
        [
            ("messages/received", self.packets_received),
            ("messages/sent", self.packets_sent),
            ("publish/received", self.publish_received),
            ("publish/sent", self.publish_sent),
            ("publish/dropped", self.publish_dropped),
            ("bytes/received", self.bytes_received),
            ("bytes/sent", self.bytes_sent),
            ("sockets", self.sockets),
            ("connections", self.connects),
        ]
    }
}

impl Sys {
    /// Every topic with its text.
    fn values(&mut self, counts: &Counts, now: Timestamp) -> Vec<(String, String)> {
        let started = *self.started.get_or_insert(now);
        let elapsed = match started == now {
            true => Duration::ZERO,
            false => now.since(self.last),
        };
        self.last = now;
        self.most_clients = self.most_clients.max(counts.clients);
        let version = concat!("rewindmq version ", env!("CARGO_PKG_VERSION"));
        let uptime = format!("{} seconds", now.since(started).as_secs());
        let texts = [("version", version.to_owned()), ("uptime", uptime)];
        let totals = counts
            .totals(self.most_clients)
            .map(|(name, value)| (name, format!("{value:.0}")));
        let mut values: Vec<(String, String)> = texts
            .into_iter()
            .chain(totals)
            .map(|(name, text)| (format!("$SYS/broker/{name}"), text))
            .collect();
        for (name, counter) in counts.loads() {
            let averages = self.loads.entry(name).or_default().take(counter, elapsed);
            for ((span, _), average) in SPANS.iter().zip(averages) {
                values.push((format!("$SYS/broker/load/{name}/{span}"), format!("{average:.2}")));
            }
        }
        values
    }

    /// Those that were not told like this before.
    fn changed(&mut self, mut values: Vec<(String, String)>) -> Vec<(String, String)> {
        values.retain(|(topic, text)| self.told.get(topic) != Some(text));
        self.told.extend(values.iter().cloned());
        values
    }
}

fn sys_message(topic: &str, text: &str, now: Timestamp) -> Arc<Message> {
    let parts = MessageParts {
        topic,
        properties: &[],
        payload: text.as_bytes(),
        qos: QoS::AtMostOnce,
        retain: true,
        expiry_secs: None,
        received: now,
    };
    Arc::new(Message::new(parts, None))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(secs: u64) -> Timestamp {
        Timestamp(1_000 + secs * 1_000_000_000)
    }

    fn told(sys: &mut Sys, counts: &Counts, now: Timestamp) -> HashMap<String, String> {
        let values = sys.values(counts, now);
        let changed = sys.changed(values).into_iter();
        changed
            .map(|(topic, text)| (topic.replace("$SYS/broker/", ""), text))
            .collect()
    }

    #[test]
    fn everything_is_told_once_and_then_what_changes() {
        let mut sys = Sys::default();
        let first = told(&mut sys, &Counts::default(), at(0));
        assert_eq!(
            first["version"],
            concat!("rewindmq version ", env!("CARGO_PKG_VERSION"))
        );
        assert_eq!(first["uptime"], "0 seconds");
        assert_eq!(first["clients/total"], "0");
        assert_eq!(first["load/sockets/15min"], "0.00");
        assert_eq!(first.len(), 2 + 24 + 27);
        let counts = Counts {
            clients: 5.0,
            connected: 3.0,
            publish_sent: 1_234_567_890_123.0,
            ..Counts::default()
        };
        let second = told(&mut sys, &counts, at(60));
        assert_eq!(second["uptime"], "60 seconds");
        assert_eq!((&*second["clients/total"], &*second["clients/maximum"]), ("5", "5"));
        assert_eq!(
            (&*second["clients/connected"], &*second["clients/disconnected"]),
            ("3", "2")
        );
        assert_eq!(second["publish/messages/sent"], "1234567890123");
        assert!(second.contains_key("load/publish/sent/1min"));
        assert!(!second.contains_key("version") && !second.contains_key("load/sockets/1min"));
        let third = told(
            &mut sys,
            &Counts {
                publish_sent: counts.publish_sent,
                ..Counts::default()
            },
            at(61),
        );
        assert_eq!(third["clients/total"], "0");
        assert!(!third.contains_key("clients/maximum"), "the most there ever were");
    }
}

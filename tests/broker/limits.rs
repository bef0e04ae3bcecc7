//! What configuration bounds, and what a client beyond the bound is told.

use std::sync::Arc;
use std::time::Duration;

use rewindmq::config::{Config, DuplicateClientId};
use rewindmq::store::MemoryStore;
use rewindmq::types::ReasonCode;

use super::client::{Client, filter, post, v3, v5};
use super::server::{Broker, config};

fn broker(change: impl FnOnce(&mut Config)) -> Broker {
    let mut config = config();
    change(&mut config);
    Broker::start_on(config, Arc::new(MemoryStore::new()))
}

/// The reason and the text for one filter with `replay` = `first`.
fn subscribe(client: &mut Client, text: &str) -> (ReasonCode, Option<String>) {
    let ack = client.try_subscribe(&[filter(text, 1)], &[("replay", "first")]);
    let ack = ack.expect("SUBACK comes");
    (ack.reasons[0], ack.reason_string)
}

#[test]
fn too_many_cursors_of_a_client_are_0x97_and_known_ones_still_work() {
    let broker = broker(|config| config.store.max_cursors_per_client = Some(2));
    let mut client = broker.connect(v5("client"));
    for known in ["s/a", "s/b"] {
        assert_eq!(subscribe(&mut client, known).0, ReasonCode::GrantedQoS1);
    }
    let (reason, why) = subscribe(&mut client, "s/c");
    assert_eq!(reason, ReasonCode::QuotaExceeded);
    assert!(why.is_some_and(|why| why.contains("max_cursors")));
    assert_eq!(subscribe(&mut client, "s/a").0, ReasonCode::GrantedQoS1);
    client.publish(&post("s/c", "not subscribed"));
    client.publish(&post("s/b", "subscribed"));
    assert_eq!(client.take_texts(1), ["subscribed"]);
    client.unsubscribe("s/b", &[]);
    assert_eq!(subscribe(&mut client, "s/c").0, ReasonCode::GrantedQoS1);
    assert_eq!(client.take_texts(1), ["not subscribed"]);
    let mut other = broker.connect(v5("other"));
    assert_eq!(subscribe(&mut other, "s/a").0, ReasonCode::GrantedQoS1);
}

#[test]
fn too_many_cursors_in_all_are_0x97_for_clients_and_groups() {
    let broker = broker(|config| config.store.max_cursors = Some(1));
    let mut first = broker.connect(v5("first"));
    assert_eq!(subscribe(&mut first, "$share/g/s/a").0, ReasonCode::GrantedQoS1);
    let mut second = broker.connect(v5("second"));
    assert_eq!(subscribe(&mut second, "$share/g/s/a").0, ReasonCode::GrantedQoS1);
    assert_eq!(subscribe(&mut second, "$share/h/s/a").0, ReasonCode::QuotaExceeded);
    assert_eq!(subscribe(&mut second, "s/a").0, ReasonCode::QuotaExceeded);
    assert_eq!(
        second.try_subscribe(&[filter("s/a", 0)], &[]).unwrap().reasons,
        [ReasonCode::Success]
    );
}

#[test]
fn too_many_subscriptions_are_0x97() {
    let broker = broker(|config| config.session.max_subscriptions = Some(1));
    let mut client = broker.connect(v5("client"));
    client.subscribe("a", 0, &[]);
    client.subscribe("a", 1, &[]);
    let ack = client.try_subscribe(&[filter("b", 0), filter("a", 0)], &[]).unwrap();
    assert_eq!(ack.reasons, [ReasonCode::QuotaExceeded, ReasonCode::Success]);
}

#[test]
fn too_many_connections_are_0x97() {
    let broker = broker(|config| config.session.max_connections = Some(1));
    let first = broker.connect(v5("first"));
    let refused = Client::try_connect(broker.address, v5("second")).unwrap();
    assert_eq!(refused.connack.reason, ReasonCode::QuotaExceeded);
    first.disconnect();
    broker.connect(v5("second"));
}

#[test]
fn duplicate_client_identifier_is_refused_where_that_is_configured() {
    let broker = broker(|config| config.session.duplicate_client_id = DuplicateClientId::Reject);
    let mut first = broker.connect(v5("same"));
    let second = Client::try_connect(broker.address, v5("same")).unwrap();
    assert_eq!(second.connack.reason, ReasonCode::ClientIdentifierNotValid);
    first.ping();
    first.disconnect();
    broker.connect(v5("same"));
}

#[test]
fn older_connection_of_a_client_identifier_is_taken_over_by_default() {
    let broker = Broker::start();
    let mut first = broker.connect(v5("same"));
    let mut second = broker.connect(v5("same"));
    let goodbye = first.closed().expect("DISCONNECT");
    assert_eq!(goodbye.reason, ReasonCode::SessionTakenOver);
    let mut third = broker.connect(v3("same"));
    assert_eq!(
        second.closed().expect("DISCONNECT").reason,
        ReasonCode::SessionTakenOver
    );
    broker.connect(v5("same"));
    assert_eq!(third.closed(), None, "3.1.1 has no DISCONNECT of the server");
}

#[test]
fn store_on_request_can_be_forbidden_and_rules_still_hold() {
    let broker = broker(|config| config.store.allow_publisher_store = false);
    let mut subscriber = broker.connect(v5("subscriber"));
    subscriber.subscribe("#", 1, &[]);
    let mut publisher = broker.connect(v5("publisher"));
    let asked = super::client::Post {
        user: &[("store", "true")],
        ..post("u/a", "refused")
    };
    let ack = publisher.publish(&asked);
    assert!(ack.reason.is_error() && ack.reason_string.is_some(), "{ack:?}");
    let ack = publisher.publish(&super::client::Post {
        topic: "s/a",
        payload: b"kept",
        ..asked
    });
    assert_eq!(ack.reason, ReasonCode::Success);
    assert_eq!(subscriber.take_texts(1), ["kept"]);
    subscriber.assert_quiet();
}

#[test]
fn retention_wins_over_cursors_and_what_was_lost_is_counted() {
    let broker = broker(|config| {
        config.store.retention_interval = Duration::from_millis(10);
        config.store.rules[0].retention.max_count = Some(3);
    });
    let mut reader = broker.connect(v5("reader"));
    reader.subscribe("s/#", 1, &[("replay", "first")]);
    reader.disconnect();
    let mut publisher = broker.connect(v5("publisher"));
    for number in 1..=10 {
        publisher.publish(&post("s/a", &number.to_string()));
    }
    broker.await_metric("rewindmq_store_trimmed_records_total", |trimmed| trimmed >= 7.0);
    let mut reader = broker.connect(v5("reader"));
    reader.subscribe("s/#", 1, &[("replay", "first")]);
    let got: Vec<_> = (0..3)
        .map(|_| reader.take())
        .map(|message| message.sequence())
        .collect();
    assert_eq!(got, [8, 9, 10]);
    reader.assert_quiet();
    broker.await_metric("rewindmq_retention_lost_events_total", |lost| lost >= 7.0);
    assert_eq!(publisher.publish(&post("s/a", "11")).user_properties[0].1, "11");
}

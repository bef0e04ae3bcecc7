//! Wills and the event store, and what clients are told when the broker stops.

use rewindmq::codec::{Connect, Will};
use rewindmq::store::Fault;
use rewindmq::types::{QoS, ReasonCode, Version};

use super::client::{Client, v3, v5};
use super::server::{Broker, config, failing_store};

fn with_will(connect: Connect, topic: &str, store: Option<&str>) -> Connect {
    let mut properties = bytes::BytesMut::new();
    if let Some(value) = store {
        rewindmq::codec::encode_user_property("store", value, &mut properties);
    }
    let will = Will {
        topic: topic.into(),
        payload: b"gone".to_vec(),
        qos: QoS::AtLeastOnce,
        retain: false,
        delay_secs: 0,
        expiry_secs: None,
        properties: properties.to_vec(),
    };
    Connect {
        will: Some(will),
        ..connect
    }
}

fn subscriber(broker: &Broker, name: &str, start: &str) -> Client {
    let mut client = broker.connect(v5(name));
    client.subscribe("#", 1, &[("replay", start)]);
    client
}

#[test]
fn will_is_stored_by_rule_by_property_and_by_prefix() {
    for (version, asked, stored_as, property) in [
        (Version::V5, "s/a", "s/a", None),
        (Version::V5, "u/a", "u/a", Some("true")),
        (Version::V3, "$store/u/a", "u/a", None),
    ] {
        let broker = Broker::start();
        let mut present = subscriber(&broker, "present", "new");
        let connect = if version == Version::V5 {
            v5("client")
        } else {
            v3("client")
        };
        broker.connect(with_will(connect, asked, property)).cut();
        for client in [&mut present, &mut subscriber(&broker, "late", "first")] {
            let will = client.take();
            assert_eq!(
                (will.topic.as_str(), will.text(), will.sequence()),
                (stored_as, "gone", 1)
            );
        }
    }
}

#[test]
fn will_that_the_store_refuses_is_delivered_to_nobody() {
    let store = failing_store();
    let broker = Broker::start_on(config(), store.clone());
    let mut present = subscriber(&broker, "present", "new");
    let client = broker.connect(with_will(v5("client"), "s/a", None));
    store.fail_from(1, Fault::Full);
    client.cut();
    let name = "rewindmq_dropped_total{reason=\"store_refused\"}";
    broker.await_metric(name, |dropped| dropped > 0.5);
    present.assert_quiet();
}

#[test]
fn clients_are_told_that_the_broker_stops() {
    let broker = Broker::start();
    let (mut new, mut old) = (broker.connect(v5("new")), broker.connect(v3("old")));
    broker.stop();
    assert_eq!(new.closed().expect("DISCONNECT").reason, ReasonCode::ServerShuttingDown);
    assert_eq!(old.closed(), None);
}

//! Durable sessions in a broker whose store is in hand.

use std::sync::Arc;
use std::time::Instant;

use rewindmq::codec::{Packet, Subscribe, SubscribeFilter};
use rewindmq::store::MemoryStore;
use rewindmq::types::PacketId;

use super::client::{DEADLINE, filter, lasting, packet, post};
use super::server::{Broker, config, failing_store};

/// Held records that are gone because nobody needs them.
const RELEASED: &str = "rewindmq_store_released_records_total";
/// Records that were written.
const WRITTEN: &str = "rewindmq_store_records_total";

#[test]
fn acknowledged_messages_are_removed_from_the_log() {
    let broker = Broker::start();
    let mut subscriber = broker.connect(lasting("subscriber"));
    subscriber.subscribe("u/#", 1, &[]);
    let mut publisher = broker.connect(lasting("publisher"));
    for text in ["1", "2", "3"] {
        publisher.publish(&post("u/a", text));
    }
    assert_eq!(subscriber.take_texts(3), ["1", "2", "3"]);
    assert_eq!(broker.metric(WRITTEN), 3.0);
    broker.await_metric(RELEASED, |released| released == 3.0);
}

#[test]
fn own_messages_under_no_local_do_not_stay_in_the_log() {
    let broker = Broker::start();
    let mut client = broker.connect(lasting("client"));
    let no_local = SubscribeFilter {
        no_local: true,
        ..filter("u/#", 1)
    };
    client.try_subscribe(&[no_local], &[]).expect("it is granted");
    for text in ["1", "2", "3"] {
        client.publish(&post("u/a", text));
    }
    client.assert_quiet();
    broker.await_metric(RELEASED, |released| released == broker.metric(WRITTEN));
}

#[test]
fn message_of_several_absent_sessions_is_written_once_and_stays_for_the_last() {
    let store = Arc::new(MemoryStore::new());
    let broker = Broker::start_on(config(), store.clone());
    for name in ["a", "b", "c"] {
        let mut client = broker.connect(lasting(name));
        client.subscribe("u/+", 1, &[]);
        client.disconnect();
    }
    broker.connect(lasting("publisher")).publish(&post("u/a", "once"));
    assert_eq!(broker.metric(WRITTEN), 1.0);
    for name in ["a", "b"] {
        let mut client = broker.connect(lasting(name));
        assert_eq!(client.take_texts(1), ["once"]);
        client.assert_quiet();
        client.disconnect();
    }
    broker.stop();
    let broker = Broker::start_on(config(), store);
    let mut last = broker.connect(lasting("c"));
    assert_eq!(last.take_texts(1), ["once"]);
    broker.await_metric(RELEASED, |released| released == 1.0);
}

#[test]
fn suback_of_a_durable_session_waits_for_its_row() {
    let store = failing_store();
    let broker = Broker::start_on(config(), store.clone());
    let mut client = broker.connect(lasting("client"));
    store.block();
    let subscribe = Packet::Subscribe(Subscribe {
        packet_id: PacketId::MIN,
        subscription_id: None,
        user_properties: Vec::new(),
        filters: vec![filter("u/#", 1)],
    });
    client.send(&subscribe);
    store.wait_blocked();
    client.assert_quiet();
    store.release();
    let answer = client.try_receive(Instant::now() + DEADLINE).expect("SUBACK comes");
    assert!(matches!(packet(&answer), Some(Packet::SubAck(_))), "{answer:?}");
}

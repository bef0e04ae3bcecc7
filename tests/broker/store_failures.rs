//! A store that fails, is full, or takes its time: what the publisher is told, and that nobody gets what is not stored.

use std::sync::Arc;

use rewindmq::store::{FailingStore, Fault};
use rewindmq::types::ReasonCode;

use super::client::{Client, Post, lasting, packet, post, v3, v5};
use super::server::{Broker, config, failing_store};

struct Scene {
    broker: Broker,
    store: Arc<FailingStore>,
    publisher: Client,
}

impl Scene {
    fn new() -> Self {
        let store = failing_store();
        let broker = Broker::start_on(config(), store.clone());
        let publisher = broker.connect(v5("publisher"));
        Self {
            broker,
            store,
            publisher,
        }
    }

    /// Subscribers of every kind to `s/#` and `u/#`.
    fn audience(&self) -> Vec<Client> {
        /// Client, prefix of the filter, user properties.
        type Kind = (&'static str, &'static str, &'static [(&'static str, &'static str)]);
        let kinds: [Kind; 5] = [
            ("live", "", &[]),
            ("replay", "", &[("replay", "first")]),
            ("new", "", &[("replay", "new")]),
            ("share", "$share/live/", &[]),
            ("group", "$share/group/", &[("replay", "first")]),
        ];
        let subscribed = kinds.map(|(name, prefix, user)| {
            let mut client = self.broker.connect(v5(name));
            for filter in ["s/#", "u/#"] {
                client.subscribe(&format!("{prefix}{filter}"), 1, user);
            }
            client
        });
        subscribed.into()
    }

    fn refused(&mut self, post: &Post<'_>, reason: ReasonCode) {
        let ack = self.publisher.publish(post);
        assert_eq!(ack.reason, reason, "{ack:?}");
        assert!(ack.reason_string.is_some_and(|why| why.contains("store")));
        assert!(ack.user_properties.is_empty());
    }

    fn accepted(&mut self, post: &Post<'_>, sequence: &str) {
        let ack = self.publisher.publish(post);
        assert_eq!(ack.reason, ReasonCode::Success, "{ack:?}");
        assert_eq!(ack.user_properties, [("es-seq".to_owned(), sequence.to_owned())]);
    }
}

fn qos2<'a>(topic: &'a str, payload: &'a str) -> Post<'a> {
    Post {
        qos: 2,
        ..post(topic, payload)
    }
}

fn qos0<'a>(topic: &'a str, payload: &'a str) -> Post<'a> {
    Post {
        qos: 0,
        ..post(topic, payload)
    }
}

fn assert_all_get(audience: &mut [Client], expected: &[&str]) {
    for client in audience {
        assert_eq!(client.take_texts(expected.len()), expected);
        client.assert_quiet();
    }
}

#[test]
fn full_store_refuses_with_0x97_and_goes_on_when_there_is_room() {
    let mut scene = Scene::new();
    let mut audience = scene.audience();
    for (n, refused) in [post("s/a", "one"), qos2("s/a", "two")].iter().enumerate() {
        scene.store.fail_write(1, Fault::Full);
        scene.refused(refused, ReasonCode::QuotaExceeded);
        scene.accepted(&post("s/a", "kept"), &(n + 1).to_string());
    }
    assert_all_get(&mut audience, &["kept", "kept"]);
}

#[test]
fn store_that_stays_full_lets_everything_else_go_on() {
    let mut scene = Scene::new();
    let mut audience = scene.audience();
    scene.store.fail_from(1, Fault::Full);
    for _ in 0..3 {
        scene.refused(&post("s/a", "lost"), ReasonCode::QuotaExceeded);
        scene.publisher.publish(&post("u/a", "passed"));
    }
    assert_all_get(&mut audience, &["passed"; 3]);
}

#[test]
fn input_output_error_is_0x83_and_everything_stored_after_it_is_refused_as_well() {
    let mut scene = Scene::new();
    let mut audience = scene.audience();
    scene.accepted(&post("s/a", "kept"), "1");
    scene.store.fail_write(1, Fault::Io);
    for refused in [post("s/a", "one"), qos2("s/b", "two"), post("s/a", "three")] {
        scene.refused(&refused, ReasonCode::ImplementationSpecificError);
    }
    scene.publisher.publish(&post("u/a", "passed"));
    assert_all_get(&mut audience, &["kept", "passed"]);
}

#[test]
fn refused_qos0_is_delivered_to_nobody_and_what_follows_is() {
    let mut scene = Scene::new();
    let mut audience = scene.audience();
    scene.store.fail_from(1, Fault::Full);
    scene.publisher.post(&qos0("s/a", "lost"));
    scene.publisher.post(&qos0("u/a", "passed"));
    assert_all_get(&mut audience, &["passed"]);
    let dropped = scene.broker.metric("rewindmq_dropped_total{reason=\"store_refused\"}");
    assert!((dropped - 1.0).abs() < f64::EPSILON, "{dropped}");
}

#[test]
fn refused_event_is_not_retained_and_clears_nothing() {
    let mut scene = Scene::new();
    let retained = |payload| Post {
        retain: true,
        ..post("s/a", payload)
    };
    scene.accepted(&retained("old"), "1");
    scene.store.fail_from(1, Fault::Full);
    scene.refused(&retained("new"), ReasonCode::QuotaExceeded);
    scene.refused(&retained(""), ReasonCode::QuotaExceeded);
    let mut late = scene.broker.connect(v5("late"));
    late.subscribe("s/#", 1, &[]);
    assert_eq!(late.take_texts(1), ["old"]);
    late.assert_quiet();
}

#[test]
fn refused_publish_closes_a_3_1_1_connection_without_puback() {
    for qos in [1, 2] {
        let scene = Scene::new();
        let mut subscriber = scene.broker.connect(v5("subscriber"));
        subscriber.subscribe("#", 1, &[]);
        let mut old = scene.broker.connect(v3("old"));
        scene.store.fail_from(1, Fault::Full);
        old.post(&Post {
            qos,
            ..post("s/a", "lost")
        });
        assert!(old.cut_off().is_empty(), "no PUBACK, no PUBREC");
        subscriber.assert_quiet();
    }
}

#[test]
fn stored_events_are_replayed_after_the_store_has_failed() {
    let mut scene = Scene::new();
    let mut reader = scene.broker.connect(v5("reader"));
    reader.subscribe("s/#", 1, &[("replay", "first")]);
    reader.disconnect();
    for payload in ["a", "b", "c"] {
        scene.publisher.publish(&post("s/a", payload));
    }
    scene.store.fail_write(1, Fault::Io);
    scene.refused(&post("s/a", "lost"), ReasonCode::ImplementationSpecificError);
    let mut reader = scene.broker.connect(v5("reader"));
    let ack = reader.subscribe("s/#", 1, &[("replay", "new")]);
    assert!(ack.user_properties.contains(&("es-start".into(), "resumed".into())));
    assert_eq!(reader.take_texts(3), ["a", "b", "c"]);
    reader.assert_quiet();
}

#[test]
fn cursor_that_cannot_be_saved_is_0x83_and_there_is_no_subscription() {
    for filter in ["u/#", "$share/g/u/#"] {
        let mut scene = Scene::new();
        let mut reader = scene.broker.connect(v5("reader"));
        scene.store.fail_write(1, Fault::Io);
        let wanted = [super::client::filter(filter, 1)];
        let ack = reader.try_subscribe(&wanted, &[("replay", "first")]).unwrap();
        assert_eq!(ack.reasons, [ReasonCode::ImplementationSpecificError]);
        assert!(ack.reason_string.is_some());
        scene.publisher.publish(&post("u/a", "not for the reader"));
        reader.assert_quiet();
    }
}

#[test]
fn nothing_is_acknowledged_or_delivered_before_the_commit() {
    for qos in [1, 2] {
        let mut scene = Scene::new();
        let mut audience = scene.audience();
        scene.store.block();
        let packet_id = scene.publisher.post(&Post {
            qos,
            ..post("s/a", "stored")
        });
        scene.store.wait_blocked();
        scene.publisher.assert_quiet();
        audience.iter_mut().for_each(Client::assert_quiet);
        let mut late = scene.broker.connect(v5("late"));
        late.subscribe("#", 1, &[]);
        late.assert_quiet();
        scene.store.release();
        let ack = scene.publisher.publish_ack(packet_id.unwrap());
        assert_eq!(ack.reason, ReasonCode::Success);
        assert_all_get(&mut audience, &["stored"]);
        assert_all_get(&mut [late], &["stored"]);
    }
}

#[test]
fn what_follows_a_stored_message_on_its_connection_waits_for_it() {
    let mut scene = Scene::new();
    let mut audience = scene.audience();
    let mut other = scene.broker.connect(v5("other"));
    scene.store.block();
    let first = scene.publisher.post(&post("s/a", "1")).unwrap();
    scene.publisher.post(&qos0("u/a", "2"));
    let third = scene.publisher.post(&post("u/b", "3")).unwrap();
    scene.publisher.post(&qos0("u/a", "4"));
    scene.store.wait_blocked();
    scene.publisher.assert_quiet();
    other.publish(&post("u/a", "of another client"));
    assert_all_get(&mut audience, &["of another client"]);
    scene.store.release();
    assert_eq!(first_two_acks(&mut scene.publisher), [first, third]);
    // The subscriptions to s/# and u/# are read one after the other where each has its own cursor.
    assert_all_get(&mut audience[..1], &["1", "2", "3", "4"]);
    for client in &mut audience[1..] {
        let mut texts = client.take_texts(4);
        texts.retain(|text| text != "1");
        assert_eq!(texts, ["2", "3", "4"]);
    }
}

fn first_two_acks(publisher: &mut Client) -> [rewindmq::types::PacketId; 2] {
    let deadline = std::time::Instant::now() + super::client::DEADLINE;
    [(); 2].map(|()| {
        let received = publisher.try_receive(deadline).expect("an acknowledgement");
        match packet(&received) {
            Some(rewindmq::codec::Packet::PubAck(ack)) => ack.packet_id,
            other => panic!("no PUBACK: {other:?}"),
        }
    })
}

#[test]
fn qos2_sent_again_while_its_commit_is_awaited_is_stored_once() {
    let mut scene = Scene::new();
    let mut subscriber = scene.broker.connect(v5("subscriber"));
    subscriber.subscribe("s/#", 2, &[("replay", "new")]);
    let mut sender = scene.broker.connect(lasting("sender"));
    scene.store.block();
    let message = qos2("s/a", "once");
    let packet_id = sender.post(&message);
    scene.store.wait_blocked();
    let again = Post { dup: true, ..message };
    sender.try_post_as(&again, packet_id).unwrap();
    sender.assert_quiet();
    sender.cut();
    let address = scene.broker.address;
    let sender = std::thread::spawn(move || Client::connect(address, lasting("sender")));
    scene.store.release();
    let mut sender = sender.join().expect("CONNACK comes when the session is on disk");
    assert!(sender.connack.session_present);
    sender.try_post_as(&again, packet_id).unwrap();
    let ack = sender.publish_ack(packet_id.unwrap());
    assert_eq!(ack.reason, ReasonCode::Success);
    assert_eq!(subscriber.take_texts(1), ["once"]);
    scene.accepted(&post("s/a", "next"), "2");
    assert_eq!(subscriber.take_texts(1), ["next"]);
}

#[test]
fn suback_of_a_replay_subscription_waits_for_its_cursor() {
    let mut scene = Scene::new();
    scene.publisher.publish(&post("s/a", "kept"));
    let mut reader = scene.broker.connect(v5("reader"));
    scene.store.block();
    let subscribe = rewindmq::codec::Packet::Subscribe(rewindmq::codec::Subscribe {
        packet_id: rewindmq::types::PacketId::MIN,
        subscription_id: None,
        user_properties: vec![("replay".into(), "first".into())],
        filters: vec![super::client::filter("s/#", 1)],
    });
    reader.send(&subscribe);
    scene.store.wait_blocked();
    reader.assert_quiet();
    scene.store.release();
    assert_eq!(reader.take_texts(1), ["kept"]);
}

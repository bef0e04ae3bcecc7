//! Selectors on every kind of subscription: what they skip is not sent, not held, takes no Receive Maximum, and cursors
//! move past it.

use std::sync::Arc;

use rewindmq::codec::{Connect, SubAck, SubscribeFilter};
use rewindmq::store::MemoryStore;
use rewindmq::types::ReasonCode;

use super::client::{Client, Post, filter, lasting, post, v3, v5};
use super::server::{Broker, config};

const EVALUATED: &str = "rewindmq_selector_evaluated_total";
const PASSED: &str = "rewindmq_selector_passed_total";
const SKIPPED: &str = "rewindmq_selector_skipped_total";
const RELEASED: &str = "rewindmq_store_released_records_total";
const WRITTEN: &str = "rewindmq_store_records_total";

const EVEN: &[(&str, &str)] = &[("selector", "kind = 'even'")];
const FIRST_EVEN: &[(&str, &str)] = &[("replay", "first"), ("selector", "kind = 'even'")];

/// Publishes these numbers; a user property says whether each is even or odd.
fn publish(broker: &Broker, topic: &str, numbers: std::ops::RangeInclusive<u64>) {
    let mut publisher = broker.connect(v5("publisher"));
    for number in numbers {
        let kind: &[(&str, &str)] = if number % 2 == 0 {
            &[("kind", "even")]
        } else {
            &[("kind", "odd")]
        };
        let text = number.to_string();
        let post = Post {
            user: kind,
            ..post(topic, &text)
        };
        assert!(!publisher.publish(&post).reason.is_error());
    }
}

fn subscribe(client: &mut Client, text: &str, user: &[(&str, &str)]) -> SubAck {
    client.try_subscribe(&[filter(text, 1)], user).expect("SUBACK comes")
}

fn assert_refused(ack: &SubAck, word: &str) {
    assert_eq!(ack.reasons, [ReasonCode::ImplementationSpecificError]);
    let why = ack.reason_string.as_deref().unwrap_or_default();
    assert!(why.contains(word), "{why}");
}

#[test]
fn a_plain_subscription_gets_only_what_passes() {
    let broker = Broker::start();
    let mut even = broker.connect(v5("even"));
    even.subscribe("u/#", 1, EVEN);
    let mut all = broker.connect(v5("all"));
    all.subscribe("u/#", 1, &[]);
    let mut old = broker.connect(v3("old"));
    old.subscribe("$select/kind%20=%20%27odd%27/u/#", 1, &[]);
    publish(&broker, "u/a", 1..=6);
    assert_eq!(even.take_texts(3), ["2", "4", "6"]);
    assert_eq!(all.take_texts(6), ["1", "2", "3", "4", "5", "6"]);
    assert_eq!(old.take_texts(3), ["1", "3", "5"]);
    for client in [&mut even, &mut all, &mut old] {
        client.assert_quiet();
    }
}

#[test]
fn a_selector_is_evaluated_once_per_message_however_many_have_it() {
    let broker = Broker::start();
    let mut clients: Vec<_> = (0..20).map(|n| broker.connect(v5(&format!("client-{n}")))).collect();
    for (n, client) in clients.iter_mut().enumerate() {
        let text = if n % 2 == 0 { "kind = 'even'" } else { "kind = 'odd'" };
        client.subscribe("u/#", 1, &[("selector", text)]);
    }
    publish(&broker, "u/a", 1..=10);
    for (n, client) in clients.iter_mut().enumerate() {
        let expected = (1..=10)
            .filter(|number| number % 2 == n % 2)
            .map(|number| number.to_string());
        assert_eq!(client.take_texts(5), expected.collect::<Vec<_>>());
    }
    let counted = [EVALUATED, PASSED, SKIPPED].map(|name| broker.metric(name));
    assert_eq!(counted, [20.0, 10.0, 10.0]);
}

#[test]
fn overlapping_subscriptions_give_one_copy_of_what_passes_any() {
    let broker = Broker::start();
    let mut client = broker.connect(v5("client"));
    let subscribe = |client: &mut Client, text: &str, user: &[(&str, &str)], id| {
        let ack = client
            .try_subscribe_as(&[filter(text, 1)], user, Some(id))
            .expect("SUBACK");
        assert_eq!(ack.reasons, [ReasonCode::GrantedQoS1]);
    };
    subscribe(&mut client, "u/#", EVEN, 1);
    subscribe(&mut client, "u/+", &[("selector", "kind IN ('even', 'odd')")], 2);
    subscribe(&mut client, "u/a", &[("selector", "kind = 'none'")], 3);
    publish(&broker, "u/a", 1..=2);
    let ids = |client: &mut Client| {
        let message = client.take();
        let mut ids: Vec<_> = rewindmq::codec::properties(&message.properties)
            .filter_map(|(_, value)| match value {
                rewindmq::codec::PropertyValue::Variable(id) => Some(id),
                _ => None,
            })
            .collect();
        ids.sort_unstable();
        ids
    };
    assert_eq!([ids(&mut client), ids(&mut client)], [vec![2], vec![1, 2]]);
    client.assert_quiet();
}

#[test]
fn a_fault_is_told_with_its_place_and_changes_nothing() {
    let broker = Broker::start();
    let mut client = broker.connect(v5("client"));
    client.subscribe("u/#", 1, EVEN);
    assert_refused(
        &subscribe(&mut client, "u/#", &[("selector", "kind == 'odd'")]),
        "at character 6",
    );
    assert_refused(&subscribe(&mut client, "u/#", &[("selector", " ")]), "empty");
    let first = [("replay", "first"), ("selector", "f(x) = 1")];
    assert_refused(&subscribe(&mut client, "s/#", &first), "no functions");
    let ack = client
        .try_subscribe(&[filter("$select/a%20==%201/u/b", 1)], &[])
        .expect("SUBACK");
    assert_refused(&ack, "at character 3");
    publish(&broker, "u/a", 1..=2);
    publish(&broker, "s/a", 1..=1);
    assert_eq!(client.take_texts(1), ["2"]);
    client.assert_quiet();
    assert_eq!(broker.metric("rewindmq_cursors"), 0.0);
}

#[test]
fn a_new_selector_replaces_the_old_one_on_every_kind_of_subscription() {
    let broker = Broker::start();
    for (name, path, user) in [
        ("plain", "s/#", &[][..]),
        ("replay", "s/#", &[("replay", "new")]),
        ("share", "$share/a/s/#", &[]),
        ("group", "$share/b/s/#", &[("replay", "new")]),
    ] {
        let mut client = broker.connect(v5(name));
        let with = |selector| [user, &[("selector", selector)]].concat();
        client.subscribe(path, 1, &with("kind = 'even'"));
        publish(&broker, "s/a", 1..=2);
        assert_eq!(client.take_texts(1), ["2"], "{name}");
        client.subscribe(path, 1, &with("kind = 'odd'"));
        publish(&broker, "s/a", 3..=4);
        assert_eq!(client.take_texts(1), ["3"], "{name}");
        client.subscribe(path, 1, user);
        publish(&broker, "s/a", 5..=6);
        assert_eq!(client.take_texts(2), ["5", "6"], "{name}");
        client.assert_quiet();
    }
}

#[test]
fn a_replay_reads_only_what_passes_and_goes_on_live() {
    let broker = Broker::start();
    publish(&broker, "s/a", 1..=2_000);
    let mut client = broker.connect(v5("client"));
    let ack = client.subscribe("s/#", 1, FIRST_EVEN);
    assert!(ack.user_properties.iter().all(|(name, _)| name != "es-pending"));
    for number in (2..=2_000).step_by(2) {
        assert_eq!(client.take().sequence(), number);
    }
    publish(&broker, "s/a", 2_001..=2_004);
    assert_eq!(client.take_texts(2), ["2002", "2004"]);
    client.assert_quiet();
}

#[test]
fn last_counts_what_passes() {
    let broker = Broker::start();
    publish(&broker, "s/a", 1..=11);
    publish(&broker, "s/b", 1..=1);
    let mut client = broker.connect(v5("client"));
    client.subscribe("s/#", 1, &[("replay", "last:3"), ("selector", "kind = 'even'")]);
    assert_eq!(client.take_texts(3), ["6", "8", "10"]);
    client.assert_quiet();
    let mut member = broker.connect(v5("member"));
    member.subscribe("$share/g/s/#", 1, &[("replay", "last"), ("selector", "kind = 'even'")]);
    assert_eq!(member.take_texts(1), ["10"]);
    member.assert_quiet();
}

#[test]
fn what_is_skipped_takes_no_receive_maximum() {
    let broker = Broker::start();
    let narrow = |name| Connect {
        receive_maximum: Some(1),
        ..v5(name)
    };
    let mut live = broker.connect(narrow("live"));
    live.subscribe("s/#", 1, EVEN);
    let mut replay = broker.connect(narrow("replay"));
    replay.subscribe("s/#", 1, FIRST_EVEN);
    publish(&broker, "s/a", 1..=4);
    for client in [&mut live, &mut replay] {
        let first = client.next();
        assert_eq!(first.text(), "2");
        client.assert_quiet();
        client.acknowledge(&first);
        assert_eq!(client.take_texts(1), ["4"]);
    }
}

/// Where the only cursor of a stopped broker stands.
fn floor(store: &MemoryStore) -> u64 {
    let mut floors = Vec::new();
    rewindmq::store::Store::read(store, &mut |snapshot| {
        snapshot.upwards(rewindmq::store::Table::Cursors, &[], &mut |_, value| {
            floors.push(
                rewindmq::store::CursorRecord::decode(rewindmq::types::CursorId(1), value)?
                    .floor
                    .0,
            );
            Ok(rewindmq::store::Visit::More)
        })
    })
    .expect("the store reads");
    assert_eq!(floors.len(), 1);
    floors[0]
}

#[test]
fn cursors_move_past_what_is_skipped_at_the_tail() {
    for (path, is_group) in [("s/#", false), ("$share/g/s/#", true)] {
        let store = Arc::new(MemoryStore::new());
        let mut config = config();
        config.store.cursor_flush = std::time::Duration::from_millis(10);
        let broker = Broker::start_on(config, store.clone());
        let mut client = broker.connect(v5("client"));
        client.subscribe(path, 1, FIRST_EVEN);
        publish(&broker, "s/a", 1..=2);
        assert_eq!(client.take_texts(1), ["2"]);
        publish(&broker, "s/a", 3..=3);
        publish(&broker, "s/a", 5..=5);
        let deadline = std::time::Instant::now() + super::client::DEADLINE;
        while floor(&store) < 4 {
            assert!(
                std::time::Instant::now() < deadline,
                "group {is_group}: {}",
                floor(&store)
            );
            client.assert_quiet();
        }
        publish(&broker, "s/a", 6..=6);
        assert_eq!(client.take_texts(1), ["6"]);
        client.assert_quiet();
    }
}

#[test]
fn the_cursor_is_the_same_with_another_selector() {
    let broker = Broker::start();
    publish(&broker, "s/a", 1..=4);
    let mut client = broker.connect(v5("client"));
    client.subscribe("s/#", 1, FIRST_EVEN);
    assert_eq!(client.take_texts(2), ["2", "4"]);
    client.disconnect();
    publish(&broker, "s/a", 5..=8);
    let mut client = broker.connect(v5("client"));
    let odd = [("replay", "first"), ("selector", "kind = 'odd'")];
    let ack = client.subscribe("s/#", 1, &odd);
    assert!(ack.user_properties.contains(&("es-start".into(), "resumed".into())));
    assert_eq!(client.take_texts(2), ["5", "7"]);
    client.assert_quiet();
}

#[test]
fn a_groups_selector_is_one_while_others_are_subscribed() {
    let broker = Broker::start();
    for (path, start) in [("$share/g/s/#", Some("new")), ("$share/h/u/#", None)] {
        let user = |selector: Option<&'static str>| {
            let start = start.map(|start| ("replay", start));
            let selector = selector.map(|selector| ("selector", selector));
            start.into_iter().chain(selector).collect::<Vec<_>>()
        };
        let even = user(Some("kind = 'even'"));
        let mut first = broker.connect(v5("first"));
        first.subscribe(path, 1, &even);
        let mut second = broker.connect(v5("second"));
        for other in [user(Some("kind = 'odd'")), user(None)] {
            assert_refused(&subscribe(&mut second, path, &other), "the group has another one");
        }
        second.subscribe(path, 1, &even);
        assert_refused(&subscribe(&mut first, path, &user(None)), "the group has another one");
        let topic = path.rsplit_once("/#").and_then(|(path, _)| path.rsplit_once('/'));
        let topic = format!("{}/a", topic.expect("a topic").1);
        publish(&broker, &topic, 1..=4);
        let mut got: Vec<_> = first.take_texts(1).into_iter().chain(second.take_texts(1)).collect();
        got.sort_unstable();
        assert_eq!(got, ["2", "4"]);
        first.assert_quiet();
        second.assert_quiet();
        first.unsubscribe(path, &[]);
        second.subscribe(path, 1, &user(Some("kind = 'odd'")));
        publish(&broker, &topic, 5..=6);
        assert_eq!(second.take_texts(1), ["5"]);
        second.assert_quiet();
        second.unsubscribe(path, &[]);
    }
}

#[test]
fn a_refused_change_to_another_kind_of_group_leaves_the_subscription() {
    let broker = Broker::start();
    let path = "$share/g/s/#";
    let mut live = broker.connect(v5("live"));
    live.subscribe(path, 1, EVEN);
    let mut replaying = broker.connect(v5("replaying"));
    let odd = [("replay", "new"), ("selector", "kind = 'odd'")];
    replaying.subscribe(path, 1, &odd);
    assert_refused(&subscribe(&mut live, path, &[("replay", "new")]), "another one");
    assert_refused(&subscribe(&mut replaying, path, &[]), "another one");
    publish(&broker, "s/a", 1..=2);
    assert_eq!(live.take_texts(1), ["2"]);
    assert_eq!(replaying.take_texts(1), ["1"]);
    live.assert_quiet();
    replaying.assert_quiet();
}

#[test]
fn what_no_selector_wants_is_not_held() {
    let store = Arc::new(MemoryStore::new());
    let broker = Broker::start_on(config(), store.clone());
    let mut client = broker.connect(lasting("client"));
    client.subscribe("u/#", 1, EVEN);
    let mut member = broker.connect(lasting("member"));
    member.subscribe("$share/g/u/#", 1, EVEN);
    publish(&broker, "u/a", 1..=2);
    client.disconnect();
    member.disconnect();
    publish(&broker, "u/a", 3..=6);
    assert_eq!(broker.metric(WRITTEN), 3.0);
    broker.stop();
    let broker = Broker::start_on(config(), store);
    publish(&broker, "u/a", 7..=8);
    for name in ["client", "member"] {
        let mut client = broker.connect(lasting(name));
        assert!(client.connack.session_present);
        assert_eq!(client.take_texts(4), ["2", "4", "6", "8"], "{name}");
        client.assert_quiet();
    }
    broker.await_metric(RELEASED, |released| released == 4.0);
}

#[test]
fn what_another_session_needs_goes_past_a_session_that_skips_it() {
    let broker = Broker::start();
    let mut even = broker.connect(lasting("even"));
    even.subscribe("u/#", 1, EVEN);
    let mut member = broker.connect(lasting("member"));
    member.subscribe("$share/g/u/#", 1, EVEN);
    let mut odd = broker.connect(lasting("odd"));
    odd.subscribe("u/#", 1, &[("selector", "kind = 'odd'")]);
    publish(&broker, "u/a", 1..=3);
    assert_eq!(even.take_texts(1), ["2"]);
    assert_eq!(member.take_texts(1), ["2"]);
    assert_eq!(odd.take_texts(2), ["1", "3"]);
    broker.await_metric(RELEASED, |released| released == 3.0);
    even.disconnect();
    publish(&broker, "u/a", 4..=7);
    assert_eq!(odd.take_texts(2), ["5", "7"]);
    let mut even = broker.connect(lasting("even"));
    assert_eq!(even.take_texts(2), ["4", "6"]);
    even.assert_quiet();
}

#[test]
fn a_held_message_is_evaluated_once_before_and_after_its_commit() {
    let broker = Broker::start();
    let mut client = broker.connect(lasting("client"));
    client.subscribe("u/#", 1, EVEN);
    publish(&broker, "u/a", 1..=10);
    assert_eq!(client.take_texts(5), ["2", "4", "6", "8", "10"]);
    let counted = [EVALUATED, PASSED, SKIPPED, WRITTEN].map(|name| broker.metric(name));
    assert_eq!(counted, [10.0, 5.0, 5.0, 5.0]);
}

#[test]
fn a_session_that_is_away_keeps_nothing_that_it_skips() {
    let store = Arc::new(MemoryStore::new());
    let mut config = config();
    config.store.cursor_flush = std::time::Duration::from_millis(10);
    let broker = Broker::start_on(config.clone(), store.clone());
    let mut away = broker.connect(lasting("away"));
    away.subscribe("u/#", 1, EVEN);
    away.disconnect();
    let mut odd = broker.connect(lasting("odd"));
    odd.subscribe("u/#", 1, &[("selector", "kind = 'odd'")]);
    for number in [1, 3, 5] {
        publish(&broker, "u/a", number..=number);
    }
    assert_eq!(odd.take_texts(3), ["1", "3", "5"]);
    broker.await_metric(RELEASED, |released| released == 3.0);
    publish(&broker, "u/a", 6..=9);
    assert_eq!(odd.take_texts(2), ["7", "9"]);
    odd.assert_quiet();
    broker.stop();
    let broker = Broker::start_on(config, store);
    let mut away = broker.connect(lasting("away"));
    assert_eq!(away.take_texts(2), ["6", "8"]);
    away.assert_quiet();
    broker.await_metric(RELEASED, |released| released == 4.0);
}

#[test]
fn every_kind_of_subscription_keeps_its_selector_over_a_restart() {
    let store = Arc::new(MemoryStore::new());
    let broker = Broker::start_on(config(), store.clone());
    let kinds = [
        ("plain", "s/#", &[][..]),
        ("replay", "s/#", &[("replay", "new")]),
        ("share", "$share/a/s/#", &[]),
        ("group", "$share/b/s/#", &[("replay", "new")]),
    ];
    for (name, path, user) in kinds {
        let mut client = broker.connect(lasting(name));
        client.subscribe(path, 1, &[user, EVEN].concat());
        client.disconnect();
    }
    publish(&broker, "s/a", 1..=2);
    broker.stop();
    let broker = Broker::start_on(config(), store);
    publish(&broker, "s/a", 3..=4);
    let mut expected = vec!["2", "4"];
    for (name, path, user) in kinds {
        let mut client = broker.connect(lasting(name));
        assert!(client.connack.session_present);
        assert_eq!(client.take_texts(expected.len()), expected, "{name}");
        publish(&broker, "s/a", 5..=6);
        expected.push("6");
        assert_eq!(client.take_texts(1), ["6"], "{name}");
        client.assert_quiet();
        if path.starts_with("$share") {
            let mut other = broker.connect(v5("other"));
            assert_refused(&subscribe(&mut other, path, user), "the group has another one");
        }
        client.unsubscribe(path, &[]);
    }
}

#[test]
fn a_member_that_makes_a_live_share_durable_keeps_the_selector() {
    let broker = Broker::start();
    let mut live = broker.connect(v5("live"));
    live.subscribe("$share/g/u/#", 1, EVEN);
    let mut durable = broker.connect(lasting("durable"));
    assert_refused(&subscribe(&mut durable, "$share/g/u/#", &[]), "another one");
    durable.subscribe("$share/g/u/#", 1, EVEN);
    durable.disconnect();
    live.assert_quiet();
    publish(&broker, "u/a", 1..=4);
    assert_eq!(live.take_texts(2), ["2", "4"]);
    live.assert_quiet();
}

#[test]
fn retained_messages_must_pass_too() {
    let broker = Broker::start();
    let mut publisher = broker.connect(v5("publisher"));
    for (topic, kind) in [("u/a", "even"), ("u/b", "odd")] {
        publisher.publish(&Post {
            retain: true,
            user: &[("kind", kind)],
            ..post(topic, kind)
        });
    }
    let mut client = broker.connect(v5("client"));
    client.subscribe("u/#", 1, &[("selector", "kind = 'even' AND retain")]);
    let message = client.take();
    assert!(message.retain && message.text() == "even");
    client.assert_quiet();
}

#[test]
fn payload_and_headers_are_asked() {
    let broker = Broker::start();
    let mut client = broker.connect(v5("client"));
    let selectors = [
        ("s/1", "payload.temp > 20"),
        ("s/2", "topic LIKE 's/_' AND qos = 1 AND JMSDeliveryMode = 'PERSISTENT'"),
        ("s/3", "JMSMessageID LIKE 'ID:s.3/%' AND NOT JMSRedelivered"),
        ("u/4", "JMSDeliveryMode = 'NON_PERSISTENT' AND JMSMessageID IS NULL"),
    ];
    for (path, selector) in selectors {
        client.subscribe(path, 1, &[("selector", selector)]);
    }
    let mut publisher = broker.connect(v5("publisher"));
    for payload in [r#"{"temp": 20}"#, "no JSON", r#"{"temp": 20.5}"#] {
        publisher.publish(&post("s/1", payload));
    }
    assert_eq!(client.take_texts(1), [r#"{"temp": 20.5}"#]);
    for topic in ["s/2", "s/3", "u/4"] {
        publisher.publish(&post(topic, topic));
        assert_eq!(client.take_texts(1), [topic]);
    }
    client.assert_quiet();
}

#[test]
fn redelivered_events_can_be_left_out() {
    let broker = Broker::start();
    publish(&broker, "s/a", 1..=2);
    let fresh = [("replay", "first"), ("selector", "NOT JMSRedelivered")];
    let mut client = broker.connect(v5("client"));
    client.subscribe("s/#", 1, &fresh);
    let first = client.next();
    assert_eq!((first.text(), client.next().text()), ("1", "2"));
    client.cut();
    publish(&broker, "s/a", 3..=3);
    let mut client = broker.connect(v5("client"));
    client.subscribe("s/#", 1, &fresh);
    assert_eq!(client.take_texts(1), ["3"]);
    client.assert_quiet();
}

#[test]
fn no_local_and_a_selector_hold_together() {
    let broker = Broker::start();
    let mut client = broker.connect(v5("client"));
    let no_local = SubscribeFilter {
        no_local: true,
        ..filter("u/#", 1)
    };
    client.try_subscribe(&[no_local], EVEN).expect("SUBACK");
    let own = Post {
        user: &[("kind", "even")],
        ..post("u/a", "own")
    };
    client.publish(&own);
    publish(&broker, "u/a", 1..=2);
    assert_eq!(client.take_texts(1), ["2"]);
    client.assert_quiet();
}

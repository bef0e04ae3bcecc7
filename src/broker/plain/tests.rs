//! Which messages of the log are whose, and as what they are delivered.

use super::*;
use crate::broker::subscription::Subscription;
use crate::broker::testing::{broker, filter, message, options};
use crate::log::ChannelKind;
use crate::session::SubscriptionKey;
use crate::types::{Sequence, Timestamp};

/// A plain subscription made when the log ended at `since`.
fn plain(text: &str, qos: QoS, since: u64) -> (SubscriptionPath, Subscription) {
    let path = SubscriptionPath {
        group: None,
        filter: filter(text),
    };
    let subscription = Subscription {
        since: Position(since),
        ..Subscription::new(SubscriptionKey(0), SubscriptionKind::Live, options(qos), None)
    };
    (path, subscription)
}

fn wanted(mut subscriptions: Vec<(SubscriptionPath, Subscription)>) -> Wanted {
    for (key, (_, subscription)) in (1..).zip(&mut subscriptions) {
        subscription.key = SubscriptionKey(key);
        subscription.options.id = std::num::NonZeroU32::new(key);
    }
    Wanted::new(subscriptions.iter().map(|(path, subscription)| (path, subscription)))
}

fn event(position: u64, qos: QoS) -> Event {
    Event {
        kind: ChannelKind::Held,
        position: Position(position),
        sequence: Sequence(position),
        channel: ChannelId(1),
        time: Timestamp(0),
        message: message("t/a", qos, b"x"),
    }
}

fn reader(wanted: Wanted) -> PlainReader {
    PlainReader::new(wanted, &broker().reader, Position(0))
}

/// The QoS and the subscription identifiers of a delivery.
fn deliver(reader: &mut PlainReader, position: u64, qos: QoS) -> Option<(u8, Vec<u32>)> {
    let delivery = reader.delivery(&event(position, qos), &"client".into(), broker().metrics())?;
    assert_eq!(delivery.source, Source::Session(Position(position)));
    let mut ids = delivery.subscription_ids.to_vec();
    ids.sort_unstable();
    Some((delivery.qos.bits(), ids))
}

#[test]
fn only_plain_subscriptions_with_qos1_or_2_are_wanted() {
    let mut group = plain("shared", QoS::AtLeastOnce, 0);
    group.1.kind = SubscriptionKind::Share;
    let wanted = wanted(vec![
        plain("a/+", QoS::AtLeastOnce, 0),
        plain("b", QoS::ExactlyOnce, 0),
        plain("c", QoS::AtMostOnce, 0),
        group,
    ]);
    for (topic, matches) in [
        ("a/1", true),
        ("a", false),
        ("b", true),
        ("c", false),
        ("shared", false),
    ] {
        assert_eq!(wanted.matches(topic), matches, "{topic}");
    }
}

#[test]
fn one_topic_alone_is_exact() {
    let exact = |subscriptions| wanted(subscriptions).exact().map(str::to_owned);
    let a = || plain("a", QoS::AtLeastOnce, 0);
    assert_eq!(exact(vec![]), None);
    assert_eq!(exact(vec![a()]).as_deref(), Some("a"));
    assert_eq!(exact(vec![plain("c", QoS::AtMostOnce, 0), a()]).as_deref(), Some("a"));
    assert_eq!(exact(vec![plain("a/#", QoS::AtLeastOnce, 0)]), None);
    assert_eq!(exact(vec![a(), plain("b", QoS::AtLeastOnce, 0)]), None);
    assert_eq!(exact(vec![plain("#", QoS::AtLeastOnce, 0), a()]), None);
}

#[test]
fn subscription_counts_for_what_came_after_it() {
    let mut reader = reader(wanted(vec![
        plain("t/a", QoS::AtLeastOnce, 5),
        plain("t/#", QoS::ExactlyOnce, 8),
    ]));
    assert_eq!(deliver(&mut reader, 5, QoS::ExactlyOnce), None);
    assert_eq!(deliver(&mut reader, 6, QoS::ExactlyOnce), Some((1, vec![1])));
    assert_eq!(deliver(&mut reader, 8, QoS::ExactlyOnce), Some((1, vec![1])));
    assert_eq!(deliver(&mut reader, 9, QoS::ExactlyOnce), Some((2, vec![1, 2])));
}

#[test]
fn overlapping_subscriptions_give_one_delivery_of_the_highest_qos_with_all_identifiers() {
    let mut reader = reader(wanted(vec![
        plain("t/#", QoS::AtLeastOnce, 0),
        plain("t/a", QoS::ExactlyOnce, 0),
        plain("+/a", QoS::AtLeastOnce, 0),
    ]));
    assert_eq!(deliver(&mut reader, 1, QoS::ExactlyOnce), Some((2, vec![1, 2, 3])));
    assert_eq!(deliver(&mut reader, 2, QoS::AtLeastOnce), Some((1, vec![1, 2, 3])));
    assert_eq!(
        deliver(&mut reader, 3, QoS::AtMostOnce),
        None,
        "QoS 0 was for those who were there"
    );
}

#[test]
fn own_messages_are_left_out_where_no_local_says_so() {
    let mut quiet = plain("t/#", QoS::AtLeastOnce, 0);
    quiet.1.options.no_local = true;
    let mut reader = reader(wanted(vec![quiet, plain("t/a", QoS::AtLeastOnce, 5)]));
    let own = |reader: &mut PlainReader, position| {
        let delivery = reader.delivery(
            &event(position, QoS::AtLeastOnce),
            &"publisher".into(),
            broker().metrics(),
        )?;
        Some(delivery.subscription_ids.to_vec())
    };
    assert_eq!(own(&mut reader, 5), None);
    assert_eq!(own(&mut reader, 6), Some(vec![2]));
}

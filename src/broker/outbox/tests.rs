//! The mailbox of one session, by itself.

use super::*;
use crate::log::Stored;
use crate::session::Source;
use crate::types::{ChannelId, Message, MessageParts, Sequence, Timestamp};

const KEY: SubscriptionKey = SubscriptionKey(1);

fn outbox() -> Arc<Outbox> {
    let limits = OutboxLimits {
        qos0_bytes: 1 << 20,
        max_messages: 3,
        max_bytes: 2000,
    };
    Outbox::new("c".into(), SubscriberId(1), limits, false)
}

fn message(qos: QoS) -> Arc<Message> {
    let parts = MessageParts {
        topic: "t",
        properties: &[],
        payload: &[0; 100],
        qos,
        retain: false,
        expiry_secs: None,
        received: Timestamp(0),
    };
    Arc::new(Message::new(parts, None))
}

fn event(position: u64) -> Item {
    let stored = Stored {
        position: Position(position),
        sequence: Sequence(position),
        time: Timestamp(0),
        channel: ChannelId(1),
    };
    Item::Lane(
        KEY,
        LaneItem {
            message: message(QoS::AtLeastOnce),
            stored: Some(stored),
            selected: 0,
        },
    )
}

fn live(qos: QoS) -> Item {
    let delivery = Delivery {
        message: message(qos),
        qos,
        retain: false,
        subscription_ids: Default::default(),
        source: Source::Live,
        event: None,
    };
    Item::Live(delivery)
}

fn positions(queue: VecDeque<LaneItem>) -> Vec<u64> {
    queue
        .iter()
        .filter_map(|item| item.stored)
        .map(|stored| stored.position.0)
        .collect()
}

#[test]
fn lane_goes_live_only_when_everything_noted_was_read() {
    let outbox = outbox();
    outbox.open_lane(KEY, Position(5));
    assert!(!outbox.try_live(KEY, Position(4)));
    outbox.push(&mut vec![event(6)]);
    assert!(!outbox.try_live(KEY, Position(5)));
    assert!(outbox.try_live(KEY, Position(6)));
    outbox.push(&mut vec![event(7)]);
    assert_eq!(outbox.take_lane(KEY).map(positions), Some(vec![7]));
}

#[test]
fn lane_that_outgrows_its_bound_falls_behind_and_forgets_nothing() {
    let outbox = outbox();
    outbox.open_lane(KEY, Position(0));
    assert!(outbox.try_live(KEY, Position(0)));
    for position in 1..=50 {
        outbox.push(&mut vec![event(position)]);
    }
    assert!(outbox.take_lane(KEY).is_none(), "the reader is sent back to the log");
    assert!(!outbox.try_live(KEY, Position(49)), "the newest event was noted");
    assert!(outbox.try_live(KEY, Position(50)));
}

#[test]
fn qos0_for_an_absent_client_is_refused_and_qos1_waits() {
    let outbox = outbox();
    outbox.set_connected(false);
    let refused = outbox.push(&mut vec![live(QoS::AtMostOnce), live(QoS::AtLeastOnce)]);
    assert_eq!(
        refused,
        Refused {
            absent: 1,
            slow: 0,
            full: 0
        }
    );
    assert_eq!(outbox.take(true).live.len(), 1);
}

#[test]
fn messages_beyond_the_bound_are_refused() {
    let outbox = outbox();
    let refused = outbox.push(&mut (0..5).map(|_| live(QoS::AtLeastOnce)).collect());
    assert_eq!(
        refused,
        Refused {
            absent: 0,
            slow: 0,
            full: 2
        }
    );
}

#[test]
fn beside_an_order_everything_stays_for_the_next_connection() {
    let outbox = outbox();
    let reply = Reply::Publish(None, PublishOutcome::accepted());
    outbox.push(&mut vec![live(QoS::AtLeastOnce), Item::Reply(reply)]);
    outbox.order(Fault::protocol("the end"));
    let taken = outbox.take(true);
    assert!(taken.order.is_some() && taken.live.is_empty() && taken.replies.is_empty());
    let taken = outbox.take(true);
    assert_eq!((taken.live.len(), taken.replies.len()), (1, 1));
}

#[test]
fn an_order_for_the_connection_before_does_not_end_the_next_one() {
    let outbox = outbox();
    outbox.set_connected(false);
    outbox.order(Fault::protocol("too late"));
    outbox.begin_connection();
    assert!(outbox.take(true).order.is_none());
    assert!(outbox.is_connected());
}

#[test]
fn what_is_put_back_comes_before_what_is_newer() {
    let outbox = outbox();
    outbox.push(&mut vec![live(QoS::AtLeastOnce), live(QoS::ExactlyOnce)]);
    let mut taken = outbox.take(true).live;
    outbox.push(&mut vec![live(QoS::AtLeastOnce)]);
    taken.pop_front();
    outbox.put_back(taken);
    let order: Vec<QoS> = outbox.take(true).live.iter().map(Queued::qos).collect();
    assert_eq!(order, [QoS::ExactlyOnce, QoS::AtLeastOnce]);
}

fn packets(qos: QoS, count: usize) -> Item {
    let mut packets = RunBuilder::new(Version::V5, qos);
    (0..count).for_each(|_| packets.push(b"t", &[], &[0; 100], &[]));
    Item::Packets(packets)
}

#[test]
fn a_run_is_cut_where_the_bound_is() {
    let outbox = outbox();
    let refused = outbox.push(&mut vec![live(QoS::AtLeastOnce), packets(QoS::AtLeastOnce, 5)]);
    assert_eq!(refused.full, 3);
    let refused = outbox.push(&mut vec![packets(QoS::AtLeastOnce, 5)]);
    assert_eq!(refused.full, 5);
    assert_eq!(outbox.take(true).live.len(), 3);
}

#[test]
fn a_run_of_qos0_is_refused_to_who_is_away_and_to_who_is_slow() {
    let outbox = outbox();
    let mut refused = 0;
    for _ in 0..300 {
        refused += outbox.push(&mut vec![packets(QoS::AtMostOnce, 100)]).slow;
    }
    let live = outbox.take(true).live;
    assert_eq!(live.len() as u64 + refused, 30_000);
    assert!(live.bytes() < (1 << 20) + 20_000, "{}", live.bytes());
    outbox.set_connected(false);
    assert_eq!(outbox.push(&mut vec![packets(QoS::AtMostOnce, 2)]).absent, 2);
}

#[test]
fn messages_and_runs_keep_their_order_and_are_counted() {
    let outbox = outbox();
    outbox.push(&mut vec![
        packets(QoS::AtMostOnce, 1),
        live(QoS::ExactlyOnce),
        packets(QoS::AtLeastOnce, 1),
    ]);
    let mut live = outbox.take(true).live;
    assert_eq!(live.len(), 3);
    let mut order = Vec::new();
    while let Some(queued) = live.pop_front() {
        order.push(queued.qos().bits());
    }
    assert_eq!((order, live.len(), live.bytes()), (vec![0, 2, 1], 0, 0));
}

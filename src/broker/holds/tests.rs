//! Whom the held records of a topic wait for.

use super::*;
use crate::broker::testing::{broker, filter, options, outbox};

const CHANNEL: ChannelId = ChannelId(1);

fn holds(broker: &Arc<Broker>) -> DurableHolds {
    DurableHolds::new(Arc::new(OnceLock::from(Arc::downgrade(broker))))
}

/// A plain subscription to `t/#` of a session that needs nothing up to `floor`.
fn reader(broker: &Broker, subscriber: u64, durable: bool, qos: QoS, floor: u64) -> Arc<Outbox> {
    let outbox = outbox(subscriber, durable);
    outbox.set_floor(Position(floor));
    let target = Target::Live(outbox.clone(), options(qos));
    broker.router.insert(&filter("t/#"), outbox.subscriber, target);
    outbox
}

fn ask(holds: &DurableHolds, asked_for: ChannelKind) -> Option<u64> {
    holds.passed(CHANNEL, "t/a", asked_for).map(|position| position.0)
}

#[test]
fn nothing_goes_before_the_sessions_are_known() {
    let holds = DurableHolds::new(Arc::default());
    assert_eq!(ask(&holds, ChannelKind::Held), Some(0));
    assert_eq!(ask(&holds, ChannelKind::Event), Some(0));
}

#[test]
fn what_no_durable_session_wants_goes_at_once() {
    let broker = broker();
    let holds = holds(&broker);
    let _others = [
        reader(&broker, 101, false, QoS::AtLeastOnce, 3),
        reader(&broker, 102, true, QoS::AtMostOnce, 3),
    ];
    for _ in 0..2 {
        assert_eq!(ask(&holds, ChannelKind::Held), Some(u64::MAX));
        assert_eq!(ask(&holds, ChannelKind::Event), Some(u64::MAX));
    }
}

#[test]
fn slowest_session_is_remembered_and_there_is_nothing_new_while_it_stands_still() {
    let broker = broker();
    let holds = holds(&broker);
    let slow = reader(&broker, 101, true, QoS::AtLeastOnce, 3);
    let fast = reader(&broker, 102, true, QoS::ExactlyOnce, 5);
    assert_eq!(ask(&holds, ChannelKind::Held), Some(3));
    assert_eq!(ask(&holds, ChannelKind::Held), None);
    fast.set_floor(Position(8));
    assert_eq!(ask(&holds, ChannelKind::Held), None, "that changes nothing");
    assert_eq!(ask(&holds, ChannelKind::Event), Some(3), "retention is always answered");
    slow.set_floor(Position(9));
    assert_eq!(ask(&holds, ChannelKind::Held), Some(8), "the other is the slowest now");
    assert_eq!(ask(&holds, ChannelKind::Held), None);
}

#[test]
fn session_that_is_gone_is_waited_for_no_longer() {
    let broker = broker();
    let holds = holds(&broker);
    let slow = reader(&broker, 101, true, QoS::AtLeastOnce, 3);
    let _fast = reader(&broker, 102, true, QoS::AtLeastOnce, 5);
    assert_eq!(ask(&holds, ChannelKind::Held), Some(3));
    broker.router.remove(&filter("t/#"), slow.subscriber);
    drop(slow);
    assert_eq!(ask(&holds, ChannelKind::Held), Some(5));
}

#[test]
fn session_that_comes_later_is_waited_for_from_then_on() {
    let broker = broker();
    let holds = holds(&broker);
    assert_eq!(ask(&holds, ChannelKind::Held), Some(u64::MAX));
    let _late = reader(&broker, 101, true, QoS::AtLeastOnce, 7);
    assert_eq!(ask(&holds, ChannelKind::Held), Some(7));
}

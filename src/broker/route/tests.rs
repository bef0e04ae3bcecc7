//! Who is among the targets of a topic, and whom the log keeps it for.

use super::*;
use crate::broker::testing::{options, outbox};
use crate::router::Router;
use crate::topic::TopicFilter;
use crate::types::Position;

fn away(subscriber: u64, durable: bool) -> Arc<Outbox> {
    let outbox = outbox(subscriber, durable);
    outbox.set_connected(false);
    outbox
}

fn live(outbox: &Arc<Outbox>, qos: QoS) -> Target {
    Target::Live(outbox.clone(), options(qos))
}

fn holds(route: &Route) -> [bool; 3] {
    [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce].map(|qos| route.holds(qos, None))
}

fn prepared(targets: Vec<Target>) -> Route {
    let mut route = Route::default();
    targets.iter().for_each(|target| route.add(target, Admission::Yes));
    route.finish();
    route
}

#[test]
fn absent_durable_session_is_no_target_and_the_log_keeps_qos1_and_2_for_it() {
    let route = prepared(vec![live(&away(1, true), QoS::AtLeastOnce)]);
    assert!(route.live.is_empty());
    assert!(!route.is_empty(), "somebody wants it");
    assert_eq!(holds(&route), [false, true, true]);
}

#[test]
fn connected_durable_session_is_a_target_and_the_log_keeps_it_as_well() {
    let route = prepared(vec![live(&outbox(1, true), QoS::ExactlyOnce)]);
    assert_eq!((route.live.len(), holds(&route)), (1, [false, true, true]));
}

#[test]
fn nothing_is_kept_for_qos0_nor_for_sessions_that_are_not_durable() {
    let route = prepared(vec![
        live(&away(1, true), QoS::AtMostOnce),
        live(&outbox(2, true), QoS::AtMostOnce),
        live(&outbox(3, false), QoS::ExactlyOnce),
        live(&away(4, false), QoS::ExactlyOnce),
    ]);
    assert_eq!(holds(&route), [false; 3]);
    assert_eq!(
        route.live.len(),
        3,
        "its mailbox keeps it for one that is away and not durable"
    );
}

#[test]
fn target_takes_16_bytes() {
    assert_eq!(size_of::<Target>(), 16);
}

#[test]
fn absent_replay_subscription_is_no_target() {
    let (here, gone) = (outbox(1, true), away(2, true));
    let replay = |outbox: &Arc<Outbox>| Target::replay(outbox, SubscriptionKey(1), None);
    let route = prepared(vec![replay(&gone), replay(&here)]);
    assert!(route.others.replays.len() == 1 && Arc::ptr_eq(&route.others.replays[0].0, &here));
    assert_eq!(holds(&route), [false; 3], "only events are replayed");
    assert!(!prepared(vec![replay(&gone)]).is_empty());
    assert!(prepared(Vec::new()).is_empty());
}

#[test]
fn publishers_are_refused_for_a_durable_session_that_too_much_waits_for() {
    let full = |outbox: &Arc<Outbox>, qos| {
        outbox.set_over_limit(true);
        let route = prepared(vec![live(outbox, qos)]);
        [QoS::AtMostOnce, QoS::AtLeastOnce].map(|qos| route.is_full(qos, None))
    };
    assert_eq!(full(&away(1, true), QoS::AtLeastOnce), [false, true]);
    assert_eq!(full(&outbox(1, true), QoS::AtLeastOnce), [false, true]);
    assert_eq!(full(&outbox(1, true), QoS::AtMostOnce), [false, false]);
}

fn selector(text: &str) -> Arc<Selector> {
    Arc::new(Selector::compile(text).expect("a selector"))
}

/// Which selectors of a route a message with this payload passes.
fn passes(route: &Route, payload: &[u8]) -> Option<Passes> {
    let message = crate::broker::testing::message("t", QoS::AtLeastOnce, payload);
    route.select(
        &Subject::new(&message, false),
        crate::broker::testing::broker().metrics(),
    )
}

#[test]
fn a_route_without_selectors_has_nothing_to_ask() {
    let route = prepared(vec![live(&outbox(1, true), QoS::AtLeastOnce)]);
    assert!(route.others.selection.is_none() && passes(&route, b"1").is_none());
}

#[test]
fn equal_selectors_are_one_and_the_log_keeps_what_passes_one_of_a_durable_session() {
    let one = selector("payload = 1");
    let (twice, other) = (one.clone(), selector("payload = 2"));
    let with = |outbox: &Arc<Outbox>, selector| Target::live(outbox, options(QoS::AtLeastOnce), Some(selector));
    let route = prepared(vec![
        with(&away(1, true), &one),
        with(&outbox(2, true), &twice),
        with(&outbox(3, false), &other),
    ]);
    let selection = route.others.selection.as_ref().expect("there are selectors");
    assert_eq!(selection.set.len(), 2);
    for (payload, held, wanted) in [
        (b"1", true, [true, false]),
        (b"2", false, [false, true]),
        (b"3", false, [false; 2]),
    ] {
        let passes = passes(&route, payload);
        assert_eq!(route.holds(QoS::AtLeastOnce, passes.as_ref()), held);
        assert!(!route.holds(QoS::AtMostOnce, passes.as_ref()));
        let message = crate::broker::testing::message("t", QoS::AtLeastOnce, payload);
        let delivered = route
            .live
            .iter()
            .map(|target| target.delivery(&message, passes.as_ref()).is_some());
        assert_eq!(delivered.collect::<Vec<_>>(), wanted);
    }
    let mut targets = vec![with(&away(1, true), &one), live(&away(2, true), QoS::AtLeastOnce)];
    for _ in 0..2 {
        let route = prepared(targets.clone());
        let passes = passes(&route, b"3");
        assert!(
            route.holds(QoS::AtLeastOnce, passes.as_ref()),
            "a session without a selector wants all"
        );
        targets.reverse();
    }
}

#[test]
fn publishers_are_refused_for_what_a_full_session_wants_only() {
    let full = outbox(1, true);
    full.set_over_limit(true);
    let route = prepared(vec![Target::live(
        &full,
        options(QoS::AtLeastOnce),
        Some(&selector("payload = 1")),
    )]);
    for (payload, refused) in [(b"1", true), (b"2", false)] {
        assert_eq!(
            route.is_full(QoS::AtLeastOnce, passes(&route, payload).as_ref()),
            refused
        );
    }
}

#[test]
fn overlapping_subscriptions_of_a_session_give_one_copy() {
    let (one, other) = (outbox(1, true), outbox(2, false));
    let route = prepared(vec![
        live(&one, QoS::AtMostOnce),
        live(&other, QoS::AtLeastOnce),
        live(&one, QoS::ExactlyOnce),
    ]);
    assert_eq!(route.live.len(), 2);
    let message = crate::broker::testing::message("t", QoS::ExactlyOnce, b"x");
    let delivery = route.live[0].delivery(&message, None).expect("it is wanted");
    assert_eq!(delivery.qos, QoS::ExactlyOnce);
}

#[test]
fn live_group_that_ended_leaves_what_the_log_has_to_its_cursor() {
    let group = ShareGroup::new(crate::cursor::Strategy::RoundRobin, Position(4));
    group.join(Member {
        key: SubscriptionKey(1),
        outbox: outbox(1, false),
        options: options(QoS::AtLeastOnce),
    });
    assert!(group.choose_kept(Position(7), 0, 0, |_| true).is_some());
    assert_eq!(group.end(), Position(7));
    assert!(group.choose_kept(Position(8), 0, 0, |_| true).is_none());
    assert!(group.choose(0, 0, |_| true).is_some(), "what no log has");
}

#[test]
fn topics_that_one_plain_subscriber_gets_share_their_route() {
    let router: Router<Target> = Router::default();
    let mut cache: RouteCache<Route> = RouteCache::default();
    let (one, other) = (outbox(1, true), outbox(2, true));
    for (text, outbox, qos) in [
        ("a", &one, QoS::AtLeastOnce),
        ("b", &one, QoS::AtLeastOnce),
        ("c", &one, QoS::AtMostOnce),
        ("d", &other, QoS::AtLeastOnce),
        ("e", &one, QoS::AtLeastOnce),
        ("e", &other, QoS::AtLeastOnce),
    ] {
        let filter = TopicFilter::parse(text).expect("a filter");
        router.insert(&filter, outbox.subscriber, live(outbox, qos));
    }
    let [a, b, c, d, e] = ["a", "b", "c", "d", "e"].map(|topic| cache.route(&router, topic, |_, _| Admission::Yes));
    assert!(Arc::ptr_eq(&a, &b));
    for (other, subscribers) in [(&c, 1), (&d, 1), (&e, 2)] {
        assert!(!Arc::ptr_eq(&a, other) && other.live.len() == subscribers);
    }
}

use super::*;
use crate::cursor::{Candidate, Strategy};
use crate::types::{Message, MessageParts, Position, QoS, Timestamp};
use std::sync::Arc;
use std::time::Duration;

fn filter(text: &str) -> TopicFilter {
    TopicFilter::parse(text).expect("a good filter")
}

fn message(topic: &str, payload: &[u8], expiry_secs: Option<u32>) -> Arc<Message> {
    let parts = MessageParts {
        topic,
        properties: &[],
        payload,
        qos: QoS::AtMostOnce,
        retain: true,
        expiry_secs,
        received: Timestamp(0),
    };
    Arc::new(Message::new(parts, None))
}

fn yes(_: &u8, _: &str) -> Admission {
    Admission::Yes
}

impl Prepared<u8> for Vec<u8> {
    fn add(&mut self, target: &u8, _: Admission) {
        self.push(*target);
    }

    fn finish(&mut self) -> usize {
        self.len()
    }
}

#[test]
fn cached_route_is_looked_up_again_after_a_change() {
    let router: Router<u8> = Router::default();
    let mut cache: RouteCache<Vec<u8>> = RouteCache::default();
    assert!(cache.route(&router, "a", yes).is_empty());
    let id = router.new_subscriber_id();
    router.insert(&filter("a"), id, 1);
    let route = cache.route(&router, "a", yes);
    assert_eq!(*route, [1]);
    assert!(
        Arc::ptr_eq(&route, &cache.route(&router, "a", yes)),
        "the route is known"
    );
    router.touch();
    assert!(
        !Arc::ptr_eq(&route, &cache.route(&router, "a", yes)),
        "something has changed"
    );
    router.remove(&filter("a"), id);
    assert!(cache.route(&router, "a", yes).is_empty());
}

#[test]
fn numbered_route_is_looked_up_again_after_a_change() {
    let router: Router<u8> = Router::default();
    let mut cache: RouteCache<Vec<u8>> = RouteCache::default();
    let id = router.new_subscriber_id();
    assert!(cache.route_numbered(&router, 7, || "a", yes).is_empty());
    router.insert(&filter("a"), id, 1);
    let route = cache.route_numbered(&router, 7, || "a", yes);
    assert_eq!(*route, [1]);
    let again = cache.route_numbered(&router, 7, || panic!("the number is known"), yes);
    assert!(Arc::ptr_eq(&route, &again));
    assert!(cache.route_numbered(&router, 8, || "b", yes).is_empty());
    let by_text = cache.route_numbered(&router, u32::MAX, || "a", yes);
    assert_eq!(*by_text, [1], "numbers beyond the bound go by text");
}

#[derive(Clone)]
struct Member(u64, bool);

impl Candidate for Member {
    fn id(&self) -> u64 {
        self.0
    }

    fn is_connected(&self) -> bool {
        self.1
    }

    fn in_flight(&self) -> usize {
        0
    }
}

#[test]
fn live_group_prefers_connected_members_and_takes_turns() {
    let group = ShareGroup::new(Strategy::RoundRobin, Position(0));
    for (id, connected) in [(1, true), (2, false), (3, true)] {
        assert!(group.join(Member(id, connected)));
    }
    let chosen: Vec<u64> = (0..4)
        .filter_map(|_| group.choose(0, 0, |_| true))
        .map(|member| member.0)
        .collect();
    assert_eq!(chosen, [1, 3, 1, 3]);
    group.leave(1);
    assert_eq!(group.leave(3), (true, 1));
    assert_eq!(group.choose(0, 0, |_| true).map(|member| member.0), Some(2));
}

#[test]
fn empty_payload_clears_the_retained_message() {
    let retained = Retained::new(RetainedLimits::default());
    retained.publish(&message("a", b"x", None));
    assert_eq!(retained.matching(&filter("#"), Timestamp(0)).len(), 1);
    retained.publish(&message("a", b"", None));
    assert!(retained.is_empty());
}

#[test]
fn expired_retained_message_is_not_found() {
    let retained = Retained::new(RetainedLimits::default());
    retained.publish(&message("a", b"x", Some(5)));
    let late = Timestamp(0).saturating_add(Duration::from_secs(5));
    assert!(retained.matching(&filter("a"), late).is_empty());
    assert!(retained.is_empty());
}

#[test]
fn retained_limits_leave_what_is_there() {
    let retained = Retained::new(RetainedLimits {
        max_messages: Some(1),
        max_bytes: Some(10),
    });
    retained.publish(&message("a", b"x", None));
    assert!(!retained.has_room(&message("b", b"x", None)));
    assert!(!retained.has_room(&message("a", b"ten bytes and more", None)));
    assert!(retained.has_room(&message("a", b"", None)));
    assert!(retained.has_room(&message("a", b"y", None)));
    retained.publish(&message("a", b"y", None));
    assert_eq!(retained.matching(&filter("a"), Timestamp(0))[0].payload(), b"y");
}

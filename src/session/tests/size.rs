//! Maximum Packet Size of the client (section 3.1.2.11.4): what is left out first, and what is not sent at all.

use super::*;

fn at_most(client_maximum_packet_size: usize) -> LinkOptions {
    LinkOptions {
        client_maximum_packet_size: client_maximum_packet_size as u32,
        client_receive_maximum: 5,
        ..v5()
    }
}

/// The length of the delivery's packet for a client without a limit.
fn length(delivery: Delivery) -> usize {
    let mut session = session(v5());
    assert!(send(&mut session, delivery));
    session.output().len()
}

#[test]
fn packet_of_just_the_maximum_is_sent_and_a_byte_more_is_not() {
    let exact = length(live(1, "abc"));
    let mut fits = session(at_most(exact));
    assert!(send(&mut fits, live(1, "abc")));
    let mut small = session(at_most(exact - 1));
    assert_eq!(dropped(&mut small, live(1, "abc"), NOW), Some(DropReason::TooLarge));
    assert!(written(&mut small).is_empty());
    assert_eq!((small.send_quota(), small.in_flight()), (5, 0), "nothing is used up");
}

#[test]
fn place_in_the_store_is_left_out_before_the_message_is_dropped() {
    let event = || stored(1, 4, Source::Replay);
    let (exact, bare) = (length(event()), length(live(1, "4")));
    for (limit, expected) in [
        (exact, "PUBLISH q1 #1 t es-seq=4 es-time=7 es-channel=t '4'"),
        (exact - 1, "PUBLISH q1 #1 t '4'"),
        (bare, "PUBLISH q1 #1 t '4'"),
    ] {
        let mut session = session(at_most(limit));
        assert!(send(&mut session, event()));
        assert_eq!(written(&mut session), [expected]);
        let acked = acknowledge(&mut session, Packet::PubAck, 1, 0);
        assert_eq!(acked, Some(Source::Replay(KEY, Position(4))));
    }
    let mut session = session(at_most(bare - 1));
    assert_eq!(dropped(&mut session, event(), NOW), Some(DropReason::TooLarge));
}

#[test]
fn new_alias_is_left_out_before_the_place_in_the_store() {
    let exact = length(stored(0, 4, Source::Replay));
    let mut session = session(LinkOptions {
        client_topic_alias_maximum: 3,
        ..at_most(exact)
    });
    assert!(send(&mut session, stored(0, 4, Source::Replay)));
    assert!(send(&mut session, live(0, "x")));
    assert!(send(&mut session, live(0, "y")));
    assert_eq!(
        written(&mut session),
        [
            "PUBLISH q0 t es-seq=4 es-time=7 es-channel=t '4'",
            "PUBLISH q0 t alias=1 'x'",
            "PUBLISH q0 alias=1 'y'"
        ]
    );
}

#[test]
fn known_alias_makes_room() {
    let topic = "a/rather/long/topic";
    let mut session = session(LinkOptions {
        client_topic_alias_maximum: 1,
        ..at_most(30)
    });
    assert!(send(&mut session, delivery(topic, 0, "x", None)));
    assert!(send(&mut session, delivery(topic, 0, "twenty bytes in all.", None)));
    assert_eq!(
        written(&mut session),
        [
            "PUBLISH q0 a/rather/long/topic alias=1 'x'",
            "PUBLISH q0 alias=1 'twenty bytes in all.'"
        ]
    );
}

#[test]
fn acknowledgement_leaves_its_text_out_before_it_is_too_large() {
    let mut session = session(at_most(5));
    let token = publish_new(&mut session, 1, 1);
    let refused = PublishOutcome::refused(ReasonCode::QuotaExceeded, "there is no room for any more of these");
    session.handle_outcome(token, refused).unwrap();
    assert_eq!(written(&mut session), ["PUBACK #1 0x97"]);
}

#[test]
fn acknowledgement_leaves_its_user_properties_out_before_it_is_too_large() {
    let stored = || PublishOutcome {
        sequence: Some(Sequence(1)),
        ..PublishOutcome::accepted()
    };
    let mut small = session(at_most(8));
    let mut large = session(at_most(200));
    for session in [&mut small, &mut large] {
        let (first, second) = (publish_new(session, 1, 1), publish_new(session, 2, 2));
        session.handle_outcome(first, stored()).unwrap();
        session.handle_outcome(second, stored()).unwrap();
    }
    assert_eq!(written(&mut small), ["PUBACK #1", "PUBREC #2"]);
    assert_eq!(written(&mut large), ["PUBACK #1 es-seq=1", "PUBREC #2 es-seq=1"]);
}

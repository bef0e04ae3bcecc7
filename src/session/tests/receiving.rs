//! Messages to the client: packet identifiers, acknowledgements, flow control (section 4.9), expiry.

use super::*;

#[test]
fn qos0_needs_no_quota_and_no_identifier() {
    let mut session = session(receive_maximum(1));
    assert!(send(&mut session, live(1, "a")));
    assert!(send(&mut session, live(0, "b")));
    assert_eq!(written(&mut session), ["PUBLISH q1 #1 t 'a'", "PUBLISH q0 t 'b'"]);
    assert_eq!(session.in_flight(), 1);
}

#[test]
fn receive_maximum_blocks_qos1_and_2_and_gives_the_delivery_back() {
    let mut session = session(receive_maximum(2));
    assert!(send(&mut session, live(1, "a")));
    assert!(send(&mut session, live(2, "b")));
    let Sent::Blocked(delivery) = session.send(live(1, "c"), NOW) else {
        panic!("sent above Receive Maximum");
    };
    assert_eq!(delivery.message.payload(), b"c");
    assert!(!session.can_send(QoS::ExactlyOnce) && session.can_send(QoS::AtMostOnce));
    written(&mut session);
    acknowledge(&mut session, Packet::PubAck, 1, 0);
    assert!(send(&mut session, delivery));
    assert_eq!(written(&mut session), ["PUBLISH q1 #3 t 'c'"]);
}

#[test]
fn puback_with_any_code_frees_a_place() {
    for code in [0x00, 0x10, 0x80, 0x97] {
        let mut session = session(receive_maximum(1));
        assert!(send(&mut session, live(1, "a")));
        acknowledge(&mut session, Packet::PubAck, 1, code);
        assert_eq!((session.send_quota(), session.in_flight()), (1, 0));
    }
}

#[test]
fn qos2_frees_its_place_at_pubcomp_and_not_at_pubrec() {
    let mut session = session(receive_maximum(1));
    assert!(send(&mut session, live(2, "a")));
    written(&mut session);
    acknowledge(&mut session, Packet::PubRec, 1, 0);
    assert_eq!(written(&mut session), ["PUBREL #1"]);
    assert!(!send(&mut session, live(1, "b")));
    acknowledge(&mut session, Packet::PubComp, 1, 0);
    assert!(send(&mut session, live(1, "b")));
}

#[test]
fn pubrec_of_0x80_and_above_ends_the_message() {
    let mut session = session(receive_maximum(1));
    assert!(send(&mut session, stored(2, 6, Source::Replay)));
    written(&mut session);
    let acked = acknowledge(&mut session, Packet::PubRec, 1, 0x97);
    assert_eq!(acked, Some(Source::Replay(KEY, Position(6))));
    assert!(written(&mut session).is_empty(), "no PUBREL");
    assert_eq!((session.send_quota(), session.in_flight()), (1, 0));
}

#[test]
fn pubcomp_with_0x92_ends_the_message() {
    let mut session = session(receive_maximum(1));
    assert!(send(&mut session, live(2, "a")));
    acknowledge(&mut session, Packet::PubRec, 1, 0);
    acknowledge(&mut session, Packet::PubComp, 1, 0x92);
    assert_eq!((session.send_quota(), session.in_flight()), (1, 0));
}

#[test]
fn quota_never_rises_above_receive_maximum() {
    let mut session = session(receive_maximum(2));
    assert!(send(&mut session, live(1, "a")));
    for _ in 0..3 {
        acknowledge(&mut session, Packet::PubAck, 1, 0);
        acknowledge(&mut session, Packet::PubComp, 7, 0);
        acknowledge(&mut session, Packet::PubRec, 8, 0x80);
    }
    assert_eq!(session.send_quota(), 2);
}

#[test]
fn acknowledgement_that_does_not_fit_the_message_changes_nothing() {
    let mut session = session(receive_maximum(2));
    assert!(send(&mut session, live(1, "a")));
    assert!(send(&mut session, live(2, "b")));
    written(&mut session);
    acknowledge(&mut session, Packet::PubComp, 1, 0);
    acknowledge(&mut session, Packet::PubAck, 2, 0);
    acknowledge(&mut session, Packet::PubComp, 2, 0);
    assert_eq!((session.send_quota(), session.in_flight()), (0, 2));
    acknowledge(&mut session, Packet::PubRec, 1, 0);
    acknowledge(&mut session, Packet::PubRec, 9, 0);
    assert_eq!(written(&mut session), ["PUBREL #1 0x92", "PUBREL #9 0x92"]);
}

#[test]
fn second_pubrec_is_answered_with_pubrel_again() {
    let mut session = session(v5());
    assert!(send(&mut session, live(2, "a")));
    written(&mut session);
    acknowledge(&mut session, Packet::PubRec, 1, 0);
    acknowledge(&mut session, Packet::PubRec, 1, 0);
    assert_eq!(written(&mut session), ["PUBREL #1", "PUBREL #1"]);
    acknowledge(&mut session, Packet::PubComp, 1, 0);
    assert_eq!(session.in_flight(), 0);
}

#[test]
fn only_the_last_acknowledgement_moves_a_cursor() {
    let mut session = session(v5());
    assert!(send(&mut session, stored(1, 4, Source::Replay)));
    assert!(send(&mut session, stored(2, 5, Source::Group)));
    assert!(send(&mut session, live(1, "a")));
    let replay = acknowledge(&mut session, Packet::PubAck, 1, 0x80);
    assert_eq!(replay, Some(Source::Replay(KEY, Position(4))));
    assert_eq!(acknowledge(&mut session, Packet::PubRec, 2, 0), None);
    let group = acknowledge(&mut session, Packet::PubComp, 2, 0);
    assert_eq!(group, Some(Source::Group(KEY, Position(5))));
    assert_eq!(acknowledge(&mut session, Packet::PubAck, 3, 0), None);
}

#[test]
fn packet_identifiers_wrap_around_those_in_use_and_leave_zero_out() {
    let mut session = session(receive_maximum(3));
    assert!(send(&mut session, live(1, "kept")));
    written(&mut session);
    for _ in 0..u16::MAX {
        let packet_id = send_and_acknowledge(&mut session);
        assert!(packet_id > 1, "{packet_id} is in use or none");
    }
    assert_eq!(session.in_flight(), 1);
}

#[test]
fn expiry_is_counted_down_and_what_is_over_is_dropped() {
    let mut session = session(v5());
    assert!(matches!(
        session.send(delivery("t", 1, "a", Some(10)), after(4)),
        Sent::Written
    ));
    assert_eq!(written(&mut session), ["PUBLISH q1 #1 t expiry=6 'a'"]);
    assert_eq!(
        dropped(&mut session, delivery("t", 1, "a", Some(10)), after(10)),
        Some(DropReason::Expired)
    );
    assert!(written(&mut session).is_empty());
    assert_eq!(session.in_flight(), 1);
}

#[test]
fn expired_message_is_dropped_even_when_the_client_takes_no_more() {
    let mut session = session(receive_maximum(1));
    assert!(send(&mut session, live(1, "a")));
    assert_eq!(
        dropped(&mut session, delivery("t", 1, "b", Some(1)), after(1)),
        Some(DropReason::Expired)
    );
}

#[test]
fn place_in_the_store_is_told_to_mqtt_5_alone() {
    let mut new = session(v5());
    let mut old = session(v3());
    let mut again = stored(1, 4, Source::Replay);
    if let Some(event) = &mut again.event {
        event.redelivered = true;
    }
    assert!(send(&mut new, stored(1, 3, Source::Replay)) && send(&mut new, again.clone()));
    assert!(send(&mut old, again));
    assert_eq!(
        written(&mut new),
        [
            "PUBLISH q1 #1 t es-seq=3 es-time=7 es-channel=t '3'",
            "PUBLISH q1 #2 t es-seq=4 es-time=7 es-channel=t es-redelivered=true '4'"
        ]
    );
    assert_eq!(written(&mut old), ["PUBLISH q1 #1 t '4'"]);
}

#[test]
fn message_given_up_keeps_its_identifier_and_its_place_until_the_client_answers() {
    let mut session = session(receive_maximum(1));
    assert!(send(&mut session, stored(1, 4, Source::Group)));
    session.forget_in_flight(|source| matches!(source, Source::Group(..)));
    assert!(!send(&mut session, live(1, "a")));
    acknowledge(&mut session, Packet::PubAck, 1, 0);
    assert!(send(&mut session, live(1, "a")));
}

//! A new connection goes on where the last one ended (sections 4.1 and 4.4).

use super::*;

fn reconnect(session: &mut Session, options: LinkOptions) {
    session.connection_lost();
    session.resume(options);
    assert!(session.output().is_empty());
}

fn resend(session: &mut Session) -> Vec<String> {
    assert!(session.resend(NOW, usize::MAX).is_empty());
    written(session)
}

#[test]
fn unacknowledged_messages_come_again_in_order_with_dup_and_the_same_identifiers() {
    let mut session = session(v5());
    for delivery in [live(1, "a"), live(2, "b"), live(1, "c"), live(0, "d")] {
        assert!(send(&mut session, delivery));
    }
    acknowledge(&mut session, Packet::PubAck, 1, 0);
    assert!(send(&mut session, live(1, "e")));
    reconnect(&mut session, v5());
    assert!(!session.resend_is_complete());
    assert_eq!(
        resend(&mut session),
        [
            "PUBLISH q2 #2 dup t 'b'",
            "PUBLISH q1 #3 dup t 'c'",
            "PUBLISH q1 #4 dup t 'e'"
        ]
    );
    assert!(session.resend_is_complete());
    assert!(resend(&mut session).is_empty(), "once per connection");
}

#[test]
fn order_of_the_identifiers_does_not_matter_for_the_order_of_the_messages() {
    let mut session = session(receive_maximum(2));
    for _ in 1..u16::MAX {
        send_and_acknowledge(&mut session);
    }
    assert!(send(&mut session, live(1, "a")));
    assert!(send(&mut session, live(1, "b")));
    reconnect(&mut session, receive_maximum(2));
    assert_eq!(
        resend(&mut session),
        ["PUBLISH q1 #65535 dup t 'a'", "PUBLISH q1 #1 dup t 'b'"]
    );
}

#[test]
fn pubrel_is_sent_again_where_pubrec_had_come() {
    let mut session = session(v5());
    assert!(send(&mut session, live(2, "a")));
    assert!(send(&mut session, live(2, "b")));
    acknowledge(&mut session, Packet::PubRec, 1, 0);
    reconnect(&mut session, v5());
    assert_eq!(resend(&mut session), ["PUBREL #1", "PUBLISH q2 #2 dup t 'b'"]);
    acknowledge(&mut session, Packet::PubComp, 1, 0);
    acknowledge(&mut session, Packet::PubRec, 2, 0);
    acknowledge(&mut session, Packet::PubComp, 2, 0);
    assert_eq!(session.in_flight(), 0);
}

#[test]
fn quota_starts_anew_and_resends_take_it() {
    let mut session = session(receive_maximum(3));
    for payload in ["a", "b", "c"] {
        assert!(send(&mut session, live(1, payload)));
    }
    reconnect(&mut session, receive_maximum(2));
    assert_eq!(session.send_quota(), 2);
    assert_eq!(
        resend(&mut session),
        ["PUBLISH q1 #1 dup t 'a'", "PUBLISH q1 #2 dup t 'b'"]
    );
    assert!(!session.resend_is_complete());
    acknowledge(&mut session, Packet::PubAck, 1, 0);
    assert_eq!(resend(&mut session), ["PUBLISH q1 #3 dup t 'c'"]);
    assert!(session.resend_is_complete() && !session.can_send(QoS::AtLeastOnce));
}

#[test]
fn message_whose_pubrel_is_sent_again_counts_against_receive_maximum() {
    let mut session = session(receive_maximum(2));
    assert!(send(&mut session, live(2, "a")));
    acknowledge(&mut session, Packet::PubRec, 1, 0);
    reconnect(&mut session, receive_maximum(2));
    assert_eq!(resend(&mut session), ["PUBREL #1"]);
    assert!(send(&mut session, live(1, "b")));
    assert!(!send(&mut session, live(1, "c")), "two are being processed");
    acknowledge(&mut session, Packet::PubComp, 1, 0);
    assert!(send(&mut session, live(1, "c")));
    assert!(!send(&mut session, live(1, "d")));
}

#[test]
fn pubrels_above_a_smaller_receive_maximum_are_sent_and_free_no_place_that_they_did_not_take() {
    let mut session = session(receive_maximum(2));
    for payload in ["a", "b"] {
        assert!(send(&mut session, live(2, payload)));
    }
    acknowledge(&mut session, Packet::PubRec, 1, 0);
    acknowledge(&mut session, Packet::PubRec, 2, 0);
    reconnect(&mut session, receive_maximum(1));
    assert_eq!(resend(&mut session), ["PUBREL #1", "PUBREL #2"]);
    acknowledge(&mut session, Packet::PubComp, 1, 0);
    assert!(send(&mut session, live(1, "c")));
    acknowledge(&mut session, Packet::PubComp, 2, 0);
    assert!(!send(&mut session, live(1, "d")), "c is still open");
}

#[test]
fn resend_stops_at_the_output_limit_and_goes_on_later() {
    let mut session = session(v5());
    for payload in ["a", "b"] {
        assert!(send(&mut session, live(1, payload)));
    }
    reconnect(&mut session, v5());
    session.resend(NOW, 1);
    assert_eq!(written(&mut session), ["PUBLISH q1 #1 dup t 'a'"]);
    session.resend(NOW, 1);
    assert_eq!(written(&mut session), ["PUBLISH q1 #2 dup t 'b'"]);
}

#[test]
fn messages_of_groups_are_forgotten_since_other_members_get_them() {
    let mut session = session(v5());
    assert!(send(&mut session, stored(1, 1, Source::Group)));
    assert!(send(&mut session, stored(1, 2, Source::Replay)));
    reconnect(&mut session, v5());
    assert_eq!(
        resend(&mut session),
        ["PUBLISH q1 #2 dup t es-seq=2 es-time=7 es-channel=t '2'"]
    );
}

#[test]
fn message_that_was_given_up_is_not_sent_again() {
    let mut session = session(v5());
    assert!(send(&mut session, stored(1, 1, Source::Replay)));
    session.forget_in_flight(|source| source.has_cursor());
    reconnect(&mut session, v5());
    assert!(resend(&mut session).is_empty());
    assert_eq!(session.in_flight(), 0);
}

#[test]
fn acknowledgement_of_a_resend_moves_the_cursor() {
    let mut session = session(v5());
    assert!(send(&mut session, stored(1, 2, Source::Replay)));
    reconnect(&mut session, v5());
    resend(&mut session);
    let acked = acknowledge(&mut session, Packet::PubAck, 1, 0);
    assert_eq!(acked, Some(Source::Replay(KEY, Position(2))));
}

#[test]
fn resend_is_completed_past_its_expiry() {
    let mut session = session(v5());
    assert!(send(&mut session, delivery("t", 1, "a", Some(5))));
    reconnect(&mut session, v5());
    session.resend(after(100), usize::MAX);
    assert_eq!(written(&mut session), ["PUBLISH q1 #1 dup t expiry=1 'a'"]);
}

#[test]
fn resend_that_no_longer_fits_the_client_is_done() {
    let mut session = session(v5());
    assert!(send(&mut session, stored(1, 8, Source::Replay)));
    assert!(send(&mut session, live(1, "b")));
    reconnect(
        &mut session,
        LinkOptions {
            client_maximum_packet_size: 5,
            client_receive_maximum: 2,
            ..v5()
        },
    );
    let done = session.resend(NOW, usize::MAX);
    assert_eq!(done, [Source::Replay(KEY, Position(8)), Source::Live]);
    assert!(written(&mut session).is_empty());
    assert_eq!((session.send_quota(), session.in_flight()), (2, 0));
}

#[test]
fn new_identifiers_avoid_those_that_wait_for_their_resend() {
    let mut session = session(v5());
    assert!(send(&mut session, live(1, "a")));
    reconnect(&mut session, v5());
    assert!(send(&mut session, live(1, "b")));
    assert_eq!(written(&mut session), ["PUBLISH q1 #2 t 'b'"]);
}

#[test]
fn qos2_of_the_client_is_known_after_a_reconnect() {
    let mut session = session(v5());
    let known = publish_new(&mut session, 2, 1);
    accept(&mut session, known);
    let pending = publish_new(&mut session, 2, 2);
    reconnect(&mut session, v5());
    publish_again(&mut session, 2, 1);
    assert_eq!(written(&mut session), ["PUBREC #1"]);
    publish_again(&mut session, 2, 2);
    assert!(written(&mut session).is_empty(), "its outcome is not known yet");
    accept(&mut session, pending);
    assert_eq!(written(&mut session), ["PUBREC #2"]);
    acknowledge(&mut session, Packet::PubRel, 1, 0);
    acknowledge(&mut session, Packet::PubRel, 2, 0);
    assert_eq!(written(&mut session), ["PUBCOMP #1", "PUBCOMP #2"]);
}

#[test]
fn qos2_stays_known_across_a_second_reconnect_while_its_outcome_is_awaited() {
    let mut session = session(v5());
    let pending = publish_new(&mut session, 2, 2);
    for _ in 0..2 {
        reconnect(&mut session, v5());
        publish_again(&mut session, 2, 2);
    }
    let other = publish_new(&mut session, 1, 3);
    accept(&mut session, other);
    assert!(written(&mut session).is_empty(), "order of acknowledgements");
    accept(&mut session, pending);
    assert_eq!(written(&mut session), ["PUBREC #2", "PUBACK #3"]);
}

#[test]
fn outcome_of_an_earlier_connection_acknowledges_nothing_on_the_new_one() {
    let mut session = session(v5());
    let lost = publish_new(&mut session, 1, 1);
    reconnect(&mut session, v5());
    let token = publish_new(&mut session, 1, 1);
    assert_ne!(lost, token);
    accept(&mut session, lost);
    assert!(written(&mut session).is_empty());
    accept(&mut session, token);
    assert_eq!(written(&mut session), ["PUBACK #1"]);
    assert_eq!(session.unacknowledged(), 0);
}

#[test]
fn refusal_that_comes_for_a_lost_3_1_1_connection_does_not_end_the_new_one() {
    let mut session = session(v3());
    let lost = publish_new(&mut session, 1, 1);
    reconnect(&mut session, v3());
    let refused = PublishOutcome::refused(ReasonCode::QuotaExceeded, "full");
    assert!(session.handle_outcome(lost, refused).is_ok());
}

#[test]
fn session_may_be_continued_in_the_other_version() {
    let mut session = session(v5());
    assert!(send(&mut session, stored(1, 2, Source::Replay)));
    reconnect(&mut session, v3());
    assert_eq!(resend(&mut session), ["PUBLISH q1 #1 dup t '2'"]);
}

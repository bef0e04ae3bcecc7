//! Messages from the client: who gets which acknowledgement, when, and how many may be open.

use super::*;

#[test]
fn qos0_has_no_token_and_no_acknowledgement() {
    let mut session = session(v5());
    let action = session.handle_packet(publish(0, 0)).unwrap();
    let Action::Publish(incoming) = action else {
        panic!("not published: {action:?}");
    };
    assert_eq!((&*incoming.topic, incoming.token), ("t", None));
    assert!(written(&mut session).is_empty());
}

#[test]
fn puback_waits_for_the_outcome() {
    let mut session = session(v5());
    let token = publish_new(&mut session, 1, 5);
    assert!(written(&mut session).is_empty());
    accept(&mut session, token);
    assert_eq!(written(&mut session), ["PUBACK #5"]);
}

#[test]
fn pubrec_waits_for_the_outcome_and_pubcomp_answers_pubrel() {
    let mut session = session(v5());
    let token = publish_new(&mut session, 2, 5);
    assert!(written(&mut session).is_empty());
    accept(&mut session, token);
    assert_eq!(written(&mut session), ["PUBREC #5"]);
    acknowledge(&mut session, Packet::PubRel, 5, 0);
    assert_eq!(written(&mut session), ["PUBCOMP #5"]);
    assert_eq!(session.unacknowledged(), 0);
}

#[test]
fn acknowledgements_leave_in_the_order_of_the_publishes_whatever_their_qos() {
    let mut session = session(v5());
    let first = publish_new(&mut session, 1, 3);
    let second = publish_new(&mut session, 2, 1);
    let third = publish_new(&mut session, 1, 2);
    accept(&mut session, third);
    accept(&mut session, second);
    assert!(written(&mut session).is_empty());
    accept(&mut session, first);
    assert_eq!(written(&mut session), ["PUBACK #3", "PUBREC #1", "PUBACK #2"]);
}

#[test]
fn outcome_is_told_with_reason_text_and_sequence() {
    let mut session = session(v5());
    let full = publish_new(&mut session, 1, 1);
    let broken = publish_new(&mut session, 2, 2);
    let stored = publish_new(&mut session, 1, 3);
    let outcomes = [
        (full, PublishOutcome::refused(ReasonCode::QuotaExceeded, "full")),
        (
            broken,
            PublishOutcome::refused(ReasonCode::ImplementationSpecificError, "broken"),
        ),
        (
            stored,
            PublishOutcome {
                sequence: Some(Sequence(9)),
                ..PublishOutcome::accepted()
            },
        ),
    ];
    for (token, outcome) in outcomes {
        session.handle_outcome(token, outcome).unwrap();
    }
    assert_eq!(
        written(&mut session),
        ["PUBACK #1 0x97 'full'", "PUBREC #2 0x83 'broken'", "PUBACK #3 es-seq=9"]
    );
    assert_eq!(session.unacknowledged(), 0);
}

#[test]
fn qos2_duplicate_is_not_published_again_until_pubrel() {
    let mut session = session(v5());
    let token = publish_new(&mut session, 2, 4);
    publish_again(&mut session, 2, 4);
    accept(&mut session, token);
    assert_eq!(written(&mut session), ["PUBREC #4"]);
    publish_again(&mut session, 2, 4);
    assert_eq!(written(&mut session), ["PUBREC #4"]);
    acknowledge(&mut session, Packet::PubRel, 4, 0);
    written(&mut session);
    let again = publish_new(&mut session, 2, 4);
    accept(&mut session, again);
    assert_eq!(written(&mut session), ["PUBREC #4"]);
}

#[test]
fn refused_qos2_needs_no_pubrel() {
    let mut session = session(v5());
    let token = publish_new(&mut session, 2, 4);
    let refused = PublishOutcome::refused(ReasonCode::QuotaExceeded, "full");
    session.handle_outcome(token, refused).unwrap();
    assert_eq!(written(&mut session), ["PUBREC #4 0x97 'full'"]);
    publish_new(&mut session, 2, 4);
}

#[test]
fn pubrel_of_an_unknown_identifier_is_answered_with_0x92() {
    let mut session = session(v5());
    acknowledge(&mut session, Packet::PubRel, 8, 0);
    assert_eq!(written(&mut session), ["PUBCOMP #8 0x92"]);
}

#[test]
fn pubrel_of_an_unknown_identifier_is_just_completed_in_3_1_1() {
    let mut session = session(v3());
    acknowledge(&mut session, Packet::PubRel, 8, 0);
    assert_eq!(written(&mut session), ["PUBCOMP #8"]);
}

#[test]
fn pubrel_before_pubrec_does_not_free_the_identifier() {
    let mut session = session(v5());
    let token = publish_new(&mut session, 2, 4);
    acknowledge(&mut session, Packet::PubRel, 4, 0);
    assert_eq!(written(&mut session), ["PUBCOMP #4 0x92"]);
    publish_again(&mut session, 2, 4);
    accept(&mut session, token);
    assert_eq!(written(&mut session), ["PUBREC #4"]);
}

#[test]
fn qos1_under_an_identifier_that_qos2_holds_is_refused() {
    let mut session = session(v5());
    let token = publish_new(&mut session, 2, 4);
    publish_again(&mut session, 1, 4);
    assert!(written(&mut session).is_empty());
    accept(&mut session, token);
    assert_eq!(written(&mut session), ["PUBREC #4", "PUBACK #4 0x91"]);
}

#[test]
fn refused_identifiers_that_wait_for_their_turn_count_against_receive_maximum() {
    let mut session = session(LinkOptions {
        server_receive_maximum: 2,
        ..v5()
    });
    publish_new(&mut session, 2, 4);
    publish_again(&mut session, 1, 4);
    assert_eq!(fault(&mut session, publish(1, 4)), ReasonCode::ReceiveMaximumExceeded);
}

#[test]
fn more_open_messages_than_the_servers_receive_maximum_are_a_fault() {
    let mut session = session(LinkOptions {
        server_receive_maximum: 2,
        ..v5()
    });
    publish_new(&mut session, 1, 1);
    publish_new(&mut session, 2, 2);
    assert_eq!(fault(&mut session, publish(1, 3)), ReasonCode::ReceiveMaximumExceeded);
}

#[test]
fn qos2_is_open_until_pubcomp_and_qos0_never() {
    let mut session = session(LinkOptions {
        server_receive_maximum: 1,
        ..v5()
    });
    let token = publish_new(&mut session, 2, 1);
    accept(&mut session, token);
    assert!(session.handle_packet(publish(0, 0)).is_ok());
    publish_again(&mut session, 2, 1);
    acknowledge(&mut session, Packet::PubRel, 1, 0);
    let token = publish_new(&mut session, 1, 2);
    accept(&mut session, token);
    publish_new(&mut session, 1, 3);
    assert_eq!(fault(&mut session, publish(2, 4)), ReasonCode::ReceiveMaximumExceeded);
}

#[test]
fn receive_maximum_is_unknown_to_3_1_1() {
    let mut session = session(LinkOptions {
        server_receive_maximum: 1,
        ..v3()
    });
    for packet_id in 1..=3 {
        publish_new(&mut session, 1, packet_id);
    }
    assert_eq!(session.unacknowledged(), 3);
}

#[test]
fn refused_publish_ends_a_3_1_1_connection_without_acknowledgement() {
    for qos in [1, 2] {
        let mut session = session(v3());
        let token = publish_new(&mut session, qos, 1);
        let refused = PublishOutcome::refused(ReasonCode::QuotaExceeded, "full");
        let fault = session.handle_outcome(token, refused).unwrap_err();
        assert_eq!((fault.reason, &*fault.what), (ReasonCode::QuotaExceeded, "full"));
        assert!(written(&mut session).is_empty());
    }
}

#[test]
fn acknowledgement_of_a_3_1_1_client_says_nothing_but_the_identifier() {
    let mut session = session(v3());
    let token = publish_new(&mut session, 1, 1);
    let outcome = PublishOutcome {
        sequence: Some(Sequence(9)),
        reason: ReasonCode::NoMatchingSubscribers,
        reason_string: None,
    };
    session.handle_outcome(token, outcome).unwrap();
    assert_eq!(written(&mut session), ["PUBACK #1"]);
}

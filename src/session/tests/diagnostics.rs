//! Request Problem Information 0: no reason string and no user property on what is not PUBLISH, CONNACK or DISCONNECT
//! [MQTT-3.1.2-29].

use super::*;
use crate::codec::{ConnAck, Disconnect, SubAck};

fn terse() -> LinkOptions {
    LinkOptions {
        problem_information: false,
        ..v5()
    }
}

fn suback() -> SubAck {
    SubAck {
        packet_id: id(1),
        reasons: vec![ReasonCode::Success],
        reason_string: Some("why".into()),
        user_properties: vec![("a".into(), "b".into())],
    }
}

#[test]
fn publish_acknowledgements_carry_the_reason_alone() {
    let mut session = session(terse());
    let refused = publish_new(&mut session, 1, 1);
    let stored = publish_new(&mut session, 2, 2);
    let outcome = PublishOutcome::refused(ReasonCode::QuotaExceeded, "full");
    session.handle_outcome(refused, outcome).unwrap();
    let outcome = PublishOutcome {
        sequence: Some(Sequence(1)),
        ..PublishOutcome::accepted()
    };
    session.handle_outcome(stored, outcome).unwrap();
    assert_eq!(written(&mut session), ["PUBACK #1 0x97", "PUBREC #2"]);
}

#[test]
fn subscribe_acknowledgements_carry_the_reasons_alone() {
    let bare = SubAck {
        reason_string: None,
        user_properties: Vec::new(),
        ..suback()
    };
    let mut session = session(terse());
    session.write(Packet::SubAck(suback()));
    session.write(Packet::UnsubAck(suback()));
    assert_eq!(
        written(&mut session),
        [
            format!("{:?}", Packet::SubAck(bare.clone())),
            format!("{:?}", Packet::UnsubAck(bare))
        ]
    );
}

#[test]
fn connack_disconnect_and_publish_stay_whole() {
    let mut connack = ConnAck::new(ReasonCode::Success);
    connack.reason_string = Some("why".into());
    let mut disconnect = Disconnect::new(ReasonCode::ServerShuttingDown);
    disconnect.user_properties = vec![("a".into(), "b".into())];
    let (connack, disconnect) = (Packet::ConnAck(Box::new(connack)), Packet::Disconnect(disconnect));
    let expected = [
        format!("{connack:?}"),
        "PUBLISH q1 #1 t es-seq=1 es-time=7 es-channel=t '1'".into(),
        format!("{disconnect:?}"),
    ];
    let mut session = session(terse());
    session.write(connack);
    assert!(send(&mut session, stored(1, 1, Source::Replay)));
    session.write(disconnect);
    assert_eq!(written(&mut session), expected);
}

#[test]
fn everything_is_told_to_a_client_that_wants_it() {
    let mut session = session(v5());
    session.write(Packet::SubAck(suback()));
    assert_eq!(written(&mut session), [format!("{:?}", Packet::SubAck(suback()))]);
}

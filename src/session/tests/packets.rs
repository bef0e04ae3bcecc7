//! Which packets a client may send, and what those that the session does not answer ask for.

use super::*;
use crate::codec::{Auth, ConnAck, Connect, Disconnect, SubAck, Subscribe, Unsubscribe};

fn connect() -> Packet<'static> {
    Packet::Connect(Box::new(Connect::new(Version::V5, "client")))
}

fn suback() -> SubAck {
    SubAck {
        packet_id: id(1),
        reasons: vec![ReasonCode::Success],
        reason_string: None,
        user_properties: Vec::new(),
    }
}

#[test]
fn second_connect_is_a_protocol_error() {
    assert_eq!(fault(&mut session(v5()), connect()), ReasonCode::ProtocolError);
    assert_eq!(fault(&mut session(v3()), connect()), ReasonCode::ProtocolError);
}

#[test]
fn packets_of_a_server_are_protocol_errors() {
    for packet in [
        Packet::ConnAck(Box::new(ConnAck::new(ReasonCode::Success))),
        Packet::SubAck(suback()),
        Packet::UnsubAck(suback()),
        Packet::PingResp,
    ] {
        assert_eq!(fault(&mut session(v5()), packet), ReasonCode::ProtocolError);
    }
}

#[test]
fn auth_without_a_method_in_connect_is_a_protocol_error() {
    let auth = Packet::Auth(Auth {
        reason: ReasonCode::ReAuthenticate,
        method: Some("x".into()),
        data: None,
        reason_string: None,
        user_properties: Vec::new(),
    });
    assert_eq!(fault(&mut session(v5()), auth), ReasonCode::ProtocolError);
}

#[test]
fn pingreq_is_answered_at_once() {
    let mut session = session(v5());
    assert!(matches!(session.handle_packet(Packet::PingReq), Ok(Action::None)));
    assert_eq!(written(&mut session), ["PINGRESP"]);
}

#[test]
fn subscribe_unsubscribe_and_disconnect_are_for_the_broker() {
    let mut session = session(v5());
    let subscribe = Subscribe {
        packet_id: id(1),
        subscription_id: None,
        user_properties: Vec::new(),
        filters: Vec::new(),
    };
    let unsubscribe = Unsubscribe {
        packet_id: id(2),
        user_properties: Vec::new(),
        filters: Vec::new(),
    };
    let action = session.handle_packet(Packet::Subscribe(subscribe));
    assert!(matches!(action, Ok(Action::Subscribe(asked)) if asked.packet_id == id(1)));
    let action = session.handle_packet(Packet::Unsubscribe(unsubscribe));
    assert!(matches!(action, Ok(Action::Unsubscribe(asked)) if asked.packet_id == id(2)));
    let goodbye = Packet::Disconnect(Disconnect::new(ReasonCode::Success));
    assert!(matches!(session.handle_packet(goodbye), Ok(Action::Disconnect(_))));
    assert!(written(&mut session).is_empty());
}

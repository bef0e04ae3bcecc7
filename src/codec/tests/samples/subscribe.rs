//! SUBSCRIBE, UNSUBSCRIBE and what answers them.

use super::{Sample, pairs, row};
use crate::codec::tests::id;
use crate::codec::*;
use crate::types::Version::{V3, V5};
use crate::types::{QoS, ReasonCode};

fn filter(text: &str, qos: QoS) -> SubscribeFilter {
    SubscribeFilter {
        filter: text.into(),
        qos,
        no_local: false,
        retain_as_published: false,
        retain_handling: RetainHandling::Send,
    }
}

pub(super) fn subscribe() -> Vec<Sample> {
    let packet = |subscription_id, list: &[(&str, &str)], filters| {
        Packet::Subscribe(Subscribe {
            packet_id: id(10),
            subscription_id,
            user_properties: pairs(list),
            filters,
        })
    };
    let unsubscribe = |list: &[(&str, &str)], filters: &[&str]| {
        Packet::Unsubscribe(Unsubscribe {
            packet_id: id(10),
            user_properties: pairs(list),
            filters: filters.iter().map(|text| text.to_string()).collect(),
        })
    };
    let many = vec![
        filter("a/#", QoS::AtMostOnce),
        SubscribeFilter {
            no_local: true,
            ..filter("+", QoS::AtLeastOnce)
        },
        SubscribeFilter {
            retain_as_published: true,
            retain_handling: RetainHandling::SendIfNew,
            ..filter("$share/g/x", QoS::ExactlyOnce)
        },
        SubscribeFilter {
            retain_handling: RetainHandling::DoNotSend,
            ..filter("q", QoS::AtMostOnce)
        },
    ];
    vec![
        row(
            "v5 subscribe",
            V5,
            "82 (000A () 'a/b' 01)",
            packet(None, &[], vec![filter("a/b", QoS::AtLeastOnce)]),
        ),
        row(
            "v3 subscribe",
            V3,
            "82 (000A 'a/b' 02)",
            packet(None, &[], vec![filter("a/b", QoS::ExactlyOnce)]),
        ),
        row(
            "v3 subscribe to two",
            V3,
            "82 (000A '#' 00 '$replay/first/a' 01)",
            packet(
                None,
                &[],
                vec![
                    filter("#", QoS::AtMostOnce),
                    filter("$replay/first/a", QoS::AtLeastOnce),
                ],
            ),
        ),
        row(
            "v5 subscribe with every option",
            V5,
            "82 (000A () 'a/#' 00 '+' 05 '$share/g/x' 1A 'q' 20)",
            packet(None, &[], many),
        ),
        row(
            "v5 subscribe with properties",
            V5,
            "82 (000A (0B 01 26 'replay' 'first') 'a' 00)",
            packet(Some(1), &[("replay", "first")], vec![filter("a", QoS::AtMostOnce)]),
        ),
        row(
            "v5 subscribe with the largest identifier",
            V5,
            "82 (000A (0B FFFFFF7F) 'a' 00)",
            packet(Some(268_435_455), &[], vec![filter("a", QoS::AtMostOnce)]),
        ),
        row(
            "v5 subscribe to text that is no filter",
            V5,
            "82 (000A () 'a#' 00 '' 00)",
            packet(
                None,
                &[],
                vec![filter("a#", QoS::AtMostOnce), filter("", QoS::AtMostOnce)],
            ),
        ),
        row(
            "v5 unsubscribe",
            V5,
            "A2 (000A () 'a' 'b/+')",
            unsubscribe(&[], &["a", "b/+"]),
        ),
        row(
            "v5 unsubscribe with a property",
            V5,
            "A2 (000A (26 'cursor' 'keep') 'a')",
            unsubscribe(&[("cursor", "keep")], &["a"]),
        ),
        row(
            "v3 unsubscribe",
            V3,
            "A2 (000A 'a' 'b/+')",
            unsubscribe(&[], &["a", "b/+"]),
        ),
    ]
}

pub(super) fn subscribe_acks() -> Vec<Sample> {
    let ack = |reasons: &[ReasonCode], reason: Option<&str>, list: &[(&str, &str)]| SubAck {
        packet_id: id(10),
        reasons: reasons.to_vec(),
        reason_string: reason.map(str::to_owned),
        user_properties: pairs(list),
    };
    let granted = [ReasonCode::Success, ReasonCode::GrantedQoS1, ReasonCode::GrantedQoS2];
    let mixed = [
        ReasonCode::GrantedQoS1,
        ReasonCode::TopicFilterInvalid,
        ReasonCode::QuotaExceeded,
    ];
    let removed = [
        ReasonCode::Success,
        ReasonCode::NoSubscriptionExisted,
        ReasonCode::NotAuthorized,
    ];
    vec![
        row(
            "v5 suback",
            V5,
            "90 (000A () 00 01 02)",
            Packet::SubAck(ack(&granted, None, &[])),
        ),
        row(
            "v5 suback with all",
            V5,
            "90 (000A (1F 'why' 26 'es-start' 'fresh') 01 8F 97)",
            Packet::SubAck(ack(&mixed, Some("why"), &[("es-start", "fresh")])),
        ),
        row(
            "v3 suback",
            V3,
            "90 (000A 00 01 02)",
            Packet::SubAck(ack(&granted, None, &[])),
        ),
        row(
            "v3 suback refused",
            V3,
            "90 (000A 80)",
            Packet::SubAck(ack(&[ReasonCode::UnspecifiedError], None, &[])),
        ),
        row(
            "v5 unsuback",
            V5,
            "B0 (000A () 00 11 87)",
            Packet::UnsubAck(ack(&removed, None, &[])),
        ),
        row(
            "v5 unsuback with all",
            V5,
            "B0 (000A (1F 'why' 26 'k' 'v') 00 11 87)",
            Packet::UnsubAck(ack(&removed, Some("why"), &[("k", "v")])),
        ),
        row("v3 unsuback", V3, "B0 02 000A", Packet::UnsubAck(ack(&[], None, &[]))),
    ]
}

//! What a message says under the names of a selector.

use super::*;
use crate::codec::encode_property;
use crate::log::Stored;
use crate::types::{ChannelId, MessageParts, Position};

fn message(expiry_secs: Option<u32>) -> Message {
    let mut properties = Vec::new();
    let rows = [
        (PropertyId::ContentType, PropertyValue::Text("application/json")),
        (PropertyId::UserProperty, PropertyValue::Pair("region", "us")),
        (PropertyId::UserProperty, PropertyValue::Pair("topic", "shadow")),
        (PropertyId::ResponseTopic, PropertyValue::Text("answers")),
        (PropertyId::CorrelationData, PropertyValue::Binary(b"c-1")),
        (PropertyId::UserProperty, PropertyValue::Pair("region", "eu")),
    ];
    for (id, value) in rows {
        encode_property(id, value, &mut properties).expect("its own type");
    }
    let parts = MessageParts {
        topic: "a.b/c",
        properties: &properties,
        payload: br#"{"temp":21.5}"#,
        qos: QoS::AtLeastOnce,
        retain: true,
        expiry_secs,
        received: Timestamp(1_764_000_000_123_456_789),
    };
    Message::new(parts, None)
}

fn kept(kind: ChannelKind) -> Option<Kept> {
    let place = Stored {
        position: Position(7),
        sequence: Sequence(17),
        time: Timestamp(1),
        channel: ChannelId(1),
    };
    Some(Kept { place, kind })
}

fn says(subject: &Subject<'_>, text: &str) -> Truth {
    Selector::compile(text).expect(text).evaluate(subject)
}

#[test]
fn headers_properties_and_payload_are_found_in_a_message() {
    let message = message(Some(60));
    let subject = Subject::kept(&message, kept(ChannelKind::Event));
    for text in [
        "JMSType = 'application/json'",
        "JMSCorrelationID = 'c-1'",
        "JMSReplyTo = 'answers'",
        "JMSDestination = 'a.b/c' AND topic = 'a.b/c'",
        "JMSMessageID = 'ID:a%2Eb.c/17'",
        "JMSTimestamp = 1764000000123",
        "JMSExpiration = 1764000060123",
        "JMSDeliveryMode = 'PERSISTENT'",
        "JMSPriority = 4",
        "NOT JMSRedelivered",
        "qos = 1",
        "retain",
        "region = 'eu'",
        "payload.temp = 21.5",
    ] {
        assert_eq!(says(&subject, text), Truth::True, "{text}");
    }
}

#[test]
fn what_is_no_event_has_no_identifier_and_is_not_persistent() {
    let message = message(None);
    for subject in [
        Subject::kept(&message, None),
        Subject::kept(&message, kept(ChannelKind::Held)),
    ] {
        let text = "JMSMessageID IS NULL AND JMSDeliveryMode = 'NON_PERSISTENT' AND JMSExpiration = 0";
        assert_eq!(says(&subject, text), Truth::True);
    }
    let expected = "JMSMessageID IS NULL AND JMSDeliveryMode = 'PERSISTENT'";
    assert_eq!(says(&Subject::new(&message, true), expected), Truth::True);
}

#[test]
fn correlation_data_that_is_no_text_is_null() {
    let mut properties = Vec::new();
    encode_property(
        PropertyId::CorrelationData,
        PropertyValue::Binary(&[0xff]),
        &mut properties,
    )
    .expect("binary");
    let parts = MessageParts {
        topic: "t",
        properties: &properties,
        payload: &[],
        qos: QoS::AtMostOnce,
        retain: false,
        expiry_secs: None,
        received: Timestamp(0),
    };
    let message = Message::new(parts, None);
    let subject = Subject::new(&message, false);
    assert_eq!(says(&subject, "JMSCorrelationID IS NULL"), Truth::True);
    assert_eq!(says(&subject, "JMSType IS NULL AND JMSReplyTo IS NULL"), Truth::True);
}

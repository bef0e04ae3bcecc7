//! A delivered message as people and programs read it. Decides nothing about a terminal.

use std::fmt::Write as _;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;

use crate::codec::{PropertyId, PropertyValue, Publish, properties};
use crate::types::{Timestamp, rfc3339};

/// A message with what the broker said of it.
#[derive(Debug, Default, Serialize)]
pub(super) struct View<'a> {
    topic: &'a str,
    /// The payload, if it is UTF-8.
    payload: Option<&'a str>,
    /// The payload, if it is not.
    payload_base64: Option<String>,
    /// Its number in its channel, if it came by a replay.
    pub(super) sequence: Option<u64>,
    channel: Option<&'a str>,
    /// When it was stored.
    time: Option<String>,
    /// When it came here.
    received: String,
    qos: u8,
    pub(super) retain: bool,
    pub(super) redelivered: bool,
    content_type: Option<&'a str>,
    response_topic: Option<&'a str>,
    correlation_data_base64: Option<String>,
    expiry_seconds: Option<u32>,
    user_properties: Vec<UserProperty<'a>>,
    #[serde(skip)]
    pub(super) stored: Option<Timestamp>,
}

#[derive(Debug, Serialize)]
struct UserProperty<'a> {
    name: &'a str,
    value: &'a str,
}

impl<'a> View<'a> {
    /// What is to be seen of a PUBLISH. Only to a `replay` the broker adds properties of its own, and then no publisher's are
    /// called so.
    pub(super) fn of(publish: &Publish<'a>, replay: bool, now: Timestamp) -> Self {
        let mut view = Self {
            topic: publish.topic,
            received: rfc3339(now),
            qos: publish.qos.bits(),
            retain: publish.retain,
            expiry_seconds: publish.expiry_secs,
            ..Self::default()
        };
        match std::str::from_utf8(publish.payload) {
            Ok(text) => view.payload = Some(text),
            Err(_) => view.payload_base64 = Some(STANDARD.encode(publish.payload)),
        }
        for (id, value) in properties(publish.properties) {
            view.take(id, value, replay);
        }
        view.time = view.stored.map(rfc3339);
        view
    }

    fn take(&mut self, id: PropertyId, value: PropertyValue<'a>, replay: bool) {
        match (id, value) {
            (PropertyId::ContentType, PropertyValue::Text(text)) => self.content_type = Some(text),
            (PropertyId::ResponseTopic, PropertyValue::Text(text)) => self.response_topic = Some(text),
            (PropertyId::CorrelationData, PropertyValue::Binary(bytes)) => {
                self.correlation_data_base64 = Some(STANDARD.encode(bytes));
            }
            (PropertyId::UserProperty, PropertyValue::Pair(name, value)) => match name {
                "es-seq" if replay => self.sequence = value.parse().ok(),
                "es-time" if replay => self.stored = value.parse().ok().map(Timestamp),
                "es-channel" if replay => self.channel = Some(value),
                "es-redelivered" if replay => self.redelivered = value == "true",
                name => self.user_properties.push(UserProperty { name, value }),
            },
            _ => {}
        }
    }
}

/// Bytes as one line of text that no terminal acts on: what is no UTF-8, and what controls a terminal or the direction of
/// writing, is escaped.
pub(super) fn printable(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for character in chunk.valid().chars() {
            put(character, &mut text);
        }
        for byte in chunk.invalid() {
            write!(text, "\\x{byte:02x}").expect("a String takes all text");
        }
    }
    text
}

fn put(character: char, text: &mut String) {
    match character {
        '\n' => text.push_str("\\n"),
        '\r' => text.push_str("\\r"),
        '\t' => text.push_str("\\t"),
        '\0'..' ' | '\u{7f}' => write!(text, "\\x{:02x}", u32::from(character)).expect("a String takes all text"),
        '\u{80}'..'\u{a0}'
        | '\u{200b}'..='\u{200f}'
        | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}'
        | '\u{feff}' => {
            text.extend(character.escape_unicode());
        }
        _ => text.push(character),
    }
}

/// Bytes in hexadecimal digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        write!(text, "{byte:02x}").expect("a String takes all text");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::{encode_property, encode_user_property};
    use crate::types::QoS;

    fn json(replay: bool, payload: &[u8]) -> serde_json::Value {
        let mut raw = Vec::new();
        encode_property(PropertyId::ContentType, PropertyValue::Text("text/plain"), &mut raw).expect("fits");
        for (name, value) in [
            ("a", "1"),
            ("a", "2"),
            ("es-seq", "7"),
            ("es-time", "1500000000"),
            ("es-channel", "x.y"),
        ] {
            encode_user_property(name, value, &mut raw);
        }
        let publish = Publish {
            dup: false,
            qos: QoS::AtMostOnce,
            retain: false,
            topic: "x/y",
            packet_id: None,
            topic_alias: None,
            expiry_secs: None,
            properties: &raw,
            has_hop_properties: false,
            has_user_properties: true,
            payload,
        };
        serde_json::to_value(View::of(&publish, replay, Timestamp(2_000_000_000))).expect("JSON")
    }

    #[test]
    fn what_a_replay_adds_is_taken_apart() {
        let told = json(true, "é".as_bytes());
        assert_eq!(
            (&told["payload"], &told["sequence"], &told["channel"]),
            (&"é".into(), &7.into(), &"x.y".into())
        );
        assert_eq!(told["time"], "1970-01-01T00:00:01.5Z");
        assert_eq!(told["received"], "1970-01-01T00:00:02Z");
        assert_eq!(told["content_type"], "text/plain");
        let properties = told["user_properties"].as_array().expect("a list");
        assert_eq!(properties.len(), 2);
        assert_eq!(properties[1], serde_json::json!({"name": "a", "value": "2"}));
    }

    #[test]
    fn without_a_replay_a_publisher_cannot_pass_for_the_broker() {
        let told = json(false, b"");
        assert!(told["sequence"].is_null() && told["time"].is_null() && told["channel"].is_null());
        assert_eq!(told["user_properties"].as_array().map(Vec::len), Some(5));
    }

    #[test]
    fn bytes_that_are_no_text_are_base64() {
        let told = json(true, &[0xFF, 0]);
        assert!(told["payload"].is_null());
        assert_eq!(told["payload_base64"], "/wA=");
    }

    #[test]
    fn no_text_moves_the_cursor_of_a_terminal() {
        assert_eq!(
            printable("a\u{1b}[2Jé\n\t\r\0\u{7f}".as_bytes()),
            "a\\x1b[2Jé\\n\\t\\r\\x00\\x7f"
        );
        assert_eq!(printable(b"a\xff\xc3b"), "a\\xff\\xc3b");
        assert_eq!(printable("\u{202e}\u{9b}".as_bytes()), "\\u{202e}\\u{9b}");
        assert_eq!(hex(&[0, 0xAB]), "00ab");
    }
}

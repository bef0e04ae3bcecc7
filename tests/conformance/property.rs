//! The properties of MQTT 5.0 (section 2.2.2.2), by the names that scripts use.

/// The type of a property's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Byte,
    Two,
    Four,
    Variable,
    Text,
    Binary,
    Pair,
}

/// A property: its name, its identifier, its type, and the packets of a server that may carry it.
#[derive(Clone, Copy, Debug)]
pub struct Property {
    pub name: &'static str,
    pub id: u8,
    pub kind: Kind,
    pub from_server: &'static [&'static str],
}

impl Property {
    pub fn named(name: &str) -> Option<&'static Self> {
        PROPERTIES.iter().find(|property| property.name == name)
    }

    pub fn of(id: u8) -> Option<&'static Self> {
        PROPERTIES.iter().find(|property| property.id == id)
    }

    /// Whether a server's packet may carry it more than once.
    pub fn may_repeat(&self) -> bool {
        matches!(self.name, "user" | "subscription_id")
    }
}

const fn property(name: &'static str, id: u8, kind: Kind, from_server: &'static [&'static str]) -> Property {
    Property {
        name,
        id,
        kind,
        from_server,
    }
}

const PUBLISH: &[&str] = &["PUBLISH"];
const CONNACK: &[&str] = &["CONNACK"];
const AUTHENTICATION: &[&str] = &["CONNACK", "AUTH"];
const REASONED: &[&str] = &[
    "CONNACK",
    "PUBACK",
    "PUBREC",
    "PUBREL",
    "PUBCOMP",
    "SUBACK",
    "UNSUBACK",
    "DISCONNECT",
    "AUTH",
];
const ANY: &[&str] = &[
    "CONNACK",
    "PUBLISH",
    "PUBACK",
    "PUBREC",
    "PUBREL",
    "PUBCOMP",
    "SUBACK",
    "UNSUBACK",
    "DISCONNECT",
    "AUTH",
];

const PROPERTIES: &[Property] = &[
    property("payload_format", 0x01, Kind::Byte, PUBLISH),
    property("message_expiry", 0x02, Kind::Four, PUBLISH),
    property("content_type", 0x03, Kind::Text, PUBLISH),
    property("response_topic", 0x08, Kind::Text, PUBLISH),
    property("correlation_data", 0x09, Kind::Binary, PUBLISH),
    property("subscription_id", 0x0B, Kind::Variable, PUBLISH),
    property("session_expiry", 0x11, Kind::Four, CONNACK),
    property("assigned_client_id", 0x12, Kind::Text, CONNACK),
    property("server_keep_alive", 0x13, Kind::Two, CONNACK),
    property("authentication_method", 0x15, Kind::Text, AUTHENTICATION),
    property("authentication_data", 0x16, Kind::Binary, AUTHENTICATION),
    property("request_problem_information", 0x17, Kind::Byte, &[]),
    property("will_delay", 0x18, Kind::Four, &[]),
    property("request_response_information", 0x19, Kind::Byte, &[]),
    property("response_information", 0x1A, Kind::Text, CONNACK),
    property("server_reference", 0x1C, Kind::Text, &["CONNACK", "DISCONNECT"]),
    property("reason_string", 0x1F, Kind::Text, REASONED),
    property("receive_maximum", 0x21, Kind::Two, CONNACK),
    property("topic_alias_maximum", 0x22, Kind::Two, CONNACK),
    property("topic_alias", 0x23, Kind::Two, PUBLISH),
    property("maximum_qos", 0x24, Kind::Byte, CONNACK),
    property("retain_available", 0x25, Kind::Byte, CONNACK),
    property("user", 0x26, Kind::Pair, ANY),
    property("maximum_packet_size", 0x27, Kind::Four, CONNACK),
    property("wildcard_available", 0x28, Kind::Byte, CONNACK),
    property("subscription_ids_available", 0x29, Kind::Byte, CONNACK),
    property("shared_available", 0x2A, Kind::Byte, CONNACK),
];

//! Every packet of MQTT 5.0 and 3.1.1 as a value. Borrows from the read buffer where a packet is hot. Knows no bytes.

use crate::types::{PacketId, QoS, ReasonCode, Version};

/// One control packet, either direction.
#[derive(Clone, Debug, PartialEq)]
pub enum Packet<'a> {
    /// CONNECT (section 3.1).
    Connect(Box<Connect>),
    /// CONNACK (section 3.2).
    ConnAck(Box<ConnAck>),
    /// PUBLISH (section 3.3).
    Publish(Publish<'a>),
    /// PUBACK (section 3.4).
    PubAck(Ack),
    /// PUBREC (section 3.5).
    PubRec(Ack),
    /// PUBREL (section 3.6).
    PubRel(Ack),
    /// PUBCOMP (section 3.7).
    PubComp(Ack),
    /// SUBSCRIBE (section 3.8).
    Subscribe(Subscribe),
    /// SUBACK (section 3.9).
    SubAck(SubAck),
    /// UNSUBSCRIBE (section 3.10).
    Unsubscribe(Unsubscribe),
    /// UNSUBACK (section 3.11).
    UnsubAck(SubAck),
    /// PINGREQ (section 3.12).
    PingReq,
    /// PINGRESP (section 3.13).
    PingResp,
    /// DISCONNECT (section 3.14).
    Disconnect(Disconnect),
    /// AUTH (section 3.15).
    Auth(Auth),
}

impl Packet<'_> {
    /// The user properties of a packet that has them taken apart; `None` for PUBLISH and where there are none.
    pub fn user_properties(&self) -> Option<&UserProperties> {
        Some(match self {
            Self::Connect(connect) => &connect.user_properties,
            Self::ConnAck(connack) => &connack.user_properties,
            Self::PubAck(ack) | Self::PubRec(ack) | Self::PubRel(ack) | Self::PubComp(ack) => &ack.user_properties,
            Self::Subscribe(subscribe) => &subscribe.user_properties,
            Self::SubAck(ack) | Self::UnsubAck(ack) => &ack.user_properties,
            Self::Unsubscribe(unsubscribe) => &unsubscribe.user_properties,
            Self::Disconnect(disconnect) => &disconnect.user_properties,
            Self::Auth(auth) => &auth.user_properties,
            Self::Publish(_) | Self::PingReq | Self::PingResp => return None,
        })
    }
}

/// User properties in order; names may repeat.
pub type UserProperties = Vec<(String, String)>;

/// CONNECT, with every property (section 3.1).
#[derive(Clone, Debug, PartialEq)]
pub struct Connect {
    /// The protocol version asked for.
    pub version: Version,
    /// Clean Start (3.1.1: Clean Session).
    pub clean_start: bool,
    /// Keep Alive, seconds; 0 is off.
    pub keep_alive_secs: u16,
    /// The client identifier; may be empty.
    pub client_id: String,
    /// The will, if any.
    pub will: Option<Will>,
    /// The user name, if any.
    pub username: Option<String>,
    /// The password, if any: binary data.
    pub password: Option<Vec<u8>>,
    /// Session Expiry Interval, seconds.
    pub session_expiry_secs: Option<u32>,
    /// Receive Maximum; never 0.
    pub receive_maximum: Option<u16>,
    /// Maximum Packet Size, bytes; never 0.
    pub maximum_packet_size: Option<u32>,
    /// Topic Alias Maximum.
    pub topic_alias_maximum: Option<u16>,
    /// Request Response Information.
    pub request_response_information: Option<bool>,
    /// Request Problem Information.
    pub request_problem_information: Option<bool>,
    /// Authentication Method.
    pub authentication_method: Option<String>,
    /// Authentication Data.
    pub authentication_data: Option<Vec<u8>>,
    /// User properties.
    pub user_properties: UserProperties,
}

impl Connect {
    /// A CONNECT with Clean Start, without keep-alive, will, user and properties.
    pub fn new(version: Version, client_id: impl Into<String>) -> Self {
        Self {
            version,
            clean_start: true,
            keep_alive_secs: 0,
            client_id: client_id.into(),
            will: None,
            username: None,
            password: None,
            session_expiry_secs: None,
            receive_maximum: None,
            maximum_packet_size: None,
            topic_alias_maximum: None,
            request_response_information: None,
            request_problem_information: None,
            authentication_method: None,
            authentication_data: None,
            user_properties: Vec::new(),
        }
    }
}

/// The will of a CONNECT (section 3.1.3.2).
#[derive(Clone, Debug, PartialEq)]
pub struct Will {
    /// Where it is published.
    pub topic: String,
    /// What is published.
    pub payload: Vec<u8>,
    /// Its QoS.
    pub qos: QoS,
    /// Whether it is retained.
    pub retain: bool,
    /// Will Delay Interval, seconds.
    pub delay_secs: u32,
    /// Message Expiry Interval, seconds.
    pub expiry_secs: Option<u32>,
    /// The will's other properties as a PUBLISH carries them: wire bytes without length, delay and expiry.
    pub properties: Vec<u8>,
}

/// CONNACK (section 3.2).
#[derive(Clone, Debug, PartialEq)]
pub struct ConnAck {
    /// Whether the server held a session.
    pub session_present: bool,
    /// The reason; the encoder maps it to a return code for 3.1.1.
    pub reason: ReasonCode,
    /// Session Expiry Interval, seconds, where the server uses another than asked for.
    pub session_expiry_secs: Option<u32>,
    /// Receive Maximum.
    pub receive_maximum: Option<u16>,
    /// Maximum QoS.
    pub maximum_qos: Option<u8>,
    /// Retain Available.
    pub retain_available: Option<bool>,
    /// Maximum Packet Size, bytes.
    pub maximum_packet_size: Option<u32>,
    /// Assigned Client Identifier.
    pub assigned_client_id: Option<String>,
    /// Topic Alias Maximum.
    pub topic_alias_maximum: Option<u16>,
    /// Reason String.
    pub reason_string: Option<String>,
    /// User properties.
    pub user_properties: UserProperties,
    /// Wildcard Subscription Available.
    pub wildcard_subscription_available: Option<bool>,
    /// Subscription Identifiers Available.
    pub subscription_identifiers_available: Option<bool>,
    /// Shared Subscription Available.
    pub shared_subscription_available: Option<bool>,
    /// Server Keep Alive, seconds.
    pub server_keep_alive_secs: Option<u16>,
    /// Response Information.
    pub response_information: Option<String>,
    /// Server Reference.
    pub server_reference: Option<String>,
    /// Authentication Method.
    pub authentication_method: Option<String>,
    /// Authentication Data.
    pub authentication_data: Option<Vec<u8>>,
}

impl ConnAck {
    /// A CONNACK of this reason and nothing else.
    pub fn new(reason: ReasonCode) -> Self {
        Self {
            session_present: false,
            reason,
            session_expiry_secs: None,
            receive_maximum: None,
            maximum_qos: None,
            retain_available: None,
            maximum_packet_size: None,
            assigned_client_id: None,
            topic_alias_maximum: None,
            reason_string: None,
            user_properties: Vec::new(),
            wildcard_subscription_available: None,
            subscription_identifiers_available: None,
            shared_subscription_available: None,
            server_keep_alive_secs: None,
            response_information: None,
            server_reference: None,
            authentication_method: None,
            authentication_data: None,
        }
    }
}

/// PUBLISH, borrowed from the read buffer (section 3.3).
#[derive(Clone, Debug, PartialEq)]
pub struct Publish<'a> {
    /// DUP flag.
    pub dup: bool,
    /// QoS.
    pub qos: QoS,
    /// RETAIN flag.
    pub retain: bool,
    /// Topic name; empty only with a topic alias.
    pub topic: &'a str,
    /// Packet identifier; `Some` exactly when QoS > 0.
    pub packet_id: Option<PacketId>,
    /// Topic Alias; never 0.
    pub topic_alias: Option<u16>,
    /// Message Expiry Interval, seconds.
    pub expiry_secs: Option<u32>,
    /// All properties, checked, as on the wire, without the length.
    pub properties: &'a [u8],
    /// Whether `properties` holds Topic Alias or Message Expiry Interval (which a message does not carry along).
    pub has_hop_properties: bool,
    /// Whether `properties` holds a user property.
    pub has_user_properties: bool,
    /// The application's bytes.
    pub payload: &'a [u8],
}

/// PUBACK, PUBREC, PUBREL or PUBCOMP.
#[derive(Clone, Debug, PartialEq)]
pub struct Ack {
    /// Packet identifier.
    pub packet_id: PacketId,
    /// Reason; Success where the packet leaves it out.
    pub reason: ReasonCode,
    /// Reason String.
    pub reason_string: Option<String>,
    /// User properties.
    pub user_properties: UserProperties,
}

impl Ack {
    /// An acknowledgement with a reason and no properties.
    pub fn new(packet_id: PacketId, reason: ReasonCode) -> Self {
        Self {
            packet_id,
            reason,
            reason_string: None,
            user_properties: Vec::new(),
        }
    }
}

/// SUBSCRIBE (section 3.8).
#[derive(Clone, Debug, PartialEq)]
pub struct Subscribe {
    /// Packet identifier.
    pub packet_id: PacketId,
    /// Subscription Identifier, 1 to 268,435,455.
    pub subscription_id: Option<u32>,
    /// User properties.
    pub user_properties: UserProperties,
    /// The filters asked for, at least one; the text is UTF-8 but not yet checked as a filter.
    pub filters: Vec<SubscribeFilter>,
}

/// One filter of a SUBSCRIBE with its options (section 3.8.3.1).
#[derive(Clone, Debug, PartialEq)]
pub struct SubscribeFilter {
    /// The filter text.
    pub filter: String,
    /// Maximum QoS.
    pub qos: QoS,
    /// No Local.
    pub no_local: bool,
    /// Retain As Published.
    pub retain_as_published: bool,
    /// Retain Handling.
    pub retain_handling: RetainHandling,
}

/// When retained messages are sent on SUBSCRIBE.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RetainHandling {
    /// 0: at every subscribe.
    #[default]
    Send = 0,
    /// 1: only if the subscription is new.
    SendIfNew = 1,
    /// 2: never.
    DoNotSend = 2,
}

/// SUBACK or UNSUBACK. For a 3.1.1 UNSUBACK the reasons are not sent.
#[derive(Clone, Debug, PartialEq)]
pub struct SubAck {
    /// Packet identifier.
    pub packet_id: PacketId,
    /// A reason per filter; the encoder maps failures to 0x80 for 3.1.1.
    pub reasons: Vec<ReasonCode>,
    /// Reason String.
    pub reason_string: Option<String>,
    /// User properties.
    pub user_properties: UserProperties,
}

/// UNSUBSCRIBE (section 3.10).
#[derive(Clone, Debug, PartialEq)]
pub struct Unsubscribe {
    /// Packet identifier.
    pub packet_id: PacketId,
    /// User properties.
    pub user_properties: UserProperties,
    /// The filters, at least one.
    pub filters: Vec<String>,
}

/// DISCONNECT (section 3.14).
#[derive(Clone, Debug, PartialEq)]
pub struct Disconnect {
    /// Reason; Success where the packet leaves it out.
    pub reason: ReasonCode,
    /// Session Expiry Interval, seconds.
    pub session_expiry_secs: Option<u32>,
    /// Reason String.
    pub reason_string: Option<String>,
    /// Server Reference.
    pub server_reference: Option<String>,
    /// User properties.
    pub user_properties: UserProperties,
}

impl Disconnect {
    /// A DISCONNECT with a reason and no properties.
    pub fn new(reason: ReasonCode) -> Self {
        Self {
            reason,
            session_expiry_secs: None,
            reason_string: None,
            server_reference: None,
            user_properties: Vec::new(),
        }
    }
}

/// AUTH (section 3.15).
#[derive(Clone, Debug, PartialEq)]
pub struct Auth {
    /// Reason; Success where the packet leaves it out.
    pub reason: ReasonCode,
    /// Authentication Method.
    pub method: Option<String>,
    /// Authentication Data.
    pub data: Option<Vec<u8>>,
    /// Reason String.
    pub reason_string: Option<String>,
    /// User properties.
    pub user_properties: UserProperties,
}

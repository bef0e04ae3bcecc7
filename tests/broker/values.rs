//! What a test client sends and gets, as values.

use rewindmq::codec::{self, Connect, Packet, PropertyId, PropertyValue, SubscribeFilter};
use rewindmq::types::{PacketId, QoS, Version};

/// What came from the broker.
#[derive(Clone, Debug)]
pub enum Received {
    Message(Message),
    Packet(Box<Packet<'static>>),
}

/// A PUBLISH that came from the broker.
#[derive(Clone, Debug, PartialEq)]
pub struct Message {
    pub topic: String,
    pub payload: Vec<u8>,
    pub qos: QoS,
    pub retain: bool,
    pub dup: bool,
    pub packet_id: Option<PacketId>,
    pub properties: Vec<u8>,
}

/// A PUBLISH to send.
#[derive(Clone, Copy, Debug)]
pub struct Post<'a> {
    pub topic: &'a str,
    pub payload: &'a [u8],
    pub qos: u8,
    pub retain: bool,
    pub dup: bool,
    pub user: &'a [(&'a str, &'a str)],
}

/// A CONNECT of MQTT 5 with a clean start and nothing else.
pub fn v5(client_id: &str) -> Connect {
    Connect::new(Version::V5, client_id)
}

/// A CONNECT of MQTT 3.1.1 with a clean session.
pub fn v3(client_id: &str) -> Connect {
    Connect {
        version: Version::V3,
        ..v5(client_id)
    }
}

/// A CONNECT that continues a session, or begins one that lasts.
pub fn lasting(client_id: &str) -> Connect {
    Connect {
        clean_start: false,
        session_expiry_secs: Some(3600),
        ..v5(client_id)
    }
}

/// A QoS 1 message.
pub fn post<'a>(topic: &'a str, payload: &'a str) -> Post<'a> {
    Post {
        topic,
        payload: payload.as_bytes(),
        qos: 1,
        retain: false,
        dup: false,
        user: &[],
    }
}

/// One filter of a SUBSCRIBE with no option but its QoS.
pub fn filter(filter: &str, qos: u8) -> SubscribeFilter {
    SubscribeFilter {
        filter: filter.into(),
        qos: QoS::from_bits(qos).expect("a QoS"),
        no_local: false,
        retain_as_published: false,
        retain_handling: codec::RetainHandling::Send,
    }
}

impl Message {
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.payload).expect("a text")
    }

    pub fn user(&self, wanted: &str) -> Option<String> {
        let mut values = codec::user_properties(&self.properties).filter(|(name, _)| *name == wanted);
        values.next().map(|(_, value)| value.to_owned())
    }

    fn number(&self, name: &str) -> u64 {
        let value = self.user(name);
        let number = value.as_deref().and_then(|value| value.parse().ok());
        number.unwrap_or_else(|| panic!("{name} is a number: {self:?}"))
    }

    /// `es-seq`.
    pub fn sequence(&self) -> u64 {
        self.number("es-seq")
    }

    /// `es-time`, Unix ns.
    pub fn time(&self) -> u64 {
        self.number("es-time")
    }

    pub fn subscription_ids(&self) -> Vec<u32> {
        let ids = codec::properties(&self.properties).filter_map(|property| match property {
            (PropertyId::SubscriptionIdentifier, PropertyValue::Variable(id)) => Some(id),
            _ => None,
        });
        ids.collect()
    }
}

/// User properties, owned.
pub fn pairs(list: &[(&str, &str)]) -> Vec<(String, String)> {
    list.iter()
        .map(|&(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

/// The message, if it is one.
pub fn message(received: &Received) -> Option<Message> {
    match received {
        Received::Message(message) => Some(message.clone()),
        Received::Packet(_) => None,
    }
}

/// The packet, if it is no message.
pub fn packet(received: &Received) -> Option<&Packet<'static>> {
    match received {
        Received::Message(_) => None,
        Received::Packet(packet) => Some(packet),
    }
}

/// A packet that keeps nothing of the bytes it was read from.
pub fn owned(packet: Packet<'_>) -> Received {
    let packet = match packet {
        Packet::Publish(publish) => {
            return Received::Message(Message {
                topic: publish.topic.to_owned(),
                payload: publish.payload.to_vec(),
                qos: publish.qos,
                retain: publish.retain,
                dup: publish.dup,
                packet_id: publish.packet_id,
                properties: publish.properties.to_vec(),
            });
        }
        Packet::ConnAck(connack) => Packet::ConnAck(connack),
        Packet::PubAck(ack) => Packet::PubAck(ack),
        Packet::PubRec(ack) => Packet::PubRec(ack),
        Packet::PubRel(ack) => Packet::PubRel(ack),
        Packet::PubComp(ack) => Packet::PubComp(ack),
        Packet::SubAck(ack) => Packet::SubAck(ack),
        Packet::UnsubAck(ack) => Packet::UnsubAck(ack),
        Packet::PingResp => Packet::PingResp,
        Packet::Disconnect(disconnect) => Packet::Disconnect(disconnect),
        other => panic!("no packet of a broker: {other:?}"),
    };
    Received::Packet(Box::new(packet))
}

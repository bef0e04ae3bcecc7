//! What traces are told of packets, decisions and connections. Knows nobody who traces.

use std::fmt::Display;

use serde_json::{Value, json};

use super::Broker;
use super::arrival::Peer;
use super::client::Client;
use super::drops::beginning;
use super::publish::Refusal;
use crate::acl::Action;
use crate::codec::{self, DecodeLimits, Packet, UserProperties};
use crate::log::Stored;
use crate::metrics::DropReason;
use crate::types::{Message, ReasonCode, Sequence};

impl Broker {
    /// A client was let in, and has its CONNACK in its output.
    pub fn tell_connected(&self, client: &mut Client) {
        if !self.tracer.concerns(client.client_id()) {
            return;
        }
        self.tracer.tell(client.client_id(), "connected", &[], || {
            json!({
                "version": format!("{:?}", client.version()), "address": client.peer().map(|peer| peer.to_string()),
                "listener": client.listener(), "user": client.user().map(beginning),
            })
        });
        self.tell_output(client, 0);
    }

    /// A connection is refused before its client is let in; without an answer it is just closed.
    pub fn tell_refused_connect(&self, client_id: &str, peer: Peer, answer: Option<ReasonCode>, why: &str) {
        self.tracer.tell(client_id, "refused", &[], || {
            json!({
                "packet": "CONNECT", "address": peer.to_string(), "reason": answer.map(ReasonCode::text),
                "why": beginning(why),
            })
        });
    }

    /// The connection of a client ends.
    pub fn tell_disconnected(&self, client: &Client, why: &dyn Display) {
        self.tracer.tell(
            client.client_id(),
            "disconnected",
            &[],
            || json!({ "why": beginning(&why.to_string()) }),
        );
    }

    /// A packet came, and nothing is done about it yet.
    pub fn tell_input(&self, client: &Client, packet: &Packet<'_>, bytes: usize) {
        let alias = alias(packet).and_then(|alias| client.session.incoming_alias(alias));
        self.tell_packet(client, "in", packet, alias, bytes);
    }

    /// All packets of the output from `at` on are to be written.
    pub fn tell_output(&self, client: &mut Client, mut at: usize) {
        if !self.tracer.concerns(client.client_id()) {
            return;
        }
        let output = std::mem::take(client.output());
        let version = client.version();
        let decoded = |at: usize| codec::decode_from_server(output.get(at..)?, version, &ANY_SIZE).ok()?;
        while let Some((packet, len)) = decoded(at) {
            let alias = alias(&packet).and_then(|alias| client.session.outgoing_alias(alias));
            self.tell_packet(client, "out", &packet, alias, len);
            at += len;
        }
        *client.output() = output;
    }

    fn tell_packet(&self, client: &Client, event: &str, packet: &Packet<'_>, alias: Option<&str>, bytes: usize) {
        let topics = topics(packet, alias);
        self.tracer.tell(client.client_id(), event, &topics, || {
            let mut details = details(packet, &topics);
            details["packet"] = name(packet).into();
            details["bytes"] = bytes.into();
            details
        });
    }

    /// A message was routed, and stored before if it has a sequence.
    pub(super) fn tell_published(
        &self,
        message: &Message,
        place: Option<Stored>,
        sequence: Option<Sequence>,
        targets: usize,
    ) {
        let client_id = message.publisher().map_or("", |publisher| publisher.as_str());
        let topic = message.topic();
        if let (Some(place), Some(sequence)) = (place, sequence) {
            self.tracer.tell(
                client_id,
                "stored",
                &[topic],
                || json!({"topic": beginning(topic), "sequence": sequence.0, "position": place.position.0}),
            );
        }
        self.tracer.tell(
            client_id,
            "routed",
            &[topic],
            || json!({"topic": beginning(topic), "targets": targets}),
        );
    }

    /// A PUBLISH was refused.
    pub(super) fn tell_refused(&self, client: &Client, topic: &str, refusal: &Refusal) {
        self.tracer.tell(client.client_id(), "refused", &[topic], || {
            let rule = (refusal.drop == DropReason::Unauthorized).then(|| self.rule_of(client, topic));
            json!({
                "packet": "PUBLISH", "topic": beginning(topic), "reason": refusal.reason.text(), "why": refusal.why,
                "rule": rule.flatten(),
            })
        });
    }

    /// The access rule that decides who publishes to a topic.
    fn rule_of(&self, client: &Client, topic: &str) -> Option<String> {
        let rights = self.access.rights(&client.outbox)?;
        let rule = rights.decide(Action::Publish, topic).rule?;
        let path = rights.acl().path().display();
        Some(format!("{path}:{}: {}", rule.line, beginning(rule.text())))
    }
}

fn alias(packet: &Packet<'_>) -> Option<u16> {
    match packet {
        Packet::Publish(publish) if publish.topic.is_empty() => publish.topic_alias,
        _ => None,
    }
}

/// The topics or filters that a packet is about; `alias` is the topic behind its topic alias.
fn topics<'a>(packet: &'a Packet<'_>, alias: Option<&'a str>) -> Vec<&'a str> {
    match packet {
        Packet::Publish(publish) => vec![alias.unwrap_or(publish.topic)],
        Packet::Subscribe(subscribe) => subscribe.filters.iter().map(|filter| filter.filter.as_str()).collect(),
        Packet::Unsubscribe(unsubscribe) => unsubscribe.filters.iter().map(String::as_str).collect(),
        _ => Vec::new(),
    }
}

fn name(packet: &Packet<'_>) -> &'static str {
    match packet {
        Packet::Connect(_) => "CONNECT",
        Packet::ConnAck(_) => "CONNACK",
        Packet::Publish(_) => "PUBLISH",
        Packet::PubAck(_) => "PUBACK",
        Packet::PubRec(_) => "PUBREC",
        Packet::PubRel(_) => "PUBREL",
        Packet::PubComp(_) => "PUBCOMP",
        Packet::Subscribe(_) => "SUBSCRIBE",
        Packet::SubAck(_) => "SUBACK",
        Packet::Unsubscribe(_) => "UNSUBSCRIBE",
        Packet::UnsubAck(_) => "UNSUBACK",
        Packet::PingReq => "PINGREQ",
        Packet::PingResp => "PINGRESP",
        Packet::Disconnect(_) => "DISCONNECT",
        Packet::Auth(_) => "AUTH",
    }
}

/// What else a person wants to know of a packet.
fn details(packet: &Packet<'_>, topics: &[&str]) -> Value {
    match packet {
        Packet::Publish(publish) => json!({
            "topic": topics.first().map(|topic| beginning(topic)), "qos": publish.qos.bits(), "retain": publish.retain,
            "dup": publish.dup, "packet_id": publish.packet_id.map(|id| id.get()), "topic_alias": publish.topic_alias,
            "payload_bytes": publish.payload.len(),
        }),
        Packet::Subscribe(subscribe) => json!({
            "packet_id": subscribe.packet_id.get(), "filters": texts(topics),
            "qos": subscribe.filters.iter().take(MOST_NAMED).map(|filter| filter.qos.bits()).collect::<Vec<_>>(),
            "user_properties": properties(&subscribe.user_properties),
        }),
        Packet::Unsubscribe(unsubscribe) => json!({
            "packet_id": unsubscribe.packet_id.get(), "filters": texts(topics),
            "user_properties": properties(&unsubscribe.user_properties),
        }),
        Packet::PubAck(ack) | Packet::PubRec(ack) | Packet::PubRel(ack) | Packet::PubComp(ack) => json!({
            "packet_id": ack.packet_id.get(), "reason": reason(ack.reason, "success"),
            "why": ack.reason_string.as_deref().map(beginning),
        }),
        Packet::SubAck(ack) => reasons(ack, "granted QoS 0"),
        Packet::UnsubAck(ack) => reasons(ack, "success"),
        Packet::Disconnect(said) => json!({
            "reason": reason(said.reason, "normal disconnection"), "why": said.reason_string.as_deref().map(beginning),
        }),
        Packet::ConnAck(said) => {
            json!({ "reason": reason(said.reason, "success"), "session_present": said.session_present })
        }
        Packet::Auth(said) => json!({ "reason": reason(said.reason, "success") }),
        Packet::Connect(_) | Packet::PingReq | Packet::PingResp => json!({}),
    }
}

fn reasons(ack: &codec::SubAck, zero: &'static str) -> Value {
    let reasons: Vec<_> = ack
        .reasons
        .iter()
        .take(MOST_NAMED)
        .map(|code| reason(*code, zero))
        .collect();
    json!({
        "packet_id": ack.packet_id.get(), "reasons": reasons, "why": ack.reason_string.as_deref().map(beginning),
        "user_properties": properties(&ack.user_properties),
    })
}

/// A reason in words; `zero` is what the code 0 says in this packet.
fn reason(code: ReasonCode, zero: &'static str) -> &'static str {
    match code {
        ReasonCode::Success => zero,
        other => other.text(),
    }
}

fn texts(topics: &[&str]) -> Vec<String> {
    topics
        .iter()
        .take(MOST_NAMED)
        .map(|topic| beginning(topic).to_owned())
        .collect()
}

/// As `name=value`; nothing if there are none.
fn properties(properties: &UserProperties) -> Option<Vec<String>> {
    let shown = properties.iter().take(MOST_NAMED);
    let shown = shown.map(|(name, value)| format!("{}={}", beginning(name), beginning(value)));
    (!properties.is_empty()).then(|| shown.collect())
}

/// Filters, reasons or properties of one packet that are told.
const MOST_NAMED: usize = 8;
/// The broker made it.
const ANY_SIZE: DecodeLimits = DecodeLimits {
    max_packet_size: u32::MAX,
};

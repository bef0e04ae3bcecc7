//! What lasts as long as one network connection: limits agreed in CONNECT and CONNACK, quotas, topic aliases.

use std::sync::Arc;

use ahash::AHashMap;

use super::Fault;
use crate::types::{ReasonCode, Version};

/// What CONNECT and CONNACK agreed on.
#[derive(Clone, Copy, Debug)]
pub struct LinkOptions {
    /// The protocol version.
    pub version: Version,
    /// How many QoS 1 and 2 messages the client takes unacknowledged.
    pub client_receive_maximum: u16,
    /// The largest packet that the client takes, bytes.
    pub client_maximum_packet_size: u32,
    /// How many aliases the client takes.
    pub client_topic_alias_maximum: u16,
    /// Whether reason strings and user properties may go on any packet [MQTT-3.1.2-29].
    pub problem_information: bool,
    /// How many QoS 1 and 2 messages the server takes unacknowledged.
    pub server_receive_maximum: u16,
    /// How many aliases the server takes.
    pub server_topic_alias_maximum: u16,
    /// Whether CONNECT had an authentication method.
    pub enhanced_authentication: bool,
}

impl Default for LinkOptions {
    /// What a 3.1.1 client gets, who can ask for nothing.
    fn default() -> Self {
        Self {
            version: Version::V3,
            client_receive_maximum: u16::MAX,
            client_maximum_packet_size: u32::MAX,
            client_topic_alias_maximum: 0,
            problem_information: true,
            server_receive_maximum: u16::MAX,
            server_topic_alias_maximum: 0,
            enhanced_authentication: false,
        }
    }
}

/// The state of one connection.
#[derive(Debug)]
pub(super) struct Link {
    pub options: LinkOptions,
    /// How many more QoS 1 and 2 messages may be sent now (section 4.9).
    pub send_quota: u16,
    /// Few clients use any.
    aliases: Option<Box<Aliases>>,
}

#[derive(Debug, Default)]
struct Aliases {
    incoming: AHashMap<u16, Arc<str>>,
    outgoing: AHashMap<Arc<str>, u16>,
}

/// How a topic goes out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct OutgoingTopic {
    pub alias: Option<u16>,
    pub send_topic: bool,
}

impl Link {
    pub fn new(options: LinkOptions) -> Self {
        Self {
            options,
            send_quota: options.client_receive_maximum,
            aliases: None,
        }
    }

    /// The topic of a PUBLISH that carries `alias`; an empty topic asks for the one learned before.
    pub fn resolve_alias(&mut self, alias: u16, topic: &str) -> Result<Arc<str>, Fault> {
        if alias == 0 || alias > self.options.server_topic_alias_maximum {
            // [MQTT-3.3.2-8], [MQTT-3.3.2-9]
            return Err(Fault::new(
                ReasonCode::TopicAliasInvalid,
                "topic alias is 0 or above Topic Alias Maximum",
            ));
        }
        if topic.is_empty() {
            // An alias that was never set is a protocol error (section 3.3.2.3.4).
            let known = self.aliases.as_ref().and_then(|aliases| aliases.incoming.get(&alias));
            return known
                .cloned()
                .ok_or(Fault::protocol("topic alias was never given a topic"));
        }
        let topic: Arc<str> = topic.into();
        let aliases = self.aliases.get_or_insert_default();
        aliases.incoming.insert(alias, topic.clone());
        Ok(topic)
    }

    /// The topic that the client gave an alias.
    pub fn incoming_alias(&self, alias: u16) -> Option<&str> {
        self.aliases.as_ref()?.incoming.get(&alias).map(|topic| &**topic)
    }

    /// The topic that the client was given an alias for. Looks at them all.
    pub fn outgoing_alias(&self, alias: u16) -> Option<&str> {
        let mut outgoing = self.aliases.as_ref()?.outgoing.iter();
        outgoing.find(|(_, known)| **known == alias).map(|(topic, _)| &**topic)
    }

    /// How `topic` goes out: its alias if it has one, a new alias while there are free ones.
    ///
    /// Call `remember_alias` once the packet that introduces an alias is really on its way.
    pub fn outgoing_topic(&self, topic: &str) -> OutgoingTopic {
        let maximum = self.options.client_topic_alias_maximum.min(MAX_OUTGOING_ALIASES);
        if maximum == 0 {
            return OutgoingTopic {
                alias: None,
                send_topic: true,
            };
        }
        let outgoing = self.aliases.as_ref().map(|aliases| &aliases.outgoing);
        if let Some(&alias) = outgoing.and_then(|outgoing| outgoing.get(topic)) {
            return OutgoingTopic {
                alias: Some(alias),
                send_topic: false,
            };
        }
        let used = u16::try_from(outgoing.map_or(0, |outgoing| outgoing.len())).unwrap_or(u16::MAX);
        OutgoingTopic {
            alias: (used < maximum).then_some(used + 1),
            send_topic: true,
        }
    }

    /// From now on `topic` goes out as its alias alone.
    pub fn remember_alias(&mut self, topic: &str, outgoing: OutgoingTopic) {
        if let (Some(alias), true) = (outgoing.alias, outgoing.send_topic) {
            let aliases = self.aliases.get_or_insert_default();
            aliases.outgoing.insert(topic.into(), alias);
        }
    }

    /// An acknowledgement freed a place; never above what the client asked for (section 4.9).
    pub fn give_back_quota(&mut self) {
        self.send_quota = self
            .send_quota
            .saturating_add(1)
            .min(self.options.client_receive_maximum);
    }
}

/// Aliases that the broker uses towards one client, whatever more the client would take: each costs memory.
const MAX_OUTGOING_ALIASES: u16 = 32;

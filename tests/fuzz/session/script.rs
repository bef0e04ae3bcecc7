//! An input read as choices. Past its end every choice is the first one.

use rewindmq::session::LinkOptions;
use rewindmq::types::{Timestamp, Version};

use super::subscriber::{FromWhere, Offered};

pub struct Script<'a> {
    bytes: &'a [u8],
}

impl<'a> Script<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes }
    }

    pub fn is_over(&self) -> bool {
        self.bytes.is_empty()
    }

    pub fn byte(&mut self) -> u8 {
        let Some((&byte, rest)) = self.bytes.split_first() else {
            return 0;
        };
        self.bytes = rest;
        byte
    }

    /// One of `count` choices.
    pub fn below(&mut self, count: u8) -> u8 {
        self.byte() % count
    }

    /// Bytes that stand in the script with their length in front.
    pub fn bytes(&mut self) -> &'a [u8] {
        let len = usize::from(self.byte()).min(self.bytes.len());
        let (bytes, rest) = self.bytes.split_at(len);
        self.bytes = rest;
        bytes
    }

    /// What a CONNECT and its CONNACK agreed on, with the version and the packet size of an earlier one if given.
    pub fn options(&mut self, earlier: Option<LinkOptions>) -> LinkOptions {
        let options = self.any_options();
        match earlier {
            Some(earlier) if earlier.version == Version::V3 => LinkOptions {
                client_receive_maximum: options.client_receive_maximum,
                ..earlier
            },
            Some(earlier) => LinkOptions {
                version: earlier.version,
                client_maximum_packet_size: earlier.client_maximum_packet_size,
                ..options
            },
            None => options,
        }
    }

    fn any_options(&mut self) -> LinkOptions {
        let (flags, numbers) = (self.byte(), self.byte());
        let v3 = LinkOptions {
            client_receive_maximum: u16::from(numbers & 7) + 1,
            ..LinkOptions::default()
        };
        if flags & 3 == 3 {
            return v3;
        }
        LinkOptions {
            version: Version::V5,
            client_maximum_packet_size: match flags >> 2 & 3 {
                0 => 24,
                1 => 48,
                _ => u32::MAX,
            },
            client_topic_alias_maximum: u16::from(numbers >> 3 & 3),
            problem_information: flags & 0x10 == 0,
            server_receive_maximum: u16::from(numbers >> 5) + 1,
            server_topic_alias_maximum: u16::from(flags >> 5),
            ..v3
        }
    }

    /// A message for the client.
    pub fn message(&mut self, now: Timestamp) -> Offered {
        let (kind, about) = (self.byte(), self.byte());
        let source = match kind >> 2 & 3 {
            0 => FromWhere::Replay,
            // A group grants no more than QoS 1.
            1 if kind & 3 == 1 => FromWhere::Group,
            _ => FromWhere::Live,
        };
        Offered {
            qos: (kind & 3).min(2),
            source,
            topic: about & 3,
            padding: usize::from(about >> 2 & 3) * 12,
            retain: about & 0x10 != 0,
            expiry_secs: (about & 0x20 != 0).then_some(u32::from(kind) / 4 + 1),
            received: now,
        }
    }
}

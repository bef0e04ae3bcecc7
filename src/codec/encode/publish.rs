//! PUBLISH from its value, as clients send it. What the broker delivers takes the shorter way of `delivery`.

use bytes::{BufMut, BytesMut};

use super::{checked_body_len, put_string};
use crate::codec::MAX_STRING_LENGTH;
use crate::codec::error::EncodeError;
use crate::codec::packet::Publish;
use crate::codec::properties::{PropertyId, put_variable, variable_len};
use crate::types::{QoS, Version};

/// Appends a PUBLISH. Topic Alias and Message Expiry Interval are written from their fields, unless
/// `has_hop_properties` says that they stand in `properties` already.
pub(super) fn encode(publish: &Publish<'_>, version: Version, out: &mut BytesMut) -> Result<(), EncodeError> {
    let lens = Lens::of(publish, version)?;
    out.reserve(lens.packet());
    out.put_u8(0x30 | u8::from(publish.dup) << 3 | publish.qos.bits() << 1 | u8::from(publish.retain));
    put_variable(lens.body, out);
    put_string(publish.topic.as_bytes(), "the topic", out)?;
    if let Some(packet_id) = publish.packet_id {
        out.put_u16(packet_id.get());
    }
    if let Some(properties_len) = lens.properties {
        put_variable(properties_len, out);
        put_hop_properties(publish, out);
        out.extend_from_slice(publish.properties);
    }
    out.extend_from_slice(publish.payload);
    Ok(())
}

/// The length of the whole packet, bytes.
pub(super) fn len(publish: &Publish<'_>, version: Version) -> Result<usize, EncodeError> {
    Lens::of(publish, version).map(|lens| lens.packet())
}

struct Lens {
    /// Property length; `None` where the version has no properties.
    properties: Option<usize>,
    /// Remaining Length.
    body: usize,
}

impl Lens {
    fn of(publish: &Publish<'_>, version: Version) -> Result<Self, EncodeError> {
        if publish.packet_id.is_some() != (publish.qos > QoS::AtMostOnce) {
            return Err(EncodeError::PacketId);
        }
        if publish.topic.len() > MAX_STRING_LENGTH {
            return Err(EncodeError::TooLong("the topic"));
        }
        let properties = version
            .has_properties()
            .then(|| hop_len(publish) + publish.properties.len());
        let id_len = if publish.packet_id.is_some() { 2 } else { 0 };
        let body = 2 + publish.topic.len() + id_len + publish.payload.len();
        Ok(Self {
            properties,
            body: checked_body_len(body + properties.map_or(0, |len| variable_len(len) + len))?,
        })
    }

    fn packet(&self) -> usize {
        1 + variable_len(self.body) + self.body
    }
}

fn hop_len(publish: &Publish<'_>) -> usize {
    if publish.has_hop_properties {
        return 0;
    }
    publish.expiry_secs.map_or(0, |_| 5) + publish.topic_alias.map_or(0, |_| 3)
}

fn put_hop_properties(publish: &Publish<'_>, out: &mut BytesMut) {
    if publish.has_hop_properties {
        return;
    }
    if let Some(secs) = publish.expiry_secs {
        out.put_u8(PropertyId::MessageExpiryInterval as u8);
        out.put_u32(secs);
    }
    if let Some(alias) = publish.topic_alias {
        out.put_u8(PropertyId::TopicAlias as u8);
        out.put_u16(alias);
    }
}

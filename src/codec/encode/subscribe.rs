//! SUBSCRIBE and UNSUBSCRIBE, as a client sends them.

use bytes::{BufMut, BytesMut};

use super::{put_packet, put_properties, put_string};
use crate::codec::error::EncodeError;
use crate::codec::packet::{Subscribe, SubscribeFilter, Unsubscribe, UserProperties};
use crate::codec::properties::{PropertyId, PropertyValue, encode_property};
use crate::types::Version;

pub(super) fn subscribe(packet: &Subscribe, version: Version, out: &mut BytesMut) -> Result<(), EncodeError> {
    let mut body = Vec::new();
    body.put_u16(packet.packet_id.get());
    if version.has_properties() {
        let mut raw = Vec::new();
        if let Some(id) = packet.subscription_id {
            encode_property(
                PropertyId::SubscriptionIdentifier,
                PropertyValue::Variable(id),
                &mut raw,
            )?;
        }
        put_user_properties(&packet.user_properties, &mut raw)?;
        put_properties(&raw, &mut body)?;
    }
    for filter in &packet.filters {
        put_string(filter.filter.as_bytes(), "a filter", &mut body)?;
        body.put_u8(match version {
            Version::V5 => options(filter),
            Version::V3 => filter.qos.bits(),
        });
    }
    put_packet(0x82, &body, out)
}

/// Subscription Options (section 3.8.3.1).
fn options(filter: &SubscribeFilter) -> u8 {
    filter.qos.bits()
        | u8::from(filter.no_local) << 2
        | u8::from(filter.retain_as_published) << 3
        | (filter.retain_handling as u8) << 4
}

pub(super) fn unsubscribe(packet: &Unsubscribe, version: Version, out: &mut BytesMut) -> Result<(), EncodeError> {
    let mut body = Vec::new();
    body.put_u16(packet.packet_id.get());
    if version.has_properties() {
        let mut raw = Vec::new();
        put_user_properties(&packet.user_properties, &mut raw)?;
        put_properties(&raw, &mut body)?;
    }
    for filter in &packet.filters {
        put_string(filter.as_bytes(), "a filter", &mut body)?;
    }
    put_packet(0xA2, &body, out)
}

fn put_user_properties(list: &UserProperties, raw: &mut Vec<u8>) -> Result<(), EncodeError> {
    for (name, value) in list {
        encode_property(PropertyId::UserProperty, PropertyValue::Pair(name, value), raw)?;
    }
    Ok(())
}

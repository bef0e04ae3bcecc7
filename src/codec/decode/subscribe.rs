//! SUBSCRIBE (section 3.8) and UNSUBSCRIBE (section 3.10). Filters stay text: whether they are filters is said elsewhere.

use crate::codec::error::DecodeError;
use crate::codec::packet::{Packet, RetainHandling, Subscribe, SubscribeFilter, Unsubscribe};
use crate::codec::properties::{Place, PropertyValue, walk};
use crate::codec::reader::Reader;
use crate::types::{QoS, Version};

const QOS: u8 = 0b0000_0011;
const NO_LOCAL: u8 = 0b0000_0100;
const RETAIN_AS_PUBLISHED: u8 = 0b0000_1000;
const RESERVED: u8 = 0b1100_0000;

pub(super) fn subscribe(mut reader: Reader<'_>, version: Version) -> Result<Packet<'static>, DecodeError> {
    let mut subscribe = Subscribe {
        packet_id: reader.packet_id()?,
        subscription_id: None,
        user_properties: Vec::new(),
        filters: Vec::new(),
    };
    if version.has_properties() {
        walk(&mut reader, Place::Subscribe, |_, value| match value {
            PropertyValue::Variable(number) => subscribe.subscription_id = Some(number),
            PropertyValue::Pair(name, text) => subscribe.user_properties.push((name.to_owned(), text.to_owned())),
            _ => {}
        })?;
    }
    while !reader.is_empty() {
        let filter = reader.text()?;
        let options = reader.u8()?;
        subscribe.filters.push(match version {
            Version::V5 => with_options(filter, options)?,
            Version::V3 => with_qos(filter, options)?,
        });
    }
    if subscribe.filters.is_empty() {
        // [MQTT-3.8.3-2]
        return Err(DecodeError::protocol("SUBSCRIBE without a filter"));
    }
    Ok(Packet::Subscribe(subscribe))
}

/// Subscription Options (section 3.8.3.1).
fn with_options(filter: &str, options: u8) -> Result<SubscribeFilter, DecodeError> {
    if options & RESERVED != 0 {
        // [MQTT-3.8.3-5]
        return Err(DecodeError::malformed("reserved subscription options"));
    }
    let no_local = options & NO_LOCAL != 0;
    if no_local && filter.starts_with("$share/") {
        // [MQTT-3.8.3-4]
        return Err(DecodeError::protocol("No Local on a shared subscription"));
    }
    Ok(SubscribeFilter {
        filter: filter.to_owned(),
        qos: QoS::from_bits(options & QOS).ok_or_else(|| DecodeError::protocol("maximum QoS 3"))?,
        no_local,
        retain_as_published: options & RETAIN_AS_PUBLISHED != 0,
        retain_handling: match options >> 4 & 0b11 {
            0 => RetainHandling::Send,
            1 => RetainHandling::SendIfNew,
            2 => RetainHandling::DoNotSend,
            _ => return Err(DecodeError::protocol("Retain Handling 3")),
        },
    })
}

/// Requested QoS; 3.1.1 has no other option [MQTT-3.8.3-4 of 3.1.1].
fn with_qos(filter: &str, options: u8) -> Result<SubscribeFilter, DecodeError> {
    let qos = QoS::from_bits(options).ok_or_else(|| DecodeError::malformed("a requested QoS that is not 0, 1 or 2"))?;
    Ok(SubscribeFilter {
        filter: filter.to_owned(),
        qos,
        no_local: false,
        retain_as_published: false,
        retain_handling: RetainHandling::Send,
    })
}

pub(super) fn unsubscribe(mut reader: Reader<'_>, version: Version) -> Result<Packet<'static>, DecodeError> {
    let mut unsubscribe = Unsubscribe {
        packet_id: reader.packet_id()?,
        user_properties: Vec::new(),
        filters: Vec::new(),
    };
    if version.has_properties() {
        walk(&mut reader, Place::Unsubscribe, |_, value| {
            if let PropertyValue::Pair(name, text) = value {
                unsubscribe.user_properties.push((name.to_owned(), text.to_owned()));
            }
        })?;
    }
    while !reader.is_empty() {
        unsubscribe.filters.push(reader.text()?.to_owned());
    }
    if unsubscribe.filters.is_empty() {
        // [MQTT-3.10.3-2]
        return Err(DecodeError::protocol("UNSUBSCRIBE without a filter"));
    }
    Ok(Packet::Unsubscribe(unsubscribe))
}

//! The one walk over the properties of a packet that comes in: every rule of the table is checked here.

use super::{Kind, Place, PropertyId, PropertyValue, Rule};
use crate::codec::error::DecodeError;
use crate::codec::reader::Reader;
use crate::types::ReasonCode;

/// Reads the property length and the properties, hands each to `each`, and returns them as they stand on the wire.
#[inline]
pub(in crate::codec) fn walk<'a>(
    reader: &mut Reader<'a>,
    place: Place,
    mut each: impl FnMut(PropertyId, PropertyValue<'a>),
) -> Result<&'a [u8], DecodeError> {
    let len = reader.variable()?;
    if len == 0 {
        return Ok(&[]);
    }
    let raw = reader.take(len as usize)?;
    let mut inner = Reader::new(raw);
    let mut seen = 0u64;
    while !inner.is_empty() {
        let rule = next_rule(&mut inner, place, &mut seen)?;
        each(rule.id, value(&mut inner, rule.kind)?);
    }
    Ok(raw)
}

/// Reads an identifier and checks that it may stand here.
#[inline]
fn next_rule(reader: &mut Reader<'_>, place: Place, seen: &mut u64) -> Result<&'static Rule, DecodeError> {
    let rule = Rule::of(reader.u8()?).ok_or_else(|| DecodeError::malformed("an unknown property"))?;
    if !rule.allows(place) {
        return Err(misplaced(rule.id, place));
    }
    let bit = 1 << rule.id as u8;
    if *seen & bit != 0 && !rule.may_repeat(place) {
        return Err(DecodeError::protocol("a property twice"));
    }
    *seen |= bit;
    Ok(rule)
}

#[cold]
fn misplaced(id: PropertyId, place: Place) -> DecodeError {
    if id == PropertyId::SubscriptionIdentifier && place == Place::Publish {
        // [MQTT-3.3.4-6]
        return DecodeError::protocol("a Subscription Identifier in a PUBLISH from a client");
    }
    // Section 2.2.2.2: an identifier that is not valid for the packet type makes a Malformed Packet.
    DecodeError::malformed("a property that this packet may not carry")
}

#[inline]
fn value<'a>(reader: &mut Reader<'a>, kind: Kind) -> Result<PropertyValue<'a>, DecodeError> {
    Ok(match kind {
        Kind::Bool => PropertyValue::U8(in_range(reader.u8()?, |byte| byte <= 1)?),
        Kind::U16 => PropertyValue::U16(reader.u16()?),
        Kind::U16NonZero => PropertyValue::U16(in_range(reader.u16()?, |number| number > 0)?),
        Kind::Alias => PropertyValue::U16(alias(reader.u16()?)?),
        Kind::U32 => PropertyValue::U32(reader.u32()?),
        Kind::U32NonZero => PropertyValue::U32(in_range(reader.u32()?, |number| number > 0)?),
        Kind::VariableNonZero => PropertyValue::Variable(in_range(reader.variable()?, |number| number > 0)?),
        Kind::Text => PropertyValue::Text(reader.text()?),
        Kind::Topic => PropertyValue::Text(topic(reader.text()?)?),
        Kind::Binary => PropertyValue::Binary(reader.binary()?),
        Kind::Pair => PropertyValue::Pair(reader.text()?, reader.text()?),
    })
}

#[inline]
fn in_range<T: Copy>(value: T, allowed: impl Fn(T) -> bool) -> Result<T, DecodeError> {
    if allowed(value) {
        return Ok(value);
    }
    Err(DecodeError::protocol("a property value out of its range"))
}

#[inline]
fn alias(alias: u16) -> Result<u16, DecodeError> {
    if alias == 0 {
        // [MQTT-3.3.2-8]
        return Err(DecodeError::new(ReasonCode::TopicAliasInvalid, "Topic Alias 0"));
    }
    Ok(alias)
}

/// A Response Topic is a topic name: no wildcard [MQTT-3.3.2-14], at least one character [MQTT-4.7.3-1].
fn topic(text: &str) -> Result<&str, DecodeError> {
    if text.is_empty() || text.contains(['+', '#']) {
        return Err(DecodeError::protocol("a Response Topic that is not a topic name"));
    }
    Ok(text)
}

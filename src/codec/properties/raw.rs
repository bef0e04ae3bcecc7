//! Reads properties that were checked when they came in. Bytes that were not checked end the walk early, no worse.

use super::{Kind, PropertyId, PropertyValue, Rule};
use crate::codec::reader::Reader;

/// One property where it stands: its identifier, all its bytes, and its value.
#[derive(Clone, Copy, Debug)]
pub(in crate::codec) struct Span<'a> {
    pub(in crate::codec) id: PropertyId,
    pub(in crate::codec) bytes: &'a [u8],
}

impl<'a> Span<'a> {
    /// The name of a user property, as bytes; `None` for any other property.
    pub(in crate::codec) fn user_property_name(&self) -> Option<&'a [u8]> {
        if self.id != PropertyId::UserProperty {
            return None;
        }
        Reader::new(&self.bytes[1..]).binary().ok()
    }

    fn value(&self) -> Option<PropertyValue<'a>> {
        let mut reader = Reader::new(&self.bytes[1..]);
        let kind = Rule::of(self.id as u8)?.kind;
        Some(match kind {
            Kind::Bool => PropertyValue::U8(reader.u8().ok()?),
            Kind::U16 | Kind::U16NonZero | Kind::Alias => PropertyValue::U16(reader.u16().ok()?),
            Kind::U32 | Kind::U32NonZero => PropertyValue::U32(reader.u32().ok()?),
            Kind::VariableNonZero => PropertyValue::Variable(reader.variable().ok()?),
            Kind::Text | Kind::Topic => PropertyValue::Text(reader.text().ok()?),
            Kind::Binary => PropertyValue::Binary(reader.binary().ok()?),
            Kind::Pair => PropertyValue::Pair(reader.text().ok()?, reader.text().ok()?),
        })
    }
}

/// Cuts raw properties apart without looking into their values.
pub(in crate::codec) fn spans(raw: &[u8]) -> impl Iterator<Item = Span<'_>> {
    let mut rest = raw;
    std::iter::from_fn(move || {
        let rule = Rule::of(*rest.first()?)?;
        let (bytes, behind) = rest.split_at_checked(1 + value_len(rule.kind, &rest[1..])?)?;
        rest = behind;
        Some(Span { id: rule.id, bytes })
    })
}

/// The length of a value of this kind at the start of `bytes`, which may end before it.
fn value_len(kind: Kind, bytes: &[u8]) -> Option<usize> {
    Some(match kind {
        Kind::Bool => 1,
        Kind::U16 | Kind::U16NonZero | Kind::Alias => 2,
        Kind::U32 | Kind::U32NonZero => 4,
        Kind::VariableNonZero => crate::codec::reader::variable(bytes).ok()??.1,
        Kind::Text | Kind::Topic | Kind::Binary => string_len(bytes)?,
        Kind::Pair => {
            let name = string_len(bytes)?;
            name + string_len(bytes.get(name..)?)?
        }
    })
}

fn string_len(bytes: &[u8]) -> Option<usize> {
    let len = bytes.first_chunk::<2>()?;
    Some(2 + usize::from(u16::from_be_bytes(*len)))
}

/// The properties in raw property bytes, in order.
pub fn properties(raw: &[u8]) -> impl Iterator<Item = (PropertyId, PropertyValue<'_>)> {
    spans(raw).filter_map(|span| Some((span.id, span.value()?)))
}

/// The user properties in raw property bytes, in order; names may repeat (section 3.3.2.3.7).
pub fn user_properties(raw: &[u8]) -> impl Iterator<Item = (&str, &str)> {
    properties(raw).filter_map(|(_, value)| match value {
        PropertyValue::Pair(name, text) => Some((name, text)),
        _ => None,
    })
}

/// Appends all properties but Topic Alias and Message Expiry Interval, which are for one hop, in order.
pub fn without_hop_properties(raw: &[u8], out: &mut Vec<u8>) {
    for span in spans(raw) {
        if !matches!(span.id, PropertyId::TopicAlias | PropertyId::MessageExpiryInterval) {
            out.extend_from_slice(span.bytes);
        }
    }
}

/// Appends all properties but Subscription Identifiers, in order. Returns the identifiers.
pub fn take_subscription_ids(raw: &[u8], out: &mut Vec<u8>) -> Vec<u32> {
    let mut ids = Vec::new();
    for span in spans(raw) {
        match span.value() {
            Some(PropertyValue::Variable(id)) if span.id == PropertyId::SubscriptionIdentifier => ids.push(id),
            _ => out.extend_from_slice(span.bytes),
        }
    }
    ids
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::{encode_property, encode_user_property};

    fn sample() -> Vec<u8> {
        let mut raw = Vec::new();
        let rows = [
            (PropertyId::TopicAlias, PropertyValue::U16(7)),
            (PropertyId::ContentType, PropertyValue::Text("text/plain")),
            (PropertyId::UserProperty, PropertyValue::Pair("a", "1")),
            (PropertyId::MessageExpiryInterval, PropertyValue::U32(60)),
            (PropertyId::SubscriptionIdentifier, PropertyValue::Variable(300)),
            (PropertyId::CorrelationData, PropertyValue::Binary(&[0, 255])),
            (PropertyId::UserProperty, PropertyValue::Pair("a", "")),
            (PropertyId::PayloadFormatIndicator, PropertyValue::U8(1)),
        ];
        for (id, value) in rows {
            encode_property(id, value, &mut raw).unwrap();
        }
        raw
    }

    #[test]
    fn user_properties_come_in_order_and_repeat() {
        let raw = sample();
        let found: Vec<_> = user_properties(&raw).collect();
        assert_eq!(found, [("a", "1"), ("a", "")]);
    }

    #[test]
    fn hop_properties_are_left_out_and_the_rest_keeps_its_order() {
        let mut out = Vec::new();
        without_hop_properties(&sample(), &mut out);
        let found: Vec<_> = properties(&out).map(|(id, _)| id).collect();
        assert_eq!(
            found,
            [
                PropertyId::ContentType,
                PropertyId::UserProperty,
                PropertyId::SubscriptionIdentifier,
                PropertyId::CorrelationData,
                PropertyId::UserProperty,
                PropertyId::PayloadFormatIndicator,
            ]
        );
    }

    #[test]
    fn subscription_identifiers_are_taken_out_and_the_rest_keeps_its_order() {
        let mut out = Vec::new();
        assert_eq!(take_subscription_ids(&sample(), &mut out), [300]);
        assert_eq!(properties(&out).count(), properties(&sample()).count() - 1);
        assert!(take_subscription_ids(&out, &mut Vec::new()).is_empty());
    }

    #[test]
    fn unchecked_bytes_end_the_walk_without_a_panic() {
        let mut raw = sample();
        encode_user_property("name", "value", &mut raw);
        for end in 0..raw.len() {
            assert!(properties(&raw[..end]).count() <= 9);
        }
        let mut random = fastrand::Rng::with_seed(1);
        for _ in 0..20_000 {
            let bytes: Vec<u8> = (0..random.usize(..40)).map(|_| random.u8(..48)).collect();
            let mut out = Vec::new();
            without_hop_properties(&bytes, &mut out);
            assert!(out.len() <= bytes.len() && user_properties(&bytes).count() <= bytes.len());
        }
    }
}

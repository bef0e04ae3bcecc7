//! Writes properties. Refuses what their types cannot hold; does not ask whether the packet may carry them.

use std::borrow::Cow;

use bytes::BufMut;

use super::{Kind, PropertyId, PropertyValue, Rule};
use crate::codec::error::EncodeError;
use crate::codec::{MAX_REMAINING_LENGTH, MAX_STRING_LENGTH};

/// Appends a property: identifier and value.
pub fn encode_property(id: PropertyId, value: PropertyValue<'_>, out: &mut impl BufMut) -> Result<(), EncodeError> {
    let kind = Rule::of(id as u8).expect("the table has every PropertyId").kind;
    check(id, kind, value)?;
    out.put_u8(id as u8);
    match value {
        PropertyValue::U8(number) => out.put_u8(number),
        PropertyValue::U16(number) => out.put_u16(number),
        PropertyValue::U32(number) => out.put_u32(number),
        PropertyValue::Variable(number) => put_variable(number as usize, out),
        PropertyValue::Text(text) => put_string(text.as_bytes(), out),
        PropertyValue::Binary(bytes) => put_string(bytes, out),
        PropertyValue::Pair(name, text) => {
            put_string(name.as_bytes(), out);
            put_string(text.as_bytes(), out);
        }
    }
    Ok(())
}

/// Appends a user property. Longer strings than 65,535 bytes are cut on a character boundary.
pub fn encode_user_property(name: &str, value: &str, out: &mut impl BufMut) {
    out.put_u8(PropertyId::UserProperty as u8);
    put_string(cut(name).as_bytes(), out);
    put_string(cut(value).as_bytes(), out);
}

fn check(id: PropertyId, kind: Kind, value: PropertyValue<'_>) -> Result<(), EncodeError> {
    let (right, longest) = match (kind, value) {
        (Kind::Bool, PropertyValue::U8(_))
        | (Kind::U16 | Kind::U16NonZero | Kind::Alias, PropertyValue::U16(_))
        | (Kind::U32 | Kind::U32NonZero, PropertyValue::U32(_)) => (true, 0),
        (Kind::VariableNonZero, PropertyValue::Variable(number)) => {
            if number as usize > MAX_REMAINING_LENGTH {
                return Err(EncodeError::TooLong(id.text()));
            }
            (true, 0)
        }
        (Kind::Text | Kind::Topic, PropertyValue::Text(text)) => (true, text.len()),
        (Kind::Binary, PropertyValue::Binary(bytes)) => (true, bytes.len()),
        (Kind::Pair, PropertyValue::Pair(name, text)) => (true, name.len().max(text.len())),
        _ => (false, 0),
    };
    if !right {
        return Err(EncodeError::PropertyType(id.text()));
    }
    if longest > MAX_STRING_LENGTH {
        return Err(EncodeError::TooLong(id.text()));
    }
    Ok(())
}

fn put_string(bytes: &[u8], out: &mut impl BufMut) {
    out.put_u16(u16::try_from(bytes.len()).expect("checked or cut before"));
    out.put_slice(bytes);
}

/// The longest head of a text that a string can hold.
fn cut(text: &str) -> &str {
    if text.len() <= MAX_STRING_LENGTH {
        return text;
    }
    let end = (0..=MAX_STRING_LENGTH).rev().find(|end| text.is_char_boundary(*end));
    &text[..end.unwrap_or(0)]
}

/// A text for people, made to fit a string: cut at 65,535 bytes, and U+0000, which no string may hold, replaced.
pub(in crate::codec) fn fit(text: &str) -> Cow<'_, str> {
    let text = cut(text);
    if text.contains('\0') {
        return Cow::Owned(text.replace('\0', "?"));
    }
    Cow::Borrowed(text)
}

/// Appends a variable byte integer; the caller has checked that it is at most 268,435,455.
#[inline]
pub(in crate::codec) fn put_variable(value: usize, out: &mut impl BufMut) {
    debug_assert!(value <= MAX_REMAINING_LENGTH);
    let mut rest = value;
    while rest > 0x7F {
        out.put_u8((rest & 0x7F) as u8 | 0x80);
        rest >>= 7;
    }
    out.put_u8(rest as u8);
}

/// The bytes that a variable byte integer takes.
#[inline]
pub(in crate::codec) fn variable_len(value: usize) -> usize {
    match value {
        0..0x80 => 1,
        0x80..0x4000 => 2,
        0x4000..0x20_0000 => 3,
        _ => 4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variable_byte_integers_read_back() {
        for value in [
            0usize,
            1,
            127,
            128,
            16_383,
            16_384,
            2_097_151,
            2_097_152,
            MAX_REMAINING_LENGTH,
        ] {
            let mut out = Vec::new();
            put_variable(value, &mut out);
            assert_eq!(out.len(), variable_len(value), "{value}");
            assert_eq!(
                crate::codec::reader::variable(&out),
                Ok(Some((value as u32, out.len())))
            );
        }
    }

    #[test]
    fn texts_for_people_are_cut_between_characters_and_lose_nul() {
        let long = "é".repeat(40_000);
        assert_eq!(fit(&long).len(), 65_534);
        assert_eq!(fit("a\0b"), "a?b");
        assert_eq!(fit("plain"), "plain");
    }

    #[test]
    fn a_property_takes_its_own_type_only() {
        let mut out = Vec::new();
        let wrong = encode_property(PropertyId::TopicAlias, PropertyValue::U32(1), &mut out);
        assert_eq!(wrong, Err(EncodeError::PropertyType("Topic Alias")));
        let long = "x".repeat(65_536);
        let too_long = encode_property(PropertyId::ReasonString, PropertyValue::Text(&long), &mut out);
        assert_eq!(too_long, Err(EncodeError::TooLong("Reason String")));
        assert!(out.is_empty());
    }
}

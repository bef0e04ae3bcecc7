//! AUTH, from either side.

use bytes::BytesMut;

use super::{put_packet, put_properties};
use crate::codec::error::EncodeError;
use crate::codec::packet::Auth;
use crate::codec::properties::{PropertyId, PropertyValue, encode_property, encode_user_property, fit};
use crate::codec::reasons;
use crate::types::{ReasonCode, Version};

pub(super) fn encode(auth: &Auth, version: Version, out: &mut BytesMut) -> Result<(), EncodeError> {
    if version == Version::V3 {
        return Err(EncodeError::NotInVersion("AUTH"));
    }
    if !reasons::AUTH.contains(&auth.reason) {
        return Err(EncodeError::Reason {
            packet: "AUTH",
            reason: auth.reason,
        });
    }
    let raw = properties(auth)?;
    // Section 3.15.2.1: Success without properties may be left out as a whole.
    if auth.reason == ReasonCode::Success && raw.is_empty() {
        return put_packet(0xF0, &[], out);
    }
    let mut body = vec![auth.reason.byte()];
    put_properties(&raw, &mut body)?;
    put_packet(0xF0, &body, out)
}

fn properties(auth: &Auth) -> Result<Vec<u8>, EncodeError> {
    let mut raw = Vec::new();
    if let Some(method) = &auth.method {
        encode_property(PropertyId::AuthenticationMethod, PropertyValue::Text(method), &mut raw)?;
    }
    if let Some(data) = &auth.data {
        encode_property(PropertyId::AuthenticationData, PropertyValue::Binary(data), &mut raw)?;
    }
    if let Some(reason) = &auth.reason_string {
        encode_property(PropertyId::ReasonString, PropertyValue::Text(&fit(reason)), &mut raw)?;
    }
    for (name, value) in &auth.user_properties {
        encode_user_property(&fit(name), &fit(value), &mut raw);
    }
    Ok(raw)
}

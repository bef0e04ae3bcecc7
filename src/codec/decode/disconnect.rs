//! DISCONNECT (section 3.14) and AUTH (section 3.15), whose ends may be left out.

use crate::codec::error::DecodeError;
use crate::codec::packet::{Auth, Disconnect, Packet};
use crate::codec::properties::{Place, PropertyId, PropertyValue, walk};
use crate::codec::reader::Reader;
use crate::codec::reasons;
use crate::types::{ReasonCode, Version};

pub(super) fn disconnect(mut reader: Reader<'_>, version: Version) -> Result<Packet<'static>, DecodeError> {
    let mut disconnect = Disconnect::new(ReasonCode::Success);
    // Section 3.14.2.1: with a Remaining Length of 0 the reason is Success, with 1 there are no properties.
    if version.has_properties() && !reader.is_empty() {
        disconnect.reason = reasons::read(reader.u8()?, reasons::DISCONNECT)?;
        if !reader.is_empty() {
            walk(&mut reader, Place::Disconnect, |id, value| match (id, value) {
                (PropertyId::SessionExpiryInterval, PropertyValue::U32(secs)) => {
                    disconnect.session_expiry_secs = Some(secs);
                }
                (PropertyId::ReasonString, PropertyValue::Text(text)) => {
                    disconnect.reason_string = Some(text.to_owned());
                }
                (PropertyId::ServerReference, PropertyValue::Text(text)) => {
                    disconnect.server_reference = Some(text.to_owned());
                }
                (_, PropertyValue::Pair(name, text)) => {
                    disconnect.user_properties.push((name.to_owned(), text.to_owned()));
                }
                _ => {}
            })?;
        }
    }
    reader.finish()?;
    Ok(Packet::Disconnect(disconnect))
}

pub(super) fn auth(mut reader: Reader<'_>) -> Result<Packet<'static>, DecodeError> {
    let mut auth = Auth {
        reason: ReasonCode::Success,
        method: None,
        data: None,
        reason_string: None,
        user_properties: Vec::new(),
    };
    let mut has_properties = false;
    if !reader.is_empty() {
        auth.reason = reasons::read(reader.u8()?, reasons::AUTH)?;
        if !reader.is_empty() {
            let raw = walk(&mut reader, Place::Auth, |id, value| match (id, value) {
                (PropertyId::AuthenticationMethod, PropertyValue::Text(text)) => auth.method = Some(text.to_owned()),
                (PropertyId::AuthenticationData, PropertyValue::Binary(data)) => auth.data = Some(data.to_vec()),
                (PropertyId::ReasonString, PropertyValue::Text(text)) => auth.reason_string = Some(text.to_owned()),
                (_, PropertyValue::Pair(name, text)) => auth.user_properties.push((name.to_owned(), text.to_owned())),
                _ => {}
            })?;
            has_properties = !raw.is_empty();
        }
    }
    reader.finish()?;
    if auth.method.is_none() && (has_properties || auth.reason != ReasonCode::Success) {
        // Section 3.15.2.2.2; only Success without any property may do without (section 3.15.2.1).
        return Err(DecodeError::protocol("AUTH without Authentication Method"));
    }
    Ok(Packet::Auth(auth))
}

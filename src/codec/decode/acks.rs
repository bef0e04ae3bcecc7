//! PUBACK, PUBREC, PUBREL, PUBCOMP (sections 3.4 to 3.7), SUBACK (3.9) and UNSUBACK (3.11).

use crate::codec::error::DecodeError;
use crate::codec::packet::{Ack, Packet, SubAck, UserProperties};
use crate::codec::properties::{Place, PropertyId, PropertyValue, walk};
use crate::codec::reader::Reader;
use crate::codec::reasons;
use crate::types::{ReasonCode, Version};

/// One of the four acknowledgements of a PUBLISH; `place` says which.
#[inline]
pub(super) fn decode(mut reader: Reader<'_>, version: Version, place: Place) -> Result<Ack, DecodeError> {
    let mut ack = Ack::new(reader.packet_id()?, ReasonCode::Success);
    // Section 3.4.2.1: with a Remaining Length of 2 the reason is Success.
    if reader.is_empty() {
        return Ok(ack);
    }
    if version == Version::V5 {
        let allowed = match place {
            Place::PubAck | Place::PubRec => reasons::PUBLISH_ACK,
            _ => reasons::RELEASE,
        };
        ack.reason = reasons::read(reader.u8()?, allowed)?;
        // Section 3.4.2.2.1: with less than 4 there are no properties.
        if !reader.is_empty() {
            (ack.reason_string, ack.user_properties) = problem_properties(&mut reader, place)?;
        }
    }
    reader.finish()?;
    Ok(ack)
}

pub(super) fn suback(mut reader: Reader<'_>, version: Version) -> Result<Packet<'static>, DecodeError> {
    let allowed = match version {
        Version::V5 => reasons::SUBACK,
        Version::V3 => reasons::SUBACK_V3,
    };
    let mut suback = head(&mut reader, version, Place::SubAck)?;
    suback.reasons = reason_list(&mut reader, allowed)?;
    Ok(Packet::SubAck(suback))
}

pub(super) fn unsuback(mut reader: Reader<'_>, version: Version) -> Result<Packet<'static>, DecodeError> {
    let mut unsuback = head(&mut reader, version, Place::UnsubAck)?;
    match version {
        Version::V5 => unsuback.reasons = reason_list(&mut reader, reasons::UNSUBACK)?,
        // 3.1.1, section 3.11.3: no payload.
        Version::V3 => reader.finish()?,
    }
    Ok(Packet::UnsubAck(unsuback))
}

fn head(reader: &mut Reader<'_>, version: Version, place: Place) -> Result<SubAck, DecodeError> {
    let packet_id = reader.packet_id()?;
    let (reason_string, user_properties) = match version {
        Version::V5 => problem_properties(reader, place)?,
        Version::V3 => (None, Vec::new()),
    };
    Ok(SubAck {
        packet_id,
        reasons: Vec::new(),
        reason_string,
        user_properties,
    })
}

fn reason_list(reader: &mut Reader<'_>, allowed: &[ReasonCode]) -> Result<Vec<ReasonCode>, DecodeError> {
    let bytes = reader.take_rest();
    if bytes.is_empty() {
        return Err(DecodeError::protocol("no reason codes"));
    }
    bytes.iter().map(|byte| reasons::read(*byte, allowed)).collect()
}

/// The two properties that most answers can carry: Reason String and User Property.
fn problem_properties(reader: &mut Reader<'_>, place: Place) -> Result<(Option<String>, UserProperties), DecodeError> {
    let (mut reason_string, mut user_properties) = (None, Vec::new());
    walk(reader, place, |id, value| match (id, value) {
        (PropertyId::ReasonString, PropertyValue::Text(text)) => reason_string = Some(text.to_owned()),
        (_, PropertyValue::Pair(name, text)) => user_properties.push((name.to_owned(), text.to_owned())),
        _ => {}
    })?;
    Ok((reason_string, user_properties))
}

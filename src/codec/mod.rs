//! Packets of both versions <-> bytes. Knows no session and no socket.

mod border;
mod decode;
mod delivery;
mod encode;
mod error;
pub mod packet;
mod properties;
mod reader;
mod reasons;
mod run;
pub mod spare;

#[cfg(test)]
mod tests;

pub use decode::{DecodeLimits, decode, decode_from_server};
pub use delivery::{Delivery, EventProperties, delivery_len, encode_delivery};
pub use encode::{
    MAX_PLAIN_PUBACK, MAX_STORED_ACK, StoredAck, encode, encode_plain_puback, encode_stored_ack, encoded_len,
};
pub use error::{DecodeError, EncodeError};
pub use packet::*;
pub use properties::{
    PropertyId, PropertyValue, encode_property, encode_user_property, properties, take_subscription_ids,
    user_properties, without_hop_properties,
};
pub use run::{Run, RunBuilder, RunPacket};

/// The longest Remaining Length that the fixed header can tell (section 1.5.5), bytes.
pub const MAX_REMAINING_LENGTH: usize = 268_435_455;
/// The longest packet there is: type byte, length of four bytes, and what it counts.
pub const MAX_PACKET_SIZE: usize = 5 + MAX_REMAINING_LENGTH;
/// The longest string or binary data (sections 1.5.4 and 1.5.6), bytes.
pub const MAX_STRING_LENGTH: usize = 65_535;

//! The words every floor shares: identifiers, QoS, reason codes, messages, time. Knows no other module.

mod clock;
mod id;
mod message;
mod qos;
mod reason;
mod version;

pub use clock::{Clock, Timestamp};
pub use id::{ChannelId, ClientId, CursorId, PacketId, Position, Sequence, SessionId};
pub use message::{Message, MessageParts};
pub use qos::QoS;
pub use reason::ReasonCode;
pub use version::Version;

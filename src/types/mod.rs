//! The words every floor shares: identifiers, QoS, reason codes, messages, time. Knows no other module.

mod clock;
mod id;
mod message;
mod qos;
mod rare;
mod reason;
mod small_map;
mod version;

pub use clock::{Clock, Timestamp, rfc3339};
pub use id::{ChannelId, ClientId, CursorId, PacketId, Position, Sequence, SessionId};
pub use message::{Message, MessageParts, remaining_expiry};
pub use qos::QoS;
pub use rare::{HasEmpty, Rare};
pub use reason::ReasonCode;
pub use small_map::{SmallMap, shrink};
pub use version::Version;

//! Identifiers, one newtype each, so that no two bare numbers can be mistaken for each other.

use std::fmt;
use std::num::NonZeroU16;
use std::sync::Arc;

/// The client identifier of a session. Cheap to clone.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ClientId(Arc<str>);

impl ClientId {
    /// The identifier as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&str> for ClientId {
    fn from(text: &str) -> Self {
        Self(text.into())
    }
}

impl fmt::Debug for ClientId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", &*self.0)
    }
}

impl fmt::Display for ClientId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A packet identifier; zero is not one [MQTT-2.2.1-3].
pub type PacketId = NonZeroU16;

macro_rules! number {
    ($(#[$doc:meta])* $name:ident, $inner:ty) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(pub $inner);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

number!(
    /// The place of a record in the store-wide commit order: 1, 2, 3 ...; 0 is before the first.
    Position,
    u64
);
number!(
    /// The number of an event in its channel: 1, 2, 3 ... in commit order, never reused.
    Sequence,
    u64
);
number!(
    /// The store's own short name of a channel.
    ChannelId,
    u32
);
number!(
    /// The store's own short name of a cursor.
    CursorId,
    u64
);
number!(
    /// The store's own name of a durable session, never that of another.
    SessionId,
    u64
);

impl Position {
    /// The position after this one.
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl Sequence {
    /// The sequence after this one.
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

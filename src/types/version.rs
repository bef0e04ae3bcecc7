//! The protocol version of a connection, and the few places where the versions differ in meaning.

/// The protocol version a client asked for in CONNECT.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Version {
    /// MQTT 3.1.1 (protocol level 4).
    V3,
    /// MQTT 5.0 (protocol level 5).
    V5,
}

impl Version {
    /// Whether packets of this version carry properties.
    pub fn has_properties(self) -> bool {
        self == Self::V5
    }
}

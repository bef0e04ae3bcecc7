//! Packets of both versions <-> bytes. Knows no session and no socket.

pub mod packet;

pub use packet::*;

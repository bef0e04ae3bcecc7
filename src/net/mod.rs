//! Sockets: listeners, and the driver of one connection. Knows how bytes come and go, not what they mean.

mod connection;
mod listener;
mod spare;

pub use connection::serve;
pub use listener::{ListenError, Listener};

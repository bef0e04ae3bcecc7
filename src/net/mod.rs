//! Sockets: listeners, and the driver of one connection. Knows how bytes come and go, not what they mean.

mod admission;
mod connection;
mod keep_alive;
mod listener;
mod throttle;
mod wire;

pub use connection::serve;
pub use listener::{ListenError, Listener};

//! Sockets: listeners, and the driver of one connection. Knows how bytes come and go, not what they mean.

mod admission;
mod connection;
mod counted;
mod door;
mod keep_alive;
mod listener;
mod opening;
mod proxy;
mod refusal;
mod throttle;
mod tls;
mod unix;
mod validity;
mod websocket;
mod wire;

pub use connection::serve;
pub use listener::{ListenError, Listener};
pub use tls::{Certificates, TlsFileError};

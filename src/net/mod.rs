//! Sockets: listeners, the driver of one connection, and connections to a broker. Knows how bytes come and go, not what they mean.

mod admission;
mod connection;
mod counted;
pub mod dial;
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
pub use opening::Stream;
pub use tls::{Certificates, TlsFileError};

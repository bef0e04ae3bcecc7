//! What a case runs in: a broker that can be connected to, and time. One is virtual, one is real.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};

/// A broker and its time, in the hands of one case.
pub trait World {
    type Stream: AsyncRead + AsyncWrite + Unpin;

    /// A new connection.
    async fn open(&mut self) -> io::Result<Self::Stream>;

    /// Lets time go by.
    async fn pass(&mut self, duration: Duration);

    /// Lets the broker finish what it is doing, as far as this world can know.
    async fn settle(&mut self);

    /// Ends when something has been waited for too long.
    async fn patience(&self);

    /// Holds commits back, or lets them go.
    fn hold(&mut self, held: bool) -> Result<(), String>;

    /// A word that no other case uses, of small letters and digits.
    fn word(&self) -> &str;
}

//! One client of a case: its connection, and what came over it.

use std::collections::VecDeque;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::decode::{self, Received};
use super::script::Version;
use super::world::World;

/// A client that has, or had, a connection.
pub struct Client<S> {
    stream: Option<S>,
    input: Vec<u8>,
    pub queue: VecDeque<Received>,
    pub version: Version,
    /// The Maximum Packet Size that it gave.
    pub maximum_packet_size: usize,
    /// CONNACK said yes.
    pub connected: bool,
    /// The broker has closed.
    pub ended: bool,
    /// What comes at the end is of no interest.
    pub abandoned: bool,
}

/// What a read brought.
pub enum Read {
    Packet,
    End,
    Nothing,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Client<S> {
    pub fn new(stream: S, version: Version) -> Self {
        Self {
            stream: Some(stream),
            input: Vec::new(),
            queue: VecDeque::new(),
            version,
            maximum_packet_size: usize::MAX,
            connected: false,
            ended: false,
            abandoned: false,
        }
    }

    pub fn is_open(&self) -> bool {
        self.stream.is_some() && !self.ended
    }

    /// Breaks the connection.
    pub fn close(&mut self) {
        self.stream = None;
        self.connected = false;
    }

    /// Sends bytes. A broker that has closed is found out by what is expected next.
    pub async fn send<W: World<Stream = S>>(&mut self, world: &W, bytes: &[u8]) -> Result<(), String> {
        let Some(stream) = &mut self.stream else {
            return Err("the client is not connected".to_owned());
        };
        tokio::select! {
            _ = stream.write_all(bytes) => Ok(()),
            () = world.patience() => Err("the broker does not read".to_owned()),
        }
    }

    /// Waits for one more packet.
    pub async fn read<W: World<Stream = S>>(&mut self, world: &W) -> Result<Read, String> {
        loop {
            if let Some(received) = decode::packet(self.version, &self.input)? {
                self.input.drain(..received.len);
                // [MQTT-3.1.2-24]
                if received.len > self.maximum_packet_size {
                    return Err(format!(
                        "too large a packet for the client, {} bytes: {received}",
                        received.len
                    ));
                }
                if received.name == "CONNACK" && received.number("code") == Some(0) {
                    self.connected = true;
                }
                self.queue.push_back(received);
                return Ok(Read::Packet);
            }
            let Some(stream) = self.stream.as_mut().filter(|_| !self.ended) else {
                return Ok(Read::End);
            };
            let read = tokio::select! {
                read = stream.read_buf(&mut self.input) => read,
                () = world.patience() => return Ok(Read::Nothing),
            };
            // A reset is an end, too.
            if read.unwrap_or(0) == 0 {
                self.ended = true;
                self.connected = false;
                if !self.input.is_empty() {
                    return Err(format!("the connection ended inside a packet: {:02X?}", self.input));
                }
            }
        }
    }

    /// A round trip; what comes before PINGRESP stays in the queue.
    pub async fn ping<W: World<Stream = S>>(&mut self, world: &W) -> Result<(), String> {
        if !self.connected || !self.is_open() {
            return Ok(());
        }
        self.send(world, &[0xC0, 0]).await?;
        loop {
            match self.read(world).await? {
                Read::End => return Ok(()),
                Read::Nothing => return Err("PINGRESP does not come".to_owned()),
                Read::Packet if self.queue.back().is_some_and(|last| last.name == "PINGRESP") => {
                    self.queue.pop_back();
                    return Ok(());
                }
                Read::Packet => {}
            }
        }
    }
}

//! One MQTT 5 connection that reads and writes in batches. Knows no scenario.

use std::future::poll_fn;
use std::net::SocketAddr;
use std::num::NonZeroU16;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;

use rewindmq::codec::{
    self, Connect, DecodeLimits, Disconnect, MAX_PACKET_SIZE, Packet, RetainHandling, Subscribe, SubscribeFilter,
    UserProperties,
};
use rewindmq::types::{PacketId, QoS, ReasonCode, Version};

use crate::error::BenchError;

/// A connection whose CONNACK has come.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    client_id: String,
    input: Vec<u8>,
    filled: usize,
    output: BytesMut,
}

impl Connection {
    /// Connects with a clean start, without keep-alive, and waits for the CONNACK.
    ///
    /// # Errors
    /// If the broker cannot be reached or refuses the client.
    pub async fn open(broker: SocketAddr, client_id: &str) -> Result<Self, BenchError> {
        let (connection, _) = Self::connect(broker, Connect::new(Version::V5, client_id)).await?;
        Ok(connection)
    }

    /// Goes on with the session of this identifier, or begins one, which outlives the connection by this many seconds;
    /// says whether the broker had it.
    ///
    /// # Errors
    /// If the broker cannot be reached or refuses the client.
    pub async fn resume(broker: SocketAddr, client_id: &str, expiry_secs: u32) -> Result<(Self, bool), BenchError> {
        let connect = Connect {
            clean_start: false,
            session_expiry_secs: Some(expiry_secs),
            ..Connect::new(Version::V5, client_id)
        };
        Self::connect(broker, connect).await
    }

    async fn connect(broker: SocketAddr, connect: Connect) -> Result<(Self, bool), BenchError> {
        let stream = TcpStream::connect(broker)
            .await
            .map_err(BenchError::io(format!("cannot connect to {broker}")))?;
        // A batch is written at once; waiting for more would only delay it.
        stream
            .set_nodelay(true)
            .map_err(BenchError::io("cannot set TCP_NODELAY"))?;
        let mut connection = Self {
            stream,
            client_id: connect.client_id.clone(),
            input: vec![0; INPUT_BYTES],
            filled: 0,
            output: BytesMut::new(),
        };
        connection.put(&Packet::Connect(Box::new(connect)))?;
        let (reason, session_present) = connection
            .answer("CONNACK", |packet| match packet {
                Packet::ConnAck(connack) => Some((connack.reason, connack.session_present)),
                _ => None,
            })
            .await?;
        refuse_error("the client", reason)?;
        Ok((connection, session_present))
    }

    /// Subscribes, and waits for the SUBACK.
    ///
    /// # Errors
    /// If the broker refuses the filter, or sends something else first.
    pub async fn subscribe(
        &mut self,
        filter: &str,
        qos: QoS,
        user_properties: UserProperties,
    ) -> Result<(), BenchError> {
        self.put(&Packet::Subscribe(Subscribe {
            packet_id: PacketId::MIN,
            subscription_id: None,
            user_properties,
            filters: vec![SubscribeFilter {
                filter: filter.to_owned(),
                qos,
                no_local: false,
                retain_as_published: false,
                retain_handling: RetainHandling::DoNotSend,
            }],
        }))?;
        let reason = self
            .answer("SUBACK", |packet| match packet {
                Packet::SubAck(suback) => suback.reasons.first().copied(),
                _ => None,
            })
            .await?;
        refuse_error("the subscription", reason)
    }

    /// Adds a packet to the batch that the next turn writes.
    ///
    /// # Errors
    /// If the packet cannot be said.
    pub fn put(&mut self, packet: &Packet<'_>) -> Result<(), BenchError> {
        Ok(codec::encode(packet, Version::V5, &mut self.output)?)
    }

    /// Writes the batch, waits for bytes, and hands over every packet that is there in full; what `handle` adds to the
    /// batch is written by the next turn.
    ///
    /// # Errors
    /// If the connection ends or stalls, or as `handle` says.
    pub async fn turn(
        &mut self,
        what: &'static str,
        mut handle: impl FnMut(Packet<'_>, &mut BytesMut) -> Result<(), BenchError>,
    ) -> Result<(), BenchError> {
        // Behind an answer there may be packets already.
        if cut(&self.input[..self.filled])?.is_none() {
            self.wait(what).await?;
        }
        let mut used = 0;
        while let Some((packet, len)) = cut(&self.input[used..self.filled])? {
            used += len;
            handle(packet, &mut self.output)?;
        }
        self.keep_from(used);
        Ok(())
    }

    /// Says DISCONNECT and closes.
    ///
    /// # Errors
    /// If the connection broke.
    pub async fn close(mut self) -> Result<(), BenchError> {
        self.put(&Packet::Disconnect(Disconnect::new(ReasonCode::Success)))?;
        let Self {
            stream,
            output,
            client_id,
            ..
        } = &mut self;
        stream
            .write_all(output)
            .await
            .map_err(BenchError::io(format!("the connection of {client_id}")))
    }

    /// Says DISCONNECT and waits until the broker has closed: afterwards the client is away for it, too.
    ///
    /// # Errors
    /// If the broker sends something else or does not close.
    pub async fn leave(mut self) -> Result<(), BenchError> {
        self.put(&Packet::Disconnect(Disconnect::new(ReasonCode::Success)))?;
        match self.answer("the end of the connection", |_| None::<()>).await {
            Err(BenchError::Closed { .. }) => Ok(()),
            result => result,
        }
    }

    /// Waits for one packet and takes what `pick` sees in it; the packets behind it stay in the input.
    async fn answer<T>(
        &mut self,
        expected: &'static str,
        mut pick: impl FnMut(&Packet<'_>) -> Option<T>,
    ) -> Result<T, BenchError> {
        loop {
            if let Some((packet, len)) = cut(&self.input[..self.filled])? {
                let picked = pick(&packet).ok_or_else(|| BenchError::unexpected(expected, &packet))?;
                self.keep_from(len);
                return Ok(picked);
            }
            self.wait(expected).await?;
        }
    }

    /// Writes until everything is written, then waits until something was read. Reads while it cannot write, so that
    /// the two sides never wait for each other.
    async fn wait(&mut self, what: &'static str) -> Result<(), BenchError> {
        if self.filled == self.input.len() {
            self.input.resize(self.input.len() * 2, 0);
        }
        let Self {
            stream,
            input,
            filled,
            output,
            ..
        } = self;
        let transfer = poll_fn(|cx| {
            while !output.is_empty() {
                match Pin::new(&mut *stream).poll_write(cx, output) {
                    Poll::Ready(Ok(len)) => output.advance(len),
                    Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                    Poll::Pending => break,
                }
            }
            let mut buffer = ReadBuf::new(&mut input[*filled..]);
            let read = Pin::new(&mut *stream).poll_read(cx, &mut buffer);
            read.map_ok(|()| buffer.filled().len())
        });
        let len = tokio::time::timeout(STALL, transfer)
            .await
            .map_err(|_| BenchError::Stalled { what, after: STALL })?
            .map_err(BenchError::io(format!("the connection of {}", self.client_id)))?;
        if len == 0 {
            return Err(BenchError::Closed {
                client: self.client_id.clone(),
            });
        }
        self.filled += len;
        Ok(())
    }

    fn keep_from(&mut self, used: usize) {
        self.input.copy_within(used..self.filled, 0);
        self.filled -= used;
    }
}

/// The packet identifier of the nth packet of a connection, counted from 0.
pub fn packet_id(nth: u64) -> PacketId {
    let id = (nth % u64::from(u16::MAX)) as u16 + 1;
    NonZeroU16::new(id).expect("a remainder of 65,535 plus 1 is not 0")
}

fn cut(bytes: &[u8]) -> Result<Option<(Packet<'_>, usize)>, BenchError> {
    Ok(codec::decode_from_server(bytes, Version::V5, &LIMITS)?)
}

fn refuse_error(what: &'static str, reason: ReasonCode) -> Result<(), BenchError> {
    if reason.is_error() {
        return Err(BenchError::Refused { what, reason });
    }
    Ok(())
}

const LIMITS: DecodeLimits = DecodeLimits {
    max_packet_size: MAX_PACKET_SIZE as u32,
};
/// What one read takes at most, until a packet is larger.
const INPUT_BYTES: usize = 256 << 10;
/// How long a connection may stay silent before the scenario takes what is missing for lost.
pub const STALL: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packet_ids_go_round_without_zero() {
        let ids = [0, 65_534, 65_535, 65_536].map(|nth| packet_id(nth).get());
        assert_eq!(ids, [1, 65_535, 1, 2]);
    }
}

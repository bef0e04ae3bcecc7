//! One MQTT connection that reads and writes in batches. Knows no scenario.

use std::net::SocketAddr;
use std::num::NonZeroU16;
use std::time::Duration;

use bytes::BytesMut;

use rewindmq::codec::{
    self, Connect, DecodeLimits, Disconnect, MAX_PACKET_SIZE, Packet, RetainHandling, Subscribe, SubscribeFilter,
    UserProperties,
};
use rewindmq::types::{PacketId, QoS, ReasonCode, Version};

use crate::error::BenchError;
use crate::wire::Wire;

/// A connection whose CONNACK has come.
#[derive(Debug)]
pub struct Connection {
    wire: Wire,
    client_id: String,
    version: Version,
}

impl Connection {
    /// Connects with MQTT 5, a clean start and no keep-alive, and waits for the CONNACK.
    ///
    /// # Errors
    /// If the broker cannot be reached or refuses the client.
    pub async fn open(broker: SocketAddr, client_id: &str) -> Result<Self, BenchError> {
        Self::open_with(broker, Version::V5, client_id, INPUT_BYTES).await
    }

    /// The same with this version, and with reads of at most this many bytes until a packet is larger.
    ///
    /// # Errors
    /// If the broker cannot be reached or refuses the client.
    pub async fn open_with(
        broker: SocketAddr,
        version: Version,
        client_id: &str,
        input_bytes: usize,
    ) -> Result<Self, BenchError> {
        let (connection, _) = Self::connect(broker, Connect::new(version, client_id), input_bytes).await?;
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
        Self::connect(broker, connect, INPUT_BYTES).await
    }

    async fn connect(broker: SocketAddr, connect: Connect, input_bytes: usize) -> Result<(Self, bool), BenchError> {
        let wire = Wire::connect(broker, input_bytes)
            .await
            .map_err(BenchError::io(format!("cannot connect to {broker}")))?;
        let mut connection = Self {
            wire,
            client_id: connect.client_id.clone(),
            version: connect.version,
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
        self.subscribe_all(std::slice::from_ref(&filter), qos, user_properties)
            .await
    }

    /// Subscribes to all of these in one packet, and waits for the SUBACK.
    ///
    /// # Errors
    /// If the broker refuses a filter, or sends something else first.
    pub async fn subscribe_all(
        &mut self,
        filters: &[impl AsRef<str>],
        qos: QoS,
        user_properties: UserProperties,
    ) -> Result<(), BenchError> {
        let filters = filters.iter().map(|filter| SubscribeFilter {
            filter: filter.as_ref().to_owned(),
            qos,
            no_local: false,
            retain_as_published: false,
            retain_handling: RetainHandling::DoNotSend,
        });
        self.put(&Packet::Subscribe(Subscribe {
            packet_id: PacketId::MIN,
            subscription_id: None,
            user_properties,
            filters: filters.collect(),
        }))?;
        let reasons = self
            .answer("SUBACK", |packet| match packet {
                Packet::SubAck(suback) => Some(suback.reasons.clone()),
                _ => None,
            })
            .await?;
        reasons
            .into_iter()
            .try_for_each(|reason| refuse_error("the subscription", reason))
    }

    /// Adds a packet to the batch that the next turn writes.
    ///
    /// # Errors
    /// If the packet cannot be said.
    pub fn put(&mut self, packet: &Packet<'_>) -> Result<(), BenchError> {
        Ok(codec::encode(packet, self.version, &mut self.wire.output)?)
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
        if cut(self.wire.unread(), self.version)?.is_none() {
            self.wait(what).await?;
        }
        let (unread, output) = self.wire.split();
        let mut used = 0;
        while let Some((packet, len)) = cut(&unread[used..], self.version)? {
            used += len;
            handle(packet, output)?;
        }
        self.wire.consume(used);
        Ok(())
    }

    /// Sends PINGREQ and waits for the PINGRESP.
    ///
    /// # Errors
    /// If the broker sends something else or closes.
    pub async fn ping(&mut self) -> Result<(), BenchError> {
        self.put(&Packet::PingReq)?;
        self.answer("PINGRESP", |packet| matches!(packet, Packet::PingResp).then_some(()))
            .await
    }

    /// The bare connection, for who cuts the packets himself.
    pub fn into_wire(self) -> Wire {
        self.wire
    }

    /// Says DISCONNECT and closes.
    ///
    /// # Errors
    /// If the connection broke.
    pub async fn close(mut self) -> Result<(), BenchError> {
        self.put(&Packet::Disconnect(Disconnect::new(ReasonCode::Success)))?;
        self.wire
            .write()
            .await
            .map_err(BenchError::io(format!("the connection of {}", self.client_id)))
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
            if let Some((packet, len)) = cut(self.wire.unread(), self.version)? {
                let picked = pick(&packet).ok_or_else(|| BenchError::unexpected(expected, &packet))?;
                self.wire.consume(len);
                return Ok(picked);
            }
            self.wait(expected).await?;
        }
    }

    /// Writes until everything is written, then waits until something was read.
    async fn wait(&mut self, what: &'static str) -> Result<(), BenchError> {
        let len = tokio::time::timeout(STALL, self.wire.transfer())
            .await
            .map_err(|_| BenchError::Stalled { what, after: STALL })?
            .map_err(BenchError::io(format!("the connection of {}", self.client_id)))?;
        if len == 0 {
            return Err(BenchError::Closed {
                client: self.client_id.clone(),
            });
        }
        Ok(())
    }
}

/// The packet identifier of the nth packet of a connection, counted from 0.
pub fn packet_id(nth: u64) -> PacketId {
    let id = (nth % u64::from(u16::MAX)) as u16 + 1;
    NonZeroU16::new(id).expect("a remainder of 65,535 plus 1 is not 0")
}

fn cut(bytes: &[u8], version: Version) -> Result<Option<(Packet<'_>, usize)>, BenchError> {
    Ok(codec::decode_from_server(bytes, version, &LIMITS)?)
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
pub const INPUT_BYTES: usize = 256 << 10;
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

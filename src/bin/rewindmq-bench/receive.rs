//! Receives everything that one connection is due, acknowledges it, and has each delivery checked. Knows no scenario.

use std::time::Duration;

use bytes::BytesMut;
use rewindmq::codec::{self, Ack, Packet};
use rewindmq::types::{ReasonCode, Version};

use crate::connection::{Connection, STALL};
use crate::error::BenchError;
use crate::events::Seen;

/// Receives until nothing is missing or nothing comes any more; what is missing then is lost. Says how long it waited
/// in vain at the end.
///
/// # Errors
/// If the connection breaks or something other than a message comes.
pub async fn receive_all(connection: &mut Connection, seen: &mut Seen) -> Result<Duration, BenchError> {
    while seen.received() < seen.due() {
        match turn(connection, seen).await {
            Err(BenchError::Stalled { .. }) => return Ok(STALL),
            result => result?,
        }
    }
    Ok(Duration::ZERO)
}

/// Sends the last acknowledgements, and looks for deliveries behind the last one that is due: they come too often.
///
/// # Errors
/// If the connection breaks or something other than a message comes.
pub async fn receive_surplus(connection: &mut Connection, seen: &mut Seen) -> Result<(), BenchError> {
    let surplus = turn(connection, seen);
    tokio::time::timeout(SURPLUS_WAIT, surplus).await.unwrap_or(Ok(()))
}

async fn turn(connection: &mut Connection, seen: &mut Seen) -> Result<(), BenchError> {
    connection
        .turn("events", |packet, output| receive(&packet, seen, output))
        .await
}

fn receive(packet: &Packet<'_>, seen: &mut Seen, output: &mut BytesMut) -> Result<(), BenchError> {
    let Packet::Publish(publish) = packet else {
        return Err(BenchError::unexpected("PUBLISH", packet));
    };
    seen.receive(publish);
    acknowledge(publish, output)
}

/// Adds the PUBACK of a delivery to the batch, if it wants one.
///
/// # Errors
/// None in practice: a plain PUBACK can always be said.
pub fn acknowledge(publish: &codec::Publish<'_>, output: &mut BytesMut) -> Result<(), BenchError> {
    if let Some(packet_id) = publish.packet_id {
        let ack = Packet::PubAck(Ack::new(packet_id, ReasonCode::Success));
        codec::encode(&ack, Version::V5, output)?;
    }
    Ok(())
}

/// How long to look for deliveries behind the last one that is due.
const SURPLUS_WAIT: Duration = Duration::from_millis(300);

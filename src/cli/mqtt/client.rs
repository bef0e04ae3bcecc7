//! One connection of MQTT 5: gets in, keeps itself alive, hands over what comes. Knows no topic.

use std::io;
use std::ops::ControlFlow;
use std::time::Duration;

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, sleep_until, timeout};

use super::connection::ConnectionArgs;
use super::error::MqttError;
use crate::codec::{ConnAck, Connect, DecodeLimits, Disconnect, MAX_PACKET_SIZE, Packet, decode_from_server, encode};
use crate::net::Stream;
use crate::net::dial::dial;
use crate::types::{ReasonCode, Version};

/// A client that the broker has let in.
pub(super) struct Client {
    stream: Box<dyn Stream>,
    url: String,
    input: BytesMut,
    output: Output,
    connack: Box<ConnAck>,
    pings: Pings,
    /// Why the broker ended the connection, told when what came before is handled.
    ending: Option<MqttError>,
}

/// What waits to be written.
#[derive(Default)]
pub(super) struct Output {
    bytes: BytesMut,
    /// Whether there is something that has not left this program.
    is_unsent: bool,
}

impl Output {
    /// Adds a packet.
    pub(super) fn put(&mut self, packet: &Packet<'_>) -> Result<(), MqttError> {
        self.is_unsent = true;
        Ok(encode(packet, Version::V5, &mut self.bytes)?)
    }

    /// How much waits, bytes.
    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }
}

/// When to say that the client is there, and until when the broker has to answer.
struct Pings {
    every: Option<Duration>,
    last_sent: Instant,
    unanswered_since: Option<Instant>,
    /// PINGREQs without a PINGRESP.
    unanswered: u64,
}

impl Pings {
    fn next(&self) -> Option<Instant> {
        let every = self.every?;
        Some(self.unanswered_since.unwrap_or(self.last_sent) + every)
    }
}

impl Client {
    /// Connects, and waits for the CONNACK.
    pub(super) async fn open(args: &ConnectionArgs, connect: Connect) -> Result<Self, MqttError> {
        let url = args.url.to_string();
        let destination = args.destination()?;
        let opening = async {
            let stream = dial(&destination).await?;
            let mut client = Self::over(stream, url.clone(), connect.keep_alive_secs);
            client.output.put(&Packet::Connect(Box::new(connect)))?;
            client.wait_for_connack().await?;
            Ok(client)
        };
        let silent = MqttError::Silent {
            url: url.clone(),
            after: PATIENCE,
        };
        timeout(PATIENCE, opening).await.unwrap_or(Err(silent))
    }

    fn over(stream: Box<dyn Stream>, url: String, keep_alive_secs: u16) -> Self {
        Self {
            stream,
            url,
            input: BytesMut::new(),
            output: Output::default(),
            connack: Box::new(ConnAck::new(ReasonCode::UnspecifiedError)),
            pings: Pings {
                every: interval(keep_alive_secs),
                last_sent: Instant::now(),
                unanswered_since: None,
                unanswered: 0,
            },
            ending: None,
        }
    }

    async fn wait_for_connack(&mut self) -> Result<(), MqttError> {
        let mut found = None;
        while found.is_none() {
            self.transfer(true).await?;
            self.take_packets(|packet, _| {
                if let Packet::ConnAck(connack) = packet {
                    found = Some(connack);
                    return Ok(ControlFlow::Break(()));
                }
                Ok(ControlFlow::Continue(()))
            })?;
        }
        self.connack = found.expect("the loop ends with one");
        if self.connack.reason.is_error() {
            return Err(MqttError::refused(&self.url, &self.connack));
        }
        if let Some(secs) = self.connack.server_keep_alive_secs {
            // [MQTT-3.1.2-21]
            self.pings.every = interval(secs);
        }
        Ok(())
    }

    /// What the broker said when it let the client in.
    pub(super) fn connack(&self) -> &ConnAck {
        &self.connack
    }

    /// The broker, for people.
    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// What waits to be written.
    pub(super) fn output(&mut self) -> &mut Output {
        &mut self.output
    }

    /// Sends PINGREQ, which the broker answers when it has handled all that went before.
    pub(super) fn ping(&mut self) -> Result<(), MqttError> {
        self.pings.unanswered += 1;
        self.output.put(&Packet::PingReq)
    }

    /// Whether every PINGREQ is answered.
    pub(super) fn has_answered_pings(&self) -> bool {
        self.pings.unanswered == 0
    }

    /// Writes and reads until something was read or all is written; can be dropped and called again. While not `reading` it
    /// still keeps the connection alive.
    pub(super) async fn transfer(&mut self, reading: bool) -> Result<(), MqttError> {
        if let Some(fault) = self.ending.take_if(|_| reading) {
            return Err(fault);
        }
        let Self {
            stream,
            output,
            input,
            pings,
            url,
            ..
        } = self;
        let broken = |fault: io::Error| MqttError::Broken(url.clone(), fault);
        loop {
            let ping = pings.next();
            let (mut read, mut write) = tokio::io::split(&mut *stream);
            let unsent = output.is_unsent;
            let send = async {
                write.write_all_buf(&mut output.bytes).await?;
                write.flush().await
            };
            input.reserve(READ_BYTES);
            tokio::select! {
                sent = send, if unsent => {
                    sent.map_err(broken)?;
                    output.is_unsent = false;
                    pings.last_sent = Instant::now();
                    return Ok(());
                }
                count = read.read_buf(input), if reading => {
                    if count.map_err(broken)? == 0 {
                        return Err(MqttError::Closed(url.clone()));
                    }
                    return Ok(());
                }
                () = until(ping) => {}
            }
            if let (Some(_), Some(every), true) = (pings.unanswered_since, pings.every, reading) {
                return Err(MqttError::Silent {
                    url: url.clone(),
                    after: every,
                });
            }
            output.put(&Packet::PingReq)?;
            pings.unanswered += 1;
            pings.last_sent = Instant::now();
            // Who does not read sees no answer.
            pings.unanswered_since = reading.then(Instant::now);
        }
    }

    /// Hands over the packets that are there in full, until `handle` breaks off; what is behind stays for the next time.
    pub(super) fn take_packets(
        &mut self,
        mut handle: impl FnMut(Packet<'_>, &mut Output) -> Result<ControlFlow<()>, MqttError>,
    ) -> Result<(), MqttError> {
        let mut used = 0;
        let mut flow = ControlFlow::Continue(());
        while flow.is_continue() {
            let cut = decode_from_server(&self.input[used..], Version::V5, &LIMITS);
            let cut = cut.map_err(|fault| MqttError::Decode {
                url: self.url.clone(),
                fault,
            })?;
            let Some((packet, len)) = cut else { break };
            used += len;
            match packet {
                Packet::PingResp => {
                    self.pings.unanswered = self.pings.unanswered.saturating_sub(1);
                    self.pings.unanswered_since = None;
                }
                Packet::Disconnect(disconnect) => self.ending = Some(MqttError::disconnected(&self.url, &disconnect)),
                packet => flow = handle(packet, &mut self.output)?,
            }
        }
        self.input.advance(used);
        Ok(())
    }

    /// Says DISCONNECT behind what waits, and closes. A broker that is gone or hangs is not waited for.
    pub(super) async fn close(mut self) -> Result<(), MqttError> {
        self.output
            .put(&Packet::Disconnect(Disconnect::new(ReasonCode::Success)))?;
        let url = self.url.clone();
        let broken = |fault: io::Error| MqttError::Broken(url.clone(), fault);
        let leave = async {
            self.stream.write_all_buf(&mut self.output.bytes).await?;
            self.stream.flush().await
        };
        match timeout(GOODBYE, leave).await {
            Ok(sent) => sent.map_err(broken)?,
            Err(_) => return Err(MqttError::Silent { url, after: GOODBYE }),
        }
        // Nothing depends on how the streams below say goodbye.
        timeout(GOODBYE, self.stream.shutdown()).await.ok();
        Ok(())
    }
}

/// Half of the Keep Alive: a ping that is late does not cost the connection.
fn interval(keep_alive_secs: u16) -> Option<Duration> {
    (keep_alive_secs > 0).then(|| Duration::from_secs(u64::from(keep_alive_secs)) / 2)
}

/// Waits for a moment; without one, for ever.
pub(super) async fn until(moment: Option<Instant>) {
    match moment {
        Some(moment) => sleep_until(moment).await,
        None => std::future::pending().await,
    }
}

const LIMITS: DecodeLimits = DecodeLimits {
    max_packet_size: MAX_PACKET_SIZE as u32,
};
/// Room for one read.
const READ_BYTES: usize = 64 << 10;
/// How long getting in may take.
const PATIENCE: Duration = Duration::from_secs(15);
/// How long leaving may take.
const GOODBYE: Duration = Duration::from_secs(5);

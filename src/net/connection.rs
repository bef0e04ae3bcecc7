//! The life of one connection: CONNECT, then turns of read, handle, deliver, write; then its end.

use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::time::{Instant, Sleep};

use super::spare;
use crate::broker::{Broker, Cause, Client, Next, Pumped, Refused};
use crate::codec::{self, ConnAck, Connect, DecodeLimits, Disconnect, Packet};
use crate::metrics::RefusalReason;
use crate::session::Fault;
use crate::types::{ReasonCode, Version};

/// Serves one connection to its end.
pub async fn serve<S: AsyncRead + AsyncWrite + Unpin>(stream: S, peer: SocketAddr, broker: Arc<Broker>) {
    // Boxed: what the beginning needs is given back before the connection's long and mostly idle life.
    let begun = Box::pin(begin(stream, peer, broker)).await;
    if let Some((connection, client, keep_alive_secs)) = begun {
        connection.run(client, keep_alive_secs).await;
    }
}

/// Waits for CONNECT and lets the client in, or refuses it.
async fn begin<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    peer: SocketAddr,
    broker: Arc<Broker>,
) -> Option<(Connection<S>, Box<Client>, u16)> {
    let limits = DecodeLimits {
        max_packet_size: broker.config().session.max_packet_size,
    };
    let mut connection = Connection {
        stream,
        input: BytesMut::new(),
        is_held_back: false,
        peer,
        broker,
        limits,
        largest: usize::MAX,
    };
    let timeout = connection.broker.config().session.connect_timeout;
    let refusal = match tokio::time::timeout(timeout, connection.read_connect()).await {
        Ok(Ok(connect)) => {
            let version = connect.version;
            let keep_alive_secs = connection.broker.keep_alive_secs(&connect);
            match connection.broker.connect(connect).await {
                Ok(client) => return Some((connection, client, keep_alive_secs)),
                Err(refused) => Refusal::answered(refused, version),
            }
        }
        Ok(Err(refusal)) => refusal,
        Err(_) => Refusal::silent(RefusalReason::Timeout, "no CONNECT in time"),
    };
    connection.refuse(refusal).await;
    None
}

struct Connection<S> {
    stream: S,
    input: BytesMut,
    /// Whether the input may hold a whole packet that the client's state did not let in yet.
    is_held_back: bool,
    peer: SocketAddr,
    broker: Arc<Broker>,
    limits: DecodeLimits,
    /// The client's Maximum Packet Size, once CONNECT has told it.
    largest: usize,
}

/// Why a connection is closed before its client is let in.
struct Refusal {
    answer: Option<(Box<ConnAck>, Version)>,
    reason: RefusalReason,
    what: String,
}

impl Refusal {
    fn silent(reason: RefusalReason, what: &str) -> Self {
        Self {
            answer: None,
            reason,
            what: what.to_owned(),
        }
    }

    fn answered(refused: Refused, version: Version) -> Self {
        let what = refused.connack.reason_string.clone().unwrap_or_default();
        Self {
            answer: Some((refused.connack, version)),
            reason: refused.reason,
            what,
        }
    }
}

/// A client in the hands of its connection. Goes back to the broker whatever happens to the connection's task, so that
/// its identifier is never left locked.
struct Held {
    broker: Arc<Broker>,
    client: Option<(Box<Client>, Cause)>,
}

impl Drop for Held {
    fn drop(&mut self) {
        if let Some((client, cause)) = self.client.take() {
            self.broker.disconnect(client, cause);
        }
    }
}

/// What a connection waited for.
enum Event {
    /// Bytes came; they are in the input.
    Read(usize),
    /// The client closed its side, or the connection broke.
    Closed,
    /// Bytes of the output are on their way.
    Wrote(usize),
    /// Something is in the mailbox, or there was more to do at once.
    Woken,
    /// The keep-alive ran out.
    KeepAlive,
}

/// How a connection ends.
enum End {
    /// As the client wished.
    Client(Cause),
    /// The connection broke.
    Lost,
    /// The broker ends it.
    Fault(Fault),
}

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    async fn read_connect(&mut self) -> Result<Connect, Refusal> {
        loop {
            match codec::decode(&self.input, None, &self.limits) {
                Ok(Some((Packet::Connect(connect), len))) => {
                    self.input.advance(len);
                    self.largest = connect.maximum_packet_size.map_or(usize::MAX, |size| size as usize);
                    return Ok(*connect);
                }
                // [MQTT-3.1.0-1]
                Ok(Some(_)) => {
                    return Err(Refusal::silent(
                        RefusalReason::Protocol,
                        "the first packet is no CONNECT",
                    ));
                }
                Ok(None) => {}
                Err(fault) => return Err(refuse_connect(&fault)),
            }
            let read = poll_fn(|cx| poll_read(&mut self.stream, &mut self.input, cx)).await;
            if read == 0 {
                return Err(Refusal::silent(RefusalReason::Lost, "closed before CONNECT"));
            }
        }
    }

    /// Answers, where the protocol has an answer, and closes.
    async fn refuse(mut self, refusal: Refusal) {
        self.broker
            .metrics()
            .connections_refused
            .of(refusal.reason)
            .increment(1);
        tracing::info!(peer = %self.peer, reason = %refusal.what, "connection refused");
        let Some((connack, version)) = refusal.answer else {
            return;
        };
        // [MQTT-3.2.2-19]: the reason string goes first, then the whole answer.
        let bare = Box::new(ConnAck::new(connack.reason));
        for connack in [connack, bare] {
            let mut out = BytesMut::new();
            let encoded = codec::encode(&Packet::ConnAck(connack), version, &mut out);
            if encoded.is_ok() && out.len() <= self.largest {
                return self.write_last(&out).await;
            }
        }
    }

    async fn run(mut self, client: Box<Client>, keep_alive_secs: u16) {
        let name = client.client_id().to_owned();
        tracing::info!(client = %name, peer = %self.peer, version = ?client.version(), "connected");
        let mut held = Held {
            broker: self.broker.clone(),
            client: Some((client, Cause::Lost)),
        };
        let Some((client, cause)) = &mut held.client else {
            return;
        };
        match self.turns(client, keep_alive_secs).await {
            End::Client(said) => {
                tracing::info!(client = %name, peer = %self.peer, "disconnected");
                *cause = said;
            }
            End::Lost => tracing::info!(client = %name, peer = %self.peer, "connection lost"),
            End::Fault(fault) => {
                tracing::info!(client = %name, peer = %self.peer, reason = %fault, "connection ended");
                self.say_goodbye(client, &fault).await;
            }
        }
    }

    async fn turns(&mut self, client: &mut Client, keep_alive_secs: u16) -> End {
        let mut keep_alive = KeepAlive::new(keep_alive_secs);
        loop {
            if client.output().is_empty() {
                spare::borrow(client.output());
            }
            match self.handle_input(client, &mut keep_alive) {
                Ok(None) => {}
                Ok(Some(end)) => return end,
                Err(fault) => return End::Fault(fault),
            }
            self.broker.end_turn(client);
            let now = self.broker.clock().now();
            let pumped = match self.broker.pump(client, now) {
                Ok(pumped) => pumped,
                Err(fault) => return End::Fault(fault),
            };
            self.broker.end_turn(client);
            match self.wait(client, pumped, &mut keep_alive).await {
                Event::Read(bytes) => {
                    self.broker.metrics().bytes_received.increment(bytes as u64);
                }
                Event::Closed => return End::Lost,
                Event::Wrote(bytes) => {
                    if !client.takes_input() {
                        // Its packets wait because it was slow to read; that it reads shows that it lives.
                        keep_alive.packet_came();
                    }
                    self.broker.wrote(client, bytes);
                }
                Event::Woken => {}
                Event::KeepAlive => {
                    // [MQTT-3.1.2-22]
                    return End::Fault(Fault::new(
                        ReasonCode::KeepAliveTimeout,
                        "nothing came for 1.5 times the keep-alive",
                    ));
                }
            }
        }
    }

    /// Handles every packet that is there in full. A part of one does not keep the connection alive.
    fn handle_input(&mut self, client: &mut Client, keep_alive: &mut KeepAlive) -> Result<Option<End>, Fault> {
        let now = self.broker.clock().now();
        let input = std::mem::take(&mut self.input);
        let (mut used, mut packets) = (0, 0);
        while client.takes_input() {
            let decoded = codec::decode(&input[used..], Some(client.version()), &self.limits);
            let Some((packet, len)) = decoded.map_err(|fault| self.protocol_fault(&fault))? else {
                break;
            };
            used += len;
            packets += 1;
            if let Next::End(cause) = self.broker.handle_packet(client, packet, now)? {
                self.broker.end_turn(client);
                return Ok(Some(End::Client(cause)));
            }
        }
        if packets > 0 {
            keep_alive.packet_came();
            self.broker.metrics().packets_received.increment(packets);
        }
        self.is_held_back = used < input.len() && !client.takes_input();
        if used < input.len() {
            self.input = input;
            self.input.advance(used);
        }
        Ok(None)
    }

    fn protocol_fault(&self, fault: &codec::DecodeError) -> Fault {
        self.broker.metrics().protocol_errors.increment(1);
        Fault {
            reason: fault.reason,
            what: fault.to_string().into(),
        }
    }

    async fn wait(&mut self, client: &mut Client, pumped: Pumped, keep_alive: &mut KeepAlive) -> Event {
        let broker = self.broker.clone();
        let outbox = client.outbox().clone();
        let mut woken = pin!(outbox.woken());
        // While the log is behind, publishers are not read from.
        let has_room = broker.log().has_room();
        let mut room = pin!(broker.log().room());
        if self.is_held_back && client.takes_input() {
            // What made room may have left nothing to write, and the client may have nothing more to say.
            return Event::Woken;
        }
        let may_read = has_room && client.takes_input();
        let mut yielded = false;
        poll_fn(|cx| {
            if !client.output().is_empty() {
                match Pin::new(&mut self.stream).poll_write(cx, client.output()) {
                    Poll::Ready(Ok(0) | Err(_)) => return Poll::Ready(Event::Closed),
                    Poll::Ready(Ok(n)) => {
                        client.output().advance(n);
                        return Poll::Ready(Event::Wrote(n));
                    }
                    Poll::Pending => {}
                }
            }
            if may_read {
                match poll_read(&mut self.stream, &mut self.input, cx) {
                    Poll::Ready(0) => return Poll::Ready(Event::Closed),
                    Poll::Ready(bytes) => return Poll::Ready(Event::Read(bytes)),
                    Poll::Pending => {}
                }
            }
            if woken.as_mut().poll(cx).is_ready() {
                return Poll::Ready(Event::Woken);
            }
            if !has_room && room.as_mut().poll(cx).is_ready() {
                return Poll::Ready(Event::Woken);
            }
            // While the log is behind, the broker is the one that keeps the client waiting.
            if has_room && !client.awaits_commits() && keep_alive.poll(cx).is_ready() {
                return Poll::Ready(Event::KeepAlive);
            }
            if pumped == Pumped::More {
                if yielded {
                    return Poll::Ready(Event::Woken);
                }
                // Others on this worker get their turn first.
                yielded = true;
                cx.waker().wake_by_ref();
            } else if client.output().is_empty() {
                spare::give_back(std::mem::take(client.output()));
            }
            Poll::Pending
        })
        .await
    }

    /// Tells a client of MQTT 5 why its connection ends, after what was written for it already.
    async fn say_goodbye(&mut self, client: &mut Client, fault: &Fault) {
        if client.version() == Version::V5 {
            let mut disconnect = Disconnect::new(fault.reason);
            disconnect.reason_string = Some(fault.what.to_string());
            client.write(Packet::Disconnect(disconnect));
        }
        let out = std::mem::take(client.output());
        self.write_last(&out).await;
    }

    /// Writes what goes out before closing; a client that does not read is not waited for.
    async fn write_last(&mut self, out: &[u8]) {
        let write = async {
            self.stream.write_all(out).await?;
            self.stream.shutdown().await
        };
        match tokio::time::timeout(GOODBYE_TIMEOUT, write).await {
            Ok(Ok(())) => {}
            Ok(Err(fault)) => tracing::debug!(peer = %self.peer, %fault, "the last packet could not be written"),
            Err(_) => tracing::debug!(peer = %self.peer, "the client did not read the last packet"),
        }
    }
}

/// When the client must have sent something. The timer is set anew only when it runs out.
struct KeepAlive {
    allowed: Duration,
    last_packet: Instant,
    timer: Option<Pin<Box<Sleep>>>,
}

impl KeepAlive {
    fn new(secs: u16) -> Self {
        let allowed = Duration::from_millis(u64::from(secs) * 1500);
        let last_packet = Instant::now();
        let timer = (secs > 0).then(|| Box::pin(tokio::time::sleep_until(last_packet + allowed)));
        Self {
            allowed,
            last_packet,
            timer,
        }
    }

    fn packet_came(&mut self) {
        if self.timer.is_some() {
            self.last_packet = Instant::now();
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(timer) = &mut self.timer else {
            return Poll::Pending;
        };
        while timer.as_mut().poll(cx).is_ready() {
            let deadline = self.last_packet + self.allowed;
            if deadline <= Instant::now() {
                return Poll::Ready(());
            }
            timer.as_mut().reset(deadline);
        }
        Poll::Pending
    }
}

/// Reads what is there, through the worker's own buffer, so that an idle connection holds none. 0: closed.
fn poll_read<S: AsyncRead + Unpin>(stream: &mut S, input: &mut BytesMut, cx: &mut Context<'_>) -> Poll<usize> {
    SCRATCH.with_borrow_mut(|scratch| {
        let mut buffer = ReadBuf::new(scratch);
        match Pin::new(stream).poll_read(cx, &mut buffer) {
            Poll::Ready(Ok(())) => {
                input.extend_from_slice(buffer.filled());
                Poll::Ready(buffer.filled().len())
            }
            Poll::Ready(Err(_)) => Poll::Ready(0),
            Poll::Pending => Poll::Pending,
        }
    })
}

/// The answer to a CONNECT that is none, where one is due (section 3.1.4).
fn refuse_connect(fault: &codec::DecodeError) -> Refusal {
    let reason = match fault.reason {
        ReasonCode::UnsupportedProtocolVersion => RefusalReason::Version,
        ReasonCode::ClientIdentifierNotValid => RefusalReason::ClientId,
        _ => RefusalReason::Protocol,
    };
    let answer = fault.version.map(|version| {
        let mut connack = ConnAck::new(fault.reason);
        if reason != RefusalReason::Version {
            // Who speaks another version may not know properties.
            connack.reason_string = Some(fault.to_string());
        }
        (Box::new(connack), version)
    });
    Refusal {
        answer,
        reason,
        what: fault.to_string(),
    }
}

thread_local! {
    static SCRATCH: RefCell<Box<[u8]>> = RefCell::new(vec![0; READ_BYTES].into_boxed_slice());
}

/// What one read takes at most.
const READ_BYTES: usize = 64 << 10;
/// How long the last packet may take to be written.
const GOODBYE_TIMEOUT: Duration = Duration::from_secs(1);

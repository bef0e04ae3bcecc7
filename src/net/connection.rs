//! The life of one connection: CONNECT, then turns of read, handle, deliver, write; then its end.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Buf;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::Instant;

use super::admission::{Admitted, admit};
use super::keep_alive::KeepAlive;
use super::throttle::Throttle;
use super::validity::Validity;
use super::wire::Wire;
use crate::broker::{Arrival, Broker, Cause, Client, Counted, Next, Pumped};
use crate::codec::{self, DecodeLimits, Disconnect, Packet, spare};
use crate::metrics::Limit;
use crate::session::Fault;
use crate::types::{ReasonCode, Timestamp, Version};

/// Serves one connection to its end.
pub fn serve<S>(stream: S, arrival: impl Into<Arrival>, broker: Arc<Broker>) -> impl Future<Output = ()> + Send
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let arrival = arrival.into();
    let deadline = Instant::now() + broker.config().session.connect_timeout;
    serve_opened(
        async move { Some((stream, arrival, Counted::default())) },
        deadline,
        broker,
    )
}

/// The same for a stream that the connection's own task opens, which says itself why if it cannot, and that counts for its
/// address. CONNECT must be there at the `deadline`.
pub(super) fn serve_opened<S>(
    open: impl Future<Output = Option<(S, Arrival, Counted)>> + Send + 'static,
    deadline: Instant,
    broker: Arc<Broker>,
) -> impl Future<Output = ()> + Send + Unpin
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let begin = async move {
        let (stream, arrival, counted) = open.await?;
        let max_packet_size = broker.config().session.max_packet_size;
        let wire = Wire::new(stream, max_packet_size);
        begin(wire, broker, arrival, counted, deadline).await
    };
    Serving::Beginning(Box::pin(begin))
}

async fn begin<S: AsyncRead + AsyncWrite + Unpin>(
    mut wire: Wire<S>,
    broker: Arc<Broker>,
    arrival: Arrival,
    counted: Counted,
    deadline: Instant,
) -> Option<Running<S>> {
    let admitted = admit(&mut wire, &broker, arrival, deadline).await?;
    Some(Running::new(wire, broker, admitted, counted))
}

type Boxed<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// What the beginning and the end need is boxed: the connection's long and mostly idle life between them takes no room
/// for it.
enum Serving<S> {
    Beginning(Boxed<Option<Running<S>>>),
    Running(Running<S>),
    Ending(Boxed<()>),
    Over,
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send + 'static> Future for Serving<S> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            let next = match &mut *self {
                Self::Beginning(begin) => match ready!(begin.as_mut().poll(cx)) {
                    Some(running) => Self::Running(running),
                    None => Self::Over,
                },
                Self::Running(running) => {
                    let end = ready!(running.poll(cx));
                    match std::mem::replace(&mut *self, Self::Over) {
                        Self::Running(running) => Self::Ending(Box::pin(running.end(end))),
                        _ => Self::Over,
                    }
                }
                Self::Ending(end) => {
                    ready!(end.as_mut().poll(cx));
                    Self::Over
                }
                Self::Over => return Poll::Ready(()),
            };
            *self = next;
        }
    }
}

/// A line of the log about the connection of a client.
macro_rules! life_event {
    ($client:expr, $($more:tt)+) => {
        tracing::info!(
            client = $client.client_id(),
            address = $client.peer().map(tracing::field::display),
            user = $client.user(),
            listener = $client.listener(),
            $($more)+
        )
    };
}

/// A client in the hands of its connection. Goes back to the broker whatever happens to the connection's task, so that
/// its identifier is never left locked.
struct Held {
    broker: Arc<Broker>,
    client: Option<Box<Client>>,
    /// What the client said; nothing if the connection was lost.
    said: Option<Box<Disconnect>>,
}

impl Drop for Held {
    fn drop(&mut self) {
        if let Some(client) = self.client.take() {
            let said = self.said.take();
            self.broker
                .disconnect(client, said.map_or(Cause::Lost, |said| Cause::Client(*said)));
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
    Client(Box<Disconnect>),
    /// The connection broke.
    Lost,
    /// The broker ends it.
    Fault(Fault),
}

/// A connection whose client was let in.
struct Running<S> {
    wire: Wire<S>,
    held: Held,
    keep_alive: KeepAlive,
    validity: Validity,
    /// Waits for room in the log: while it is behind, publishers are not read from.
    room: Option<Boxed<()>>,
    throttle: Option<Box<Throttle>>,
    phase: Phase,
    /// Counts for its address until the end.
    _counted: Counted,
}

/// Where a connection is in its turn.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// There is something to do.
    Work,
    /// Something has to happen first.
    Wait,
    /// There is more to do, but others on this worker get their turn first.
    Yield,
    /// They have had it.
    Yielded,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Running<S> {
    fn new(wire: Wire<S>, broker: Arc<Broker>, mut admitted: Admitted, counted: Counted) -> Self {
        let client = &mut admitted.client;
        let validity = Validity::new(client.valid_until(), broker.clock());
        let throttle = Throttle::new(&broker.config().limits, Instant::now());
        life_event!(client, version = ?client.version(), "connected");
        broker.tell_connected(client);
        Self {
            wire,
            held: Held {
                broker,
                client: Some(admitted.client),
                said: None,
            },
            keep_alive: KeepAlive::new(admitted.keep_alive_secs),
            validity,
            room: None,
            throttle,
            phase: Phase::Work,
            _counted: counted,
        }
    }

    /// Turns until the end.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<End> {
        let Self {
            wire,
            held,
            keep_alive,
            validity,
            room,
            throttle,
            phase,
            ..
        } = self;
        let Held {
            broker,
            client: Some(client),
            ..
        } = held
        else {
            return Poll::Ready(End::Lost);
        };
        loop {
            if *phase == Phase::Work {
                let turned = match turn(wire, broker, client, keep_alive, throttle.as_deref_mut()) {
                    Ok(turned) => turned,
                    Err(end) => return Poll::Ready(end),
                };
                if turned.is_held_back && client.takes_input() {
                    // What made room may have left nothing to write, and the client may have nothing more to say.
                    continue;
                }
                if turned.pause.is_some() && room.is_none() {
                    broker.metrics().limited.of(Limit::PublishRate).increment(1);
                }
                let is_behind = !broker.log().has_room();
                *room = if is_behind {
                    Some(wait_for_room(broker.clone()))
                } else {
                    turned
                        .pause
                        .map(|pause| Box::pin(tokio::time::sleep(pause)) as Boxed<()>)
                };
                *phase = if turned.pumped == Pumped::More {
                    Phase::Yield
                } else {
                    Phase::Wait
                };
            }
            // On every way through: a client that is busy is not to outlive its proof.
            if validity.poll(broker.clock(), cx).is_ready() {
                return Poll::Ready(End::Fault(expired()));
            }
            let event = ready!(poll_event(wire, client, keep_alive, room, phase, cx));
            *phase = Phase::Work;
            match event {
                Event::Read(bytes) => {
                    broker.metrics().bytes_received.increment(bytes as u64);
                }
                Event::Closed => return Poll::Ready(End::Lost),
                Event::Wrote(bytes) => {
                    if !client.takes_input() {
                        // Its packets wait because it was slow to read; that it reads shows that it lives.
                        keep_alive.packet_came();
                    }
                    if client.output().is_empty() {
                        spare::give_back(std::mem::take(client.output()));
                    }
                    broker.wrote(client, bytes);
                }
                Event::Woken => {}
                // [MQTT-3.1.2-22]
                Event::KeepAlive => return Poll::Ready(End::Fault(silent())),
            }
        }
    }

    /// Tells a client of MQTT 5 why its connection ends, after what was written for it already.
    async fn end(mut self, end: End) {
        let Held {
            broker,
            client: Some(client),
            ..
        } = &mut self.held
        else {
            return;
        };
        let fault = match end {
            End::Client(said) => {
                life_event!(client, "disconnected");
                broker.tell_disconnected(client, &"the client said goodbye");
                self.held.said = Some(said);
                let Self { mut wire, held, .. } = self;
                // The client's identifier does not wait for the end of its transport.
                drop(held);
                return wire.write_last(&[]).await;
            }
            End::Lost => {
                life_event!(client, "connection lost");
                broker.tell_disconnected(client, &"the connection was lost");
                return;
            }
            End::Fault(fault) => fault,
        };
        life_event!(client, reason = fault.to_string(), "connection ended");
        let written = client.output().len();
        if client.version() == Version::V5 {
            let mut disconnect = Disconnect::new(fault.reason);
            disconnect.reason_string = Some(fault.what.to_string());
            client.write(Packet::Disconnect(disconnect));
        }
        broker.tell_output(client, written);
        broker.tell_disconnected(client, &fault);
        let out = std::mem::take(client.output());
        self.wire.write_last(&out).await;
    }
}

/// What a turn has left.
struct Turned {
    pumped: Pumped,
    /// Whether the input may hold a whole packet that the client's state did not let in yet.
    is_held_back: bool,
    /// How long the client is to be left unread, because it publishes too fast.
    pause: Option<Duration>,
}

/// Handles what came, hands over what that brings to others, and gathers what goes out.
fn turn<S: AsyncRead + AsyncWrite + Unpin>(
    wire: &mut Wire<S>,
    broker: &Broker,
    client: &mut Client,
    keep_alive: &mut KeepAlive,
    throttle: Option<&mut Throttle>,
) -> Result<Turned, End> {
    if client.output().is_empty() {
        spare::borrow(client.output());
    }
    let traced = broker.tracer().concerns(client.client_id());
    client.set_traced(traced);
    let written = client.output().len();
    let turned = work(wire, broker, client, keep_alive, throttle);
    // Who said goodbye is sent nothing any more.
    if client.is_traced() && !matches!(turned, Err(End::Client(_))) {
        broker.tell_output(client, written);
    }
    turned
}

fn work<S: AsyncRead + AsyncWrite + Unpin>(
    wire: &mut Wire<S>,
    broker: &Broker,
    client: &mut Client,
    keep_alive: &mut KeepAlive,
    throttle: Option<&mut Throttle>,
) -> Result<Turned, End> {
    let Handled {
        is_held_back,
        pause,
        read_at,
    } = handle_input(wire, broker, client, keep_alive, throttle)?;
    let has_messages = broker.end_turn(client);
    let now = broker.clock().now();
    if let Some(read_at) = read_at.filter(|_| has_messages) {
        broker.handed_over(read_at, now);
    }
    let pumped = broker.pump(client, now).map_err(End::Fault)?;
    broker.end_turn(client);
    Ok(Turned {
        pumped,
        is_held_back,
        pause,
    })
}

/// What became of the input.
#[derive(Default)]
struct Handled {
    /// Whether packets had to stay.
    is_held_back: bool,
    /// How long the client has to wait because it publishes too fast.
    pause: Option<Duration>,
    /// When it was read, if there was any.
    read_at: Option<Timestamp>,
}

/// Handles every packet that is there in full; a part of one does not keep the connection alive.
fn handle_input<S: AsyncRead + AsyncWrite + Unpin>(
    wire: &mut Wire<S>,
    broker: &Broker,
    client: &mut Client,
    keep_alive: &mut KeepAlive,
    mut throttle: Option<&mut Throttle>,
) -> Result<Handled, End> {
    if wire.input.is_empty() {
        return Ok(Handled::default());
    }
    let limits = DecodeLimits {
        max_packet_size: wire.max_packet_size,
    };
    let now = broker.clock().now();
    let input = std::mem::take(&mut wire.input);
    let (mut used, mut packets, mut pause) = (0, 0, None);
    while client.takes_input() {
        if let Some(throttle) = throttle.as_deref_mut() {
            pause = throttle.pause(Instant::now());
            if pause.is_some() {
                break;
            }
        }
        let decoded = codec::decode(&input[used..], Some(client.version()), &limits);
        let Some((packet, len)) = decoded.map_err(|fault| protocol_fault(broker, &fault))? else {
            break;
        };
        let bytes = &input[used..used + len];
        used += len;
        packets += 1;
        if let (Some(throttle), Packet::Publish(_)) = (throttle.as_deref_mut(), &packet) {
            throttle.take(len);
        }
        if client.is_traced() {
            broker.tell_input(client, &packet, len);
        }
        let next = broker.handle_packet(client, packet, bytes, now).map_err(End::Fault)?;
        if let Next::End(said) = next {
            broker.end_turn(client);
            return Err(End::Client(said));
        }
    }
    if packets > 0 {
        keep_alive.packet_came();
        broker.metrics().packets_received.increment(packets);
    }
    let is_held_back = used < input.len() && !client.takes_input();
    wire.leave(input, used);
    Ok(Handled {
        is_held_back,
        pause,
        read_at: Some(now),
    })
}

fn protocol_fault(broker: &Broker, fault: &codec::DecodeError) -> End {
    broker.metrics().protocol_errors.increment(1);
    if fault.reason == ReasonCode::PacketTooLarge {
        broker.metrics().limited.of(Limit::PacketSize).increment(1);
    }
    End::Fault(Fault {
        reason: fault.reason,
        what: fault.to_string().into(),
    })
}

fn poll_event<S: AsyncRead + AsyncWrite + Unpin>(
    wire: &mut Wire<S>,
    client: &mut Client,
    keep_alive: &mut KeepAlive,
    room: &mut Option<Boxed<()>>,
    phase: &mut Phase,
    cx: &mut Context<'_>,
) -> Poll<Event> {
    if !client.output().is_empty() {
        match wire.poll_write(client.output(), cx) {
            Poll::Ready(Ok(0) | Err(_)) => return Poll::Ready(Event::Closed),
            Poll::Ready(Ok(n)) => {
                client.output().advance(n);
                return Poll::Ready(Event::Wrote(n));
            }
            Poll::Pending => {}
        }
    }
    if !wire.flush(cx) {
        return Poll::Ready(Event::Closed);
    }
    if room.is_none() && client.takes_input() {
        match wire.poll_read(cx) {
            Poll::Ready(0) => return Poll::Ready(Event::Closed),
            Poll::Ready(bytes) => return Poll::Ready(Event::Read(bytes)),
            Poll::Pending => {}
        }
    }
    let has_room = room.as_mut().is_some_and(|room| room.as_mut().poll(cx).is_ready());
    if has_room {
        // It may have sent while it was not read from.
        keep_alive.packet_came();
        *room = None;
    }
    if has_room || client.outbox().poll_woken(cx).is_ready() {
        return Poll::Ready(Event::Woken);
    }
    // While the log is behind, the broker is the one that keeps the client waiting.
    if room.is_none() && !client.awaits_commits() && keep_alive.poll(cx).is_ready() {
        return Poll::Ready(Event::KeepAlive);
    }
    match phase {
        Phase::Yielded => return Poll::Ready(Event::Woken),
        Phase::Yield => {
            *phase = Phase::Yielded;
            cx.waker().wake_by_ref();
        }
        Phase::Work | Phase::Wait if client.output().is_empty() => {
            spare::give_back(std::mem::take(client.output()));
        }
        Phase::Work | Phase::Wait => {}
    }
    Poll::Pending
}

fn wait_for_room(broker: Arc<Broker>) -> Boxed<()> {
    Box::pin(async move { broker.log().room().await })
}

/// Section 3.14.2.1 has 0xA0 for a connection that has lasted as long as it was authorised to, which is what the end of a
/// token is; 0x87 is for a request that is not allowed.
fn expired() -> Fault {
    Fault::new(
        ReasonCode::MaximumConnectTime,
        "the token that the client connected with has expired",
    )
}

fn silent() -> Fault {
    Fault::new(
        ReasonCode::KeepAliveTimeout,
        "nothing came for 1.5 times the keep-alive",
    )
}

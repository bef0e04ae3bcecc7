//! What comes before CONNECT: the header of a proxy, the handshakes of TLS and WebSocket. All of it within the time
//! that a client has for its CONNECT.

use std::future::Future;
use std::io;
use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::{Instant, timeout_at};

use super::counted::count;
use super::door::Door;
use super::refusal::{Closed, Who, note};
use super::{proxy, tls, websocket};
use crate::auth::Identity;
use crate::broker::{Arrival, Broker, Counted, Peer};
use crate::config::Transport;
use crate::metrics::RefusalReason;

/// A stream behind its handshakes. Plain TCP goes without the box.
pub trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

/// A connection as the accept loop hands it over.
pub(super) struct Accepted<S> {
    pub stream: S,
    pub peer: Peer,
    pub door: Arc<Door>,
    pub broker: Arc<Broker>,
    /// When CONNECT must be there.
    pub deadline: Instant,
    /// Its address, counted already unless it is a proxy's.
    pub counted: Counted,
}

/// A socket that is not yet registered with the reactor of its worker.
pub(super) trait Raw: Send {
    type Stream: Stream + 'static;

    /// Registers it with the reactor of the worker that this runs on.
    fn register(self) -> io::Result<Self::Stream>;
}

impl Raw for std::net::TcpStream {
    type Stream = TcpStream;

    fn register(self) -> io::Result<TcpStream> {
        let stream = TcpStream::from_std(self)?;
        // Output is gathered before it is written; waiting for more would only delay it.
        if let Err(fault) = stream.set_nodelay(true) {
            tracing::debug!(%fault, "TCP_NODELAY could not be set");
        }
        Ok(stream)
    }
}

impl Raw for std::os::unix::net::UnixStream {
    type Stream = UnixStream;

    fn register(self) -> io::Result<UnixStream> {
        UnixStream::from_std(self)
    }
}

/// Opens a connection that carries MQTT as it is; there may be a proxy before it.
pub(super) async fn open_plain<R: Raw>(accepted: Accepted<R>) -> Option<(R::Stream, Arrival, Counted)> {
    let (door, broker, peer, deadline) = accepted.parts();
    let open = async {
        let mut stream = register(accepted.stream)?;
        let (peer, counted) = proxied(&mut stream, &door, &broker, peer, accepted.counted).await?;
        Ok((stream, arrival(&door, peer, None), counted))
    };
    in_time(open, &door, &broker, peer, deadline).await
}

/// Opens a connection with TLS, WebSocket, or both.
pub(super) async fn open_layered<R: Raw>(accepted: Accepted<R>) -> Option<(Box<dyn Stream>, Arrival, Counted)> {
    let (door, broker, peer, deadline) = accepted.parts();
    let open = async {
        let mut stream = register(accepted.stream)?;
        let (peer, counted) = proxied(&mut stream, &door, &broker, peer, accepted.counted).await?;
        let Some(certificates) = &door.tls else {
            let stream = websocket_or_not(stream, &door, &broker, peer).await?;
            return Ok((stream, arrival(&door, peer, None), counted));
        };
        let (stream, identity) = tls::accept(stream, certificates, broker.clock().now()).await?;
        let stream = websocket_or_not(stream, &door, &broker, peer).await?;
        Ok((stream, arrival(&door, peer, identity), counted))
    };
    in_time(open, &door, &broker, peer, deadline).await
}

impl<S> Accepted<S> {
    fn parts(&self) -> (Arc<Door>, Arc<Broker>, Peer, Instant) {
        (self.door.clone(), self.broker.clone(), self.peer, self.deadline)
    }
}

/// Says why, if it does not come to a stream.
async fn in_time<T>(
    open: impl Future<Output = Result<T, Closed>>,
    door: &Door,
    broker: &Broker,
    peer: Peer,
    deadline: Instant,
) -> Option<T> {
    let late = |_| Closed::new(RefusalReason::Timeout, "the handshake did not end in time");
    let closed = match timeout_at(deadline, open).await.map_err(late) {
        Ok(Ok(opened)) => return Some(opened),
        Ok(Err(closed)) | Err(closed) => closed,
    };
    if !closed.is_told {
        note(
            broker,
            &door.gate.listener,
            peer,
            &Who::default(),
            closed.reason,
            &closed.what,
        );
    }
    None
}

fn register<R: Raw>(raw: R) -> Result<R::Stream, Closed> {
    let fault = |fault| {
        Closed::new(
            RefusalReason::Lost,
            format!("the connection could not be taken over: {fault}"),
        )
    };
    raw.register().map_err(fault)
}

/// Who is behind the proxy, where the listener has one before it: counts for its address.
async fn proxied(
    stream: &mut (impl AsyncRead + Unpin),
    door: &Door,
    broker: &Broker,
    peer: Peer,
    counted: Counted,
) -> Result<(Peer, Counted), Closed> {
    if !door.proxy_protocol {
        return Ok((peer, counted));
    }
    if !door.trusts(peer) {
        let what = format!("{peer} is none of the trusted_proxies of this listener");
        return Err(Closed::new(RefusalReason::Proxy, what));
    }
    let fault = |fault: io::Error| {
        Closed::new(
            RefusalReason::Proxy,
            format!("no header of the PROXY protocol: {fault}"),
        )
    };
    let client = proxy::read_header(stream).await.map_err(fault)?;
    // Without a client the proxy speaks for itself.
    let Some(client) = client.map(Peer::Ip) else {
        return Ok((peer, counted));
    };
    let counted = count(broker, client).ok_or_else(Closed::told)?;
    Ok((client, counted))
}

async fn websocket_or_not(
    stream: impl Stream + 'static,
    door: &Door,
    broker: &Broker,
    peer: Peer,
) -> Result<Box<dyn Stream>, Closed> {
    match door.transport {
        Transport::Tcp => Ok(Box::new(stream)),
        Transport::WebSocket => {
            let largest = broker.config().session.max_packet_size as usize;
            let stream = websocket::accept(stream, &door.path, largest, peer).await?;
            Ok(Box::new(stream))
        }
    }
}

fn arrival(door: &Door, peer: Peer, certificate: Option<Identity>) -> Arrival {
    Arrival {
        peer,
        gate: door.gate.clone(),
        certificate,
    }
}

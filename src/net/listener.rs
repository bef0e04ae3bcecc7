//! Accepts connections and hands each to a worker in turn.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, UnixListener};
use tokio::runtime::Handle;
use tokio::time::Instant;

use super::connection::serve_opened;
use super::counted::count;
use super::door::{Door, Seated};
use super::opening::{Accepted, Raw, open_layered, open_plain};
use super::refusal::{Who, note};
use super::tls::Certificates;
use super::unix::{self, SocketFile};
use crate::broker::{Broker, Counted, Peer};
use crate::config::{Endpoint, Listener as Config};
use crate::metrics::{Limit, RefusalReason};

/// Why an address cannot be listened on.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}: {source}{}", hint(source))]
pub struct ListenError {
    address: String,
    source: io::Error,
}

/// What to do about it, where that is known.
fn hint(source: &io::Error) -> &'static str {
    match source.kind() {
        io::ErrorKind::AddrInUse => {
            "; another program has that port: stop it, or choose another with --listen or --http"
        }
        io::ErrorKind::PermissionDenied => {
            "; ports below 1024 need a privilege, and a Unix socket a folder that may be written to"
        }
        io::ErrorKind::AddrNotAvailable => "; no interface of this machine has that address",
        _ => "",
    }
}

impl ListenError {
    /// The address, and what the system says.
    pub fn new(address: String, source: io::Error) -> Self {
        Self { address, source }
    }
}

/// A socket that is listened on, and what it asks of clients.
#[derive(Debug)]
pub struct Listener {
    socket: Socket,
    /// The address with the port that it got.
    address: String,
    protocol: &'static str,
    /// Whether it does so at the start.
    lets_in_anonymous: bool,
    door: Arc<Door>,
}

#[derive(Debug)]
enum Socket {
    Tcp(TcpListener, SocketAddr),
    Unix(
        UnixListener,
        #[expect(dead_code, reason = "the file goes with it")] SocketFile,
    ),
}

impl Listener {
    /// Binds to the address of a listener. `authenticates`: whether clients can prove who they are, beside certificates.
    pub async fn bind(
        config: &Config,
        certificates: Option<Arc<Certificates>>,
        authenticates: bool,
    ) -> Result<Self, ListenError> {
        let fault = |source| ListenError::new(config.address.to_string(), source);
        let socket = Socket::bind(&config.address, config.mode).await.map_err(fault)?;
        let address = socket
            .ip()
            .map_or_else(|| config.address.to_string(), |ip| ip.to_string());
        let door = Arc::new(Door::new(config, &address, certificates));
        Ok(Self {
            lets_in_anonymous: config.lets_in_anonymous(authenticates),
            socket,
            address,
            protocol: config.protocol(),
            door,
        })
    }

    /// The IP address with the port that it got; `None` for a Unix socket.
    pub fn ip(&self) -> Option<SocketAddr> {
        self.socket.ip()
    }

    /// Where it listens, with the port that it got.
    pub fn shown(&self) -> String {
        self.address.clone()
    }

    /// What it speaks, in a word.
    pub fn protocol(&self) -> &'static str {
        self.protocol
    }

    /// Says in the log where it listens and for whom.
    pub fn announce(&self) {
        let (protocol, anonymous) = (self.protocol, self.lets_in_anonymous);
        let listener = &*self.door.gate.listener;
        // The address stands first: programs read it from here.
        tracing::info!(address = %self.address, protocol, anonymous, listener, "listening");
    }

    /// Accepts connections until the task is dropped; each runs on the next worker.
    pub async fn accept(self, broker: Arc<Broker>, workers: Vec<Handle>) {
        let _open = Open(self.door.gate.listener.clone());
        for worker in workers.iter().cycle() {
            match self.next_connection(&broker).await {
                Connection::Tcp(stream, peer) => self.hand_over(stream, Peer::Ip(peer), &broker, worker),
                Connection::Unix(stream) => self.hand_over(stream, Peer::Unix, &broker, worker),
            }
        }
    }

    async fn next_connection(&self, broker: &Broker) -> Connection {
        loop {
            match self.socket.accept().await {
                Ok(connection) => return connection,
                Err(fault) => {
                    // Out of file descriptors, most likely: others will close theirs.
                    if broker.floods().accept().admits(broker.clock().now()) {
                        let listener = &*self.door.gate.listener;
                        tracing::warn!(listener, %fault, "a connection could not be accepted");
                    }
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    fn hand_over<R: Raw + 'static>(&self, stream: R, peer: Peer, broker: &Arc<Broker>, worker: &Handle) {
        let Some(seat) = self.door.seat() else {
            broker.metrics().limited.of(Limit::ListenerConnections).increment(1);
            let what = "the listener has as many connections as it may (max_connections)";
            return note(
                broker,
                &self.door.gate.listener,
                peer,
                &Who::default(),
                RefusalReason::Limit,
                &what,
            );
        };
        // Behind a proxy it is the client's address that counts, which is not known yet.
        let is_proxy = self.door.proxy_protocol && self.door.trusts(peer);
        let counted = if is_proxy {
            Some(Counted::default())
        } else {
            count(broker, peer)
        };
        let Some(counted) = counted else { return };
        let deadline = Instant::now() + broker.config().session.connect_timeout;
        let accepted = Accepted {
            stream,
            peer,
            door: self.door.clone(),
            broker: broker.clone(),
            deadline,
            counted,
        };
        if self.door.is_plain() {
            let serving = serve_opened(open_plain(accepted), deadline, broker.clone());
            worker.spawn(Seated { serving, _seat: seat });
        } else {
            let serving = serve_opened(open_layered(accepted), deadline, broker.clone());
            worker.spawn(Seated { serving, _seat: seat });
        }
    }
}

/// A listener that accepts; says so when it does not any more, however that comes.
struct Open(String);

impl Drop for Open {
    fn drop(&mut self) {
        tracing::info!(listener = self.0, "listener closed");
    }
}

enum Connection {
    Tcp(std::net::TcpStream, SocketAddr),
    Unix(std::os::unix::net::UnixStream),
}

impl Socket {
    async fn bind(address: &Endpoint, mode: u32) -> io::Result<Self> {
        match address {
            Endpoint::Tcp(address) => {
                let socket = TcpListener::bind((address.host.as_str(), address.port)).await?;
                let local = socket.local_addr()?;
                Ok(Self::Tcp(socket, local))
            }
            Endpoint::Unix(path) => unix::bind(path, mode).map(|(socket, file)| Self::Unix(socket, file)),
        }
    }

    fn ip(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp(_, address) => Some(*address),
            Self::Unix(..) => None,
        }
    }

    async fn accept(&self) -> io::Result<Connection> {
        match self {
            Self::Tcp(socket, _) => {
                let (stream, peer) = socket.accept().await?;
                Ok(Connection::Tcp(stream.into_std()?, peer))
            }
            Self::Unix(socket, _) => {
                let (stream, _) = socket.accept().await?;
                Ok(Connection::Unix(stream.into_std()?))
            }
        }
    }
}

/// How long accepting pauses after it failed.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

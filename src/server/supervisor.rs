//! Tells the service manager that started the process (systemd, or another that sets NOTIFY_SOCKET) what it is at. Knows no
//! broker.

use std::env;
use std::ffi::OsStr;
use std::io;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram as Socket};
use std::path::Path;
use std::time::Duration;

use sd_notify::NotifyState;
use tokio::net::UnixDatagram;

/// The service manager, if there is one that wants to be told.
#[derive(Debug)]
pub(super) struct Supervisor {
    address: Option<SocketAddr>,
}

impl Supervisor {
    /// The one that this process's environment names.
    pub fn from_environment() -> Self {
        let address = env::var_os("NOTIFY_SOCKET").and_then(|name| {
            let fault = match address(&name) {
                Ok(address) => return Some(address),
                Err(fault) => fault,
            };
            tracing::warn!(%fault, socket = ?name, "NOTIFY_SOCKET names no Unix socket: the service manager is told nothing");
            None
        });
        Self { address }
    }

    /// How long it waits for a sign of life before it ends the process, if it does.
    pub fn watchdog(&self) -> Option<Duration> {
        self.address.as_ref().and_then(|_| sd_notify::watchdog_enabled())
    }

    /// The store is about to be opened, which may take long after a crash.
    pub async fn starting(&self, store: &Path) {
        let status = format!("opening the store in {}", store.display());
        self.tell(&[NotifyState::Status(&status)]).await;
    }

    /// The store is open and everything is listened on.
    pub async fn ready(&self, serving: &str) {
        self.tell(&[NotifyState::Ready, NotifyState::Status(serving)]).await;
    }

    /// The configuration is being read again.
    pub async fn reloading(&self) {
        let status = NotifyState::Status("reading the configuration again");
        match NotifyState::monotonic_usec_now() {
            Ok(now) => self.tell(&[NotifyState::Reloading, now, status]).await,
            Err(fault) => tracing::warn!(%fault, "the service manager was not told of the reload: there is no clock"),
        }
    }

    /// It was read; a faulty one has changed nothing.
    pub async fn reloaded(&self, is_new: bool, serving: &str) {
        let status = if is_new {
            serving.to_owned()
        } else {
            format!(
                "{serving}; the configuration that was read last is faulty (see the log), the one before is in force"
            )
        };
        self.ready(&status).await;
    }

    /// The process works.
    pub async fn alive(&self) {
        self.tell(&[NotifyState::Watchdog]).await;
    }

    /// No newcomers any more; clients are told, and everything is brought to disk.
    pub async fn stopping(&self) {
        let status = NotifyState::Status("telling the clients and bringing everything to disk");
        self.tell(&[NotifyState::Stopping, status]).await;
    }

    async fn tell(&self, states: &[NotifyState<'_>]) {
        let Some(address) = &self.address else { return };
        let text: String = states.iter().map(|state| format!("{state}\n")).collect();
        let sent = tokio::time::timeout(PATIENCE, send(address, text.as_bytes())).await;
        if let Err(fault) = sent.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())) {
            tracing::warn!(%fault, socket = ?address, "the service manager cannot be told: {}", text.trim_end());
        }
    }
}

/// A path, or behind `@` a name without a file.
fn address(name: &OsStr) -> io::Result<SocketAddr> {
    match name.as_bytes() {
        [b'@', name @ ..] => SocketAddr::from_abstract_name(name),
        [b'/', ..] => SocketAddr::from_pathname(name),
        _ => Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "expected a path from the root, or a name behind @",
        )),
    }
}

/// One datagram; waits while the other side has no room.
async fn send(address: &SocketAddr, text: &[u8]) -> io::Result<()> {
    let socket = Socket::unbound()?;
    socket.connect_addr(address)?;
    socket.set_nonblocking(true)?;
    UnixDatagram::from_std(socket)?.send(text).await.map(drop)
}

/// How long a service manager may have no room for a message.
const PATIENCE: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    fn told(socket: &Socket) -> String {
        let mut buffer = [0; 1_000];
        let length = socket.recv(&mut buffer).expect("something was told");
        String::from_utf8_lossy(&buffer[..length]).into_owned()
    }

    #[tokio::test]
    async fn a_socket_with_a_file_and_one_without_are_told() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("notify");
        let name = format!("rewindmq-test-{}-{:x}", std::process::id(), fastrand::u64(..));
        let hidden = SocketAddr::from_abstract_name(&name).expect("an address");
        for (socket, address_text) in [
            (Socket::bind(&path).expect("bound"), path.as_os_str().to_owned()),
            (Socket::bind_addr(&hidden).expect("bound"), format!("@{name}").into()),
        ] {
            let supervisor = Supervisor {
                address: Some(address(&address_text).expect("a socket")),
            };
            supervisor.ready("tcp 127.0.0.1:1883").await;
            assert_eq!(told(&socket), "READY=1\nSTATUS=tcp 127.0.0.1:1883\n");
            supervisor.alive().await;
            assert_eq!(told(&socket), "WATCHDOG=1\n");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_service_manager_that_does_not_listen_holds_up_nothing() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("notify");
        let full = Socket::bind(&path).expect("bound");
        let supervisor = Supervisor {
            address: Some(address(path.as_os_str()).expect("a socket")),
        };
        // More than a socket has room for by default (net.unix.max_dgram_qlen).
        for _ in 0..2_000 {
            supervisor.alive().await;
        }
        drop(full);
        supervisor.alive().await;
    }

    #[test]
    fn what_names_no_unix_socket_is_refused() {
        for name in ["", "relative", "vsock:2:1234", "/\0"] {
            assert!(address(OsStr::new(name)).is_err(), "{name:?}");
        }
    }
}

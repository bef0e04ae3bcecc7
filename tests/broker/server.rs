//! A broker in this process, on a store of the test's, with its own ports.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::{Arc, mpsc};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rewindmq::codec::Connect;
use rewindmq::config::{Address, Config, Listener};
use rewindmq::server::Server;
use rewindmq::store::{FailingStore, MemoryStore, Store};
use tokio::sync::oneshot;

use super::client::{Client, DEADLINE};

/// A running broker; it stops when dropped.
pub struct Broker {
    pub address: SocketAddr,
    http: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// Two workers, free ports, and what begins with `s/` is stored.
pub fn config() -> Config {
    let mut config = Config {
        listeners: vec![Listener::on(Address::loopback(0))],
        ..Config::default()
    };
    config.http.address = Address::loopback(0);
    config.runtime.workers = 2;
    config.store.rules = vec![config.store.rule_for("s/#".into())];
    config
}

/// A store in memory that fails when it is told to.
pub fn failing_store() -> Arc<FailingStore> {
    Arc::new(FailingStore::new(Arc::new(MemoryStore::new())))
}

impl Broker {
    /// A broker with the usual configuration and an empty store in memory.
    pub fn start() -> Self {
        Self::start_on(config(), Arc::new(MemoryStore::new()))
    }

    pub fn start_on(config: Config, store: Arc<dyn Store>) -> Self {
        let (started, addresses) = mpsc::channel();
        let (stop, stopped) = oneshot::channel();
        let thread = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.expect("a runtime").block_on(async {
                let server = Server::start_on(config, store).await.expect("the broker starts");
                let http = server.http_address().expect("metrics are served");
                started.send((server.addresses()[0], http)).expect("the test waits");
                // An error means that the test is gone: stop as well.
                let _ = stopped.await;
                server.stop().await;
            });
        });
        let (address, http) = addresses.recv().expect("the broker starts");
        Self {
            address,
            http,
            stop: Some(stop),
            thread: Some(thread),
        }
    }

    pub fn connect(&self, connect: Connect) -> Client {
        Client::connect(self.address, connect)
    }

    /// The value of a metric; `name` with its labels, as on the page.
    pub fn metric(&self, name: &str) -> f64 {
        let mut stream = TcpStream::connect(self.http).expect("metrics are served");
        stream.set_read_timeout(Some(DEADLINE)).expect("a connection");
        let request = "GET /metrics HTTP/1.1\r\nHost: broker\r\nConnection: close\r\n\r\n";
        stream.write_all(request.as_bytes()).expect("a connection");
        let mut page = String::new();
        stream.read_to_string(&mut page).expect("the page");
        let value = page
            .lines()
            .find_map(|line| line.strip_prefix(name)?.trim().parse().ok());
        value.unwrap_or_else(|| panic!("no metric {name} in {page}"))
    }

    /// Looks at a metric until it is as wanted.
    pub fn await_metric(&self, name: &str, wanted: impl Fn(f64) -> bool) {
        let deadline = Instant::now() + DEADLINE;
        while !wanted(self.metric(name)) {
            assert!(Instant::now() < deadline, "{name} stays at {}", self.metric(name));
            thread::park_timeout(POLL);
        }
    }

    /// Stops in order, and returns when everything is in the store.
    pub fn stop(mut self) {
        self.end();
    }

    fn end(&mut self) {
        if let Some(stop) = self.stop.take() {
            // An error means that the broker could not start: the test fails for that.
            let _ = stop.send(());
        }
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
            && !thread::panicking()
        {
            panic!("the broker ended in a panic");
        }
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.end();
    }
}

/// How often a metric is looked at.
const POLL: Duration = Duration::from_millis(5);

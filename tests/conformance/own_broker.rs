//! This project's broker in this process, with sockets of its own and a store in memory.

use std::sync::Arc;

use rewindmq::config::{Address, Config, Listener, Transport};
use rewindmq::server::{Server, ServerError};
use rewindmq::store::MemoryStore;

/// Starts it on a free port of the loopback address.
pub async fn start() -> Result<Server, ServerError> {
    start_with(Listener::on(Address::loopback(0))).await
}

/// The same for clients that come over WebSocket.
pub async fn start_websocket() -> Result<Server, ServerError> {
    let listener = Listener {
        transport: Transport::WebSocket,
        ..Listener::on(Address::loopback(0))
    };
    start_with(listener).await
}

async fn start_with(listener: Listener) -> Result<Server, ServerError> {
    let mut config = Config {
        listeners: vec![listener],
        ..Config::default()
    };
    config.http.enabled = false;
    config.runtime.workers = 2;
    Server::start_on(config, Arc::new(MemoryStore::new())).await
}

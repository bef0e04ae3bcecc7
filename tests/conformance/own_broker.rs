//! This project's broker in this process, with sockets of its own and a store in memory.

use std::sync::Arc;

use rewindmq::config::{Address, Config, Listener, Transport};
use rewindmq::server::{Server, ServerError};
use rewindmq::store::MemoryStore;

/// Starts it on a free port of the loopback address.
pub async fn start(transport: Transport) -> Result<Server, ServerError> {
    let listener = Listener {
        transport,
        ..Listener::on(Address::loopback(0))
    };
    let mut config = Config {
        listeners: vec![listener],
        ..Config::default()
    };
    config.http.enabled = false;
    config.runtime.workers = 2;
    Server::start_on(config, Arc::new(MemoryStore::new())).await
}

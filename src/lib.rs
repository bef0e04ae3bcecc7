//! RewindMQ: an MQTT 5 and 3.1.1 broker whose every topic can be rewound.

pub mod admin;
pub mod broker;
pub mod cli;
pub mod codec;
pub mod config;
pub mod cursor;
pub mod log;
pub mod metrics;
pub mod net;
pub mod router;
pub mod server;
pub mod session;
pub mod store;
pub mod topic;
pub mod types;

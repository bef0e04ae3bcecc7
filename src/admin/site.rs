//! What the HTTP listener shows and works on, shared by its requests.

use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::task::AbortHandle;

use super::receive::Receipts;
use super::tokens::Tokens;
use super::vitals::Vitals;
use crate::broker::Broker;
use crate::metrics::MetricsPage;
use crate::types::Timestamp;

/// What the HTTP listener shows and works on. Cheap to clone.
#[derive(Clone)]
pub struct Site {
    pub(super) broker: Arc<Broker>,
    pub(super) page: MetricsPage,
    /// Where the HTTP listener is.
    pub(super) address: SocketAddr,
    pub(super) tokens: Option<Arc<Tokens>>,
    pub(super) vitals: Vitals,
    pub(super) log: Option<LogControl>,
    pub(super) receipts: Arc<Receipts>,
    pub(super) started: Timestamp,
}

/// An MQTT listener.
#[derive(Clone, Debug)]
pub struct ListenerState {
    /// Where it listens.
    pub address: String,
    /// What it speaks: tcp, tls, websocket ...
    pub protocol: &'static str,
    /// Its task, which lives as long as it accepts.
    pub task: AbortHandle,
}

/// Sets a level, or says what would be right.
type SetLevel = dyn Fn(&str) -> Result<(), String> + Send + Sync;

/// Changes what the process logs while it runs.
#[derive(Clone)]
pub struct LogControl {
    level: Arc<Mutex<String>>,
    set: Arc<SetLevel>,
}

impl Site {
    /// Of a broker, at the address where it is served; without tokens only programs of this machine may use the API.
    pub fn new(broker: Arc<Broker>, page: MetricsPage, address: SocketAddr, tokens: Option<Tokens>) -> Self {
        Self {
            started: broker.clock().now(),
            vitals: Vitals::new(broker.clone(), [], []),
            broker,
            page,
            address,
            tokens: tokens.map(Arc::new),
            log: None,
            receipts: Arc::default(),
        }
    }

    /// Where it is served.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Whether the API is opened by tokens.
    pub fn has_tokens(&self) -> bool {
        self.tokens.is_some()
    }

    /// With these MQTT listeners and workers.
    pub fn with_vitals(mut self, vitals: Vitals) -> Self {
        self.vitals = vitals;
        self
    }

    /// With the log of the process.
    pub fn with_log(mut self, log: Option<LogControl>) -> Self {
        self.log = log;
        self
    }
}

impl LogControl {
    /// A log that stands at `level`; `set` changes that.
    pub fn new(level: String, set: impl Fn(&str) -> Result<(), String> + Send + Sync + 'static) -> Self {
        Self {
            level: Arc::new(Mutex::new(level)),
            set: Arc::new(set),
        }
    }

    /// What is logged now.
    pub fn level(&self) -> String {
        self.level.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Logs another level from now on; the text of an error says what would be right.
    pub fn set_level(&self, level: &str) -> Result<(), String> {
        let mut current = self.level.lock().unwrap_or_else(PoisonError::into_inner);
        (self.set)(level)?;
        level.clone_into(&mut current);
        Ok(())
    }
}

impl fmt::Debug for Site {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Site")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for LogControl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LogControl")
            .field("level", &self.level())
            .finish_non_exhaustive()
    }
}

//! SIGINT and SIGTERM as the wish to end in order.

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::error::MqttError;

/// Both signals, heard from now on.
pub(super) struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    pub(super) fn listen() -> Result<Self, MqttError> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt()).map_err(MqttError::Runtime)?,
            terminate: signal(SignalKind::terminate()).map_err(MqttError::Runtime)?,
        })
    }

    /// Waits for one of them.
    pub(super) async fn come(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

//! What the broker tells about itself in `$SYS` topics. Publishes nothing.

use std::time::Duration;

use serde::Serialize;

use super::reader::{Reader, Section};
use super::value;

/// `$SYS/broker/...`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Sys {
    /// How often values that have changed are published; `None`: there are no such topics.
    pub interval: Option<Duration>,
}

impl Default for Sys {
    fn default() -> Self {
        Self {
            interval: Some(Duration::from_secs(10)),
        }
    }
}

impl Section for Sys {
    fn read(&mut self, reader: &mut Reader<'_, '_>) {
        let range = Duration::from_secs(1)..=Duration::from_secs(3_600);
        reader.option("interval", &mut self.interval, value::limit(value::duration(range)));
    }
}

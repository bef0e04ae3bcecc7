//! Where the broker listens: the list of MQTT listeners, and the HTTP listener. Opens no socket.

use std::path::PathBuf;

use serde::Serialize;

use super::address::Address;
use super::listener::Listener;
use super::reader::{Reader, Section};
use super::value::{self, Given};

/// The HTTP listener: metrics, health, the API.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Http {
    /// Whether there is one.
    pub enabled: bool,
    /// Where it listens; port 0 takes any free port.
    pub address: Address,
    /// The file with the tokens that open the API; `None`: only programs of this machine may use it.
    pub token_file: Option<PathBuf>,
}

impl Default for Http {
    fn default() -> Self {
        Self {
            enabled: true,
            address: Address::loopback(9883),
            token_file: None,
        }
    }
}

impl Section for Http {
    fn read(&mut self, reader: &mut Reader<'_, '_>) {
        reader.option("enabled", &mut self.enabled, value::boolean);
        reader.option("address", &mut self.address, |given| address(given, None));
        reader.option("token_file", &mut self.token_file, value::optional_path);
    }
}

/// Reads `[[listeners]]`, or `REWINDMQ__LISTENERS` with addresses between commas.
pub(super) fn read_listeners(listeners: &mut Vec<Listener>, reader: &mut Reader<'_, '_>) {
    reader.tables("listeners", listeners, Listener::default);
    if listeners.is_empty() {
        reader.refuse("listeners", NO_LISTENER);
    }
    reader.variable("listeners", listeners, |given| {
        let listeners = value::list(listener)(given)?;
        if listeners.is_empty() {
            return Err(NO_LISTENER.to_owned());
        }
        Ok(listeners)
    });
}

/// An address; `default_port` is that of a host alone.
pub(super) fn address(given: &Given<'_>, default_port: Option<u16>) -> Result<Address, String> {
    match given {
        // A bare port may be written without quotes.
        Given::Integer(port) => port.to_string().parse(),
        _ => {
            let text = given
                .text()
                .ok_or_else(|| given.instead_of("an address such as \"127.0.0.1:1883\""))?;
            Address::parse(text, default_port)
        }
    }
}

fn listener(given: &Given<'_>) -> Result<Listener, String> {
    given
        .text()
        .ok_or_else(|| given.instead_of("an address such as \"127.0.0.1:1883\""))?
        .parse()
}

const NO_LISTENER: &str = "expected at least one listener, found an empty list";

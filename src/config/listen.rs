//! Where the broker listens: the MQTT listeners and the HTTP listener. Opens no socket.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use serde::{Serialize, Serializer};

use super::reader::{Reader, Section};
use super::value::{self, Given};

/// One MQTT listener.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Listener {
    /// Where it listens; port 0 takes any free port.
    pub address: Address,
}

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

/// A host and a TCP port, written `host:port`, `[ipv6]:port`, `:port` (every IPv4 interface) or `port` (loopback).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Address {
    /// An IP address without brackets, or a host name.
    pub host: String,
    /// The TCP port; 0 takes any free one.
    pub port: u16,
}

impl Default for Listener {
    fn default() -> Self {
        Self {
            address: Address::loopback(1883),
        }
    }
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

impl Section for Listener {
    fn read(&mut self, reader: &mut Reader<'_, '_>) {
        reader.require("address");
        reader.option("address", &mut self.address, address);
    }
}

impl Section for Http {
    fn read(&mut self, reader: &mut Reader<'_, '_>) {
        reader.option("enabled", &mut self.enabled, value::boolean);
        reader.option("address", &mut self.address, address);
        reader.option("token_file", &mut self.token_file, value::optional_path);
    }
}

impl Address {
    /// A port on the loopback interface.
    pub fn loopback(port: u16) -> Self {
        Self {
            host: "127.0.0.1".to_owned(),
            port,
        }
    }

    /// Whether only programs on this machine can reach it.
    pub fn is_loopback(&self) -> bool {
        let name = self.host.eq_ignore_ascii_case("localhost");
        name || self
            .host
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback())
    }
}

impl fmt::Display for Address {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(out, "[{}]:{}", self.host, self.port)
        } else {
            write!(out, "{}:{}", self.host, self.port)
        }
    }
}

impl Serialize for Address {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl FromStr for Address {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let refusal = || format!("expected an address such as \"127.0.0.1:1883\", found \"{text}\"");
        let (host, port) = match text.rsplit_once(':') {
            None => ("127.0.0.1", text),
            Some(("" | "*", port)) => ("0.0.0.0", port),
            Some((host, port)) => (host, port),
        };
        let host = match host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            Some(inner) => inner.parse::<std::net::Ipv6Addr>().map_err(|_| refusal())?.to_string(),
            None if is_host(host) => host.to_owned(),
            None => return Err(refusal()),
        };
        if port.is_empty() || !port.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(refusal());
        }
        let port = port
            .parse()
            .map_err(|_| format!("expected a port from 0 to 65535, found \"{text}\""))?;
        Ok(Self { host, port })
    }
}

/// Reads `[[listeners]]`, or `REWINDMQ__LISTENERS` with addresses between commas.
pub(super) fn read_listeners(listeners: &mut Vec<Listener>, reader: &mut Reader<'_, '_>) {
    reader.tables("listeners", listeners, Listener::default);
    if listeners.is_empty() {
        reader.refuse("listeners", NO_LISTENER);
    }
    reader.variable("listeners", listeners, |given| {
        let addresses = value::list(address)(given)?;
        if addresses.is_empty() {
            return Err(NO_LISTENER.to_owned());
        }
        Ok(addresses.into_iter().map(|address| Listener { address }).collect())
    });
}

fn address(given: &Given<'_>) -> Result<Address, String> {
    match given {
        // A bare port may be written without quotes.
        Given::Integer(port) => port.to_string().parse(),
        _ => given
            .text()
            .ok_or_else(|| given.instead_of("an address such as \"127.0.0.1:1883\""))?
            .parse(),
    }
}

fn is_host(host: &str) -> bool {
    let label =
        |label: &str| !label.is_empty() && label.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b));
    host.split('.').all(label)
}

const NO_LISTENER: &str = "expected at least one listener, found an empty list";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_of_an_address_is_read() {
        for (text, shown) in [
            ("1883", "127.0.0.1:1883"),
            (":1883", "0.0.0.0:1883"),
            ("*:1883", "0.0.0.0:1883"),
            ("10.0.0.7:0", "10.0.0.7:0"),
            ("localhost:1883", "localhost:1883"),
            ("broker.example.org:65535", "broker.example.org:65535"),
            ("[::]:1883", "[::]:1883"),
            ("[::1]:1883", "[::1]:1883"),
        ] {
            assert_eq!(
                text.parse::<Address>().map(|address| address.to_string()),
                Ok(shown.to_owned()),
                "{text}"
            );
        }
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for text in [
            "",
            ":",
            "host:",
            "::1:1883",
            "[::1]",
            "[x]:1",
            "a b:1",
            "1883x",
            "1:+5",
            "host:65536",
            "-1",
        ] {
            assert!(text.parse::<Address>().is_err(), "{text}");
        }
    }

    #[test]
    fn loopback_is_recognised() {
        for (text, loopback) in [
            ("1883", true),
            ("[::1]:1", true),
            ("localhost:1", true),
            (":1883", false),
        ] {
            assert_eq!(
                text.parse::<Address>().map(|address| address.is_loopback()),
                Ok(loopback),
                "{text}"
            );
        }
    }
}

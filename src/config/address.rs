//! A host and a port as people write them. Resolves no name.

use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};

/// A host and a TCP port, written `host:port`, `[ipv6]:port`, `:port` (every IPv4 interface) or `port` (loopback).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Address {
    /// An IP address without brackets, or a host name.
    pub host: String,
    /// The TCP port; 0 takes any free one.
    pub port: u16,
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
        Self::parse(text, None)
    }
}

impl Address {
    /// Reads an address; one that is a host alone gets `default_port`, if there is one.
    ///
    /// # Errors
    /// What was expected instead.
    pub fn parse(text: &str, default_port: Option<u16>) -> Result<Self, String> {
        let refusal = || format!("expected an address such as \"127.0.0.1:1883\", found \"{text}\"");
        let default_port = default_port
            .filter(|_| is_host_alone(text))
            .map(|port| port.to_string());
        let (host, port) = match text.rsplit_once(':') {
            _ if default_port.is_some() => (text, default_port.as_deref().unwrap_or_default()),
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

/// Whether this is a host that no port follows; digits alone are a port.
fn is_host_alone(text: &str) -> bool {
    text.ends_with(']') || (!text.contains(':') && text.bytes().any(|byte| !byte.is_ascii_digit()))
}

fn is_host(host: &str) -> bool {
    let label =
        |label: &str| !label.is_empty() && label.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b));
    host.split('.').all(label)
}

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
    fn a_host_alone_gets_the_default_port() {
        for (text, shown) in [
            ("example.org", "example.org:8083"),
            ("[::]", "[::]:8083"),
            ("10.0.0.7", "10.0.0.7:8083"),
            ("80", "127.0.0.1:80"),
            (":80", "0.0.0.0:80"),
        ] {
            let address = Address::parse(text, Some(8083)).map(|address| address.to_string());
            assert_eq!(address, Ok(shown.to_owned()), "{text}");
        }
        assert!(Address::parse("", Some(8083)).is_err());
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

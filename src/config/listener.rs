//! One MQTT listener: where it is, what is spoken there, and whom it lets in. Opens no socket and no file.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use ipnet::IpNet;
use serde::{Serialize, Serializer};

use super::address::Address;
use super::listen;
use super::reader::{Reader, Section};
use super::tls::Tls;
use super::value::{self, Given, Words};
use crate::types::Version;

/// One MQTT listener.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Listener {
    /// Its name in the log and in metrics; `None`: its address.
    pub name: Option<String>,
    /// Where it listens.
    pub address: Endpoint,
    /// What carries the packets.
    pub transport: Transport,
    /// The path of a WebSocket listener.
    pub path: String,
    /// The permissions of a Unix socket.
    pub mode: u32,
    /// TLS; `None`: everything crosses the network as it is.
    pub tls: Option<Tls>,
    /// The protocol versions that are spoken.
    pub versions: Versions,
    /// How many connections it may have; `None`: no limit.
    pub max_connections: Option<u64>,
    /// Whether clients that prove nothing may come in; `None`: where only this machine can reach it and no authentication
    /// is configured.
    pub anonymous: Option<bool>,
    /// Whether each connection begins with a header of the PROXY protocol.
    pub proxy_protocol: bool,
    /// Where such connections may come from.
    pub trusted_proxies: Vec<IpNet>,
}

/// Where a listener listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// A TCP address; port 0 takes any free port.
    Tcp(Address),
    /// The path of a Unix socket, written `unix:/path`.
    Unix(PathBuf),
}

/// What carries MQTT packets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Transport {
    /// The bytes of the connection.
    #[default]
    Tcp,
    /// Binary WebSocket frames (MQTT 5.0 section 6).
    WebSocket,
}

/// The protocol versions that a listener speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct Versions {
    /// MQTT 3.1.1.
    pub v3: bool,
    /// MQTT 5.0.
    pub v5: bool,
}

impl Versions {
    /// Whether this is one of them.
    pub fn speaks(self, version: Version) -> bool {
        match version {
            Version::V3 => self.v3,
            Version::V5 => self.v5,
        }
    }
}

impl Default for Versions {
    fn default() -> Self {
        Self { v3: true, v5: true }
    }
}

impl Default for Listener {
    fn default() -> Self {
        Self {
            name: None,
            address: Endpoint::Tcp(Address::loopback(1883)),
            transport: Transport::default(),
            path: "/mqtt".to_owned(),
            mode: 0o660,
            tls: None,
            versions: Versions::default(),
            max_connections: None,
            anonymous: None,
            proxy_protocol: false,
            trusted_proxies: Vec::new(),
        }
    }
}

impl Listener {
    /// A plain listener at a TCP address.
    pub fn on(address: Address) -> Self {
        Self {
            address: Endpoint::Tcp(address),
            ..Self::default()
        }
    }

    /// Its name, or its address.
    pub fn name(&self) -> String {
        self.name.clone().unwrap_or_else(|| self.address.to_string())
    }

    /// What is spoken there, for people.
    pub fn protocol(&self) -> &'static str {
        match (self.transport, &self.tls) {
            (Transport::Tcp, None) => "mqtt",
            (Transport::Tcp, Some(_)) => "mqtts",
            (Transport::WebSocket, None) => "ws",
            (Transport::WebSocket, Some(_)) => "wss",
        }
    }

    /// Whether clients that prove nothing may come in, where `authenticates` says whether there is another way to prove
    /// something.
    pub fn lets_in_anonymous(&self, authenticates: bool) -> bool {
        let proves = authenticates || self.identifies();
        self.anonymous.unwrap_or(!proves && self.address.is_local())
    }

    /// Whether nobody could come in unless it is said who: neither anonymous nor by any proof.
    pub(super) fn is_undecided(&self, authenticates: bool) -> bool {
        self.anonymous.is_none() && !authenticates && !self.identifies() && !self.address.is_local()
    }

    /// Whether every client has a name by its certificate.
    fn identifies(&self) -> bool {
        self.tls.as_ref().is_some_and(Tls::identifies)
    }

    /// What its options contradict in each other: the option and what is wrong with it.
    fn contradictions(&self) -> Vec<(&'static str, &'static str)> {
        let unix = matches!(self.address, Endpoint::Unix(_));
        let tls = self.tls.as_ref();
        let mut found = Vec::new();
        if unix && tls.is_some() {
            found.push(("tls", "a Unix socket has no TLS; leave [listeners.tls] out"));
        }
        if self.proxy_protocol && !unix && self.trusted_proxies.is_empty() {
            found.push((
                "proxy_protocol",
                "true without trusted_proxies; say from which networks the proxies connect, such as [\"10.0.0.0/8\"]",
            ));
        }
        if tls.is_some_and(|tls| tls.certificates.len() != tls.keys.len()) {
            found.push(("tls", "as many keys as certificates are needed, in the same order"));
        }
        if tls.is_some_and(|tls| tls.client_certificate.is_asked_for() == tls.client_ca.is_none()) {
            found.push((
                "tls",
                "client_certificate = \"optional\" or \"required\" and client_ca are needed together",
            ));
        }
        if tls.is_some_and(|tls| !tls.client_crl.is_empty() && tls.client_ca.is_none()) {
            found.push(("tls", "client_crl is nothing without client_ca"));
        }
        found
    }
}

impl Section for Listener {
    fn read(&mut self, reader: &mut Reader<'_, '_>) {
        reader.require("address");
        reader.option("name", &mut self.name, value::optional_text);
        reader.option("transport", &mut self.transport, value::word);
        reader.optional_section("tls", &mut self.tls);
        let default_port = Scheme::of(self.transport, self.tls.is_some()).port;
        reader.option("address", &mut self.address, |given| endpoint(given, default_port));
        reader.option("path", &mut self.path, url_path);
        reader.option("mode", &mut self.mode, permissions);
        reader.option("versions", &mut self.versions, versions);
        let count = value::limit(value::integer(1..=u64::MAX));
        reader.option("max_connections", &mut self.max_connections, count);
        reader.option("anonymous", &mut self.anonymous, value::boolean_or_auto);
        reader.option("proxy_protocol", &mut self.proxy_protocol, value::boolean);
        reader.option("trusted_proxies", &mut self.trusted_proxies, value::list(network));
        for (key, what) in self.contradictions() {
            reader.refuse(key, what);
        }
    }
}

impl Endpoint {
    /// Whether only programs on this machine can reach it.
    pub fn is_local(&self) -> bool {
        match self {
            Self::Tcp(address) => address.is_loopback(),
            Self::Unix(_) => true,
        }
    }
}

impl Serialize for Endpoint {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(out),
            Self::Unix(path) => write!(out, "unix:{}", path.display()),
        }
    }
}

/// What a listener is called in a URL.
struct Scheme {
    name: &'static str,
    transport: Transport,
    tls: bool,
    port: u16,
}

impl Scheme {
    fn of(transport: Transport, tls: bool) -> &'static Self {
        let found = SCHEMES.iter().find(|one| one.transport == transport && one.tls == tls);
        found.expect("there is a scheme for every transport with and without TLS")
    }
}

const SCHEMES: &[Scheme] = &[
    scheme("mqtt", Transport::Tcp, false, 1883),
    scheme("mqtts", Transport::Tcp, true, 8883),
    scheme("ws", Transport::WebSocket, false, 8083),
    scheme("wss", Transport::WebSocket, true, 8084),
];

const fn scheme(name: &'static str, transport: Transport, tls: bool, port: u16) -> Scheme {
    Scheme {
        name,
        transport,
        tls,
        port,
    }
}

impl FromStr for Listener {
    type Err = String;

    /// Reads `HOST:PORT`, `unix:/path`, or a URL of `mqtt`, `mqtts`, `ws` or `wss`. The certificates of one with TLS are to
    /// be named elsewhere.
    fn from_str(text: &str) -> Result<Self, String> {
        let Some((name, rest)) = text.split_once("://") else {
            let address = endpoint(&Given::Variable(text), 1883)?;
            return Ok(Self {
                address,
                ..Self::default()
            });
        };
        let known = || format!("expected mqtt, mqtts, ws or wss before ://, found \"{name}\"");
        let scheme = SCHEMES.iter().find(|scheme| scheme.name == name).ok_or_else(known)?;
        let mut listener = Self {
            transport: scheme.transport,
            tls: scheme.tls.then(Tls::default),
            ..Self::default()
        };
        let (address, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        match scheme.transport {
            Transport::WebSocket if path.len() > 1 => listener.path = url_path(&Given::Variable(path))?,
            Transport::Tcp if path.len() > 1 => return Err(format!("expected no path in \"{text}\"")),
            _ => {}
        }
        listener.address = Endpoint::Tcp(Address::parse(address, Some(scheme.port))?);
        Ok(listener)
    }
}

impl Words for Transport {
    const WORDS: &'static [(&'static str, Self)] = &[("tcp", Self::Tcp), ("websocket", Self::WebSocket)];
}

fn endpoint(given: &Given<'_>, default_port: u16) -> Result<Endpoint, String> {
    let Some(path) = given.text().and_then(|text| text.strip_prefix("unix:")) else {
        return listen::address(given, Some(default_port)).map(Endpoint::Tcp);
    };
    if path.is_empty() || path.contains('\0') {
        return Err(given.instead_of("the path of a socket such as \"unix:/run/rewindmq/mqtt.sock\""));
    }
    Ok(Endpoint::Unix(path.into()))
}

fn url_path(given: &Given<'_>) -> Result<String, String> {
    let is_path = |text: &&str| {
        let plain = |byte: u8| byte.is_ascii_graphic() && !b"?#\"".contains(&byte);
        text.starts_with('/') && text.bytes().all(plain)
    };
    let path = given.text().filter(is_path);
    path.map(str::to_owned)
        .ok_or_else(|| given.instead_of("a path such as \"/mqtt\""))
}

/// Permissions as `chmod` takes them: octal digits in text, or a TOML integer such as 0o660.
fn permissions(given: &Given<'_>) -> Result<u32, String> {
    let mode = match given {
        Given::Integer(mode) => u32::try_from(*mode).ok(),
        _ => given.text().and_then(|text| u32::from_str_radix(text, 8).ok()),
    };
    mode.filter(|mode| *mode <= 0o777)
        .ok_or_else(|| given.instead_of("permissions in octal digits such as \"0660\""))
}

fn versions(given: &Given<'_>) -> Result<Versions, String> {
    let mut versions = Versions { v3: false, v5: false };
    let one = |given: &Given<'_>| match given.text() {
        Some("3.1.1") => Ok(false),
        Some("5.0") => Ok(true),
        _ => Err(given.instead_of("one of \"3.1.1\", \"5.0\"")),
    };
    for is_v5 in value::list(one)(given)? {
        *(if is_v5 { &mut versions.v5 } else { &mut versions.v3 }) = true;
    }
    if versions.v3 || versions.v5 {
        Ok(versions)
    } else {
        Err("expected at least one of \"3.1.1\", \"5.0\", found an empty list".to_owned())
    }
}

fn network(given: &Given<'_>) -> Result<IpNet, String> {
    let parse = |text: &str| {
        let alone = || text.parse::<std::net::IpAddr>().ok().map(IpNet::from);
        text.parse().ok().or_else(alone)
    };
    given
        .text()
        .and_then(parse)
        .ok_or_else(|| given.instead_of("a network such as \"10.0.0.0/8\" or an IP address"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_of_a_listener_is_read() {
        for (text, protocol, address, path) in [
            ("1884", "mqtt", "127.0.0.1:1884", "/mqtt"),
            ("mqtt://[::1]", "mqtt", "[::1]:1883", "/mqtt"),
            ("mqtts://:8884", "mqtts", "0.0.0.0:8884", "/mqtt"),
            ("ws://localhost", "ws", "localhost:8083", "/mqtt"),
            ("ws://127.0.0.1:0/", "ws", "127.0.0.1:0", "/mqtt"),
            ("wss://example.org/a/b", "wss", "example.org:8084", "/a/b"),
            ("unix:/run/x.sock", "mqtt", "unix:/run/x.sock", "/mqtt"),
        ] {
            let listener: Listener = text.parse().expect(text);
            let read = (listener.protocol(), listener.address.to_string(), &*listener.path);
            assert_eq!(read, (protocol, address.to_owned(), path), "{text}");
        }
        for text in [
            "http://x",
            "mqtt://x/mqtt",
            "unix:",
            "ws://x/a b",
            "ws://",
            "mqtts://x:y",
        ] {
            assert!(text.parse::<Listener>().is_err(), "{text}");
        }
    }

    #[test]
    fn only_a_local_listener_without_authentication_is_anonymous_by_default() {
        let listener = |text: &str| text.parse::<Listener>().expect("a listener");
        for (text, authenticates, anonymous, undecided) in [
            ("127.0.0.1:1883", false, true, false),
            ("unix:/x", false, true, false),
            ("unix:/x", true, false, false),
            ("127.0.0.1:1883", true, false, false),
            (":1883", true, false, false),
            (":1883", false, false, true),
        ] {
            let listener = listener(text);
            assert_eq!(listener.lets_in_anonymous(authenticates), anonymous, "{text}");
            assert_eq!(listener.is_undecided(authenticates), undecided, "{text}");
        }
        let open = Listener {
            anonymous: Some(true),
            ..listener(":1883")
        };
        assert!(open.lets_in_anonymous(true) && !open.is_undecided(false));
    }
}

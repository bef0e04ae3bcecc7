//! The options of a connection that `pub` and `sub` share, and what is made of them.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::duration::keep_alive;
use super::error::MqttError;
use super::url::BrokerUrl;
use crate::codec::Connect;
use crate::net::dial::{Destination, Trust};
use crate::types::Version;

/// Which broker, and as whom.
#[derive(Clone, Debug, PartialEq, Eq, clap::Args)]
#[command(next_help_heading = "Connection")]
pub struct ConnectionArgs {
    /// The broker: mqtt://, mqtts:// (TLS), ws:// or wss:// (WebSocket, at /mqtt unless there is a path), and [USER@]HOST[:PORT]
    #[arg(
        long,
        value_name = "URL",
        env = "REWINDMQ_MQTT_URL",
        default_value = "mqtt://127.0.0.1:1883"
    )]
    pub url: BrokerUrl,
    /// The user's name
    #[arg(short, long, value_name = "USER")]
    pub username: Option<String>,
    /// The file whose first line is the password, or a token
    #[arg(long, value_name = "FILE")]
    pub password_file: Option<PathBuf>,
    /// Certificates of the authorities that the broker's may come from (PEM) [default: those of the system]
    #[arg(long, value_name = "FILE")]
    pub ca_file: Option<PathBuf>,
    /// The client's certificate, with those that sign it (PEM)
    #[arg(long, value_name = "FILE", requires = "key")]
    pub cert: Option<PathBuf>,
    /// Its key (PEM)
    #[arg(long, value_name = "FILE", requires = "cert")]
    pub key: Option<PathBuf>,
    /// The client identifier [default: one that the broker gives]
    #[arg(short = 'i', long, value_name = "ID")]
    pub client_id: Option<String>,
    /// Tell the broker at least this often that the client is there; 0 is never
    #[arg(long, value_name = "DURATION", default_value = "60s", value_parser = keep_alive)]
    pub keep_alive: u16,
}

impl ConnectionArgs {
    /// The user, from the option or the URL.
    pub(super) fn user(&self) -> Option<&str> {
        self.username.as_deref().or(self.url.user.as_deref())
    }

    /// A CONNECT with a clean start.
    pub(super) fn connect(&self) -> Result<Connect, MqttError> {
        let password = self.password_file.as_deref().map(first_line).transpose()?;
        Ok(Connect {
            keep_alive_secs: self.keep_alive,
            username: self.user().map(str::to_owned),
            password,
            ..Connect::new(Version::V5, self.client_id.clone().unwrap_or_default())
        })
    }

    /// Where to connect to; reads the files of TLS.
    pub(super) fn destination(&self) -> Result<Destination, MqttError> {
        let BrokerUrl { tls, path, address, .. } = &self.url;
        let trust = Trust {
            authorities: self.ca_file.clone(),
            certificate: self.cert.clone().zip(self.key.clone()),
        };
        let protocol: &[u8] = if path.is_some() { b"http/1.1" } else { b"mqtt" };
        let config = tls.then(|| trust.client_config(protocol)).transpose()?;
        Ok(Destination {
            address: address.clone(),
            tls: config.map(Arc::new),
            path: path.clone(),
        })
    }
}

fn first_line(path: &Path) -> Result<Vec<u8>, MqttError> {
    let unread = |fault| MqttError::File(path.to_owned(), fault);
    let file = File::open(path).map_err(unread)?;
    let mut line = Vec::new();
    let mut start = BufReader::new(file).take(MOST_PASSWORD_BYTES);
    start.read_until(b'\n', &mut line).map_err(unread)?;
    while line.ends_with(b"\n") || line.ends_with(b"\r") {
        line.pop();
    }
    if line.is_empty() {
        return Err(MqttError::NoPassword(path.to_owned()));
    }
    Ok(line)
}

/// One more than a password can have, so that a longer one is refused and not cut.
const MOST_PASSWORD_BYTES: u64 = 65_536 + 2;

//! The address of a broker as a URL.

use std::fmt;
use std::str::FromStr;

use tokio_tungstenite::tungstenite::http::Uri;

use crate::config::Address;

/// A broker: how it is spoken to, where it is, and as whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrokerUrl {
    /// Over TLS.
    pub tls: bool,
    /// The path of the WebSocket, where there is one.
    pub path: Option<String>,
    /// Host and port.
    pub address: Address,
    /// The user in front of the host.
    pub user: Option<String>,
}

impl FromStr for BrokerUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let uri: Uri = text.parse().map_err(|fault| format!("{fault}; {FORM}"))?;
        let (tls, websocket, port) = match uri.scheme_str() {
            Some("mqtt" | "tcp") => (false, false, 1883),
            Some("mqtts" | "ssl" | "tls") => (true, false, 8883),
            Some("ws") => (false, true, 80),
            Some("wss") => (true, true, 443),
            _ => return Err(FORM.to_owned()),
        };
        let authority = uri.authority().ok_or(FORM)?;
        let path = uri.path_and_query().map_or("/", |path| path.as_str());
        if !websocket && path != "/" {
            return Err(format!("{path} is too much: topics are arguments of their own; {FORM}"));
        }
        let path = if path == "/" { "/mqtt" } else { path };
        let host = authority.host().trim_start_matches('[').trim_end_matches(']');
        if host.is_empty() {
            return Err(FORM.to_owned());
        }
        let colon = authority
            .as_str()
            .rsplit_once(']')
            .map_or(authority.as_str(), |(_, behind)| behind);
        let port_text = colon.rsplit('@').next().and_then(|rest| rest.split_once(':'));
        if port_text.is_some() && authority.port_u16().is_none() {
            return Err(format!("the port is to be a number from 1 to 65535; {FORM}"));
        }
        Ok(Self {
            tls,
            path: websocket.then(|| path.to_owned()),
            address: Address {
                host: host.to_owned(),
                port: authority.port_u16().unwrap_or(port),
            },
            user: authority
                .as_str()
                .rsplit_once('@')
                .map(|(user, _)| user_of(user))
                .transpose()?,
        })
    }
}

/// The user before the `@`. A password there would be in the history of the shell and in the list of processes.
fn user_of(text: &str) -> Result<String, String> {
    if text.contains(':') {
        return Err("no password belongs into a URL: write mqtt://USER@HOST and --password-file FILE".to_owned());
    }
    if text.contains('%') {
        return Err("write a user with such characters by --username".to_owned());
    }
    Ok(text.to_owned())
}

impl fmt::Display for BrokerUrl {
    /// Without the user.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = match (&self.path, self.tls) {
            (None, false) => "mqtt",
            (None, true) => "mqtts",
            (Some(_), false) => "ws",
            (Some(_), true) => "wss",
        };
        write!(
            f,
            "{scheme}://{}{}",
            self.address,
            self.path.as_deref().unwrap_or_default()
        )
    }
}

const FORM: &str = "write mqtt://, mqtts://, ws:// or wss:// and [USER@]HOST[:PORT], such as mqtt://127.0.0.1:1883";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_name_transport_host_port_and_user() {
        for (text, shown, user) in [
            ("mqtt://localhost", "mqtt://localhost:1883", None),
            ("mqtt://ann@127.0.0.1:2883/", "mqtt://127.0.0.1:2883", Some("ann")),
            ("mqtts://[::1]", "mqtts://[::1]:8883", None),
            ("mqtts://a.example:1", "mqtts://a.example:1", None),
            ("ws://h:8083", "ws://h:8083/mqtt", None),
            ("wss://ann@h/other?x=1", "wss://h:443/other?x=1", Some("ann")),
        ] {
            let url: BrokerUrl = text.parse().expect(text);
            assert_eq!((url.to_string().as_str(), url.user.as_deref()), (shown, user), "{text}");
        }
    }

    #[test]
    fn other_texts_are_refused_with_what_is_right() {
        for (text, said) in [
            ("", "write mqtt://"),
            ("localhost:1883", "write mqtt://"),
            ("http://localhost", "write mqtt://"),
            ("mqtt://", "write mqtt://"),
            ("mqtt://:1883", "write mqtt://"),
            ("mqtt://h:70000", "a number from 1 to 65535"),
            ("mqtt://h:x", "write mqtt://"),
            ("mqtt://h/a/b", "topics are arguments"),
            ("mqtt://ann:secret@h", "--password-file"),
            ("mqtt://a%20b@h", "--username"),
        ] {
            let fault = text.parse::<BrokerUrl>().expect_err(text);
            assert!(fault.contains(said), "{text}: {fault}");
            assert!(!fault.contains("secret"), "{fault}");
        }
    }
}

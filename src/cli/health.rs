//! `rewindmq health`: whether a running broker can do its work, as an exit code for service managers and containers.

use std::ffi::OsString;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;

use super::{Args, load};
use crate::config::{Address, ConfigErrors};

/// Which broker is asked.
#[derive(Clone, Debug, Default, PartialEq, Eq, clap::Args)]
pub struct HealthArgs {
    /// Where its HTTP listener is [default: http.address of the configuration]
    #[arg(long, value_name = "ADDR")]
    pub http: Option<Address>,
    /// Configuration file [default: none, or what REWINDMQ_CONFIG names]
    #[arg(short, long, value_name = "FILE", conflicts_with = "http")]
    pub config: Option<PathBuf>,
}

/// Why the broker is not taken for a healthy one.
#[derive(Debug, thiserror::Error)]
pub enum HealthError {
    /// The configuration is faulty.
    #[error(transparent)]
    Config(#[from] ConfigErrors),
    /// There is nobody to ask.
    #[error("http.enabled is false: there is no HTTP listener to ask")]
    NoHttp,
    /// The port is not known.
    #[error("http.address is {0}, any free port: say which it got with --http")]
    AnyPort(Address),
    /// Nobody answers, or not as a broker does.
    #[error("{url}: {fault}")]
    Silent {
        /// What was asked.
        url: String,
        /// What came of it.
        fault: String,
    },
    /// It answers that it is not ready.
    #[error("{url}: not ready{reasons}")]
    NotReady {
        /// What was asked.
        url: String,
        /// What is wrong, a line each.
        reasons: String,
    },
}

/// What /readyz says.
#[derive(Deserialize)]
struct Readiness {
    store: String,
    listeners: String,
    workers: String,
    stopping: bool,
}

/// Asks the broker; `ready` with a line break if it is.
pub fn health(
    args: &HealthArgs,
    variables: impl IntoIterator<Item = (OsString, OsString)>,
) -> Result<String, HealthError> {
    let url = format!("http://{}/readyz", reachable(address(args, variables)?)?);
    match ask(&url) {
        Ok((200, _)) => Ok("ready\n".to_owned()),
        Ok((503, body)) => Err(HealthError::NotReady {
            reasons: reasons(&body),
            url,
        }),
        Ok((status, _)) => Err(HealthError::Silent {
            url,
            fault: format!("status {status}, which is no answer of a broker"),
        }),
        Err(fault) => Err(HealthError::Silent { url, fault }),
    }
}

fn address(
    args: &HealthArgs,
    variables: impl IntoIterator<Item = (OsString, OsString)>,
) -> Result<Address, HealthError> {
    if let Some(address) = &args.http {
        return Ok(address.clone());
    }
    let configured = Args {
        config: args.config.clone(),
        // Who may come in does not matter here: the broker may have been given the flag.
        anonymous: true,
        ..Args::default()
    };
    let http = load(&configured, variables)?.http;
    if !http.enabled {
        return Err(HealthError::NoHttp);
    }
    Ok(http.address)
}

/// Where a program of this machine reaches what listens on an address.
fn reachable(mut address: Address) -> Result<Address, HealthError> {
    if address.port == 0 {
        return Err(HealthError::AnyPort(address));
    }
    address.host = match address.host.parse() {
        Ok(IpAddr::V4(Ipv4Addr::UNSPECIFIED)) => Ipv4Addr::LOCALHOST.to_string(),
        Ok(IpAddr::V6(Ipv6Addr::UNSPECIFIED)) => Ipv6Addr::LOCALHOST.to_string(),
        _ => address.host,
    };
    Ok(address)
}

fn ask(url: &str) -> Result<(u16, Vec<u8>), String> {
    let agent = ureq::Agent::config_builder()
        .timeout_global(Some(PATIENCE))
        .http_status_as_error(false)
        .max_redirects(0)
        .proxy(None)
        .build()
        .new_agent();
    let mut answer = agent.get(url).call().map_err(|fault| fault.to_string())?;
    let body = answer.body_mut().with_config().limit(MOST_BODY_BYTES).read_to_vec();
    Ok((answer.status().as_u16(), body.map_err(|fault| fault.to_string())?))
}

/// What is wrong, a line for each part.
fn reasons(body: &[u8]) -> String {
    let Ok(said) = serde_json::from_slice::<Readiness>(body) else {
        return String::new();
    };
    let parts = [
        ("store", said.store),
        ("listeners", said.listeners),
        ("workers", said.workers),
    ];
    let wrong = parts.into_iter().filter(|(_, finding)| finding != "ok");
    let mut text: String = wrong.map(|(part, finding)| format!("\n  {part}: {finding}")).collect();
    if said.stopping {
        text.push_str("\n  it is stopping");
    }
    text
}

/// Each part of the broker has 2 s to answer it.
const PATIENCE: Duration = Duration::from_secs(10);
const MOST_BODY_BYTES: u64 = 64 * 1_024;

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        match reachable(text.parse().expect("an address")) {
            Ok(address) => address.to_string(),
            Err(fault) => fault.to_string(),
        }
    }

    #[test]
    fn what_listens_everywhere_is_asked_on_loopback() {
        assert_eq!(shown(":9883"), "127.0.0.1:9883");
        assert_eq!(shown("0.0.0.0:1"), "127.0.0.1:1");
        assert_eq!(shown("[::]:1"), "[::1]:1");
        assert_eq!(shown("10.1.2.3:1"), "10.1.2.3:1");
        assert_eq!(shown("broker.example:1"), "broker.example:1");
        assert!(shown("127.0.0.1:0").contains("say which it got with --http"));
    }

    #[test]
    fn the_configuration_says_who_is_asked() {
        let variable = |value: &str| [("REWINDMQ__HTTP__ADDRESS".into(), value.into())];
        let args = HealthArgs::default();
        assert_eq!(
            address(&args, variable("[::1]:7")).expect("valid").to_string(),
            "[::1]:7"
        );
        assert!(address(&args, variable("nonsense:x")).is_err());
        let off = [("REWINDMQ__HTTP__ENABLED".into(), "false".into())];
        assert!(matches!(address(&args, off), Err(HealthError::NoHttp)));
    }

    #[test]
    fn only_what_is_wrong_is_told() {
        let body =
            br#"{"ready":false,"store":"full","listeners":"ok","workers":"no answer of 1 within 2s","stopping":true}"#;
        assert_eq!(
            reasons(body),
            "\n  store: full\n  workers: no answer of 1 within 2s\n  it is stopping"
        );
        assert_eq!(reasons(b"<html>"), "");
    }
}

//! Who may use the API: holders of a token, or programs of this machine; no page of a browser. Knows no path.

use std::net::{IpAddr, SocketAddr};

use axum::extract::{Request, State};
use axum::http::header::{AUTHORIZATION, HOST, ORIGIN};
use axum::http::{HeaderMap, Uri};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::Site;
use super::answer::Problem;

/// Lets a request of the API pass, or says why not.
pub(super) async fn guard(State(site): State<Site>, request: Request, next: Next) -> Response {
    match check(&site, request.headers(), request.uri()) {
        Ok(()) => next.run(request).await,
        Err(problem) => problem.into_response(),
    }
}

fn check(site: &Site, headers: &HeaderMap, uri: &Uri) -> Result<(), Problem> {
    if let Some(tokens) = &site.tokens {
        let given = headers.get(AUTHORIZATION).map(|value| value.as_bytes());
        let token = given.and_then(bearer);
        return match token {
            Some(token) if tokens.have(token) => Ok(()),
            Some(_) => Err(Problem::unauthorized("this token is not known")
                .hint("tokens are the lines of http.token_file; the broker reads it at its start")),
            None => Err(Problem::unauthorized("the API needs a token")
                .hint("send Authorization: Bearer TOKEN with a line of http.token_file")),
        };
    }
    if !site.address.ip().is_loopback() {
        return Err(
            Problem::forbidden("without tokens the API is served on loopback only").hint(
                "set http.token_file, or http.address to a loopback address; /metrics, /healthz and /readyz are served everywhere",
            ),
        );
    }
    // A page may have a name of its own point here (DNS rebinding), or post here from elsewhere.
    let host = headers.get(HOST).and_then(|host| host.to_str().ok());
    let host = host.or_else(|| uri.authority().map(|authority| authority.as_str()));
    if !host.is_some_and(|host| names_loopback(host, site.address)) {
        return Err(Problem::forbidden("the Host header does not name this machine")
            .hint("ask for http://127.0.0.1 or http://localhost"));
    }
    if let Some(origin) = headers.get(ORIGIN) {
        let origin = origin.to_str().ok().and_then(|origin| origin.strip_prefix("http://"));
        if origin != host {
            return Err(Problem::forbidden("pages of other sites may not use the API"));
        }
    }
    Ok(())
}

/// The token of `Bearer TOKEN`; the scheme's case does not count.
fn bearer(header: &[u8]) -> Option<&[u8]> {
    let (scheme, token) = header.split_at_checked(7)?;
    scheme.eq_ignore_ascii_case(b"bearer ").then(|| token.trim_ascii())
}

fn names_loopback(host: &str, address: SocketAddr) -> bool {
    if host == address.to_string() {
        return true;
    }
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split_once(']').map_or("", |(name, _)| name),
        None => host.rsplit_once(':').map_or(host, |(name, _)| name),
    };
    name.eq_ignore_ascii_case("localhost") || name.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_this_machine_are_hosts() {
        let address = SocketAddr::from(([127, 0, 0, 1], 9883));
        for (host, right) in [
            ("127.0.0.1:9883", true),
            ("localhost", true),
            ("LocalHost:9883", true),
            ("[::1]:9883", true),
            ("127.9.9.9:1", true),
            ("evil.example:9883", false),
            ("localhost.evil.example", false),
            ("10.0.0.1", false),
            ("", false),
            ("[::1", false),
        ] {
            assert_eq!(names_loopback(host, address), right, "{host}");
        }
    }

    #[test]
    fn a_bearer_token_is_read() {
        assert_eq!(bearer(b"Bearer abc"), Some(&b"abc"[..]));
        assert_eq!(bearer(b"bearer  abc "), Some(&b"abc"[..]));
        assert_eq!(bearer(b"Basic abc"), None);
        assert_eq!(bearer(b"Bearer"), None);
    }
}

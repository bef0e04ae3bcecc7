//! Chooses the certificate by the name that the client asks for (SNI).

use std::sync::Arc;

use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

/// Certificates with the names that they are for.
#[derive(Debug)]
pub(super) struct ByName(pub Vec<Named>);

/// One certificate with its key.
#[derive(Debug)]
pub(super) struct Named {
    /// Its DNS names, in lower case; the first level may be `*`.
    pub names: Vec<String>,
    pub key: Arc<CertifiedKey>,
}

impl ResolvesServerCert for ByName {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let wanted = hello.server_name();
        let fits = |one: &&Named| wanted.is_some_and(|wanted| one.names.iter().any(|name| covers(name, wanted)));
        let usable = |one: &&Named| one.key.key.choose_scheme(hello.signature_schemes()).is_some();
        let named = self.0.iter().filter(fits).find(usable);
        named.or_else(|| self.0.first()).map(|one| one.key.clone())
    }
}

fn covers(name: &str, wanted: &str) -> bool {
    let wanted = wanted.trim_end_matches('.').to_ascii_lowercase();
    match name.strip_prefix("*.") {
        None => name == wanted,
        Some(domain) => wanted
            .split_once('.')
            .is_some_and(|(first, rest)| !first.is_empty() && rest == domain),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wildcard_stands_for_one_level() {
        for (name, wanted, covered) in [
            ("a.example", "a.example", true),
            ("a.example", "A.Example.", true),
            ("a.example", "b.example", false),
            ("*.example", "a.example", true),
            ("*.example", "example", false),
            ("*.example", "a.b.example", false),
            ("*.example", ".example", false),
        ] {
            assert_eq!(covers(name, wanted), covered, "{name} {wanted}");
        }
    }
}

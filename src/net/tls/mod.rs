//! TLS on a connection that was accepted: the handshake, and who the client's certificate says it is.

mod certificates;
pub(super) mod files;
mod identity;
mod names;

use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::opening::Stream;
use super::refusal::Closed;
use crate::auth::Identity;
use crate::metrics::RefusalReason;
use crate::types::Timestamp;

pub use certificates::Certificates;
pub use files::TlsFileError;

/// Goes through the handshake; tells who the client is, where the listener asks its certificate.
pub(super) async fn accept<S: Stream>(
    stream: S,
    certificates: &Certificates,
    now: Timestamp,
) -> Result<(TlsStream<S>, Option<Identity>), Closed> {
    let refusal = |what: String| Closed::new(RefusalReason::Tls, what);
    let accepted = TlsAcceptor::from(certificates.server_config()).accept(stream).await;
    let stream = accepted.map_err(|fault| refusal(format!("TLS: {fault}")))?;
    let shown = stream.get_ref().1.peer_certificates().and_then(<[_]>::first);
    let Some(certificate) = shown else {
        return Ok((stream, None));
    };
    let identity = identity::of(certificate, certificates.identified(), now);
    let identity = identity.map_err(|what| refusal(format!("the client's certificate {what}")))?;
    Ok((stream, identity))
}

//! Who a client is by its certificate. Verifies no signature: that was done in the handshake.

use rustls_pki_types::CertificateDer;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer;

use crate::auth::{Identity, prepare_name};
use crate::config::Identified;
use crate::types::Timestamp;

/// The name that `by` says; `None` where certificates name nobody.
///
/// # Errors
/// What is wrong with the certificate, as the end of a sentence.
pub(super) fn of(certificate: &CertificateDer<'_>, by: Identified, now: Timestamp) -> Result<Option<Identity>, String> {
    let (_, certificate) = X509Certificate::from_der(certificate).map_err(|_| "cannot be read".to_owned())?;
    // A session that is resumed shows what was valid when it began.
    let until = u64::try_from(certificate.validity().not_after.timestamp()).unwrap_or(0);
    if now.0 / NANOS > until {
        return Err("has expired".to_owned());
    }
    let name = match by {
        Identified::None => return Ok(None),
        Identified::CommonName => common_name(&certificate).map(str::to_owned),
        Identified::Dns => alternative(&certificate, |name| match name {
            GeneralName::DNSName(name) => Some(*name),
            _ => None,
        }),
        Identified::Email => alternative(&certificate, |name| match name {
            GeneralName::RFC822Name(name) => Some(*name),
            _ => None,
        }),
        Identified::Uri => alternative(&certificate, |name| match name {
            GeneralName::URI(name) => Some(*name),
            _ => None,
        }),
    };
    let missing = || {
        format!(
            "has no {}, which is to be the name of the user (client_identity)",
            what(by)
        )
    };
    let name = name.ok_or_else(missing)?;
    checked(&name, by).map(Some)
}

/// A name in the form in which names of users are compared. A URI has a colon, which no name in a users file can have.
fn checked(name: &str, by: Identified) -> Result<Identity, String> {
    let unfit = || format!("has a {} that cannot be the name of a user: {name:?}", what(by));
    if by == Identified::Uri {
        let fits = name.len() <= LONGEST_URI && name.bytes().all(|byte| byte.is_ascii_graphic());
        return fits.then(|| name.into()).ok_or_else(unfit);
    }
    prepare_name(name).map(|name| (&*name).into()).map_err(|_| unfit())
}

fn common_name<'a>(certificate: &'a X509Certificate<'_>) -> Option<&'a str> {
    // The last one is the most specific one.
    certificate.subject().iter_common_name().last()?.as_str().ok()
}

fn alternative(
    certificate: &X509Certificate<'_>,
    pick: impl for<'a> Fn(&'a GeneralName<'a>) -> Option<&'a str>,
) -> Option<String> {
    let names = certificate.subject_alternative_name().ok()??;
    names.value.general_names.iter().find_map(pick).map(str::to_owned)
}

fn what(by: Identified) -> &'static str {
    match by {
        Identified::None => "name",
        Identified::CommonName => "common name",
        Identified::Dns => "DNS name",
        Identified::Email => "e-mail address",
        Identified::Uri => "URI",
    }
}

const NANOS: u64 = 1_000_000_000;
/// As long as a name in a users file.
const LONGEST_URI: usize = 255;

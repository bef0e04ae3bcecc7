//! The client's messages of a SCRAM exchange (RFC 5802 section 7), cut into their parts. Knows no secret.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// `n,,n=<name>,r=<nonce>`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ClientFirst<'a> {
    /// The beginning, up to and with its second comma: it comes again in the last message.
    pub header: &'a str,
    /// The name to act as, if one is given.
    pub authorization: Option<Cow<'a, str>>,
    /// The rest, which is signed.
    pub bare: &'a str,
    /// The name whose password is proved.
    pub name: Cow<'a, str>,
    /// What the client has drawn.
    pub nonce: &'a str,
}

/// `c=<header>,r=<both nonces>,p=<proof>`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ClientFinal<'a> {
    /// What is signed: all but the proof.
    pub without_proof: &'a str,
    /// The header of the first message in base64, as the client says it was.
    pub header: &'a str,
    /// Both nonces, joined.
    pub nonce: &'a str,
    /// The proof.
    pub proof: [u8; 32],
}

/// What is wrong with a message.
pub(super) type Fault = &'static str;

impl<'a> ClientFirst<'a> {
    pub fn parse(data: &'a [u8]) -> Result<Self, Fault> {
        let text = text(data)?;
        let (binding, rest) = text.split_once(',').ok_or(MALFORMED)?;
        match binding {
            "n" | "y" => {}
            _ if binding.starts_with("p=") => return Err("channel binding is not offered here"),
            _ => return Err(MALFORMED),
        }
        let (authorization, bare) = rest.split_once(',').ok_or(MALFORMED)?;
        let authorization = match authorization {
            "" => None,
            given => Some(saslname(given.strip_prefix("a=").ok_or(MALFORMED)?)?),
        };
        if bare.starts_with("m=") {
            return Err("a mandatory extension that is not known here");
        }
        let mut parts = bare.split(',');
        Ok(Self {
            header: &text[..text.len() - bare.len()],
            authorization,
            bare,
            name: saslname(value(parts.next(), "n=")?)?,
            nonce: nonce(value(parts.next(), "r=")?)?,
        })
    }
}

impl<'a> ClientFinal<'a> {
    pub fn parse(data: &'a [u8]) -> Result<Self, Fault> {
        let text = text(data)?;
        // The proof is the last part; what might stand between is an extension, which is signed and passed over.
        let (without_proof, proof) = text.rsplit_once(",p=").ok_or(MALFORMED)?;
        let mut parts = without_proof.split(',');
        let proof = STANDARD.decode(proof).ok().and_then(|proof| proof.try_into().ok());
        Ok(Self {
            without_proof,
            header: value(parts.next(), "c=")?,
            nonce: nonce(value(parts.next(), "r=")?)?,
            proof: proof.ok_or(MALFORMED)?,
        })
    }
}

fn text(data: &[u8]) -> Result<&str, Fault> {
    if data.len() > MAX_MESSAGE {
        return Err("a SCRAM message of more than 4096 bytes");
    }
    std::str::from_utf8(data).map_err(|_| MALFORMED)
}

fn value<'a>(part: Option<&'a str>, name: &str) -> Result<&'a str, Fault> {
    part.and_then(|part| part.strip_prefix(name)).ok_or(MALFORMED)
}

fn nonce(text: &str) -> Result<&str, Fault> {
    let right = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic());
    right.then_some(text).ok_or(MALFORMED)
}

/// A name in which `=2C` stands for a comma and `=3D` for an equals sign; no other use of `=` is right.
fn saslname(text: &str) -> Result<Cow<'_, str>, Fault> {
    if text.is_empty() {
        return Err(MALFORMED);
    }
    let mut parts = text.split('=');
    let Some(first) = parts.next().filter(|first| first.len() < text.len()) else {
        return Ok(Cow::Borrowed(text));
    };
    let mut name = first.to_owned();
    for part in parts {
        let (sign, rest) = match (part.strip_prefix("2C"), part.strip_prefix("3D")) {
            (Some(rest), _) => (',', rest),
            (_, Some(rest)) => ('=', rest),
            _ => return Err(MALFORMED),
        };
        name.push(sign);
        name.push_str(rest);
    }
    Ok(Cow::Owned(name))
}

const MALFORMED: Fault = "not a message of SCRAM-SHA-256";
/// The longest message that is read, bytes.
const MAX_MESSAGE: usize = 4_096;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_of_a_first_message_are_found() {
        let first = ClientFirst::parse(b"y,a=b=2Cc,n=us=3Der=2C,r=abc,x=y").expect("well-formed");
        assert_eq!((first.header, first.bare), ("y,a=b=2Cc,", "n=us=3Der=2C,r=abc,x=y"));
        assert_eq!(first.authorization.as_deref(), Some("b,c"));
        assert_eq!((&*first.name, first.nonce), ("us=er,", "abc"));
    }

    #[test]
    fn the_parts_of_a_last_message_are_found() {
        let proof = STANDARD.encode([7; 32]);
        let text = format!("c=biws,r=abc,x=y,p={proof}");
        let last = ClientFinal::parse(text.as_bytes()).expect("well-formed");
        assert_eq!(last.without_proof, "c=biws,r=abc,x=y");
        assert_eq!((last.header, last.nonce, last.proof), ("biws", "abc", [7; 32]));
    }

    #[test]
    fn what_is_no_first_message_is_refused() {
        let wrong: [&[u8]; 14] = [
            b"",
            b"n",
            b"n,",
            b"n,,",
            b"x,,n=a,r=b",
            b"n,b,n=a,r=b",
            b"n,,n=,r=b",
            b"n,,n=a",
            b"n,,n=a,r=",
            b"n,,r=b,n=a",
            b"n,,n=a=,r=b",
            b"n,,n=a=2c,r=b",
            b"n,,n=a,r=b c",
            b"n,,n=\xFF,r=b",
        ];
        for data in wrong {
            assert_eq!(ClientFirst::parse(data), Err(MALFORMED), "{}", data.escape_ascii());
        }
        assert!(ClientFirst::parse(b"p=tls-exporter,,n=a,r=b").is_err_and(|fault| fault.contains("channel binding")));
        assert!(ClientFirst::parse(b"n,,m=x,n=a,r=b").is_err_and(|fault| fault.contains("mandatory")));
        assert!(ClientFirst::parse(&[b'n'; 4_097]).is_err_and(|fault| fault.contains("4096")));
    }

    #[test]
    fn what_is_no_last_message_is_refused() {
        let proof = STANDARD.encode([7; 32]);
        let wrong = [
            String::new(),
            "c=biws,r=abc".to_owned(),
            "c=biws,r=abc,p=".to_owned(),
            "c=biws,r=abc,p=!".to_owned(),
            format!("c=biws,r=abc,p={}", STANDARD.encode([7; 31])),
            format!("r=abc,c=biws,p={proof}"),
            format!("c=biws,p={proof}"),
            format!("p={proof}"),
        ];
        for text in wrong {
            assert_eq!(ClientFinal::parse(text.as_bytes()), Err(MALFORMED), "{text}");
        }
    }
}

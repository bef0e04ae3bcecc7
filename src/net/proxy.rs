//! The header that a proxy sends before the bytes of a client: the PROXY protocol, versions 1 and 2. Trusts nobody:
//! whether the sender may say such things is decided elsewhere.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use tokio::io::{AsyncRead, AsyncReadExt};

/// Reads the header and nothing behind it; `None` if the proxy speaks for itself, or names no address.
///
/// # Errors
/// What is wrong with the header, or with the connection.
pub(super) async fn read_header(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<SocketAddr>> {
    let mut start = [0; SIGNATURE.len()];
    stream.read_exact(&mut start).await?;
    if start == SIGNATURE {
        return read_v2(stream).await;
    }
    if !start.starts_with(b"PROXY ") {
        return Err(refusal("the connection begins with something else"));
    }
    let mut line = start.to_vec();
    // Byte by byte: what is behind the line is the client's.
    while !line.ends_with(b"\r\n") {
        if line.len() == LONGEST_LINE {
            return Err(refusal("its line does not end"));
        }
        line.push(stream.read_u8().await?);
    }
    let line = std::str::from_utf8(&line).map_err(|_| refusal("its line is no text"))?;
    parse_v1(line.trim_end()).ok_or_else(|| refusal("its line is malformed"))
}

/// `PROXY TCP4 192.0.2.1 192.0.2.2 40000 1883`; `None` if it is malformed.
fn parse_v1(line: &str) -> Option<Option<SocketAddr>> {
    let mut words = line.split(' ').skip(1);
    let family = words.next()?;
    if family == "UNKNOWN" {
        return Some(None);
    }
    let address = |text: &str| -> Option<IpAddr> {
        match family {
            "TCP4" => text.parse().ok().map(IpAddr::V4),
            "TCP6" => text.parse().ok().map(IpAddr::V6),
            _ => None,
        }
    };
    let (source, _) = (address(words.next()?)?, address(words.next()?)?);
    let (port, _) = (words.next()?.parse().ok()?, words.next()?.parse::<u16>().ok()?);
    words.next().is_none().then(|| Some(SocketAddr::new(source, port)))
}

async fn read_v2(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<SocketAddr>> {
    let mut head = [0; 4];
    stream.read_exact(&mut head).await?;
    let [version_and_command, family, ..] = head;
    let len = usize::from(u16::from_be_bytes([head[2], head[3]]));
    if len > LARGEST_BODY {
        return Err(refusal("it is larger than any proxy makes it"));
    }
    let mut body = vec![0; len];
    stream.read_exact(&mut body).await?;
    match version_and_command {
        // LOCAL: the proxy looks whether the broker is there.
        0x20 => Ok(None),
        0x21 => parse_v2(family, &body).ok_or_else(|| refusal("its addresses are cut off")),
        _ => Err(refusal("its version or its command is unknown")),
    }
}

/// What follows the addresses is not looked at; `None` if they are cut off.
fn parse_v2(family: u8, body: &[u8]) -> Option<Option<SocketAddr>> {
    let port = |at: usize| Some(u16::from_be_bytes(body.get(at..at + 2)?.try_into().ok()?));
    match family {
        TCP_OVER_IPV4 => {
            let source: [u8; 4] = body.get(..4)?.try_into().ok()?;
            body.get(..12)?;
            Some(Some(SocketAddr::new(Ipv4Addr::from(source).into(), port(8)?)))
        }
        TCP_OVER_IPV6 => {
            let source: [u8; 16] = body.get(..16)?.try_into().ok()?;
            body.get(..36)?;
            Some(Some(SocketAddr::new(Ipv6Addr::from(source).into(), port(32)?)))
        }
        // Unix sockets, and what is said to be unspecified.
        _ => Some(None),
    }
}

fn refusal(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

/// What version 2 begins with.
const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";
/// The longest line of version 1, with its end.
const LONGEST_LINE: usize = 107;
/// Room for the addresses and what proxies add to them.
const LARGEST_BODY: usize = 4 << 10;
const TCP_OVER_IPV4: u8 = 0x11;
const TCP_OVER_IPV6: u8 = 0x21;

#[cfg(test)]
mod tests {
    use super::*;

    /// What a header says, and what is left behind it.
    fn read(bytes: &[u8]) -> Result<(Option<String>, Vec<u8>), String> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .expect("a runtime");
        let mut rest = bytes;
        let read = runtime
            .block_on(read_header(&mut rest))
            .map_err(|fault| fault.to_string())?;
        Ok((read.map(|address| address.to_string()), rest.to_vec()))
    }

    fn v2(command: u8, family: u8, body: &[u8]) -> Vec<u8> {
        let len = u16::try_from(body.len()).expect("short").to_be_bytes();
        [&SIGNATURE[..], &[command, family], &len, body, b"\x10rest"].concat()
    }

    #[test]
    fn a_line_names_the_client() {
        for (line, said) in [
            ("PROXY TCP4 192.0.2.1 192.0.2.2 40000 1883", Some("192.0.2.1:40000")),
            ("PROXY TCP6 2001:db8::1 ::1 1 2", Some("[2001:db8::1]:1")),
            ("PROXY UNKNOWN", None),
            ("PROXY UNKNOWN ffff::1 ffff::2 1 2", None),
        ] {
            let bytes = format!("{line}\r\n\x10rest");
            let expected = (said.map(str::to_owned), b"\x10rest".to_vec());
            assert_eq!(read(bytes.as_bytes()), Ok(expected), "{line}");
        }
    }

    #[test]
    fn a_binary_header_names_the_client_and_what_is_added_is_passed_over() {
        let v4 = [&[192, 0, 2, 1, 192, 0, 2, 2, 0x9C, 0x40, 7, 91][..], b"\x03\x00\x01x"].concat();
        let mut v6 = [0; 36];
        v6[15] = 1;
        v6[33] = 9;
        for (bytes, said) in [
            (v2(0x21, 0x11, &v4), Some("192.0.2.1:40000")),
            (v2(0x21, 0x21, &v6), Some("[::1]:9")),
            (v2(0x20, 0x00, &[]), None),
            (v2(0x20, 0x11, &v4), None),
            (v2(0x21, 0x31, &[0; 216]), None),
        ] {
            let expected = (said.map(str::to_owned), b"\x10rest".to_vec());
            assert_eq!(read(&bytes), Ok(expected), "{bytes:?}");
        }
    }

    #[test]
    fn what_is_no_header_is_refused_within_its_bound() {
        let endless = [b"PROXY TCP4 ".as_slice(), &[b'1'; 500]].concat();
        let large = v2(0x21, 0x11, &[0; LARGEST_BODY + 1]);
        for bytes in [
            b"\x10\x10\x00\x04MQTT\x05\x02\x00\x00\x00".as_slice(),
            b"PROXY TCP4 192.0.2.1 192.0.2.2 40000\r\n",
            b"PROXY TCP4 192.0.2.1 192.0.2.2 40000 99999\r\n",
            b"PROXY TCP4 ::1 ::1 1 2\r\n",
            b"PROXY TCP6 192.0.2.1 192.0.2.2 1 2\r\n",
            b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2 3\r\n",
            b"PROXY UDP4 192.0.2.1 192.0.2.2 1 2\r\n",
            b"PROXY \xFF\xFF\xFF\xFF\xFF\xFF\r\n",
            b"PROXY TCP4 ",
            b"",
            &endless,
            &large,
            &v2(0x21, 0x11, &[0; 11]),
            &v2(0x21, 0x21, &[0; 35]),
            &v2(0x22, 0x11, &[0; 12]),
            &v2(0x11, 0x11, &[0; 12]),
            &SIGNATURE,
        ] {
            assert!(read(bytes).is_err(), "{bytes:?}");
        }
    }
}

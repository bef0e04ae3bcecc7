//! Where the payloads of `rewindmq pub` come from: one that is read at once, or lines as they come.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::thread;

use bytes::Bytes;
use tokio::sync::mpsc;

use super::error::MqttError;
use super::publish_args::PubArgs;
use crate::codec::MAX_REMAINING_LENGTH;

/// The payloads that are left.
pub(super) enum Payloads {
    Same { payload: Bytes, left: u64 },
    Lines(mpsc::Receiver<Result<Vec<u8>, MqttError>>),
}

impl Payloads {
    /// Reads what is one payload; lines are read as they are asked for.
    pub(super) fn open(args: &PubArgs) -> Result<Self, MqttError> {
        if args.lines {
            return lines().map(Self::Lines);
        }
        let payload = match (&args.message, &args.file) {
            (Some(text), _) => text.clone().into_bytes(),
            (None, Some(path)) => {
                let unread = |fault| MqttError::File(path.clone(), fault);
                whole(File::open(path).map_err(unread)?, &path.display().to_string())?.map_err(unread)?
            }
            (None, None) => whole(io::stdin(), STDIN)?.map_err(MqttError::Input)?,
        };
        Ok(Self::Same {
            payload: payload.into(),
            left: args.repeat,
        })
    }

    /// How many there are, where that is known.
    pub(super) fn total(&self) -> Option<u64> {
        match self {
            Self::Same { left, .. } => Some(*left),
            Self::Lines(_) => None,
        }
    }

    /// The next one; `None` at the end. Can be dropped and called again.
    pub(super) async fn next(&mut self) -> Option<Result<Bytes, MqttError>> {
        match self {
            Self::Same { left: 0, .. } => None,
            Self::Same { payload, left } => {
                *left -= 1;
                Some(Ok(payload.clone()))
            }
            Self::Lines(lines) => Some(lines.recv().await?.map(Bytes::from)),
        }
    }
}

fn whole(from: impl Read, name: &str) -> Result<io::Result<Vec<u8>>, MqttError> {
    let mut payload = Vec::new();
    match from.take(MOST_BYTES + 1).read_to_end(&mut payload) {
        Ok(len) if len as u64 > MOST_BYTES => Err(MqttError::TooLarge(name.to_owned())),
        result => Ok(result.map(|_| payload)),
    }
}

/// Lines of the standard input; a thread reads them, since a terminal or a pipe may keep it waiting.
fn lines() -> Result<mpsc::Receiver<Result<Vec<u8>, MqttError>>, MqttError> {
    let (sender, receiver) = mpsc::channel(LINES_AHEAD);
    let read = move || {
        let mut input = BufReader::new(io::stdin());
        while let Some(line) = next_line(&mut input) {
            let is_last = line.is_err();
            if sender.blocking_send(line).is_err() || is_last {
                return;
            }
        }
    };
    thread::Builder::new()
        .name("stdin".to_owned())
        .spawn(read)
        .map_err(MqttError::Runtime)?;
    Ok(receiver)
}

fn next_line(input: &mut impl BufRead) -> Option<Result<Vec<u8>, MqttError>> {
    let mut line = Vec::new();
    match input.take(MOST_BYTES + 1).read_until(b'\n', &mut line) {
        Err(fault) => return Some(Err(MqttError::Input(fault))),
        Ok(0) => return None,
        Ok(_) => {}
    }
    if line.ends_with(b"\n") {
        line.pop();
    } else if line.len() as u64 > MOST_BYTES {
        return Some(Err(MqttError::TooLarge("a line".to_owned())));
    }
    Some(Ok(line))
}

const STDIN: &str = "the standard input";
const MOST_BYTES: u64 = MAX_REMAINING_LENGTH as u64;
/// Lines that are read before they can be sent.
const LINES_AHEAD: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_end_at_line_breaks_and_nowhere_else() {
        let mut input: &[u8] = b"one\n\n\xff\r\nlast";
        let mut found = Vec::new();
        while let Some(line) = next_line(&mut input) {
            found.push(line.expect("readable"));
        }
        assert_eq!(found, [&b"one"[..], b"", b"\xff\r", b"last"]);
    }
}

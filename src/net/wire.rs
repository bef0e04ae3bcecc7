//! The bytes of one connection: what was read and not handled yet, and what goes out last. Knows no packet.

use std::future::Future;
use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use crate::codec::spare;

/// A stream with the input that is left of it. An idle one holds no buffer, only the beginning of a packet.
pub(super) struct Wire<S> {
    pub stream: S,
    pub input: BytesMut,
    /// The largest packet that the client was told it may send, bytes.
    pub max_packet_size: u32,
    /// Whether the stream may hold output back that it took: one with frames of its own does.
    unflushed: bool,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Wire<S> {
    pub fn new(stream: S, max_packet_size: u32) -> Self {
        Self {
            stream,
            input: BytesMut::new(),
            max_packet_size,
            unflushed: false,
        }
    }

    /// Reads what is there behind what is left of the input. Ready with 0: closed.
    pub fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<usize> {
        let mut buffer = self.take_input();
        buffer.reserve(READ_BYTES);
        let stream = &mut self.stream;
        match pin!(stream.take(READ_BYTES as u64).read_buf(&mut buffer)).poll(cx) {
            Poll::Ready(Ok(bytes)) => {
                self.input = buffer;
                Poll::Ready(bytes)
            }
            Poll::Ready(Err(_)) => Poll::Ready(0),
            Poll::Pending => {
                self.leave(buffer, 0);
                Poll::Pending
            }
        }
    }

    /// Writes what the stream takes of `out`.
    pub fn poll_write(&mut self, out: &[u8], cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, out);
        self.unflushed |= written.is_ready();
        written
    }

    /// Sees to it that what the stream took goes out; `false` if it cannot any more.
    pub fn flush(&mut self, cx: &mut Context<'_>) -> bool {
        if !self.unflushed {
            return true;
        }
        match Pin::new(&mut self.stream).poll_flush(cx) {
            Poll::Ready(flushed) => {
                self.unflushed = false;
                flushed.is_ok()
            }
            Poll::Pending => true,
        }
    }

    /// Takes the input, in a buffer with room behind it.
    fn take_input(&mut self) -> BytesMut {
        let input = std::mem::take(&mut self.input);
        if input.len() >= FEW_BYTES {
            return input;
        }
        let mut buffer = BytesMut::new();
        spare::borrow(&mut buffer);
        buffer.extend_from_slice(&input);
        buffer
    }

    /// Leaves the input from `used` on for later. If that is little, its buffer goes to others.
    pub fn leave(&mut self, mut buffer: BytesMut, used: usize) {
        buffer.advance(used);
        if buffer.len() >= FEW_BYTES {
            self.input = buffer;
            return;
        }
        self.input = BytesMut::from(&buffer[..]);
        spare::give_back(buffer);
    }

    /// Writes what goes out before closing; a client that does not read is not waited for.
    pub async fn write_last(&mut self, out: &[u8]) {
        let write = async {
            self.stream.write_all(out).await?;
            self.stream.shutdown().await
        };
        match tokio::time::timeout(GOODBYE_TIMEOUT, write).await {
            Ok(Ok(())) => {}
            Ok(Err(fault)) => tracing::debug!(%fault, "the last packet could not be written"),
            Err(_) => tracing::debug!("the client did not read the last packet"),
        }
    }
}

/// What one read takes at most.
const READ_BYTES: usize = 64 << 10;
/// Less than this is copied rather than left in a large buffer.
const FEW_BYTES: usize = READ_BYTES / 4;
/// How long the last packet may take to be written.
const GOODBYE_TIMEOUT: Duration = Duration::from_secs(1);

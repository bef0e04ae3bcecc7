//! One connection that reads and writes in batches. Knows where a packet ends only from who asks.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::task::{Context, Poll};

use bytes::{Buf, BytesMut};
use tokio::io::ReadBuf;
use tokio::net::TcpStream;

use crate::stream::Stream;

/// A connection with what was read and not used, and what is to be written.
#[derive(Debug)]
pub struct Wire {
    stream: Stream,
    input: Vec<u8>,
    filled: usize,
    /// The batch that the next turn writes.
    pub output: BytesMut,
}

impl Wire {
    /// Connects; `input_bytes` is what one read takes at most, until a packet is larger.
    pub async fn connect(broker: SocketAddr, input_bytes: usize) -> io::Result<Self> {
        Ok(Self::over(Stream::connect(broker).await?, input_bytes))
    }

    /// Takes a connection over.
    pub fn new(stream: TcpStream, input_bytes: usize) -> io::Result<Self> {
        // A batch is written at once; waiting for more would only delay it.
        stream.set_nodelay(true)?;
        Ok(Self::over(Stream::Plain(stream), input_bytes))
    }

    fn over(stream: Stream, input_bytes: usize) -> Self {
        Self {
            stream,
            input: vec![0; input_bytes],
            filled: 0,
            output: BytesMut::new(),
        }
    }

    /// What was read and is not used yet.
    pub fn unread(&self) -> &[u8] {
        &self.input[..self.filled]
    }

    /// The same, and where answers go.
    pub fn split(&mut self) -> (&[u8], &mut BytesMut) {
        (&self.input[..self.filled], &mut self.output)
    }

    /// Drops the first bytes of what is unread.
    pub fn consume(&mut self, used: usize) {
        self.input.copy_within(used..self.filled, 0);
        self.filled -= used;
    }

    /// Writes until everything is written, and waits until something was read; says how much, 0 at the end of the
    /// connection. Reads while it cannot write, so that the two sides never wait for each other.
    pub async fn transfer(&mut self) -> io::Result<usize> {
        poll_fn(|cx| self.poll_transfer(cx)).await
    }

    /// The same as a poll.
    pub fn poll_transfer(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let _ = self.poll_write(cx)?;
        if self.filled == self.input.len() {
            self.input.resize(self.input.len() * 2, 0);
        }
        let mut buffer = ReadBuf::new(&mut self.input[self.filled..]);
        let read = self.stream.poll_read(cx, &mut buffer);
        let len = buffer.filled().len();
        self.filled += len;
        read.map_ok(|()| len)
    }

    /// Writes the batch and reads nothing.
    pub async fn write(&mut self) -> io::Result<()> {
        poll_fn(|cx| self.poll_write(cx)).await
    }

    fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.output.is_empty() {
            match self.stream.poll_write(cx, &self.output) {
                Poll::Ready(Ok(len)) => self.output.advance(len),
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => return Poll::Pending,
            }
        }
        self.stream.poll_flush(cx)
    }
}

//! What every publisher has sent and what was acknowledged to it. Everybody looks at it while it grows.

use std::sync::atomic::{AtomicU64, Ordering};

/// The messages of one publisher on one topic, numbered from 1.
pub struct Stream {
    pub publisher: &'static str,
    pub topic: &'static str,
    pub qos: u8,
    sent: AtomicU64,
    acknowledged: AtomicU64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct StreamId(pub usize);

/// All streams.
#[derive(Default)]
pub struct Ledger {
    streams: Vec<Stream>,
}

impl Ledger {
    pub fn add(&mut self, publisher: &'static str, topic: &'static str, qos: u8) -> StreamId {
        self.streams.push(Stream {
            publisher,
            topic,
            qos,
            sent: AtomicU64::new(0),
            acknowledged: AtomicU64::new(0),
        });
        StreamId(self.streams.len() - 1)
    }

    pub fn stream(&self, id: StreamId) -> &Stream {
        &self.streams[id.0]
    }

    pub fn ids(&self) -> impl Iterator<Item = StreamId> {
        (0..self.streams.len()).map(StreamId)
    }

    /// The stream and the number of a message; an error if nobody has sent it.
    pub fn find(&self, topic: &str, payload: &[u8]) -> Result<(StreamId, u64), String> {
        let invented = || format!("{:?} on {topic} was invented", String::from_utf8_lossy(payload));
        let text = std::str::from_utf8(payload).map_err(|_| invented())?;
        let (name, number) = text.rsplit_once(' ').ok_or_else(invented)?;
        let id = self.ids().find(|id| self.stream(*id).name() == name);
        let stream = self.stream(id.ok_or_else(invented)?);
        let number: u64 = number.parse().map_err(|_| invented())?;
        if stream.topic != topic || number == 0 || number > stream.sent() {
            return Err(invented());
        }
        Ok((id.ok_or_else(invented)?, number))
    }
}

impl Stream {
    fn name(&self) -> String {
        format!("{} {}", self.publisher, self.topic)
    }

    /// What tells a message from all others; its payload.
    pub fn text(&self, number: u64) -> String {
        format!("{} {number}", self.name())
    }

    /// How many were sent, or may have been.
    pub fn sent(&self) -> u64 {
        self.sent.load(Ordering::SeqCst)
    }

    /// Up to which number all are acknowledged by PUBACK or PUBREC.
    pub fn acknowledged(&self) -> u64 {
        self.acknowledged.load(Ordering::SeqCst)
    }

    /// The number of a message that is about to be sent.
    pub fn next(&self) -> u64 {
        self.sent.fetch_add(1, Ordering::SeqCst) + 1
    }

    /// Takes note of an acknowledgement; they come in order.
    pub fn acknowledge(&self, number: u64) -> Result<(), String> {
        let before = self.acknowledged.swap(number, Ordering::SeqCst);
        if number == before + 1 {
            return Ok(());
        }
        Err(format!("{} was acknowledged after number {before}", self.text(number)))
    }
}

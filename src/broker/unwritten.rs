//! QoS 0 deliveries with a cursor: they count as acknowledged once their bytes have gone to the socket.

use std::collections::VecDeque;

use crate::session::Source;
use crate::types::HasEmpty;

/// Deliveries that count as acknowledged when they are written, by where they end in all that is ever written.
#[derive(Debug, Default)]
pub(super) struct Unwritten {
    written: u64,
    ends: VecDeque<(u64, Source)>,
}

impl HasEmpty for Unwritten {
    fn empty() -> &'static Self {
        const EMPTY: &Unwritten = &Unwritten {
            written: 0,
            ends: VecDeque::new(),
        };
        EMPTY
    }
}

impl Unwritten {
    /// A delivery ends where the output, now of `output_len` bytes, does.
    pub fn push(&mut self, source: Source, output_len: usize) {
        self.ends.push_back((self.written + output_len as u64, source));
    }

    /// So many more bytes were written.
    pub fn wrote(&mut self, bytes: usize) {
        self.written += bytes as u64;
    }

    /// The deliveries that were not written; the connection is gone.
    pub fn take(&mut self) -> impl Iterator<Item = Source> + use<> {
        std::mem::take(self).ends.into_iter().map(|(_, source)| source)
    }

    /// The next delivery that is written in full.
    pub fn next_written(&mut self) -> Option<Source> {
        let (end, source) = *self.ends.front()?;
        (end <= self.written).then(|| {
            self.ends.pop_front();
            source
        })
    }
}

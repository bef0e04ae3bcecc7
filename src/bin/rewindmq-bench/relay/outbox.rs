//! What waits to be written to one connection of the relay; the first bytes wake it, and it takes all at once.

use std::cell::{Cell, RefCell};
use std::task::{Context, Waker};

use bytes::BytesMut;

/// What waits for one connection.
#[derive(Debug, Default)]
pub struct Outbox {
    bytes: RefCell<BytesMut>,
    waker: RefCell<Option<Waker>>,
    last_id: Cell<u16>,
}

impl Outbox {
    /// Adds bytes.
    pub fn push(&self, bytes: &[u8]) {
        self.append(bytes);
    }

    /// Adds a packet, with the next packet identifier of this connection at that place in it.
    pub fn push_with_id(&self, packet: &[u8], at: usize) {
        let id = self.last_id.get().checked_add(1).unwrap_or(1);
        self.last_id.set(id);
        let start = self.append(packet);
        self.bytes.borrow_mut()[start + at..start + at + 2].copy_from_slice(&id.to_be_bytes());
    }

    /// Moves all of it to a batch, and wakes this task when there is more.
    pub fn take(&self, batch: &mut BytesMut, cx: &Context<'_>) {
        let mut waker = self.waker.borrow_mut();
        if !waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
            *waker = Some(cx.waker().clone());
        }
        let mut bytes = self.bytes.borrow_mut();
        if batch.is_empty() {
            std::mem::swap(&mut *bytes, batch);
        } else {
            batch.extend_from_slice(&bytes);
        }
        bytes.clear();
    }

    fn append(&self, more: &[u8]) -> usize {
        let mut bytes = self.bytes.borrow_mut();
        let start = bytes.len();
        bytes.extend_from_slice(more);
        if start == 0
            && let Some(waker) = &*self.waker.borrow()
        {
            waker.wake_by_ref();
        }
        start
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packet_ids_are_the_connection_s_own() {
        let outbox = Outbox::default();
        outbox.push_with_id(&[0x32, 0xAA, 0xAA], 1);
        outbox.push_with_id(&[0x32, 0xAA, 0xAA], 1);
        let mut batch = BytesMut::new();
        outbox.take(&mut batch, &Context::from_waker(Waker::noop()));
        assert_eq!(&batch[..], [0x32, 0, 1, 0x32, 0, 2]);
    }
}

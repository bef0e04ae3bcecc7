//! Buffers for packets that the busy connections of a thread pass around, so that an idle connection holds none.

use std::cell::RefCell;

use bytes::BytesMut;

/// Puts a spare buffer in the place of one that holds nothing; without a spare, the place stays as it is.
pub fn borrow(output: &mut BytesMut) {
    if output.capacity() < KEPT_BYTES
        && let Some(buffer) = SPARE.with_borrow_mut(Vec::pop)
    {
        *output = buffer;
    }
}

/// Takes a buffer that a connection does not need now.
pub fn give_back(mut buffer: BytesMut) {
    if buffer.capacity() == 0 {
        return;
    }
    buffer.clear();
    SPARE.with_borrow_mut(|spare| {
        if spare.len() < MAX_SPARE {
            // What was written from the front is room again.
            buffer.reserve(KEPT_BYTES);
            if buffer.capacity() <= 4 * KEPT_BYTES {
                spare.push(buffer);
            }
        }
    });
}

thread_local! {
    static SPARE: RefCell<Vec<BytesMut>> = const { RefCell::new(Vec::new()) };
}

/// Room that a spare buffer has, bytes.
const KEPT_BYTES: usize = 64 << 10;
/// Spare buffers that a worker keeps.
const MAX_SPARE: usize = 32;

//! What a client needs only while it is busy: the clients of a thread pass it around, so that an idle one holds none.

use std::cell::RefCell;
use std::thread::LocalKey;

/// The spare ones of a thread.
#[allow(
    clippy::vec_box,
    reason = "a box goes from hand to hand, what is in it stays where it is"
)]
pub(super) type Spares<T> = RefCell<Vec<Box<T>>>;

/// Something that can be passed around; one that is given back must be as good as new.
pub(super) trait Spare: Default + 'static {
    /// The thread's spare ones.
    fn spare() -> &'static LocalKey<Spares<Self>>;
}

/// A `T` while it is used, nothing otherwise.
#[derive(Debug)]
pub(super) struct Lent<T>(Option<Box<T>>);

impl<T> Default for Lent<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<T: Spare> Lent<T> {
    /// Borrows one, unless it has one.
    pub fn take(&mut self) -> &mut T {
        self.0
            .get_or_insert_with(|| T::spare().with_borrow_mut(Vec::pop).unwrap_or_default())
    }

    /// The one that is used.
    pub fn used(&mut self) -> Option<&mut T> {
        self.0.as_deref_mut()
    }

    /// Gives it back.
    pub fn give_back(&mut self) {
        let Some(used) = self.0.take() else { return };
        T::spare().with_borrow_mut(|spare| {
            if spare.len() < MAX_SPARE {
                spare.push(used);
            }
        });
    }
}

/// Spare ones that a thread keeps.
const MAX_SPARE: usize = 8;

//! What few owners need: it takes no room until it is used.

use std::ops::{Deref, DerefMut};

/// A value that is made when it is changed for the first time; until then it reads as the empty one.
#[derive(Debug, Default)]
pub struct Rare<T>(Option<Box<T>>);

/// A value with an empty form that all owners share.
pub trait HasEmpty: Default + 'static {
    /// The empty form.
    fn empty() -> &'static Self;
}

impl<T: HasEmpty> Deref for Rare<T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        match &self.0 {
            Some(used) => used,
            None => T::empty(),
        }
    }
}

impl<T: HasEmpty> DerefMut for Rare<T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        self.0.get_or_insert_default()
    }
}

impl<T> Rare<T> {
    /// Whether it was never used.
    pub fn is_unused(&self) -> bool {
        self.0.is_none()
    }

    /// The value, if it was ever used: nothing is made.
    #[inline]
    pub fn used(&mut self) -> Option<&mut T> {
        self.0.as_deref_mut()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use super::*;

    impl HasEmpty for Vec<u8> {
        fn empty() -> &'static Self {
            static EMPTY: LazyLock<Vec<u8>> = LazyLock::new(Vec::new);
            &EMPTY
        }
    }

    #[test]
    fn it_is_made_when_it_is_changed() {
        let mut rare: Rare<Vec<u8>> = Rare::default();
        assert!(rare.is_empty() && rare.used().is_none());
        rare.push(1);
        assert_eq!((rare.len(), rare.used().map(|bytes| bytes.len())), (1, Some(1)));
        assert_eq!(size_of::<Rare<Vec<u8>>>(), 8);
    }
}

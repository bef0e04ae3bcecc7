//! A set of changes to rows, to be made all at once. One buffer holds every key and value.

use std::ops::Range;

use super::Table;

/// Changes to make in one write, in order.
#[derive(Clone, Debug, Default)]
pub struct Changes {
    bytes: Vec<u8>,
    steps: Vec<Step>,
}

#[derive(Clone, Debug)]
struct Step {
    table: Table,
    verb: Verb,
    key: Range<usize>,
    value_end: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verb {
    Append,
    Put,
    Delete,
}

/// One change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change<'a> {
    /// A row with a key above all others of the table.
    Append(&'a [u8], &'a [u8]),
    /// A row that is new or replaces another.
    Put(&'a [u8], &'a [u8]),
    /// The row of this key goes, if it is there.
    Delete(&'a [u8]),
}

impl Changes {
    /// No changes.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a row whose key is above all others of the table; `encode` appends the value. Returns the value's length.
    pub fn append(&mut self, table: Table, key: &[u8], encode: impl FnOnce(&mut Vec<u8>)) -> usize {
        self.step(table, Verb::Append, key, encode)
    }

    /// Adds or replaces a row; `encode` appends the value.
    pub fn put(&mut self, table: Table, key: &[u8], encode: impl FnOnce(&mut Vec<u8>)) {
        self.step(table, Verb::Put, key, encode);
    }

    /// Takes a row away.
    pub fn delete(&mut self, table: Table, key: &[u8]) {
        self.step(table, Verb::Delete, key, |_| {});
    }

    fn step(&mut self, table: Table, verb: Verb, key: &[u8], encode: impl FnOnce(&mut Vec<u8>)) -> usize {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(key);
        let key = start..self.bytes.len();
        encode(&mut self.bytes);
        let value_end = self.bytes.len();
        let length = value_end - key.end;
        self.steps.push(Step {
            table,
            verb,
            key,
            value_end,
        });
        length
    }

    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// How many changes there are.
    pub fn len(&self) -> usize {
        self.steps.len()
    }

    /// The bytes of all keys and values.
    pub fn bytes(&self) -> usize {
        self.bytes.len()
    }

    /// Forgets the changes, keeps up to 16 MiB of buffer for the next.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.steps.clear();
        self.bytes.shrink_to(KEPT_BYTES);
    }

    /// The changes in order.
    pub fn iter(&self) -> impl Iterator<Item = (Table, Change<'_>)> {
        self.steps.iter().map(|step| {
            let key = &self.bytes[step.key.clone()];
            let value = &self.bytes[step.key.end..step.value_end];
            let change = match step.verb {
                Verb::Append => Change::Append(key, value),
                Verb::Put => Change::Put(key, value),
                Verb::Delete => Change::Delete(key),
            };
            (step.table, change)
        })
    }
}

const KEPT_BYTES: usize = 16 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_come_out_in_the_order_they_went_in() {
        let mut changes = Changes::new();
        assert_eq!(
            changes.append(Table::Log, b"k1", |out| out.extend_from_slice(b"value")),
            5
        );
        changes.delete(Table::Index, b"k2");
        changes.put(Table::Meta, b"k3", |_| {});
        let all: Vec<_> = changes.iter().collect();
        assert_eq!(
            all,
            [
                (Table::Log, Change::Append(b"k1", b"value")),
                (Table::Index, Change::Delete(b"k2")),
                (Table::Meta, Change::Put(b"k3", b"")),
            ]
        );
        changes.clear();
        assert!(changes.is_empty());
    }
}

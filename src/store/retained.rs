//! The rows of retained messages. A key is the topic as far as a key may be long; the value has all of it.

use super::bytes::Input;
use super::message::{put_message, read_message};
use super::{Changes, StoreError, Table};
use crate::types::Message;

/// The key of a topic's retained message: the topic, or its beginning and a hash of all of it.
pub fn retained_key(topic: &[u8]) -> Vec<u8> {
    if topic.len() <= LONGEST_WHOLE {
        return topic.to_vec();
    }
    let mut key = topic[..PREFIX].to_vec();
    key.extend_from_slice(&fnv1a(topic).to_be_bytes());
    key
}

/// Adds or replaces the row of the message's topic.
pub fn put_retained(message: &Message, changes: &mut Changes) {
    let key = retained_key(message.topic_bytes());
    changes.put(Table::Retained, &key, |out| put_message(out, message));
}

/// Takes the row of a topic away.
pub fn delete_retained(topic: &[u8], changes: &mut Changes) {
    changes.delete(Table::Retained, &retained_key(topic));
}

/// Reads a row.
pub fn decode_retained(key: &[u8], value: &[u8]) -> Result<Message, StoreError> {
    let mut input = Input::new(Table::Retained, key, value);
    let message = read_message(&mut input)?;
    input.end()?;
    if retained_key(message.topic_bytes()) != key {
        return Err(input.corrupt("the message of another topic"));
    }
    Ok(message)
}

/// FNV-1a with 128 bits (draft-eastlake-fnv).
fn fnv1a(bytes: &[u8]) -> u128 {
    let step = |hash: u128, byte: &u8| (hash ^ u128::from(*byte)).wrapping_mul(FNV_PRIME);
    bytes.iter().fold(FNV_BASIS, step)
}

/// LMDB's keys end at 511 bytes. What is hashed is 476 bytes long, so a key of another length is a whole topic; a topic
/// of just this length could be mistaken for a hash only by having that hash's bytes at its end.
const LONGEST_WHOLE: usize = 480;
const PREFIX: usize = 460;
const FNV_BASIS: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
const FNV_PRIME: u128 = 0x0000_0000_0100_0000_0000_0000_0000_013b;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::message::tests::{assert_no_panic, assert_only_whole, message};

    #[test]
    fn a_retained_message_comes_back_unchanged_and_only_whole() {
        for length in [1, 480, 481, 65_535] {
            let message = message(&"t".repeat(length));
            let key = retained_key(message.topic_bytes());
            let mut changes = Changes::new();
            put_retained(&message, &mut changes);
            let (_, change) = changes.iter().next().unwrap();
            let crate::store::Change::Put(put, value) = change else {
                panic!("{change:?}")
            };
            assert_eq!((put, put.len() <= 480), (&key[..], true));
            let decode = |value: &[u8]| decode_retained(&key, value);
            assert_eq!(decode(value).unwrap(), message);
            if length < 1_000 {
                assert_only_whole(value, decode);
                assert_no_panic(value, decode);
            }
        }
    }

    #[test]
    fn long_topics_that_begin_alike_have_keys_of_their_own() {
        let one = [&[b'a'; 480][..], b"1"].concat();
        let two = [&[b'a'; 480][..], b"2"].concat();
        assert_ne!(retained_key(&one), retained_key(&two));
        assert_eq!(retained_key(&one).len(), 476);
    }

    #[test]
    fn the_hash_is_the_published_one() {
        assert_eq!(fnv1a(b""), FNV_BASIS);
        assert_eq!(fnv1a(b"a"), 0xd228_cb69_6f1a_8caf_7891_2b70_4e4a_8964);
    }

    #[test]
    fn a_message_under_the_key_of_another_topic_is_damage() {
        let mut value = Vec::new();
        put_message(&mut value, &message("a"));
        assert!(decode_retained(b"b", &value).is_err());
    }
}

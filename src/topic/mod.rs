//! Topic names, filters and channels, and the structures that match them. Knows no subscriber and no message.

mod channel;
mod error;
mod filter;
mod levels;
mod slab;
mod subscription;
mod tree;
mod trie;

#[cfg(test)]
mod strategies;

pub use channel::{ChannelError, channel_name, put_channel_name, topic_of_channel};
pub use error::TopicError;
pub use filter::{TopicFilter, check_topic_name, plain_matches};
pub use subscription::SubscriptionFilter;
pub use tree::TopicTree;
pub use trie::Trie;

/// The longest topic or filter, bytes of UTF-8 (MQTT 5.0 section 1.5.4).
pub const MAX_TOPIC_BYTES: usize = 65_535;

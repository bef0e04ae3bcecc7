//! The topics and kinds of all channels, by channel. Only grows; reading takes no lock.

use std::sync::{Arc, OnceLock};

use crate::store::ChannelKind;
use crate::types::ChannelId;

/// Topics by channel. Channel 0 does not exist.
#[derive(Debug, Default)]
pub(crate) struct Topics {
    blocks: [OnceLock<Block>; BLOCKS],
}

type Block = Box<[OnceLock<(ChannelKind, Arc<str>)>]>;

impl Topics {
    /// The topic of a channel.
    pub(crate) fn topic(&self, channel: ChannelId) -> Option<&Arc<str>> {
        self.channel(channel).map(|(_, topic)| topic)
    }

    /// The kind and topic of a channel.
    pub(crate) fn channel(&self, channel: ChannelId) -> Option<(ChannelKind, &Arc<str>)> {
        let (block, at) = place(channel);
        let (kind, topic) = self.blocks.get(block)?.get()?.get(at)?.get()?;
        Some((*kind, topic))
    }

    /// Adds a channel.
    pub(crate) fn insert(&self, channel: ChannelId, kind: ChannelKind, topic: Arc<str>) {
        let (block, at) = place(channel);
        let block = self.blocks[block].get_or_init(|| (0..FIRST << block).map(|_| OnceLock::new()).collect());
        block[at].set((kind, topic)).expect("a channel is born once");
    }
}

/// Block n holds 1024 << n topics, so a few blocks are enough for all channels and none ever moves.
fn place(channel: ChannelId) -> (usize, usize) {
    let shifted = channel.0 as usize + FIRST;
    let block = (shifted / FIRST).ilog2() as usize;
    (block, shifted - (FIRST << block))
}

const FIRST: usize = 1024;
const BLOCKS: usize = 23;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_channel_has_its_own_place_within_its_block() {
        let mut last = (0, 0);
        for channel in 1..100_000 {
            let (block, at) = place(ChannelId(channel));
            assert!(at < FIRST << block && (block, at) > last);
            last = (block, at);
        }
        assert!(place(ChannelId(u32::MAX)).0 < BLOCKS);
    }

    #[test]
    fn a_topic_is_found_by_its_channel_only() {
        let topics = Topics::default();
        topics.insert(ChannelId(5000), ChannelKind::Held, "a/b".into());
        assert_eq!(topics.topic(ChannelId(5000)).map(|t| &**t), Some("a/b"));
        assert_eq!(
            topics.channel(ChannelId(5000)).map(|(kind, _)| kind),
            Some(ChannelKind::Held)
        );
        assert_eq!(topics.topic(ChannelId(5001)), None);
        assert_eq!(topics.topic(ChannelId(1)), None);
    }
}

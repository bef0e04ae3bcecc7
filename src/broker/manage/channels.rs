//! Channels: what each holds, and how it is emptied.

use serde::Serialize;

use super::ManageError;
use crate::broker::Broker;
use crate::log::{ChannelStats, Command, LogError, Origin, StartAt, StartRule};
use crate::topic::{TopicFilter, channel_name};
use crate::types::{ChannelId, Sequence, Timestamp, rfc3339};

/// What a channel holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ChannelSummary {
    /// Its topic.
    pub topic: String,
    /// Its name: the topic's levels joined by dots.
    pub channel: String,
    /// The sequence of the first event kept; none if none is.
    pub first: Option<u64>,
    /// The sequence of the last event kept; none if none is.
    pub last: Option<u64>,
    /// The sequence that the next event gets.
    pub next: u64,
    /// How many events are kept.
    pub count: u64,
    /// How many bytes they take.
    pub bytes: u64,
}

/// What a channel holds, and of when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ChannelDetails {
    /// What the list shows as well.
    #[serde(flatten)]
    pub summary: ChannelSummary,
    /// When the first event kept was committed.
    pub first_time: Option<String>,
    /// When the last event kept was committed.
    pub last_time: Option<String>,
}

/// Some channels, and where the rest begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Channels {
    /// Those that match.
    pub found: Vec<ChannelSummary>,
    /// The number to go on from, if there are more to look at.
    pub next: Option<u32>,
}

impl Broker {
    /// Channels whose topics match, at most `most`, from a number on; empty ones only `with_empty`.
    pub fn channels(&self, filter: Option<&TopicFilter>, from: u32, most: usize, with_empty: bool) -> Channels {
        let (mut found, mut next, mut looked_at) = (Vec::new(), ChannelId(from.max(1)), 0);
        while looked_at < MOST_LOOKED_AT {
            let (stats, behind) = self.reader.channels_from(next, STEP);
            for stats in &stats {
                let wanted =
                    (with_empty || stats.count > 0) && filter.is_none_or(|filter| filter.matches(&stats.topic));
                if wanted && found.len() == most {
                    return Channels {
                        found,
                        next: Some(stats.channel.0),
                    };
                }
                if wanted {
                    found.push(ChannelSummary::of(stats));
                }
            }
            let Some(behind) = behind else {
                return Channels { found, next: None };
            };
            next = behind;
            looked_at += STEP;
        }
        Channels {
            found,
            next: Some(next.0),
        }
    }

    /// What the channel of a topic holds.
    pub fn channel(&self, topic: &str) -> Result<ChannelDetails, ManageError> {
        let stats = self.channel_stats(topic)?;
        let times = self.channel_times(&stats).map_err(unreadable)?;
        Ok(ChannelDetails {
            summary: ChannelSummary::of(&stats),
            first_time: times.map(|(first, _)| rfc3339(first)),
            last_time: times.map(|(_, last)| rfc3339(last)),
        })
    }

    /// Removes the events of a channel, up to and including a sequence if one is given. Sequences are not used again.
    pub async fn purge(&self, topic: &str, through: Option<u64>) -> Result<ChannelDetails, ManageError> {
        let stats = self.channel_stats(topic)?;
        let last = Sequence(stats.next.0 - 1);
        let through = through.map_or(last, |through| Sequence(through).min(last));
        if stats.count > 0 && through >= stats.first {
            tracing::info!(topic, through = through.0, "an administrator removes events");
            let channel = stats.channel;
            self.carry_out(vec![Command::Trim { channel, through }]).await?;
        }
        self.channel(topic)
    }

    fn channel_stats(&self, topic: &str) -> Result<ChannelStats, ManageError> {
        let found = self.reader.find_channel(topic);
        let stats = found.and_then(|channel| self.reader.channel_stats(channel));
        stats.ok_or_else(|| ManageError::NotFound(format!("no event of topic {topic:?} was ever stored")))
    }

    fn channel_times(&self, stats: &ChannelStats) -> Result<Option<(Timestamp, Timestamp)>, LogError> {
        let Ok(filter) = TopicFilter::parse(&stats.topic) else {
            return Ok(None);
        };
        let now = self.clock().now();
        let first = self
            .reader
            .resolve(&filter, StartAt::Sequence(stats.first), now, &mut |_| true)?;
        let last = self.reader.resolve(&filter, StartAt::Last(1), now, &mut |_| true)?;
        let Origin {
            rule: StartRule::PerChannel(starts),
            ..
        } = last
        else {
            return Ok(None);
        };
        let Some((_, last)) = starts.first() else {
            return Ok(None);
        };
        let events = self.reader.events_at(&[first.first, *last])?;
        Ok(match &events[..] {
            [Some(first), Some(last)] => Some((first.time, last.time)),
            _ => None,
        })
    }
}

impl ChannelSummary {
    fn of(stats: &ChannelStats) -> Self {
        let kept = stats.count > 0;
        Self {
            topic: stats.topic.to_string(),
            channel: channel_name(&stats.topic),
            first: kept.then_some(stats.first.0),
            last: kept.then_some(stats.next.0 - 1),
            next: stats.next.0,
            count: stats.count,
            bytes: stats.bytes,
        }
    }
}

pub(super) fn unreadable(fault: LogError) -> ManageError {
    ManageError::Unavailable(format!("the event store cannot be read: {fault}"))
}

/// Channels that are looked at with the directory locked.
const STEP: usize = 4_096;
/// Channels that one request looks at; a filter that matches few needs several.
const MOST_LOOKED_AT: usize = 256 * STEP;

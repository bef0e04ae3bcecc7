//! Retained messages: which there are, and how one is cleared.

use std::sync::Arc;

use serde::Serialize;

use super::{ManageError, Page};
use crate::broker::Broker;
use crate::topic::TopicFilter;
use crate::types::{Message, rfc3339};

/// A retained message without its payload.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RetainedView {
    /// Its topic.
    pub topic: String,
    /// The QoS it was published with.
    pub qos: u8,
    /// The bytes of its payload.
    pub payload_bytes: usize,
    /// When it was published.
    pub published: String,
    /// The client that published it; none after a restart.
    pub publisher: Option<String>,
    /// The seconds until it expires.
    pub expires_in_seconds: Option<u32>,
}

impl Broker {
    /// The retained messages that match, by topic, behind `after`, at most `most`; and whether there are more.
    pub fn retained_messages(
        &self,
        filter: &TopicFilter,
        after: Option<&str>,
        most: usize,
    ) -> (Vec<Arc<Message>>, bool) {
        let mut page: Page<String, Arc<Message>> = Page::new(most);
        for message in self.retained.matching(filter, self.clock().now()) {
            let topic = message.topic().to_owned();
            if after.is_none_or(|after| topic.as_str() > after) && page.wants(&topic) {
                page.put(topic, message);
            }
        }
        let (found, more) = page.finish();
        (found.into_iter().map(|(_, message)| message).collect(), more)
    }

    /// The retained message of a topic.
    pub fn retained_message(&self, topic: &str) -> Result<Arc<Message>, ManageError> {
        let filter = TopicFilter::parse(topic)
            .ok()
            .filter(TopicFilter::is_exact)
            .ok_or_else(|| ManageError::Invalid(format!("{topic:?} is no topic: it is empty or has wildcards")))?;
        let found = self.retained.matching(&filter, self.clock().now()).pop();
        found.ok_or_else(|| ManageError::NotFound(format!("topic {topic:?} has no retained message")))
    }

    /// How a retained message is listed.
    pub fn retained_view(&self, message: &Message) -> RetainedView {
        RetainedView {
            topic: message.topic().to_owned(),
            qos: message.qos().bits(),
            payload_bytes: message.payload().len(),
            published: rfc3339(message.received()),
            publisher: message.publisher().map(|publisher| publisher.as_str().to_owned()),
            expires_in_seconds: message.remaining_expiry(self.clock().now()).flatten(),
        }
    }
}

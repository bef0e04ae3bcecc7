//! Which connections of the relay a topic goes to: a map by the topic's bytes.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;

use super::outbox::Outbox;

/// The connections that subscribed to one topic.
pub type Targets = Rc<Vec<Rc<Outbox>>>;

/// All subscriptions.
#[derive(Debug, Default)]
pub struct Topics {
    targets: RefCell<HashMap<Vec<u8>, Targets, ahash::RandomState>>,
    changes: Cell<u64>,
}

impl Topics {
    /// Adds a subscription.
    pub fn subscribe(&self, topic: &[u8], outbox: &Rc<Outbox>) {
        let mut targets = self.targets.borrow_mut();
        Rc::make_mut(targets.entry(topic.to_vec()).or_default()).push(Rc::clone(outbox));
        self.changes.set(self.changes.get() + 1);
    }

    /// Removes all subscriptions of a connection.
    pub fn leave(&self, outbox: &Rc<Outbox>) {
        for targets in self.targets.borrow_mut().values_mut() {
            if targets.iter().any(|target| Rc::ptr_eq(target, outbox)) {
                Rc::make_mut(targets).retain(|target| !Rc::ptr_eq(target, outbox));
            }
        }
        self.changes.set(self.changes.get() + 1);
    }
}

/// The targets of the topic that was asked for last: publishers repeat topics.
#[derive(Debug, Default)]
pub struct Last {
    topic: Vec<u8>,
    targets: Targets,
    changes: u64,
}

impl Last {
    /// Whether it is this topic's.
    pub fn is(&self, topic: &[u8], topics: &Topics) -> bool {
        self.topic == topic && self.changes == topics.changes.get()
    }

    /// Looks up another topic.
    pub fn look_up(&mut self, topic: &[u8], topics: &Topics) {
        self.topic.clear();
        self.topic.extend_from_slice(topic);
        self.targets = topics.targets.borrow().get(topic).cloned().unwrap_or_default();
        self.changes = topics.changes.get();
    }

    /// Where it goes.
    pub fn targets(&self) -> &[Rc<Outbox>] {
        &self.targets
    }
}

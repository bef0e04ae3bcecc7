//! A worker's own memory of which targets a topic has: publishers repeat topics.

use std::sync::Arc;

use ahash::AHashMap;

use super::Router;

/// Topic -> targets in the form `C` that the caller prepares; forgets everything when a subscription changes.
#[derive(Debug)]
pub struct RouteCache<C> {
    generation: u64,
    routes: AHashMap<Box<str>, Arc<C>>,
    bytes: usize,
}

impl<C> Default for RouteCache<C> {
    fn default() -> Self {
        Self {
            generation: 0,
            routes: AHashMap::new(),
            bytes: 0,
        }
    }
}

impl<C> RouteCache<C> {
    /// The targets of a topic, looked up and prepared once.
    pub fn route<T: Clone>(&mut self, router: &Router<T>, topic: &str, prepare: impl FnOnce(Vec<T>) -> C) -> Arc<C> {
        let generation = router.generation();
        if generation != self.generation {
            self.clear();
            self.generation = generation;
        }
        if let Some(route) = self.routes.get(topic) {
            return route.clone();
        }
        let route = Arc::new(prepare(router.targets(topic)));
        if self.routes.len() >= MAX_TOPICS || self.bytes + topic.len() > MAX_BYTES {
            self.clear();
        }
        self.bytes += topic.len();
        self.routes.insert(topic.into(), route.clone());
        route
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.routes.clear();
        self.bytes = 0;
    }
}

/// Topics kept per worker; beyond it the cache starts anew.
const MAX_TOPICS: usize = 16_384;
/// Bytes of topic text kept per worker.
const MAX_BYTES: usize = 4 << 20;

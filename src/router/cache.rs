//! A worker's own memory of which targets a topic has: publishers repeat topics.

use std::sync::Arc;

use ahash::AHashMap;

use super::Router;

/// Topic -> targets in the form `C` that the caller prepares; forgets everything when a subscription changes.
#[derive(Debug)]
pub struct RouteCache<C> {
    generation: u64,
    routes: AHashMap<Box<str>, Arc<C>>,
    weight: usize,
}

impl<C> Default for RouteCache<C> {
    fn default() -> Self {
        Self {
            generation: 0,
            routes: AHashMap::new(),
            weight: 0,
        }
    }
}

impl<C> RouteCache<C> {
    /// The targets of a topic, looked up and prepared once. `prepare` also says how many targets there are: what is kept
    /// is bounded by topics and by targets.
    pub fn route<T: Clone>(
        &mut self,
        router: &Router<T>,
        topic: &str,
        prepare: impl FnOnce(Vec<T>) -> (C, usize),
    ) -> Arc<C> {
        let generation = router.generation();
        if generation != self.generation {
            self.clear();
            self.generation = generation;
        }
        if let Some(route) = self.routes.get(topic) {
            return route.clone();
        }
        let (route, targets) = prepare(router.targets(topic));
        let route = Arc::new(route);
        let weight = topic.len() + targets * TARGET_WEIGHT;
        if self.routes.len() >= MAX_TOPICS || self.weight + weight > MAX_WEIGHT {
            self.clear();
        }
        self.weight += weight;
        self.routes.insert(topic.into(), route.clone());
        route
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.routes.clear();
        self.weight = 0;
    }
}

/// Topics kept per worker; beyond it the cache starts anew.
const MAX_TOPICS: usize = 16_384;
/// About as many bytes of topics and targets are kept per worker.
const MAX_WEIGHT: usize = 16 << 20;
/// About what one target takes, bytes.
const TARGET_WEIGHT: usize = 48;

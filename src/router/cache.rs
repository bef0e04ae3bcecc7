//! A worker's own memory of which targets a topic has: publishers repeat topics.

use std::sync::Arc;

use ahash::AHashMap;
use smallvec::SmallVec;

use super::{Router, SubscriberId};

/// Whether messages of a topic go to a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// They do.
    Yes,
    /// They do not.
    No,
    /// That depends on who of the target gets them.
    Ask,
}

/// The targets of one topic in the form in which they are kept.
pub trait Prepared<T>: Default {
    /// Takes in a target that matches.
    fn add(&mut self, target: &T, admission: Admission);
    /// All have been taken in. Returns how many are kept.
    fn finish(&mut self) -> usize;
    /// What makes it equal to the targets of other topics, if many topics may have the same: they share them then.
    fn likeness(&self) -> Option<Likeness> {
        None
    }
}

/// Targets that have the same are the same: those of a topic that one subscriber alone gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Likeness {
    /// The subscriber.
    pub subscriber: SubscriberId,
    /// How it gets them.
    pub how: u64,
}

/// Topic -> targets in the form `C` that the caller prepares; forgets everything when a subscription changes.
#[derive(Debug)]
pub struct RouteCache<C> {
    generation: u64,
    by_topic: AHashMap<Topic, Arc<C>>,
    by_number: Vec<Option<Arc<C>>>,
    /// What all topics share that nobody wants.
    empty: Option<Arc<C>>,
    /// What topics share that one subscriber gets: messages of many topics find it in the processor's cache.
    alike: AHashMap<Likeness, Arc<C>>,
    weight: usize,
}

impl<C> Default for RouteCache<C> {
    fn default() -> Self {
        Self {
            generation: 0,
            by_topic: AHashMap::new(),
            by_number: Vec::new(),
            empty: None,
            alike: AHashMap::new(),
            weight: 0,
        }
    }
}

impl<C> RouteCache<C> {
    /// The targets of a topic, looked up and prepared once. What is kept is bounded by topics and by targets.
    pub fn route<T: Clone>(&mut self, router: &Router<T>, topic: &str, admit: impl Fn(&T, &str) -> Admission) -> Arc<C>
    where
        C: Prepared<T>,
    {
        self.follow(router);
        if let Some(route) = self.by_topic.get(topic.as_bytes()) {
            return route.clone();
        }
        let route = self.look_up(router, topic, topic.len(), admit);
        if self.by_topic.len() >= MAX_TOPICS {
            self.clear();
        }
        self.by_topic.insert(Topic::from_slice(topic.as_bytes()), route.clone());
        route
    }

    /// The same for a topic that the caller has a small number for: no text is looked at once the number is known.
    pub fn route_numbered<'t, T: Clone>(
        &mut self,
        router: &Router<T>,
        number: u32,
        topic: impl FnOnce() -> &'t str,
        admit: impl Fn(&T, &str) -> Admission,
    ) -> Arc<C>
    where
        C: Prepared<T>,
    {
        let number = number as usize;
        if number >= MAX_NUMBERS {
            return self.route(router, topic(), admit);
        }
        self.follow(router);
        if let Some(Some(route)) = self.by_number.get(number) {
            return route.clone();
        }
        let route = self.look_up(router, topic(), 0, admit);
        if self.by_number.len() <= number {
            self.by_number.resize(number + 1, None);
        }
        self.by_number[number] = Some(route.clone());
        route
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.by_topic.clear();
        self.by_number.clear();
        self.alike.clear();
        self.weight = 0;
    }

    fn follow<T: Clone>(&mut self, router: &Router<T>) {
        let generation = router.generation();
        if generation != self.generation {
            self.clear();
            self.generation = generation;
        }
    }

    fn look_up<T: Clone>(
        &mut self,
        router: &Router<T>,
        topic: &str,
        text_bytes: usize,
        admit: impl Fn(&T, &str) -> Admission,
    ) -> Arc<C>
    where
        C: Prepared<T>,
    {
        let mut nobody = true;
        let mut route = C::default();
        router.visit(topic, |target| {
            nobody = false;
            route.add(target, admit(target, topic));
        });
        let targets = route.finish();
        let weight = text_bytes + targets * TARGET_WEIGHT;
        if self.weight + weight > MAX_WEIGHT {
            self.clear();
        }
        self.weight += weight;
        if nobody {
            return self.empty.get_or_insert_with(|| Arc::new(route)).clone();
        }
        match route.likeness() {
            Some(likeness) => self.alike.entry(likeness).or_insert_with(|| Arc::new(route)).clone(),
            None => Arc::new(route),
        }
    }
}

/// A topic that is compared where it is found: most are so short.
type Topic = SmallVec<[u8; 24]>;

/// Topics kept by their text; beyond it the cache starts anew.
const MAX_TOPICS: usize = 131_072;
/// Topics kept by number; those above are kept by their text.
const MAX_NUMBERS: usize = 1 << 20;
/// About as many bytes of topics and targets are kept per worker.
const MAX_WEIGHT: usize = 16 << 20;
/// About what one target takes, bytes.
const TARGET_WEIGHT: usize = 96;

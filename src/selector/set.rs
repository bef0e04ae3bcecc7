//! The distinct selectors that look at the same messages: one scan of the properties and one of the payload for all.

use std::cell::OnceCell;
use std::sync::Arc;

use ahash::AHashMap;
use smallvec::SmallVec;

use super::compile::Slot;
use super::evaluate;
use super::json::PathTree;
use super::tree::{Condition, Step};
use super::{Header, Selector, Truth, Value};

/// What a selector can ask of a message.
pub trait Source {
    /// The value of a header.
    fn header(&self, header: Header) -> Value<'_>;
    /// The user properties in order.
    fn properties(&self) -> impl Iterator<Item = (&str, &str)>;
    /// The payload.
    fn payload(&self) -> &[u8];
}

/// The names of one or more selectors, put together.
#[derive(Debug, Default)]
pub(super) struct Tables {
    /// In order, so that they can be searched.
    properties: Vec<Box<str>>,
    paths: PathTree,
}

/// Where the names of one selector are in the tables.
#[derive(Debug, Default)]
pub(super) struct Map {
    properties: Box<[u32]>,
    paths: Box<[u32]>,
}

impl Tables {
    /// The tables for these properties and paths of each selector, and where each finds its own.
    pub(super) fn new<'n>(names: impl Iterator<Item = (&'n [Box<str>], &'n [Vec<Step>])> + Clone) -> (Self, Vec<Map>) {
        let mut properties: Vec<Box<str>> = names.clone().flat_map(|(names, _)| names).cloned().collect();
        properties.sort_unstable();
        properties.dedup();
        let mut paths = PathTree::default();
        let maps = names.map(|(names, steps)| Map {
            properties: names
                .iter()
                .map(|name| find(&properties, name).unwrap_or_default() as u32)
                .collect(),
            paths: steps.iter().map(|steps| paths.insert(steps)).collect(),
        });
        let maps = maps.collect();
        (Self { properties, paths }, maps)
    }
}

/// Distinct selectors that look at the same messages.
#[derive(Debug, Default)]
pub struct SelectorSet {
    selectors: Vec<Arc<Selector>>,
    maps: Vec<Map>,
    tables: Tables,
}

impl SelectorSet {
    /// The set of these; each has the index of its place.
    pub fn new(selectors: impl IntoIterator<Item = Arc<Selector>>) -> Self {
        let selectors: Vec<_> = selectors.into_iter().collect();
        let names = selectors
            .iter()
            .map(|selector| (&selector.properties[..], &selector.paths[..]));
        let (tables, maps) = Tables::new(names);
        Self {
            selectors,
            maps,
            tables,
        }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.selectors.is_empty()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.selectors.len()
    }

    /// The selector of an index.
    pub fn get(&self, index: usize) -> Option<&Arc<Selector>> {
        self.selectors.get(index)
    }

    /// Asks about a message; nothing is looked at before the first question.
    pub fn ask<'a, S: Source>(&'a self, source: &'a S) -> Asked<'a, S> {
        Asked {
            set: self,
            facts: Facts::new(&self.tables, source),
        }
    }

    /// What each of them says of a message, in their order.
    pub fn evaluate<'a, S: Source>(&'a self, source: &'a S) -> impl Iterator<Item = Truth> + 'a {
        let asked = self.ask(source);
        (0..self.len()).map(move |index| asked.says(index))
    }
}

/// A message that selectors are asked about.
pub struct Asked<'a, S> {
    set: &'a SelectorSet,
    facts: Facts<'a, S>,
}

impl<S: Source> Asked<'_, S> {
    /// What the selector of this index says.
    pub fn says(&self, index: usize) -> Truth {
        match (self.set.selectors.get(index), self.set.maps.get(index)) {
            (Some(selector), Some(map)) => self.facts.evaluate(&selector.condition, map),
            _ => Truth::Unknown,
        }
    }
}

fn find(names: &[Box<str>], name: &str) -> Option<usize> {
    names.binary_search_by(|known| (**known).cmp(name)).ok()
}

/// Gathers the distinct selectors of many subscriptions into a set.
#[derive(Debug, Default)]
pub struct SetBuilder {
    selectors: Vec<Arc<Selector>>,
    known: AHashMap<u64, u32>,
}

impl SetBuilder {
    /// The index that a selector has in the set.
    pub fn index(&mut self, selector: &Arc<Selector>) -> u32 {
        let next = self.selectors.len() as u32;
        *self.known.entry(selector.id()).or_insert_with(|| {
            self.selectors.push(selector.clone());
            next
        })
    }

    /// The set.
    pub fn build(self) -> SelectorSet {
        SelectorSet::new(self.selectors)
    }
}

/// What one message says under the names of the tables. Nothing is looked at before it is asked for, or twice.
pub(super) struct Facts<'a, S> {
    tables: &'a Tables,
    source: &'a S,
    properties: OnceCell<Properties<'a>>,
    payload: OnceCell<Vec<Value<'a>>>,
}

type Properties<'a> = SmallVec<[Option<&'a str>; 8]>;

impl<'a, S: Source> Facts<'a, S> {
    pub(super) fn new(tables: &'a Tables, source: &'a S) -> Self {
        Self {
            tables,
            source,
            properties: OnceCell::new(),
            payload: OnceCell::new(),
        }
    }

    /// What the condition says whose names are mapped so.
    pub(super) fn evaluate(&self, condition: &Condition<Slot>, map: &Map) -> Truth {
        evaluate::condition(condition, &Lookup { facts: self, map })
    }

    fn property(&self, index: u32) -> Option<&'a str> {
        let found = self.properties.get_or_init(|| {
            let names = &self.tables.properties;
            let mut found: Properties<'a> = SmallVec::from_elem(None, names.len());
            for (name, value) in self.source.properties() {
                if let Some(index) = find(names, name) {
                    // Of a name that is repeated the last counts.
                    found[index] = Some(value);
                }
            }
            found
        });
        found.get(index as usize).copied().flatten()
    }

    fn payload(&self, index: u32) -> Value<'_> {
        let found = self
            .payload
            .get_or_init(|| self.tables.paths.read(self.source.payload()));
        found.get(index as usize).map_or(Value::Null, Value::borrowed)
    }
}

/// The facts as one selector names them.
struct Lookup<'f, 'a, S> {
    facts: &'f Facts<'a, S>,
    map: &'f Map,
}

impl<S: Source> evaluate::Values for Lookup<'_, '_, S> {
    fn value(&self, slot: Slot) -> Value<'_> {
        match slot {
            Slot::Header(header) => self.facts.source.header(header),
            Slot::Property(index) => {
                let text = self.facts.property(self.map.properties[index as usize]);
                text.map_or(Value::Null, |text| Value::Text(text.into()))
            }
            Slot::Payload(index) => self.facts.payload(self.map.paths[index as usize]),
        }
    }
}

//! The distinct selectors that look at the same messages: one scan of the properties and one of the payload for all.

use std::cell::OnceCell;
use std::sync::Arc;

use ahash::AHashMap;
use smallvec::SmallVec;

use super::compile::Slot;
use super::evaluate;
use super::json::PathTree;
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

/// Distinct selectors with their names put together.
#[derive(Debug, Default)]
pub struct SelectorSet {
    members: Vec<Member>,
    /// In order, so that they can be searched.
    properties: Vec<Box<str>>,
    paths: PathTree,
}

#[derive(Debug)]
struct Member {
    selector: Arc<Selector>,
    /// Where the properties of this selector are among those of the set.
    properties: Box<[u32]>,
    /// The same of its paths.
    paths: Box<[u32]>,
}

impl SelectorSet {
    /// The set of these; each has the index of its place.
    pub fn new(selectors: impl IntoIterator<Item = Arc<Selector>>) -> Self {
        let selectors: Vec<_> = selectors.into_iter().collect();
        let mut properties: Vec<Box<str>> = selectors
            .iter()
            .flat_map(|selector| selector.properties.iter().cloned())
            .collect();
        properties.sort_unstable();
        properties.dedup();
        let mut paths = PathTree::default();
        let members = selectors.into_iter().map(|selector| {
            let names = selector.properties.iter().map(|name| find(&properties, name));
            let steps = selector.paths.iter().map(|steps| paths.insert(steps));
            Member {
                properties: names.map(|found| found.unwrap_or_default() as u32).collect(),
                paths: steps.collect(),
                selector,
            }
        });
        Self {
            members: members.collect(),
            properties,
            paths,
        }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.members.len()
    }

    /// What a message says to them; nothing is looked at before it is asked for.
    pub fn facts<'a, S: Source>(&'a self, source: &'a S) -> Facts<'a, S> {
        Facts {
            set: self,
            source,
            properties: OnceCell::new(),
            payload: OnceCell::new(),
        }
    }
}

fn find(names: &[Box<str>], name: &str) -> Option<usize> {
    names.binary_search_by(|known| (**known).cmp(name)).ok()
}

/// Gathers the distinct selectors of many subscriptions into a set.
#[derive(Default)]
pub struct SetBuilder {
    selectors: Vec<Arc<Selector>>,
    known: AHashMap<*const Selector, u32>,
}

impl SetBuilder {
    /// The index that a selector has in the set.
    pub fn index(&mut self, selector: &Arc<Selector>) -> u32 {
        let next = self.selectors.len() as u32;
        *self.known.entry(Arc::as_ptr(selector)).or_insert_with(|| {
            self.selectors.push(selector.clone());
            next
        })
    }

    /// The set.
    pub fn build(self) -> SelectorSet {
        SelectorSet::new(self.selectors)
    }
}

/// What one message says to the selectors of a set, looked up at most once.
pub struct Facts<'a, S> {
    set: &'a SelectorSet,
    source: &'a S,
    properties: OnceCell<Properties<'a>>,
    payload: OnceCell<Vec<Value<'a>>>,
}

type Properties<'a> = SmallVec<[Option<&'a str>; 8]>;

impl<'a, S: Source> Facts<'a, S> {
    /// What the selector of this index says.
    pub fn evaluate(&self, index: usize) -> Truth {
        match self.set.members.get(index) {
            Some(member) => evaluate::condition(&member.selector.condition, &Lookup { facts: self, member }),
            None => Truth::Unknown,
        }
    }

    fn property(&self, index: u32) -> Option<&'a str> {
        let found = self.properties.get_or_init(|| {
            let names = &self.set.properties;
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
        let found = self.payload.get_or_init(|| self.set.paths.read(self.source.payload()));
        found.get(index as usize).map_or(Value::Null, Value::borrowed)
    }
}

/// The facts as one selector names them.
struct Lookup<'f, 'a, S> {
    facts: &'f Facts<'a, S>,
    member: &'a Member,
}

impl<S: Source> evaluate::Values for Lookup<'_, '_, S> {
    fn value(&self, slot: Slot) -> Value<'_> {
        match slot {
            Slot::Header(header) => self.facts.source.header(header),
            Slot::Property(index) => {
                let text = self.facts.property(self.member.properties[index as usize]);
                text.map_or(Value::Null, |text| Value::Text(text.into()))
            }
            Slot::Payload(index) => self.facts.payload(self.member.paths[index as usize]),
        }
    }
}

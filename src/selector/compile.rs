//! A selector ready for use: every name has a slot. Identical texts share one.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use ahash::AHashMap;

use super::fault::{Fault, FaultKind};
use super::parser::parse;
use super::set::{Facts, Map, Tables};
use super::tree::{Condition, Header, Name, Operand, Step};
use super::{MAX_PATHS, Source, Truth};

/// A selector, compiled.
#[derive(Debug)]
pub struct Selector {
    id: u64,
    text: Box<str>,
    pub(super) condition: Condition<Slot>,
    pub(super) properties: Vec<Box<str>>,
    pub(super) paths: Vec<Vec<Step>>,
    /// Its names, for when it is evaluated alone.
    tables: Tables,
    map: Map,
}

/// Where the value of a name is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Slot {
    Header(Header),
    /// By its index in [`Selector::properties`].
    Property(u32),
    /// By its index in [`Selector::paths`].
    Payload(u32),
}

impl Selector {
    /// Compiles a text.
    pub fn compile(text: &str) -> Result<Self, Fault> {
        let tree = parse(text)?;
        let mut names = Names::default();
        let condition = names.condition(tree);
        if names.paths.len() > MAX_PATHS {
            return Err(FaultKind::TooManyPaths.at(text, 0));
        }
        let (tables, mut maps) = Tables::new([(&names.properties[..], &names.paths[..])].into_iter());
        Ok(Self {
            id: NEXT_ID.fetch_add(1, Ordering::Relaxed),
            text: text.into(),
            condition,
            properties: names.properties,
            paths: names.paths,
            tables,
            map: maps.pop().unwrap_or_default(),
        })
    }

    /// A number that no other selector has; never 0. A [`Selectors`] gives one selector for each text.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// The text.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// What it says of one message, looked at for nobody else.
    pub fn evaluate(&self, source: &impl Source) -> Truth {
        Facts::new(&self.tables, source).evaluate(&self.condition, &self.map)
    }
}

impl PartialEq for Selector {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Selector {}

static NEXT_ID: AtomicU64 = AtomicU64::new(1);

/// All selectors in use, by text.
#[derive(Debug, Default)]
pub struct Selectors {
    inner: Mutex<Table>,
}

#[derive(Debug, Default)]
struct Table {
    by_text: AHashMap<Box<str>, Weak<Selector>>,
    /// When so many are known, those that nobody uses any more are forgotten.
    full_at: usize,
}

impl Selectors {
    /// The selector of a text: the one that is in use, or a new one.
    pub fn compile(&self, text: &str) -> Result<Arc<Selector>, Fault> {
        let mut table = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = table.by_text.get(text).and_then(Weak::upgrade) {
            return Ok(known);
        }
        let selector = Arc::new(Selector::compile(text)?);
        if table.by_text.len() >= table.full_at {
            table.by_text.retain(|_, known| known.strong_count() > 0);
            table.full_at = (table.by_text.len() * 2).max(FEW);
        }
        table.by_text.insert(text.into(), Arc::downgrade(&selector));
        Ok(selector)
    }

    /// Whether none is in use.
    pub fn is_unused(&self) -> bool {
        let table = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        table.by_text.values().all(|known| known.strong_count() == 0)
    }
}

/// The names of one selector that were met.
#[derive(Default)]
struct Names {
    properties: Vec<Box<str>>,
    paths: Vec<Vec<Step>>,
    known: AHashMap<Name, Slot>,
}

impl Names {
    fn slot(&mut self, name: Name) -> Slot {
        if let Some(slot) = self.known.get(&name) {
            return *slot;
        }
        let slot = match &name {
            Name::Header(header) => Slot::Header(*header),
            Name::Property(text) => {
                self.properties.push(text.as_str().into());
                Slot::Property(self.properties.len() as u32 - 1)
            }
            Name::Payload(steps) => {
                self.paths.push(steps.clone());
                Slot::Payload(self.paths.len() as u32 - 1)
            }
        };
        self.known.insert(name, slot);
        slot
    }

    fn conditions(&mut self, list: Vec<Condition<Name>>) -> Vec<Condition<Slot>> {
        list.into_iter().map(|part| self.condition(part)).collect()
    }

    fn condition(&mut self, condition: Condition<Name>) -> Condition<Slot> {
        match condition {
            Condition::Or(list) => Condition::Or(self.conditions(list)),
            Condition::And(list) => Condition::And(self.conditions(list)),
            Condition::Not(inner) => Condition::Not(Box::new(self.condition(*inner))),
            Condition::Compare(comparison, left, right) => {
                Condition::Compare(comparison, self.operand(left), self.operand(right))
            }
            Condition::Between {
                operand,
                low,
                high,
                negated,
            } => Condition::Between {
                operand: self.operand(operand),
                low: self.operand(low),
                high: self.operand(high),
                negated,
            },
            Condition::In { name, items, negated } => Condition::In {
                name: self.slot(name),
                items,
                negated,
            },
            Condition::Like { name, pattern, negated } => Condition::Like {
                name: self.slot(name),
                pattern,
                negated,
            },
            Condition::IsNull { name, negated } => Condition::IsNull {
                name: self.slot(name),
                negated,
            },
            Condition::Name(name) => Condition::Name(self.slot(name)),
            Condition::Always(always) => Condition::Always(always),
        }
    }

    fn operand(&mut self, operand: Operand<Name>) -> Operand<Slot> {
        match operand {
            Operand::Literal(literal) => Operand::Literal(literal),
            Operand::Name(name) => Operand::Name(self.slot(name)),
            Operand::Signed(sign, inner) => Operand::Signed(sign, Box::new(self.operand(*inner))),
            Operand::Sum(first, rest) => {
                let first = Box::new(self.operand(*first));
                let rest = rest.into_iter().map(|(sign, part)| (sign, self.operand(part)));
                Operand::Sum(first, rest.collect())
            }
            Operand::Product(first, rest) => {
                let first = Box::new(self.operand(*first));
                let rest = rest.into_iter().map(|(scale, part)| (scale, self.operand(part)));
                Operand::Product(first, rest.collect())
            }
        }
    }
}

/// So many texts are kept before it is worth looking which are in use.
const FEW: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identical_texts_share_one_selector_as_long_as_it_is_used() {
        let selectors = Selectors::default();
        let first = selectors.compile("a = 1").expect("a selector");
        let second = selectors.compile("a = 1").expect("a selector");
        assert!(Arc::ptr_eq(&first, &second));
        assert!(!Arc::ptr_eq(&first, &selectors.compile("a = 2").expect("a selector")));
        assert!(!selectors.is_unused() && Selectors::default().is_unused());
        for number in 0..10 * FEW {
            selectors.compile(&format!("a = {number}")).expect("a selector");
        }
        let known = selectors.inner.lock().expect("no panic").by_text.len();
        assert!(known <= 2 * FEW, "{known} are kept though one is in use");
        assert!(Arc::ptr_eq(&first, &selectors.compile("a = 1").expect("a selector")));
    }

    #[test]
    fn a_name_has_one_slot_however_often_it_is_used() {
        let selector =
            Selector::compile("a = 1 AND b = a AND payload.x > payload.x AND topic = \"topic\"").expect("good");
        assert_eq!(selector.properties, ["a".into(), "b".into()]);
        assert_eq!(selector.paths.len(), 1);
    }
}

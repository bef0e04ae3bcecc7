//! Takes out of a JSON payload what selectors ask for, in one pass; the rest is checked and skipped.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::tree::Step;
use super::{MAX_PAYLOAD, Value};

/// The paths that are asked for, put together: each part of a payload is looked at once.
#[derive(Debug, Default)]
pub(super) struct PathTree {
    root: Node,
    paths: u32,
}

#[derive(Debug, Default)]
struct Node {
    /// Where the value goes, if it is asked for itself.
    slot: Option<u32>,
    /// In order, so that they can be searched.
    members: Vec<(Box<str>, Self)>,
    elements: Vec<(u32, Self)>,
}

impl PathTree {
    /// Adds a path; the same path gets the same number.
    pub(super) fn insert(&mut self, steps: &[Step]) -> u32 {
        let mut node = &mut self.root;
        for step in steps {
            node = match step {
                Step::Member(name) => child(&mut node.members, &name.as_str().into()),
                Step::Element(index) => child(&mut node.elements, index),
            };
        }
        *node.slot.get_or_insert_with(|| {
            self.paths += 1;
            self.paths - 1
        })
    }

    /// The values of all paths, by number. Nothing is found in what is no JSON, or too large.
    pub(super) fn read<'a>(&self, payload: &'a [u8]) -> Vec<Value<'a>> {
        let nothing = || vec![Value::Null; self.paths as usize];
        let mut found = nothing();
        if payload.is_empty() || payload.len() > MAX_PAYLOAD {
            return found;
        }
        let mut json = serde_json::Deserializer::from_slice(payload);
        let seed = Seed {
            node: &self.root,
            found: &mut found,
        };
        match seed.deserialize(&mut json).and_then(|()| json.end()) {
            Ok(()) => found,
            Err(_) => nothing(),
        }
    }
}

/// The child at a step, which is added if it is not there.
fn child<'n, K: Ord + Clone>(children: &'n mut Vec<(K, Node)>, step: &K) -> &'n mut Node {
    let index = children
        .binary_search_by(|(known, _)| known.cmp(step))
        .unwrap_or_else(|index| {
            children.insert(index, (step.clone(), Node::default()));
            index
        });
    &mut children[index].1
}

impl Node {
    fn member(&self, name: &str) -> Option<&Self> {
        let found = self.members.binary_search_by(|(known, _)| (**known).cmp(name));
        found.ok().map(|index| &self.members[index].1)
    }

    fn element(&self, index: u32) -> Option<&Self> {
        let found = self.elements.binary_search_by_key(&index, |(known, _)| *known);
        found.ok().map(|index| &self.elements[index].1)
    }

    /// Forgets what was found here: of a member that is repeated the last counts.
    fn forget(&self, found: &mut [Value<'_>]) {
        if let Some(slot) = self.slot {
            found[slot as usize] = Value::Null;
        }
        let members = self.members.iter().map(|(_, child)| child);
        let elements = self.elements.iter().map(|(_, child)| child);
        members.chain(elements).for_each(|child| child.forget(found));
    }
}

/// Reads the value of one node.
struct Seed<'n, 'f, 'a> {
    node: &'n Node,
    found: &'f mut [Value<'a>],
}

impl<'a> Seed<'_, '_, 'a> {
    fn put<E>(self, value: Value<'a>) -> Result<(), E> {
        if let Some(slot) = self.node.slot {
            self.found[slot as usize] = value;
        }
        Ok(())
    }
}

impl<'a> DeserializeSeed<'a> for Seed<'_, '_, 'a> {
    type Value = ();

    fn deserialize<D: Deserializer<'a>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_any(self)
    }
}

impl<'a> Visitor<'a> for Seed<'_, '_, 'a> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        self.put(Value::Null)
    }

    fn visit_bool<E: Error>(self, is: bool) -> Result<(), E> {
        self.put(Value::Bool(is))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<(), E> {
        self.put(Value::Integer(number))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<(), E> {
        self.put(i64::try_from(number).map_or(Value::Float(number as f64), Value::Integer))
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<(), E> {
        self.put(Value::Float(number))
    }

    fn visit_borrowed_str<E: Error>(self, text: &'a str) -> Result<(), E> {
        self.put(Value::Text(Cow::Borrowed(text)))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<(), E> {
        self.put(Value::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_map<M: MapAccess<'a>>(self, mut map: M) -> Result<(), M::Error> {
        let Self { node, found } = self;
        if let Some(slot) = node.slot {
            found[slot as usize] = Value::Composite;
        }
        while let Some(wanted) = map.next_key_seed(Key(node))? {
            match wanted {
                Some(node) => {
                    node.forget(found);
                    map.next_value_seed(Seed { node, found })?;
                }
                None => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(())
    }

    fn visit_seq<S: SeqAccess<'a>>(self, mut elements: S) -> Result<(), S::Error> {
        let Self { node, found } = self;
        if let Some(slot) = node.slot {
            found[slot as usize] = Value::Composite;
        }
        for index in 0.. {
            let read = match node.element(index) {
                Some(node) => elements.next_element_seed(Seed { node, found })?,
                None => elements.next_element::<IgnoredAny>()?.map(|_| ()),
            };
            if read.is_none() {
                break;
            }
        }
        Ok(())
    }
}

/// Reads the name of a member and finds out whether it is asked for.
struct Key<'n>(&'n Node);

impl<'a, 'n> DeserializeSeed<'a> for Key<'n> {
    type Value = Option<&'n Node>;

    fn deserialize<D: Deserializer<'a>>(self, json: D) -> Result<Self::Value, D::Error> {
        json.deserialize_str(self)
    }
}

impl<'n> Visitor<'_> for Key<'n> {
    type Value = Option<&'n Node>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a member")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<Self::Value, E> {
        Ok(self.0.member(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(name: &str) -> Step {
        Step::Member(name.into())
    }

    fn read<'a>(paths: &[&[Step]], payload: &'a str) -> Vec<Value<'a>> {
        let mut tree = PathTree::default();
        for (number, path) in paths.iter().enumerate() {
            assert_eq!(tree.insert(path), number as u32);
            assert_eq!(tree.insert(path), number as u32);
        }
        tree.read(payload.as_bytes())
    }

    #[test]
    fn only_what_is_asked_for_is_kept() {
        let (a, b) = (member("a"), member("b"));
        let paths: &[&[Step]] = &[
            &[a.clone(), b.clone()],
            std::slice::from_ref(&a),
            &[],
            &[b.clone(), Step::Element(1)],
            &[b.clone(), Step::Element(1), a.clone()],
        ];
        let found = read(paths, r#"{"x":[1,{"a":2}],"a":{"b":-3},"b":[0,{"a":"t\u00e4st"}]}"#);
        let expected = [
            Value::Integer(-3),
            Value::Composite,
            Value::Composite,
            Value::Composite,
            Value::Text("täst".into()),
        ];
        assert_eq!(found, expected);
        let last = read(paths, r#"{"a":{"b":1},"b":[1,2],"a":{"c":2},"a":3}"#);
        let [ab, a, _, b1, b1a] = &last[..] else { panic!() };
        assert_eq!(
            (ab, a, b1, b1a),
            (&Value::Null, &Value::Integer(3), &Value::Integer(2), &Value::Null)
        );
    }

    #[test]
    fn what_is_no_json_has_nothing() {
        let a = [member("a")];
        for payload in [
            "",
            " ",
            "{",
            "{\"a\":1",
            "{\"a\":1}x",
            "{\"a\":1,}",
            "{'a':1}",
            "{\"a\":01}",
            "{\"a\":1e999}",
            "{\"a\":NaN}",
            "21,5",
        ] {
            assert_eq!(read(&[&a], payload), [Value::Null], "{payload}");
        }
        assert_eq!(PathTree::default().read(b"\xff"), []);
        let long = format!("{{\"a\":1,\"b\":\"{}\"}}", "x".repeat(MAX_PAYLOAD));
        assert_eq!(read(&[&a], &long), [Value::Null]);
    }

    #[test]
    fn depth_costs_no_stack() {
        let a = [member("a")];
        let deep =
            |text: &str, end: &str| format!("{{\"b\":{}1{},\"a\":7}}", text.repeat(100_000), end.repeat(100_000));
        assert_eq!(read(&[&a], &deep("[", "]")), [Value::Integer(7)]);
        assert_eq!(read(&[&a], &deep("{\"a\":", "}")), [Value::Integer(7)]);
        let open = "[".repeat(MAX_PAYLOAD);
        assert_eq!(read(&[&a], &open), [Value::Null]);
    }

    #[test]
    fn random_bytes_do_no_harm() {
        let mut tree = PathTree::default();
        tree.insert(&[member("a"), Step::Element(0)]);
        tree.insert(&[Step::Element(1)]);
        let mut random = fastrand::Rng::with_seed(3);
        let parts = [
            "{", "}", "[", "]", ",", ":", "\"a\"", "\"", "1", "-", "e5", "null", "true", "\\u12", "é", "\u{0}",
        ];
        for _ in 0..20_000 {
            let text: String = (0..random.usize(..20))
                .map(|_| parts[random.usize(..parts.len())])
                .collect();
            assert_eq!(tree.read(text.as_bytes()).len(), 2);
        }
    }
}

//! A message for tests, and the text form of tables: lines that describe a message, and lines with a selector and what it
//! says of that message.

use std::sync::Arc;

use crate::selector::{Fault, Header, Selector, Source, Truth, Value};

/// A message as far as selectors look at it.
#[derive(Clone, Debug, Default)]
pub struct Sample {
    pub topic: String,
    pub properties: Vec<(String, String)>,
    pub payload: Vec<u8>,
    pub headers: Vec<(Header, String)>,
}

impl Source for Sample {
    fn header(&self, header: Header) -> Value<'_> {
        if matches!(header, Header::Topic | Header::Destination) {
            return Value::Text(self.topic.as_str().into());
        }
        let found = self.headers.iter().find(|(known, _)| *known == header);
        let Some((_, text)) = found else { return Value::Null };
        match (text.parse(), text.as_str()) {
            (Ok(number), _) => Value::Integer(number),
            (_, "true" | "false") => Value::Bool(text == "true"),
            _ => Value::Text(text.into()),
        }
    }

    fn properties(&self) -> impl Iterator<Item = (&str, &str)> {
        self.properties
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
    }

    fn payload(&self) -> &[u8] {
        &self.payload
    }
}

/// What a line expects.
#[derive(Debug)]
pub enum Expected<'t> {
    Truth(Truth),
    /// A fault at this column, whose kind begins so.
    Fault(usize, &'t str),
}

impl Sample {
    /// Takes in a line that describes the message; `false` if it is none.
    fn describe(&mut self, word: &str, rest: &str) -> bool {
        match word {
            "message" => *self = Self::default(),
            "topic" => self.topic = rest.into(),
            "payload" => self.payload = rest.into(),
            "property" => {
                let (name, value) = rest.split_once(" = ").or(rest.split_once(" =")).expect("name = value");
                self.properties.push((name.into(), value.into()));
            }
            "header" => {
                let (name, value) = rest.split_once(" = ").expect("name = value");
                self.headers.push((Header::of(name).expect(name), value.into()));
            }
            _ => return false,
        }
        true
    }

    fn evaluate(&self, text: &str) -> Result<Truth, Fault> {
        Ok(Arc::new(Selector::compile(text)?).evaluate(self))
    }
}

/// Runs a table. Returns how many selectors it has; faults are collected, so that one run shows all.
pub fn run(name: &str, table: &str, faults: &mut Vec<String>) -> usize {
    let (mut sample, mut count) = (Sample::default(), 0);
    let lines = table
        .lines()
        .enumerate()
        .map(|(number, line)| (number + 1, line.trim_start()));
    for (number, line) in lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#')) {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        if sample.describe(word, rest.trim_start()) {
            continue;
        }
        let (expected, text) = expectation(word, rest.trim_start());
        let found = sample.evaluate(text);
        let holds = match (&expected, &found) {
            (Expected::Truth(expected), Ok(found)) => expected == found,
            (Expected::Fault(column, kind), Err(fault)) => {
                fault.column == *column && format!("{:?}", fault.kind).starts_with(kind)
            }
            _ => false,
        };
        if !holds {
            faults.push(format!(
                "{name}:{number}: {text}\n    expected {expected:?}, found {found:?}"
            ));
        }
        count += 1;
    }
    count
}

fn expectation<'t>(word: &str, rest: &'t str) -> (Expected<'t>, &'t str) {
    let truth = match word {
        "true" => Truth::True,
        "false" => Truth::False,
        "unknown" => Truth::Unknown,
        "error" => {
            let (column, rest) = rest.split_once(' ').expect("error COLUMN KIND SELECTOR");
            let (kind, text) = rest.trim_start().split_once(' ').unwrap_or((rest, ""));
            return (
                Expected::Fault(column.parse().expect("a column"), kind),
                text.trim_start(),
            );
        }
        _ => panic!("{word:?} is no word of a table"),
    };
    (Expected::Truth(truth), rest)
}

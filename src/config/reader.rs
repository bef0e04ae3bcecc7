//! Walks the sources of a configuration, option by option, and gathers every fault with its place. Knows no option.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::ops::Range;
use std::path::Path;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::error::{ConfigError, ConfigErrors, Place};
use super::suggest;
use super::value::Given;

/// What can be read from a table: its options, and tables in it.
pub(super) trait Section {
    /// Names every option once; what is not given stays as it is.
    fn read(&mut self, reader: &mut Reader<'_, '_>);
}

/// The file and the variables, and what was found wrong with them.
pub(super) struct Sources<'a> {
    file: Option<(&'a Path, &'a str)>,
    /// Those that no option has asked for yet.
    variables: BTreeMap<String, Option<String>>,
    /// Every variable that an option asked for.
    names: BTreeSet<String>,
    errors: Vec<ConfigError>,
}

/// One table of the file beside its options; the place it has in the tree.
pub(super) struct Reader<'r, 'a> {
    sources: &'r mut Sources<'a>,
    table: Option<&'r DeTable<'r>>,
    /// The table's line, where the file has it.
    place: Option<Range<usize>>,
    /// Names of the tables above, each with a dot behind it.
    prefix: String,
    /// Whether variables reach into this table; they do not reach into lists.
    named: bool,
    asked: BTreeSet<&'static str>,
}

impl<'a> Sources<'a> {
    /// Takes the variables that are the broker's.
    pub(super) fn new(
        file: Option<(&'a Path, &'a str)>,
        variables: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> Self {
        let ours = variables.into_iter().filter_map(|(name, value)| {
            let name = name
                .into_string()
                .ok()
                .filter(|name| name.starts_with(VARIABLE_PREFIX))?;
            Some((name, value.into_string().ok()))
        });
        Self {
            file,
            variables: ours.collect(),
            names: BTreeSet::new(),
            errors: Vec::new(),
        }
    }

    /// The file as a tree.
    ///
    /// # Errors
    /// What is not TOML; nothing else is looked at then.
    pub(super) fn document(&self) -> Result<Spanned<DeTable<'a>>, ConfigErrors> {
        let (document, faults) = DeTable::parse_recoverable(self.file.map_or("", |(_, text)| text));
        let mut errors: Vec<ConfigError> = Vec::new();
        for fault in faults {
            let place = self.place(fault.span());
            // One fault makes others on its line.
            if errors.last().is_none_or(|last| last.place != place) {
                errors.push(ConfigError {
                    place,
                    key: None,
                    what: self.describe(&fault),
                });
            }
        }
        ConfigErrors::unless_empty(errors)?;
        Ok(document)
    }

    /// What the parser says, with the words that it means.
    fn describe(&self, fault: &toml::de::Error) -> String {
        let what = fault.message().trim_end().replace('\n', "; ");
        let words = fault.span().and_then(|span| self.file?.1.get(span)).unwrap_or_default();
        if words.is_empty() || words.contains('\n') || what.contains(words) {
            return what;
        }
        format!("{what}, found `{words}`")
    }

    /// Reads the whole tree.
    pub(super) fn read(&mut self, table: &DeTable<'_>, into: &mut impl Section) {
        let (place, prefix) = (None, String::new());
        let mut reader = Reader {
            sources: self,
            table: Some(table),
            place,
            prefix,
            named: true,
            asked: BTreeSet::new(),
        };
        into.read(&mut reader);
        reader.refuse_unknown();
    }

    /// All faults, those of unknown variables too.
    pub(super) fn finish(mut self) -> Result<(), ConfigErrors> {
        for name in std::mem::take(&mut self.variables).into_keys() {
            let near = suggest::nearest(&name, self.names.iter().map(String::as_str));
            let hint = near.map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
            let what = format!("unknown variable{hint}");
            self.errors.push(ConfigError {
                place: Place::Variable(name),
                key: None,
                what,
            });
        }
        ConfigErrors::unless_empty(self.errors)
    }

    /// The names of all variables that options have.
    #[cfg(test)]
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(|name| name.trim_start_matches(VARIABLE_PREFIX))
    }

    fn place(&self, span: Option<Range<usize>>) -> Place {
        let Some((path, text)) = self.file else {
            return Place::Whole;
        };
        let line = span.map(|span| {
            text.as_bytes()[..span.start.min(text.len())]
                .split(|byte| *byte == b'\n')
                .count()
        });
        Place::File(path.to_owned(), line)
    }
}

impl<'r, 'a> Reader<'r, 'a> {
    /// Reads one option into `field`, from the file and then from its variable.
    pub(super) fn option<T>(
        &mut self,
        key: &'static str,
        field: &mut T,
        read: impl Fn(&Given<'_>) -> Result<T, String>,
    ) {
        if let Some(value) = self.ask(key) {
            match read(&value.get_ref().into()) {
                Ok(read) => *field = read,
                Err(what) => self.fault(Some(value.span()), key, what),
            }
        }
        self.variable(key, field, read);
    }

    /// Reads one option into `field` from its variable alone.
    pub(super) fn variable<T>(
        &mut self,
        key: &'static str,
        field: &mut T,
        read: impl Fn(&Given<'_>) -> Result<T, String>,
    ) {
        if !self.named {
            return;
        }
        let key = format!("{}{key}", self.prefix);
        let name = format!("{VARIABLE_PREFIX}{}", key.replace('.', "__").to_uppercase());
        let given = self.sources.variables.remove(&name);
        self.sources.names.insert(name.clone());
        let read = match given {
            None => return,
            Some(None) => Err("expected UTF-8 text".to_owned()),
            Some(Some(text)) => read(&Given::Variable(&text)),
        };
        match read {
            Ok(value) => *field = value,
            Err(what) => self.sources.errors.push(ConfigError {
                place: Place::Variable(name),
                key: Some(key),
                what,
            }),
        }
    }

    /// Reads a table of this table.
    pub(super) fn section(&mut self, key: &'static str, into: &mut impl Section) {
        let (table, place) = match self.ask(key) {
            None => (None, None),
            Some(value) => match value.get_ref() {
                DeValue::Table(table) => (Some(table), Some(value.span())),
                other => {
                    let what = Given::from(other).instead_of(&format!("a table [{}{key}]", self.prefix));
                    self.fault(Some(value.span()), key, what);
                    (None, None)
                }
            },
        };
        self.read_child(key, table, place, self.named, into);
    }

    /// Reads a table of this table that need not be there.
    pub(super) fn optional_section<T: Section + Default>(&mut self, key: &'static str, into: &mut Option<T>) {
        self.asked.insert(key);
        if self.table.is_some_and(|table| table.contains_key(key)) {
            self.section(key, into.get_or_insert_default());
        }
    }

    /// Reads a list of tables; given at all, it replaces what is in the list.
    pub(super) fn tables<T: Section>(&mut self, key: &'static str, into: &mut Vec<T>, new: impl Fn() -> T) {
        let Some(value) = self.ask(key) else { return };
        let right = format!("tables [[{}{key}]]", self.prefix);
        let DeValue::Array(items) = value.get_ref() else {
            return self.fault(Some(value.span()), key, Given::from(value.get_ref()).instead_of(&right));
        };
        into.clear();
        for item in items.iter() {
            let mut element = new();
            match item.get_ref() {
                DeValue::Table(table) => self.read_child(key, Some(table), Some(item.span()), false, &mut element),
                other => self.fault(Some(item.span()), key, Given::from(other).instead_of(&right)),
            }
            into.push(element);
        }
    }

    /// Refuses this table if the option is not in it.
    pub(super) fn require(&mut self, key: &'static str) {
        if !self.table.is_some_and(|table| table.contains_key(key)) {
            self.fault(self.place.clone(), key, "missing, and it has no default".to_owned());
        }
    }

    /// Refuses what an option's value turned out to be.
    pub(super) fn refuse(&mut self, key: &'static str, what: &str) {
        let span = self.ask(key).map(Spanned::span);
        self.fault(span, key, what.to_owned());
    }

    fn ask(&mut self, key: &'static str) -> Option<&'r Spanned<DeValue<'r>>> {
        self.asked.insert(key);
        self.table.and_then(|table| table.get(key))
    }

    fn read_child(
        &mut self,
        key: &str,
        table: Option<&DeTable<'_>>,
        place: Option<Range<usize>>,
        named: bool,
        into: &mut impl Section,
    ) {
        let prefix = format!("{}{key}.", self.prefix);
        let mut child = Reader {
            sources: &mut *self.sources,
            table,
            place,
            prefix,
            named,
            asked: BTreeSet::new(),
        };
        into.read(&mut child);
        child.refuse_unknown();
    }

    fn refuse_unknown(&mut self) {
        for (key, _) in self.table.into_iter().flatten() {
            let name: &str = key.get_ref();
            if self.asked.contains(name) {
                continue;
            }
            let what = match suggest::nearest(name, self.asked.iter().copied()) {
                Some(near) => format!("unknown key; did you mean `{near}`?"),
                None => format!(
                    "unknown key; known here: {}",
                    Vec::from_iter(self.asked.iter().copied()).join(", ")
                ),
            };
            self.fault(Some(key.span()), name, what);
        }
    }

    fn fault(&mut self, span: Option<Range<usize>>, key: &str, what: String) {
        let place = self.sources.place(span);
        self.sources.errors.push(ConfigError {
            place,
            key: Some(format!("{}{key}", self.prefix)),
            what,
        });
    }
}

/// What the names of the broker's variables begin with.
const VARIABLE_PREFIX: &str = "REWINDMQ__";

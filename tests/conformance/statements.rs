//! The tables of the specifications' numbered statements: complete, and each statement that a server must mind is held by
//! a test that exists.

mod evidence;
mod table;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::script::{self, Version};
use table::{Statement, Table};

/// How many statements the chapters of each specification have.
const CHAPTERS: [&[(u16, usize)]; 2] = [
    &[(1, 5), (2, 7), (3, 175), (4, 60), (6, 4)],
    &[(1, 3), (2, 9), (3, 95), (4, 26), (6, 4), (7, 4)],
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn tables() -> [Table; 2] {
    Version::BOTH.map(|version| {
        let name = format!("tests/conformance/statements-{}.txt", version.name());
        Table::read(&root().join(name)).unwrap_or_else(|fault| panic!("{fault}"))
    })
}

fn assert_none(faults: &[String]) {
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

#[test]
fn tables_have_every_statement_once_and_in_order() {
    for (table, chapters) in tables().iter().zip(CHAPTERS) {
        let mut count = BTreeMap::new();
        for statement in &table.statements {
            *count.entry(statement.id.section[0]).or_insert(0) += 1;
        }
        let count: Vec<(u16, usize)> = count.into_iter().collect();
        assert_eq!(count, chapters, "{}", table.path.display());
        assert_none(&table.out_of_order());
    }
}

#[test]
fn each_statement_that_applies_is_held_by_tests_that_exist() {
    let mut faults = Vec::new();
    for table in tables() {
        for statement in &table.statements {
            let at = |what: String| format!("{}: {}: {what}", table.path.display(), statement.id);
            match (statement.tests.is_empty(), &statement.not) {
                (true, None) => faults.push(at("no test holds it".to_owned())),
                (false, Some(why)) => faults.push(at(format!("tests hold it, though it says: {why}"))),
                _ => {}
            }
            let missing = statement.tests.iter().filter(|test| !is_case(test));
            faults.extend(missing.filter_map(|test| evidence::find(root(), test).err()).map(at));
        }
    }
    assert_none(&faults);
}

/// The cases of a table are what the scripts say in their `holds` lines; `UPDATE_STATEMENTS=1` writes them.
#[test]
fn cases_of_the_tables_are_those_that_the_scripts_name() {
    let cases = script::load_all().unwrap_or_else(|fault| panic!("{fault}"));
    let mut faults = Vec::new();
    for (index, mut table) in tables().into_iter().enumerate() {
        let mut held: BTreeMap<&str, Vec<String>> = BTreeMap::new();
        for case in &cases {
            for id in &case.holds[index] {
                if table.find(id).is_none() {
                    faults.push(format!("{}: {id} is not in {}", case.id, table.path.display()));
                }
                let cases = held.entry(id).or_default();
                if cases.contains(&case.id) {
                    faults.push(format!("{}: names {id} twice", case.id));
                } else {
                    cases.push(case.id.clone());
                }
            }
        }
        let mut changed = false;
        for statement in &mut table.statements {
            let cases = held.remove(statement.id.text.as_str()).unwrap_or_default();
            changed |= replace_cases(statement, cases);
        }
        if changed && std::env::var_os("UPDATE_STATEMENTS").is_some() {
            std::fs::write(&table.path, table.to_string()).expect("the table is written");
        } else if changed {
            let path = table.path.display();
            faults.push(format!(
                "{path}: its cases are not those that the scripts name; UPDATE_STATEMENTS=1 writes them"
            ));
        }
    }
    assert_none(&faults);
}

/// Whether that changes anything.
fn replace_cases(statement: &mut Statement, cases: Vec<String>) -> bool {
    let others = statement.tests.iter().filter(|test| !is_case(test)).cloned();
    let tests: Vec<String> = cases.into_iter().chain(others).collect();
    let changed = tests != statement.tests;
    statement.tests = tests;
    changed
}

/// A case of a script has no ending in its path.
fn is_case(test: &str) -> bool {
    test.split_once("::").is_some_and(|(path, _)| !path.contains('.'))
}

#[test]
fn sources_cite_statements_that_there_are() {
    let [new, old] = tables();
    let mut faults = Vec::new();
    for path in evidence::files(&root().join("src")).expect("the sources are there") {
        let text = std::fs::read_to_string(&path).expect("a source is text");
        for (id, behind) in evidence::citations(&text) {
            let table = if behind.starts_with(" of 3.1.1") { &old } else { &new };
            if table.find(id).is_none() {
                let path: PathBuf = path.strip_prefix(root()).unwrap_or(&path).into();
                faults.push(format!("{}: {id} is not in {}", path.display(), table.path.display()));
            }
        }
    }
    assert_none(&faults);
}

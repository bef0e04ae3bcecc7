//! Whether a test that is named exists, and which statements a source cites. Knows no table.

use std::path::{Path, PathBuf};

/// A test as the tables name it: `path::name` or `path::name[row]`, a row being one of a test that goes through a table.
pub fn find(root: &Path, test: &str) -> Result<(), String> {
    let (path, name) = test.split_once("::").ok_or_else(|| format!("no test: {test}"))?;
    let (name, row) = match name.split_once('[') {
        Some((name, row)) => (name, Some(row.trim_end_matches(']'))),
        None => (name, None),
    };
    let text = std::fs::read_to_string(root.join(path)).map_err(|fault| format!("{path}: {fault}"))?;
    // Tables of Python tests stand before them, those of Rust tests inside.
    let found = match path.ends_with(".rs") {
        true => rust_test(&text, name),
        false => python_test(&text, name).then_some(text.as_str()),
    };
    let text = found.ok_or_else(|| format!("{path} has no test {name}"))?;
    match row {
        Some(row) if !text.contains(&format!("\"{row}\"")) => Err(format!("{name} of {path} has no row {row:?}")),
        _ => Ok(()),
    }
}

fn python_test(text: &str, name: &str) -> bool {
    let begin = format!("def {name}(");
    name.starts_with("test_") && text.lines().any(|line| line.starts_with(&begin))
}

/// The text of a test from its name on.
fn rust_test<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let begin = format!("fn {name}(");
    let at = text
        .match_indices(&begin)
        .map(|(at, _)| at)
        .find(|at| is_marked(&text[..*at]))?;
    let indent = text[..at].rsplit('\n').next().unwrap_or("");
    let end = format!("\n{indent}}}\n");
    let behind = &text[at..];
    Some(&behind[..behind.find(&end).unwrap_or(behind.len())])
}

/// Whether what stands before a function says that it is a test.
fn is_marked(before: &str) -> bool {
    let mut lines = before.lines().rev().map(str::trim).skip_while(|line| line.is_empty());
    lines
        .by_ref()
        .take_while(|line| line.starts_with("#[") || line.starts_with("///"))
        .any(|line| matches!(line, "#[test]" | "#[tokio::test]"))
}

/// The statements that a text cites, each with what follows it.
pub fn citations(text: &str) -> impl Iterator<Item = (&str, &str)> {
    text.match_indices("MQTT-").filter_map(|(at, _)| {
        let behind = &text[at..];
        let len = behind["MQTT-".len()..]
            .find(|char: char| !char.is_ascii_digit() && !matches!(char, '.' | '-'))
            .map_or(behind.len(), |len| len + "MQTT-".len());
        let id = behind[..len].trim_end_matches(['.', '-']);
        id.contains('.').then(|| (id, &behind[len..]))
    })
}

/// All files under a folder.
pub fn files(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        match path.is_dir() {
            true => found.extend(files(&path)?),
            false => found.push(path),
        }
    }
    Ok(found)
}

#[test]
fn tests_are_found_by_name_and_row_and_nothing_else_is() {
    let text = "#[test]\nfn one() {\n    (\"a\")\n}\n\nfn helper() {\n    (\"b\")\n}\n";
    assert_eq!(rust_test(text, "one").map(|text| text.contains("\"b\"")), Some(false));
    assert_eq!(rust_test(text, "helper"), None);
    assert_eq!(rust_test(text, "two"), None);
    assert!(python_test("def test_x(broker):\n", "test_x"));
    assert!(!python_test("def test_xy(broker):\n", "test_x"));
    assert!(find(Path::new("."), "tests/none.rs::one").is_err());
}

#[test]
fn citations_end_with_their_number() {
    let text = "// [MQTT-3.1.2-22 of 3.1.1] and MQTT-4.7.3-1. MQTT-only";
    let found: Vec<_> = citations(text).map(|(id, _)| id).collect();
    assert_eq!(found, ["MQTT-3.1.2-22", "MQTT-4.7.3-1"]);
}

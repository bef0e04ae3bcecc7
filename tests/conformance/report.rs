//! What became of the cases, by folder, with what failed told so that a person can look into it.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::run::Failure;
use super::script::{Case, Version};

/// What became of a case in one version.
#[derive(Clone, Debug)]
pub enum Outcome {
    Passed,
    Failed(Failure),
    Skipped(&'static str),
}

/// A case in one version with its outcome.
#[derive(Clone, Debug)]
pub struct Row {
    pub id: String,
    pub version: Version,
    pub statements: Vec<String>,
    pub outcome: Outcome,
}

/// How many cases passed, failed and were skipped.
#[derive(Clone, Copy, Debug, Default)]
pub struct Count {
    pub passed: usize,
    pub failed: usize,
    pub skipped: usize,
}

impl Row {
    pub fn new(case: &Case, version: Version, outcome: Outcome) -> Self {
        Self {
            id: case.id.clone(),
            version,
            statements: case.holds_for(version).to_vec(),
            outcome,
        }
    }

    fn folder(&self) -> &str {
        self.id.split('/').next().unwrap_or_default()
    }

    fn failure(&self) -> Option<&Failure> {
        match &self.outcome {
            Outcome::Failed(failure) => Some(failure),
            _ => None,
        }
    }
}

impl Count {
    pub fn of<'a>(rows: impl IntoIterator<Item = &'a Row>) -> Self {
        let mut count = Self::default();
        for row in rows {
            match row.outcome {
                Outcome::Passed => count.passed += 1,
                Outcome::Failed(_) => count.failed += 1,
                Outcome::Skipped(_) => count.skipped += 1,
            }
        }
        count
    }
}

/// The failures, each with its statements, what was expected and what came.
pub fn failures(rows: &[Row]) -> String {
    let mut out = String::new();
    for row in rows {
        let Some(failure) = row.failure() else { continue };
        let statements = row.statements.join(" ");
        let _ = writeln!(out, "{} (MQTT {}) {statements}", row.id, row.version.name());
        let _ = writeln!(out, "    line {}, expected: {}", failure.line, failure.expected);
        let _ = writeln!(out, "    came: {}", failure.came);
    }
    out
}

/// Why cases were left out, and how many.
fn skipped(rows: &[Row]) -> String {
    let mut reasons: BTreeMap<&str, usize> = BTreeMap::new();
    for row in rows {
        if let Outcome::Skipped(why) = row.outcome {
            *reasons.entry(why).or_default() += 1;
        }
    }
    let texts: Vec<String> = reasons.iter().map(|(why, count)| format!("{count} ({why})")).collect();
    texts.join(", ")
}

/// A table by folder and version, and the score.
pub fn summary(rows: &[Row]) -> String {
    let mut groups: BTreeMap<(&str, &str), Vec<&Row>> = BTreeMap::new();
    for row in rows {
        groups.entry((row.folder(), row.version.name())).or_default().push(row);
    }
    let mut out = format!(
        "{:<16} {:<6} {:>7} {:>7} {:>8}\n",
        "part", "MQTT", "passed", "failed", "skipped"
    );
    for ((folder, version), rows) in &groups {
        let Count {
            passed,
            failed,
            skipped,
        } = Count::of(rows.iter().copied());
        let _ = writeln!(out, "{folder:<16} {version:<6} {passed:>7} {failed:>7} {skipped:>8}");
    }
    let count = Count::of(rows);
    let ran = count.passed + count.failed;
    let percent = 100.0 * count.passed as f64 / ran.max(1) as f64;
    let _ = writeln!(out, "\nscore: {} of {ran} ({percent:.1} %)", count.passed);
    if count.skipped > 0 {
        let _ = writeln!(out, "skipped: {}", skipped(rows));
    }
    out
}

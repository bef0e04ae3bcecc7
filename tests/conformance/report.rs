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

/// Every case with its outcome, as JSON.
pub fn json(rows: &[Row]) -> String {
    let cases: Vec<serde_json::Value> = rows.iter().map(object).collect();
    let count = Count::of(rows);
    let whole = serde_json::json!({
        "passed": count.passed,
        "failed": count.failed,
        "skipped": count.skipped,
        "cases": cases,
    });
    format!("{whole:#}\n")
}

fn object(row: &Row) -> serde_json::Value {
    let mut object = serde_json::json!({
        "case": row.id,
        "version": row.version.name(),
        "statements": row.statements,
    });
    match &row.outcome {
        Outcome::Passed => object["outcome"] = "passed".into(),
        Outcome::Skipped(why) => {
            object["outcome"] = "skipped".into();
            object["why"] = (*why).into();
        }
        Outcome::Failed(failure) => {
            object["outcome"] = "failed".into();
            object["line"] = failure.line.into();
            object["expected"] = failure.expected.clone().into();
            object["came"] = failure.came.clone().into();
        }
    }
    object
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_counted_and_told_with_its_line() {
        let failure = Failure {
            line: 7,
            expected: "< c PINGRESP".to_owned(),
            came: "nothing".to_owned(),
        };
        let row = |id: &str, outcome| Row {
            id: id.to_owned(),
            version: Version::V3,
            statements: vec!["MQTT-3.12.4-1".to_owned()],
            outcome,
        };
        let rows = [
            row("ping/a::b", Outcome::Failed(failure)),
            row("ping/a::c", Outcome::Passed),
            row("ping/a::d", Outcome::Skipped("takes too long")),
        ];
        assert!(failures(&rows).contains("ping/a::b (MQTT 3.1.1) MQTT-3.12.4-1\n    line 7, expected: < c PINGRESP"));
        assert!(summary(&rows).contains("score: 1 of 2 (50.0 %)\nskipped: 1 (takes too long)"));
        let json: serde_json::Value = serde_json::from_str(&json(&rows)).expect("JSON");
        assert_eq!(json["failed"], 1);
        assert_eq!(json["cases"][0]["came"], "nothing");
        assert_eq!(json["cases"][2]["why"], "takes too long");
    }
}

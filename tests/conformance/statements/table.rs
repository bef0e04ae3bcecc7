//! Reads and writes a table of statements. Knows no test.

use std::fmt;
use std::path::{Path, PathBuf};

/// The statements of one specification.
pub struct Table {
    pub path: PathBuf,
    /// The comment at its beginning.
    head: Vec<String>,
    pub statements: Vec<Statement>,
}

/// One statement.
#[derive(Debug)]
pub struct Statement {
    pub id: Id,
    /// Whom it binds.
    binds: String,
    /// What it says, in words of ours.
    summary: String,
    /// The tests that hold it.
    pub tests: Vec<String>,
    /// Why no server needs to hold it.
    pub not: Option<String>,
}

/// `MQTT-section-number`.
#[derive(Debug)]
pub struct Id {
    pub text: String,
    pub section: [u16; 3],
    number: u16,
}

impl Id {
    fn parse(text: &str) -> Option<Self> {
        let (section, number) = text.strip_prefix("MQTT-")?.split_once('-')?;
        let parts: Vec<u16> = section
            .split('.')
            .map(|part| part.parse().ok())
            .collect::<Option<_>>()?;
        Some(Self {
            text: text.to_owned(),
            section: parts.try_into().ok()?,
            number: number.parse().ok()?,
        })
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Table {
    pub fn read(path: &Path) -> Result<Self, String> {
        let text = std::fs::read_to_string(path).map_err(|fault| format!("{}: {fault}", path.display()))?;
        let mut table = Self {
            path: path.to_owned(),
            head: Vec::new(),
            statements: Vec::new(),
        };
        for (index, line) in text.lines().enumerate() {
            table
                .line(line)
                .map_err(|what| format!("{}, line {}: {what}", path.display(), index + 1))?;
        }
        Ok(table)
    }

    fn line(&mut self, line: &str) -> Result<(), String> {
        if line.is_empty() {
            return Ok(());
        }
        let Some(rest) = line.strip_prefix("    ") else {
            return self.heading(line);
        };
        let statement = self
            .statements
            .last_mut()
            .ok_or("a statement begins with its identifier")?;
        if let Some(test) = rest.strip_prefix("- ") {
            if statement.tests.iter().any(|known| known == test) {
                return Err(format!("{test} is named twice"));
            }
            statement.tests.push(test.to_owned());
        } else if let Some(why) = rest.strip_prefix("not: ") {
            statement.not = Some(why.to_owned());
        } else if statement.summary.is_empty() {
            statement.summary = rest.to_owned();
        } else {
            return Err(format!("neither a test (- ...) nor a reason (not: ...): {rest}"));
        }
        Ok(())
    }

    fn heading(&mut self, line: &str) -> Result<(), String> {
        if line.starts_with('#') {
            self.head.push(line.to_owned());
            return Ok(());
        }
        let (id, binds) = line.split_once(' ').unwrap_or((line, ""));
        if !["server", "client", "both"].contains(&binds) {
            return Err(format!("{id} binds server, client or both, not {binds:?}"));
        }
        self.statements.push(Statement {
            id: Id::parse(id).ok_or_else(|| format!("no identifier: {id}"))?,
            binds: binds.to_owned(),
            summary: String::new(),
            tests: Vec::new(),
            not: None,
        });
        Ok(())
    }

    pub fn find(&self, id: &str) -> Option<&Statement> {
        self.statements.iter().find(|statement| statement.id.text == id)
    }

    /// Where identifiers are not one after the other. MQTT 5.0 has no 2.2.1-1.
    pub fn out_of_order(&self) -> Vec<String> {
        let mut faults = Vec::new();
        let mut before = ([0; 3], 0);
        for Statement { id, .. } in &self.statements {
            let next = match id.section == before.0 {
                true => id.number == before.1 + 1,
                false => id.section > before.0 && (id.number == 1 || id.text == "MQTT-2.2.1-2"),
            };
            if !next {
                faults.push(format!("{}: {id} is not the next one", self.path.display()));
            }
            before = (id.section, id.number);
        }
        faults
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for line in &self.head {
            writeln!(f, "{line}")?;
        }
        for statement in &self.statements {
            write!(f, "\n{} {}\n    {}\n", statement.id, statement.binds, statement.summary)?;
            for test in &statement.tests {
                writeln!(f, "    - {test}")?;
            }
            if let Some(why) = &statement.not {
                writeln!(f, "    not: {why}")?;
            }
        }
        Ok(())
    }
}

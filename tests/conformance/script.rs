//! Reads the text of scripts into cases. Knows no packet.

use std::path::Path;
use std::time::Duration;

use super::text::{self, Arg};

/// A protocol version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    V5,
    V3,
}

impl Version {
    pub const BOTH: [Self; 2] = [Self::V5, Self::V3];

    pub fn name(self) -> &'static str {
        match self {
            Self::V5 => "5.0",
            Self::V3 => "3.1.1",
        }
    }

    /// The protocol level that CONNECT says.
    pub fn level(self) -> u8 {
        match self {
            Self::V5 => 5,
            Self::V3 => 4,
        }
    }
}

/// What a case asks of its runner.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    /// Commits can be held back.
    pub commit: bool,
    /// No other case at the same time.
    pub alone: bool,
    /// A promise of this project, not of the specification.
    pub own: bool,
    /// Lines of configuration.
    pub config: Vec<String>,
}

/// One case of a script.
#[derive(Clone, Debug)]
pub struct Case {
    /// `folder/file::name`.
    pub id: String,
    /// The statements it holds: of 5.0, of 3.1.1.
    pub holds: [Vec<String>; 2],
    pub versions: Vec<Version>,
    pub needs: Needs,
    pub steps: Vec<Step>,
}

/// A line of a case.
#[derive(Clone, Debug)]
pub struct Step {
    pub line: usize,
    pub text: String,
    pub only: Option<Version>,
    pub action: Action,
}

/// What a line says.
#[derive(Clone, Debug)]
pub enum Action {
    Send {
        client: String,
        args: Vec<Arg>,
    },
    Expect {
        client: String,
        args: Vec<Arg>,
        anywhere: bool,
    },
    Macro {
        name: String,
        client: String,
        args: Vec<Arg>,
    },
    Pass(Duration),
    Hold,
    Commit,
}

impl Case {
    /// How much time goes by in it.
    pub fn duration(&self) -> Duration {
        let passes = self.steps.iter().filter_map(|step| match step.action {
            Action::Pass(duration) => Some(duration),
            _ => None,
        });
        passes.sum()
    }

    /// The statements that it holds for a version.
    pub fn holds_for(&self, version: Version) -> &[String] {
        &self.holds[(version == Version::V3) as usize]
    }
}

/// All cases of the folder `scripts` beside this file, ordered by their names.
pub fn load_all() -> Result<Vec<Case>, String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/conformance/scripts");
    let mut cases = Vec::new();
    for folder in entries(&root)? {
        for file in entries(&root.join(&folder))? {
            let Some(stem) = file.strip_suffix(".script") else {
                return Err(format!("{folder}/{file}: the name of a script ends in .script"));
            };
            let path = root.join(&folder).join(&file);
            let text = std::fs::read_to_string(&path).map_err(|fault| format!("{}: {fault}", path.display()))?;
            let found = parse(&format!("{folder}/{stem}"), &text)?;
            cases.extend(found);
        }
    }
    let mut names: Vec<_> = cases.iter().map(|case| case.id.as_str()).collect();
    names.sort_unstable();
    match names.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => Err(format!("two cases are called {}", pair[0])),
        None => Ok(cases),
    }
}

fn entries(folder: &Path) -> Result<Vec<String>, String> {
    let fault = |fault| format!("{}: {fault}", folder.display());
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(fault)? {
        names.push(entry.map_err(fault)?.file_name().to_string_lossy().into_owned());
    }
    names.sort_unstable();
    Ok(names)
}

/// The cases of one script; `path` is its name without the ending.
pub fn parse(path: &str, text: &str) -> Result<Vec<Case>, String> {
    let mut cases: Vec<Draft> = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let at = |what: String| format!("{path}.script, line {}: {what}", index + 1);
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if let Some(name) = line.strip_prefix("== ") {
            let well_named = name
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
            if !well_named {
                return Err(at(format!(
                    "a case is named in small letters, digits and _, not {name:?}"
                )));
            }
            cases.push(Draft::new(format!("{path}::{name}")));
            continue;
        }
        let Some(draft) = cases.last_mut() else {
            return Err(at("a script begins with == and the name of a case".to_owned()));
        };
        draft.read(index + 1, line).map_err(at)?;
    }
    cases.into_iter().map(Draft::finish).collect()
}

struct Draft {
    case: Case,
    held: [bool; 2],
}

impl Draft {
    fn new(id: String) -> Self {
        let case = Case {
            id,
            holds: Default::default(),
            versions: Vec::new(),
            needs: Needs::default(),
            steps: Vec::new(),
        };
        Self { case, held: [false; 2] }
    }

    fn read(&mut self, number: usize, line: &str) -> Result<(), String> {
        let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        if let Some(rest) = line.strip_prefix("holds 5:") {
            self.held[0] = true;
            self.case.holds[0].extend(words(rest));
        } else if let Some(rest) = line.strip_prefix("holds 3.1.1:") {
            self.held[1] = true;
            self.case.holds[1].extend(words(rest));
        } else if let Some(rest) = line.strip_prefix("versions:") {
            for word in words(rest) {
                self.case.versions.push(match word.as_str() {
                    "5" => Version::V5,
                    "3.1.1" => Version::V3,
                    _ => return Err(format!("no version: {word}")),
                });
            }
        } else if let Some(rest) = line.strip_prefix("needs:") {
            for word in words(rest) {
                match word.as_str() {
                    "commit" => self.case.needs.commit = true,
                    "alone" => self.case.needs.alone = true,
                    "own" => self.case.needs.own = true,
                    _ => return Err(format!("no runner offers {word}")),
                }
            }
        } else if let Some(rest) = line.strip_prefix("config:") {
            self.case.needs.config.push(rest.trim().to_owned());
        } else {
            self.case.steps.push(step(number, line)?);
        }
        Ok(())
    }

    fn finish(mut self) -> Result<Case, String> {
        if self.case.versions.is_empty() {
            let held = Version::BOTH.into_iter().zip(self.held);
            self.case.versions = held.filter_map(|(version, held)| held.then_some(version)).collect();
        }
        if self.case.versions.is_empty() || self.case.steps.is_empty() {
            return Err(format!("{}: a case has a version and steps", self.case.id));
        }
        Ok(self.case)
    }
}

fn step(number: usize, line: &str) -> Result<Step, String> {
    let (only, rest) = match line {
        _ if line.starts_with("[5]") => (Some(Version::V5), line[3..].trim_start()),
        _ if line.starts_with("[3]") => (Some(Version::V3), line[3..].trim_start()),
        _ => (None, line),
    };
    Ok(Step {
        line: number,
        text: line.to_owned(),
        only,
        action: action(rest)?,
    })
}

fn action(line: &str) -> Result<Action, String> {
    if let Some(duration) = line.strip_prefix('+') {
        return pass(duration);
    }
    let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
    let (client, args) = rest.trim().split_once(' ').unwrap_or((rest.trim(), ""));
    let client = client.to_owned();
    if client.is_empty() && !matches!(word, "hold" | "commit") {
        return Err(format!("{word} names no client"));
    }
    let args = text::args(args)?;
    Ok(match word {
        "hold" => Action::Hold,
        "commit" => Action::Commit,
        ">" => Action::Send { client, args },
        "<" | "<~" => Action::Expect {
            client,
            args,
            anywhere: word == "<~",
        },
        "join" | "sub" | "unsub" | "pub" | "take" | "leave" | "drop" => Action::Macro {
            name: word.to_owned(),
            client,
            args,
        },
        _ => return Err(format!("no step begins with {word}")),
    })
}

fn pass(text: &str) -> Result<Action, String> {
    let (digits, unit) = match text.strip_suffix("ms") {
        Some(digits) => (digits, 1),
        None => (text.strip_suffix('s').unwrap_or(""), 1_000),
    };
    let number: u64 = digits.parse().map_err(|_| format!("no time: +{text}"))?;
    Ok(Action::Pass(Duration::from_millis(number * unit)))
}

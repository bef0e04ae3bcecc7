//! What the commands share: the API, how answers are shown, and the question before something is lost.

use std::ffi::OsString;
use std::io::IsTerminal;
use std::path::PathBuf;

use serde_json::Value;
use ureq::http::Method;

use super::api::{Api, DEFAULT_URL, OpsError, Query};
use super::cells::Column;
use super::confirm::confirm;
use super::progress::Progress;
use super::table::{Table, details};
use super::{ApiArgs, Limit, Yes};

/// The API, and how its answers are shown.
#[derive(Debug)]
pub(super) struct Shell {
    pub api: Api,
    pub json: bool,
    /// The columns of the terminal, if there is one.
    pub width: Option<usize>,
}

/// A change of the broker.
pub(super) struct Change<'a> {
    pub method: Method,
    pub path: String,
    pub query: &'a Query<'a>,
    pub body: Option<Value>,
    /// What is asked before, without the question mark.
    pub question: String,
    pub yes: Yes,
}

impl Shell {
    /// By the arguments, and the variables for what they leave out.
    pub fn new(args: &ApiArgs, variables: impl IntoIterator<Item = (OsString, OsString)>) -> Result<Self, OpsError> {
        let (mut url, mut token_file) = (args.api.clone(), args.token_file.clone());
        for (name, value) in variables.into_iter().filter(|(_, value)| !value.is_empty()) {
            if name == API_VARIABLE {
                url = url.or_else(|| Some(value.to_string_lossy().into_owned()));
            } else if name == TOKEN_FILE_VARIABLE {
                token_file = token_file.or_else(|| Some(PathBuf::from(value)));
            }
        }
        let terminal = std::io::stdout().is_terminal();
        let size = terminal.then(crossterm::terminal::size);
        Ok(Self {
            api: Api::new(url.as_deref().unwrap_or(DEFAULT_URL), token_file.as_deref())?,
            json: args.json,
            width: size.and_then(Result::ok).map(|(columns, _)| usize::from(columns)),
        })
    }

    /// A list as a table.
    pub fn list(&self, path: &str, query: &Query<'_>, limit: Limit, columns: &[Column]) -> Result<String, OpsError> {
        let found = self.api.list(path, query, limit.limit)?;
        Ok(self.listed(&found, columns))
    }

    /// What a list gave, as a table.
    pub fn listed(&self, found: &Value, columns: &[Column]) -> String {
        if self.json {
            return document(found);
        }
        let items = found["items"].as_array().map(Vec::as_slice).unwrap_or_default();
        if items.is_empty() {
            return "none\n".to_owned();
        }
        Table::of(columns, items).show(self.width)
    }

    /// One thing, line by line.
    pub fn show(&self, path: &str, columns: &[Column]) -> Result<String, OpsError> {
        let found = self.api.read(path, &[])?;
        Ok(self.shown(&found, columns))
    }

    /// What the API said, line by line.
    pub fn shown(&self, found: &Value, columns: &[Column]) -> String {
        if self.json {
            return document(found);
        }
        details(columns, found)
    }

    /// Changes something after it was consented to; gives what the API said.
    pub fn change(&self, change: Change<'_>) -> Result<Value, OpsError> {
        confirm(&change.question, change.yes)?;
        let _progress = Progress::of("the broker is at it");
        self.api
            .change(&change.method, &change.path, change.query, change.body.as_ref())
    }

    /// Changes something and says that it is done.
    pub fn done(&self, change: Change<'_>) -> Result<String, OpsError> {
        let said = self.change(change)?;
        if self.json {
            return Ok(document(&said));
        }
        Ok(format!("{}\n", said["done"].as_str().unwrap_or("done")))
    }
}

/// JSON for people and programs.
pub(super) fn document(value: &Value) -> String {
    format!("{value:#}\n")
}

/// A text as a parameter.
pub(super) fn given(text: Option<&String>) -> Option<String> {
    text.cloned()
}

const API_VARIABLE: &str = "REWINDMQ_API";
const TOKEN_FILE_VARIABLE: &str = "REWINDMQ_TOKEN_FILE";

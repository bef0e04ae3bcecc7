//! The question before something is lost.

use std::io::{IsTerminal, Write, stderr, stdin};

use super::{OpsError, Yes};

/// Passes if it is meant.
pub(super) fn confirm(question: &str, yes: Yes) -> Result<(), OpsError> {
    if yes.yes {
        return Ok(());
    }
    if !stdin().is_terminal() || !stderr().is_terminal() {
        return Err(OpsError::NeedsYes(format!("{question}?")));
    }
    let mut answer = String::new();
    let asked = write!(stderr(), "{question}? [y/N] ").and_then(|()| stderr().flush());
    asked
        .and_then(|()| stdin().read_line(&mut answer))
        .map_err(OpsError::Terminal)?;
    match answer.trim() {
        "y" | "Y" | "yes" => Ok(()),
        _ => Err(OpsError::Declined),
    }
}

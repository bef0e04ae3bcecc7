//! What is wrong with an access control file, where, and what would be right.

use std::fmt::Write;
use std::io;
use std::path::{Path, PathBuf};
use std::string::FromUtf8Error;

/// Why an access control file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum AclError {
    /// It cannot be read.
    #[error("{}: cannot be read: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// Lines of it are wrong.
    #[error("{}", lines(path, faults))]
    Lines {
        /// The file.
        path: PathBuf,
        /// The faults, at least one.
        faults: Vec<AclFault>,
    },
}

/// One fault of a file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{line}:{column}: {what}")]
pub struct AclFault {
    /// The line, counted from 1.
    pub line: u32,
    /// The character of the line, counted from 1.
    pub column: u32,
    /// What is wrong and what would be right.
    pub what: String,
}

/// One fault per line, without a last line break.
fn lines(path: &Path, faults: &[AclFault]) -> String {
    let mut text = String::new();
    for (index, fault) in faults.iter().take(MAX_SHOWN).enumerate() {
        let separator = if index == 0 { "" } else { "\n" };
        // Writing into a String cannot fail.
        let _ = write!(text, "{separator}{}:{fault}", path.display());
    }
    if faults.len() > MAX_SHOWN {
        let _ = write!(text, "\n{}: and {} more", path.display(), faults.len() - MAX_SHOWN);
    }
    text
}

pub(super) fn not_utf8(fault: &FromUtf8Error) -> AclFault {
    let bytes = fault.as_bytes();
    let before = &bytes[..fault.utf8_error().valid_up_to()];
    let start = before.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    let column = String::from_utf8_lossy(&before[start..]).chars().count() + 1;
    let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
    AclFault {
        line: u32::try_from(line).unwrap_or(u32::MAX),
        column: u32::try_from(column).unwrap_or(u32::MAX),
        what: "this is not UTF-8; save the file as UTF-8".into(),
    }
}

/// Faults that are shown of one file.
const MAX_SHOWN: usize = 20;

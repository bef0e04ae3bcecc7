//! The tokens that open the API: read from a file, compared in constant time, never shown.

use std::fmt;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// The tokens of a file, as hashes.
#[derive(Clone)]
pub struct Tokens(Vec<[u8; 32]>);

/// Why a token file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TokenFileError {
    /// It cannot be read.
    #[error("http.token_file {path}: {source}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// Others may read it.
    #[error("http.token_file {path}: other users may read it; make it the broker's own: chmod 600 {path}")]
    Exposed {
        /// The file.
        path: PathBuf,
    },
    /// A line is no token.
    #[error("http.token_file {path}, line {line}: {what}")]
    Line {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong with it.
        what: &'static str,
    },
    /// There is no token in it.
    #[error("http.token_file {path} holds no token; write one, for instance: openssl rand -hex 32 > {path}")]
    Empty {
        /// The file.
        path: PathBuf,
    },
}

impl Tokens {
    /// Reads a file: one token a line; empty lines and those that begin with `#` do not count.
    ///
    /// # Errors
    /// What is wrong with it, and with which line.
    pub fn load(path: &Path) -> Result<Self, TokenFileError> {
        let unreadable = |source| TokenFileError::Unreadable {
            path: path.to_owned(),
            source,
        };
        let text = std::fs::read_to_string(path).map_err(unreadable)?;
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = std::fs::metadata(path).map_err(unreadable)?.permissions().mode();
            if mode & 0o004 != 0 {
                return Err(TokenFileError::Exposed { path: path.to_owned() });
            }
        }
        Self::parse(&text, path)
    }

    fn parse(text: &str, path: &Path) -> Result<Self, TokenFileError> {
        let mut hashes = Vec::new();
        for (at, line) in text.lines().enumerate() {
            let token = line.trim();
            if token.is_empty() || token.starts_with('#') {
                continue;
            }
            let what = if token.len() < SHORTEST {
                "a token has at least 16 characters; openssl rand -hex 32 makes a good one"
            } else if !token.bytes().all(|byte| byte.is_ascii_graphic()) {
                "a token has only visible ASCII characters and no blanks"
            } else {
                hashes.push(hash(token.as_bytes()));
                continue;
            };
            return Err(TokenFileError::Line {
                path: path.to_owned(),
                line: at + 1,
                what,
            });
        }
        if hashes.is_empty() {
            return Err(TokenFileError::Empty { path: path.to_owned() });
        }
        Ok(Self(hashes))
    }

    /// Whether a token is among them. How long that takes tells nothing of them.
    pub fn have(&self, token: &[u8]) -> bool {
        let given = hash(token);
        let found = self
            .0
            .iter()
            .fold(subtle::Choice::from(0), |found, known| found | known.ct_eq(&given));
        found.into()
    }
}

fn hash(token: &[u8]) -> [u8; 32] {
    Sha256::digest(token).into()
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} tokens", self.0.len())
    }
}

const SHORTEST: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Tokens, String> {
        Tokens::parse(text, Path::new("tokens")).map_err(|fault| fault.to_string())
    }

    #[test]
    fn each_line_is_a_token() {
        let tokens = parse("# of the dashboard\n0123456789abcdef\n\n  fedcba9876543210  \n").expect("good");
        assert!(tokens.have(b"0123456789abcdef") && tokens.have(b"fedcba9876543210"));
        assert!(!tokens.have(b"0123456789abcdeF") && !tokens.have(b"") && !tokens.have(b"# of the dashboard"));
        assert_eq!(format!("{tokens:?}"), "2 tokens");
    }

    #[test]
    fn a_bad_file_is_refused_with_its_line() {
        assert!(parse("0123456789abcdef\nshort\n").is_err_and(|what| what.contains("line 2")));
        assert!(parse("0123456789 abcdef\n").is_err_and(|what| what.contains("line 1")));
        assert!(parse("# nothing\n").is_err_and(|what| what.contains("no token")));
    }

    #[cfg(unix)]
    #[test]
    fn a_file_that_others_may_read_is_refused() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("tokens");
        std::fs::write(&path, "0123456789abcdef\n").expect("written");
        let set = |mode| std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).expect("set");
        set(0o644);
        assert!(matches!(Tokens::load(&path), Err(TokenFileError::Exposed { .. })));
        set(0o640);
        assert!(Tokens::load(&path).is_ok());
    }
}

//! The users file: read as a whole, replaced as a whole, readable by its owner only.

use std::fmt::Display;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::secret::{SecretError, prepare_name};
use super::users::{Users, UsersError, has_user, with_user};

/// Why a users file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum UsersFileError {
    /// It cannot be read or written.
    #[error("{}: cannot be {what}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// `read` or `written`.
        what: &'static str,
        /// What the system says.
        source: io::Error,
    },
    /// Lines of it are wrong.
    #[error("{}", lines(path, faults))]
    Lines {
        /// The file.
        path: PathBuf,
        /// The faults.
        faults: Vec<UsersError>,
    },
    /// The name or the password cannot be used.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// There is no such user.
    #[error("{}: there is no user {name}", path.display())]
    NoSuchUser {
        /// The file.
        path: PathBuf,
        /// The name.
        name: String,
    },
    /// The system gives no random bytes.
    #[error("no random bytes for a salt: {0}")]
    Random(getrandom::Error),
}

/// Reads all users.
///
/// # Errors
/// If the file cannot be read, or with every line that is wrong.
pub fn load_users(path: &Path) -> Result<Users, UsersFileError> {
    let text = fs::read_to_string(path).map_err(io_fault(path, "read"))?;
    let mut random = [0; 32];
    getrandom::fill(&mut random).map_err(UsersFileError::Random)?;
    Users::parse(&text, random).map_err(|faults| UsersFileError::Lines {
        path: path.to_owned(),
        faults,
    })
}

/// Writes a user's line, new or in the place of the one that is there. Makes the file if need be.
///
/// # Errors
/// If the name cannot be used, or the file not be written; it is then as it was.
pub fn set_user(path: &Path, name: &str, secret: &impl Display) -> Result<(), UsersFileError> {
    let name = prepare_name(name)?;
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(fault) if fault.kind() == io::ErrorKind::NotFound => String::new(),
        Err(fault) => return Err(io_fault(path, "read")(fault)),
    };
    replace(path, &with_user(&text, &name, Some(&secret.to_string())))
}

/// Removes a user's line.
///
/// # Errors
/// If there is no such user, or the file cannot be written; it is then as it was.
pub fn remove_user(path: &Path, name: &str) -> Result<(), UsersFileError> {
    let prepared = prepare_name(name)?;
    let text = fs::read_to_string(path).map_err(io_fault(path, "read"))?;
    if !has_user(&text, &prepared) {
        return Err(UsersFileError::NoSuchUser {
            path: path.to_owned(),
            name: name.to_owned(),
        });
    }
    replace(path, &with_user(&text, &prepared, None))
}

/// Puts a file with this text in the place of the old one: whoever reads sees one of them whole.
fn replace(path: &Path, text: &str) -> Result<(), UsersFileError> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.new", std::process::id()));
    let new = path.with_file_name(name);
    let written = write(&new, text).and_then(|()| fs::rename(&new, path)).and_then(|()| {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
    });
    if written.is_err() {
        // What is left of it is of no use; if it cannot be removed, the fault that is told matters more.
        let _ = fs::remove_file(&new);
    }
    written.map_err(io_fault(path, "written"))
}

fn write(path: &Path, text: &str) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

fn io_fault(path: &Path, what: &'static str) -> impl FnOnce(io::Error) -> UsersFileError {
    let path = path.to_owned();
    move |source| UsersFileError::Io { path, what, source }
}

fn lines(path: &Path, faults: &[UsersError]) -> String {
    let lines: Vec<String> = faults
        .iter()
        .map(|fault| format!("{}:{fault}", path.display()))
        .collect();
    lines.join("\n")
}

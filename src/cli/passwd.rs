//! `rewindmq passwd`: puts a user into a users file, or takes one out.

use std::io::{self, IsTerminal};
use std::path::PathBuf;

use crate::auth::{
    ArgonSecret, DEFAULT_ITERATIONS, Secret, SecretError, UsersFileError, Work, prepare_name, remove_user, set_user,
};

/// Which user, and what becomes of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, clap::Args)]
pub struct PasswdArgs {
    /// The users file; it is made if it is not there
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// The user's name
    #[arg(value_name = "USER")]
    pub user: String,
    /// Remove the user
    #[arg(long, conflicts_with = "iterations")]
    pub delete: bool,
    /// How often the password is hashed, 4096 to 10000000 [default: 15000]; clients pay it at each connection
    #[arg(long, value_name = "NUMBER")]
    pub iterations: Option<u32>,
    /// Keep the password by Argon2id, which costs who guesses more; it then serves as a password in CONNECT only, not for
    /// SCRAM-SHA-256
    #[arg(long, conflicts_with_all = ["iterations", "delete"])]
    pub argon2: bool,
}

/// Why the file is as it was.
#[derive(Debug, thiserror::Error)]
pub enum PasswdError {
    /// The file cannot be used, or the name is none.
    #[error(transparent)]
    File(#[from] UsersFileError),
    /// The name or the password cannot be used.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// The password cannot be read.
    #[error("the password cannot be read: {0}")]
    Read(#[from] io::Error),
    /// The two passwords that were typed differ.
    #[error("the passwords differ; nothing was changed")]
    Differ,
    /// The system gives no random bytes.
    #[error("no random bytes for a salt: {0}")]
    Random(#[from] getrandom::Error),
}

/// Does it; says what was done, with a line break at the end.
///
/// At a terminal the password is asked for twice and not shown; otherwise it is the first line of standard input.
pub fn passwd(args: &PasswdArgs) -> Result<String, PasswdError> {
    let PasswdArgs { file, user, .. } = args;
    prepare_name(user)?;
    if args.delete {
        remove_user(file, user)?;
        return Ok(format!("{}: removed {user}\n", file.display()));
    }
    let work = args.iterations.map_or(Ok(DEFAULT_ITERATIONS), Work::new)?;
    let password = if io::stdin().is_terminal() {
        ask()?
    } else {
        read_line()?
    };
    let mut salt = [0; 16];
    getrandom::fill(&mut salt)?;
    if args.argon2 {
        set_user(file, user, &ArgonSecret::derive(&password, &salt)?)?;
    } else {
        set_user(file, user, &Secret::derive(&password, &salt, work)?)?;
    }
    Ok(format!(
        "{}: set the password of {user}; a broker reads the file at its start and at SIGHUP\n",
        file.display()
    ))
}

fn ask() -> Result<String, PasswdError> {
    let password = rpassword::prompt_password("Password: ")?;
    let again = rpassword::prompt_password("Again: ")?;
    if password == again {
        Ok(password)
    } else {
        Err(PasswdError::Differ)
    }
}

fn read_line() -> Result<String, PasswdError> {
    let mut line = String::new();
    io::stdin().read_line(&mut line)?;
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}

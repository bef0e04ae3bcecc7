//! `rewindmq completions` and `rewindmq man`: made from the command line's own description.

use std::io;
use std::path::PathBuf;

use clap::Command;
use clap_complete::Shell;
use clap_mangen::Man;

/// For which shell.
#[derive(Clone, Debug, PartialEq, Eq, clap::Args)]
pub struct CompletionsArgs {
    /// The shell
    #[arg(value_name = "SHELL")]
    pub shell: Shell,
}

/// Where manual pages go.
#[derive(Clone, Debug, Default, PartialEq, Eq, clap::Args)]
pub struct ManArgs {
    /// Write a page for every command into this folder, which is made if it is not there, and print nothing
    #[arg(short, long, value_name = "DIR")]
    pub output: Option<PathBuf>,
}

/// Why there are no manual pages.
#[derive(Debug, thiserror::Error)]
pub enum ManError {
    /// They cannot be written there.
    #[error("{}: {}", .0.display(), .1)]
    Write(PathBuf, io::Error),
    /// They cannot be written at all.
    #[error("no manual page: {0}")]
    Render(#[from] io::Error),
}

/// The completions of a shell, as that shell reads them.
pub(super) fn completions(args: &CompletionsArgs, mut command: Command) -> String {
    let mut script = Vec::new();
    let name = command.get_name().to_owned();
    clap_complete::generate(args.shell, &mut command, name, &mut script);
    String::from_utf8_lossy(&script).into_owned()
}

/// The page of the program, or nothing where all pages were written into a folder.
pub(super) fn man(args: &ManArgs, command: Command) -> Result<String, ManError> {
    if let Some(folder) = &args.output {
        let write = |fault| ManError::Write(folder.clone(), fault);
        std::fs::create_dir_all(folder).map_err(write)?;
        clap_mangen::generate_to(command, folder).map_err(write)?;
        return Ok(String::new());
    }
    let mut page = Vec::new();
    Man::new(command).render(&mut page)?;
    Ok(String::from_utf8_lossy(&page).into_owned())
}

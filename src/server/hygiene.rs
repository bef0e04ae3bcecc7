//! Says what about the process or its files lets others in. Changes nothing.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

/// Warns if the broker has the rights of root, which it never needs.
pub(super) fn warn_of_root() {
    // The owner of this folder is the process's effective user.
    if fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0) {
        tracing::warn!(
            "the broker runs as root and needs no right of it: run it as a user of its own (see conf/rewindmq.service)"
        );
    }
}

/// Warns if others than the owner can enter the data folder.
pub(super) fn check_folder(path: &Path) {
    warn_if_open(path, 0o077, "chmod 700");
}

/// Warns if others than the owner and the group can read a file with secrets.
pub(super) fn check_secret(path: &Path) {
    warn_if_open(path, 0o007, "chmod 600");
}

fn warn_if_open(path: &Path, forbidden: u32, remedy: &str) {
    let Ok(metadata) = fs::metadata(path) else { return };
    let mode = metadata.permissions().mode() & 0o777;
    if mode & forbidden != 0 {
        let path = path.display();
        tracing::warn!(%path, mode = format!("{mode:o}"), "others on this machine can get at it: {remedy} {path}");
    }
}

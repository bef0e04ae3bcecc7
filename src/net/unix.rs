//! Unix sockets that are listened on: a file left by a broker that died is taken away, that of a living one is not.

use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use tokio::net::{UnixListener, UnixSocket};

/// The file of a socket; it goes when this is dropped.
#[derive(Debug)]
pub(super) struct SocketFile {
    path: PathBuf,
    inode: u64,
}

/// Listens at a path, with the permissions of its file.
///
/// # Errors
/// What is in the way.
pub(super) fn bind(path: &Path, mode: u32) -> io::Result<(UnixListener, SocketFile)> {
    remove_stale(path)?;
    let socket = UnixSocket::new_stream()?;
    socket.bind(path)?;
    let file = SocketFile {
        path: path.to_owned(),
        inode: fs::symlink_metadata(path)?.ino(),
    };
    // Before it is listened on: nobody can have connected with other permissions.
    fs::set_permissions(path, fs::Permissions::from_mode(mode))?;
    Ok((socket.listen(BACKLOG)?, file))
}

/// Removes a socket that nobody listens on.
fn remove_stale(path: &Path) -> io::Result<()> {
    let found = match fs::symlink_metadata(path) {
        Ok(found) => found,
        Err(fault) if fault.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(fault) => return Err(fault),
    };
    let refusal = |what: &str| Err(io::Error::new(io::ErrorKind::AlreadyExists, what));
    if !found.file_type().is_socket() {
        return refusal("something else than a socket is there; move it away, or choose another path");
    }
    match std::os::unix::net::UnixStream::connect(path) {
        Ok(_) => refusal("another program listens there; stop it, or choose another path"),
        Err(fault) if fault.kind() == io::ErrorKind::ConnectionRefused => {
            tracing::info!(path = %path.display(), "a socket that nobody listens on any more was removed");
            fs::remove_file(path)
        }
        Err(fault) => Err(fault),
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        // Another broker may have put its own there.
        let is_ours = fs::symlink_metadata(&self.path).is_ok_and(|found| found.ino() == self.inode);
        if is_ours && let Err(fault) = fs::remove_file(&self.path) {
            tracing::warn!(path = %self.path.display(), %fault, "the socket could not be removed");
        }
    }
}

/// How many connections may wait to be accepted.
const BACKLOG: u32 = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    /// Listens at `path` and stops, leaving the file behind as a broker does that is killed.
    fn leave_behind(path: &Path) {
        drop(std::os::unix::net::UnixListener::bind(path).expect("bound"));
        assert!(path.exists());
    }

    #[tokio::test]
    async fn a_dead_socket_is_replaced_and_a_living_one_is_not() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("mqtt.sock");
        leave_behind(&path);
        let (listener, file) = bind(&path, 0o600).expect("the dead one is replaced");
        let mode = fs::symlink_metadata(&path).expect("a file").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let refused = bind(&path, 0o600).expect_err("a living one").to_string();
        assert!(refused.contains("another program listens"), "{refused}");
        drop((listener, file));
        assert!(!path.exists());
    }

    #[tokio::test]
    async fn what_is_no_socket_stays() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("file");
        fs::write(&path, "text").expect("written");
        let refused = bind(&path, 0o600).expect_err("a file").to_string();
        assert!(refused.contains("something else than a socket"), "{refused}");
        assert_eq!(fs::read_to_string(&path).expect("still there"), "text");
    }

    #[tokio::test]
    async fn the_socket_of_a_successor_stays() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("mqtt.sock");
        let (_listener, file) = bind(&path, 0o600).expect("bound");
        let moved = folder.path().join("moved");
        fs::rename(&path, &moved).expect("moved");
        let (_successor, successor) = bind(&path, 0o600).expect("bound");
        drop(file);
        assert!(path.exists());
        drop(successor);
        assert!(!path.exists());
    }
}

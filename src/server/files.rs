//! Raises the limit of open files: each connection is one.

/// Raises the soft limit to the hard one, and says what it is.
pub(super) fn raise_limit() {
    match rlimit::increase_nofile_limit(u64::MAX) {
        Ok(files) => tracing::info!(files, "open files allowed"),
        Err(fault) => tracing::warn!(%fault, "the limit of open files cannot be raised (ulimit -n)"),
    }
}

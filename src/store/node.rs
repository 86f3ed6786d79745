//! Which node this is, for the leases that it holds in a database that others share.
//!
//! A folder holds one file for each node that ever ran on it, and its name is the node's id. A node locks
//! its file as long as it runs (the kernel gives the lock up with the process, however that ends), so the
//! next start is the same node and takes back what it left, and two that run on one folder, or under one
//! hostname, are never taken for one another. A copied folder would be the same node twice: a node's folder
//! is not copied to another.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io,
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::Path,
};

use super::new_id;

/// This node, as long as it is held.
#[derive(Debug)]
pub struct Node {
    id: String,
    _lock: File,
}

impl Node {
    /// Becomes a node of `folder` (made with mode 0700 if there is none): one that ran before and runs no
    /// more, else a new one.
    ///
    /// # Errors
    /// When the folder can't be read or written.
    pub fn take(folder: &Path) -> io::Result<Self> {
        if !folder.is_dir() {
            fs::DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(folder)?;
        }
        loop {
            let mut ids = Vec::new();
            for entry in fs::read_dir(folder)? {
                ids.extend(entry?.file_name().into_string());
            }
            ids.sort_unstable();
            for id in ids {
                let file = OpenOptions::new().write(true).open(folder.join(&id))?;
                match file.try_lock() {
                    Ok(()) => return Ok(Self { id, _lock: file }),
                    Err(TryLockError::WouldBlock) => {}
                    Err(TryLockError::Error(error)) => return Err(error),
                }
            }
            // Another start may lock it before we do: then we look again.
            OpenOptions::new()
                .write(true)
                .create_new(true)
                .mode(0o600)
                .open(folder.join(new_id()))?
                .sync_all()?;
            File::open(folder)?.sync_all()?;
        }
    }

    /// Its id, a ULID.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_that_run_differ_and_a_restart_is_the_same() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("nodes");
        let one = Node::take(&folder).unwrap();
        let other = Node::take(&folder).unwrap();
        assert_ne!(one.id(), other.id());
        let id = one.id().to_owned();
        drop(one);
        let again = Node::take(&folder).unwrap();
        assert_eq!(again.id(), id);
        let third = Node::take(&folder).unwrap();
        assert!(third.id() != id && third.id() != other.id());
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 3);
    }

    #[test]
    fn many_that_start_at_once_all_differ() {
        let dir = tempfile::tempdir().unwrap();
        let nodes: Vec<_> = std::thread::scope(|scope| {
            let starts: Vec<_> = (0..16)
                .map(|_| scope.spawn(|| Node::take(dir.path()).unwrap()))
                .collect();
            starts
                .into_iter()
                .map(|start| start.join().unwrap())
                .collect()
        });
        let mut ids: Vec<_> = nodes.iter().map(Node::id).collect();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), 16);
    }
}

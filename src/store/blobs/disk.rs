//! The few things that blobs ask of a disk, small enough that a test can make each fail.

use std::{
    fs::{File, OpenOptions},
    io,
    os::unix::fs::{FileExt as _, OpenOptionsExt as _},
    path::Path,
};

/// A disk.
pub trait Disk: Send + 'static {
    /// Makes a new file, readable by us alone.
    ///
    /// # Errors
    /// What the system says.
    fn create(&self, path: &Path) -> io::Result<File> {
        OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(path)
    }

    /// Writes all of `bytes` at `offset`.
    ///
    /// # Errors
    /// What the system says.
    fn write_at(&self, file: &File, bytes: &[u8], offset: u64) -> io::Result<()> {
        file.write_all_at(bytes, offset)
    }

    /// Returns once the file's bytes and length are on stable storage.
    ///
    /// # Errors
    /// What the system says; then nothing about the file is known.
    fn flush(&self, file: &File) -> io::Result<()> {
        file.sync_data()
    }

    /// Returns once the names in the folder are on stable storage.
    ///
    /// # Errors
    /// What the system says; then nothing about the folder is known.
    fn flush_dir(&self, dir: &Path) -> io::Result<()> {
        File::open(dir)?.sync_all()
    }

    /// Ends the process. Where it returns (in tests), no append succeeds any more.
    fn end_process(&self, sentence: &str) {
        crate::store::end_process(sentence)
    }
}

/// The machine's.
#[derive(Clone, Copy, Debug)]
pub struct RealDisk;

impl Disk for RealDisk {}

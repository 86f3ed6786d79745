//! Sealed blobs in append-only segments: kept once [`Blobs::append`] returns.
//!
//! One thread writes. It takes all appends that wait, writes them, calls `fdatasync` once for each
//! segment that it touched, and only then answers. Each process writes segments of its own, named
//! `<day>-<ulid>`, so nothing is ever appended to a file whose end is not known; days let custody
//! delete what can't be read any more.
//!
//! Durability rests on these assumptions:
//! - `fdatasync` returns after the data and the file's new length have reached stable storage, and
//!   `fsync` of a folder after the names in it have (Linux, ext4/xfs/btrfs with barriers on).
//! - A failed flush says nothing about earlier or later data, so it ends the process
//!   ([`super::end_process`]); a restart starts a new segment and trusts only committed places.
//! - A failed *write* harms nobody: the bytes lie beyond what any [`Place`] names, and the next
//!   append writes over them. A full disk is such a failure.

mod disk;
mod place;
mod writer;

use std::{
    fs, io,
    os::unix::fs::{DirBuilderExt as _, FileExt as _},
    path::{Path, PathBuf},
    sync::Arc,
};

use thiserror::Error;
use tokio::sync::{mpsc, oneshot};

use crate::trouble::Trouble;
pub use disk::{Disk, RealDisk};
pub use place::{BadPlace, Place};
use writer::{Request, Writer};

/// What can go wrong with a blob.
#[derive(Debug, Error)]
pub enum BlobError {
    /// Writing failed; nothing was kept. Often a full disk.
    #[error("the blob could not be written: {0}")]
    Write(#[source] Arc<io::Error>),
    /// A flush failed: the process is about to end.
    #[error("a flush failed; nothing is written any more")]
    Ended,
    /// Reading failed.
    #[error("the blob could not be read: {0}")]
    Read(#[source] io::Error),
    /// The segment is gone or shorter than the place says.
    #[error("there is no blob at {0}")]
    Missing(Place),
}

impl BlobError {
    /// Whether trying again can help.
    #[must_use]
    pub fn trouble(&self) -> Trouble {
        match self {
            Self::Write(_) | Self::Ended | Self::Read(_) => Trouble::Temporary,
            Self::Missing(_) => Trouble::Permanent,
        }
    }
}

/// The blobs of a folder. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Blobs {
    dir: Arc<Path>,
    writer: mpsc::Sender<Request>,
}

/// Appends that wait for the writer; more wait for room.
const WAITING: usize = 1024;

impl Blobs {
    /// Opens the folder, makes it (mode 0700) if there is none, and starts the writer.
    ///
    /// # Errors
    /// When the folder can't be made or flushed.
    pub fn open(dir: &Path) -> io::Result<Self> {
        Self::open_on(dir, Box::new(RealDisk))
    }

    /// As [`Blobs::open`], on a disk of the caller's: slow or failing ones are for tests and benches.
    ///
    /// # Errors
    /// When the folder can't be made or flushed.
    pub fn open_on(dir: &Path, disk: Box<dyn Disk>) -> io::Result<Self> {
        if !dir.is_dir() {
            fs::DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(dir)?;
            if let Some(parent) = dir.parent() {
                disk.flush_dir(parent)?;
            }
        }
        let (writer, requests) = mpsc::channel(WAITING);
        let dir: Arc<Path> = dir.into();
        let thread = Writer::new(dir.clone(), disk);
        std::thread::Builder::new()
            .name("blobs".into())
            .spawn(move || thread.run(requests))?;
        Ok(Self { dir, writer })
    }

    /// Appends blobs to the segment of `day` (days since 1970) and returns where each lies, in
    /// order, after the flush. All or none are kept.
    ///
    /// # Errors
    /// [`BlobError::Write`], [`BlobError::Ended`].
    pub async fn append(&self, day: u32, blobs: Vec<Vec<u8>>) -> Result<Vec<Place>, BlobError> {
        let (answer, answered) = oneshot::channel();
        let request = Request::Append { day, blobs, answer };
        if self.writer.send(request).await.is_err() {
            return Err(BlobError::Ended);
        }
        answered.await.unwrap_or(Err(BlobError::Ended))
    }

    /// Reads the blob at `place`.
    ///
    /// # Errors
    /// [`BlobError::Missing`], [`BlobError::Read`].
    pub async fn read(&self, place: &Place) -> Result<Vec<u8>, BlobError> {
        let path = segment_path(&self.dir, place.segment());
        let place = place.clone();
        tokio::task::spawn_blocking(move || read_at(&path, place))
            .await
            .map_err(|error| BlobError::Read(io::Error::other(error)))?
    }

    /// Octets that are free for us on the disk.
    ///
    /// # Errors
    /// What the system says.
    pub fn free_space(&self) -> io::Result<u64> {
        let stat = rustix::fs::statvfs(&*self.dir)?;
        Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
    }

    /// The days that have segments, sorted.
    ///
    /// # Errors
    /// When the folder can't be read.
    pub fn days(&self) -> io::Result<Vec<u32>> {
        let mut days: Vec<u32> = segments(&self.dir)?
            .iter()
            .filter_map(|name| day_of(name))
            .collect();
        days.sort_unstable();
        days.dedup();
        Ok(days)
    }

    /// Deletes all segments of `day`, and returns how many there were.
    ///
    /// # Errors
    /// [`BlobError::Write`] when a file can't be removed, [`BlobError::Ended`].
    pub async fn delete_segments(&self, day: u32) -> Result<usize, BlobError> {
        let (answer, answered) = oneshot::channel();
        // The writer does it: it may have a segment of that day open.
        if self
            .writer
            .send(Request::Delete { day, answer })
            .await
            .is_err()
        {
            return Err(BlobError::Ended);
        }
        answered.await.unwrap_or(Err(BlobError::Ended))
    }
}

fn read_at(path: &Path, place: Place) -> Result<Vec<u8>, BlobError> {
    let file = match fs::File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(BlobError::Missing(place));
        }
        opened => opened.map_err(BlobError::Read)?,
    };
    let end = place.offset().checked_add(place.length());
    let length = file.metadata().map_err(BlobError::Read)?.len();
    // Before memory is taken: a place is a text in the database.
    if end.is_none_or(|end| end > length) {
        return Err(BlobError::Missing(place));
    }
    let size = usize::try_from(place.length())
        .map_err(|error| BlobError::Read(io::Error::other(error)))?;
    let mut bytes = vec![0; size];
    file.read_exact_at(&mut bytes, place.offset())
        .map_err(BlobError::Read)?;
    Ok(bytes)
}

const SUFFIX: &str = ".seg";

fn segment_path(dir: &Path, segment: &str) -> PathBuf {
    dir.join(format!("{segment}{SUFFIX}"))
}

/// The names of all segments.
fn segments(dir: &Path) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(dir)? {
        let name = entry?.file_name();
        if let Some(name) = name.to_str().and_then(|name| name.strip_suffix(SUFFIX)) {
            names.push(name.to_owned());
        }
    }
    Ok(names)
}

fn day_of(segment: &str) -> Option<u32> {
    segment.split_once('-')?.0.parse().ok()
}

#[cfg(test)]
mod tests;

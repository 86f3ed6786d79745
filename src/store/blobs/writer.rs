//! The one thread that writes segments.

use std::{collections::BTreeMap, fs, fs::File, io, path::Path, sync::Arc};

use tokio::sync::{mpsc, oneshot};

use super::{BlobError, Disk, Place, day_of, segment_path, segments};
use crate::store::new_id;

/// What the thread is asked.
pub(super) enum Request {
    /// Keep blobs.
    Append {
        day: u32,
        blobs: Vec<Vec<u8>>,
        answer: oneshot::Sender<Result<Vec<Place>, BlobError>>,
    },
    /// Delete a day's segments.
    Delete {
        day: u32,
        answer: oneshot::Sender<Result<usize, BlobError>>,
    },
}

/// Octets after which a batch is flushed, however many appends wait.
const BATCH: u64 = 64 << 20;
/// Octets after which a day begins another segment.
const SEGMENT: u64 = 1 << 30;
/// Days whose segment stays open: today, the standing one, and yesterday about midnight.
const OPEN: usize = 4;

/// A segment that we write. `end` is where the next blob goes: all before it is flushed or about to be.
struct Segment {
    name: String,
    file: File,
    end: u64,
    dirty: bool,
}

/// An append whose bytes are written and wait for the flush.
type Unflushed = (Vec<Place>, oneshot::Sender<Result<Vec<Place>, BlobError>>);

pub(super) struct Writer {
    dir: Arc<Path>,
    disk: Box<dyn Disk>,
    open: BTreeMap<u32, Segment>,
    ended: bool,
}

impl Writer {
    pub(super) fn new(dir: Arc<Path>, disk: Box<dyn Disk>) -> Self {
        Self {
            dir,
            disk,
            open: BTreeMap::new(),
            ended: false,
        }
    }

    /// Writes until all [`super::Blobs`] of the folder are dropped.
    pub(super) fn run(mut self, mut requests: mpsc::Receiver<Request>) {
        while let Some(first) = requests.blocking_recv() {
            let mut unflushed = Vec::new();
            let mut size = 0;
            let mut next = Some(first);
            while let Some(request) = next {
                size += self.take(request, &mut unflushed);
                next = if size < BATCH {
                    requests.try_recv().ok()
                } else {
                    None
                };
            }
            let flushed = self.flush();
            for (places, answer) in unflushed {
                // Whoever no longer waits has lost interest, not data.
                let _ = answer.send(match flushed {
                    true => Ok(places),
                    false => Err(BlobError::Ended),
                });
            }
        }
    }

    /// Carries out one request up to the flush; returns the octets written.
    fn take(&mut self, request: Request, unflushed: &mut Vec<Unflushed>) -> u64 {
        match request {
            Request::Append { day, blobs, answer } => {
                if self.ended {
                    let _ = answer.send(Err(BlobError::Ended));
                    return 0;
                }
                match self.write(day, &blobs) {
                    Ok(places) => {
                        unflushed.push((places, answer));
                        blobs.iter().map(|blob| blob.len() as u64).sum()
                    }
                    Err(error) => {
                        let _ = answer.send(Err(BlobError::Write(Arc::new(error))));
                        0
                    }
                }
            }
            Request::Delete { day, answer } => {
                let _ = answer.send(self.delete(day));
                0
            }
        }
    }

    /// Writes all blobs behind each other. When one fails, `end` stays and none was kept.
    fn write(&mut self, day: u32, blobs: &[Vec<u8>]) -> io::Result<Vec<Place>> {
        if self.open.get(&day).is_none_or(|s| s.end >= SEGMENT) {
            self.begin_segment(day)?;
        }
        let segment = self
            .open
            .get_mut(&day)
            .ok_or_else(|| io::Error::other("the segment was not opened"))?;
        let mut end = segment.end;
        let mut places = Vec::with_capacity(blobs.len());
        for blob in blobs {
            self.disk.write_at(&segment.file, blob, end)?;
            places.push(Place::new(&segment.name, end, blob.len() as u64));
            end += blob.len() as u64;
        }
        segment.end = end;
        segment.dirty = true;
        Ok(places)
    }

    fn begin_segment(&mut self, day: u32) -> io::Result<()> {
        let name = format!("{day}-{}", new_id());
        let file = self.disk.create(&segment_path(&self.dir, &name))?;
        if let Err(error) = self.disk.flush_dir(&self.dir) {
            self.end("the folder of the blobs could not be flushed", &error);
            return Err(error);
        }
        // A full segment that this replaces may still wait for its flush.
        if let Some(full) = self.open.remove(&day)
            && full.dirty
            && let Err(error) = self.disk.flush(&full.file)
        {
            self.end("a segment of blobs could not be flushed", &error);
            return Err(error);
        }
        let fresh = Segment {
            name,
            file,
            end: 0,
            dirty: false,
        };
        self.open.insert(day, fresh);
        Ok(())
    }

    /// Flushes what was written; `false` when the process is to end.
    fn flush(&mut self) -> bool {
        let mut failed = None;
        for segment in self.open.values_mut().filter(|segment| segment.dirty) {
            segment.dirty = false;
            if let Err(error) = self.disk.flush(&segment.file) {
                failed = Some(error);
                break;
            }
        }
        if let Some(error) = failed {
            self.end("a segment of blobs could not be flushed", &error);
        }
        while self.open.len() > OPEN {
            // The lowest is the standing one (day 0) or the oldest; either is opened anew if needed.
            self.open.pop_first();
        }
        !self.ended
    }

    fn delete(&mut self, day: u32) -> Result<usize, BlobError> {
        if self.ended {
            return Err(BlobError::Ended);
        }
        let wrong = |error| BlobError::Write(Arc::new(error));
        if !self.flush() {
            return Err(BlobError::Ended);
        }
        self.open.remove(&day);
        let mut deleted = 0;
        for name in segments(&self.dir).map_err(wrong)? {
            if day_of(&name) == Some(day) {
                fs::remove_file(segment_path(&self.dir, &name)).map_err(wrong)?;
                deleted += 1;
            }
        }
        if deleted > 0
            && let Err(error) = self.disk.flush_dir(&self.dir)
        {
            self.end("the folder of the blobs could not be flushed", &error);
            return Err(BlobError::Ended);
        }
        Ok(deleted)
    }

    fn end(&mut self, what: &str, error: &io::Error) {
        self.ended = true;
        self.disk.end_process(&format!(
            "{what} ({error}); what the disk holds is not known, so a restart must read it. Look at \
             the disk and the kernel's log first."
        ));
    }
}

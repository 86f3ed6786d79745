use std::{
    fs::File,
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
};

use super::*;

/// What a test makes of the disk, and what it saw.
#[derive(Default)]
struct Faults {
    write: AtomicBool,
    flush: AtomicBool,
    flush_dir: AtomicBool,
    flushes: AtomicUsize,
    ended: Mutex<Option<String>>,
    /// Flushes that have begun.
    begun: AtomicUsize,
    /// The flush waits for this to be unlocked.
    gate: Mutex<()>,
}

struct FaultyDisk(Arc<Faults>);

fn fail(flag: &AtomicBool, kind: io::ErrorKind) -> io::Result<()> {
    match flag.load(SeqCst) {
        true => Err(kind.into()),
        false => Ok(()),
    }
}

impl Disk for FaultyDisk {
    fn write_at(&self, file: &File, bytes: &[u8], offset: u64) -> io::Result<()> {
        if self.0.write.load(SeqCst) {
            // Half of it reaches the file, as on a full disk.
            file.write_all_at(&bytes[..bytes.len() / 2], offset)?;
        }
        fail(&self.0.write, io::ErrorKind::StorageFull)?;
        file.write_all_at(bytes, offset)
    }
    fn flush(&self, file: &File) -> io::Result<()> {
        self.0.begun.fetch_add(1, SeqCst);
        drop(self.0.gate.lock());
        self.0.flushes.fetch_add(1, SeqCst);
        fail(&self.0.flush, io::ErrorKind::Other)?;
        file.sync_data()
    }
    fn flush_dir(&self, dir: &Path) -> io::Result<()> {
        fail(&self.0.flush_dir, io::ErrorKind::Other)?;
        File::open(dir)?.sync_all()
    }
    fn end_process(&self, sentence: &str) {
        *self.0.ended.lock().unwrap() = Some(sentence.to_owned());
    }
}

fn faulty() -> (tempfile::TempDir, Arc<Faults>, Blobs) {
    let dir = tempfile::tempdir().unwrap();
    let faults = Arc::new(Faults::default());
    let blobs =
        Blobs::open_on(&dir.path().join("b"), Box::new(FaultyDisk(faults.clone()))).unwrap();
    (dir, faults, blobs)
}

#[tokio::test]
async fn what_is_appended_is_read_back_also_after_reopening() {
    let dir = tempfile::tempdir().unwrap();
    let blobs = Blobs::open(dir.path()).unwrap();
    let items: Vec<Vec<u8>> = (0..50u8).map(|n| vec![n; usize::from(n) * 100]).collect();
    let places = blobs.append(20000, items.clone()).await.unwrap();
    drop(blobs);
    let blobs = Blobs::open(dir.path()).unwrap();
    let more = blobs.append(20000, vec![b"later".to_vec()]).await.unwrap();
    assert_ne!(
        more[0].segment(),
        places[0].segment(),
        "nothing is appended to an old file"
    );
    for (place, item) in places.iter().zip(&items) {
        assert_eq!(&blobs.read(place).await.unwrap(), item);
    }
    assert_eq!(blobs.read(&more[0]).await.unwrap(), b"later");
    assert_eq!(blobs.days().unwrap(), [20000]);
    assert!(blobs.free_space().unwrap() > 0);
}

// The gate holds up the writer's thread, which awaits nothing.
#[allow(clippy::await_holding_lock)]
#[tokio::test]
async fn appends_that_wait_share_one_flush() {
    let (_dir, faults, blobs) = faulty();
    let gate = faults.gate.lock().unwrap_or_else(|e| e.into_inner());
    let first = tokio::spawn({
        let blobs = blobs.clone();
        async move { blobs.append(1, vec![vec![1]]).await }
    });
    // The channel holds the rest while the first flush waits at the gate, and not before: until it does, the
    // writer takes whatever comes.
    while faults.begun.load(SeqCst) == 0 {
        tokio::task::yield_now().await;
    }
    let rest: Vec<_> = (0..100u8)
        .map(|n| {
            let blobs = blobs.clone();
            tokio::spawn(async move { blobs.append(1, vec![vec![n; 10]]).await })
        })
        .collect();
    while blobs.writer.capacity() > WAITING - 100 {
        tokio::task::yield_now().await;
    }
    drop(gate);
    first.await.unwrap().unwrap();
    for (n, task) in rest.into_iter().enumerate() {
        let place = task.await.unwrap().unwrap().remove(0);
        assert_eq!(blobs.read(&place).await.unwrap(), vec![n as u8; 10]);
    }
    assert!(
        faults.flushes.load(SeqCst) <= 3,
        "{}",
        faults.flushes.load(SeqCst)
    );
}

#[tokio::test]
async fn a_full_disk_harms_only_those_it_refuses() {
    let (_dir, faults, blobs) = faulty();
    let before = blobs.append(1, vec![b"before".to_vec()]).await.unwrap();
    faults.write.store(true, SeqCst);
    let error = blobs.append(1, vec![vec![7; 1000]]).await.unwrap_err();
    assert!(matches!(error, BlobError::Write(_)));
    assert_eq!(error.trouble(), Trouble::Temporary);
    faults.write.store(false, SeqCst);
    let after = blobs.append(1, vec![b"after".to_vec()]).await.unwrap();
    assert_eq!(blobs.read(&before[0]).await.unwrap(), b"before");
    assert_eq!(blobs.read(&after[0]).await.unwrap(), b"after");
    assert!(faults.ended.lock().unwrap().is_none());
}

#[tokio::test]
async fn accepted_is_kept_a_failed_flush_ends_the_process() {
    let (_dir, faults, blobs) = faulty();
    faults.flush.store(true, SeqCst);
    let refused = blobs.append(1, vec![b"x".to_vec()]).await;
    assert!(matches!(refused, Err(BlobError::Ended)));
    let sentence = faults.ended.lock().unwrap().clone().unwrap();
    assert!(sentence.contains("could not be flushed"), "{sentence}");
    // A flush that would succeed again proves nothing.
    faults.flush.store(false, SeqCst);
    assert!(matches!(
        blobs.append(1, vec![vec![]]).await,
        Err(BlobError::Ended)
    ));
    assert!(matches!(
        blobs.delete_segments(1).await,
        Err(BlobError::Ended)
    ));
}

#[tokio::test]
async fn a_folder_that_cannot_be_flushed_ends_the_process() {
    let (_dir, faults, blobs) = faulty();
    faults.flush_dir.store(true, SeqCst);
    assert!(blobs.append(1, vec![b"x".to_vec()]).await.is_err());
    assert!(faults.ended.lock().unwrap().is_some());
}

#[tokio::test]
async fn deleting_a_day_leaves_the_others_and_the_day_can_begin_again() {
    let dir = tempfile::tempdir().unwrap();
    let blobs = Blobs::open(dir.path()).unwrap();
    let old = blobs.append(1, vec![b"old".to_vec()]).await.unwrap();
    let new = blobs.append(2, vec![b"new".to_vec()]).await.unwrap();
    assert_eq!(blobs.delete_segments(1).await.unwrap(), 1);
    assert_eq!(blobs.delete_segments(1).await.unwrap(), 0);
    assert!(matches!(
        blobs.read(&old[0]).await,
        Err(BlobError::Missing(_))
    ));
    assert_eq!(blobs.read(&new[0]).await.unwrap(), b"new");
    let again = blobs.append(1, vec![b"again".to_vec()]).await.unwrap();
    assert_eq!(blobs.read(&again[0]).await.unwrap(), b"again");
}

#[tokio::test]
async fn a_place_beyond_the_file_takes_no_memory() {
    let dir = tempfile::tempdir().unwrap();
    let blobs = Blobs::open(dir.path()).unwrap();
    let place = blobs
        .append(1, vec![b"x".to_vec()])
        .await
        .unwrap()
        .remove(0);
    for (offset, length) in [(0, u64::MAX), (u64::MAX, 1), (0, 2), (1, 1)] {
        let beyond = Place::new(place.segment(), offset, length);
        assert!(matches!(
            blobs.read(&beyond).await,
            Err(BlobError::Missing(_))
        ));
    }
}

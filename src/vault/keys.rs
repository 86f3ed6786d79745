//! Transit keys: one file of 32 octets a day, mode 0600, in a folder of mode 0700.
//!
//! A key is written to a temporary name, flushed, and then *linked* to its own, because a link,
//! unlike a rename, never replaces a key that another process made meanwhile; then the folder is
//! flushed. So a key whose use was seen is there after a crash.
//!
//! Shredding overwrites, flushes, removes. On file systems that copy on write and on flash the old
//! octets may outlive that in the medium; the folder belongs on an encrypted disk, outside backups.

use std::{
    collections::HashMap,
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Read as _, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use aes_gcm::{Aes256Gcm, KeyInit as _};
use zeroize::Zeroizing;

use super::Day;

/// Octets of a key.
pub(super) const KEY: usize = 32;

/// The keys of a folder. Those in use stay in memory, expanded; they are overwritten when dropped.
pub(super) struct TransitKeys {
    dir: PathBuf,
    held: Mutex<HashMap<Day, Arc<Aes256Gcm>>>,
}

impl TransitKeys {
    pub(super) fn open(dir: &Path) -> io::Result<Self> {
        if !dir.is_dir() {
            DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
            if let Some(parent) = dir.parent() {
                File::open(parent)?.sync_all()?;
            }
        }
        fs::set_permissions(dir, fs::Permissions::from_mode(0o700))?;
        Ok(Self {
            dir: dir.to_owned(),
            held: Mutex::new(HashMap::new()),
        })
    }

    /// The key of `day`, made if there is none.
    pub(super) fn of_day(&self, day: Day) -> io::Result<Arc<Aes256Gcm>> {
        if let Some(key) = self.existing(day)? {
            return Ok(key);
        }
        self.make(day)?;
        self.existing(day)?
            .ok_or_else(|| io::Error::other("a transit key vanished while it was made"))
    }

    /// The key of `day`, or `None` when there is none (any more).
    pub(super) fn existing(&self, day: Day) -> io::Result<Option<Arc<Aes256Gcm>>> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(key) = held.get(&day) {
            return Ok(Some(key.clone()));
        }
        let mut file = match File::open(self.path(day)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            opened => opened?,
        };
        let mut key = Zeroizing::new([0; KEY]);
        file.read_exact(&mut *key)?;
        let key = Arc::new(Aes256Gcm::new((&*key).into()));
        held.insert(day, key.clone());
        Ok(Some(key))
    }

    /// A key of ours that is no day's and is never shredded, made if there is none: what it signed in mails must hold
    /// after a restart. Names are ours: letters.
    pub(super) fn named(&self, name: &str) -> io::Result<Zeroizing<[u8; KEY]>> {
        let path = self.dir.join(format!("{name}.key"));
        if !path.exists() {
            self.make_at(&path)?;
        }
        let mut key = Zeroizing::new([0; KEY]);
        File::open(&path)?.read_exact(&mut *key)?;
        Ok(key)
    }

    fn make(&self, day: Day) -> io::Result<()> {
        self.make_at(&self.path(day))
    }

    fn make_at(&self, path: &Path) -> io::Result<()> {
        let mut key = Zeroizing::new([0; KEY]);
        getrandom::fill(&mut *key).map_err(io::Error::other)?;
        let fresh = self.dir.join(format!("new-{}", crate::store::new_id()));
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&fresh)?;
        file.write_all(&*key)?;
        file.sync_all()?;
        let linked = fs::hard_link(&fresh, path);
        fs::remove_file(&fresh)?;
        match linked {
            // Another process was first: its key is the one.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            linked => linked?,
        }
        File::open(&self.dir)?.sync_all()
    }

    /// Overwrites and removes the key of `day`; true if there was one.
    pub(super) fn shred(&self, day: Day) -> io::Result<bool> {
        self.held
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&day);
        let path = self.path(day);
        let mut file = match OpenOptions::new().write(true).open(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            opened => opened?,
        };
        file.write_all(&[0; KEY])?;
        file.sync_all()?;
        fs::remove_file(&path)?;
        File::open(&self.dir)?.sync_all()?;
        Ok(true)
    }

    /// The days that have keys, sorted.
    pub(super) fn days(&self) -> io::Result<Vec<Day>> {
        let mut days = Vec::new();
        for entry in fs::read_dir(&self.dir)? {
            let name = entry?.file_name();
            let day = name.to_str().and_then(|name| name.strip_suffix(".key"));
            days.extend(day.and_then(|day| day.parse::<Day>().ok()));
        }
        days.sort_unstable();
        Ok(days)
    }

    fn path(&self, day: Day) -> PathBuf {
        self.dir.join(format!("{day}.key"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_private_and_lasts() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path().join("keys");
        let keys = TransitKeys::open(&dir).unwrap();
        assert!(keys.existing(7).unwrap().is_none());
        keys.of_day(7).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&dir), 0o700);
        assert_eq!(mode(&dir.join("7.key")), 0o600);
        let first = fs::read(dir.join("7.key")).unwrap();
        TransitKeys::open(&dir).unwrap().of_day(7).unwrap();
        assert_eq!(fs::read(dir.join("7.key")).unwrap(), first);
        assert_eq!(first.len(), KEY);
        assert_eq!(keys.days().unwrap(), [7]);
        assert_eq!(
            fs::read_dir(&dir).unwrap().count(),
            1,
            "no rest of the making"
        );
    }

    #[test]
    fn a_named_key_is_no_days() {
        let dir = tempfile::tempdir().unwrap();
        let keys = TransitKeys::open(dir.path()).unwrap();
        let key = keys.named("tokens").unwrap();
        let again = TransitKeys::open(dir.path()).unwrap();
        assert_eq!(*again.named("tokens").unwrap(), *key);
        assert_ne!(*again.named("others").unwrap(), *key);
        assert!(keys.days().unwrap().is_empty());
    }

    #[test]
    fn of_two_makers_one_makes_the_key() {
        let dir = tempfile::tempdir().unwrap();
        let read = || {
            let keys = TransitKeys::open(dir.path()).unwrap();
            keys.of_day(1).unwrap();
            fs::read(dir.path().join("1.key")).unwrap()
        };
        let seen: Vec<Vec<u8>> = std::thread::scope(|scope| {
            let makers: Vec<_> = (0..8).map(|_| scope.spawn(read)).collect();
            makers
                .into_iter()
                .map(|maker| maker.join().unwrap())
                .collect()
        });
        assert!(seen.iter().all(|key| *key == seen[0]));
    }

    #[test]
    fn a_shredded_key_is_gone() {
        let dir = tempfile::tempdir().unwrap();
        let keys = TransitKeys::open(dir.path()).unwrap();
        keys.of_day(3).unwrap();
        // Whoever still has the file open reads nothing of the key.
        let mut open = File::open(dir.path().join("3.key")).unwrap();
        assert!(keys.shred(3).unwrap());
        let mut rest = Vec::new();
        open.read_to_end(&mut rest).unwrap();
        assert_eq!(rest, [0; KEY]);
        assert!(keys.existing(3).unwrap().is_none());
        assert!(!keys.shred(3).unwrap());
    }
}

//! Mails that are still coming in and too large for memory: sealed on the disk until they can be judged.
//!
//! The key is in this process's memory alone and ends with it, and the file has no name: whoever breaks off, or a crash,
//! leaves nothing behind. Chunks are of 32 KB where custody has 64, since each session that spools holds one.

use std::{
    fs::{self, File},
    io::{self, Read as _, Seek as _, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use aead_stream::{DecryptorBE32, EncryptorBE32};
use aes_gcm::{Aes256Gcm, KeyInit as _};
use rustix::fs::{Mode, OFlags};
use zeroize::{Zeroize as _, Zeroizing};

use super::keys::KEY;
use crate::store::new_id;

/// Clear octets of a chunk.
pub const SPOOL_CHUNK: usize = 32 * 1024;
const TAG: usize = 16;
const PREFIX: usize = 7;

/// Where mails are spooled.
#[derive(Clone, Debug)]
pub struct SpoolDir(PathBuf);

impl SpoolDir {
    /// Makes the folder (mode 0700) if there is none, and clears it of what a crash may have left where files can't be
    /// made without a name.
    ///
    /// # Errors
    /// What the system says.
    pub fn open(path: &Path) -> io::Result<Self> {
        if !path.is_dir() {
            fs::DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(path)?;
        }
        for entry in fs::read_dir(path)? {
            fs::remove_file(entry?.path())?;
        }
        Ok(Self(path.to_owned()))
    }

    /// A file that nobody else can open.
    fn file(&self) -> io::Result<File> {
        let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
        match rustix::fs::open(&self.0, flags, Mode::RUSR | Mode::WUSR) {
            Ok(file) => Ok(file.into()),
            // Some file systems can't: then it loses its name at once.
            Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::ISDIR) => {
                let path = self.0.join(new_id());
                let file = fs::OpenOptions::new()
                    .read(true)
                    .write(true)
                    .create_new(true)
                    .mode(0o600)
                    .open(&path)?;
                fs::remove_file(&path)?;
                Ok(file)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Begins a mail.
    ///
    /// # Errors
    /// What the system says.
    pub fn begin(&self) -> io::Result<Spool> {
        let (mut key, mut prefix) = (Zeroizing::new([0; KEY]), [0; PREFIX]);
        getrandom::fill(&mut *key).map_err(io::Error::other)?;
        getrandom::fill(&mut prefix).map_err(io::Error::other)?;
        let cipher = Aes256Gcm::new((&*key).into());
        Ok(Spool {
            file: self.file()?,
            key,
            prefix,
            stream: EncryptorBE32::from_aead(cipher, &prefix.into()),
            length: 0,
        })
    }
}

/// A mail that is being spooled.
pub struct Spool {
    file: File,
    key: Zeroizing<[u8; KEY]>,
    prefix: [u8; PREFIX],
    stream: EncryptorBE32<Aes256Gcm>,
    length: usize,
}

impl Spool {
    /// Seals and writes the whole chunks at the beginning of `clear`, and leaves the rest in it.
    ///
    /// # Errors
    /// What the system says; then the spool is lost.
    pub fn take(&mut self, clear: &mut Vec<u8>) -> io::Result<()> {
        let whole = clear.len() / SPOOL_CHUNK * SPOOL_CHUNK;
        for chunk in clear[..whole].chunks(SPOOL_CHUNK) {
            let sealed = self.stream.encrypt_next(chunk);
            self.file.write_all(&sealed.map_err(sealing)?)?;
        }
        self.length += whole;
        clear.copy_within(whole.., 0);
        let rest = clear.len() - whole;
        clear[rest..].zeroize();
        clear.truncate(rest);
        Ok(())
    }

    /// Writes the last octets, fewer than a chunk.
    ///
    /// # Errors
    /// What the system says.
    pub fn finish(mut self, mut clear: Vec<u8>) -> io::Result<Spooled> {
        self.take(&mut clear)?;
        let sealed = self.stream.encrypt_last(clear.as_slice());
        self.file.write_all(&sealed.map_err(sealing)?)?;
        self.length += clear.len();
        clear.zeroize();
        Ok(Spooled {
            file: self.file,
            key: self.key,
            prefix: self.prefix,
            length: self.length,
        })
    }
}

/// A whole mail, spooled.
pub struct Spooled {
    file: File,
    key: Zeroizing<[u8; KEY]>,
    prefix: [u8; PREFIX],
    length: usize,
}

impl std::fmt::Debug for Spooled {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Spooled({} octets)", self.length)
    }
}

impl Spooled {
    /// Clear octets.
    #[must_use]
    pub fn len(&self) -> usize {
        self.length
    }

    /// Whether it has none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Opens it into memory; what was on the disk is gone then.
    ///
    /// # Errors
    /// What the system says, or that it is not what was written.
    pub fn read(mut self) -> io::Result<Vec<u8>> {
        self.file.rewind()?;
        let cipher = Aes256Gcm::new((&*self.key).into());
        let mut stream = DecryptorBE32::from_aead(cipher, &self.prefix.into());
        let mut clear = Vec::with_capacity(self.length);
        let mut chunk = vec![0; SPOOL_CHUNK + TAG];
        // The last chunk, a full one never, may be empty.
        while self.length - clear.len() >= SPOOL_CHUNK {
            self.file.read_exact(&mut chunk)?;
            let opened = stream.decrypt_next(chunk.as_slice());
            clear.extend_from_slice(&Zeroizing::new(opened.map_err(damaged)?));
        }
        chunk.truncate(self.length - clear.len() + TAG);
        self.file.read_exact(&mut chunk)?;
        let opened = stream.decrypt_last(chunk.as_slice());
        clear.extend_from_slice(&Zeroizing::new(opened.map_err(damaged)?));
        Ok(clear)
    }
}

fn sealing(_: aes_gcm::Error) -> io::Error {
    io::Error::other("too large to seal")
}

fn damaged(_: aes_gcm::Error) -> io::Error {
    io::Error::other("the spool is not what was written")
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::FileExt as _;

    use super::*;

    fn spooled(dir: &SpoolDir, mail: &[u8], piece: usize) -> Spooled {
        let mut spool = dir.begin().unwrap();
        let mut waiting = Vec::new();
        for piece in mail.chunks(piece) {
            waiting.extend_from_slice(piece);
            spool.take(&mut waiting).unwrap();
            assert!(waiting.len() < SPOOL_CHUNK);
        }
        spool.finish(waiting).unwrap()
    }

    #[test]
    fn what_was_spooled_comes_back_and_is_nowhere_in_clear() {
        let folder = tempfile::tempdir().unwrap();
        let dir = SpoolDir::open(&folder.path().join("spool")).unwrap();
        for length in [
            0,
            1,
            SPOOL_CHUNK - 1,
            SPOOL_CHUNK,
            SPOOL_CHUNK + 1,
            5 * SPOOL_CHUNK,
        ] {
            let mail: Vec<u8> = b"confidential "
                .iter()
                .copied()
                .cycle()
                .take(length)
                .collect();
            for piece in [1000, SPOOL_CHUNK, 100_000] {
                let spooled = spooled(&dir, &mail, piece);
                assert_eq!(spooled.len(), length);
                let mut disk = vec![0; length];
                spooled.file.read_exact_at(&mut disk, 0).unwrap();
                assert!(!disk.windows(12).any(|octets| octets == b"confidential"));
                assert_eq!(spooled.read().unwrap(), mail);
            }
        }
        // Its files have no names.
        assert_eq!(
            fs::read_dir(folder.path().join("spool")).unwrap().count(),
            0
        );
    }

    #[test]
    fn a_changed_spool_is_not_opened() {
        let folder = tempfile::tempdir().unwrap();
        let dir = SpoolDir::open(folder.path()).unwrap();
        let spooled = spooled(&dir, &[7; 100_000], 9_999);
        spooled.file.write_all_at(&[1], 50_000).unwrap();
        assert!(spooled.read().is_err());
    }

    #[test]
    fn the_next_start_removes_what_a_crash_left() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("left"), "sealed").unwrap();
        let _dir = SpoolDir::open(folder.path()).unwrap();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}

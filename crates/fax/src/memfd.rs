//! A file that lives in memory only.

use std::{
    fs::File,
    io::{self, Write},
    os::{fd::AsRawFd, unix::fs::FileExt},
};

/// A file in memory. spandsp opens it by its path; no page ever touches a disk.
pub struct Memfd {
    file: File,
}

impl Memfd {
    /// An empty one.
    pub fn new() -> io::Result<Self> {
        Ok(Self {
            file: crate::ffi::memfd_create()?,
        })
    }

    /// One that holds `content`.
    pub fn with(content: &[u8]) -> io::Result<Self> {
        let mut memfd = Self::new()?;
        memfd.file.write_all(content)?;
        Ok(memfd)
    }

    /// The path under which this process can open it again. Far below the 255 characters at which
    /// spandsp cuts paths.
    pub fn path(&self) -> String {
        format!("/proc/self/fd/{}", self.file.as_raw_fd())
    }

    /// All that was written so far, whoever wrote it.
    pub fn content(&self) -> io::Result<Vec<u8>> {
        let len = usize::try_from(self.file.metadata()?.len()).map_err(io::Error::other)?;
        let mut content = vec![0; len];
        self.file.read_exact_at(&mut content, 0)?;
        Ok(content)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_another_handle_writes_is_read() {
        let memfd = Memfd::with(b"one").unwrap();
        let other = std::fs::OpenOptions::new()
            .write(true)
            .open(memfd.path())
            .unwrap();
        other.write_all_at(b"two!", 3).unwrap();
        assert_eq!(memfd.content().unwrap(), b"onetwo!");
    }
}

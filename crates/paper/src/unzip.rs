//! Zip files: what is in them, in their order, within bounds that are kept while unpacking.
//!
//! Sizes that a zip file states are not believed: what comes out is counted.

use std::io::{Cursor, Read};

use serde::{Deserialize, Serialize};
use zip::{ZipArchive, result::ZipError};

/// How much a zip file may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ZipLimits {
    /// Files.
    pub files: usize,
    /// Octets, unpacked and all together.
    pub total: u64,
    /// Octets out for one octet in. Deflate gives 1032 at most; honest files seldom 50.
    pub ratio: u64,
}

impl Default for ZipLimits {
    fn default() -> Self {
        Self {
            files: 200,
            total: 100 << 20,
            ratio: 400,
        }
    }
}

/// Below this size the ratio is not looked at: a page of blanks is no bomb.
const SMALL: u64 = 1 << 20;

/// A file in a zip file.
#[derive(Clone, PartialEq, Eq)]
pub struct Zipped {
    /// Its name with its folders, as the archive has it: never a path to use.
    pub name: String,
    /// What is in it; an error stands for this file alone.
    pub bytes: Result<Vec<u8>, ZipFault>,
}

impl std::fmt::Debug for Zipped {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let said = self.bytes.as_ref().map(Vec::len);
        write!(f, "Zipped({:?}, {said:?})", self.name)
    }
}

/// Why a zip file, or a file in it, can't be unpacked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
pub enum ZipFault {
    /// It is cut off or its structure is broken.
    #[error("it is cut off or its structure is broken")]
    Broken,
    /// It is packed with a password.
    #[error("it is protected by a password")]
    Encrypted,
    /// It is packed in a way that is not read.
    #[error("it is packed in an uncommon way")]
    Method,
    /// It holds too many files, or grows beyond measure.
    #[error("it holds more than is unpacked")]
    TooMuch,
}

/// Unpacks a zip file, folders left out.
///
/// # Errors
/// [`ZipFault`] when nothing of it is to be used: it is no zip file, or exceeds its bounds.
pub fn unzip(bytes: &[u8], limits: &ZipLimits) -> Result<Vec<Zipped>, ZipFault> {
    let mut archive = ZipArchive::new(Cursor::new(bytes)).map_err(|error| fault(&error))?;
    // Two files of one name: readers differ in which they show, and one would be lost.
    if archive.has_duplicate_names() {
        return Err(ZipFault::Broken);
    }
    let mut files = Vec::new();
    let mut total = 0;
    for index in 0..archive.len() {
        let entry = archive.by_index_raw(index).map_err(|error| fault(&error))?;
        if entry.is_dir() {
            continue;
        }
        let name = name(entry.name_raw(), entry.name().ok().as_deref());
        let (encrypted, packed) = (entry.encrypted(), entry.compressed_size());
        drop(entry);
        if files.len() == limits.files {
            return Err(ZipFault::TooMuch);
        }
        let bytes = if encrypted {
            Err(ZipFault::Encrypted)
        } else {
            let left = limits.total - total;
            let most = left.min(SMALL.max(packed.saturating_mul(limits.ratio)));
            unpack(&mut archive, index, most)
        };
        match &bytes {
            Ok(bytes) => total += bytes.len() as u64,
            Err(ZipFault::TooMuch) => return Err(ZipFault::TooMuch),
            Err(_) => {}
        }
        files.push(Zipped { name, bytes });
    }
    Ok(files)
}

fn unpack(
    archive: &mut ZipArchive<Cursor<&[u8]>>,
    index: usize,
    most: u64,
) -> Result<Vec<u8>, ZipFault> {
    let entry = archive.by_index(index).map_err(|error| fault(&error))?;
    let mut bytes = Vec::new();
    // The check sum is looked at where the file ends (APPNOTE §4.4.7), and wrong data are an error.
    let read = entry.take(most + 1).read_to_end(&mut bytes);
    if bytes.len() as u64 > most {
        return Err(ZipFault::TooMuch);
    }
    read.map(|_| bytes).map_err(|_| ZipFault::Broken)
}

/// The name as people know it. Without the UTF-8 flag (APPNOTE §4.4.4, bit 11) it is said to be code page
/// 437, and is whatever the packing machine had.
fn name(raw: &[u8], decoded: Option<&str>) -> String {
    match std::str::from_utf8(raw) {
        Ok(name) => name.to_owned(),
        Err(_) => match decoded {
            // Windows' own packer writes the console's code page; 437 and 850 agree on western letters.
            Some(name) if raw.iter().all(|&b| b < 0xF0) => name.to_owned(),
            _ => crate::charset::text(raw, None),
        },
    }
}

fn fault(error: &ZipError) -> ZipFault {
    match error {
        ZipError::UnsupportedArchive(said) if said.contains("assword") => ZipFault::Encrypted,
        ZipError::UnsupportedArchive(_) | ZipError::CompressionMethodNotSupported(_) => {
            ZipFault::Method
        }
        _ => ZipFault::Broken,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use zip::{ZipWriter, write::SimpleFileOptions};

    fn packed(files: &[(&str, &[u8])]) -> Vec<u8> {
        let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
        for (name, bytes) in files {
            writer
                .start_file(*name, SimpleFileOptions::default())
                .unwrap();
            writer.write_all(bytes).unwrap();
        }
        writer.finish().unwrap().into_inner()
    }

    #[test]
    fn files_come_in_their_order_with_their_names() {
        let zip = packed(&[("b/Übersicht.pdf", b"%PDF b"), ("a.txt", b"text")]);
        let files = unzip(&zip, &ZipLimits::default()).unwrap();
        let names: Vec<_> = files.iter().map(|file| file.name.as_str()).collect();
        assert_eq!(names, ["b/Übersicht.pdf", "a.txt"]);
        assert_eq!(files[1].bytes.as_deref(), Ok(&b"text"[..]));
        for cut in 0..zip.len() {
            let _ = unzip(&zip[..cut], &ZipLimits::default());
        }
        assert_eq!(
            unzip(b"PK\x03\x04no", &ZipLimits::default()),
            Err(ZipFault::Broken)
        );
    }

    #[test]
    fn bombs_are_refused_while_they_grow() {
        let bomb = packed(&[("zeros", &vec![0; 30 << 20])]);
        assert!(bomb.len() < 100_000);
        assert_eq!(unzip(&bomb, &ZipLimits::default()), Err(ZipFault::TooMuch));
        let limits = ZipLimits {
            files: 2,
            total: 1000,
            ratio: 2000,
        };
        let many = packed(&[("1", b"x"), ("2", b"x"), ("3", b"x")]);
        assert_eq!(unzip(&many, &limits), Err(ZipFault::TooMuch));
        let long = packed(&[("1", &[b'x'; 600]), ("2", &[b'x'; 600])]);
        assert_eq!(unzip(&long, &limits), Err(ZipFault::TooMuch));
        // A size that is a lie: the central directory's is made small.
        let mut lie = packed(&[("1", &[b'x'; 3000])]);
        let at = lie.windows(4).rposition(|w| w == b"PK\x01\x02").unwrap();
        lie[at + 24..at + 28].copy_from_slice(&10u32.to_le_bytes());
        let out = unzip(&lie, &limits);
        assert!(
            !matches!(&out, Ok(files) if files[0].bytes.as_ref().is_ok_and(|b| b.len() > 1000))
        );
    }

    #[test]
    fn a_file_behind_a_password_is_named() {
        let mut zip = packed(&[("open.txt", b"text"), ("shut.txt", b"text")]);
        // Bit 0 of the flags says it is encrypted (APPNOTE §4.4.4), in both headers.
        let local = zip
            .windows(4)
            .enumerate()
            .filter(|(_, w)| *w == b"PK\x03\x04")
            .nth(1)
            .unwrap()
            .0;
        let central = zip.windows(4).rposition(|w| w == b"PK\x01\x02").unwrap();
        zip[local + 6] |= 1;
        zip[central + 8] |= 1;
        let files = unzip(&zip, &ZipLimits::default()).unwrap();
        assert!(files[0].bytes.is_ok());
        assert_eq!(files[1].bytes, Err(ZipFault::Encrypted));
        let mut names = packed(&[("x.pdf", b"12")]);
        names
            .iter_mut()
            .filter(|b| **b == b'x')
            .for_each(|b| *b = 0x81);
        assert_eq!(
            unzip(&names, &ZipLimits::default()).unwrap()[0].name,
            "ü.pdf"
        );
    }
}

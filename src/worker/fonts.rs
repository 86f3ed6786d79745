//! The fonts of this machine for scripts that the embedded family lacks: found once, when the gateway starts.
//!
//! A paper worker opens no file. It is told what each font has, and is given the open files; it reads one when
//! its document needs it. So a worker starts as fast as without, and no memory is taken for fonts but in the
//! worker that draws with them.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use faxpost_paper::{Face, Script, embedded_has};
use serde::{Deserialize, Serialize};

/// Where systems have their fonts.
const SYSTEM: [&str; 2] = ["/usr/share/fonts", "/usr/local/share/fonts"];

/// Font files that a worker is given at most.
const MOST_FILES: usize = 28;
/// Font files that are looked into at most.
const MOST_LOOKS: usize = 120;
/// Entries of folders that are looked at.
const MOST_ENTRIES: usize = 20_000;
/// A larger file is no font for text.
const LARGEST: u64 = 64 << 20;

/// The beginnings of the names of font files that are worth a look, the best first: one weight of a plain face
/// for each script.
const LIKED: [&str; 30] = [
    "NotoSansCJK-Regular",
    "NotoSans-Regular",
    "NotoSansArabic-Regular",
    "NotoNaskhArabic-Regular",
    "NotoSansHebrew-Regular",
    "NotoSansThai-Regular",
    "NotoSansDevanagari-Regular",
    "NotoSansBengali-Regular",
    "NotoSansGurmukhi-Regular",
    "NotoSansGujarati-Regular",
    "NotoSansTamil-Regular",
    "NotoSansTelugu-Regular",
    "NotoSansKannada-Regular",
    "NotoSansMalayalam-Regular",
    "NotoSansSinhala-Regular",
    "NotoSansLao-Regular",
    "NotoSansKhmer-Regular",
    "NotoSansMyanmar-Regular",
    "NotoSansGeorgian-Regular",
    "NotoSansArmenian-Regular",
    "NotoSansEthiopic-Regular",
    "NotoSansSymbols-Regular",
    "NotoSansSymbols2-Regular",
    "DejaVuSans.",
    "NotoSerifCJK-Regular",
    "DroidSansFallback",
    "wqy-",
    "ipag",
    "Nanum",
    "FreeSans.",
];

/// Fonts for the scripts that the embedded family lacks, as far as there are any.
#[derive(Debug, Default)]
pub struct Fonts {
    faces: Vec<Face>,
    files: Vec<(PathBuf, File, u64)>,
}

/// What a worker is told of them; the open files come beside it, in the same order.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct FontsFrame {
    pub faces: Vec<Face>,
    /// Octets of each file.
    pub sizes: Vec<u64>,
}

impl Fonts {
    /// Looks for fonts: in these folders, whatever they have there, then where systems have theirs. A folder or
    /// file that can't be read is passed over. Blocks, for some tenths of a second where there are many.
    #[must_use]
    pub fn find(folders: &[PathBuf]) -> Self {
        let own = folders.iter().flat_map(|folder| files_in(folder));
        let mut own: Vec<PathBuf> = own.collect();
        own.sort();
        let system = SYSTEM.iter().flat_map(|folder| files_in(Path::new(folder)));
        let mut liked: Vec<(usize, PathBuf)> = system
            .filter_map(|path| {
                let name = path.file_name()?.to_str()?;
                let rank = LIKED.iter().position(|liked| name.starts_with(liked))?;
                Some((rank, path))
            })
            .collect();
        liked.sort();
        let mut fonts = Self::default();
        let all = own
            .into_iter()
            .chain(liked.into_iter().map(|(_, path)| path));
        for path in all.take(MOST_LOOKS) {
            if fonts.files.len() < MOST_FILES {
                fonts.look_into(path);
            }
        }
        fonts
    }

    /// Takes a file that has a script which none before it has.
    fn look_into(&mut self, path: PathBuf) {
        let read = || -> io::Result<(File, Vec<u8>)> {
            let file = File::open(&path)?;
            let size = file.metadata()?.len();
            if size > LARGEST {
                return Err(io::ErrorKind::FileTooLarge.into());
            }
            let data = read_whole(&file, size)?;
            Ok((file, data))
        };
        let (file, data) = match read() {
            Ok(read) => read,
            Err(error) => {
                tracing::debug!(path = %path.display(), %error, "a font is passed over");
                return;
            }
        };
        let number = u32::try_from(self.files.len()).unwrap_or(u32::MAX);
        // One face a collection writes text; its fixed pitch and half-width fellows have the same characters.
        let faces: Vec<Face> = Face::all(number, &data)
            .into_iter()
            .filter(|face| !face.family().contains("Mono"))
            .collect();
        let new = |script: &&Script| {
            !embedded_has(**script)
                && !self.has(**script)
                && faces.iter().any(|face| face.has(**script))
        };
        if Script::ALL.iter().any(|script| new(&script)) {
            self.faces.extend(faces);
            self.files.push((path, file, data.len() as u64));
        }
    }

    /// Whether text in a script has shapes, here or in the embedded family.
    #[must_use]
    pub fn has(&self, script: Script) -> bool {
        embedded_has(script) || self.faces.iter().any(|face| face.has(script))
    }

    /// The scripts whose text would have none.
    #[must_use]
    pub fn lacking(&self) -> Vec<Script> {
        let all = Script::ALL.iter().copied();
        all.filter(|script| !self.has(*script)).collect()
    }

    /// The families that were found, each once.
    #[must_use]
    pub fn families(&self) -> Vec<&str> {
        let names = self.faces.iter().map(|face| (face.family(), ()));
        names.collect::<BTreeMap<_, _>>().into_keys().collect()
    }

    /// What a worker is told and given.
    pub(super) fn frame(&self) -> (FontsFrame, Vec<OwnedFd>) {
        let copies: io::Result<Vec<OwnedFd>> = (self.files.iter())
            .map(|(_, file, _)| Ok(OwnedFd::from(file.try_clone()?)))
            .collect();
        match copies {
            Ok(fds) => {
                let frame = FontsFrame {
                    faces: self.faces.clone(),
                    sizes: self.files.iter().map(|(_, _, size)| *size).collect(),
                };
                (frame, fds)
            }
            Err(error) => {
                tracing::warn!(%error, "a paper worker starts without fonts: too many files are open");
                Default::default()
            }
        }
    }
}

/// In a worker: makes them known to what draws.
pub(super) fn install(frame: FontsFrame, fds: Vec<OwnedFd>) {
    let files: Vec<(File, u64)> = fds.into_iter().map(File::from).zip(frame.sizes).collect();
    faxpost_paper::warm_with(
        frame.faces,
        Box::new(move |number| {
            let (file, size) = files.get(number as usize)?;
            read_whole(file, *size).ok()
        }),
    );
}

/// Reads at places: the file's own place is shared with every other worker.
fn read_whole(file: &File, size: u64) -> io::Result<Vec<u8>> {
    let mut data = vec![0; usize::try_from(size).unwrap_or(0)];
    file.read_exact_at(&mut data, 0)?;
    Ok(data)
}

/// The font files in a folder and those below it.
fn files_in(folder: &Path) -> Vec<PathBuf> {
    let (mut found, mut folders) = (Vec::new(), vec![folder.to_path_buf()]);
    let mut entries = 0;
    while let Some(folder) = folders.pop() {
        let Ok(list) = std::fs::read_dir(&folder) else {
            continue;
        };
        for entry in list.flatten() {
            entries += 1;
            if entries > MOST_ENTRIES {
                return found;
            }
            let path = entry.path();
            let Ok(kind) = entry.file_type() else {
                continue;
            };
            // A link to a folder may lead back here.
            if kind.is_dir() {
                folders.push(path);
            } else if is_font(&path) {
                found.push(path);
            }
        }
    }
    found
}

fn is_font(path: &Path) -> bool {
    let kind = path.extension().and_then(|kind| kind.to_str());
    kind.is_some_and(|kind| {
        ["ttf", "otf", "ttc", "otc"]
            .iter()
            .any(|known| kind.eq_ignore_ascii_case(known))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_without_fonts_is_no_fault() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("a.ttf"), b"no font").unwrap();
        std::fs::write(folder.path().join("b.txt"), b"no font").unwrap();
        let found = Fonts::find(&[folder.path().to_path_buf(), "/nowhere".into()]);
        assert!(
            found
                .files
                .iter()
                .all(|(path, ..)| !path.starts_with(folder.path()))
        );
        assert!(!found.lacking().contains(&Script::Latin));
        assert_eq!(found.frame().1.len(), found.files.len());
    }
}

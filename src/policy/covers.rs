//! `policies/covers/`: what covers look like, for every tenant. `docs/covers.md` says what a template is given.
//!
//! A file `NAME.typ` there replaces the built-in cover of that name, or adds one. Whether a template is sound
//! is seen by drawing it, in a paper worker.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use faxpost_paper::{TEMPLATE_OCTETS, Template};

use super::PolicyError;

/// The folder's name, within that of the policies.
pub const FOLDER: &str = "covers";
/// The cover of who chose none, and what takes the place of one that fails.
pub const PLAIN: &str = "plain";
/// Where a cover's name would stand: there is none.
pub const NONE: &str = "none";

const BUILT_IN: [(&str, &str); 3] = [
    (PLAIN, include_str!("../../policies/covers/plain.typ")),
    (
        "business",
        include_str!("../../policies/covers/business.typ"),
    ),
    (
        "confidential",
        include_str!("../../policies/covers/confidential.typ"),
    ),
];

/// What a cover may be called, in words.
pub const NAMES: &str = "up to 40 small letters, digits and hyphens";

/// Whether a cover may be called so. The words that stand in its place in a profile are none.
#[must_use]
pub fn is_cover_name(name: &str) -> bool {
    let fit = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    (1..=40).contains(&name.len())
        && name.bytes().all(fit)
        && ![NONE, "on", "off", "inherit"].contains(&name)
}

/// The covers of the house.
#[derive(Clone, Debug)]
pub struct Covers {
    all: BTreeMap<String, HouseCover>,
}

#[derive(Clone, Debug)]
struct HouseCover {
    source: String,
    /// Where it comes from; `None`: built in.
    file: Option<PathBuf>,
}

impl Covers {
    /// The built-in ones, and those in the folder `covers` of `folder`.
    ///
    /// # Errors
    /// [`PolicyError`], for the operator to read.
    pub fn load(folder: Option<&Path>) -> Result<Self, PolicyError> {
        let built_in = BUILT_IN.map(|(name, source)| {
            let cover = HouseCover {
                source: source.to_owned(),
                file: None,
            };
            (name.to_owned(), cover)
        });
        let mut all = BTreeMap::from(built_in);
        let Some(folder) = folder.map(|folder| folder.join(FOLDER)) else {
            return Ok(Self { all });
        };
        let entries = match std::fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Self { all }),
            Err(source) => {
                return Err(PolicyError::Unreadable {
                    path: folder,
                    source,
                });
            }
        };
        for entry in entries {
            let path = match entry {
                Ok(entry) => entry.path(),
                Err(source) => {
                    return Err(PolicyError::Unreadable {
                        path: folder,
                        source,
                    });
                }
            };
            if path.extension().is_some_and(|ending| ending == "typ") {
                let (name, source) = read(&path)?;
                let file = Some(path);
                all.insert(name, HouseCover { source, file });
            }
        }
        Ok(Self { all })
    }

    /// The template of that name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<Template> {
        let cover = self.all.get(name)?;
        Some(Template {
            name: name.to_owned(),
            source: cover.source.clone(),
        })
    }

    /// All names.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.all.keys().map(String::as_str)
    }

    /// Those that are the operator's own, with their files.
    pub fn files(&self) -> impl Iterator<Item = (&Path, Template)> {
        self.all.iter().filter_map(|(name, cover)| {
            let template = Template {
                name: name.clone(),
                source: cover.source.clone(),
            };
            Some((cover.file.as_deref()?, template))
        })
    }
}

fn read(path: &Path) -> Result<(String, String), PolicyError> {
    let fault = |message: String| PolicyError::Cover {
        path: path.to_path_buf(),
        message,
    };
    let name = path.file_stem().unwrap_or_default().to_string_lossy();
    if !is_cover_name(&name) {
        return Err(fault(format!(
            "a cover can't be called so: rename the file, to {NAMES} before .typ"
        )));
    }
    let bytes = std::fs::read(path).map_err(|source| PolicyError::Unreadable {
        path: path.to_path_buf(),
        source,
    })?;
    if bytes.len() > TEMPLATE_OCTETS {
        return Err(fault(format!(
            "it has {} octets: a template may have {TEMPLATE_OCTETS}",
            bytes.len()
        )));
    }
    let source = String::from_utf8(bytes)
        .map_err(|_| fault("it is no UTF-8 text: save it as UTF-8".to_owned()))?;
    Ok((name.into_owned(), source))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_folder_replaces_and_adds() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join(FOLDER);
        let with = || Covers::load(Some(dir.path()));
        assert_eq!(with().unwrap().names().count(), 3);
        std::fs::create_dir(&folder).unwrap();
        std::fs::write(folder.join("plain.typ"), "Mine").unwrap();
        std::fs::write(folder.join("summer-2026.typ"), "Sun").unwrap();
        std::fs::write(folder.join("README"), "notes").unwrap();
        let covers = with().unwrap();
        assert_eq!(
            covers.names().collect::<Vec<_>>(),
            ["business", "confidential", "plain", "summer-2026"]
        );
        assert_eq!(covers.get("plain").unwrap().source, "Mine");
        assert_eq!(covers.files().count(), 2);
        assert!(covers.get("winter").is_none());
    }

    #[test]
    fn what_is_no_template_is_named() {
        for (file, octets, says) in [
            ("My cover.typ", b"x".to_vec(), "can't be called so"),
            ("none.typ", b"x".to_vec(), "can't be called so"),
            ("latin.typ", b"\xe9t\xe9".to_vec(), "no UTF-8"),
            ("long.typ", vec![b' '; TEMPLATE_OCTETS + 1], "octets"),
        ] {
            let dir = tempfile::tempdir().unwrap();
            std::fs::create_dir(dir.path().join(FOLDER)).unwrap();
            std::fs::write(dir.path().join(FOLDER).join(file), octets).unwrap();
            let error = Covers::load(Some(dir.path())).unwrap_err().to_string();
            assert!(error.contains(says) && error.contains(file), "{error}");
        }
    }
}

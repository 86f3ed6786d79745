//! The rules of the operator, read from `policies/`.
//!
//! Each file has its rules built in; a folder named in the configuration replaces those files that
//! it holds.

pub mod accepting;
mod authority;
pub mod covers;
pub mod dial;
pub mod limits;
pub mod retention;
pub mod senders;
pub mod sending;
pub mod tariffs;

use std::{
    borrow::Cow,
    path::{Path, PathBuf},
};

pub use accepting::{Accepting, SameMail};
pub use authority::ClientCertificate;
pub use covers::Covers;
pub use limits::{Daily, Limits};
pub use retention::Retention;
pub use sending::{Acknowledge, Body, Guard, Sending, Unreadable};

/// All rules.
#[derive(Clone, Debug)]
pub struct Policies {
    /// What counts as the same mail again.
    pub accepting: Accepting,
    /// What covers look like.
    pub covers: Covers,
    /// How numbers are read.
    pub dial: dial::DialPlan,
    /// How much may come and go.
    pub limits: Limits,
    /// How long what could not be delivered is kept.
    pub retention: Retention,
    /// Who may send, and what proves that it is them.
    pub senders: senders::SenderRules,
    /// How a fax is tried again.
    pub sending: Sending,
    /// What pages cost.
    pub tariffs: tariffs::Tariffs,
}

impl Policies {
    /// Reads every file of `folder`, or the built-in one in its place.
    ///
    /// # Errors
    /// [`PolicyError`], for the operator to read.
    pub fn load(folder: Option<&Path>) -> Result<Self, PolicyError> {
        Ok(Self {
            accepting: Accepting::load(folder)?,
            covers: Covers::load(folder)?,
            dial: dial::DialPlan::load(folder)?,
            limits: Limits::load(folder)?,
            retention: Retention::load(folder)?,
            senders: senders::SenderRules::load(folder)?,
            sending: Sending::load(folder)?,
            tariffs: tariffs::Tariffs::load(folder)?,
        })
    }
}

/// Every fault of the files in `folder`, with the files that nobody reads.
#[must_use]
pub fn look(folder: &Path) -> Vec<String> {
    let some = Some(folder);
    let results = [
        (accepting::FILE, Accepting::load(some).err()),
        (dial::FILE, dial::DialPlan::load(some).err()),
        (limits::FILE, Limits::load(some).err()),
        (retention::FILE, Retention::load(some).err()),
        (senders::FILE, senders::SenderRules::load(some).err()),
        (sending::FILE, Sending::load(some).err()),
        (tariffs::FILE, tariffs::Tariffs::load(some).err()),
    ];
    let known: Vec<&str> = results.iter().map(|(file, _)| *file).collect();
    let mut faults = Vec::new();
    for (file, error) in results {
        faults.extend(error.map(|error| match error {
            PolicyError::Rule { line, message, .. } => {
                format!("{}:{line}: {message}", folder.join(file).display())
            }
            error => error.to_string(),
        }));
    }
    faults.extend(Covers::load(some).err().map(|error| error.to_string()));
    let strangers = std::fs::read_dir(folder).into_iter().flatten().flatten();
    for entry in strangers {
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.ends_with(".toml") && !known.contains(&name.as_str()) {
            faults.push(format!(
                "{}: nobody reads a file of this name. There are: {}.",
                entry.path().display(),
                known.join(", ")
            ));
        }
    }
    faults
}

/// Why the operator's rules can't be used.
#[derive(Debug, thiserror::Error)]
pub enum PolicyError {
    /// The file can't be read.
    #[error("{}: can't be read: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is no cover's template.
    #[error("{}: {message}", path.display())]
    Cover {
        /// The file.
        path: PathBuf,
        /// What is wrong and what would be right.
        message: String,
    },
    /// The file holds what it should not.
    #[error("{file}:{line}: {message}")]
    Rule {
        /// The file's name.
        file: &'static str,
        /// 1-based line; 0 when it isn't known.
        line: usize,
        /// What is wrong and what would be right.
        message: String,
    },
}

/// The text of `file`: the one in `folder` if it is there, else the one built in.
///
/// # Errors
/// [`PolicyError::Unreadable`].
pub fn text(
    folder: Option<&Path>,
    file: &'static str,
    built_in: &'static str,
) -> Result<Cow<'static, str>, PolicyError> {
    let Some(path) = folder.map(|folder| folder.join(file)) else {
        return Ok(Cow::Borrowed(built_in));
    };
    match std::fs::read_to_string(&path) {
        Ok(text) => Ok(Cow::Owned(text)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Cow::Borrowed(built_in)),
        Err(source) => Err(PolicyError::Unreadable { path, source }),
    }
}

/// Reads the TOML of one rules file.
///
/// # Errors
/// [`PolicyError::Rule`] with the line.
pub fn parse<T: serde::de::DeserializeOwned>(
    file: &'static str,
    text: &str,
) -> Result<T, PolicyError> {
    toml::from_str(text).map_err(|error| PolicyError::Rule {
        file,
        line: error.span().map_or(0, |span| line_at(text, span.start)),
        message: error.message().to_owned(),
    })
}

/// The 1-based line of an octet.
fn line_at(text: &str, at: usize) -> usize {
    let before = text.as_bytes().iter().take(at);
    before.filter(|octet| **octet == b'\n').count() + 1
}

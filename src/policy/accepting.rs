//! `accepting.toml`: what counts as the same mail again.

use std::path::Path;

use serde::Deserialize;

use super::PolicyError;

pub(super) const FILE: &str = "accepting.toml";
const BUILT_IN: &str = include_str!("../../policies/accepting.toml");

/// The rules of accepting.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Accepting {
    /// When a mail is one that came before.
    pub same_mail: SameMail,
}

/// For how long an equal mail is the same mail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SameMail {
    /// Seconds; 0: never.
    pub window_s: u32,
    /// Seconds, for a mail without a Message-ID.
    pub without_message_id_s: u32,
}

impl Accepting {
    /// The rules in `folder`, or the built-in ones.
    ///
    /// # Errors
    /// [`PolicyError`], for the operator to read.
    pub fn load(folder: Option<&Path>) -> Result<Self, PolicyError> {
        super::parse(FILE, &super::text(folder, FILE, BUILT_IN)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_text_is_read_and_the_operators_takes_its_place() {
        let rules = Accepting::load(None).unwrap().same_mail;
        assert_eq!((rules.window_s, rules.without_message_id_s), (7200, 600));
        let folder = tempfile::tempdir().unwrap();
        let write = |text: &str| std::fs::write(folder.path().join(FILE), text).unwrap();
        write("[same_mail]\nwindow_s = 0\nwithout_message_id_s = 0\n");
        let rules = Accepting::load(Some(folder.path())).unwrap().same_mail;
        assert_eq!(rules.window_s, 0);
        write("[same_mail]\nwindow = 0\n");
        let error = Accepting::load(Some(folder.path())).unwrap_err();
        assert!(error.to_string().contains("accepting.toml:2"), "{error}");
    }
}

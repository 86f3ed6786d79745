//! `retention.toml`: how long what could not be delivered is kept.

use std::{num::NonZeroU16, path::Path};

use serde::Deserialize;

use super::PolicyError;

pub(super) const FILE: &str = "retention.toml";
const BUILT_IN: &str = include_str!("../../policies/retention.toml");
const DAY_MS: i64 = 24 * 3_600_000;

/// The bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Retention {
    /// Days from when a mail was given up to the end of its content.
    undelivered_days: NonZeroU16,
}

impl Retention {
    /// The rules in `folder`, or the built-in ones.
    ///
    /// # Errors
    /// [`PolicyError`], for the operator to read.
    pub fn load(folder: Option<&Path>) -> Result<Self, PolicyError> {
        super::parse(FILE, &super::text(folder, FILE, BUILT_IN)?)
    }

    /// Milliseconds from when a mail was given up to the end of its content.
    #[must_use]
    pub fn undelivered_ms(self) -> i64 {
        i64::from(self.undelivered_days.get()) * DAY_MS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_text_is_read_and_no_bound_is_none() {
        let built_in = Retention::load(None).unwrap();
        assert_eq!(built_in.undelivered_ms(), 30 * DAY_MS);
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(FILE), "undelivered_days = 0\n").unwrap();
        let error = Retention::load(Some(folder.path())).unwrap_err();
        assert!(error.to_string().contains("retention.toml:1"), "{error}");
    }
}

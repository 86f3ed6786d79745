//! `retention.toml`: how long what could not be delivered is kept, and what is known of what is over.

use std::{num::NonZeroU16, path::Path};

use serde::{Deserialize, Deserializer, de::Error as _};

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
    /// Days from when a mail was due to the end of what is known of it, once it is sent or dropped.
    #[serde(deserialize_with = "a_week_or_more")]
    settled_days: u16,
}

/// Longer than a mail may wait: what is settled by looking at all mails of a fax finds them.
const SETTLED_DAYS_MIN: u16 = 7;

fn a_week_or_more<'de, D: Deserializer<'de>>(from: D) -> Result<u16, D::Error> {
    let days = u16::deserialize(from)?;
    if days < SETTLED_DAYS_MIN {
        return Err(D::Error::custom(format_args!(
            "{days} days are too few; a mail may wait for some of them: {SETTLED_DAYS_MIN} or more"
        )));
    }
    Ok(days)
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

    /// Milliseconds from when a mail was due to the end of what is known of it, once it is over.
    #[must_use]
    pub fn settled_ms(self) -> i64 {
        i64::from(self.settled_days) * DAY_MS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_text_is_read_and_no_bound_is_none() {
        let built_in = Retention::load(None).unwrap();
        assert_eq!(built_in.undelivered_ms(), 30 * DAY_MS);
        assert_eq!(built_in.settled_ms(), 30 * DAY_MS);
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(FILE), "undelivered_days = 0\n").unwrap();
        let error = Retention::load(Some(folder.path())).unwrap_err();
        assert!(error.to_string().contains("retention.toml:1"), "{error}");
        let few = "undelivered_days = 30\nsettled_days = 6\n";
        std::fs::write(folder.path().join(FILE), few).unwrap();
        let error = Retention::load(Some(folder.path())).unwrap_err();
        assert!(error.to_string().contains("retention.toml:2"), "{error}");
        assert!(error.to_string().contains("7 or more"), "{error}");
    }
}

//! `policies/sending.toml`: how a fax is tried again.

use std::path::Path;

use serde::Deserialize;

use super::PolicyError;

pub(super) const FILE: &str = "sending.toml";
const BUILT_IN: &str = include_str!("../../policies/sending.toml");

/// The rules of trying again.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sending {
    /// Calls that one fax may cost in all.
    pub max_calls: u32,
    /// Calls of these in which page data may go out.
    pub max_tries: u32,
    /// A page whose arrival nobody knows is sent again, stamped as a possible repeat.
    pub repeat_unknown: bool,
    /// Days that a number's fax machine is remembered to do better with less than everything; 0: not at all.
    pub remember_days: u16,
    /// The ladder.
    pub wait_s: Ladder,
}

/// Seconds before the next call, by what ended the last one and how many ended so; a used-up row means
/// failure.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ladder {
    /// The far end was busy.
    pub busy: Vec<u32>,
    /// Nobody answered.
    pub no_answer: Vec<u32>,
    /// The fax broke off, or pages were refused.
    pub protocol: Vec<u32>,
    /// The trunk failed.
    pub trunk: Vec<u32>,
    /// No fax machine answered.
    pub no_fax: Vec<u32>,
}

impl Sending {
    /// The rules in `folder`, or the built-in ones.
    ///
    /// # Errors
    /// [`PolicyError`], for the operator to read.
    pub fn load(folder: Option<&Path>) -> Result<Self, PolicyError> {
        super::parse(FILE, &super::text(folder, FILE, BUILT_IN)?)
    }

    /// Milliseconds that a number is remembered.
    #[must_use]
    pub fn remember_ms(&self) -> i64 {
        i64::from(self.remember_days) * 24 * 3_600_000
    }
}

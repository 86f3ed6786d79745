//! What a sender may ask of one mail's fax: one grammar and one table of options, wherever they are written.
//!
//! `docs/options.md` is for who writes them. They stand in the address, in `X-Fax-…` lines, in brackets at the
//! subject's ends and in `#fax` lines that the text begins with; the nearest to the number counts. [`Wishes`] are
//! options as they were read; [`Wishes::settle`] makes [`Options`] of them, which are kept with the submission and its
//! jobs. What is secret never gets into [`Options`].

mod body;
mod grammar;
mod header;
mod subject;
mod table;
#[cfg(test)]
mod tests;
mod time;

use faxpost_paper::{Paper, Tone};
use faxpost_t4::Resolution;
use serde::{Deserialize, Serialize};

use crate::{clock::Millis, policy::Body};

pub use body::{of_html, of_text};
pub use grammar::{of_address, of_list};
pub use header::of_headers;
pub use subject::{Subject, of_subject};
pub use table::{Row, help, known_names, rows};
pub use time::When;

/// What is asked for one fax, or for all of a mail. What nobody asked for is the profile's.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub struct Options {
    /// Lines an inch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resolution: Option<Resolution>,
    /// Paper.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub paper: Option<Paper>,
    /// The cover's name, or [`NONE`](crate::policy::covers::NONE).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cover: Option<String>,
    /// Where the mail's text goes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body: Option<Body>,
    /// What of a page becomes dots.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tone: Option<Tone>,
    /// 0 first, 9 last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub priority: Option<i64>,
    /// Not called before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub send_at: Option<Millis>,
    /// Not called after.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_after: Option<Millis>,
    /// Calls that it may cost in all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub calls: Option<u32>,
    /// Calls of these in which page data may go out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tries: Option<u32>,
    /// The billing code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// What stands in the header line in place of the sender's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub header: Option<String>,
    /// Caller identity and TSI. Of [`Wishes`] as it was written; once accepted E.164, and one of the sender's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub caller: Option<String>,
    /// Who behind the number (T.33), where the address does not say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sub_address: Option<String>,
    /// When there is a report.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub report: Option<ReportWish>,
    /// A receipt as PDF comes with the report.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub receipt: Option<bool>,
    /// A mail says that it was accepted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accepted: Option<bool>,
    /// That mail shows the pages.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub preview: Option<bool>,
    /// It waits until its sender confirms it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub confirm: Option<bool>,
    /// It has a distribution list with it, which is no page. No option: the address `list` says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub list: Option<bool>,
}

/// When there is a report.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ReportWish {
    /// Whatever became of it.
    #[default]
    Always,
    /// Unless every page of every fax is confirmed.
    Failed,
    /// Never.
    None,
}

/// Options as they were read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wishes {
    /// All but those that need a clock, and those that are secret.
    pub options: Options,
    /// Not called before.
    pub at: Option<When>,
    /// Not called after.
    pub not_after: Option<When>,
    /// What opens the mail's documents.
    pub document_password: Option<DocumentPassword>,
}

/// What opens a mail's documents: it is in the sealed mail, and is nowhere written out.
#[derive(Clone, PartialEq, Eq)]
pub struct DocumentPassword(pub String);

impl std::fmt::Debug for DocumentPassword {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("DocumentPassword(…)")
    }
}

/// Where options are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// Elements of the recipient's address.
    Address,
    /// `X-Fax-…` lines.
    Header,
    /// Brackets at the subject's ends.
    Subject,
    /// `#fax` lines that the text begins with.
    Body,
    /// A row of a distribution list.
    List,
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Address => "the address",
            Self::Header => "the X-Fax- lines",
            Self::Subject => "the subject",
            Self::Body => "the text's #fax lines",
            Self::List => "the list",
        })
    }
}

/// Why options can't be taken: a sentence without its full stop that says what to write.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// There is no such option.
    #[error("{name:?} in {place} is no fax option: known are {}", known_names())]
    Unknown {
        /// As it was written, cut short.
        name: String,
        /// Where.
        place: Place,
    },
    /// Not with this value.
    #[error("the fax option {name} in {place} is not as it should be: {expected}")]
    Value {
        /// Its name in the table.
        name: &'static str,
        /// Where.
        place: Place,
        /// What is right there.
        expected: &'static str,
    },
    /// Two values.
    #[error("the fax option {name} stands in {place} with two values: leave one")]
    Twice {
        /// Its name in the table.
        name: &'static str,
        /// Where.
        place: Place,
    },
    /// It may not stand there.
    #[error("the fax option {name} can't stand in {place}: {instead}")]
    Misplaced {
        /// Its name in the table.
        name: &'static str,
        /// Where it stands.
        place: Place,
        /// Where it can.
        instead: &'static str,
    },
    /// Of a subject that begins with `Fwd:` or `Re:`.
    #[error(
        "the option [{0}] stands behind Re: or Fwd: in the subject, so it may be somebody else's: write yours before it, or \
         take it out"
    )]
    Forwarded(&'static str),
    /// It ends before it begins.
    #[error("the fax option not-after is before the fax is to be sent")]
    Over,
    /// Too far ahead.
    #[error(
        "the fax options at and not-after reach {} days ahead at most",
        DAYS_AHEAD
    )]
    Ahead,
    /// More than anybody writes.
    #[error("there are too many options in {0}: {MOST} are the most")]
    TooMany(Place),
}

/// Options that are read of one place.
const MOST: usize = 40;
/// Custody is brief, and no fax waits for its hours longer (see `queue`).
pub const DAYS_AHEAD: i64 = 14;
const DAY: Millis = 24 * 3_600_000;

/// The first of two, where it says something.
macro_rules! first_of {
    ($first:expr, $second:expr; $($field:ident),+) => {{
        // Taken apart, so that a field that is added can't be forgotten.
        let Options { $($field),+ } = $first;
        Options { $($field: $field.or($second.$field)),+ }
    }};
}

impl Options {
    /// What these say, and where they say nothing, what `others` do.
    #[must_use]
    pub fn or(self, others: Self) -> Self {
        first_of!(self, others; resolution, paper, cover, body, tone, priority, send_at, not_after, calls, tries, code,
                  header, caller, sub_address, report, receipt, accepted, preview, confirm, list)
    }

    /// As a table has them; nothing where nothing is asked.
    #[must_use]
    pub fn to_column(&self) -> Option<String> {
        let none = *self == Self::default();
        // Names, numbers and enums always make JSON.
        (!none).then(|| serde_json::to_string(self).unwrap_or_default())
    }

    /// What a table has. What can't be read was written by a newer version, and is not asked of this one.
    #[must_use]
    pub fn from_column(column: Option<&str>) -> Self {
        column
            .and_then(|text| serde_json::from_str(text).ok())
            .unwrap_or_default()
    }
}

impl Wishes {
    /// What these say, and where they say nothing, what `others` do.
    #[must_use]
    pub fn or(self, others: Self) -> Self {
        Self {
            options: self.options.or(others.options),
            at: self.at.or(others.at),
            not_after: self.not_after.or(others.not_after),
            document_password: self.document_password.or(others.document_password),
        }
    }

    /// Whether nothing is asked.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// What is asked of a mail that is accepted at `now` for somebody who is in `zone` (an IANA name).
    ///
    /// # Errors
    /// [`Fault::Over`], [`Fault::Ahead`].
    pub fn settle(self, now: Millis, zone: &str) -> Result<Options, Fault> {
        let at = self.at.map(|at| at.begins(now, zone).max(now));
        let from = at.unwrap_or(now);
        let not_after = self.not_after.map(|until| until.ends(from, zone));
        if not_after.is_some_and(|until| until <= from) {
            return Err(Fault::Over);
        }
        if from.max(not_after.unwrap_or(from)) > now + DAYS_AHEAD * DAY {
            return Err(Fault::Ahead);
        }
        Ok(Options {
            send_at: at,
            not_after,
            ..self.options
        })
    }
}

/// For the fuzz targets: every reader of options.
#[doc(hidden)]
pub mod fuzzing {
    use super::{Place, of_address, of_html, of_list, of_subject, of_text};

    /// Reads a text as each place would.
    pub fn read(text: &str) {
        for place in [Place::Address, Place::Header, Place::Subject, Place::Body] {
            if let Ok(wishes) = of_list(text, place) {
                let options = wishes.settle(1_795_176_000_000, "Europe/Paris");
                let options = options.unwrap_or_default();
                let column = options.to_column();
                assert_eq!(super::Options::from_column(column.as_deref()), options);
            }
        }
        let (_, rest) = of_text(text);
        assert!(text.ends_with(&rest));
        assert!(of_text(&rest).0.is_empty() || rest.len() < text.len());
        let (_, html) = of_html(text);
        assert!(html.len() <= text.len());
        if let Ok((left, _)) = of_address(text) {
            assert_eq!(of_address(&left).ok().map(|(left, _)| left), Some(left));
        }
        if let Ok(subject) = of_subject(text) {
            assert!(subject.left.len() <= 2 * text.len());
        }
    }
}

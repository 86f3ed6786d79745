//! `policies/sending.toml`: how a fax is tried again.

use std::path::Path;

use faxpost_paper::{Blank, Dots, Fit, Landscape, Long, Tone};
use serde::Deserialize;

use super::{PolicyError, covers};

pub(super) const FILE: &str = "sending.toml";
const BUILT_IN: &str = include_str!("../../policies/sending.toml");

/// The priorities there are: 0 is first.
pub const PRIORITIES: std::ops::RangeInclusive<i64> = 0..=9;

/// How many faxes a call may carry.
pub const BATCHES: std::ops::RangeInclusive<u32> = 1..=20;

/// What becomes of a fax with an attachment that can't be drawn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Unreadable {
    /// Nothing is sent, and the report names the attachment.
    #[default]
    Stop,
    /// The rest is sent, and the report names the attachment.
    LeaveOut,
}

impl std::str::FromStr for Unreadable {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        match text {
            "stop" => Ok(Self::Stop),
            "leave-out" => Ok(Self::LeaveOut),
            _ => Err(()),
        }
    }
}

/// Where the text of a mail goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Body {
    /// On the cover; where there is none, or it can't hold it (tables, pictures), it has pages of its own.
    #[default]
    Cover,
    /// It has pages of its own, before the attachments.
    Page,
    /// Nowhere, and the report says so.
    Ignore,
}

impl Body {
    /// As people and tables write it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Cover => "cover",
            Self::Page => "page",
            Self::Ignore => "ignore",
        }
    }
}

impl std::str::FromStr for Body {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        match text {
            "cover" => Ok(Self::Cover),
            "page" => Ok(Self::Page),
            "ignore" => Ok(Self::Ignore),
            _ => Err(()),
        }
    }
}

/// What is asked about before it is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Guard {
    /// A number at which no page of the tenant was ever confirmed.
    First,
    /// Such a number that is one digit away from one that is known.
    Near,
    /// More pages than ten times the user's median.
    Pages,
}

impl Guard {
    /// Every one.
    pub const ALL: [Self; 3] = [Self::First, Self::Near, Self::Pages];

    /// As people and tables write it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::First => "first",
            Self::Near => "near",
            Self::Pages => "pages",
        }
    }
}

impl std::str::FromStr for Guard {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let found = Self::ALL.into_iter().find(|guard| guard.name() == text);
        found.ok_or(())
    }
}

/// Whether a mail says that a fax is accepted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Acknowledge {
    /// Of those whose result takes a while.
    #[default]
    Slow,
    /// Of each.
    Always,
    /// Of none.
    Never,
}

impl Acknowledge {
    /// As people and tables write it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Slow => "slow",
            Self::Always => "always",
            Self::Never => "never",
        }
    }
}

impl std::str::FromStr for Acknowledge {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let all = [Self::Slow, Self::Always, Self::Never];
        all.into_iter().find(|one| one.name() == text).ok_or(())
    }
}

/// The rules of trying again.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sending {
    /// Calls that one fax may cost in all.
    pub max_calls: u32,
    /// Calls of these in which page data may go out.
    pub max_tries: u32,
    /// Faxes of one user to one number that a call carries at most; 1: each has a call of its own.
    #[serde(default = "one")]
    pub batch: u32,
    /// Pages that a call with several faxes carries at most.
    #[serde(default = "normal_batch_pages")]
    pub batch_pages: u32,
    /// A page whose arrival nobody knows is sent again, stamped as a possible repeat.
    pub repeat_unknown: bool,
    /// Minutes after which a fax that waits is late, for senders who asked to be told (NOTIFY=DELAY).
    #[serde(default = "four_hours")]
    pub delayed_min: u32,
    /// Days that a number's fax machine is remembered to do better with less than everything; 0: not at all.
    pub remember_days: u16,
    /// What goes first of one tenant: 0 first, 9 last.
    #[serde(default = "normal_priority")]
    pub priority: i64,
    /// What an attachment that can't be drawn does to its fax.
    #[serde(default)]
    pub unreadable: Unreadable,
    /// The name of the cover that goes first, or [`NONE`](super::covers::NONE).
    #[serde(default = "plain")]
    pub cover: String,
    /// Where the text of a mail goes.
    #[serde(default)]
    pub body: Body,
    /// Seconds of waiting that make up for one step of priority; 0: none do.
    #[serde(default = "normal_age")]
    pub age_s: u32,
    /// Pages that are wider than long.
    #[serde(default)]
    pub landscape: Landscape,
    /// Pages that are much longer than the paper.
    #[serde(default)]
    pub long: Long,
    /// Pages without a mark.
    #[serde(default)]
    pub blank: Blank,
    /// What of a page becomes dots.
    #[serde(default)]
    pub tone: Tone,
    /// What dots.
    #[serde(default)]
    pub dots: Dots,
    /// What is asked about before it is sent.
    #[serde(default)]
    pub guard: Vec<Guard>,
    /// Who has to approve every fax, by their mail address (lower case); profiles say it.
    #[serde(skip)]
    pub approver: Option<String>,
    /// Hours that a fax is kept back for an answer.
    #[serde(default = "a_day")]
    pub confirm_h: u32,
    /// Whether a mail says that a fax is accepted.
    #[serde(default)]
    pub accepted: Acknowledge,
    /// How many seconds are long.
    #[serde(default = "two_minutes")]
    pub accepted_after_s: u32,
    /// A mail tells of a next call that is so many seconds off; 0: none does.
    #[serde(default = "quarter_of_an_hour")]
    pub delayed_after_s: u32,
    /// Mails about faxes have no subject and no picture of what they are about.
    #[serde(default)]
    pub discreet: bool,
    /// A page for the files goes with the report, as a PDF.
    #[serde(default)]
    pub receipt: bool,
    /// The report for programs goes with it.
    #[serde(default)]
    pub json: bool,
    /// The ladder.
    pub wait_s: Ladder,
}

/// The longest that a fax may be kept back, hours: the table of states allows no more.
const LONGEST_CONFIRM_H: u32 = 168;

fn a_day() -> u32 {
    24
}

fn two_minutes() -> u32 {
    120
}

fn quarter_of_an_hour() -> u32 {
    900
}

fn plain() -> String {
    covers::PLAIN.to_owned()
}

fn normal_priority() -> i64 {
    5
}

fn four_hours() -> u32 {
    240
}

fn one() -> u32 {
    1
}

fn normal_batch_pages() -> u32 {
    40
}

fn normal_age() -> u32 {
    600
}

fn soon() -> Vec<u32> {
    vec![5, 15, 60, 60, 60]
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
    /// We were stopped, or the call overstayed.
    #[serde(default = "soon")]
    pub interrupted: Vec<u32>,
}

impl Sending {
    /// The rules in `folder`, or the built-in ones.
    ///
    /// # Errors
    /// [`PolicyError`], for the operator to read.
    pub fn load(folder: Option<&Path>) -> Result<Self, PolicyError> {
        let rules: Self = super::parse(FILE, &super::text(folder, FILE, BUILT_IN)?)?;
        if !BATCHES.contains(&rules.batch) {
            return Err(PolicyError::Rule {
                file: FILE,
                line: 0,
                message: format!(
                    "a call can't carry {} faxes: 1 to 20 are possible",
                    rules.batch
                ),
            });
        }
        if rules.cover != covers::NONE && !covers::is_cover_name(&rules.cover) {
            return Err(PolicyError::Rule {
                file: FILE,
                line: 0,
                message: format!(
                    "no cover can be called {:?}: {}, or none",
                    rules.cover,
                    covers::NAMES
                ),
            });
        }
        if !(1..=LONGEST_CONFIRM_H).contains(&rules.confirm_h) {
            return Err(PolicyError::Rule {
                file: FILE,
                line: 0,
                message: format!(
                    "confirm_h is from 1 to {LONGEST_CONFIRM_H} hours, not {}",
                    rules.confirm_h
                ),
            });
        }
        if !PRIORITIES.contains(&rules.priority) {
            return Err(PolicyError::Rule {
                file: FILE,
                line: 0,
                message: format!("priority {} is none: 0 is first, 9 is last", rules.priority),
            });
        }
        Ok(rules)
    }

    /// How pages that are not as the paper are laid on it.
    #[must_use]
    pub fn fit(&self) -> Fit {
        Fit {
            landscape: self.landscape,
            long: self.long,
            blank: self.blank,
        }
    }

    /// Milliseconds of waiting that make up for one step of priority.
    #[must_use]
    pub fn age_ms(&self) -> i64 {
        i64::from(self.age_s) * 1000
    }

    /// Milliseconds that a number is remembered.
    #[must_use]
    pub fn remember_ms(&self) -> i64 {
        i64::from(self.remember_days) * 24 * 3_600_000
    }
}

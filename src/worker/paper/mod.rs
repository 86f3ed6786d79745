//! Documents to pages in paper workers: one process for each document.
//!
//! The gateway asks the [`PaperPool`]; the child, already warm and sandboxed, renders with
//! `faxpost_paper` and sends the pages back one by one.

mod child;
mod pool;

use std::time::Duration;

use faxpost_paper::{Cover, Input, Note, PageSetup, PaperError, Template};
use faxpost_t4::{Coding, FaxPage, Resolution};
use serde::{Deserialize, Serialize};

use super::{Blob, LimitHit};
use crate::trouble::Trouble;

pub(super) use child::run;
#[cfg(debug_assertions)]
pub(super) use child::run_with;
pub use pool::PaperPool;

/// What a paper worker is asked, once.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum PaperRequest {
    /// A document's pages.
    Render {
        /// The document.
        input: Input,
        /// What the pages are made to.
        setup: PageSetup,
        /// How much it may ask for.
        limits: faxpost_paper::Limits,
    },
    /// A cover's pages.
    Cover {
        /// What it says.
        cover: Box<Cover>,
        /// What the pages are made to.
        setup: PageSetup,
    },
    /// Whether a cover's template is sound: the pages of one of the samples that it is tried with.
    TryCover {
        /// The template.
        template: Template,
        /// The logo of who would use it.
        logo: Option<Vec<u8>>,
        /// What the pages are made to.
        setup: PageSetup,
    },
    /// A picture made a logo for covers.
    Logo {
        /// Its file name.
        name: String,
        /// The file.
        bytes: Vec<u8>,
    },
}

/// What a cover may compute: a hundred times what one of ours does. A template is anybody's, and while it
/// computes the faxes behind it wait.
const COVER_STEP: Duration = Duration::from_secs(5);

impl PaperRequest {
    /// What its pages are made to.
    #[must_use]
    pub fn setup(&self) -> PageSetup {
        match self {
            Self::Render { setup, .. }
            | Self::Cover { setup, .. }
            | Self::TryCover { setup, .. } => *setup,
            Self::Logo { .. } => PageSetup::a4_fine(),
        }
    }

    /// How many pages there may be.
    #[must_use]
    pub fn max_pages(&self) -> usize {
        match self {
            Self::Render { limits, .. } => limits.max_pages as usize,
            Self::Cover { .. } | Self::TryCover { .. } => faxpost_paper::MAX_COVER_PAGES,
            Self::Logo { .. } => 0,
        }
    }

    /// What it may compute before anything is heard of it, where that is less than any document may.
    fn step(&self) -> Option<Duration> {
        match self {
            Self::Cover { .. } | Self::TryCover { .. } => Some(COVER_STEP),
            Self::Render { .. } | Self::Logo { .. } => None,
        }
    }
}

/// What a paper worker answers: progress and pages in any order, then `Done` or `Failed`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) enum PaperReply {
    /// So many pages are drawn.
    Progress {
        /// Pages drawn.
        done: u32,
        /// Pages in all.
        total: u32,
    },
    /// The next page of the result.
    Page(WirePage),
    /// The logo, where one was asked for.
    Logo(Blob),
    /// All pages were sent.
    Done {
        /// What the sender should know.
        notes: Vec<Note>,
    },
    /// There are no pages, and why.
    Failed(PaperError),
}

/// A [`FaxPage`] whose bytes travel as one run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct WirePage {
    pub width: usize,
    pub height: usize,
    pub resolution: Resolution,
    pub coding: Coding,
    pub data: Blob,
}

impl From<FaxPage> for WirePage {
    fn from(page: FaxPage) -> Self {
        Self {
            width: page.width,
            height: page.height,
            resolution: page.resolution,
            coding: page.coding,
            data: Blob(page.data),
        }
    }
}

impl From<WirePage> for FaxPage {
    fn from(page: WirePage) -> Self {
        Self {
            width: page.width,
            height: page.height,
            resolution: page.resolution,
            coding: page.coding,
            data: page.data.0,
        }
    }
}

/// A rendered document or cover.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PaperDone {
    /// Its pages, MMR coded.
    pub pages: Vec<FaxPage>,
    /// The logo, where one was asked for: a PNG file.
    pub logo: Option<Vec<u8>>,
    /// What the sender should know.
    pub notes: Vec<Note>,
}

/// Why there are no pages. The texts are for logs; `letter` has what the sender reads.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
pub enum PaperFailure {
    /// The document can't be rendered, and never will.
    #[error(transparent)]
    Document(#[from] PaperError),
    /// The document is longer than a worker takes.
    #[error("the document is too large: it has {} MB", bytes.div_ceil(1 << 20))]
    TooLarge {
        /// Of the request.
        bytes: usize,
    },
    /// The document needed more of something than a document gets.
    #[error("{0}")]
    Limit(PaperLimit),
    /// The worker crashed on this document, twice, each time in a fresh process.
    #[error("the document could not be drawn: the program that draws it failed twice")]
    Crashed,
    /// No worker can be started, or the gateway is stopping. Nothing is known of the document.
    #[error("documents can't be drawn at the moment: {0}")]
    Unavailable(String),
}

impl PaperFailure {
    /// Whether the same document may be rendered later.
    #[must_use]
    pub fn trouble(&self) -> Trouble {
        match self {
            // These two are faults of this program, not of the document; they don't go away.
            Self::Document(_) | Self::Crashed => Trouble::Permanent,
            Self::TooLarge { .. } | Self::Limit(_) => Trouble::Permanent,
            Self::Unavailable(_) => Trouble::Temporary,
        }
    }
}

/// A limit that a document ran into.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
pub enum PaperLimit {
    /// Clock time.
    #[error("the document needed more than {} s to draw", .0.as_secs_f64().ceil())]
    Wall(Duration),
    /// Processor time.
    #[error("the document needed more than {} s of computing to draw", .0.as_secs())]
    Processor(Duration),
    /// Processor time of one page.
    #[error("a page of the document needed more than {} s of computing to draw", .0.as_secs())]
    Page(Duration),
    /// Memory.
    #[error("the document needed more than {} MB of memory to draw", .0 >> 20)]
    Memory(u64),
    /// The stack: something in it contains itself, or nearly.
    #[error("the document is nested too deeply to draw")]
    Nesting,
    /// The pages are too large all together.
    #[error("the document's pages are too large: more than {} MB when coded", .0 >> 20)]
    Pages(usize),
}

impl PaperLimit {
    fn hit(hit: LimitHit, limits: &super::Limits) -> Self {
        match hit {
            LimitHit::Processor => Self::Processor(limits.cpu.unwrap_or_default()),
            LimitHit::Stack => Self::Nesting,
            // A paper worker writes no file.
            LimitHit::Memory | LimitHit::FileSize => Self::Memory(limits.address_space),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_are_told_in_plain_words() {
        let limits = super::super::Limits::of(super::super::Kind::Paper);
        let words = |hit| PaperFailure::Limit(PaperLimit::hit(hit, &limits)).to_string();
        assert_eq!(
            words(LimitHit::Memory),
            "the document needed more than 1024 MB of memory to draw"
        );
        assert_eq!(
            words(LimitHit::Processor),
            "the document needed more than 14 s of computing to draw"
        );
        assert_eq!(
            words(LimitHit::Stack),
            "the document is nested too deeply to draw"
        );
        let wall = PaperLimit::Wall(Duration::from_millis(29_500));
        assert_eq!(
            wall.to_string(),
            "the document needed more than 30 s to draw"
        );
    }

    #[test]
    fn only_our_own_absence_is_temporary() {
        let gone = PaperFailure::Unavailable("the gateway is stopping".to_owned());
        assert_eq!(gone.trouble(), Trouble::Temporary);
        for failure in [
            PaperFailure::Document(PaperError::Empty {
                name: "a.pdf".to_owned(),
            }),
            PaperFailure::TooLarge { bytes: 1 },
            PaperFailure::Limit(PaperLimit::Nesting),
            PaperFailure::Crashed,
        ] {
            assert_eq!(failure.trouble(), Trouble::Permanent);
        }
    }
}

//! Documents to fax pages: PDF, pictures, plain text and covers, rendered to bi-level bitmaps.
//!
//! The crate opens no file, no socket and no clock, and holds no key: bytes in, pages out, the same
//! bytes for the same input. It is made to run in a sandboxed child, so every font is embedded
//! (`fonts`) or handed in ([`warm_with`]).
//!
//! In the order a document passes them:
//! `setup` says how large a page is, `pdf`, `picture`, `html` and `text` draw a document in grey (`grey`; what
//! a PDF has by `pencil`, with `coverage` for shapes and `resample` for pictures),
//! `bilevel` makes it black and white: over `cells`, `tone` and `panels` say what is a photograph
//! and what a fill, by what `painter` saw lie where (`layers`, `shapes`), and `dots` draws those.
//! [`cover`] draws cover pages through `typeset`, and `header` prints the header line at call
//! time. `error` has what can go wrong and what is worth telling. Beside them `unzip` opens zip files, and
//! `charset` reads text whatever its octets mean.
#![forbid(unsafe_code)]

mod bilevel;
mod cells;
mod charset;
mod cover;
mod coverage;
mod dots;
mod error;
mod fonts;
mod grey;
mod header;
mod html;
mod layers;
mod painter;
mod panels;
mod pdf;
mod pencil;
mod picture;
mod resample;
mod script;
mod setup;
mod shapes;
mod sheets;
mod text;
mod tone;
mod typeset;
mod unzip;

use std::panic::{AssertUnwindSafe, catch_unwind};

use faxpost_t4::{Bitmap, Coding, FaxPage};
use serde::{Deserialize, Serialize};

pub use charset::text as text_of;
pub use cover::{
    Cover, LOGO_OCTETS, Language, MAX_COVER_PAGES, TEMPLATE_OCTETS, Template, cover, logo,
    sample_covers, try_template,
};
pub use error::{Note, PaperError, Reason, TemplateFault};
pub use fonts::{Face, ReadFont, embedded_has};
pub use header::{HeaderLine, header_line, stamp, stamp_bitmap};
pub use html::Enclosed;
pub use script::Script;
pub use setup::{Blank, Dots, Fit, Landscape, Long, PageSetup, Paper, Tone};
pub use unzip::{ZipFault, ZipLimits, Zipped, unzip};

/// A document to render. `name` is the attachment's, for messages.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Input {
    /// A PDF file.
    Pdf {
        /// What the sender calls it.
        name: String,
        /// The file.
        bytes: Vec<u8>,
        /// The password that opens it, when the sender gave one.
        password: Option<String>,
    },
    /// A picture: JPEG, PNG, GIF, WebP, BMP or TIFF; which, its first octets say.
    Picture {
        /// What the sender calls it.
        name: String,
        /// The file.
        bytes: Vec<u8>,
        /// Its mail shows it within the text: then a small one is a logo or a signature and becomes no page.
        shown: bool,
    },
    /// Plain text.
    Text {
        /// What the sender calls it.
        name: String,
        /// The text; any line ends, tabs stand every 8 columns.
        text: String,
    },
    /// An HTML text, as mails have them. What it hides is not drawn, and nothing is fetched.
    Html {
        /// What the sender calls it.
        name: String,
        /// The text.
        html: String,
        /// The pictures that came with it.
        pictures: Vec<Enclosed>,
    },
}

impl Input {
    /// What the sender calls the document.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Pdf { name, .. }
            | Self::Picture { name, .. }
            | Self::Text { name, .. }
            | Self::Html { name, .. } => name,
        }
    }
}

/// How much a document may ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Pages at most; a longer document is refused whole, never cut.
    pub max_pages: u32,
    /// Pixels that a picture may have at most; a larger one is refused before memory is taken for it.
    pub max_pixels: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_pages: 200,
            max_pixels: 100_000_000,
        }
    }
}

/// A rendered document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rendered {
    /// Its pages, MMR coded, all of the set-up's width and height; none for a logo or a signature.
    pub pages: Vec<FaxPage>,
    /// What the sender should know, each once, in page order.
    pub notes: Vec<Note>,
}

/// Whether a file begins as a picture that [`render`] reads.
#[must_use]
pub fn is_picture(bytes: &[u8]) -> bool {
    picture::Format::of(bytes).is_some()
}

/// Whether a file is a picture so small that a mail which shows it within its text means an ornament: a logo,
/// a signature, a dot that tells who read it. Only its header is read.
#[must_use]
pub fn is_ornament(bytes: &[u8]) -> bool {
    picture::is_ornament_file(bytes)
}

/// Renders a document to fax pages.
///
/// `progress` is called after each page with pages done and pages in all. A damaged document is an
/// error and no panic; what a document can still do is use too much memory, processor time or
/// stack, which the process that calls this must bound.
///
/// # Errors
/// See [`PaperError`]; all are permanent, the same document fails again.
pub fn render(
    input: &Input,
    setup: &PageSetup,
    limits: &Limits,
    progress: &mut dyn FnMut(u32, u32),
) -> Result<Rendered, PaperError> {
    setup.check()?;
    // The readers below take hostile bytes; none is known to panic, and one that does costs this
    // document only.
    catch_unwind(AssertUnwindSafe(|| match input {
        Input::Pdf {
            name,
            bytes,
            password,
        } => pdf::render(name, bytes, password.as_deref(), setup, limits, progress),
        Input::Picture { name, bytes, shown } => {
            picture::render(name, bytes, *shown, setup, limits, progress)
        }
        Input::Text { name, text } => text::render(name, text, setup, limits, progress),
        Input::Html {
            name,
            html,
            pictures,
        } => html::render(name, html, pictures, setup, limits, progress),
    }))
    .unwrap_or_else(|_| {
        Err(PaperError::Damaged {
            name: input.name().to_owned(),
            reason: Reason::NotDrawn,
        })
    })
}

/// Builds what every document needs (fonts, the typesetter), so that a worker started ahead
/// answers its document at once. Doing without costs the first document some milliseconds.
pub fn warm() {
    warm_with(Vec::new(), Box::new(|_| None));
}

/// As [`warm`], with more fonts for scripts that the embedded family lacks: what they have, and how the files
/// are read, once one is needed. The first call in a process decides, rendering without a call counts as one;
/// later calls change nothing.
pub fn warm_with(faces: Vec<Face>, read: ReadFont) {
    fonts::install(faces, read);
    typeset::warm();
}

/// Codes a finished bitmap as the page that renditions keep (MMR, the smallest coding; a call
/// recodes to what the far end takes).
fn code(bitmap: &Bitmap, setup: &PageSetup) -> FaxPage {
    FaxPage::encode(bitmap, setup.resolution, Coding::Mmr)
}

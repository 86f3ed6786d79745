//! A mail, taken apart: the documents in it that become pages, in its order, and what was left out, and why.
//!
//! Bytes in, values out: this room opens no file and asks nobody. It takes containers apart and says what
//! each thing in them is (`kinds`); what a document shows is read in a paper worker alone.

mod kinds;
mod parts;
mod password;

pub use kinds::Conversion;
use kinds::Looks;
pub use password::{Password, password};

/// What the sender and this gateway say of a mail's documents.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// What is made a PDF here before it is drawn; any other such document is left out as unsupported.
    pub conversions: Vec<Conversion>,
}

/// A mail, taken apart for the fax.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contents {
    /// The subject, for the cover.
    pub subject: String,
    /// The mail's own text, for the cover or the first page.
    pub text: String,
    /// What becomes pages, in order.
    pub documents: Vec<Document>,
    /// What does not, in order.
    pub left_out: Vec<LeftOut>,
}

/// One document that can be drawn.
#[derive(Clone, PartialEq, Eq)]
pub struct Document {
    /// Its file name, or what stands for it.
    pub name: String,
    /// What it is.
    pub kind: Kind,
    /// Its bytes, decoded.
    pub bytes: Vec<u8>,
}

/// What can be drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A PDF.
    Pdf,
    /// A picture.
    Picture {
        /// The mail shows it within its text.
        shown: bool,
    },
    /// Plain text, already UTF-8.
    Text,
    /// What is made a PDF first; only what [`Options::conversions`] names.
    Convert(Conversion),
}

/// A part of the mail that becomes no page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftOut {
    /// Its file name, or what stands for it.
    pub name: String,
    /// Why.
    pub reason: Reason,
}

/// Why a part becomes no page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// It is of a kind that can't be drawn.
    Unsupported {
        /// Its media type.
        media_type: String,
    },
}

impl std::fmt::Debug for Document {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Document({:?}, {} octets)", self.kind, self.bytes.len())
    }
}

/// Takes a mail apart; `None` when it can't be read at all.
#[must_use]
pub fn read(message: &[u8], options: &Options) -> Option<Contents> {
    parts::read(message, options)
}

impl Looks<'_> {
    /// The kind of document that it is drawn as.
    fn kind(&self, options: &Options) -> Result<Kind, Reason> {
        let unsupported = || Reason::Unsupported {
            media_type: self.media_type.to_owned(),
        };
        if self.is_pdf() {
            return Ok(Kind::Pdf);
        }
        if self.is_picture() {
            return Ok(Kind::Picture { shown: self.shown });
        }
        if let Some(conversion) = self.conversion() {
            let known = options.conversions.contains(&conversion);
            return known
                .then_some(Kind::Convert(conversion))
                .ok_or_else(unsupported);
        }
        if self.media_type == "text/plain" {
            return Ok(Kind::Text);
        }
        Err(unsupported())
    }
}

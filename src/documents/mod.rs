//! A mail, taken apart: the documents in it that become pages, in its order, and what was left out, and why.
//!
//! Bytes in, values out: this room opens no file and asks nobody. It takes containers apart within bounds
//! (`parts` MIME and mails within mails, `files` attachments and zip files, `tnef` Outlook's `winmail.dat` and `rtf` its text),
//! says what each thing in them is (`kinds`), and which of a mail's alternative texts is drawn (`words`).
//! What a document shows is read in a paper worker alone.

mod files;
mod kinds;
mod list;
mod parts;
mod password;
mod rtf;
#[cfg(test)]
mod tests;
mod tnef;
mod words;

use faxpost_paper::{Enclosed, ZipFault};
use mail_parser::Message;
use serde::{Deserialize, Serialize};

pub use kinds::Conversion;
pub use list::{LIST, asks_for_list, list};
pub use password::{Password, password};

use crate::{
    language::Language,
    options::{self, Fault, Place, Wishes},
};

/// What the sender and this gateway say of a mail's documents.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// What is made a PDF here before it is drawn; any other such document is left out as unsupported.
    pub conversions: Vec<Conversion>,
    /// Its distribution list is no document.
    pub list: bool,
    /// Of the few words that stand above a mail within the mail.
    pub language: Language,
}

/// A mail, taken apart for the fax.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Contents {
    /// The subject, for the cover.
    pub subject: String,
    /// What the To and Cc lines call their addresses: address and name.
    pub named: Vec<(String, String)>,
    /// The sender's own text was taken out, as their profile has it.
    pub text_ignored: bool,
    /// What becomes pages, in order; the mail's own text among them.
    pub documents: Vec<Document>,
    /// What does not, in order.
    pub left_out: Vec<LeftOut>,
}

impl Contents {
    /// What the mail's header calls this address.
    #[must_use]
    pub fn name_of(&self, address: &str) -> Option<String> {
        let found = self
            .named
            .iter()
            .find(|(named, _)| named.eq_ignore_ascii_case(address))?;
        Some(found.1.clone())
    }

    /// The mail's own text when a cover can print it. A text with tables or pictures has pages of its own.
    #[must_use]
    pub fn cover_text(&self) -> Option<&Document> {
        let text = self.documents.iter().find(|document| document.own_text)?;
        let plain = match &text.kind {
            Kind::Html { rich, .. } => !rich,
            _ => true,
        };
        plain.then_some(text)
    }
}

/// One document that can be drawn.
#[derive(Clone, PartialEq, Eq)]
pub struct Document {
    /// Its file name, or what stands for it; empty for the mail's own text.
    pub name: String,
    /// What it is.
    pub kind: Kind,
    /// Its bytes, decoded; text is UTF-8.
    pub bytes: Vec<u8>,
    /// It is the text that the sender wrote.
    pub own_text: bool,
}

/// What can be drawn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A PDF.
    Pdf,
    /// A picture.
    Picture {
        /// The mail shows it within its text.
        shown: bool,
    },
    /// Plain text.
    Text,
    /// HTML.
    Html {
        /// The pictures that it shows; of its ornaments, which are documents of their own, only the ids.
        pictures: Vec<Enclosed>,
        /// It has tables or pictures that plain text can't have.
        rich: bool,
        /// Pictures that it would have from the web, for who does not draw it as pages.
        remote: u32,
    },
    /// What is made a PDF first; only what [`Options::conversions`] names.
    Convert(Conversion),
}

/// A part of the mail that becomes no page.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeftOut {
    /// Its file name, or what stands for it.
    pub name: String,
    /// Why.
    pub reason: Reason,
}

/// Why a part becomes no page. The texts are what the sender reads.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
pub enum Reason {
    /// It is of a kind that can't be drawn.
    #[error("{media_type} can't be drawn; save it as PDF")]
    Unsupported {
        /// Its media type.
        media_type: String,
    },
    /// A photo as iPhones keep them.
    #[error("HEIC pictures are not supported; send it as JPEG")]
    Heic,
    /// Mail or file that only its recipient can open.
    #[error("it is encrypted; send it without")]
    Encrypted,
    /// A signed mail whose text is wrapped into its signature.
    #[error("it is signed in a way that hides its text; sign it as clear text")]
    Wrapped,
    /// A zip file, or a file in one.
    #[error("{0}")]
    Zip(ZipFault),
    /// A zip file with nothing in it.
    #[error("nothing is in it")]
    Nothing,
    /// A container that can't be read.
    #[error("it is cut off or its structure is broken")]
    Broken,
    /// Containers in containers in containers.
    #[error("it is packed within too many other files")]
    TooDeep,
    /// More files than are looked at.
    #[error("it holds too many files")]
    TooMany,
    /// Pictures of the mail's text: nothing is ever fetched.
    #[error("pictures from the web, which are never fetched: {count}")]
    Remote {
        /// How many.
        count: u32,
    },
    /// A signature or a key: made for programs, not to be read.
    #[error("it is a signature or a key, which has no page")]
    Signature,
    /// A calendar entry.
    #[error("it is a calendar entry, which has no page")]
    Calendar,
    /// A contact card.
    #[error("it is a contact card, which has no page")]
    Card,
}

impl Reason {
    /// Whether the sender may have meant it to be read: nobody misses the others.
    #[must_use]
    pub fn is_missed(&self) -> bool {
        !matches!(
            self,
            Self::Remote { .. } | Self::Signature | Self::Calendar | Self::Card
        )
    }

    /// Whether it is damaged, not merely unsuited.
    #[must_use]
    pub fn is_damage(&self) -> bool {
        matches!(self, Self::Broken | Self::Zip(ZipFault::Broken))
    }
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

/// What the mail's own text asks of its fax, in the lines that it begins with. The plain form counts where both have
/// such lines.
///
/// # Errors
/// [`Fault`].
pub fn wishes(mail: &Message<'_>) -> Result<Wishes, Fault> {
    let words = parts::own_words(mail);
    let in_plain = words.plain.as_deref().map(|text| options::of_text(text).0);
    let in_html = || words.html.as_deref().map(|html| options::of_html(html).0);
    let lists = in_plain.filter(|lists| !lists.is_empty()).or_else(in_html);
    options::of_list(&lists.unwrap_or_default().join(","), Place::Body)
}

/// For the fuzz targets: the reader of `winmail.dat`.
#[doc(hidden)]
pub fn fuzz_tnef(bytes: &[u8]) {
    let _ = tnef::read(bytes);
}

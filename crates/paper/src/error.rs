//! What can go wrong with a document, and what is worth telling about one that went well.
//!
//! One error type: the caller answers by kind (ask for a password, name the attachment, suggest
//! splitting), and prints the rest as it is. All are permanent.

use serde::{Deserialize, Serialize};

use crate::script::{Missing, Script};

/// Why a document did not become pages. The texts are what the sender reads.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
pub enum PaperError {
    /// The document is encrypted and no password was given.
    #[error(
        "“{name}” is protected by a password: save it without one and send it again, or send the mail again \
         with the password in a header line of its own, X-Fax-Document-Password"
    )]
    PasswordNeeded {
        /// The document.
        name: String,
    },
    /// The document is encrypted and the password given does not open it.
    #[error(
        "the password given (X-Fax-Document-Password) does not open “{name}”: mind capitals, or save the \
         document without a password, and send it again"
    )]
    PasswordWrong {
        /// The document.
        name: String,
    },
    /// The document can't be read.
    #[error("“{name}” is damaged: {reason}")]
    Damaged {
        /// The document.
        name: String,
        /// How.
        reason: Reason,
    },
    /// The document is in a form that this version doesn't read.
    #[error("“{name}” can't be read here: {reason}")]
    Unsupported {
        /// The document.
        name: String,
        /// How.
        reason: Reason,
    },
    /// The document is longer than allowed.
    #[error("“{name}” has more than {limit} pages, the most that one fax may have")]
    TooManyPages {
        /// The document.
        name: String,
        /// The limit that it exceeds.
        limit: u32,
    },
    /// The document has nothing to send.
    #[error("“{name}” is empty")]
    Empty {
        /// The document.
        name: String,
    },
    /// The page set-up or the page handed in isn't one that a fax can have. A fault of the
    /// caller, not of the sender.
    #[error("the page set-up is wrong: {0}")]
    Setup(String),
    /// The typesetter refused our own template. A fault of this program.
    #[error("the page could not be composed: {0}")]
    Compose(String),
    /// A cover's template is faulty, or fails on what it is given.
    #[error("the cover “{name}” has an error{}: {}", english_place(fault), fault.said)]
    Template {
        /// The template.
        name: String,
        /// What, and where.
        fault: TemplateFault,
    },
    /// A cover's template makes more pages than a cover may have, whatever the message.
    #[error("the cover “{name}” makes more than {limit} pages before any text of the mail")]
    CoverPages {
        /// The template.
        name: String,
        /// The most.
        limit: u32,
    },
}

/// What is wrong in a template: typst's own words, which are English.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TemplateFault {
    /// Line and column, from 1, where typst knows them.
    pub place: Option<(u32, u32)>,
    /// What, with typst's hints.
    pub said: String,
}

impl TemplateFault {
    /// What typst said. It may repeat values that it was given: it is kept short, and to one line.
    pub(crate) fn new(place: Option<(u32, u32)>, message: &str, hints: &[&str]) -> Self {
        let mut said = message.to_owned();
        for hint in hints {
            said = format!("{said} (hint: {hint})");
        }
        let line = said.split_whitespace().collect::<Vec<_>>().join(" ");
        let mut short: String = line
            .chars()
            .filter(|c| !c.is_control())
            .take(MOST_SAID)
            .collect();
        if short.len() < line.len() {
            short.push('…');
        }
        Self { place, said: short }
    }
}

impl TemplateFault {
    /// The same without the values that the template was given: what typst repeats and the template itself does
    /// not have came from a mail, whose words must not be kept with the fault.
    pub(crate) fn without_values(self, source: &str) -> Self {
        // Hints repeat values as well, and what stands behind a colon does so without quotes.
        let message = self.said.split(" (hint: ").next().unwrap_or_default();
        let (message, told) = match message.split_once(": ") {
            Some((kind, told)) if !source.contains(told) => (kind, ": …"),
            _ => (message, ""),
        };
        let mut said = String::with_capacity(self.said.len());
        let mut rest = message;
        while let Some((before, behind)) = rest.split_once('"') {
            let end = closing_quote(behind);
            let (value, after) = behind.split_at(end.unwrap_or(behind.len()));
            let own = source.contains(&format!("\"{value}\"")) || is_name(value, source);
            said += before;
            said.push('"');
            said += if own { value } else { "…" };
            rest = match end {
                Some(_) => {
                    said.push('"');
                    &after[1..]
                }
                None => "",
            };
        }
        said += rest;
        said += told;
        Self { said, ..self }
    }
}

/// Where a text that typst quotes ends.
fn closing_quote(text: &str) -> Option<usize> {
    let mut escaped = false;
    text.char_indices().find_map(|(at, c)| match c {
        _ if std::mem::take(&mut escaped) => None,
        '\\' => {
            escaped = true;
            None
        }
        '"' => Some(at),
        _ => None,
    })
}

/// Whether a text is the name of something that the template asks for, such as a field that is not there.
fn is_name(text: &str, source: &str) -> bool {
    let fit = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    !text.is_empty() && text.chars().all(fit) && source.contains(&format!(".{text}"))
}

/// Characters of what typst says of a fault, at most.
const MOST_SAID: usize = 500;

fn english_place(fault: &TemplateFault) -> String {
    match fault.place {
        Some((line, column)) => format!(" in line {line}, column {column}"),
        None => String::new(),
    }
}

/// What is wrong with a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
pub enum Reason {
    /// It has another format.
    #[error("it is not a PDF file")]
    NotPdf,
    /// Its structure can't be followed.
    #[error("it is cut off or its structure is broken")]
    Broken,
    /// It has no page that can be found.
    #[error("no page could be found in it")]
    NoPage,
    /// A page whose size is nothing, or beyond measure.
    #[error("page {page} has no usable size")]
    PageSize {
        /// From 1.
        page: u32,
    },
    /// It says that it is encrypted, and how can't be read.
    #[error("its encryption is broken")]
    EncryptionBroken,
    /// An encryption that no reader of ours knows.
    #[error("it is encrypted in an uncommon way")]
    EncryptionUnknown,
    /// It is none of the pictures that are read.
    #[error("it is not a JPEG, PNG, GIF, WebP, BMP or TIFF picture")]
    NotPicture,
    /// A picture in a kind of its format that is not read.
    #[error("it is a kind of picture file that is not read; save it as JPEG or PNG")]
    PictureKind,
    /// A picture with more pixels than are taken.
    #[error("the picture has too many pixels; 100 million are taken")]
    PictureSize,
    /// An HTML text with more elements, or deeper ones, than are laid out.
    #[error("it has more parts, or more within each other, than are laid out; send it as a PDF")]
    TooMuch,
    /// The program that draws it gave up.
    #[error("it could not be drawn")]
    NotDrawn,
}

/// Something about a rendered document that its sender should know.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
pub enum Note {
    /// A font isn't in the document; the text was drawn with another one.
    #[error("the font {font} is not in the document, its text was drawn in a similar one")]
    FontSubstituted {
        /// The font that the document names.
        font: String,
    },
    /// A font isn't in the document and none here has its characters: text is missing.
    #[error(
        "the font {font} is not in the document and none here has {}: text is missing; ask the administrator for a font",
        script.english()
    )]
    FontMissing {
        /// The font that the document names.
        font: String,
        /// What its text is written in.
        script: Script,
    },
    /// A font in the document is of an unknown kind: text is missing.
    #[error("a font of the document could not be read: text may be missing")]
    FontUnreadable,
    /// Characters that no font here has.
    #[error(
        "{count} characters ({}) have no shape in the fonts here and can't be read on the page; ask the \
         administrator for a font",
        names(scripts)
    )]
    CharactersMissing {
        /// How many.
        count: u32,
        /// What they are written in.
        scripts: Vec<Script>,
    },
    /// A small picture that the mail shows within its text: it became no page.
    #[error("it is a small picture within the text, as logos and signatures are, and was left out")]
    LeftOut,
    /// A picture that moves: only its first moment is on the page.
    #[error("the picture moves; only its first moment is on the page")]
    Animation,
    /// Pictures that the text shows from the web: they are never fetched.
    #[error("pictures from the web were not fetched: {count}")]
    RemotePictures {
        /// How many.
        count: u32,
    },
    /// A picture in the document is damaged and was left out.
    #[error("a picture in the document could not be read and is missing")]
    PictureMissing,
    /// A form field or comment has no drawing in the document and was left out.
    #[error("a form field or comment could not be drawn")]
    AnnotationMissing,
    /// A page is larger than the paper and was made much smaller.
    #[error("page {page} was reduced to {percent} % to fit the paper")]
    Reduced {
        /// Page of the document, from 1.
        page: u32,
        /// Of its own size.
        percent: u32,
    },
    /// What is on the screen and not in print was left out.
    #[error("page {page} has a comment or field that is marked not to be printed; it was left out")]
    NotPrinted {
        /// Page of the document, from 1.
        page: u32,
    },
    /// A form field has more text than fits it.
    #[error("a form field has more text than room; the rest of it can't be seen")]
    FieldCut,
    /// A form that only its maker's programs draw.
    #[error(
        "the form is of a kind (XFA) that few programs can show: print it to a PDF and send that"
    )]
    FormUnsupported,
    /// A page is longer than the paper and became several.
    #[error("page {page} is longer than the paper and was cut into {parts} pages")]
    Cut {
        /// Page of the document, from 1.
        page: u32,
        /// Pages that it became.
        parts: u32,
    },
    /// What typst warns of in a cover's template.
    #[error("{}{}", fault.said, english_place(fault))]
    Template {
        /// What, and where.
        fault: TemplateFault,
    },
    /// Blank pages were left out, as the profile says.
    #[error("{} left out", blank_pages(pages))]
    BlankLeftOut {
        /// Pages of the document, from 1.
        pages: Vec<u32>,
    },
}

fn blank_pages(pages: &[u32]) -> String {
    let numbers: Vec<String> = pages.iter().map(u32::to_string).collect();
    match numbers.as_slice() {
        [one] => format!("the blank page {one} was"),
        more => format!("the blank pages {} were", more.join(", ")),
    }
}

fn names(scripts: &[Script]) -> String {
    let names: Vec<&str> = scripts.iter().map(|script| script.english()).collect();
    names.join(", ")
}

impl Note {
    /// What is to be told of characters that no font has, if there are any.
    pub(crate) fn missing(missing: Missing) -> Option<Self> {
        (missing.count > 0).then_some(Self::CharactersMissing {
            count: missing.count,
            scripts: missing.scripts,
        })
    }
}

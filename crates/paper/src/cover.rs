//! The cover: who, to whom, when, how many pages, about what, and the mail's own text.
//!
//! What it looks like is a typst template's to say (`docs/covers.md`): the plain one is built in, others are
//! handed in as source, and may be anybody's. Each is given the same values; text among them is never source.

mod labels;
mod logo;
mod sample;

use std::borrow::Cow;

use faxpost_t4::{Bitmap, FaxPage};
use serde::{Deserialize, Serialize};
use typst::{
    foundations::{Bytes, IntoValue, Value},
    syntax::Source,
};

use crate::text::{INK, prepare};
use crate::{Note, PageSetup, PaperError, Rendered, bilevel, code, html, typeset};
use labels::Labels;

pub use labels::Language;
pub use logo::{LOGO_OCTETS, logo};
pub use sample::sample_covers;

/// Pages that a cover may have; a longer message is cut, and the cover says so.
pub const MAX_COVER_PAGES: usize = 3;

/// Octets that a template may have.
pub const TEMPLATE_OCTETS: usize = 128 << 10;

/// Where a cut message starts to be worth trying: what three pages hold at most.
const MOST_CHARACTERS: usize = 14_000;
const MOST_LINES: usize = 190;

/// The most that a field of one line may hold; the rest is cut.
const MOST_IN_FIELD: usize = 200;

/// How often a cover is set again because its own number of pages, which it prints, was another.
const SETTINGS: u32 = 3;

/// What a cover looks like.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Template {
    /// What people call it.
    pub name: String,
    /// Typst.
    pub source: String,
}

impl Default for Template {
    /// The plain one.
    fn default() -> Self {
        Self {
            name: "plain".to_owned(),
            source: include_str!("../../../policies/covers/plain.typ").to_owned(),
        }
    }
}

impl std::fmt::Debug for Template {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Template({:?})", self.name)
    }
}

/// What a cover says. Empty fields are left out, with their labels.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cover {
    /// How it says it.
    pub template: Template,
    /// A picture at the head of the page, as [`logo()`] made it.
    pub logo: Option<Vec<u8>>,
    /// The company, at the head of the page.
    pub organisation: String,
    /// The sender's name.
    pub from_name: String,
    /// The number to answer to.
    pub from_number: String,
    /// The sender's mail address.
    pub from_address: String,
    /// The recipient's name.
    pub to_name: String,
    /// The number dialled.
    pub to_number: String,
    /// Date and time as they are to be printed; this crate has no clock.
    pub date: String,
    /// What it is about, the mail's subject.
    pub subject: String,
    /// The mail's text.
    pub message: String,
    /// `message` is HTML: its words are printed.
    pub message_is_html: bool,
    /// Pages that follow the cover. The cover prints the sum of these and its own.
    pub document_pages: u32,
    /// Small print at the foot: an address, a notice.
    pub footer: String,
    /// The labels' language.
    pub language: Language,
}

/// Draws a cover: one page, up to [`MAX_COVER_PAGES`] when the message is long; one that is cut says so at its
/// end.
///
/// # Errors
/// `Setup` for a width that no fax has; `Template` and `CoverPages` when the template fails. One of somebody
/// else's may also use up whatever the process around this lets it.
pub fn cover(cover: &Cover, setup: &PageSetup) -> Result<Rendered, PaperError> {
    setup.check()?;
    let set = set(cover, setup).map_err(|error| match error {
        PaperError::Template { name, fault } => PaperError::Template {
            fault: fault.without_values(&cover.template.source),
            name,
        },
        other => other,
    })?;
    Ok(Rendered {
        notes: Note::missing(set.composed.missing()).into_iter().collect(),
        pages: set.draw(setup),
    })
}

/// Draws each of [`sample_covers`] with a template, to see whether it is sound. What it draws are the pages of
/// the first; the notes are what typst warns of.
///
/// # Errors
/// As [`cover()`].
pub fn try_template(
    template: &Template,
    logo: Option<&[u8]>,
    setup: &PageSetup,
) -> Result<Rendered, PaperError> {
    setup.check()?;
    let mut tried = Rendered {
        pages: Vec::new(),
        notes: Vec::new(),
    };
    for sample in sample_covers(template, logo) {
        let set = set(&sample, setup)?;
        let pages = set.draw(setup);
        for fault in set.warnings {
            let note = Note::Template { fault };
            if !tried.notes.contains(&note) {
                tried.notes.push(note);
            }
        }
        if tried.pages.is_empty() {
            tried.pages = pages;
        }
    }
    Ok(tried)
}

/// A cover that was set, not yet drawn.
struct Set {
    composed: typeset::Composed,
    warnings: Vec<crate::error::TemplateFault>,
}

impl Set {
    fn draw(&self, setup: &PageSetup) -> Vec<FaxPage> {
        (0..self.composed.pages())
            .map(|index| code(&self.page(index, setup), setup))
            .collect()
    }

    /// Letters and lines are sharpest by one threshold; a grey or a colour needs more, and so does a logo.
    fn page(&self, index: usize, setup: &PageSetup) -> Bitmap {
        let grey = self.composed.draw(index, setup);
        let mut page = match self.composed.is_plain(index) {
            true => grey.threshold(INK),
            false => bilevel::to_bitmap(&grey, setup, |layers| layers),
        };
        for (columns, rows) in self.composed.pictures(index, setup) {
            logo::print(&grey, columns, rows, setup.resolution, &mut page);
        }
        page
    }
}

/// Sets a cover with as much of its message as its pages hold.
fn set(cover: &Cover, setup: &PageSetup) -> Result<Set, PaperError> {
    let template = Source::detached(cover.template.source.as_str());
    let words = match cover.message_is_html {
        true => Cow::Owned(html::words(&cover.message)),
        false => Cow::Borrowed(cover.message.as_str()),
    };
    let message = prepare(words.trim_end()).replace('\u{c}', "\n");
    let (mut kept, mut cut) = first_of(&message, MOST_CHARACTERS, MOST_LINES);
    let (mut pages, mut settings) = (1, 1);
    loop {
        let set = compose(&template, cover, kept, cut, pages, setup)?;
        let now = set.composed.pages();
        if now > MAX_COVER_PAGES {
            if kept.is_empty() {
                return Err(too_many(cover));
            }
            if !cut || settings < SETTINGS {
                // Is it the message's fault? If not, no shorter one helps.
                let bare = compose(&template, cover, "", true, MAX_COVER_PAGES, setup)?;
                if bare.composed.pages() > MAX_COVER_PAGES {
                    return Err(too_many(cover));
                }
                settings = SETTINGS;
                pages = MAX_COVER_PAGES;
            }
            // By characters alone, so that it ends whatever the lines are like.
            (kept, _) = first_of(kept, kept.chars().count() * 7 / 8, usize::MAX);
            cut = true;
        } else if now != pages && settings < SETTINGS {
            (pages, settings) = (now, settings + 1);
        } else {
            return Ok(set);
        }
    }
}

fn too_many(cover: &Cover) -> PaperError {
    PaperError::CoverPages {
        name: cover.template.name.clone(),
        limit: MAX_COVER_PAGES as u32,
    }
}

fn compose(
    template: &Source,
    cover: &Cover,
    message: &str,
    cut: bool,
    pages: usize,
    setup: &PageSetup,
) -> Result<Set, PaperError> {
    let labels = Labels::of(cover.language);
    let text = |field: &str| one_line(field).into_value();
    let footer = prepare(first_of(cover.footer.trim(), 400, 4).0);
    let logo = cover
        .logo
        .as_ref()
        .map_or(Value::None, |logo| Value::Bytes(Bytes::new(logo.clone())));
    let document_pages = i64::from(cover.document_pages);
    let given = [
        ("company", text(&cover.organisation)),
        ("logo", logo),
        ("footer", footer.into_value()),
        ("from-name", text(&cover.from_name)),
        ("from-number", text(&cover.from_number)),
        ("from-address", text(&cover.from_address)),
        ("to-name", text(&cover.to_name)),
        ("to-number", text(&cover.to_number)),
        ("date", text(&cover.date)),
        ("subject", text(&cover.subject)),
        ("message", message.into_value()),
        ("cut", cut.into_value()),
        ("pages", (document_pages + pages as i64).into_value()),
        ("cover-pages", (pages as i64).into_value()),
        ("document-pages", document_pages.into_value()),
        ("language", labels.language.into_value()),
        ("labels", labels.values()),
    ];
    let composed = typeset::compose_foreign(template, given, setup);
    let (composed, warnings) = composed.map_err(|fault| PaperError::Template {
        name: cover.template.name.clone(),
        fault,
    })?;
    Ok(Set { composed, warnings })
}

/// The field as one line of bounded length, with places to break long words.
fn one_line(field: &str) -> String {
    let line = field.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut short: String = line.chars().take(MOST_IN_FIELD).collect();
    if short.len() < line.len() {
        short.push('…');
    }
    prepare(&short)
}

/// The first `characters` and `lines` of a text, and whether that left something out.
fn first_of(text: &str, characters: usize, lines: usize) -> (&str, bool) {
    let by_characters = text
        .char_indices()
        .nth(characters)
        .map_or(text.len(), |(at, _)| at);
    let by_lines = text
        .match_indices('\n')
        .nth(lines.saturating_sub(1))
        .map_or(text.len(), |(at, _)| at);
    let end = by_characters.min(by_lines);
    (text[..end].trim_end(), end < text.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cutting_counts_characters_and_lines() {
        assert_eq!(first_of("héllo", 3, 9), ("hél", true));
        assert_eq!(first_of("a\nb\nc", 99, 2), ("a\nb", true));
        assert_eq!(first_of("a\nb", 99, 2), ("a\nb", false));
        assert_eq!(first_of("", 0, 0), ("", false));
    }

    #[test]
    fn fields_are_one_line() {
        assert_eq!(one_line("a\r\n b\t c "), "a b c");
        let long = one_line(&"é ".repeat(500));
        assert!(long.chars().count() <= MOST_IN_FIELD + 1 && long.ends_with('…'));
    }
}

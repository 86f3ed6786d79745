//! The cover: who, to whom, when, how many pages, about what, and the mail's own text.

use std::{borrow::Cow, sync::LazyLock};

use faxpost_t4::FaxPage;
use serde::{Deserialize, Serialize};
use typst::syntax::Source;

use crate::text::{INK, prepare};
use crate::{PageSetup, PaperError, code, html, typeset};

static TEMPLATE: LazyLock<Source> =
    LazyLock::new(|| Source::detached(include_str!("../templates/cover.typ")));

/// Pages that a cover may have; a longer message is cut, and the cover says so.
pub const MAX_COVER_PAGES: usize = 3;

/// Where a cut message starts to be worth trying: what three pages hold at most.
const MOST_CHARACTERS: usize = 14_000;
const MOST_LINES: usize = 190;

/// The most that a field of one line may hold; the rest is cut.
const MOST_IN_FIELD: usize = 200;

/// The language of a cover's labels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Language {
    /// English.
    #[default]
    En,
    /// French.
    Fr,
}

/// What a cover says. Empty fields are left out, with their labels.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cover {
    /// The company, at the head of the page.
    pub organisation: String,
    /// The sender's name.
    pub from_name: String,
    /// The number to answer to.
    pub from_number: String,
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
    /// Small print at the foot, such as a notice of confidentiality.
    pub notice: String,
    /// The labels' language.
    pub language: Language,
}

/// Draws a cover: one page, up to [`MAX_COVER_PAGES`] when the message is long. Each page but the
/// last says that it is continued, and a message that is cut says so at its end.
///
/// # Errors
/// `Setup` for a width that no fax has; `Compose` when the template fails.
pub fn cover(cover: &Cover, setup: &PageSetup) -> Result<Vec<FaxPage>, PaperError> {
    setup.check()?;
    let labels = Labels::of(cover.language);
    let words = match cover.message_is_html {
        true => Cow::Owned(html::words(&cover.message)),
        false => Cow::Borrowed(cover.message.as_str()),
    };
    let message = prepare(words.trim_end());
    let (mut kept, mut cut) = first_of(&message, MOST_CHARACTERS, MOST_LINES);
    let composed = loop {
        let composed = compose(cover, labels, kept, cut, setup)?;
        if composed.pages() <= MAX_COVER_PAGES || kept.is_empty() {
            break composed;
        }
        // By characters alone, so that it ends whatever the lines are like.
        (kept, _) = first_of(kept, kept.chars().count() * 7 / 8, usize::MAX);
        cut = true;
    };
    Ok((0..composed.pages())
        .map(|index| code(&composed.draw(index, setup).threshold(INK), setup))
        .collect())
}

fn compose(
    cover: &Cover,
    labels: &Labels,
    message: &str,
    cut: bool,
    setup: &PageSetup,
) -> Result<typeset::Composed, PaperError> {
    let [
        organisation,
        from_name,
        from_number,
        to_name,
        to_number,
        date,
        subject,
    ] = [
        &cover.organisation,
        &cover.from_name,
        &cover.from_number,
        &cover.to_name,
        &cover.to_number,
        &cover.date,
        &cover.subject,
    ]
    .map(|field| one_line(field));
    let notice = prepare(first_of(cover.notice.trim(), 400, 4).0);
    let document_pages = cover.document_pages.to_string();
    typeset::compose(
        &TEMPLATE,
        &[
            ("organisation", &organisation),
            ("from-name", &from_name),
            ("from-number", &from_number),
            ("to-name", &to_name),
            ("to-number", &to_number),
            ("date", &date),
            ("subject", &subject),
            ("message", message),
            ("document-pages", &document_pages),
            ("notice", &notice),
            ("language", labels.language),
            ("label-fax", labels.fax),
            ("label-to", labels.to),
            ("label-from", labels.from),
            ("label-date", labels.date),
            ("label-pages", labels.pages),
            ("label-with-cover", labels.with_cover),
            ("label-subject", labels.subject),
            ("label-continued", labels.continued),
            ("label-cut", if cut { labels.cut } else { "" }),
        ],
        setup,
    )
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

struct Labels {
    language: &'static str,
    fax: &'static str,
    to: &'static str,
    from: &'static str,
    date: &'static str,
    pages: &'static str,
    with_cover: &'static str,
    subject: &'static str,
    continued: &'static str,
    cut: &'static str,
}

impl Labels {
    fn of(language: Language) -> &'static Self {
        match language {
            Language::En => &Self {
                language: "en",
                fax: "Fax",
                to: "To",
                from: "From",
                date: "Date",
                pages: "Pages",
                with_cover: "including this cover",
                subject: "Subject",
                continued: "Continued on the next page",
                cut: "The message is longer; the rest is not shown here.",
            },
            Language::Fr => &Self {
                language: "fr",
                fax: "Télécopie",
                to: "À",
                from: "De",
                date: "Date",
                pages: "Pages",
                with_cover: "page de garde comprise",
                subject: "Objet",
                continued: "Suite à la page suivante",
                cut: "Le message est plus long ; la suite n’est pas reproduite ici.",
            },
        }
    }
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

//! Plain text: a page as a typewriter would make it.
//!
//! Text that is laid out in columns (tabs, or several blanks inside a line) is set in a fixed
//! pitch, anything else in the proportional family, which reads better at a fax's resolution.

use std::sync::LazyLock;

use typst::syntax::Source;

use crate::{Limits, Note, PageSetup, PaperError, Rendered, sheets::Sheets, typeset};

static TEMPLATE: LazyLock<Source> =
    LazyLock::new(|| Source::detached(include_str!("../templates/text.typ")));

/// Ink of our own pages is where a pixel is darker than this; above the middle, because thin
/// strokes that fall between two rows would break at it.
pub(crate) const INK: u8 = 150;

/// More characters or lines than this never fit a page, at the sizes of the template.
pub(crate) const MOST_CHARACTERS_A_PAGE: usize = 12_000;
const MOST_LINES_A_PAGE: usize = 120;

/// A word longer than this may be broken anywhere.
pub(crate) const LONG_WORD: usize = 40;

const TAB: usize = 8;

pub(crate) fn render(
    name: &str,
    text: &str,
    setup: &PageSetup,
    limits: &Limits,
    progress: &mut dyn FnMut(u32, u32),
) -> Result<Rendered, PaperError> {
    let too_long = || PaperError::TooManyPages {
        name: name.to_owned(),
        limit: limits.max_pages,
    };
    if text.trim().is_empty() {
        return Err(PaperError::Empty {
            name: name.to_owned(),
        });
    }
    // Before any work on it: a text can be as long as a mail may be.
    let most = limits.max_pages as usize;
    if text.chars().count() > most.saturating_mul(MOST_CHARACTERS_A_PAGE)
        || text.lines().count() > most.saturating_mul(MOST_LINES_A_PAGE)
    {
        return Err(too_long());
    }
    let family = if in_columns(text) { "mono" } else { "sans" };
    let text = prepare(text);
    let composed = typeset::compose(&TEMPLATE, &[("family", family), ("body", &text)], setup)?;
    let total = u32::try_from(composed.pages()).unwrap_or(u32::MAX);
    if total > limits.max_pages {
        return Err(too_long());
    }
    let missing = composed.missing();
    let mut sheets = Sheets::new(name, setup, limits);
    for index in 0..composed.pages() {
        let bitmap = composed.draw(index, setup).threshold(INK);
        sheets.take(&bitmap, index as u32 + 1, missing.count == 0)?;
        progress(index as u32 + 1, total);
    }
    let notes = Note::missing(missing).into_iter().collect();
    Ok(sheets.finish(notes))
}

/// Whether the text is laid out with blanks or tabs.
fn in_columns(text: &str) -> bool {
    let aligned = text
        .lines()
        .filter(|line| line.trim().contains("   ") || line.trim().contains('\t'))
        .count();
    aligned >= 2
}

/// Readies text for a template, a line a line: line ends made one kind, tabs made blanks, form
/// feeds made page breaks (kept as U+000C), other control characters dropped, long words given
/// places to break.
pub(crate) fn prepare(text: &str) -> String {
    prepare_words(text, LONG_WORD)
}

/// As [`prepare`], where words longer than `long` characters may be broken.
pub(crate) fn prepare_words(text: &str, long: usize) -> String {
    let mut out = String::with_capacity(text.len() + text.len() / 16);
    let (mut column, mut word) = (0, 0);
    let mut characters = text.chars().peekable();
    while let Some(c) = characters.next() {
        match c {
            '\r' if characters.peek() == Some(&'\n') => {}
            '\r' | '\n' | '\u{2028}' | '\u{2029}' | '\u{85}' => {
                out.push('\n');
                (column, word) = (0, 0);
            }
            '\u{c}' => {
                out.push(c);
                (column, word) = (0, 0);
            }
            '\t' => {
                let blanks = TAB - column % TAB;
                out.extend(std::iter::repeat_n(' ', blanks));
                column += blanks;
                word = 0;
            }
            '\u{feff}' => {}
            c if c.is_control() => {}
            c => {
                word = if c.is_whitespace() { 0 } else { word + 1 };
                if word > long {
                    // A zero-width space: a place to break that draws nothing.
                    out.push('\u{200b}');
                }
                out.push(c);
                column += 1;
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn tabs_and_line_ends() {
        assert_eq!(prepare("a\tb\r\nc\rd\n"), "a       b\nc\nd\n");
        assert_eq!(prepare("\u{feff}x\u{0}\u{1b}[0m"), "x[0m");
    }

    #[test]
    fn long_words_may_break() {
        let word = "x".repeat(100);
        assert!(prepare(&word).contains('\u{200b}'));
        assert!(!prepare("short words stay as they are").contains('\u{200b}'));
    }

    #[test]
    fn columns_are_noticed() {
        assert!(in_columns("a   b\nc   d"));
        assert!(in_columns("a\tb\nc\td"));
        assert!(!in_columns("Dear all,\n\n   indented first line.\nBest"));
    }

    proptest! {
        #[test]
        fn nothing_printable_is_lost(text in "\\PC*") {
            let kept: String = prepare(&text).chars().filter(|&c| c != '\u{200b}').collect();
            let wanted: String = text
                .chars()
                .filter(|c| !matches!(c, '\u{feff}' | '\u{200b}' | '\u{2028}' | '\u{2029}'))
                .collect();
            let kept: String = kept.chars().filter(|&c| c != '\n').collect();
            prop_assert_eq!(kept, wanted);
        }
    }
}

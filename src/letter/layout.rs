//! A letter's content, laid out once and rendered twice.

use askama::Template;

use super::{LetterError, local};
use crate::language::Language;

/// Columns of the plain text (RFC 5322 §2.1.1 wants 78 at most).
const COLUMNS: usize = 76;

/// How the reader should take it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tone {
    Good,
    Doubtful,
    Bad,
}

impl Tone {
    /// The colour of the mark beside a heading; dark enough to be read on white.
    fn colour(self) -> &'static str {
        match self {
            Self::Good => "#1a7f37",
            Self::Doubtful => "#9a6700",
            Self::Bad => "#b42318",
        }
    }
}

/// One block: a heading, sentences, labelled values, a list.
#[derive(Debug)]
pub(super) struct Block {
    pub heading: String,
    pub tone: Option<Tone>,
    pub sentences: Vec<String>,
    pub rows: Vec<(&'static str, String)>,
    pub list: Vec<String>,
}

impl Block {
    pub(super) fn new(heading: impl Into<String>) -> Self {
        Self {
            heading: heading.into(),
            tone: None,
            sentences: Vec::new(),
            rows: Vec::new(),
            list: Vec::new(),
        }
    }

    /// Adds a row, unless it says nothing.
    pub(super) fn row(&mut self, label: &'static str, value: impl Into<String>) {
        let value = value.into();
        if !value.is_empty() {
            self.rows.push((label, value));
        }
    }
}

/// A whole letter.
#[derive(Debug)]
pub(super) struct Layout {
    pub language: Language,
    pub title: String,
    pub lead: Vec<String>,
    pub blocks: Vec<Block>,
    /// Content-ID and caption of the picture.
    pub picture: Option<(String, &'static str)>,
    pub foot: &'static str,
}

#[derive(Template)]
#[template(path = "letter.html")]
struct Html<'a> {
    letter: &'a Layout,
}

impl Layout {
    /// As HTML. Everything that comes from outside is escaped by the template.
    pub(super) fn html(&self) -> Result<String, LetterError> {
        Ok(Html { letter: self }.render()?)
    }

    /// As plain text, lines ended by LF.
    pub(super) fn text(&self) -> String {
        let mut out = String::new();
        wrap(&mut out, "", &self.title);
        for sentence in &self.lead {
            out.push('\n');
            wrap(&mut out, "", sentence);
        }
        for block in &self.blocks {
            out.push('\n');
            wrap(&mut out, "", &block.heading);
            for sentence in &block.sentences {
                wrap(&mut out, "  ", sentence);
            }
            let width = block
                .rows
                .iter()
                .map(|(label, _)| label.chars().count())
                .max();
            for (label, value) in &block.rows {
                let width = width.unwrap_or_default();
                let colon = local::colon(self.language);
                let line = format!(
                    "{label}{colon}{:1$} {value}",
                    "",
                    width - label.chars().count()
                );
                wrap_hanging(&mut out, "  ", &line, width + colon.chars().count() + 3);
            }
            for item in &block.list {
                wrap_hanging(&mut out, "  ", &format!("- {item}"), 4);
            }
        }
        out.push_str("\n-- \n");
        wrap(&mut out, "", self.foot);
        out
    }
}

fn wrap(out: &mut String, indent: &str, text: &str) {
    wrap_hanging(out, indent, text, indent.len());
}

/// Writes `text` in lines of at most [`COLUMNS`] columns, broken at spaces; what follows the first
/// line is indented by `hang`. A word longer than a line stays whole.
fn wrap_hanging(out: &mut String, indent: &str, text: &str, hang: usize) {
    let mut column = indent.chars().count();
    out.push_str(indent);
    // The alignment of the first line is kept: only single spaces are places to break.
    let mut first = true;
    for word in super::mail::one_line(text).split(' ') {
        let length = word.chars().count();
        if first {
            first = false;
        } else if column + 1 + length > COLUMNS && !word.is_empty() {
            while out.ends_with(' ') {
                out.pop();
            }
            out.push('\n');
            out.extend(std::iter::repeat_n(' ', hang));
            column = hang;
        } else {
            out.push(' ');
            column += 1;
        }
        out.push_str(word);
        column += length;
    }
    out.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_lines_are_broken_at_spaces_and_hang() {
        let mut out = String::new();
        let text = format!("- {}", "word ".repeat(40).trim_end());
        wrap_hanging(&mut out, "  ", &text, 4);
        assert!(out.lines().count() > 2);
        assert!(
            out.lines()
                .all(|line| line.chars().count() <= COLUMNS && !line.ends_with(' '))
        );
        assert!(out.lines().skip(1).all(|line| line.starts_with("    word")));
        assert_eq!(out.split_whitespace().count(), 41);
    }
}

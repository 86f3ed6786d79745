//! HTML: what mail programs write, as a page.
//!
//! `read` takes from the tree what a reader would see, as blocks (`model`): no script, no style sheet, no
//! hidden element, nothing from the web. The blocks go into a constant template as values, never as source,
//! so that a text has no way to be more than a text. `table` tells tables from layouts, `pictures` has those
//! that came with the text.

mod link;
mod model;
mod pictures;
mod read;
mod style;
mod table;
#[cfg(test)]
mod tests;
mod values;

use std::sync::LazyLock;

use typst::{
    foundations::{Array, IntoValue},
    syntax::Source,
};

use self::pictures::Pictures;
use crate::script::Missing;
use crate::{
    Limits, Note, PageSetup, PaperError, Rendered, bilevel, sheets::Sheets, text, typeset,
};

pub use pictures::Enclosed;

static TEMPLATE: LazyLock<Source> =
    LazyLock::new(|| Source::detached(include_str!("../../templates/html.typ")));

pub(crate) fn render(
    name: &str,
    html: &str,
    enclosed: &[Enclosed],
    setup: &PageSetup,
    limits: &Limits,
    progress: &mut dyn FnMut(u32, u32),
) -> Result<Rendered, PaperError> {
    let unsupported = |reason| PaperError::Unsupported {
        name: name.to_owned(),
        reason,
    };
    let mut pictures = Pictures::new(enclosed, limits);
    let blocks = read::blocks(html, &mut pictures).map_err(unsupported)?;
    if blocks.is_empty() {
        return Err(PaperError::Empty {
            name: name.to_owned(),
        });
    }
    // As many characters fit a page as of plain text.
    let most = (limits.max_pages as usize).saturating_mul(text::MOST_CHARACTERS_A_PAGE);
    let too_long = || PaperError::TooManyPages {
        name: name.to_owned(),
        limit: limits.max_pages,
    };
    if model::words(&blocks).chars().count() > most {
        return Err(too_long());
    }
    let room = values::Room::of(setup);
    let given = [
        ("blocks", values::blocks(&blocks, &pictures.drawn, room)),
        (
            "pictures",
            pictures
                .drawn
                .iter()
                .map(values::picture)
                .collect::<Array>()
                .into_value(),
        ),
    ];
    let composed = typeset::compose_values(&TEMPLATE, given, setup)?;
    let total = u32::try_from(composed.pages()).unwrap_or(u32::MAX);
    if total > limits.max_pages {
        return Err(too_long());
    }
    let missing = composed.missing();
    let mut sheets = Sheets::new(name, setup, limits);
    for index in 0..composed.pages() {
        let grey = composed.draw(index, setup);
        // Photographs need dots; letters alone need none, and are sharper so.
        let bitmap = match pictures.drawn.is_empty() {
            true => grey.threshold(text::INK),
            false => bilevel::to_bitmap(&grey, setup, |layers| layers),
        };
        sheets.take(&bitmap, index as u32 + 1, missing.count == 0)?;
        progress(index as u32 + 1, total);
    }
    Ok(sheets.finish(notes(&pictures, missing)))
}

fn notes(pictures: &Pictures<'_>, characters: Missing) -> Vec<Note> {
    let mut notes = Vec::new();
    if pictures.remote > 0 {
        notes.push(Note::RemotePictures {
            count: pictures.remote,
        });
    }
    if pictures.missing > 0 {
        notes.push(Note::PictureMissing);
    }
    notes.extend(Note::missing(characters));
    notes
}

/// The words of an HTML text, as plain text; what can't be laid out has none.
pub(crate) fn words(html: &str) -> String {
    let limits = Limits::default();
    let mut none = Pictures::new(&[], &limits);
    match read::blocks(html, &mut none) {
        Ok(blocks) => model::words(&blocks),
        Err(_) => String::new(),
    }
}

//! The fonts: a small family inside the program, and whatever the parent hands in as bytes.
//!
//! Liberation 2 (SIL Open Font License 1.1, `fonts/LICENSE-OFL.txt`; version 1, which some
//! distributions still install, is under the GPL). It covers Latin, Greek, Cyrillic and Hebrew.

use std::sync::{Arc, LazyLock, OnceLock};

use ab_glyph::{Font as _, FontRef, GlyphId, OutlineCurve, Point};
use typst::foundations::Bytes;
use typst::text::{Font, FontBook};
use typst::utils::LazyHash;

pub(crate) const SANS: &[u8] = include_bytes!("../fonts/LiberationSans-Regular.ttf");
pub(crate) const SANS_BOLD: &[u8] = include_bytes!("../fonts/LiberationSans-Bold.ttf");
const MONO: &[u8] = include_bytes!("../fonts/LiberationMono-Regular.ttf");

/// A font file that was handed in, shared by the two libraries that draw with it.
#[derive(Clone)]
pub(crate) struct Shared(Arc<Vec<u8>>);

impl AsRef<[u8]> for Shared {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

static EXTRA: OnceLock<Vec<Shared>> = OnceLock::new();

/// Fixes the fonts beyond the embedded ones; the first call decides.
pub(crate) fn install(extra: Vec<Vec<u8>>) {
    let _ = EXTRA.set(
        extra
            .into_iter()
            .map(|file| Shared(Arc::new(file)))
            .collect(),
    );
}

fn extra() -> &'static [Shared] {
    EXTRA.get_or_init(Vec::new)
}

/// A handed-in font file for a PDF's Chinese, Japanese or Korean text whose own font is missing:
/// the first that has a face with Han characters, and the number of that face.
pub(crate) fn cjk() -> Option<(Arc<Shared>, u32)> {
    extra().iter().find_map(|file| {
        Font::iter(Bytes::new(file.clone()))
            .find(|face| face.info().coverage.contains('中' as u32))
            .map(|face| (Arc::new(file.clone()), face.index()))
    })
}

/// What the typesetter chooses from.
pub(crate) struct Typefaces {
    pub book: LazyHash<FontBook>,
    pub fonts: Vec<Font>,
}

pub(crate) static TYPEFACES: LazyLock<Typefaces> = LazyLock::new(|| {
    let embedded = [SANS, SANS_BOLD, MONO].into_iter().map(Bytes::new);
    let handed = extra().iter().map(|file| Bytes::new(file.clone()));
    let fonts: Vec<Font> = embedded.chain(handed).flat_map(Font::iter).collect();
    Typefaces {
        book: LazyHash::new(FontBook::from_fonts(&fonts)),
        fonts,
    }
});

/// The outline of a letter as the operators of a PDF path, in points from the lower left corner of a page of
/// that height, filled.
pub(crate) fn outline(
    letter: &crate::typeset::Letter<'_>,
    page_height: f64,
    put: &mut dyn FnMut(&[f64], &str),
) {
    let (data, index) = (letter.font.data(), letter.font.index());
    let Ok(font) = FontRef::try_from_slice_and_index(data, index) else {
        return;
    };
    let Some(outline) = font.outline(GlyphId(letter.glyph)) else {
        return;
    };
    let scale = letter.size / f64::from(font.units_per_em().unwrap_or(1000.0));
    let at = |point: Point| {
        [
            letter.x + f64::from(point.x) * scale,
            page_height - letter.y + f64::from(point.y) * scale,
        ]
    };
    let mut last = None;
    for curve in &outline.curves {
        let start = match *curve {
            OutlineCurve::Line(start, _)
            | OutlineCurve::Quad(start, ..)
            | OutlineCurve::Cubic(start, ..) => start,
        };
        if last != Some(start) {
            put(&at(start), "m");
        }
        let from = at(start);
        let end = match *curve {
            OutlineCurve::Line(_, end) => {
                put(&at(end), "l");
                end
            }
            OutlineCurve::Quad(_, control, end) => {
                // The same curve with two controls, which is all that PDF has.
                let (control, to) = (at(control), at(end));
                let third = |end: [f64; 2], i: usize| end[i] + (control[i] - end[i]) * 2.0 / 3.0;
                let numbers = [third(from, 0), third(from, 1), third(to, 0), third(to, 1)];
                put(&[&numbers[..], &to[..]].concat(), "c");
                end
            }
            OutlineCurve::Cubic(_, first, second, end) => {
                put(&[at(first), at(second), at(end)].concat(), "c");
                end
            }
        };
        last = Some(end);
    }
    put(&[], "f");
}

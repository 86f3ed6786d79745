//! The fonts: a small family inside the program, and others that the parent knows of and hands in when a
//! document has characters that the family has not.
//!
//! Liberation 2 (SIL Open Font License 1.1, `fonts/LICENSE-OFL.txt`; version 1, which some
//! distributions still install, is under the GPL). It covers Latin, Greek, Cyrillic and Hebrew.
//!
//! Of the others each process has the [`Face`]s, a few kilobytes that say what they have; a file itself, 20 MB
//! for Chinese, is read by the first document that needs it.

use std::sync::{Arc, LazyLock, OnceLock};

use ab_glyph::{Font as _, FontRef, GlyphId, OutlineCurve, Point};
use serde::{Deserialize, Serialize};
use typst::foundations::Bytes;
use typst::text::{Coverage, Font, FontBook, FontFlags, FontInfo, FontVariant};
use typst::utils::LazyHash;

use crate::script::Script;

pub(crate) const SANS: &[u8] = include_bytes!("../fonts/LiberationSans-Regular.ttf");
pub(crate) const SANS_BOLD: &[u8] = include_bytes!("../fonts/LiberationSans-Bold.ttf");
const MONO: &[u8] = include_bytes!("../fonts/LiberationMono-Regular.ttf");
const EMBEDDED: [&[u8]; 3] = [SANS, SANS_BOLD, MONO];

/// A face of a font file: what it is called, looks like and has.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Face {
    /// Which of the files that were handed in.
    pub file: u32,
    /// Which face of the file.
    index: u32,
    family: String,
    variant: FontVariant,
    flags: u32,
    coverage: Coverage,
}

impl Face {
    /// The faces in a font file (TrueType or OpenType, or a collection); none when it is no such file.
    #[must_use]
    pub fn all(file: u32, data: &[u8]) -> Vec<Self> {
        // By index, not by order: a face that can't be read has its place too.
        (0..MOST_FACES)
            .map_while(|index| Some((index, FontInfo::new(data, index)?)))
            .map(|(index, info)| Self {
                file,
                index,
                family: info.family,
                variant: info.variant,
                flags: info.flags.bits(),
                coverage: info.coverage,
            })
            .collect()
    }

    /// The family's name.
    #[must_use]
    pub fn family(&self) -> &str {
        &self.family
    }

    /// Whether it has a script.
    #[must_use]
    pub fn has(&self, script: Script) -> bool {
        self.coverage.contains(script.sample() as u32)
    }

    fn info(&self) -> FontInfo {
        FontInfo {
            family: self.family.clone(),
            variant: self.variant,
            flags: FontFlags::from_bits_truncate(self.flags),
            axes: Vec::new(),
            coverage: self.coverage.clone(),
        }
    }
}

/// Faces of one file that are looked at: what follows the four that write Chinese, Japanese and Korean in a
/// collection is of fixed pitch, and each costs the gateway's start some hundredths of a second.
const MOST_FACES: u32 = 4;

/// Whether the embedded family has a script.
#[must_use]
pub fn embedded_has(script: Script) -> bool {
    TYPEFACES.embedded[0]
        .info()
        .coverage
        .contains(script.sample() as u32)
}

/// A font file, shared by the two libraries that draw with it.
#[derive(Clone)]
pub(crate) struct Shared(Arc<Vec<u8>>);

impl AsRef<[u8]> for Shared {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

/// Reads a file that was handed in, by its number.
pub type ReadFont = Box<dyn Fn(u32) -> Option<Vec<u8>> + Send + Sync>;

struct Handed {
    faces: Vec<Face>,
    read: ReadFont,
    /// By number.
    files: Vec<OnceLock<Option<Shared>>>,
}

static HANDED: OnceLock<Handed> = OnceLock::new();

/// Fixes the fonts beyond the embedded ones; the first call decides.
pub(crate) fn install(faces: Vec<Face>, read: ReadFont) {
    let count = faces.iter().map(|face| face.file as usize + 1).max();
    let _ = HANDED.set(Handed {
        faces,
        read,
        files: (0..count.unwrap_or(0)).map(|_| OnceLock::new()).collect(),
    });
}

fn handed() -> &'static Handed {
    HANDED.get_or_init(|| Handed {
        faces: Vec::new(),
        read: Box::new(|_| None),
        files: Vec::new(),
    })
}

impl Handed {
    fn file(&self, number: u32) -> Option<Shared> {
        let slot = self.files.get(number as usize)?;
        slot.get_or_init(|| (self.read)(number).map(|data| Shared(Arc::new(data))))
            .clone()
    }
}

/// A font for a PDF's text whose own is missing.
pub(crate) struct Substitute {
    pub data: Arc<dyn AsRef<[u8]> + Send + Sync>,
    pub index: u32,
}

/// The one for a script. `family` is a part of the name of the one that is liked best: the four ways to write
/// Chinese characters have fonts of their own.
pub(crate) fn substitute(
    script: Script,
    family: &str,
    bold: bool,
    fixed: bool,
) -> Option<Substitute> {
    if embedded_has(script) {
        let data = match (fixed, bold) {
            (true, _) => MONO,
            (false, true) => SANS_BOLD,
            (false, false) => SANS,
        };
        return Some(Substitute {
            data: Arc::new(data),
            index: 0,
        });
    }
    let faces = || handed().faces.iter().filter(|face| face.has(script));
    let face = faces()
        .find(|face| face.family.contains(family))
        .or_else(|| faces().next())?;
    Some(Substitute {
        data: Arc::new(handed().file(face.file)?),
        index: face.index,
    })
}

/// Whether a font that [`substitute`] gave has a character; `None`: it gave no such font.
pub(crate) fn substitute_has(data: &[u8], character: char) -> Option<bool> {
    let code = character as u32;
    let embedded = EMBEDDED.iter().position(|font| std::ptr::eq(*font, data));
    if let Some(at) = embedded {
        return Some(TYPEFACES.embedded[at].info().coverage.contains(code));
    }
    let handed = handed();
    let is_it = |file: &OnceLock<Option<Shared>>| {
        let file = file.get().and_then(Option::as_ref);
        file.is_some_and(|file| std::ptr::eq(file.as_ref(), data))
    };
    let file = handed.files.iter().position(is_it)? as u32;
    let mut faces = handed.faces.iter().filter(|face| face.file == file);
    Some(faces.any(|face| face.coverage.contains(code)))
}

/// What the typesetter chooses from: the embedded faces, then those that were handed in.
pub(crate) struct Typefaces {
    pub book: LazyHash<FontBook>,
    embedded: Vec<Font>,
    handed: Vec<OnceLock<Option<Font>>>,
}

impl Typefaces {
    pub fn font(&self, index: usize) -> Option<Font> {
        if let Some(font) = self.embedded.get(index) {
            return Some(font.clone());
        }
        let at = index - self.embedded.len();
        let load = || {
            let face = handed().faces.get(at)?;
            Font::new(Bytes::new(handed().file(face.file)?), face.index)
        };
        self.handed.get(at)?.get_or_init(load).clone()
    }
}

pub(crate) static TYPEFACES: LazyLock<Typefaces> = LazyLock::new(|| {
    let embedded: Vec<Font> = EMBEDDED
        .into_iter()
        .map(Bytes::new)
        .flat_map(Font::iter)
        .collect();
    let faces = &handed().faces;
    let infos = embedded.iter().map(|font| font.info().clone());
    Typefaces {
        book: LazyHash::new(FontBook::from_infos(
            infos.chain(faces.iter().map(Face::info)),
        )),
        handed: faces.iter().map(|_| OnceLock::new()).collect(),
        embedded,
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

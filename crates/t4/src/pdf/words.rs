//! Words that are there to be searched and copied, and not to be seen: they lie over the fax's own picture.
//!
//! They are set in a font whose one glyph is blank, so that any character of any script needs no drawing;
//! which character each code means is for the file's own table (ToUnicode) to say.

use std::{collections::BTreeMap, io::Write as _};

use flate2::{Compression, write::ZlibEncoder};
use pdf_writer::{
    Content, Filter, Finish, Name, Pdf, Ref, Str,
    types::{CidFontType, FontFlags, SystemInfo, TextRenderingMode, UnicodeCmap},
};

use crate::Turn;

/// The font: two blank glyphs of half an em, made for this with fontTools.
const BLANK: &[u8] = include_bytes!("blank.ttf");
/// A glyph's width, of an em.
const GLYPH: f32 = 0.5;
const FONT: Name<'static> = Name(b"Words");

/// A word that was read on a page, and where: 204ths of an inch from the upper left corner of the page as it is
/// read, that is, turned upright.
#[derive(Clone, Debug, PartialEq)]
pub struct Word {
    /// What it says.
    pub text: String,
    /// Its left edge.
    pub left: f32,
    /// Its upper edge.
    pub top: f32,
    /// Its right edge.
    pub right: f32,
    /// Its lower edge.
    pub bottom: f32,
}

impl Word {
    /// Its characters in the order in which they stand on the page, left to right: of a script that is written
    /// the other way readers expect them so, and turn them round.
    fn characters(&self) -> Vec<char> {
        let mut all: Vec<char> = self.text.chars().filter(|c| !c.is_control()).collect();
        // Hebrew, Arabic and their like, and their forms for presentation.
        let to_the_left = |c: &char| matches!(c, '\u{590}'..='\u{8ff}' | '\u{fb1d}'..='\u{fdff}' | '\u{fe70}'..='\u{feff}');
        if all.iter().any(to_the_left) {
            all.reverse();
        }
        all
    }

    fn is_sound(&self) -> bool {
        let sides = [self.left, self.top, self.right, self.bottom];
        sides
            .iter()
            .all(|side| side.is_finite() && (0.0..100_000.0).contains(side))
            && self.left < self.right
            && self.top < self.bottom
    }
}

/// Which code each character has in this file: 1, 2, … in the order in which they are met.
#[derive(Default)]
pub(super) struct Codes {
    codes: BTreeMap<char, u16>,
    /// Characters that were drawn so far.
    met: usize,
}

impl Codes {
    fn of(&mut self, character: char) -> Option<u16> {
        let next = u16::try_from(self.codes.len() + 1).ok();
        let code = match self.codes.get(&character) {
            Some(code) => *code,
            None => *self.codes.entry(character).or_insert(next?),
        };
        self.met += 1;
        Some(code)
    }

    pub(super) fn met(&self) -> usize {
        self.met
    }

    pub(super) fn is_empty(&self) -> bool {
        self.codes.is_empty()
    }
}

/// Draws the words over a page of so many points.
pub(super) fn draw(
    out: &mut Content,
    words: &[Word],
    codes: &mut Codes,
    turn: Turn,
    (width, height): (f32, f32),
) {
    const POINTS: f32 = 72.0 / 204.0;
    let mut begun = false;
    for word in words.iter().filter(|word| word.is_sound()) {
        let codes: Vec<u16> = word
            .characters()
            .into_iter()
            .filter_map(|c| codes.of(c))
            .collect();
        if codes.is_empty() {
            continue;
        }
        if !begun {
            out.begin_text();
            out.set_text_rendering_mode(TextRenderingMode::Invisible);
            begun = true;
        }
        let (left, bottom) = (word.left * POINTS, word.bottom * POINTS);
        let size = (word.bottom - word.top) * POINTS;
        // The blank letters are as wide together as the word on the paper (ISO 32000-1 §9.3.4, percent).
        let natural = codes.len() as f32 * GLYPH * size;
        out.set_font(FONT, size);
        out.set_horizontal_scaling(100.0 * (word.right - word.left) * POINTS / natural);
        // Along the turned page's lines: /Rotate turns clockwise, so the text runs the other way round.
        out.set_text_matrix(match turn {
            Turn::None => [1.0, 0.0, 0.0, 1.0, left, height - bottom],
            Turn::Right => [0.0, 1.0, -1.0, 0.0, bottom, left],
            Turn::Over => [-1.0, 0.0, 0.0, -1.0, width - left, bottom],
            Turn::Left => [0.0, -1.0, 1.0, 0.0, width - bottom, height - left],
        });
        let bytes: Vec<u8> = codes.iter().flat_map(|code| code.to_be_bytes()).collect();
        out.show(Str(&bytes));
    }
    if begun {
        out.end_text();
    }
}

/// The name by which pages have the font.
pub(super) fn font_name() -> Name<'static> {
    FONT
}

/// Writes the font with what its codes mean.
pub(super) fn write_font(pdf: &mut Pdf, font: Ref, mut fresh: impl FnMut() -> Ref, codes: &Codes) {
    let [cid, descriptor, file, map, meanings] = std::array::from_fn(|_| fresh());
    let name = Name(b"FAXPST+Blank");
    pdf.type0_font(font)
        .base_font(name)
        .encoding_predefined(Name(b"Identity-H"))
        .descendant_font(cid)
        .to_unicode(meanings);
    let identity = SystemInfo {
        registry: Str(b"Adobe"),
        ordering: Str(b"Identity"),
        supplement: 0,
    };
    let mut out = pdf.cid_font(cid);
    out.subtype(CidFontType::Type2)
        .base_font(name)
        .system_info(identity);
    out.font_descriptor(descriptor)
        .default_width(GLYPH * 1000.0);
    out.cid_to_gid_map_stream(map);
    out.finish();
    let mut out = pdf.font_descriptor(descriptor);
    out.name(name)
        .flags(FontFlags::FIXED_PITCH | FontFlags::SYMBOLIC);
    out.bbox(pdf_writer::Rect::new(0.0, 0.0, 500.0, 1000.0));
    // Readers take a descent of nothing for one that is not told.
    out.italic_angle(0.0)
        .ascent(1000.0)
        .descent(-1.0)
        .cap_height(1000.0)
        .stem_v(80.0);
    out.font_file2(file);
    out.finish();
    pdf.stream(file, BLANK)
        .pair(Name(b"Length1"), BLANK.len() as i32);
    // Every code shows the blank glyph, which is the second.
    let glyphs: Vec<u8> = [0, 0]
        .into_iter()
        .chain(codes.codes.iter().flat_map(|_| [0, 1]))
        .collect();
    packed(pdf, map, &glyphs);
    let mut table = UnicodeCmap::<u16>::new(
        Name(b"Words"),
        SystemInfo {
            registry: Str(b"Adobe"),
            ordering: Str(b"UCS"),
            supplement: 0,
        },
    );
    for (character, code) in &codes.codes {
        table.pair(*code, *character);
    }
    packed(pdf, meanings, &table.finish());
}

/// A stream, deflated.
pub(super) fn packed(pdf: &mut Pdf, id: Ref, bytes: &[u8]) {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
    // Writing into memory does not fail; if it did, the bytes go as they are.
    match encoder.write_all(bytes).and_then(|()| encoder.finish()) {
        Ok(packed) => {
            pdf.stream(id, &packed).filter(Filter::FlateDecode);
        }
        Err(_) => {
            pdf.stream(id, bytes);
        }
    }
}

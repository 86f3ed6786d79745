//! Letters: drawn once at each size and place within a pixel, then copied. They are hinted and placed as
//! hayro does it.

use std::collections::HashMap;
use std::rc::Rc;

use hayro::hayro_interpret::font::{HintingCache, OutlineGlyph};
use hayro::kurbo::{Affine, BezPath, Rect, Shape as _};

use crate::coverage::Coverage;
use crate::shapes::Span;

/// Pixels an em between which letters are hinted.
const HINTED: std::ops::RangeInclusive<f64> = 4.0..=128.0;
/// Places within a pixel at which a letter is drawn.
pub(super) const PLACES: f64 = 4.0;
/// Pixels across and down of a letter that is kept.
const LARGEST: f64 = 128.0;
/// The same with what its edges need.
pub(super) const WIDEST: usize = LARGEST as usize + 2;
/// Octets of letters kept: a hostile document may have very many.
const MOST_KEPT: usize = 32 << 20;

/// What is kept of a document's letters.
#[derive(Default)]
pub(super) struct Letters {
    hinting: HintingCache,
    drawn: HashMap<Key, Option<Rc<Drawn>>>,
    outlines: HashMap<(u128, u32), Option<Rc<BezPath>>>,
    kept: usize,
}

/// A letter at a size and a place within a pixel.
#[derive(PartialEq, Eq, Hash)]
struct Key {
    glyph: u128,
    hinted: bool,
    linear: [u64; 4],
    place: u8,
}

/// What a letter covers, in 255ths, from so many pixels right of and below where it stands.
pub(super) struct Drawn {
    pub x: i64,
    pub y: i64,
    pub width: usize,
    pub data: Vec<u8>,
}

/// A letter is too large to be kept.
pub(super) struct Large;

impl Letters {
    pub fn outline(
        &mut self,
        glyph: &OutlineGlyph,
        id: u128,
        size: Option<f32>,
    ) -> Option<Rc<BezPath>> {
        // Unhinted ones have the size 0.
        let key = (id, size.unwrap_or(0.0).to_bits());
        if let Some(outline) = self.outlines.get(&key) {
            return outline.clone();
        }
        let outline = match size {
            Some(size) => glyph.hinted_outline(size, &self.hinting),
            None => Some(glyph.outline()),
        };
        let outline = outline.map(Rc::new);
        let elements = outline.as_ref().map_or(0, |path| path.elements().len());
        self.keep(elements * 56);
        self.outlines.insert(key, outline.clone());
        outline
    }

    /// The outline that is filled, and where it goes.
    pub fn filled(
        &mut self,
        glyph: &OutlineGlyph,
        transform: Affine,
        hint: bool,
    ) -> (Rc<BezPath>, Affine) {
        let id = glyph.identifier().cache_key();
        let [a, b, c, d, e, f] = transform.as_coeffs();
        let size = d.abs() * 1000.0;
        if hint
            && b == 0.0
            && HINTED.contains(&size)
            && let Some(outline) = self.outline(glyph, id, Some(size as f32))
        {
            return (outline, Affine::new([a, b, c, d, e, f.round()]));
        }
        let outline = self.outline(glyph, id, None).unwrap_or_default();
        (outline, transform)
    }

    fn keep(&mut self, octets: usize) {
        self.kept += octets + 128;
        if self.kept > MOST_KEPT {
            self.drawn.clear();
            self.outlines.clear();
            self.kept = octets;
        }
    }

    /// A letter as it was drawn before, or is now; `None`: it is blank.
    pub fn draw(
        &mut self,
        glyph: &OutlineGlyph,
        transform: Affine,
        place: u8,
        hint: bool,
        coverage: &mut Coverage,
    ) -> Result<Option<Rc<Drawn>>, Large> {
        let [a, b, c, d, _, _] = transform.as_coeffs();
        let key = Key {
            glyph: glyph.identifier().cache_key(),
            hinted: hint,
            linear: [a, b, c, d].map(f64::to_bits),
            place,
        };
        if let Some(drawn) = self.drawn.get(&key) {
            return Ok(drawn.clone());
        }
        let linear = Affine::new([a, b, c, d, 0.0, 0.0]);
        let (outline, _) = self.filled(glyph, linear, hint);
        let path = Affine::translate((f64::from(place) / PLACES, 0.0)) * linear * &*outline;
        let bounds = path.bounding_box();
        // Not so for what is no number.
        if !(bounds.width() <= LARGEST && bounds.height() <= LARGEST) {
            return Err(Large);
        }
        let drawn = (!bounds.is_zero_area()).then(|| Rc::new(rasterise(&path, bounds, coverage)));
        self.keep(drawn.as_ref().map_or(0, |drawn| drawn.data.len()));
        self.drawn.insert(key, drawn.clone());
        Ok(drawn)
    }
}

fn rasterise(path: &BezPath, bounds: Rect, coverage: &mut Coverage) -> Drawn {
    let (x, y) = (bounds.x0.floor(), bounds.y0.floor());
    let width = (bounds.x1.ceil() - x) as usize;
    let span = Span {
        columns: 0..width,
        rows: 0..(bounds.y1.ceil() - y) as usize,
    };
    let mut data = vec![0; span.area()];
    let path = Affine::translate((-x, -y)) * path;
    coverage.fill(&path, false, &span, |y, x, row| {
        data[y * width + x..][..row.len()].copy_from_slice(row);
    });
    Drawn {
        x: x as i64,
        y: y as i64,
        width,
        data,
    }
}

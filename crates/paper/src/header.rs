//! The header line: date and time, who sends, from what number, page n of m, at the top of every
//! page as 47 CFR §68.318(d) wants it. Drawn at call time, when the date, the station's identity
//! and the far end's resolution are known.
//!
//! It is laid over the top margin, and the page keeps its height (T.30 announces no length, and a
//! longer page would be cut or scaled by the receiver). Where the document has ink there, its
//! body moves down instead, into the white at its foot; where there isn't enough of that, pairs
//! of neighbouring rows are merged, evenly over the page, ink kept. So nothing is ever lost.

use std::sync::LazyLock;

use ab_glyph::{Font, FontRef, Glyph, PxScale, ScaleFont, point};
use faxpost_t4::{Bitmap, FaxPage};
use serde::{Deserialize, Serialize};

use crate::{PageSetup, PaperError, fonts};

/// Height of the strip that the line takes, letters and the white around them.
const STRIP_MM: f64 = 5.0;
/// From the top of the page to the baseline. Printers lose up to 3 mm of the edge at their worst;
/// capitals start 1.8 mm below it.
const BASELINE_MM: f64 = 4.2;
/// Size of the letters (9.4 points; capitals are 2.4 mm, 9 rows at standard resolution).
const SIZE_MM: f64 = 3.3;
/// White at both ends.
const SIDE_MM: f64 = 7.0;
/// White between two parts.
const GAP_MM: f64 = 4.0;
/// Ink is where this much of a pixel is covered.
const COVERED: f32 = 0.42;

static REGULAR: LazyLock<FontRef<'static>> = LazyLock::new(|| {
    FontRef::try_from_slice(fonts::SANS).expect("the embedded font is a TrueType file")
});
static BOLD: LazyLock<FontRef<'static>> = LazyLock::new(|| {
    FontRef::try_from_slice(fonts::SANS_BOLD).expect("the embedded font is a TrueType file")
});

/// What the header line says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeaderLine {
    /// Local date and time, as printed.
    pub date: String,
    /// Who sends: the business or person. Shortened when the line is full; nothing else is.
    pub sender: String,
    /// The number of the sending station (TSI).
    pub tsi: String,
    /// More to say between the number and the page, such as "possible repeat"; or empty.
    pub remark: String,
    /// This page, from 1.
    pub page: u32,
    /// Pages in all, when known.
    pub pages: Option<u32>,
}

/// Draws the header line: a strip of the set-up's full width, 5 mm high, at its resolution.
#[must_use]
pub fn header_line(line: &HeaderLine, setup: &PageSetup) -> Bitmap {
    let mut strip = Strip::new(setup);
    let page = match line.pages {
        Some(pages) => format!("P. {}/{pages}", line.page),
        None => format!("P. {}", line.page),
    };
    let (left, right) = (strip.mm(SIDE_MM), strip.right());
    let gap = strip.mm(GAP_MM);

    let page_at = right - strip.width_of(&BOLD, &page);
    strip.write(&BOLD, &page, page_at);
    let mut end = page_at - gap;
    for part in [&line.remark, &line.tsi] {
        if !part.is_empty() {
            let at = end - strip.width_of(&REGULAR, part);
            strip.write(&REGULAR, part, at);
            end = at - gap;
        }
    }
    strip.write(&REGULAR, &line.date, left);
    let sender_at = left + strip.width_of(&REGULAR, &line.date) + gap;
    let sender = strip.shorten(&BOLD, &line.sender, end - sender_at);
    // Centred in what is left, so that the parts stand apart.
    let spare = end - sender_at - strip.width_of(&BOLD, &sender);
    strip.write(&BOLD, &sender, sender_at + (spare / 2.0).max(0.0));
    strip.bitmap
}

/// A strip of paper and a pen whose pixels aren't square.
struct Strip {
    bitmap: Bitmap,
    scale: PxScale,
    columns_per_mm: f32,
    baseline: f32,
}

impl Strip {
    fn new(setup: &PageSetup) -> Self {
        let (across, down) = (setup.columns_per_mm(), setup.rows_per_mm());
        // `PxScale` counts the font's height, ascender to descender, not the em.
        let height =
            f64::from(REGULAR.height_unscaled()) / f64::from(REGULAR.units_per_em().unwrap_or(1.0));
        Self {
            bitmap: Bitmap::new(setup.width as usize, (STRIP_MM * down).ceil() as usize),
            scale: PxScale {
                x: (SIZE_MM * across * height) as f32,
                y: (SIZE_MM * down * height) as f32,
            },
            columns_per_mm: across as f32,
            // On a row's edge: feet of letters are sharp at any resolution.
            baseline: (BASELINE_MM * down).round() as f32,
        }
    }

    fn mm(&self, mm: f64) -> f32 {
        mm as f32 * self.columns_per_mm
    }

    fn right(&self) -> f32 {
        self.bitmap.width() as f32 - self.mm(SIDE_MM)
    }

    fn glyphs(&self, font: &FontRef<'static>, text: &str, at: f32) -> (Vec<Glyph>, f32) {
        let scaled = font.as_scaled(self.scale);
        let (mut x, mut last, mut glyphs) = (at, None, Vec::new());
        for c in text.chars().filter(|c| !c.is_control()) {
            let id = font.glyph_id(c);
            if let Some(last) = last {
                x += scaled.kern(last, id);
            }
            glyphs.push(id.with_scale_and_position(self.scale, point(x, self.baseline)));
            x += scaled.h_advance(id);
            last = Some(id);
        }
        (glyphs, x - at)
    }

    fn width_of(&self, font: &FontRef<'static>, text: &str) -> f32 {
        self.glyphs(font, text, 0.0).1
    }

    /// As much of `text` as fits `room` pixels, with an ellipsis where it was cut.
    fn shorten(&self, font: &FontRef<'static>, text: &str, room: f32) -> String {
        if self.width_of(font, text) <= room {
            return text.to_owned();
        }
        let mut kept: Vec<char> = text.chars().take(200).collect();
        while kept.pop().is_some() {
            let cut: String = kept.iter().collect::<String>().trim_end().to_owned() + "…";
            if self.width_of(font, &cut) <= room {
                return cut;
            }
        }
        String::new()
    }

    fn write(&mut self, font: &FontRef<'static>, text: &str, at: f32) {
        let (width, height) = (self.bitmap.width() as i64, self.bitmap.height() as i64);
        for glyph in self.glyphs(font, text, at.round()).0 {
            let Some(outline) = font.outline_glyph(glyph) else {
                continue;
            };
            let corner = outline.px_bounds().min;
            let (left, top) = (corner.x as i64, corner.y as i64);
            outline.draw(|x, y, covered| {
                let (x, y) = (left + i64::from(x), top + i64::from(y));
                if covered >= COVERED && (0..width).contains(&x) && (0..height).contains(&y) {
                    self.bitmap.set_black(x as usize, y as usize);
                }
            });
        }
    }
}

/// Lays a header line over a page's top and codes the page again, in its own coding.
///
/// # Errors
/// `Setup` when the header has another width or isn't shorter than the page, or the page's data
/// doesn't decode.
pub fn stamp(page: &FaxPage, header: &Bitmap) -> Result<FaxPage, PaperError> {
    // Most pages are white there: the line is laid over their coded rows.
    if let Some(stamped) = page.with_top(header) {
        return Ok(stamped);
    }
    let body = page
        .decode()
        .map_err(|e| PaperError::Setup(format!("the page to be stamped can't be read: {e}")))?;
    let stamped = stamp_bitmap(&body, header)?;
    Ok(FaxPage::encode(&stamped, page.resolution, page.coding))
}

/// As [`stamp`], for a page that isn't coded yet.
///
/// # Errors
/// `Setup` when the header has another width or isn't shorter than the page.
pub fn stamp_bitmap(body: &Bitmap, header: &Bitmap) -> Result<Bitmap, PaperError> {
    if header.width() != body.width() || header.height() >= body.height() {
        return Err(PaperError::Setup(
            "the header line doesn't fit the page".to_owned(),
        ));
    }
    let white = |y: &usize| body.row(*y).iter().all(|&byte| byte == 0);
    let height = body.height();
    let top = (0..height).take_while(white).count();
    let mut page = if top >= header.height() {
        body.clone()
    } else {
        let bottom = (top..height).rev().take_while(white).count();
        lower(body, top, height - bottom, header.height())
    };
    for y in 0..header.height() {
        page.row_mut(y).copy_from_slice(header.row(y));
    }
    Ok(page)
}

/// A page of the same height on which rows `from..to` of `body` start at row `start`, merged
/// where the room is short.
fn lower(body: &Bitmap, from: usize, to: usize, start: usize) -> Bitmap {
    let mut page = Bitmap::new(body.width(), body.height());
    let (rows, room) = (to - from, body.height() - start);
    for y in from..to {
        let at = if rows <= room {
            y - from
        } else {
            (y - from) * room / rows
        };
        for (into, &ink) in page.row_mut(start + at).iter_mut().zip(body.row(y)) {
            *into |= ink;
        }
    }
    page
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Paper;
    use faxpost_t4::Resolution;
    use proptest::prelude::*;

    fn line() -> HeaderLine {
        HeaderLine {
            date: "21/11/2026 21:40".into(),
            sender: "Société Générale d’Éclairage".into(),
            tsi: "+33 1 23 45 67 89".into(),
            remark: String::new(),
            page: 2,
            pages: Some(13),
        }
    }

    fn setup(resolution: Resolution) -> PageSetup {
        PageSetup {
            width: 1728,
            paper: Paper::A4,
            resolution,
            ..PageSetup::a4_fine()
        }
    }

    fn inked_rows(bitmap: &Bitmap) -> Vec<usize> {
        (0..bitmap.height())
            .filter(|&y| bitmap.row(y).iter().any(|&b| b != 0))
            .collect()
    }

    fn ink(bitmap: &Bitmap) -> u32 {
        bitmap.data().iter().map(|b| b.count_ones()).sum()
    }

    fn columns(bitmap: &Bitmap, range: std::ops::Range<usize>) -> bool {
        range
            .into_iter()
            .any(|x| (0..bitmap.height()).any(|y| bitmap.is_black(x, y)))
    }

    #[test]
    fn line_has_three_parts_and_white_around() {
        for (resolution, rows, capital) in [
            (Resolution::Standard, 20, 8),
            (Resolution::Fine, 39, 17),
            (Resolution::Superfine, 77, 35),
        ] {
            let strip = header_line(&line(), &setup(resolution));
            assert_eq!((strip.width(), strip.height()), (1728, rows));
            let inked = inked_rows(&strip);
            assert!(inked[0] >= 1 && inked[inked.len() - 1] < rows - 1);
            assert!(
                inked.len() >= capital,
                "{resolution:?}: {} rows",
                inked.len()
            );
            assert!(!columns(&strip, 0..50) && !columns(&strip, 1728 - 50..1728));
            assert!(columns(&strip, 56..300), "the date");
            assert!(columns(&strip, 500..1000), "the sender");
            assert!(columns(&strip, 1500..1680), "the page");
        }
    }

    #[test]
    fn only_the_sender_is_shortened() {
        let setup = setup(Resolution::Fine);
        let long = HeaderLine {
            sender: "Aé ".repeat(120),
            ..line()
        };
        let (short, long) = (header_line(&line(), &setup), header_line(&long, &setup));
        // The date and, at the right, number and page are the same pixels.
        for y in 0..short.height() {
            for x in (0..280).chain(1340..1728) {
                assert_eq!(short.is_black(x, y), long.is_black(x, y), "at {x}, {y}");
            }
        }
    }

    #[test]
    fn white_margin_keeps_the_body_in_place() {
        let setup = setup(Resolution::Fine);
        let header = header_line(&line(), &setup);
        let mut body = Bitmap::new(1728, setup.height() as usize);
        body.set_black(800, 60);
        let stamped = stamp_bitmap(&body, &header).expect("it fits");
        assert_eq!(stamped.height(), body.height());
        assert!(stamped.is_black(800, 60));
        assert_eq!(ink(&stamped), ink(&header) + 1);
    }

    #[test]
    fn body_at_the_top_moves_into_the_white_below() {
        let setup = setup(Resolution::Fine);
        let header = header_line(&line(), &setup);
        let mut body = Bitmap::new(1728, setup.height() as usize);
        body.set_black(3, 0);
        body.set_black(9, 2000);
        let stamped = stamp_bitmap(&body, &header).expect("it fits");
        assert!(stamped.is_black(3, header.height()));
        assert!(stamped.is_black(9, 2000 + header.height()));
        assert_eq!(ink(&stamped), ink(&header) + 2);
    }

    #[test]
    fn misfits_are_refused() {
        let setup = setup(Resolution::Fine);
        let header = header_line(&line(), &setup);
        assert!(stamp_bitmap(&Bitmap::new(2048, 2287), &header).is_err());
        assert!(stamp_bitmap(&Bitmap::new(1728, 20), &header).is_err());
    }

    proptest! {
        /// Every column keeps its ink, however full the page.
        #[test]
        fn no_ink_is_lost(rows in proptest::collection::vec(any::<[u8; 2]>(), 8..60), strip in 1usize..7) {
            let mut body = Bitmap::new(16, rows.len());
            for (y, row) in rows.iter().enumerate() {
                body.row_mut(y).copy_from_slice(row);
            }
            let header = Bitmap::new(16, strip);
            let stamped = stamp_bitmap(&body, &header).expect("it fits");
            prop_assert_eq!(stamped.height(), body.height());
            prop_assert!((0..strip).all(|y| stamped.row(y).iter().all(|&b| b == 0)));
            let columns = |b: &Bitmap| (0..b.height()).fold([0u8; 2], |sum, y| [sum[0] | b.row(y)[0], sum[1] | b.row(y)[1]]);
            prop_assert_eq!(columns(&body), columns(&stamped));
        }

        #[test]
        fn any_text_is_drawn(date in ".*", sender in ".*", tsi in ".*", remark in ".*", page: u32) {
            let line = HeaderLine { date, sender, tsi, remark, page, pages: None };
            let strip = header_line(&line, &setup(Resolution::Standard));
            prop_assert_eq!(strip.height(), 20);
            prop_assert!(ink(&strip) > 0);
        }
    }
}

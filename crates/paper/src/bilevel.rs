//! Grey to black and white: text by a threshold that follows the paper around it, photographs by
//! `tone`, flat fills by `panels`.
//!
//! The threshold is decided for cells of 1 mm, not for pixels. Around each cell, the paper is the
//! grey closing of the lightest pixels (what is left when strokes are filled in), the ink the
//! darkest pixel near; ink is what is darker than a level between the two. So text in light
//! colours, on grey and in white on dark all come out, where one level for the page loses some.

use std::ops::Range;

use faxpost_t4::Bitmap;

use crate::cells::{CELL, Cells, spread};
use crate::dots;
use crate::grey::Grey;
use crate::layers::{self, Layers};
use crate::panels::{self, Fate, Panels};
use crate::setup::{PageSetup, Tone as Mode};
use crate::tone::{self, Tone};

/// Grey levels between paper and ink below which there is no ink, on a page without grain.
const CONTRAST: u8 = 24;
/// The same on the cleanest of scans.
const SCANNED_CONTRAST: u8 = 40;
/// Where there is no contrast, black is below this.
const DARK: u16 = 80;
/// How far from ink to paper the level is, in per cent. Beyond the middle: thin strokes that
/// cover two rows by half would break at it.
const LEVEL: u16 = 66;
/// A cell without a pixel lighter than this, but for ink, makes the page worth a second look.
const SHADED: Range<u8> = 56..236;
/// Such cells, at least.
const SHADES: usize = 4;

/// Makes a page black and white. `look` adds what is known of the page beyond its pixels; it is
/// asked only where there is anything but writing.
pub(crate) fn to_bitmap(
    grey: &Grey,
    setup: &PageSetup,
    look: impl FnOnce(Layers) -> Layers,
) -> Bitmap {
    let cells = Cells::of(grey, setup.resolution);
    let found = match setup.tone {
        Mode::Auto => tone::find(grey, &cells),
        Mode::Text => vec![false; cells.min.len()],
        Mode::Photo => vec![true; cells.min.len()],
    };
    let shaded = || {
        let mut shaded = cells.max.iter().filter(|max| SHADED.contains(max));
        shaded.nth(SHADES - 1).is_some()
    };
    let layers = (setup.tone != Mode::Text && (found.contains(&true) || shaded()))
        .then(|| look(Layers::new(grey, &cells, &found)));
    let tone = match &layers {
        Some(layers) => Tone::of(grey, &cells, layers, &found, setup.tone == Mode::Photo),
        None => Tone::none(&cells),
    };
    let panels = panels::find(&cells, &tone.apart(), setup.tone != Mode::Text);
    let mut bitmap = convert(grey, setup, &cells, &tone, &panels);
    if let Some(mask) = &tone.mask {
        dots::screen(grey, mask, setup.dots, setup.resolution, &mut bitmap);
    }
    if let Some(layers) = &layers {
        letter(layers, &mut bitmap);
    }
    bitmap
}

fn convert(grey: &Grey, setup: &PageSetup, cells: &Cells, tone: &Tone, panels: &Panels) -> Bitmap {
    let levels = levels(cells, tone);
    let mut bitmap = Bitmap::new(grey.width, grey.height);
    // What of a row of cells may have ink: where, below which level, and whether by dots.
    let mut inked: Vec<(usize, u8, bool)> = Vec::with_capacity(cells.across);
    for (down, levels) in levels.chunks_exact(cells.across).enumerate() {
        inked.clear();
        for (at, &level) in levels.iter().enumerate() {
            let cell = down * cells.across + at;
            let flat = u16::from(panels.level[cell]);
            let level = match panels.fate[cell] {
                Fate::Paper => level.min(flat.saturating_sub(panels::NEAR)),
                Fate::Ink => level.max(flat + panels::NEAR),
                Fate::Open | Fate::Screen | Fate::Tint => level,
            };
            let level = level.min(255) as u8;
            let dotted = matches!(panels.fate[cell], Fate::Screen | Fate::Tint);
            // Nothing is ink that is this light, whatever surrounds it.
            if cells.min[cell] < level || dotted {
                inked.push((at, level, dotted));
            }
        }
        if inked.is_empty() {
            continue;
        }
        let rows = down * cells.height..;
        for y in rows.take(cells.height).take_while(|&y| y < grey.height) {
            let (pixels, rest) = grey.row(y).as_chunks::<CELL>();
            let row = bitmap.row_mut(y);
            for &(at, level, dotted) in &inked {
                row[at] = match pixels.get(at) {
                    Some(pixels) if !dotted => below(pixels, level),
                    whole => {
                        let cell = down * cells.across + at;
                        let pixels = whole.map_or(rest, |pixels| pixels.as_slice());
                        if dotted {
                            dotted_pixels(pixels, at * CELL, y, level, cell, panels, setup)
                        } else {
                            let mut whole = [u8::MAX; CELL];
                            whole[..pixels.len()].copy_from_slice(pixels);
                            below(&whole, level)
                        }
                    }
                };
            }
        }
    }
    bitmap
}

/// Pixels darker than `level`, the leftmost in the highest bit.
fn below(pixels: &[u8; CELL], level: u8) -> u8 {
    let dark = pixels.map(|v| u8::from(v < level));
    // Each octet's lowest bit to its place in the highest octet.
    (u64::from_le_bytes(dark).wrapping_mul(0x8040_2010_0804_0201) >> 56) as u8
}

/// Pixels of a fill in dots, others by the threshold.
fn dotted_pixels(
    pixels: &[u8],
    x: usize,
    y: usize,
    level: u8,
    cell: usize,
    panels: &Panels,
    setup: &PageSetup,
) -> u8 {
    let (flat, fate) = (panels.level[cell], panels.fate[cell]);
    pixels.iter().enumerate().fold(0, |bits, (i, &v)| {
        let black = if u16::from(v.abs_diff(flat)) >= panels::NEAR {
            v < level
        } else if fate == Fate::Tint {
            dots::tint(x + i, y, v, setup.resolution)
        } else {
            dots::dot(x + i, y, v, setup.resolution)
        };
        bits | u8::from(black) << (7 - i)
    })
}

/// Draws letters that stand on tone, and their rims.
fn letter(layers: &Layers, bitmap: &mut Bitmap) {
    for span in layers.lettered() {
        for y in span.rows.clone() {
            let owners = layers.row(y);
            let row = bitmap.row_mut(y);
            for x in span.columns.clone() {
                let bit = 0x80 >> (x % 8);
                match layers::is_black(owners[x]) {
                    Some(true) => row[x / 8] |= bit,
                    Some(false) => row[x / 8] &= !bit,
                    None => {}
                }
            }
        }
    }
}

/// The level of each cell below which its pixels are ink.
fn levels(cells: &Cells, tone: &Tone) -> Vec<u16> {
    let paper = cells.paper(2);
    let ink = spread(&cells.min, cells, 1, u8::min);
    let others = |of: &[bool]| of.iter().map(|&of| !of).collect::<Vec<bool>>();
    let page = contrast(cells, &tone.cells);
    let scan = contrast(cells, &others(&tone.scanned)).max(SCANNED_CONTRAST);
    let mut levels = Vec::with_capacity(paper.len());
    for ((&paper, &ink), &scanned) in paper.iter().zip(&ink).zip(&tone.scanned) {
        let contrast = if scanned { scan } else { page };
        // The closing is nowhere below the lightest pixel, so not below the ink.
        let range = paper.saturating_sub(ink);
        levels.push(if range > contrast {
            let level = u16::from(ink) + u16::from(range) * LEVEL / 100;
            // Nowhere so near to the paper that its grain would be ink.
            level.min(u16::from(paper - contrast) + u16::from(contrast / 4))
        } else {
            DARK
        });
    }
    levels
}

/// The least contrast of ink: more on a scan, whose paper isn't even (the quietest quarter of the
/// cells shows how much) and whose letters have echoes of compression around them.
/// `without`: cells that aren't looked at.
fn contrast(cells: &Cells, without: &[bool]) -> u8 {
    if cells.drawn(without) {
        return CONTRAST;
    }
    let mut histogram = [0usize; 256];
    let mut all = 0;
    for (cell, _) in without.iter().enumerate().filter(|&(_, without)| !without) {
        histogram[usize::from(cells.max[cell] - cells.min[cell])] += 1;
        all += 1;
    }
    let mut seen = 0;
    let grain = histogram.iter().position(|&count| {
        seen += count;
        seen * 4 >= all
    });
    SCANNED_CONTRAST.max((grain.unwrap_or(0) * 2 + 8).min(96) as u8)
}

#[cfg(test)]
mod tests {
    use super::*;
    use faxpost_t4::Resolution;
    use proptest::prelude::*;

    const WIDTH: usize = 320;

    /// A picture of 320 × 320 pixels.
    fn picture(grey: impl Fn(usize, usize) -> u8) -> Grey {
        let pixel = |at: usize| grey(at % WIDTH, at / WIDTH);
        Grey {
            width: WIDTH,
            height: WIDTH,
            data: (0..WIDTH * WIDTH).map(pixel).collect(),
        }
    }

    /// Strokes of 3 pixels every 20, in the middle of the page.
    fn stroke(x: usize, y: usize) -> bool {
        x % 20 < 3 && (100..220).contains(&x) && (100..220).contains(&y)
    }

    /// A grain of ±8 that is the same in every run.
    fn grain(x: usize, y: usize) -> u8 {
        let hash = (x as u32).wrapping_mul(0x9E37_79B1) ^ (y as u32).wrapping_mul(0x85EB_CA77);
        (hash.wrapping_mul(0xC2B2_AE3D) >> 28) as u8
    }

    fn draw(page: &Grey, resolution: Resolution) -> Bitmap {
        let setup = PageSetup {
            resolution,
            ..PageSetup::a4_fine()
        };
        to_bitmap(page, &setup, |layers| layers)
    }

    fn black(bitmap: &Bitmap) -> usize {
        bitmap.count_black()
    }

    #[test]
    fn scanned_paper_is_white_and_its_letters_black() {
        let page = picture(|x, y| {
            let paper = 200 + (y / 16) as u8;
            (if stroke(x, y) { 60 } else { paper }) + grain(x, y)
        });
        let bitmap = draw(&page, Resolution::Fine);
        for y in 0..WIDTH {
            for x in 0..WIDTH {
                assert_eq!(bitmap.is_black(x, y), stroke(x, y), "at {x}, {y}");
            }
        }
    }

    #[test]
    fn letters_come_out_in_any_contrast() {
        for (paper, ink) in [(255, 0), (255, 215), (230, 120), (120, 0)] {
            let page = picture(|x, y| if stroke(x, y) { ink } else { paper });
            let bitmap = draw(&page, Resolution::Fine);
            // A fill of middle grey has a light tint, but not near writing.
            for y in 96..224 {
                for x in 96..224 {
                    assert_eq!(
                        bitmap.is_black(x, y),
                        stroke(x, y),
                        "{ink} on {paper} at {x}, {y}"
                    );
                }
            }
            let tint = black(&bitmap) - 6 * 3 * 120;
            let most = if paper < 200 { WIDTH * WIDTH / 10 } else { 0 };
            assert!(tint <= most && (most == 0 || tint > 0), "{tint} on {paper}");
        }
        for (paper, ink) in [(0, 255), (40, 120), (110, 255)] {
            let page = picture(|x, y| if stroke(x, y) { ink } else { paper });
            let bitmap = draw(&page, Resolution::Fine);
            let around = WIDTH * WIDTH - 6 * 3 * 120;
            assert_eq!(black(&bitmap), around, "{ink} on {paper}");
        }
    }

    #[test]
    fn a_picture_has_as_much_ink_as_it_is_dark() {
        // A ramp with grain: many small steps, every tone.
        let page = picture(|x, y| (x * 200 / WIDTH) as u8 + 20 + grain(x, y));
        let bitmap = draw(&page, Resolution::Fine);
        let column = |from: usize, to: usize| {
            let black = (0..WIDTH)
                .flat_map(|y| (from..to).map(move |x| (x, y)))
                .filter(|&(x, y)| bitmap.is_black(x, y))
                .count();
            black * 100 / (WIDTH * (to - from))
        };
        let (dark, middle, light) = (column(8, 40), column(140, 172), column(280, 312));
        assert!(dark > 70 && light < 20, "{dark} {middle} {light}");
        assert!((30..60).contains(&middle), "{dark} {middle} {light}");
    }

    #[test]
    fn dots_grow_with_darkness_at_every_resolution() {
        for resolution in [
            Resolution::Standard,
            Resolution::Fine,
            Resolution::Superfine,
        ] {
            let share = |level: u8| {
                (0..64)
                    .flat_map(|y| (0..64).map(move |x| (x, y)))
                    .filter(|&(x, y)| dots::dot(x, y, level, resolution))
                    .count()
            };
            let shares: Vec<usize> = (0..=255).map(share).collect();
            assert!(shares.windows(2).all(|pair| pair[0] >= pair[1]));
            assert_eq!((shares[0], shares[255]), (64 * 64, 0));
            assert!((1900..2200).contains(&shares[128]), "{}", shares[128]);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        /// White stays white and black black, whatever else is on the page.
        #[test]
        fn pure_pages_and_odd_sizes(height in 1usize..40, level in prop_oneof![Just(0u8), Just(255u8)]) {
            for resolution in [Resolution::Standard, Resolution::Fine, Resolution::Superfine] {
                let page = Grey { width: 1728, height, data: vec![level; 1728 * height] };
                let bitmap = draw(&page, resolution);
                prop_assert_eq!(black(&bitmap), if level == 0 { 1728 * height } else { 0 });
            }
        }

        #[test]
        fn any_picture_is_converted(seed in any::<u64>(), height in 1usize..90) {
            let mut state = seed | 1;
            let data = (0..64 * height)
                .map(|_| {
                    state ^= state << 13;
                    state ^= state >> 7;
                    state ^= state << 17;
                    state as u8
                })
                .collect();
            let page = Grey { width: 64, height, data };
            let bitmap = draw(&page, Resolution::Fine);
            prop_assert_eq!((bitmap.width(), bitmap.height()), (64, height));
        }
    }
}

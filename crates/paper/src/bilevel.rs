//! Grey to black and white: text by a threshold that follows the paper around it, photographs by
//! `tone`, flat fills by `panels`.
//!
//! The threshold is decided for cells of 1 mm, not for pixels. Around each cell, the paper is the
//! grey closing of the lightest pixels (what is left when strokes are filled in), the ink the
//! darkest pixel near; ink is what is darker than a level between the two. So text in light
//! colours, on grey and in white on dark all come out, where one level for the page loses some.

use std::ops::Range;

use faxpost_t4::{Bitmap, Resolution};

use crate::grey::{Grey, pack};
use crate::panels::{self, Fate};
use crate::tone;

/// Columns of a cell; all fax widths are multiples of it.
pub(crate) const CELL: usize = 8;

/// Grey levels between paper and ink below which there is no ink, on a page without grain.
const CONTRAST: u8 = 24;
/// The same on the cleanest of scans.
const SCANNED_CONTRAST: u8 = 40;
/// A page with fewer cells of a single grey than this, in per cent, is a scan.
const DRAWN: usize = 25;
/// Where there is no contrast, black is below this.
const DARK: u16 = 80;
/// How far from ink to paper the level is, in per cent. Beyond the middle: thin strokes that
/// cover two rows by half would break at it.
const LEVEL: u16 = 66;

/// Makes a page black and white.
pub(crate) fn to_bitmap(grey: &Grey, resolution: Resolution) -> Bitmap {
    let cells = Cells::of(grey, resolution);
    let tone = tone::find(grey, &cells);
    convert(grey, resolution, &cells, &tone)
}

/// Makes a page black and white that holds one picture, at those columns and rows: dots all over it when it
/// is a photograph; a scan of writing, or a drawing, is treated as any page.
pub(crate) fn picture_to_bitmap(
    grey: &Grey,
    columns: Range<usize>,
    rows: Range<usize>,
    resolution: Resolution,
) -> Bitmap {
    let cells = Cells::of(grey, resolution);
    let tone =
        tone::photograph(grey, &cells, columns, rows).unwrap_or_else(|| tone::find(grey, &cells));
    convert(grey, resolution, &cells, &tone)
}

fn convert(grey: &Grey, resolution: Resolution, cells: &Cells, tone: &[bool]) -> Bitmap {
    let panels = panels::find(cells, tone);
    let levels = levels(cells);
    let mut bitmap = Bitmap::new(grey.width, grey.height);
    let mut pixels = vec![false; grey.width];
    for y in 0..grey.height {
        let band = y / cells.height * cells.across;
        let cells_here = band..band + cells.across;
        // Nothing is ink that is this light, whatever surrounds it.
        if cells.min[cells_here.clone()].iter().all(|&v| v >= 243) {
            continue;
        }
        let row = grey.row(y);
        for ((from, to), cell) in row
            .chunks(CELL)
            .zip(pixels.chunks_mut(CELL))
            .zip(cells_here)
        {
            let (level, flat) = (levels[cell], u16::from(panels.level[cell]));
            match panels.fate[cell] {
                Fate::Paper => threshold(from, to, level.min(flat.saturating_sub(panels::NEAR))),
                Fate::Ink => threshold(from, to, level.max(flat + panels::NEAR)),
                Fate::Screen => {
                    let x = cell % cells.across * CELL;
                    for (i, (&v, black)) in from.iter().zip(to).enumerate() {
                        *black = if u16::from(v).abs_diff(flat) < panels::NEAR {
                            panels::dot(x + i, y, v, resolution)
                        } else {
                            u16::from(v) < level
                        };
                    }
                }
                Fate::Open => threshold(from, to, level),
            }
        }
        pack(pixels.iter().copied(), bitmap.row_mut(y));
    }
    tone::screen(grey, cells, tone, &mut bitmap);
    bitmap
}

fn threshold(from: &[u8], to: &mut [bool], level: u16) {
    for (&v, black) in from.iter().zip(to) {
        *black = u16::from(v) < level;
    }
}

/// The level of each cell below which its pixels are ink.
fn levels(cells: &Cells) -> Vec<u16> {
    let paper = spread(&spread(&cells.max, cells, 2, u8::max), cells, 2, u8::min);
    let ink = spread(&cells.min, cells, 1, u8::min);
    let contrast = contrast(cells);
    paper
        .iter()
        .zip(&ink)
        .map(|(&paper, &ink)| {
            // The closing is nowhere below the lightest pixel, so not below the ink.
            let range = paper.saturating_sub(ink);
            if range > contrast {
                let level = u16::from(ink) + u16::from(range) * LEVEL / 100;
                // Nowhere so near to the paper that its grain would be ink.
                level.min(u16::from(paper - contrast) + u16::from(contrast / 4))
            } else {
                DARK
            }
        })
        .collect()
}

/// The least contrast of ink: more on a scan, whose paper isn't even (the quietest quarter of the
/// cells shows how much) and whose letters have echoes of compression around them.
fn contrast(cells: &Cells) -> u8 {
    if cells.drawn() {
        return CONTRAST;
    }
    let mut histogram = [0usize; 256];
    for (max, min) in cells.max.iter().zip(&cells.min) {
        histogram[usize::from(max - min)] += 1;
    }
    let mut seen = 0;
    let grain = histogram
        .iter()
        .position(|&count| {
            seen += count;
            seen * 4 >= cells.max.len()
        })
        .unwrap_or(0);
    SCANNED_CONTRAST.max((grain * 2 + 8).min(96) as u8)
}

/// The greatest (or least) value within `reach` cells, across, then down.
fn spread(values: &[u8], cells: &Cells, reach: usize, pick: fn(u8, u8) -> u8) -> Vec<u8> {
    let (across, down) = (cells.across, cells.down);
    let mut wide = values.to_vec();
    for y in 0..down {
        let row = &values[y * across..][..across];
        for (x, out) in wide[y * across..][..across].iter_mut().enumerate() {
            let near = &row[x.saturating_sub(reach)..(x + reach + 1).min(across)];
            *out = near.iter().copied().fold(*out, pick);
        }
    }
    let mut out = wide.clone();
    for y in 0..down {
        for near in y.saturating_sub(reach)..(y + reach + 1).min(down) {
            let row = &wide[near * across..][..across];
            for (out, &v) in out[y * across..][..across].iter_mut().zip(row) {
                *out = pick(*out, v);
            }
        }
    }
    out
}

/// What is known of each cell of 8 columns and about as many millimetres down as across.
pub(crate) struct Cells {
    pub across: usize,
    pub down: usize,
    /// Rows of a cell.
    pub height: usize,
    pub min: Vec<u8>,
    pub max: Vec<u8>,
    /// Mean of the pixels.
    pub mean: Vec<u8>,
    /// Pixels that differ a little from the next one across or down.
    pub soft: Vec<u16>,
    /// Pixels that differ much from it.
    pub hard: Vec<u16>,
}

impl Cells {
    fn of(grey: &Grey, resolution: Resolution) -> Self {
        let height = match resolution {
            Resolution::Standard => 4,
            Resolution::Fine => 8,
            Resolution::Superfine => 16,
        };
        let (across, down) = (grey.width.div_ceil(CELL), grey.height.div_ceil(height));
        let count = across * down;
        let mut cells = Self {
            across,
            down,
            height,
            min: vec![255; count],
            max: vec![0; count],
            mean: vec![255; count],
            soft: vec![0; count],
            hard: vec![0; count],
        };
        let mut sums = vec![0u32; across];
        for band in 0..down {
            let at = band * across;
            let rows = band * height..((band + 1) * height).min(grey.height);
            let count = rows.len() as u32 * CELL as u32;
            sums.fill(0);
            for y in rows {
                let row = grey.row(y);
                if row.iter().all(|&v| v == 255) {
                    cells.max[at..at + across].fill(255);
                    sums.iter_mut().for_each(|sum| *sum += 255 * CELL as u32);
                    continue;
                }
                let below = grey.row((y + 1).min(grey.height - 1));
                for (x, sum) in sums.iter_mut().enumerate() {
                    cells.add(at + x, &row[x * CELL..], &below[x * CELL..], sum);
                }
            }
            for (mean, sum) in cells.mean[at..].iter_mut().zip(&sums) {
                *mean = (sum / count).min(255) as u8;
            }
        }
        cells
    }

    /// Whether a program drew the page; on a scan, hardly a cell is of a single grey.
    pub fn drawn(&self) -> bool {
        let single = self
            .max
            .iter()
            .zip(&self.min)
            .filter(|(max, min)| max == min);
        single.count() * 100 >= self.max.len() * DRAWN
    }

    /// Adds the first pixels of `row` to a cell.
    fn add(&mut self, cell: usize, row: &[u8], below: &[u8], sum: &mut u32) {
        let (mut min, mut max) = (self.min[cell], self.max[cell]);
        let (mut soft, mut hard) = (0, 0);
        for i in 0..CELL.min(row.len()) {
            let v = row[i];
            min = min.min(v);
            max = max.max(v);
            *sum += u32::from(v);
            let next = row[(i + 1).min(row.len() - 1)];
            let step = v.abs_diff(next).max(v.abs_diff(below[i]));
            soft += u16::from((1..=32).contains(&step));
            hard += u16::from(step >= 64);
        }
        (self.min[cell], self.max[cell]) = (min, max);
        self.soft[cell] += soft;
        self.hard[cell] += hard;
    }

    /// The cells next to `cell` in the four directions, nearest first, as far as `reach`.
    pub fn rays(&self, cell: usize, reach: usize) -> [impl Iterator<Item = usize> + use<>; 4] {
        let (x, y) = (cell % self.across, cell / self.across);
        let ray = |room: usize, step: isize| {
            (1..=room.min(reach) as isize).map(move |i| cell.wrapping_add_signed(i * step))
        };
        let across = self.across as isize;
        [
            ray(x, -1),
            ray(self.across - 1 - x, 1),
            ray(y, -across),
            ray(self.down - 1 - y, across),
        ]
    }

    /// The cells around `cell`, itself included.
    pub fn around(&self, cell: usize) -> impl Iterator<Item = usize> + use<> {
        let (x, y) = (cell % self.across, cell / self.across);
        let (columns, across) = (
            x.saturating_sub(1)..=(x + 1).min(self.across - 1),
            self.across,
        );
        (y.saturating_sub(1)..=(y + 1).min(self.down - 1))
            .flat_map(move |y| columns.clone().map(move |x| y * across + x))
    }
}

/// Cells that belong together, and the box around them (ends excluded).
pub(crate) struct Group {
    pub members: Vec<usize>,
    pub columns: std::ops::Range<usize>,
    pub rows: std::ops::Range<usize>,
}

impl Group {
    /// The members and the cells between members across and down (`both`), or either, a row at a
    /// time.
    pub fn hull(&self, cells: &Cells, both: bool) -> Vec<usize> {
        let (left, top) = (self.columns.start, self.rows.start);
        let mut across = vec![(usize::MAX, 0); self.rows.len()];
        let mut down = vec![(usize::MAX, 0); self.columns.len()];
        let reach = |span: &mut (usize, usize), at: usize| *span = (span.0.min(at), span.1.max(at));
        for &cell in &self.members {
            let (x, y) = (cell % cells.across, cell / cells.across);
            reach(&mut across[y - top], x);
            reach(&mut down[x - left], y);
        }
        let within = |span: (usize, usize), at: usize| (span.0..=span.1).contains(&at);
        let mut hull = Vec::new();
        for y in self.rows.clone() {
            hull.extend(
                self.columns
                    .clone()
                    .filter(|&x| {
                        let (beside, above) =
                            (within(across[y - top], x), within(down[x - left], y));
                        if both {
                            beside && above
                        } else {
                            beside || above
                        }
                    })
                    .map(|x| y * cells.across + x),
            );
        }
        hull
    }
}

/// The groups of cells that satisfy `is`; `next` lists the cells that belong with a given one.
pub(crate) fn groups(
    cells: &Cells,
    is: impl Fn(usize) -> bool,
    next: impl Fn(usize, &mut Vec<usize>),
) -> Vec<Group> {
    let mut seen = vec![false; cells.across * cells.down];
    let mut groups = Vec::new();
    let mut others = Vec::new();
    for start in 0..seen.len() {
        if seen[start] || !is(start) {
            continue;
        }
        seen[start] = true;
        let mut group = Group {
            members: vec![start],
            columns: start % cells.across..start % cells.across + 1,
            rows: start / cells.across..start / cells.across + 1,
        };
        let mut at = 0;
        while let Some(&cell) = group.members.get(at) {
            at += 1;
            let (x, y) = (cell % cells.across, cell / cells.across);
            group.columns = group.columns.start.min(x)..group.columns.end.max(x + 1);
            group.rows = group.rows.start.min(y)..group.rows.end.max(y + 1);
            others.clear();
            next(cell, &mut others);
            for &other in &others {
                if !seen[other] && is(other) {
                    seen[other] = true;
                    group.members.push(other);
                }
            }
        }
        groups.push(group);
    }
    groups
}

#[cfg(test)]
mod tests {
    use super::*;
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

    fn black(bitmap: &Bitmap) -> usize {
        bitmap.count_black()
    }

    #[test]
    fn scanned_paper_is_white_and_its_letters_black() {
        let page = picture(|x, y| {
            let paper = 200 + (y / 16) as u8;
            (if stroke(x, y) { 60 } else { paper }) + grain(x, y)
        });
        let bitmap = to_bitmap(&page, Resolution::Fine);
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
            let bitmap = to_bitmap(&page, Resolution::Fine);
            let strokes = 6 * 3 * 120;
            assert_eq!(black(&bitmap), strokes, "{ink} on {paper}");
        }
        for (paper, ink) in [(0, 255), (40, 120), (110, 255)] {
            let page = picture(|x, y| if stroke(x, y) { ink } else { paper });
            let bitmap = to_bitmap(&page, Resolution::Fine);
            let around = WIDTH * WIDTH - 6 * 3 * 120;
            assert_eq!(black(&bitmap), around, "{ink} on {paper}");
        }
    }

    #[test]
    fn a_picture_has_as_much_ink_as_it_is_dark() {
        // A ramp with grain: many small steps, every tone.
        let page = picture(|x, y| (x * 200 / WIDTH) as u8 + 20 + grain(x, y));
        let bitmap = to_bitmap(&page, Resolution::Fine);
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
                    .filter(|&(x, y)| panels::dot(x, y, level, resolution))
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
                let bitmap = to_bitmap(&page, resolution);
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
            let bitmap = to_bitmap(&page, Resolution::Fine);
            prop_assert_eq!((bitmap.width(), bitmap.height()), (64, height));
        }
    }
}

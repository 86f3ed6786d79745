//! Dots: grey as black and white pixels.
//!
//! Photographs get error diffusion with output feedback (each pixel likes to be what its neighbours
//! before and above are, and not what the one above that is): the grain is coarse enough for
//! printers and codes in less than half of plain error diffusion, and faces stay faces. Rows go to
//! and fro, or the grain would run into slanting lines. Where pages are copied or faxed again, a
//! clustered dot survives better. Fills have a regular dot, so that an even grey looks even.

use std::ops::Range;

use faxpost_t4::{Bitmap, Resolution};

use crate::Dots;
use crate::cells::CELL;
use crate::grey::Grey;

/// How strongly a pixel follows the ones before and above, in grey levels.
const FEEDBACK: i32 = 64;
/// How strongly it differs from the one two rows above.
const RETURN: i32 = 24;

/// Draws the masked pixels anew.
pub(crate) fn screen(
    grey: &Grey,
    mask: &Bitmap,
    dots: Dots,
    resolution: Resolution,
    bitmap: &mut Bitmap,
) {
    match dots {
        Dots::Diffused => diffuse(grey, mask, bitmap),
        Dots::Clustered => cluster(grey, mask, resolution, bitmap),
    }
}

fn cluster(grey: &Grey, mask: &Bitmap, resolution: Resolution, bitmap: &mut Bitmap) {
    let curve = curve();
    for y in 0..grey.height {
        let row = grey.row(y);
        let out = bitmap.row_mut(y);
        for (at, (&mask, out)) in mask.row(y).iter().zip(out).enumerate() {
            if mask == 0 {
                continue;
            }
            let pixels = row[at * CELL..].iter().take(CELL).enumerate();
            let bits = pixels.fold(0, |bits, (i, &v)| {
                let black = dot(at * CELL + i, y, curve[usize::from(v)] as u8, resolution);
                bits | u8::from(black) << (7 - i)
            });
            *out = *out & !mask | bits & mask;
        }
    }
}

fn diffuse(grey: &Grey, mask: &Bitmap, bitmap: &mut Bitmap) {
    let curve = curve();
    let width = grey.width;
    // Errors of this row and the next, in sixteenths, with a column to spare on both sides.
    let mut errors = vec![0i32; width + 2];
    let mut below = vec![0i32; width + 2];
    // The last two rows and this one: 1 is black, -1 white, 0 no tone.
    let mut rows = [vec![-1i32; width], vec![-1; width], vec![-1; width]];
    for y in 0..grey.height {
        std::mem::swap(&mut errors, &mut below);
        below.fill(0);
        let Some(span) = masked(mask.row(y)) else {
            continue;
        };
        let columns = span.start * CELL..(span.end * CELL).min(width);
        let [above2, above, row] = &mut rows;
        signs(bitmap, mask, y.checked_sub(2), columns.clone(), above2);
        signs(bitmap, mask, y.checked_sub(1), columns.clone(), above);
        let (greys, masks) = (grey.row(y), mask.row(y));
        let step: isize = if y % 2 == 0 { 1 } else { -1 };
        let mut before = 0;
        let mut x = if step > 0 {
            columns.start
        } else {
            columns.end - 1
        };
        for _ in columns.clone() {
            let ahead = x.wrapping_add_signed(step);
            if masks[x / CELL] & (0x80 >> (x % CELL)) != 0 {
                let wanted = curve[usize::from(greys[x])];
                let value = wanted + errors[x + 1] / 16;
                let start = if above[x] == 0 { unlike(x) } else { 0 };
                let level = 128 + FEEDBACK * (before + above[x]) - RETURN * above2[x] + start;
                // Paper stays paper, ink stays ink, whatever the neighbours pass on.
                let black = wanted < 255 && (wanted == 0 || value < level);
                row[x] = if black { 1 } else { -1 };
                if (1..255).contains(&wanted) {
                    let error = (value - if black { 0 } else { 255 }).clamp(-255, 255);
                    errors[ahead.wrapping_add(1)] += error * 7;
                    below[x.wrapping_add_signed(-step).wrapping_add(1)] += error * 3;
                    below[x + 1] += error * 5;
                    below[ahead.wrapping_add(1)] += error;
                }
                before = row[x];
            } else {
                before = 0;
            }
            x = ahead;
        }
        let out = bitmap.row_mut(y);
        for (at, pixels) in span.clone().zip(row[columns].chunks(CELL)) {
            let bits = pixels.iter().enumerate();
            let bits = bits.fold(0, |bits, (i, &sign)| bits | u8::from(sign > 0) << (7 - i));
            out[at] = out[at] & !masks[at] | bits & masks[at];
        }
    }
}

/// From -80 to 79, unlike at every column and the same in every run: without it a picture's first row would
/// have long runs, and the rows below would repeat them.
fn unlike(x: usize) -> i32 {
    ((x as u32).wrapping_mul(0x9E37_79B1) >> 16) as i32 % 160 - 80
}

/// From the first to the last octet of a row that has a masked pixel.
fn masked(mask: &[u8]) -> Option<Range<usize>> {
    let first = mask.iter().position(|&octet| octet != 0)?;
    let last = mask.iter().rposition(|&octet| octet != 0)?;
    Some(first..last + 1)
}

/// A row's pixels in those columns, 1 for black, -1 for white; 0 where it has no tone, so that
/// what is beside a picture leaves no line along its edge.
fn signs(
    bitmap: &Bitmap,
    mask: &Bitmap,
    y: Option<usize>,
    columns: Range<usize>,
    signs: &mut [i32],
) {
    let Some(y) = y else {
        return signs.fill(0);
    };
    let (row, mask) = (bitmap.row(y), mask.row(y));
    for (sign, x) in signs[columns.clone()].iter_mut().zip(columns) {
        let bit = |row: &[u8]| i32::from(row[x / CELL] >> (7 - x % CELL) & 1);
        *sign = (bit(row) * 2 - 1) * bit(mask);
    }
}

/// Lightens the middle, since dots of ink spread, and settles near black and near white.
fn curve() -> [i32; 256] {
    std::array::from_fn(|v| match v {
        0..=4 => 0,
        248.. => 255,
        v => (255.0 * (v as f32 / 255.0).powf(0.8)).round() as i32,
    })
}

/// Whether the pixel at column `x` of row `y` is black in a fill of grey `level`: dots of growing
/// size on a 45° grid of 8 pixels, round on paper at any resolution.
pub(crate) fn dot(x: usize, y: usize, level: u8, resolution: Resolution) -> bool {
    // How dark a fill must be, in 32nds, for each pixel of the dot to be black. The second dot
    // stands half a period across and down.
    const ORDER: [[u8; 8]; 4] = [
        [13, 7, 6, 12, 18, 24, 25, 19],
        [8, 1, 2, 5, 23, 30, 31, 26],
        [9, 3, 0, 4, 22, 29, 28, 27],
        [14, 10, 11, 15, 17, 21, 20, 16],
    ];
    let y = row(y, resolution);
    let shifted = x + if y / 4 % 2 == 1 { 4 } else { 0 };
    u32::from(ORDER[y % 4][shifted % 8]) * 8 + 4 < u32::from(255 - level)
}

/// Whether the pixel at column `x` of row `y` is black in a fill of grey `level` that writing
/// stands on: small dots far apart, which say that there is a fill and cost little.
pub(crate) fn tint(x: usize, y: usize, level: u8, resolution: Resolution) -> bool {
    const PERIOD: usize = 16;
    let y = row(y, resolution);
    let x = x + if y / (PERIOD / 2) % 2 == 1 {
        PERIOD / 2
    } else {
        0
    };
    let size = if level < 128 { 3 } else { 2 };
    x % PERIOD < size && y % (PERIOD / 2) < size
}

/// The row at fine resolution.
fn row(y: usize, resolution: Resolution) -> usize {
    match resolution {
        Resolution::Standard => y * 2,
        Resolution::Fine => y,
        Resolution::Superfine => y / 2,
    }
}

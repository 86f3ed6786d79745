//! Photographs and shadings: where they are, and their dots.
//!
//! They are found by what the pixels look like: many small steps, few large ones, over an area.
//! Dots are error diffusion with output feedback (each pixel likes to be what its left and upper
//! neighbours are): the grain is coarse enough for printers and codes in less than half of plain
//! error diffusion, and faces stay faces.

use std::ops::Range;

use faxpost_t4::Bitmap;

use crate::bilevel::{CELL, Cells, Group, groups};
use crate::grey::Grey;

/// Cells at least; fewer are 7 × 7 mm, too small to be a picture and as likely to be smooth text.
const LEAST: usize = 49;
/// Lightest to darkest pixel of a cell that has no grain: photographs have hardly any of them.
const EVEN: u8 = 3;
/// A picture with more such cells than this, in per cent, is drawn.
const DRAWN: usize = 50;
/// How strongly a pixel follows each of the two neighbours, in grey levels.
const FEEDBACK: i32 = 64;

/// Marks the cells that belong to a picture.
pub(crate) fn find(grey: &Grey, cells: &Cells) -> Vec<bool> {
    let pixels = (cells.height * CELL) as u32;
    // An edge that runs through a cell has soft pixels too, but no more than two rows of them.
    let smooth = |cell: usize| {
        let (soft, hard) = (u32::from(cells.soft[cell]), u32::from(cells.hard[cell]));
        soft * 100 > pixels * 30 && soft > 2 * hard && (24..=235).contains(&cells.mean[cell])
    };
    let beside = |cell: usize, next: &mut Vec<usize>| next.extend(cells.around(cell));
    let mut tone = vec![false; cells.across * cells.down];
    for group in groups(cells, smooth, beside) {
        if group.members.len() >= LEAST && !is_scan(grey, cells, &group) {
            fill(&mut tone, cells, &group);
        }
    }
    tone
}

/// The cells of a picture of those columns and rows, when it is a photograph: soft all over, and neither
/// mostly paper with some ink, as a scan is, nor mostly even, as a drawing or a picture of a screen is.
pub(crate) fn photograph(
    grey: &Grey,
    cells: &Cells,
    columns: Range<usize>,
    rows: Range<usize>,
) -> Option<Vec<bool>> {
    let across = columns.start / CELL..columns.end.div_ceil(CELL).min(cells.across);
    let down = rows.start / cells.height..rows.end.div_ceil(cells.height).min(cells.down);
    let members: Vec<usize> = down
        .flat_map(|y| across.clone().map(move |x| y * cells.across + x))
        .collect();
    let even = |&cell: &usize| cells.max[cell] - cells.min[cell] <= EVEN;
    let evens = members.iter().copied().filter(|cell| even(cell)).count();
    if members.len() < LEAST || evens * 100 > members.len() * DRAWN {
        return None;
    }
    let shades = Shades::of(grey, cells, &members);
    // A night has more ink than paper.
    if shades.like_writing() && shades.paper > shades.dark {
        return None;
    }
    let mut tone = vec![false; cells.across * cells.down];
    members.into_iter().for_each(|cell| tone[cell] = true);
    Some(tone)
}

/// Whether the group is text on paper that a scanner saw: mostly one light level, the rest dark.
fn is_scan(grey: &Grey, cells: &Cells, group: &Group) -> bool {
    let shades = Shades::of(grey, cells, &group.members);
    // A plain sky has as much of one level, but then hardly any dark, and rarely fills the page.
    let page = cells.across * cells.down;
    let like_paper = shades.dark * 50 > shades.total || group.members.len() * 10 > page * 3;
    like_paper && shades.like_writing()
}

/// How the pixels of some cells spread over the greys.
struct Shades {
    total: usize,
    /// Near the most frequent of the light greys.
    paper: usize,
    dark: usize,
}

impl Shades {
    fn of(grey: &Grey, cells: &Cells, members: &[usize]) -> Self {
        let mut histogram = [0usize; 256];
        for &cell in members {
            let (x, y) = (
                cell % cells.across * CELL,
                cell / cells.across * cells.height,
            );
            for y in y..(y + cells.height).min(grey.height) {
                for &v in grey.row(y)[x..].iter().take(CELL) {
                    histogram[usize::from(v)] += 1;
                }
            }
        }
        let light = 150;
        let peak = (light..256)
            .max_by_key(|&level| histogram[level])
            .unwrap_or(255);
        Self {
            total: histogram.iter().sum(),
            paper: histogram[peak.saturating_sub(24).max(light)..(peak + 25).min(256)]
                .iter()
                .sum(),
            dark: histogram[..90].iter().sum(),
        }
    }

    /// Mostly paper of one grey, the rest ink.
    fn like_writing(&self) -> bool {
        (self.paper + self.dark) * 100 > self.total * 72
    }
}

/// Marks a group with what it encloses and a cell around: a picture has flat places and an edge
/// that shares its cells with the paper.
fn fill(tone: &mut [bool], cells: &Cells, group: &Group) {
    let area = group.rows.len() * group.columns.len();
    let inside = if group.members.len() * 10 > area * 6 {
        let columns = group.columns.clone();
        let rows = group.rows.clone();
        rows.flat_map(|y| columns.clone().map(move |x| y * cells.across + x))
            .collect()
    } else {
        group.hull(cells, true)
    };
    for cell in inside {
        for near in cells.around(cell) {
            tone[near] = true;
        }
    }
}

/// Draws the marked cells anew, in dots.
pub(crate) fn screen(grey: &Grey, cells: &Cells, tone: &[bool], bitmap: &mut Bitmap) {
    if !tone.contains(&true) {
        return;
    }
    let curve = curve();
    // Errors of this row and the next, in sixteenths, with a column to spare on both sides.
    let mut errors = vec![0i32; grey.width + 2];
    let mut below = vec![0i32; grey.width + 2];
    for y in 0..grey.height {
        let band = &tone[y / cells.height * cells.across..][..cells.across];
        std::mem::swap(&mut errors, &mut below);
        below.fill(0);
        if !band.contains(&true) {
            continue;
        }
        let row = grey.row(y);
        let above: Vec<u8> = if y > 0 {
            bitmap.row(y - 1).to_vec()
        } else {
            vec![0; bitmap.stride()]
        };
        let out = bitmap.row_mut(y);
        for (cell, _) in band.iter().enumerate().filter(|&(_, &tone)| tone) {
            let (mut bits, overhead) = (0u8, above[cell]);
            let mut before = cell > 0 && out[cell - 1] & 1 != 0;
            for i in 0..CELL {
                let x = cell * CELL + i;
                let mask = 0x80 >> i;
                let follow = |black: bool| if black { FEEDBACK } else { -FEEDBACK };
                let wanted = i32::from(curve[usize::from(row[x])]);
                let value = wanted + errors[x + 1] / 16;
                let level = 128 + follow(before) + follow(overhead & mask != 0);
                // Paper stays paper, ink stays ink, whatever the neighbours pass on.
                let black = wanted < 255 && (wanted == 0 || value < level);
                if black {
                    bits |= mask;
                }
                before = black;
                if (1..255).contains(&wanted) {
                    let error = (value - if black { 0 } else { 255 }).clamp(-255, 255);
                    errors[x + 2] += error * 7;
                    below[x] += error * 3;
                    below[x + 1] += error * 5;
                    below[x + 2] += error;
                }
            }
            out[cell] = bits;
        }
    }
}

/// Lightens the middle, since dots of ink spread, and settles near black and near white.
fn curve() -> [u8; 256] {
    std::array::from_fn(|v| match v {
        0..=8 => 0,
        248.. => 255,
        v => (255.0 * (v as f32 / 255.0).powf(0.8)).round() as u8,
    })
}

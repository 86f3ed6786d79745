//! What is known of each cell of a page: 8 columns, and about as many millimetres down as across.
//!
//! The loops go along rows, over plain slices of one length, so that the compiler can take 16 or
//! 32 pixels at a time.

use std::ops::Range;

use faxpost_t4::Resolution;

use crate::grey::Grey;

/// Columns of a cell; all fax widths are multiples of it.
pub(crate) const CELL: usize = 8;

/// A page with fewer cells of a single grey than this, in per cent, is a scan.
const DRAWN: usize = 25;

/// The cells of a page, row by row.
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
    pub fn of(grey: &Grey, resolution: Resolution) -> Self {
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
            max: vec![255; count],
            mean: vec![255; count],
            soft: vec![0; count],
            hard: vec![0; count],
        };
        for down in 0..down {
            let rows = down * height..((down + 1) * height).min(grey.height);
            for left in (0..grey.width).step_by(BLOCK) {
                let columns = left..(left + BLOCK).min(grey.width);
                if let Some(mut block) = Block::of(grey, &columns, &rows) {
                    cells.fill(
                        down * across + left / CELL,
                        &mut block,
                        columns.len(),
                        rows.len(),
                    );
                }
            }
        }
        cells
    }

    fn fill(&mut self, from: usize, block: &mut Block, columns: usize, rows: usize) {
        block.gather();
        for x in 0..columns.div_ceil(CELL) {
            let (at, cell) = (x * CELL, from + x);
            if block.min[at] == 255 {
                continue;
            }
            let pixels = rows * CELL.min(columns - at);
            self.min[cell] = block.min[at];
            self.max[cell] = block.max[at];
            // Nearly all cells are of 64 pixels, and divisions take their time.
            self.mean[cell] = match pixels {
                64 => block.sum[at] >> 6,
                _ => block.sum[at] / pixels as u16,
            } as u8;
            self.soft[cell] = u16::from(block.soft[at]);
            self.hard[cell] = u16::from(block.hard[at]);
        }
    }

    /// Whether a program drew the page, as far as it isn't `tone`; on a scan, hardly a cell is of
    /// a single grey.
    pub fn drawn(&self, tone: &[bool]) -> bool {
        let (mut all, mut single) = (0, 0);
        for (cell, &tone) in tone.iter().enumerate() {
            all += usize::from(!tone);
            single += usize::from(!tone && self.max[cell] == self.min[cell]);
        }
        single * 100 >= all * DRAWN
    }

    /// The grey of the paper at each cell: the lightest pixels, where what is narrower than twice
    /// `reach` cells is filled in.
    pub fn paper(&self, reach: usize) -> Vec<u8> {
        spread(
            &spread(&self.max, self, reach, u8::max),
            self,
            reach,
            u8::min,
        )
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
        self.near(cell, 1, 1)
    }

    /// The cells as near to `cell` as `columns` and `rows`, itself included.
    pub fn near(
        &self,
        cell: usize,
        columns: usize,
        rows: usize,
    ) -> impl Iterator<Item = usize> + use<> {
        let (x, y) = (cell % self.across, cell / self.across);
        let (columns, across) = (
            x.saturating_sub(columns)..=(x + columns).min(self.across - 1),
            self.across,
        );
        (y.saturating_sub(rows)..=(y + rows).min(self.down - 1))
            .flat_map(move |y| columns.clone().map(move |x| y * across + x))
    }
}

/// Paper, when a cell has a pixel as light.
const PAPER: u8 = 253;
/// Columns looked at together.
const BLOCK: usize = 64;

/// Some columns of a line of cells, each over all its rows.
struct Block {
    min: [u8; BLOCK],
    max: [u8; BLOCK],
    sum: [u16; BLOCK],
    soft: [u8; BLOCK],
    hard: [u8; BLOCK],
    /// There may be steps.
    stepped: bool,
}

impl Block {
    /// `None`: all is white.
    fn of(grey: &Grey, columns: &Range<usize>, rows: &Range<usize>) -> Option<Self> {
        let white = |y| {
            let row = &grey.row(y)[columns.clone()];
            row.iter().fold(255, |a, &b| a & b) == 255
        };
        if rows.clone().all(white) {
            return None;
        }
        let mut block = Self {
            min: [255; BLOCK],
            max: [0; BLOCK],
            sum: [0; BLOCK],
            soft: [0; BLOCK],
            hard: [0; BLOCK],
            stepped: false,
        };
        for y in rows.clone() {
            block.add(&grey.row(y)[columns.clone()]);
        }
        // Steps tell of tone, and where every cell has paper in it there is none.
        halve(&mut block.max, u8::max);
        let mut most = block.max[..columns.len()].iter().step_by(CELL);
        block.stepped = !most.all(|&max| max >= PAPER);
        if block.stepped {
            block.add_steps(grey, columns, rows);
        }
        Some(block)
    }

    /// Makes the first column of each cell tell of all of its columns, as that of `max` does already.
    fn gather(&mut self) {
        halve(&mut self.min, u8::min);
        halve(&mut self.sum, |a, b| a + b);
        if !self.stepped {
            return;
        }
        // At most 128 of a cell's 8 × 16 pixels.
        halve(&mut self.soft, |a, b| a + b);
        halve(&mut self.hard, |a, b| a + b);
    }

    fn add(&mut self, row: &[u8]) {
        for (min, &v) in self.min.iter_mut().zip(row) {
            *min = (*min).min(v);
        }
        for (max, &v) in self.max.iter_mut().zip(row) {
            *max = (*max).max(v);
        }
        for (sum, &v) in self.sum.iter_mut().zip(row) {
            *sum += u16::from(v);
        }
    }

    fn add_steps(&mut self, grey: &Grey, columns: &Range<usize>, rows: &Range<usize>) {
        // With the column to the right; beyond the page stands what is last on it.
        let (mut row, mut below) = ([255; BLOCK + 1], [255; BLOCK + 1]);
        let load = |to: &mut [u8; BLOCK + 1], y: usize| {
            let from = &grey.row(y.min(grey.height - 1))[columns.start..];
            let count = from.len().min(BLOCK + 1);
            to[..count].copy_from_slice(&from[..count]);
            to[count..].fill(from[from.len() - 1]);
        };
        load(&mut row, rows.start);
        for y in rows.clone() {
            load(&mut below, y + 1);
            let mut steps = [0; BLOCK];
            for (i, step) in steps.iter_mut().enumerate() {
                *step = row[i].abs_diff(row[i + 1]).max(row[i].abs_diff(below[i]));
            }
            for (soft, &step) in self.soft.iter_mut().zip(&steps) {
                *soft += u8::from(step.wrapping_sub(1) < 32);
            }
            for (hard, &step) in self.hard.iter_mut().zip(&steps) {
                *hard += u8::from(step >= 64);
            }
            row = below;
        }
    }
}

/// Takes each column together with those up to seven behind it, all columns at once: only what stands at a cell's first
/// column is used.
fn halve<T: Copy>(columns: &mut [T; BLOCK], pick: impl Fn(T, T) -> T) {
    for by in [4, 2, 1] {
        for at in 0..BLOCK - by {
            columns[at] = pick(columns[at], columns[at + by]);
        }
    }
}

/// Cells that belong together, and the box around them (ends excluded).
pub(crate) struct Group {
    pub members: Vec<usize>,
    pub columns: Range<usize>,
    pub rows: Range<usize>,
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

/// The greatest (or least) value within `reach` cells, across, then down.
pub(crate) fn spread(
    values: &[u8],
    cells: &Cells,
    reach: usize,
    pick: impl Fn(u8, u8) -> u8,
) -> Vec<u8> {
    let (across, down) = (cells.across, cells.down);
    let mut wide = values.to_vec();
    let take = |out: &mut [u8], near: &[u8]| {
        for (out, &v) in out.iter_mut().zip(near) {
            *out = pick(*out, v);
        }
    };
    for y in 0..down {
        let row = &values[y * across..][..across];
        let out = &mut wide[y * across..][..across];
        for by in 1..=reach.min(across - 1) {
            take(&mut out[by..], &row[..across - by]);
            take(&mut out[..across - by], &row[by..]);
        }
    }
    let mut out = wide.clone();
    for by in 1..=reach.min(down - 1) {
        take(&mut out[by * across..], &wide[..(down - by) * across]);
        take(&mut out[..(down - by) * across], &wide[by * across..]);
    }
    out
}

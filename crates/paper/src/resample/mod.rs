//! Pictures at the page's own size: each pixel of the page gets the mean of those of the picture that lie
//! under it, or where the picture is the coarser one, a mixture of the nearest.

mod taps;

use std::ops::Range;

pub(crate) use self::taps::Along;
use self::taps::Taps;

/// Pixels of the page that are looked at together.
const BLOCK: usize = 16;

/// A picture's samples, in rows.
#[derive(Clone, Copy)]
pub(crate) struct Samples<'a> {
    pub data: &'a [u8],
    pub width: usize,
    pub height: usize,
    pub kind: Kind,
}

/// What a sample is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// An octet of grey.
    Grey,
    /// Red, green and blue.
    Colour,
    /// A bit, the leftmost the highest, rows in whole octets. What counts is the share of this bit, in 255ths.
    Bits(bool),
}

impl Samples<'_> {
    fn stride(&self) -> usize {
        match self.kind {
            Kind::Grey => self.width,
            Kind::Colour => self.width * 3,
            Kind::Bits(_) => self.width.div_ceil(8),
        }
    }
}

/// Draws a picture at the page's size in grey: a row for each of the page's pixels `down` it, each with a
/// value for each pixel `across`. The picture's own columns are what `across` counts.
pub(crate) fn resample(
    picture: Samples<'_>,
    across: Along,
    down: Along,
    columns: Range<usize>,
    rows: Range<usize>,
    faded: bool,
    mut give: impl FnMut(usize, &[u8]),
) {
    let (across, down) = (
        across.taps(columns.clone(), faded),
        down.taps(rows.clone(), faded),
    );
    // The same value all over a part of a row is that value after any mean: paper, mostly.
    let usual = if matches!(picture.kind, Kind::Bits(_)) {
        0
    } else {
        255 << 8
    };
    let mut mixed = Mixed::new(picture);
    let (soften_across, soften_down) = (across.reduces, down.reduces);
    let mut lines = Lines::new(columns.len(), soften_down);
    let mut last: Option<(usize, &[u16])> = None;
    for i in 0..rows.len() {
        let (first, weights) = down.of(i);
        // Enlarged a lot, many rows of the page are alike.
        if last == Some((first, weights)) {
            lines.again();
        } else {
            let line = lines.next();
            let even = mixed.mix(picture, first, weights, usual);
            if even && !faded {
                line.fill((usual >> 8) as u8);
            } else {
                gather(&across, &mixed.grey, usual, faded, line);
                if soften_across {
                    soften_row(line);
                }
            }
            last = Some((first, weights));
        }
        if let Some(line) = lines.finished() {
            give(rows.start + i - usize::from(soften_down), line);
        }
    }
    if let Some(line) = lines.last() {
        give(rows.end - 1, line);
    }
}

/// The last three rows that were made, the newest first. What is made smaller is softened a little, by an eighth
/// of each neighbour: a pixel's mean alone keeps grain and jagged edges that cost bytes and read worse.
struct Lines {
    lines: [Vec<u8>; 3],
    soft: Vec<u8>,
    made: usize,
    soften: bool,
}

impl Lines {
    fn new(width: usize, soften: bool) -> Self {
        Self {
            lines: std::array::from_fn(|_| vec![0; width]),
            soft: vec![0; width],
            made: 0,
            soften,
        }
    }

    fn next(&mut self) -> &mut [u8] {
        self.lines.rotate_right(1);
        self.made += 1;
        &mut self.lines[0]
    }

    /// The newest row once more.
    fn again(&mut self) {
        self.lines.rotate_right(1);
        let [new, old, _] = &mut self.lines;
        new.copy_from_slice(old);
        self.made += 1;
    }

    /// The row that is ready: the newest, or where rows are softened the one before.
    fn finished(&mut self) -> Option<&[u8]> {
        if !self.soften {
            return Some(&self.lines[0]);
        }
        let [below, row, above] = &self.lines;
        match self.made {
            0 | 1 => return None,
            2 => soften(&mut self.soft, row, row, below),
            _ => soften(&mut self.soft, row, above, below),
        }
        Some(&self.soft)
    }

    /// The very last row, where `finished` kept it back.
    fn last(&mut self) -> Option<&[u8]> {
        if !self.soften || self.made == 0 {
            return None;
        }
        let [row, above, _] = &self.lines;
        let above = if self.made > 1 { above } else { row };
        soften(&mut self.soft, row, above, row);
        Some(&self.soft)
    }
}

fn soften(out: &mut [u8], row: &[u8], a: &[u8], b: &[u8]) {
    let mean = |a: u8, b: u8| ((u16::from(a) + u16::from(b) + 1) >> 1) as u8;
    for ((out, &v), (&a, &b)) in out.iter_mut().zip(row).zip(a.iter().zip(b)) {
        *out = mean(mean(mean(a, b), v), v);
    }
}

fn soften_row(row: &mut [u8]) {
    const PART: usize = 64;
    let mut before = row.first().copied().unwrap_or_default();
    for at in (0..row.len()).step_by(PART) {
        // A part with a neighbour on each side, as it was.
        let end = (at + PART).min(row.len());
        let mut old = [0; PART + 2];
        old[0] = before;
        old[1..=end - at].copy_from_slice(&row[at..end]);
        old[end - at + 1] = row.get(end).copied().unwrap_or(row[end - 1]);
        before = row[end - 1];
        let count = end - at;
        soften(
            &mut row[at..end],
            &old[1..=count],
            &old[..count],
            &old[2..count + 2],
        );
    }
}

fn gather(across: &Taps, grey: &[u16], usual: u16, faded: bool, out: &mut [u8]) {
    for (block, out) in out.chunks_mut(BLOCK).enumerate() {
        let from = block * BLOCK;
        let under = &grey[across.under(from..from + out.len())];
        if !faded && under.iter().fold(0, |all, &v| all | (v ^ usual)) == 0 {
            out.fill((usual >> 8) as u8);
            continue;
        }
        for (i, out) in out.iter_mut().enumerate() {
            let (first, weights) = across.of(from + i);
            let greys = grey[first..first + weights.len()].iter().zip(weights);
            let sum = greys.fold(0, |sum, (&grey, &weight)| {
                sum + u32::from(grey) * u32::from(weight)
            });
            *out = ((sum + (1 << 15)) >> 16) as u8;
        }
    }
}

/// Rows of a picture, mixed to one.
struct Mixed {
    /// In 256ths of a level, all channels.
    all: Vec<u16>,
    grey: Vec<u16>,
    /// The masks that octets stand for: all ones where a bit counts.
    masks: Vec<[u16; 8]>,
}

impl Mixed {
    fn new(picture: Samples<'_>) -> Self {
        let masks = |of: bool| {
            let mask = |octet: usize, bit: usize| {
                if (octet >> (7 - bit) & 1 == 1) == of {
                    u16::MAX
                } else {
                    0
                }
            };
            (0..256)
                .map(|octet| std::array::from_fn(|bit| mask(octet, bit)))
                .collect()
        };
        let wide = picture.width.next_multiple_of(8);
        Self {
            all: vec![
                0;
                if picture.kind == Kind::Colour {
                    picture.width * 3
                } else {
                    0
                }
            ],
            grey: vec![0; wide],
            masks: match picture.kind {
                Kind::Bits(of) => masks(of),
                _ => Vec::new(),
            },
        }
    }

    /// Mixes rows from `first` on. Whether all of it is `usual`.
    fn mix(&mut self, picture: Samples<'_>, first: usize, weights: &[u16], usual: u16) -> bool {
        let stride = picture.stride();
        let rows = weights
            .iter()
            .enumerate()
            .map(|(i, &weight)| (&picture.data[(first + i) * stride..][..stride], weight));
        let add = |mixed: &mut [u16], row: &[u8], weight: u16| {
            for (mixed, &v) in mixed.iter_mut().zip(row) {
                *mixed += weight * u16::from(v);
            }
        };
        match picture.kind {
            Kind::Grey => {
                self.grey.fill(0);
                rows.for_each(|(row, weight)| add(&mut self.grey, row, weight));
                self.grey[..picture.width]
                    .iter()
                    .fold(0, |all, &v| all | (v ^ usual))
                    == 0
            }
            Kind::Colour => {
                self.all.fill(0);
                rows.for_each(|(row, weight)| add(&mut self.all, row, weight));
                if self.all.iter().fold(0, |all, &v| all | (v ^ usual)) == 0 {
                    self.grey.fill(usual);
                    return true;
                }
                for (grey, &[r, g, b]) in self.grey.iter_mut().zip(self.all.as_chunks::<3>().0) {
                    *grey =
                        ((u32::from(r) * 77 + u32::from(g) * 150 + u32::from(b) * 29) >> 8) as u16;
                }
                false
            }
            Kind::Bits(of) => {
                self.grey.fill(0);
                let none = if of { 0 } else { u64::MAX };
                let mut even = true;
                for (row, weight) in rows {
                    even &= self.add_bits(row, weight * 255, none);
                }
                // The last octet's bits beyond the picture.
                self.grey[picture.width..].fill(0);
                even
            }
        }
    }

    /// Adds a row of bits. Whether none of them counts.
    fn add_bits(&mut self, row: &[u8], value: u16, none: u64) -> bool {
        let mut even = true;
        let (words, rest) = row.as_chunks::<8>();
        let (groups, rest_groups) = self.grey.split_at_mut(words.len() * 64);
        let masks = &self.masks;
        let add = |octets: &[u8], greys: &mut [u16]| {
            for (&octet, greys) in octets.iter().zip(greys.as_chunks_mut::<8>().0) {
                for (grey, mask) in greys.iter_mut().zip(masks[usize::from(octet)]) {
                    *grey += value & mask;
                }
            }
        };
        for (word, greys) in words.iter().zip(groups.chunks_exact_mut(64)) {
            if u64::from_ne_bytes(*word) != none {
                even = false;
                add(word, greys);
            }
        }
        if rest.iter().any(|&octet| octet != none as u8) {
            even = false;
            add(rest, rest_groups);
        }
        even
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(
        data: &[u8],
        width: usize,
        across: (f64, f64),
        kind: Kind,
        faded: bool,
        limit: usize,
    ) -> Vec<u8> {
        let across = Along {
            scale: across.0,
            offset: across.1,
            count: width,
        };
        let down = Along {
            scale: 1.0,
            offset: 0.0,
            count: 1,
        };
        let picture = Samples {
            data,
            width,
            height: 1,
            kind,
        };
        let mut out = Vec::new();
        let (columns, rows) = (across.span(limit), down.span(1));
        resample(picture, across, down, columns, rows, faded, |_, row| {
            out = row.to_vec();
        });
        out
    }

    #[test]
    fn a_pixel_is_the_mean_of_what_lies_under_it_and_a_little_of_its_neighbours() {
        let grey = |data: &[u8], across, faded, limit| {
            run(data, data.len(), across, Kind::Grey, faded, limit)
        };
        assert_eq!(grey(&[0, 100, 200, 40], (0.5, 0.0), false, 9), [59, 112]);
        assert_eq!(grey(&[0, 90, 30], (2.0 / 3.0, 0.0), false, 9), [33, 48]);
        // Mirrored.
        assert_eq!(grey(&[0, 100, 200, 40], (-0.5, 2.0), false, 9), [112, 59]);
        // Cut off by the page's edges.
        assert_eq!(
            grey(&[10, 30, 50, 70, 90, 110], (0.5, -1.0), false, 1),
            [60]
        );
        assert_eq!(grey(&[8, 8, 8], (0.1, 2.0), false, 9), [8]);
        assert_eq!(grey(&[200; 3], (0.1, 2.0), true, 9), [60]);
        let colours = [255, 0, 0, 255, 255, 255];
        assert_eq!(
            run(&colours, 2, (1.0, 0.0), Kind::Colour, false, 9),
            [77, 255]
        );
    }

    #[test]
    fn bits_are_counted() {
        let bits = |of, across| {
            run(
                &[0b1100_0001, 0b0111_1111],
                10,
                across,
                Kind::Bits(of),
                false,
                99,
            )
        };
        assert_eq!(bits(true, (0.5, 0.0)), [224, 32, 16, 112, 128]);
        assert_eq!(bits(false, (0.5, 0.0)), [32, 224, 240, 144, 128]);
        let wide: Vec<u8> = (0..40).map(|i| if i == 30 { 0xF0 } else { 0 }).collect();
        let out = run(&wide, 320, (0.25, 0.0), Kind::Bits(true), false, 999);
        assert_eq!(out.iter().position(|&v| v > 0), Some(59));
        assert_eq!((out.len(), out[59], out[60]), (80, 32, 192));
    }

    #[test]
    fn what_is_enlarged_changes_slowly() {
        let grey = |data: &[u8], across| run(data, data.len(), across, Kind::Grey, false, 9);
        assert_eq!(grey(&[0, 200], (2.0, 0.0)), [0, 50, 150, 200]);
        assert_eq!(grey(&[100, 100], (3.0, 1.0)), [100; 6]);
    }
}

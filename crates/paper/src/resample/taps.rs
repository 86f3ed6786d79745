//! Which of a picture's columns or rows lie under which of the page's pixels.

use std::ops::Range;

/// Where a picture's columns (or rows) lie on the page: column `u` of it at `scale * u + offset`.
#[derive(Clone, Copy)]
pub(crate) struct Along {
    pub scale: f64,
    pub offset: f64,
    /// Columns of the picture.
    pub count: usize,
}

/// How much a picture may reach into a pixel of the page without taking it.
const REACH: f64 = 0.004;
/// A whole, of weights.
const WHOLE: f64 = 256.0;
impl Along {
    /// The page's pixels that it takes part in, at most `limit`.
    pub fn span(&self, limit: usize) -> Range<usize> {
        let ends = [self.offset, self.offset + self.scale * self.count as f64];
        let (low, high) = (ends[0].min(ends[1]), ends[0].max(ends[1]));
        let from = ((low + REACH).floor().max(0.0) as usize).min(limit);
        let to = ((high - REACH).ceil().max(0.0) as usize).min(limit);
        from..to.max(from)
    }

    /// For each of those pixels the picture's columns under it, and how much of each. `faded`: what
    /// lies beside the picture counts as nothing, else as what is nearest.
    pub(super) fn taps(&self, pixels: Range<usize>, faded: bool) -> Taps {
        let mut taps = Taps {
            reduces: self.scale.abs() < 1.0,
            ..Taps::default()
        };
        let last = self.count - 1;
        for pixel in pixels {
            let at = |p: f64| (p - self.offset) / self.scale;
            if self.scale.abs() < 1.0 {
                let (a, b) = (at(pixel as f64), at(pixel as f64 + 1.0));
                let (low, high) = (a.min(b), a.max(b));
                let whole = high - low;
                let (low, high) = (low.max(0.0), high.min(self.count as f64));
                let first = (low.floor() as usize).min(last);
                let end = (high.ceil() as usize).clamp(first + 1, self.count);
                let all = if faded { whole } else { (high - low).max(1e-9) };
                // Rounded sums, not parts, add up to the whole.
                let until = |u: usize| {
                    let part = ((u as f64).min(high) - low).max(0.0) / all;
                    (part * WHOLE + 0.5) as u16
                };
                let mut before = 0;
                taps.begin(first);
                for u in first..end {
                    let sum = if u + 1 == end && !faded {
                        WHOLE as u16
                    } else {
                        until(u + 1)
                    };
                    taps.weights.push(sum.saturating_sub(before));
                    before = sum;
                }
            } else {
                let middle = at(pixel as f64 + 0.5) - 0.5;
                let low = middle.floor();
                let share = ((middle - low) * WHOLE + 0.5) as u16;
                let pick = |u: f64| (u.max(0.0) as usize).min(last);
                let (a, b) = (pick(low), pick(low + 1.0));
                let (mut of_a, mut of_b) = (WHOLE as u16 - share, share);
                if faded {
                    of_a = if low < 0.0 { 0 } else { of_a };
                    of_b = if low + 1.0 > last as f64 { 0 } else { of_b };
                }
                taps.begin(a);
                if a == b {
                    taps.weights.push(of_a + of_b);
                } else {
                    taps.weights.extend([of_a, of_b]);
                }
            }
        }
        taps.start.push(taps.weights.len());
        taps
    }
}

/// The columns of a picture under each pixel, from the first on, and their weights in 256ths.
#[derive(Default)]
pub(super) struct Taps {
    first: Vec<usize>,
    start: Vec<usize>,
    weights: Vec<u16>,
    /// The picture becomes smaller.
    pub reduces: bool,
}

impl Taps {
    fn begin(&mut self, first: usize) {
        self.first.push(first);
        self.start.push(self.weights.len());
    }

    pub fn of(&self, pixel: usize) -> (usize, &[u16]) {
        let weights = &self.weights[self.start[pixel]..self.start[pixel + 1]];
        (self.first[pixel], weights)
    }

    /// The columns under some pixels.
    pub fn under(&self, pixels: Range<usize>) -> Range<usize> {
        let (a, of_a) = self.of(pixels.start);
        let (b, of_b) = self.of(pixels.end - 1);
        a.min(b)..(a + of_a.len()).max(b + of_b.len())
    }
}

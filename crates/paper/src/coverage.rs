//! Paths to shades of grey: how much of each pixel does a path cover?
//!
//! A row at a time: every edge adds the signed area that lies to its right to the pixels it crosses, and
//! the sum along the row is what is covered. Between crossings nothing is computed, so a long thin
//! line costs its length and not its box.

use hayro::kurbo::{BezPath, Point};

use crate::shapes::{Span, lines};

/// Pixels that a flattened curve may be off.
const TOLERANCE: f64 = 0.1;

struct Edge {
    top: f64,
    bottom: f64,
    /// Column at the top, and columns a row.
    at: f64,
    slope: f64,
    /// 1 down, -1 up.
    sign: f32,
}

/// Turns paths into coverage; its buffers are kept from path to path.
#[derive(Default)]
pub(crate) struct Coverage {
    edges: Vec<Edge>,
    active: Vec<usize>,
    /// By column from the span's left: what the sum changes by there. All zero between rows.
    change: Vec<f32>,
    /// A bit for each column whose change isn't zero.
    touched: Vec<u64>,
    row: Vec<u8>,
}

impl Coverage {
    /// Gives each row of `span` that the path covers, with its first column and how much of the pixels from
    /// there on is covered, in 255ths.
    pub fn fill(
        &mut self,
        path: &BezPath,
        even_odd: bool,
        span: &Span,
        mut give: impl FnMut(usize, usize, &mut [u8]),
    ) {
        if span.is_empty() {
            return;
        }
        self.collect(path, span);
        let (left, across) = (span.columns.start as f64, span.columns.len());
        self.change.resize(across + 2, 0.0);
        self.touched.resize(across / 64 + 1, 0);
        self.row.resize(across, 0);
        self.active.clear();
        let mut next = 0;
        let Some(first) = self.edges.first() else {
            return;
        };
        let top = (first.top.max(0.0) as usize).max(span.rows.start);
        for y in top..span.rows.end {
            let (from, to) = (y as f64, y as f64 + 1.0);
            while self.edges.get(next).is_some_and(|edge| edge.top < to) {
                self.active.push(next);
                next += 1;
            }
            let edges = &self.edges;
            self.active.retain(|&edge| edges[edge].bottom > from);
            if self.active.is_empty() {
                let Some(edge) = self.edges.get(next) else {
                    return;
                };
                // Nothing more within the span.
                if edge.top >= span.rows.end as f64 {
                    return;
                }
                continue;
            }
            for &edge in &self.active {
                let edge = &self.edges[edge];
                let (y0, y1) = (edge.top.max(from), edge.bottom.min(to));
                let x0 = edge.at + (y0 - edge.top) * edge.slope - left;
                let x1 = edge.at + (y1 - edge.top) * edge.slope - left;
                let mut line = Line {
                    change: &mut self.change,
                    touched: &mut self.touched,
                    across,
                };
                line.clipped(x0, x1, (y1 - y0) as f32 * edge.sign);
            }
            if let Some((first, end)) = self.sum(even_odd) {
                give(y, span.columns.start + first, &mut self.row[first..end]);
            }
        }
    }

    fn collect(&mut self, path: &BezPath, span: &Span) {
        self.edges.clear();
        let edges = &mut self.edges;
        let (top, bottom) = (span.rows.start as f64, span.rows.end as f64);
        let right = span.columns.end as f64;
        let mut add = |a: Point, b: Point| {
            let (from, to, sign) = if a.y <= b.y {
                (a, b, 1.0)
            } else {
                (b, a, -1.0)
            };
            // What is right of the span covers nothing in it; what is left of it does.
            let outside = to.y <= top || from.y >= bottom || from.x.min(to.x) >= right;
            if from.is_finite() && to.is_finite() && to.y > from.y && !outside {
                edges.push(Edge {
                    top: from.y,
                    bottom: to.y,
                    at: from.x,
                    slope: (to.x - from.x) / (to.y - from.y),
                    sign,
                });
            }
        };
        lines(path, TOLERANCE, &mut add);
        self.edges.sort_by(|a, b| a.top.total_cmp(&b.top));
    }

    /// Sums the changes up to a row of pixels and clears them: the first column that is covered and the end.
    fn sum(&mut self, even_odd: bool) -> Option<(usize, usize)> {
        let across = self.row.len();
        let shade = |sum: f32| -> u8 {
            let area = sum.abs();
            let area = if even_odd {
                let rest = area % 2.0;
                if rest > 1.0 { 2.0 - rest } else { rest }
            } else {
                area.min(1.0)
            };
            (area * 255.0 + 0.5) as u8
        };
        let (mut first, mut at, mut sum, mut held) = (None, 0, 0.0, 0);
        for (word, bits) in self.touched.iter_mut().enumerate() {
            let mut left = std::mem::take(bits);
            while left != 0 {
                let x = word * 64 + left.trailing_zeros() as usize;
                left &= left - 1;
                if first.is_none() {
                    first = Some(x);
                    at = x;
                }
                self.row[at..x].fill(held);
                sum += std::mem::take(&mut self.change[x]);
                held = shade(sum);
                self.row[x] = held;
                at = x + 1;
            }
        }
        // Changes beyond the right edge don't count.
        self.change[across..].fill(0.0);
        let first = first?;
        let end = if held > 0 {
            self.row[at..].fill(held);
            across
        } else {
            at
        };
        Some((first, end))
    }
}

/// Where a row's edges are added.
struct Line<'a> {
    change: &'a mut [f32],
    touched: &'a mut [u64],
    across: usize,
}

impl Line<'_> {
    fn add(&mut self, x: usize, by: f32) {
        self.change[x] += by;
        if x < self.across {
            self.touched[x / 64] |= 1 << (x % 64);
        }
    }

    /// An edge that goes from column `x0` to `x1` over `height` of a row (negative: upwards), whatever of it
    /// is on the page.
    fn clipped(&mut self, x0: f64, x1: f64, height: f32) {
        let (low, high) = if x0 <= x1 { (x0, x1) } else { (x1, x0) };
        let right = self.across as f64;
        if low >= right {
            return;
        }
        if high <= 0.0 {
            return self.add(0, height);
        }
        let run = high - low;
        let (mut from, mut to, mut height) = (low, high, height);
        if from < 0.0 {
            let share = (-from / run) as f32 * height;
            self.add(0, share);
            height -= share;
            from = 0.0;
        }
        if to > right {
            let whole = to - from;
            height *= ((right - from) / whole) as f32;
            to = right;
        }
        self.inside(from as f32, to as f32, height);
    }

    /// The same from left to right within the page.
    fn inside(&mut self, x0: f32, x1: f32, height: f32) {
        let first = x0.floor();
        let at = first as usize;
        let last = x1.ceil();
        if last <= first + 1.0 {
            // Within one pixel.
            let middle = 0.5 * (x0 + x1) - first;
            self.add(at, height * (1.0 - middle));
            self.add(at + 1, height * middle);
            return;
        }
        let slope = height / (x1 - x0);
        // What is covered of each pixel grows with the square within the first and last, evenly between.
        let head = first + 1.0 - x0;
        let mut before = 0.5 * slope * head * head;
        self.add(at, before);
        let mut reached = slope * head;
        let end = last as usize;
        for x in at + 1..end - 1 {
            let covered = reached + 0.5 * slope;
            self.add(x, covered - before);
            before = covered;
            reached += slope;
        }
        let tail = x1 - (last - 1.0);
        let covered = height - 0.5 * slope * tail * tail;
        self.add(end - 1, covered - before);
        self.add(end, height - covered);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hayro::kurbo::{Affine, Circle, Rect, Shape as _};

    /// The pixels of a page of 100 × 100.
    fn draw(path: &BezPath, even_odd: bool) -> Vec<u8> {
        let span = Span {
            columns: 0..100,
            rows: 0..100,
        };
        let mut page = vec![0; 100 * 100];
        Coverage::default().fill(path, even_odd, &span, |y, x, row| {
            page[y * 100 + x..][..row.len()].copy_from_slice(row);
        });
        page
    }

    fn area(page: &[u8]) -> f64 {
        page.iter().map(|&v| f64::from(v)).sum::<f64>() / 255.0
    }

    #[test]
    fn shapes_cover_their_area() {
        let square = Rect::new(10.25, 10.5, 50.25, 30.75).to_path(0.1);
        let page = draw(&square, false);
        assert!((area(&page) - 40.0 * 20.25).abs() < 1.0);
        assert_eq!(
            (
                page[20 * 100 + 10],
                page[20 * 100 + 30],
                page[20 * 100 + 50]
            ),
            (191, 255, 64)
        );
        assert_eq!(
            (page[10 * 100 + 30], page[30 * 100 + 30], page[9 * 100 + 30]),
            (128, 191, 0)
        );
        for angle in [0.1, 0.7, 1.5, 3.0] {
            let turned = Affine::rotate_about(angle, (50.0, 50.0))
                * Rect::new(30.0, 30.0, 70.0, 70.0).to_path(0.1);
            assert!(
                (area(&draw(&turned, false)) - 1600.0).abs() < 3.0,
                "{angle}"
            );
        }
        let circle = Circle::new((50.0, 50.0), 20.0).to_path(0.01);
        assert!((area(&draw(&circle, false)) - 1256.6).abs() < 10.0);
    }

    #[test]
    fn windings_are_heeded() {
        let mut ring = Circle::new((50.0, 50.0), 30.0).to_path(0.01);
        ring.extend(Circle::new((50.0, 50.0), 20.0).to_path(0.01));
        assert!((area(&draw(&ring, true)) - 1570.8).abs() < 10.0);
        assert!((area(&draw(&ring, false)) - 2827.4).abs() < 10.0);
    }

    #[test]
    fn what_is_off_the_page_does_no_harm() {
        let all = Rect::new(-5e7, -5e7, 5e7, 5e7).to_path(0.1);
        assert_eq!(area(&draw(&all, false)), 100.0 * 100.0);
        // A triangle whose slanting edge runs from corner to corner of the page, and far beyond.
        let mut half = BezPath::new();
        half.move_to((-1000.0, -1000.0));
        half.line_to((1000.0, 1000.0));
        half.line_to((-1000.0, 1000.0));
        let page = draw(&half, false);
        assert!((area(&page) - 5000.0).abs() < 1.0);
        assert_eq!(
            (
                page[50 * 100 + 50],
                page[50 * 100 + 49],
                page[50 * 100 + 51]
            ),
            (128, 255, 0)
        );
        // A flat line across the page and out on both sides.
        let mut line = BezPath::new();
        line.move_to((-300.0, 10.0));
        line.line_to((400.0, 12.0));
        line.line_to((400.0, 13.0));
        line.line_to((-300.0, 11.0));
        assert!((area(&draw(&line, false)) - 100.0).abs() < 1.0);
        let mut broken = BezPath::new();
        broken.move_to((f64::NAN, 1.0));
        broken.line_to((f64::INFINITY, 50.0));
        broken.line_to((3.0, f64::NEG_INFINITY));
        draw(&broken, true);
    }
}

//! Paths to pixels, without shades of grey: whose pixel is it?

use std::ops::Range;

use hayro::kurbo::{self, BezPath, PathEl, Point, Rect, Shape as _};

/// Whole pixels: columns and rows, ends excluded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    pub columns: Range<usize>,
    pub rows: Range<usize>,
}

impl Span {
    /// The pixels that a rectangle touches, on a page of that size.
    pub fn of(rect: Rect, width: usize, height: usize) -> Self {
        // Saturates, and takes what is no number for 0.
        let clamp = |v: f64, most: usize| (v.max(0.0) as usize).min(most);
        Self {
            columns: clamp(rect.x0.floor(), width)..clamp(rect.x1.ceil(), width),
            rows: clamp(rect.y0.floor(), height)..clamp(rect.y1.ceil(), height),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.columns.is_empty() || self.rows.is_empty()
    }

    pub fn area(&self) -> usize {
        self.columns.len() * self.rows.len()
    }

    pub fn meets(&self, other: &Self) -> bool {
        !self.with(other).is_empty()
    }

    /// What both have.
    pub fn with(&self, other: &Self) -> Self {
        let both = |a: &Range<usize>, b: &Range<usize>| a.start.max(b.start)..a.end.min(b.end);
        Self {
            columns: both(&self.columns, &other.columns),
            rows: both(&self.rows, &other.rows),
        }
    }

    /// The box of both.
    pub fn union(&self, other: &Self) -> Self {
        let all = |a: &Range<usize>, b: &Range<usize>| a.start.min(b.start)..a.end.max(b.end);
        Self {
            columns: all(&self.columns, &other.columns),
            rows: all(&self.rows, &other.rows),
        }
    }

    /// Pixels more on every side, on a page of that size.
    pub fn wider(&self, by: usize, width: usize, height: usize) -> Self {
        Self {
            columns: self.columns.start.saturating_sub(by)..(self.columns.end + by).min(width),
            rows: self.rows.start.saturating_sub(by)..(self.rows.end + by).min(height),
        }
    }
}

/// How a shape is turned into pixels.
#[derive(Clone, Copy)]
pub(crate) struct Brush {
    pub even_odd: bool,
    /// Where in a row the shape is looked at.
    pub samples: &'static [f64],
    /// How much of a pixel beside the shape may be missing, in pixels: 0 takes those whose middle
    /// is inside.
    pub slack: f64,
}

impl Brush {
    /// Pixels whose middle is inside.
    pub const PLAIN: Self = Self {
        even_odd: false,
        samples: &[0.5],
        slack: 0.0,
    };
    /// Strokes of letters, of which none may break.
    pub const STROKES: Self = Self {
        even_odd: false,
        samples: &[0.3, 0.7],
        slack: 0.15,
    };
}

struct Edge {
    top: f64,
    bottom: f64,
    /// Column at the top, and columns a row.
    at: f64,
    slope: f64,
    winding: i32,
}

/// Calls `row` for each row and each part of it that a path covers within `bounds`; takes the
/// work from `budget` and gives up when that is used up.
pub(crate) fn fill(
    path: &BezPath,
    brush: Brush,
    bounds: &Span,
    budget: &mut usize,
    mut row: impl FnMut(usize, Range<usize>),
) {
    let mut edges = edges(path, bounds);
    edges.sort_by(|a, b| a.top.total_cmp(&b.top));
    let mut waiting = edges.into_iter().peekable();
    let mut active: Vec<Edge> = Vec::new();
    let mut crossings: Vec<(f64, i32)> = Vec::new();
    for y in bounds.rows.clone() {
        for sample in brush.samples {
            let line = y as f64 + sample;
            while let Some(edge) = waiting.next_if(|edge| edge.top <= line) {
                active.push(edge);
            }
            active.retain(|edge| edge.bottom > line);
            if active.is_empty() {
                continue;
            }
            let Some(left) = budget.checked_sub(active.len() + 8) else {
                return;
            };
            *budget = left;
            crossings.clear();
            crossings.extend(active.iter().map(|edge| {
                let at = edge.at + (line - edge.top) * edge.slope;
                (at, edge.winding)
            }));
            crossings.sort_by(|a, b| a.0.total_cmp(&b.0));
            let mut winding = 0;
            for pair in crossings.windows(2) {
                winding = if brush.even_odd {
                    1 - winding
                } else {
                    winding + pair[0].1
                };
                if winding == 0 {
                    continue;
                }
                let column = |x: f64| (x - 0.5).ceil().max(0.0) as usize;
                let from = column(pair[0].0 - brush.slack).max(bounds.columns.start);
                let to = column(pair[1].0 + brush.slack).min(bounds.columns.end);
                if from < to {
                    row(y, from..to);
                }
            }
        }
    }
}

fn edges(path: &BezPath, bounds: &Span) -> Vec<Edge> {
    let (top, bottom) = (bounds.rows.start as f64, bounds.rows.end as f64);
    let mut edges = Vec::new();
    let mut add = |a: Point, b: Point| {
        let (from, to, winding) = if a.y <= b.y { (a, b, 1) } else { (b, a, -1) };
        if from.is_finite() && to.is_finite() && to.y > from.y && to.y > top && from.y < bottom {
            edges.push(Edge {
                top: from.y,
                bottom: to.y,
                at: from.x,
                slope: (to.x - from.x) / (to.y - from.y),
                winding,
            });
        }
    };
    lines(path, 0.2, &mut add);
    edges
}

/// The lines that bound what a path fills, its curves flattened to within `tolerance`. A part that isn't closed is
/// filled as if it were.
pub(crate) fn lines(path: &BezPath, tolerance: f64, mut each: impl FnMut(Point, Point)) {
    let (mut start, mut at) = (Point::ZERO, Point::ZERO);
    kurbo::flatten(path, tolerance, |element| match element {
        PathEl::MoveTo(to) => {
            each(at, start);
            (start, at) = (to, to);
        }
        PathEl::LineTo(to) => {
            each(at, to);
            at = to;
        }
        PathEl::ClosePath => {
            each(at, start);
            at = start;
        }
        // Flattened away.
        PathEl::QuadTo(..) | PathEl::CurveTo(..) => {}
    });
    each(at, start);
}

/// How thick what a path fills is on average, in the path's own measure: a stroke's width.
pub(crate) fn thickness(path: &BezPath) -> f64 {
    let around = path.perimeter(0.5);
    if around > 0.0 {
        2.0 * path.area().abs() / around
    } else {
        0.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hayro::kurbo::{Affine, Circle};

    fn count(path: &BezPath, brush: Brush) -> usize {
        let bounds = Span {
            columns: 0..100,
            rows: 0..100,
        };
        let mut pixels = std::collections::BTreeSet::new();
        fill(path, brush, &bounds, &mut 100_000, |y, columns| {
            pixels.extend(columns.map(|x| (x, y)));
        });
        pixels.len()
    }

    #[test]
    fn shapes_have_their_area() {
        let square = Rect::new(10.0, 10.0, 50.0, 30.0).to_path(0.1);
        assert_eq!(count(&square, Brush::PLAIN), 40 * 20);
        let turned = Affine::rotate_about(0.7, (50.0, 50.0))
            * Rect::new(30.0, 30.0, 70.0, 70.0).to_path(0.1);
        assert!(count(&turned, Brush::PLAIN).abs_diff(1600) < 20);
        let circle = Circle::new((50.0, 50.0), 20.0).to_path(0.1);
        assert!(count(&circle, Brush::PLAIN).abs_diff(1257) < 20);
        assert!((thickness(&circle) - 20.0).abs() < 0.5);
    }

    #[test]
    fn holes_stay_open_and_the_page_is_the_limit() {
        let mut ring = Circle::new((50.0, 50.0), 30.0).to_path(0.1);
        ring.extend(Circle::new((50.0, 50.0), 20.0).to_path(0.1));
        let even_odd = Brush {
            even_odd: true,
            ..Brush::PLAIN
        };
        assert!(count(&ring, even_odd).abs_diff(1571) < 30);
        assert!(count(&ring, Brush::PLAIN).abs_diff(2827) < 30);
        let outside = Rect::new(-500.0, -500.0, 5000.0, 5000.0).to_path(0.1);
        assert_eq!(count(&outside, Brush::PLAIN), 100 * 100);
    }

    #[test]
    fn thin_strokes_do_not_break() {
        let hair = Rect::new(10.6, 10.0, 11.3, 20.0).to_path(0.1);
        assert!(count(&hair, Brush::STROKES) >= 10);
    }
}

//! What of a page may be painted, and how paint is mixed.

use std::rc::Rc;

use hayro::kurbo::{BezPath, PathEl, Rect};

use crate::shapes::Span;

/// What lets paint through.
#[derive(Clone)]
pub(super) struct Clip {
    pub rect: Rect,
    pub mask: Option<Rc<Mask>>,
}

/// What a clip lets through where it isn't a rectangle, in 255ths.
pub(super) struct Mask {
    pub span: Span,
    pub data: Vec<u8>,
}

impl Clip {
    /// Whether it lets all of a place through.
    pub fn is_free(&self, place: Rect) -> bool {
        self.mask.is_none() && self.rect.contains_rect(place)
    }

    /// Takes from a row's coverage what the clip doesn't let through. The row begins within the clip's outermost
    /// pixels, and ends there.
    pub fn shade(&self, y: usize, x: usize, row: &mut [u8]) {
        let part = |low: f64, high: f64, at: usize| {
            let at = at as f64;
            ((high.min(at + 1.0) - low.max(at)).clamp(0.0, 1.0) * 255.0).round() as u8
        };
        let Rect { x0, y0, x1, y1 } = self.rect;
        let share = part(y0, y1, y);
        if share < 255 {
            row.iter_mut().for_each(|v| *v = of(*v, share));
        }
        let last = row.len() - 1;
        row[0] = of(row[0], part(x0, x1, x));
        if last > 0 {
            row[last] = of(row[last], part(x0, x1, x + last));
        }
        let Some(mask) = &self.mask else { return };
        let across = mask.span.columns.len();
        if !mask.span.rows.contains(&y) {
            return row.fill(0);
        }
        let line = &mask.data[(y - mask.span.rows.start) * across..][..across];
        for (i, v) in row.iter_mut().enumerate() {
            let at = (x + i).checked_sub(mask.span.columns.start);
            *v = of(*v, at.and_then(|at| line.get(at)).copied().unwrap_or(0));
        }
    }
}

/// The rectangle that a path is, if it is an upright one.
pub(super) fn upright(path: &BezPath) -> Option<Rect> {
    use PathEl::{ClosePath, LineTo, MoveTo};
    let [a, b, c, d] = match path.elements() {
        [MoveTo(a), LineTo(b), LineTo(c), LineTo(d)]
        | [MoveTo(a), LineTo(b), LineTo(c), LineTo(d), ClosePath] => [*a, *b, *c, *d],
        [MoveTo(a), LineTo(b), LineTo(c), LineTo(d), LineTo(e)]
        | [
            MoveTo(a),
            LineTo(b),
            LineTo(c),
            LineTo(d),
            LineTo(e),
            ClosePath,
        ] if a == e => [*a, *b, *c, *d],
        _ => return None,
    };
    let near = |a: f64, b: f64| (a - b).abs() < 1e-3;
    let flat = near(a.y, b.y) && near(c.y, d.y) && near(b.x, c.x) && near(d.x, a.x);
    let steep = near(a.x, b.x) && near(c.x, d.x) && near(b.y, c.y) && near(d.y, a.y);
    (flat || steep).then(|| Rect::from_points(a, c))
}

/// What is painted with.
#[derive(Clone, Copy)]
pub(super) struct Ink {
    pub light: u8,
    pub opacity: u8,
}

/// A 255th part, rounded; of 255² at most.
fn div255(v: u16) -> u16 {
    let v = v + 128;
    (v + (v >> 8)) >> 8
}

/// So many 255ths of a value.
pub(super) fn of(v: u8, share: u8) -> u8 {
    div255(u16::from(v) * u16::from(share)) as u8
}

/// One grey laid over another, in so many 255ths.
pub(super) fn over(under: u8, v: u8, share: u8) -> u8 {
    div255(u16::from(under) * u16::from(255 - share) + u16::from(v) * u16::from(share)) as u8
}

/// Paints a row's pixels as far as they are covered.
pub(super) fn paint(to: &mut [u8], covered: &[u8], ink: Ink) {
    if ink.opacity < 255 {
        for (to, &c) in to.iter_mut().zip(covered) {
            *to = over(*to, ink.light, of(c, ink.opacity));
        }
    } else if ink.light == 0 {
        for (to, &c) in to.iter_mut().zip(covered) {
            *to = of(*to, 255 - c);
        }
    } else {
        for (to, &c) in to.iter_mut().zip(covered) {
            *to = over(*to, ink.light, c);
        }
    }
}

/// Lays a row over another, as far as `shades` let it.
pub(super) fn mix(to: &mut [u8], row: &[u8], shades: &[u8]) {
    for ((to, &v), &c) in to.iter_mut().zip(row).zip(shades) {
        *to = over(*to, v, c);
    }
}

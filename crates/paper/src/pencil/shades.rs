//! Shadings, a row at a time.

use hayro::hayro_interpret::encode::EncodedShadingPattern;
use hayro::kurbo::Point;

use crate::grey::luma;

/// Pixels from one place where a shading is looked at to the next; between two that differ little, it is even.
const STRIDE: usize = 4;
const LITTLE: u8 = 6;

/// A row of a shading: light and opacity of each pixel.
#[derive(Default)]
pub(super) struct Shades {
    pub row: Vec<(u8, u8)>,
}

impl Shades {
    pub fn row(&mut self, shading: &EncodedShadingPattern, y: usize, x: usize, count: usize) {
        let at = |x: usize| {
            let place = Point::new(x as f64 + 0.5, y as f64 + 0.5);
            let octet = |v: f32| (v * 255.0 + 0.5) as u8;
            let [r, g, b, a] = shading.sample(shading.base_transform * place).map(octet);
            (luma([r, g, b]), a)
        };
        self.row.clear();
        let mut from = at(x);
        self.row.push(from);
        let end = x + count;
        let mut column = x;
        while column + 1 < end {
            let next = (column + STRIDE).min(end - 1);
            let to = at(next);
            let even = from.1 == to.1 && from.0.abs_diff(to.0) <= LITTLE;
            for between in column + 1..next {
                self.row.push(if even {
                    let (done, all) = ((between - column) as i32, (next - column) as i32);
                    let by = (i32::from(to.0) - i32::from(from.0)) * done / all;
                    ((i32::from(from.0) + by) as u8, from.1)
                } else {
                    at(between)
                });
            }
            self.row.push(to);
            (column, from) = (next, to);
        }
    }
}

//! Pages in square pixels: a fax's are taller than wide, or wider than tall.

use crate::{Bitmap, Resolution};

/// What every fax page has across, pixels an inch.
const ACROSS: f64 = 204.0;

impl Bitmap {
    /// The page in black and white at 204 pixels an inch both ways: rows are repeated where it has fewer, and
    /// laid over each other where it has more, so that no thin line goes.
    #[must_use]
    pub fn to_square(&self, resolution: Resolution) -> Self {
        self.with_rows(f64::from(resolution.dpi().1), ACROSS)
    }

    /// A page in square pixels as one of fine resolution.
    pub(crate) fn square_to_fine(&self) -> Self {
        self.with_rows(ACROSS, f64::from(Resolution::Fine.dpi().1))
    }

    /// The same picture with `wanted` rows an inch instead of `down`.
    fn with_rows(&self, down: f64, wanted: f64) -> Self {
        if self.width() == 0 || self.height() == 0 {
            return Self::new(self.width(), self.height());
        }
        let rows = rows_at(self.height(), down, wanted);
        let mut to = Self::new(self.width(), rows);
        for y in 0..rows {
            // The rows that have their middle in this one, or the one that has this one's.
            let first = (y as f64 * down / wanted).round() as usize;
            let behind = ((y + 1) as f64 * down / wanted).round() as usize;
            let middle = ((y as f64 + 0.5) * down / wanted) as usize;
            let span = if behind > first {
                first..behind
            } else {
                middle..middle + 1
            };
            let row = to.row_mut(y);
            for from in span.map(|from| from.min(self.height() - 1)) {
                for (to, from) in row.iter_mut().zip(self.row(from)) {
                    *to |= from;
                }
            }
        }
        to
    }

    /// The page as an 8-bit grey picture of `dpi` pixels an inch both ways: width, height and the rows, 255 is
    /// white. Each pixel is the mean of the paper that it covers, so that small letters stay to be read at
    /// fewer pixels than the page has.
    #[must_use]
    pub fn to_grey(&self, resolution: Resolution, dpi: u16) -> (usize, usize, Vec<u8>) {
        self.grey_at(f64::from(resolution.dpi().1), dpi)
    }

    /// As [`to_grey`](Self::to_grey), of a page in square pixels.
    #[must_use]
    pub fn to_grey_square(&self, dpi: u16) -> (usize, usize, Vec<u8>) {
        self.grey_at(ACROSS, dpi)
    }

    fn grey_at(&self, down: f64, dpi: u16) -> (usize, usize, Vec<u8>) {
        if self.width() == 0 || self.height() == 0 || dpi == 0 {
            return (0, 0, Vec::new());
        }
        let width = rows_at(self.width(), ACROSS, f64::from(dpi));
        let height = rows_at(self.height(), down, f64::from(dpi));
        let across = Shares::new(self.width(), width);
        let along = Shares::new(self.height(), height);
        let mut grey = Vec::with_capacity(width * height);
        let (mut sums, mut ink) = (vec![0.0_f32; width], vec![0.0_f32; width]);
        let mut inked: Option<usize> = None;
        for y in 0..height {
            sums.fill(0.0);
            for (row, weight) in along.of(y) {
                // Two pictures' rows share the row at their border.
                if inked != Some(row) {
                    self.ink(row, &across, &mut ink);
                    inked = Some(row);
                }
                for (sum, ink) in sums.iter_mut().zip(&ink) {
                    *sum += ink * weight;
                }
            }
            grey.extend(
                sums.iter()
                    .map(|sum| 255 - (sum * 255.0).round().min(255.0) as u8),
            );
        }
        (width, height, grey)
    }

    /// How black each of a row's pixels is, at another width.
    fn ink(&self, y: usize, across: &Shares, ink: &mut [f32]) {
        let row = self.row(y);
        if row.iter().all(|&byte| byte == 0) {
            return ink.fill(0.0);
        }
        for (x, ink) in ink.iter_mut().enumerate() {
            *ink = across
                .of(x)
                .filter(|(from, _)| row[from / 8] & (0x80 >> (from % 8)) != 0)
                .map(|(_, weight)| weight)
                .sum();
        }
    }
}

fn rows_at(count: usize, dpi: f64, wanted: f64) -> usize {
    ((count as f64 * wanted / dpi).round() as usize).max(1)
}

/// Which of `from` pixels each of `to` covers, and by how much of itself.
struct Shares {
    from: usize,
    step: f64,
}

impl Shares {
    fn new(from: usize, to: usize) -> Self {
        Self {
            from,
            step: from as f64 / to as f64,
        }
    }

    fn of(&self, i: usize) -> impl Iterator<Item = (usize, f32)> {
        let (start, end) = (i as f64 * self.step, (i + 1) as f64 * self.step);
        let step = self.step;
        let last = (end.ceil() as usize).min(self.from);
        ((start as usize)..last).map(move |from| {
            let covered = end.min(from as f64 + 1.0) - start.max(from as f64);
            (from, (covered / step) as f32)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A black square of an inch in the corner of an A4 page.
    fn inch(resolution: Resolution) -> Bitmap {
        let down = resolution.dpi().1 as usize;
        let mut map = Bitmap::new(1728, 11 * down);
        (0..down).for_each(|y| (0..204).for_each(|x| map.set_black(x, y)));
        map
    }

    #[test]
    fn an_inch_is_as_high_as_wide_at_every_resolution() {
        for resolution in [
            Resolution::Standard,
            Resolution::Fine,
            Resolution::Superfine,
        ] {
            let square = inch(resolution).to_square(resolution);
            assert_eq!((square.width(), square.height()), (1728, 11 * 204));
            assert!(square.is_black(203, 203) && !square.is_black(204, 203));
            assert!(!square.is_black(203, 205), "{resolution:?}");
            let (width, height, grey) = inch(resolution).to_grey(resolution, 153);
            assert_eq!((width, height), (1296, 11 * 153));
            let at = |x: usize, y: usize| grey[y * width + x];
            assert!(at(151, 151) == 0 && at(154, 100) == 255 && at(100, 154) == 255);
        }
    }

    #[test]
    fn a_line_of_one_row_is_not_lost() {
        for resolution in [
            Resolution::Standard,
            Resolution::Fine,
            Resolution::Superfine,
        ] {
            for y in 40..60 {
                let mut map = Bitmap::new(64, 100);
                (0..64).for_each(|x| map.set_black(x, y));
                assert!(
                    map.to_square(resolution).count_black() >= 64,
                    "{resolution:?} {y}"
                );
                let (.., grey) = map.to_grey(resolution, 153);
                assert!(grey.iter().any(|&pixel| pixel < 220), "{resolution:?} {y}");
            }
        }
    }

    proptest! {
        #[test]
        fn grey_has_as_much_ink_as_the_page(
            map in crate::testing::bitmaps(60, 30), dpi in 40u16..300,
        ) {
            let (width, height, grey) = map.to_grey(Resolution::Fine, dpi);
            prop_assert_eq!(grey.len(), width * height);
            if !grey.is_empty() {
                let mean = |sum: f64, of: usize| sum / of as f64;
                let ink = mean(grey.iter().map(|&p| f64::from(255 - p) / 255.0).sum(), grey.len());
                let was = mean(map.count_black() as f64, map.width() * map.height());
                prop_assert!((ink - was).abs() < 0.01, "{ink} {was}");
            }
            let square = map.to_square(Resolution::Fine);
            prop_assert_eq!(square.is_blank(), map.is_blank());
        }
    }
}

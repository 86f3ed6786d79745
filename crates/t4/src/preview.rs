//! Small grey pictures of pages, for reports.

use crate::bitmap::count_ones;
use crate::{Bitmap, Resolution};

impl Bitmap {
    /// The page as an 8-bit grey picture at most `max_width` wide, its pixels square: width, height
    /// and the rows, 255 is white. Each pixel is the mean of those it stands for.
    #[must_use]
    pub fn to_grey_preview(
        &self,
        resolution: Resolution,
        max_width: usize,
    ) -> (usize, usize, Vec<u8>) {
        if self.width() == 0 || self.height() == 0 || max_width == 0 {
            return (0, 0, Vec::new());
        }
        let width = self.width().min(max_width);
        let (x_dpi, y_dpi) = resolution.dpi();
        let scale = f64::from(x_dpi / y_dpi) * width as f64 / self.width() as f64;
        let height = ((self.height() as f64 * scale).round() as usize).max(1);
        let mut grey = Vec::with_capacity(width * height);
        let mut black = vec![0; width];
        for y in 0..height {
            let (top, bottom) = span(y, height, self.height());
            black.fill(0);
            for row in top..bottom {
                let row = self.row(row);
                for (x, black) in black.iter_mut().enumerate() {
                    let (left, right) = span(x, width, self.width());
                    *black += count_between(row, left, right);
                }
            }
            grey.extend(black.iter().enumerate().map(|(x, black)| {
                let (left, right) = span(x, width, self.width());
                let area = (right - left) * (bottom - top);
                255 - (black * 255 / area) as u8
            }));
        }
        (width, height, grey)
    }
}

/// The pixels of `from` that pixel `i` of `to` stands for: at least one.
fn span(i: usize, to: usize, from: usize) -> (usize, usize) {
    let first = i * from / to;
    (first, ((i + 1) * from / to).max(first + 1))
}

/// Black pixels of a row from column `left` up to `right`, which is behind it.
fn count_between(row: &[u8], left: usize, right: usize) -> usize {
    let (first, last) = (left / 8, (right - 1) / 8);
    let head = 0xFF >> (left % 8);
    let tail = 0xFFu8 << (7 - (right - 1) % 8);
    if first == last {
        return (row[first] & head & tail).count_ones() as usize;
    }
    let ends = (row[first] & head).count_ones() + (row[last] & tail).count_ones();
    ends as usize + count_ones(&row[first + 1..last])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn previews_have_the_papers_shape() {
        // A4 at each resolution: 1 : 1.375 here, as it's cut to the recordable part.
        for (resolution, rows) in [
            (Resolution::Standard, 1143),
            (Resolution::Fine, 2287),
            (Resolution::Superfine, 4562),
        ] {
            let (width, height, grey) = Bitmap::new(1728, rows).to_grey_preview(resolution, 400);
            assert_eq!((width, height), (400, 551));
            assert!(grey.len() == 400 * 551 && grey.iter().all(|&pixel| pixel == 255));
        }
    }

    #[test]
    fn each_pixel_is_the_mean_of_its_own() {
        let mut map = Bitmap::new(40, 40);
        for y in 0..40 {
            (0..40)
                .filter(|x| x / 20 == 0 && (x + y) % 2 == 0 || x / 20 == 1 && y < 20)
                .for_each(|x| map.set_black(x, y));
        }
        let (width, height, grey) = map.to_grey_preview(Resolution::Fine, 2);
        assert_eq!((width, height, grey), (2, 2, vec![128, 0, 128, 255]));
    }

    #[test]
    fn small_and_narrow_pages_have_previews_too() {
        let mut map = Bitmap::new(5, 1);
        map.set_black(4, 0);
        let (width, height, grey) = map.to_grey_preview(Resolution::Standard, 100);
        assert_eq!((width, height), (5, 2));
        assert_eq!(grey, [255, 255, 255, 255, 0, 255, 255, 255, 255, 0]);
        assert_eq!(Bitmap::new(0, 0).to_grey_preview(Resolution::Fine, 9).0, 0);
    }
}

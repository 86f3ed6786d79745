//! A picture in grey, on its way to black and white.

use faxpost_t4::Bitmap;

/// A grey picture, a byte a pixel, 0 is black, rows without padding.
#[derive(Clone)]
pub(crate) struct Grey {
    pub width: usize,
    pub height: usize,
    pub data: Vec<u8>,
}

impl Grey {
    /// From RGBA pixels that are opaque or premultiplied on white.
    pub fn from_rgba(width: usize, height: usize, rgba: &[u8]) -> Self {
        // Rec. 601 weights in 256ths: what a scanner with a green lamp about sees.
        let data = rgba
            .as_chunks::<4>()
            .0
            .iter()
            .map(|&[r, g, b, _]| {
                ((u32::from(r) * 77 + u32::from(g) * 150 + u32::from(b) * 29) >> 8) as u8
            })
            .collect::<Vec<u8>>();
        debug_assert_eq!(data.len(), width * height);
        Self {
            width,
            height,
            data,
        }
    }

    pub fn row(&self, y: usize) -> &[u8] {
        &self.data[y * self.width..(y + 1) * self.width]
    }

    /// Black where darker than `level`: enough for what this crate typesets itself.
    pub fn threshold(&self, level: u8) -> Bitmap {
        let mut bitmap = Bitmap::new(self.width, self.height);
        for y in 0..self.height {
            pack(self.row(y).iter().map(|&v| v < level), bitmap.row_mut(y));
        }
        bitmap
    }
}

/// Packs pixels, black is true, into bytes, leftmost pixel in the highest bit.
pub(crate) fn pack(pixels: impl Iterator<Item = bool>, row: &mut [u8]) {
    for (x, black) in pixels.enumerate() {
        row[x / 8] |= u8::from(black) << (7 - x % 8);
    }
}

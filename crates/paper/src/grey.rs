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
    /// A white picture.
    pub fn white(width: usize, height: usize) -> Self {
        Self {
            width,
            height,
            data: vec![255; width * height],
        }
    }

    /// From RGBA pixels that are opaque or premultiplied on white.
    pub fn from_rgba(width: usize, height: usize, rgba: &[u8]) -> Self {
        let mut grey = Self::white(width, height);
        grey.set_rgba(rgba);
        grey
    }

    /// Becomes what RGBA pixels show that are opaque or premultiplied on white.
    pub fn set_rgba(&mut self, rgba: &[u8]) {
        debug_assert_eq!(rgba.len(), self.data.len() * 4);
        let (blocks, rest) = rgba.as_chunks::<{ BLOCK * 4 }>();
        let (greys, rest_greys) = self.data.as_chunks_mut::<BLOCK>();
        for (from, to) in blocks.iter().zip(greys) {
            let (pixels, _) = from.as_chunks::<4>();
            // Most of a page is paper. The mask leaves out the alpha.
            let all = pixels
                .iter()
                .fold(u32::MAX, |all, &pixel| all & u32::from_le_bytes(pixel));
            if all | 0xFF00_0000 == u32::MAX {
                *to = [255; BLOCK];
                continue;
            }
            let mut wide = [0; BLOCK];
            for (wide, &pixel) in wide.iter_mut().zip(pixels) {
                *wide = weigh(u32::from_le_bytes(pixel));
            }
            for (to, wide) in to.iter_mut().zip(wide) {
                *to = wide as u8;
            }
        }
        for (&pixel, to) in rest.as_chunks::<4>().0.iter().zip(rest_greys) {
            *to = weigh(u32::from_le_bytes(pixel)) as u8;
        }
    }

    pub fn row(&self, y: usize) -> &[u8] {
        &self.data[y * self.width..(y + 1) * self.width]
    }

    pub fn row_mut(&mut self, y: usize) -> &mut [u8] {
        &mut self.data[y * self.width..(y + 1) * self.width]
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

/// Pixels converted at a time: few enough for the processor's registers.
const BLOCK: usize = 64;

/// The grey of a colour.
pub(crate) fn luma([r, g, b]: [u8; 3]) -> u8 {
    weigh(u32::from_le_bytes([r, g, b, 0])) as u8
}

/// Rec. 601 weights in 256ths: what a scanner with a green lamp about sees. The pixel has red in
/// its lowest octet; whole words are what compilers make vectors of.
fn weigh(pixel: u32) -> u32 {
    ((pixel & 255) * 77 + (pixel >> 8 & 255) * 150 + (pixel >> 16 & 255) * 29) >> 8
}

/// Packs pixels, black is true, into bytes, leftmost pixel in the highest bit.
pub(crate) fn pack(pixels: impl Iterator<Item = bool>, row: &mut [u8]) {
    for (x, black) in pixels.enumerate() {
        row[x / 8] |= u8::from(black) << (7 - x % 8);
    }
}

//! A bi-level picture in memory.

/// A bi-level picture: one bit a pixel, 1 is black, most significant bit leftmost.
///
/// Rows are padded with white to whole bytes.
#[derive(Clone, PartialEq, Eq)]
pub struct Bitmap {
    width: usize,
    height: usize,
    stride: usize,
    data: Vec<u8>,
}

impl Bitmap {
    /// A white picture of `width` by `height` pixels.
    #[must_use]
    pub fn new(width: usize, height: usize) -> Self {
        let stride = width.div_ceil(8);
        Self {
            width,
            height,
            stride,
            data: vec![0; stride * height],
        }
    }

    /// Width in pixels (1728 for A4 and Letter, T.4 §2.1).
    #[must_use]
    pub fn width(&self) -> usize {
        self.width
    }

    /// Height in rows.
    #[must_use]
    pub fn height(&self) -> usize {
        self.height
    }

    /// Bytes from one row to the next.
    #[must_use]
    pub fn stride(&self) -> usize {
        self.stride
    }

    /// All rows, top to bottom, `stride` bytes each.
    #[must_use]
    pub fn data(&self) -> &[u8] {
        &self.data
    }

    /// Row `y`, `stride` bytes.
    #[must_use]
    pub fn row(&self, y: usize) -> &[u8] {
        &self.data[y * self.stride..(y + 1) * self.stride]
    }

    /// Row `y`, to write. Bits beyond the width must stay 0.
    pub fn row_mut(&mut self, y: usize) -> &mut [u8] {
        &mut self.data[y * self.stride..(y + 1) * self.stride]
    }

    /// Whether the pixel at column `x` of row `y` is black.
    #[must_use]
    pub fn is_black(&self, x: usize, y: usize) -> bool {
        self.data[y * self.stride + x / 8] & (0x80 >> (x % 8)) != 0
    }

    /// Makes the pixel at column `x` of row `y` black.
    pub fn set_black(&mut self, x: usize, y: usize) {
        self.data[y * self.stride + x / 8] |= 0x80 >> (x % 8);
    }
}

impl std::fmt::Debug for Bitmap {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Bitmap({}x{})", self.width, self.height)
    }
}

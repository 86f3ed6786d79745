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

    /// A picture from packed rows: `width.div_ceil(8)` bytes each, top to bottom, 1 is black.
    ///
    /// Bits beyond the width are made white. `None` when `data` isn't as long as the rows are.
    #[must_use]
    pub fn from_packed(width: usize, height: usize, mut data: Vec<u8>) -> Option<Self> {
        let stride = width.div_ceil(8);
        if stride.checked_mul(height)? != data.len() {
            return None;
        }
        if !width.is_multiple_of(8) {
            for last in data.iter_mut().skip(stride - 1).step_by(stride) {
                *last &= !(0xFF >> (width % 8));
            }
        }
        Some(Self::from_rows(width, height, data))
    }

    /// [`from_packed`](Self::from_packed) for rows known to be right.
    pub(crate) fn from_rows(width: usize, height: usize, data: Vec<u8>) -> Self {
        Self {
            width,
            height,
            stride: width.div_ceil(8),
            data,
        }
    }

    /// Whether no pixel is black.
    #[must_use]
    pub fn is_blank(&self) -> bool {
        self.data.iter().all(|&byte| byte == 0)
    }

    /// How many pixels are black.
    #[must_use]
    pub fn count_black(&self) -> usize {
        count_ones(&self.data)
    }

    /// The rows from `from` on, at most `height` of them.
    #[must_use]
    pub fn cut_rows(&self, from: usize, height: usize) -> Self {
        let from = from.min(self.height);
        let to = from.saturating_add(height).min(self.height);
        Self::from_rows(
            self.width,
            to - from,
            self.data[from * self.stride..to * self.stride].to_vec(),
        )
    }

    /// Blackens what `source` has black, its top left corner at column `x` of row `y`; what
    /// reaches past the right or lower edge is left out.
    pub fn blit_or(&mut self, source: &Self, x: usize, y: usize) {
        self.blit_rows(source, x, y, |to, bits, _| *to |= bits);
    }

    /// Copies `source`, white and black, its top left corner at column `x` of row `y`; what
    /// reaches past the right or lower edge is left out.
    pub fn blit(&mut self, source: &Self, x: usize, y: usize) {
        self.blit_rows(source, x, y, |to, bits, mask| *to = *to & !mask | bits);
    }

    /// Gives `set` each byte touched, the source's bits that fall on it, and which bits they are.
    fn blit_rows(&mut self, source: &Self, x: usize, y: usize, set: impl Fn(&mut u8, u8, u8)) {
        if x >= self.width || y >= self.height {
            return;
        }
        let width = source.width.min(self.width - x);
        let height = source.height.min(self.height - y);
        let (first, shift) = (x / 8, x % 8);
        for row in 0..height {
            let from = source.row(row);
            let to = &mut self.row_mut(y + row)[first..];
            for (i, &byte) in from[..width.div_ceil(8)].iter().enumerate() {
                let mask = 0xFF << (8 - (width - i * 8).min(8)) as u32;
                let mask = (mask & 0xFF) as u8;
                let (bits, mask) = (spread(byte & mask, shift), spread(mask, shift));
                set(&mut to[i], bits[0], mask[0]);
                if mask[1] != 0 {
                    set(&mut to[i + 1], bits[1], mask[1]);
                }
            }
        }
    }

    /// The same picture with black and white exchanged.
    pub(crate) fn inverted(mut self) -> Self {
        for byte in &mut self.data {
            *byte = !*byte;
        }
        Self::from_packed(self.width, self.height, self.data)
            .expect("the rows are as many and as long as before")
    }
}

/// A byte's bits moved right by `shift` below 8, over two bytes.
fn spread(byte: u8, shift: usize) -> [u8; 2] {
    (u16::from(byte) << 8 >> shift).to_be_bytes()
}

/// How many bits are set.
pub(crate) fn count_ones(bytes: &[u8]) -> usize {
    let (words, rest) = bytes.as_chunks::<8>();
    let words = words
        .iter()
        .map(|word| u64::from_ne_bytes(*word).count_ones());
    let rest = rest.iter().map(|byte| byte.count_ones());
    words.chain(rest).map(|ones| ones as usize).sum()
}

impl std::fmt::Debug for Bitmap {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Bitmap({}x{})", self.width, self.height)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn packed_rows_are_measured_and_trimmed() {
        assert!(Bitmap::from_packed(9, 2, vec![0; 3]).is_none());
        let map = Bitmap::from_packed(9, 2, vec![0xFF; 4]).unwrap();
        assert_eq!(map.data(), [0xFF, 0x80, 0xFF, 0x80]);
        assert_eq!(map.count_black(), 18);
        assert!(!map.is_blank());
        assert!(map.inverted().is_blank());
        assert!(Bitmap::from_packed(0, 0, Vec::new()).is_some());
        assert!(Bitmap::from_packed(usize::MAX, usize::MAX, Vec::new()).is_none());
    }

    #[test]
    fn rows_are_cut_within_the_picture() {
        let map = Bitmap::from_packed(8, 3, vec![1, 2, 3]).unwrap();
        assert_eq!(map.cut_rows(1, 1).data(), [2]);
        assert_eq!(map.cut_rows(2, usize::MAX).data(), [3]);
        assert_eq!(map.cut_rows(9, 1).height(), 0);
    }

    proptest! {
        #[test]
        fn blits_pixel_by_pixel(
            from in crate::testing::bitmaps(40, 6),
            to in crate::testing::bitmaps(40, 6),
            x in 0usize..44,
            y in 0usize..8,
        ) {
            let (mut or, mut copy) = (to.clone(), to.clone());
            or.blit_or(&from, x, y);
            copy.blit(&from, x, y);
            for row in 0..to.height() {
                for column in 0..to.width() {
                    let below = to.is_black(column, row);
                    let above = (column >= x && row >= y)
                        .then(|| (column - x, row - y))
                        .filter(|(x, y)| *x < from.width() && *y < from.height())
                        .map(|(x, y)| from.is_black(x, y));
                    prop_assert_eq!(or.is_black(column, row), below || above == Some(true));
                    prop_assert_eq!(copy.is_black(column, row), above.unwrap_or(below));
                }
            }
            prop_assert_eq!(&or, &Bitmap::from_packed(to.width(), to.height(), or.data().to_vec()).unwrap());
        }
    }
}

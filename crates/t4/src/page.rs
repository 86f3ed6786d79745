//! A coded page and its set-up.

use crate::{Bitmap, DecodeError, decode, encode};

/// How a page's rows are coded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Coding {
    /// Modified Huffman, one-dimensional (T.4 §4.1).
    Mh,
    /// Modified READ, two-dimensional with a one-dimensional row at least every `k` rows (T.4 §4.2).
    Mr {
        /// Rows from one one-dimensional row to the next: 2 at standard, 4 at fine resolution.
        k: u32,
    },
    /// Modified Modified READ (T.6).
    Mmr,
}

/// The vertical resolutions of T.4; horizontally all have 8.04 pixels a millimetre (204 a inch).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Resolution {
    /// 204 × 98 a inch (3.85 lines a millimetre).
    Standard,
    /// 204 × 196 a inch (7.7 lines a millimetre).
    Fine,
    /// 204 × 391 a inch (15.4 lines a millimetre).
    Superfine,
}

impl Resolution {
    /// Pixels an inch, across and down.
    #[must_use]
    pub fn dpi(self) -> (f32, f32) {
        match self {
            Self::Standard => (204.0, 98.0),
            Self::Fine => (204.0, 196.0),
            Self::Superfine => (204.0, 391.0),
        }
    }

    /// The resolution that is this many pixels an inch, within a twentieth: 200 × 100, 200 × 200
    /// and 200 × 400 count as what they stand for (T.4 §2.2).
    #[must_use]
    pub fn nearest(x_dpi: f64, y_dpi: f64) -> Option<Self> {
        [Self::Standard, Self::Fine, Self::Superfine]
            .into_iter()
            .find(|resolution| {
                let (x, y) = resolution.dpi();
                let near = |is: f64, wanted: f32| (is / f64::from(wanted) - 1.0).abs() < 0.05;
                near(x_dpi, x) && near(y_dpi, y)
            })
    }

    /// Rows from one one-dimensional MR row to the next: 2 at standard, 4 at fine resolution
    /// (T.4 §4.2.1), 8 at superfine.
    #[must_use]
    pub fn usual_k(self) -> u32 {
        match self {
            Self::Standard => 2,
            Self::Fine => 4,
            Self::Superfine => 8,
        }
    }
}

/// One page as it goes over the line or into a TIFF-F or PDF file.
///
/// `data` is most significant bit first. [`encode`](FaxPage::encode) gives MH and MR an end of
/// line before each row and no RTC, as TIFF wants it, and MMR an EOFB; data from files may differ.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct FaxPage {
    /// Pixels across: 1728 (A4, Letter, Legal), 2048 (B4) or 2432 (A3) at 204 dpi.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// Vertical resolution.
    pub resolution: Resolution,
    /// How `data` is coded.
    pub coding: Coding,
    /// The coded rows.
    pub data: Vec<u8>,
}

impl FaxPage {
    /// Codes a bitmap of that resolution.
    #[must_use]
    pub fn encode(bitmap: &Bitmap, resolution: Resolution, coding: Coding) -> Self {
        Self {
            width: bitmap.width(),
            height: bitmap.height(),
            resolution,
            coding,
            data: encode(bitmap, coding),
        }
    }

    /// The page's pixels.
    ///
    /// # Errors
    /// The first row that isn't right: see [`decode`](fn@decode).
    pub fn decode(&self) -> Result<Bitmap, DecodeError> {
        decode(&self.data, self.coding, self.width, Some(self.height))
    }

    /// The same page in another coding; the page itself where it has it already.
    ///
    /// # Errors
    /// The first row that isn't right: see [`decode`](fn@decode).
    pub fn recode(self, coding: Coding) -> Result<Self, DecodeError> {
        if self.coding == coding {
            return Ok(self);
        }
        Ok(Self::encode(&self.decode()?, self.resolution, coding))
    }
}

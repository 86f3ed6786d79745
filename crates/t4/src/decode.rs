//! From coded rows to bitmap, every deviation an error.

use crate::bits::{BitReader, Mark};
use crate::changes::Changes;
use crate::codes::{BLACK_BITS, BLACK_RUNS, MODES, Mode, WHITE_BITS, WHITE_RUNS};
use crate::{Bitmap, Coding};

/// The widest page that is read: A3 at 408 pixels an inch (T.4 table 1).
pub const MAX_WIDTH: usize = 4864;
/// The longest page that is read: over 4 m at fine resolution.
pub const MAX_HEIGHT: usize = 32_768;

/// Why coded data is not the page that it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("row {row}: {reason}")]
pub struct DecodeError {
    /// The row, 0 at the top.
    pub row: usize,
    /// What is wrong with it.
    pub reason: Reason,
}

/// What is wrong with a coded row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    /// The page has no width or more than [`MAX_WIDTH`] pixels.
    #[error("the width is not between 1 and {MAX_WIDTH} pixels")]
    Width,
    /// The page has more than [`MAX_HEIGHT`] rows.
    #[error("the page has more than {MAX_HEIGHT} rows")]
    TooLong,
    /// Bits that begin no code word.
    #[error("no such code word")]
    BadCode,
    /// The runs go past the right edge.
    #[error("the runs are longer than the row")]
    RowTooWide,
    /// A vertical mode that steps back, or a pass over the row's end.
    #[error("a change lies outside what is left of the row")]
    BadMode,
    /// Uncompressed or another extension mode, which fax pages don't have.
    #[error("extension modes are not supported")]
    Extension,
    /// The data ends inside the row.
    #[error("the data ends inside the row")]
    Truncated,
    /// A two-dimensional page's row doesn't begin with an end of line.
    #[error("the end of line before the row is missing")]
    NoEol,
    /// The page ends before its last row.
    #[error("the page ends here, too early")]
    TooFewRows,
    /// More follows after the page's last row.
    #[error("more data follows the last row")]
    TooManyRows,
}

/// Decodes a page. Both MH with and without ends of line are read, and any end of page.
///
/// `height` is the number of rows that must be there; without it the page ends where its data
/// says so.
///
/// # Errors
/// The first row that isn't right, and why.
pub fn decode(
    data: &[u8],
    coding: Coding,
    width: usize,
    height: Option<usize>,
) -> Result<Bitmap, DecodeError> {
    decode_aligned(data, coding, width, height, false)
}

/// [`decode`], where rows may begin on whole bytes (TIFF compression 2).
pub(crate) fn decode_aligned(
    data: &[u8],
    coding: Coding,
    width: usize,
    height: Option<usize>,
    byte_align: bool,
) -> Result<Bitmap, DecodeError> {
    check_size(width, height).map_err(|reason| DecodeError { row: 0, reason })?;
    let mut rows = Rows::new(data, width);
    let fail = |rows: &Rows, reason| DecodeError {
        row: rows.count(),
        reason,
    };
    loop {
        if byte_align {
            rows.bits.align();
        }
        let next = rows.next_row(coding);
        match (next, height) {
            (Next::End, Some(height)) if rows.count() < height => {
                return Err(fail(&rows, Reason::TooFewRows));
            }
            (Next::End, _) => return Ok(rows.into_bitmap()),
            (_, Some(height)) if rows.count() == height => {
                return Err(fail(&rows, Reason::TooManyRows));
            }
            _ if rows.count() == MAX_HEIGHT => return Err(fail(&rows, Reason::TooLong)),
            (Next::NoEol, _) => return Err(fail(&rows, Reason::NoEol)),
            (Next::OneDimensional, _) => rows.one_dimensional(),
            (Next::TwoDimensional, _) => rows.two_dimensional(),
        }
        .map_err(|reason| fail(&rows, reason))?;
        rows.keep();
    }
}

pub(crate) fn check_size(width: usize, height: Option<usize>) -> Result<(), Reason> {
    if width == 0 || width > MAX_WIDTH {
        return Err(Reason::Width);
    }
    if height.is_some_and(|height| height > MAX_HEIGHT) {
        return Err(Reason::TooLong);
    }
    Ok(())
}

/// What comes next on a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    OneDimensional,
    TwoDimensional,
    /// A two-dimensional T.4 page goes on without the end of line it must have.
    NoEol,
    /// RTC, EOFB, or the end of the data.
    End,
}

/// The rows read so far, and the place of the next.
pub(crate) struct Rows<'a> {
    pub bits: BitReader<'a>,
    width: usize,
    stride: usize,
    row: Changes,
    above: Changes,
    data: Vec<u8>,
}

impl<'a> Rows<'a> {
    pub fn new(data: &'a [u8], width: usize) -> Self {
        Self {
            bits: BitReader::new(data),
            width,
            stride: width.div_ceil(8),
            row: Changes::new(width),
            above: Changes::new(width),
            data: Vec::new(),
        }
    }

    /// Rows so far.
    pub fn count(&self) -> usize {
        self.data.len() / self.stride
    }

    /// Takes what stands before the next row.
    pub fn next_row(&mut self, coding: Coding) -> Next {
        let tagged = matches!(coding, Coding::Mr { .. });
        match self.bits.mark() {
            Mark::End => Next::End,
            Mark::None => match coding {
                Coding::Mh => Next::OneDimensional,
                Coding::Mr { .. } => Next::NoEol,
                Coding::Mmr => Next::TwoDimensional,
            },
            // T.6 has ends of line in EOFB only (§2.4.1.1).
            Mark::Eol if coding == Coding::Mmr => Next::End,
            Mark::Eol => {
                let one_dimensional = !tagged || self.bits.bit();
                // No row is empty: a second end of line begins RTC (T.4 §4.1.4).
                match self.bits.clone().mark() {
                    Mark::None if one_dimensional => Next::OneDimensional,
                    Mark::None => Next::TwoDimensional,
                    Mark::Eol | Mark::End => Next::End,
                }
            }
        }
    }

    /// Appends the row just read, which the next one may refer to.
    pub fn keep(&mut self) {
        std::mem::swap(&mut self.row, &mut self.above);
        self.repeat();
    }

    /// Appends the row above once more.
    pub fn repeat(&mut self) {
        let from = self.data.len();
        self.data.resize(from + self.stride, 0);
        self.above.paint(&mut self.data[from..]);
    }

    /// Appends white rows up to `height`.
    pub fn fill_up(&mut self, height: usize) {
        self.data.resize(self.stride * height, 0);
    }

    pub fn into_bitmap(self) -> Bitmap {
        let height = self.count();
        Bitmap::from_rows(self.width, height, self.data)
    }

    /// Reads a one-dimensional row (T.4 §4.1.1).
    pub fn one_dimensional(&mut self) -> Result<(), Reason> {
        let Self { bits, row, .. } = self;
        let width = self.width as i32;
        row.clear();
        let mut at = 0;
        while at < width {
            at += run(bits, false, width)?;
            if at >= width {
                row.push(at);
                break;
            }
            row.push(at);
            at += run(bits, true, width)?;
            row.push(at);
        }
        if at > width {
            return Err(Reason::RowTooWide);
        }
        self.end_row()
    }

    /// Reads a two-dimensional row (T.4 §4.2.1.3, T.6 §2.2); names are the clause's.
    pub fn two_dimensional(&mut self) -> Result<(), Reason> {
        let Self { bits, row, .. } = self;
        let above = self.above.all();
        let width = self.width as i32;
        row.clear();
        let mut a0 = -1;
        let mut black = false;
        // b1 is above[j]; j is even where a0 is white.
        let mut j = 0;
        while a0 < width {
            while above[j] <= a0 {
                j += 2;
            }
            let (mode, len) = MODES[(bits.window() >> 57) as usize];
            bits.pos += usize::from(len);
            match mode {
                Mode::Vertical(right) => {
                    let a1 = above[j] + i32::from(right);
                    if a1 <= a0 || a1 > width {
                        return Err(Reason::BadMode);
                    }
                    row.push(a1);
                    a0 = a1;
                    black = !black;
                    j = if j > 0 { j - 1 } else { 1 };
                }
                Mode::Horizontal => {
                    let a1 = a0.max(0) + run(bits, black, width)?;
                    let a2 = a1 + run(bits, !black, width)?;
                    if a2 > width {
                        return Err(Reason::RowTooWide);
                    }
                    row.push(a1);
                    row.push(a2);
                    a0 = a2;
                }
                Mode::Pass => {
                    let b2 = above[j + 1];
                    // b2 lies left of a1, and a1 at most at the row's end.
                    if b2 >= width {
                        return Err(Reason::BadMode);
                    }
                    a0 = b2;
                }
                Mode::Extension => return Err(Reason::Extension),
                Mode::None => return Err(bad(bits, Reason::BadCode)),
            }
        }
        self.end_row()
    }

    fn end_row(&mut self) -> Result<(), Reason> {
        self.row.close();
        if self.bits.overran() {
            return Err(Reason::Truncated);
        }
        Ok(())
    }
}

/// Reads one run; more than `width` pixels in make-up codes are too many.
#[inline]
fn run(bits: &mut BitReader<'_>, black: bool, width: i32) -> Result<i32, Reason> {
    let mut run = 0;
    loop {
        let window = bits.window();
        let entry = if black {
            BLACK_RUNS[(window >> (64 - BLACK_BITS)) as usize]
        } else {
            WHITE_RUNS[(window >> (64 - WHITE_BITS)) as usize]
        };
        if entry == 0 {
            return Err(bad(bits, Reason::BadCode));
        }
        bits.pos += usize::from(entry & 15);
        let part = i32::from(entry >> 4);
        run += part;
        if part < 64 {
            return Ok(run);
        }
        if run > width {
            return Err(Reason::RowTooWide);
        }
    }
}

/// `reason`, unless the data has just ended.
#[cold]
fn bad(bits: &BitReader<'_>, reason: Reason) -> Reason {
    // The longest code word has 13 bits: when fewer were left, those are what is wrong.
    let mut ahead = bits.clone();
    ahead.pos += BLACK_BITS as usize;
    if ahead.overran() {
        Reason::Truncated
    } else {
        reason
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{bitmaps, codings};
    use crate::{EncodeOptions, decode_tolerant, encode, encode_with};
    use proptest::prelude::*;

    fn reason(data: &[u8], coding: Coding, width: usize, height: Option<usize>) -> (usize, Reason) {
        let error = decode(data, coding, width, height).unwrap_err();
        (error.row, error.reason)
    }

    #[test]
    fn errors_name_row_and_reason() {
        let map = Bitmap::new(1728, 3);
        let mh = encode(&map, Coding::Mh);
        assert_eq!(
            reason(&mh, Coding::Mh, 1728, Some(4)),
            (3, Reason::TooFewRows)
        );
        assert_eq!(
            reason(&mh, Coding::Mh, 1728, Some(2)),
            (2, Reason::TooManyRows)
        );
        assert_eq!(reason(&mh, Coding::Mh, 1700, None), (0, Reason::RowTooWide));
        assert_eq!(reason(&mh, Coding::Mh, 2048, None), (0, Reason::BadCode));
        let end = mh.len() - 2;
        assert_eq!(
            reason(&mh[..end], Coding::Mh, 1728, Some(3)),
            (2, Reason::Truncated)
        );
        assert_eq!(
            reason(&[0xFF], Coding::Mr { k: 4 }, 8, None),
            (0, Reason::NoEol)
        );
        // V(0), then an extension code; VL(1) at the row's start; a pass in a white page.
        assert_eq!(
            reason(&[0b1000_0001, 0xFF], Coding::Mmr, 8, None),
            (1, Reason::Extension)
        );
        assert_eq!(
            reason(&[0b0001_0000, 0x1F], Coding::Mmr, 8, None),
            (0, Reason::BadMode)
        );
        assert_eq!(reason(&[], Coding::Mmr, 0, None), (0, Reason::Width));
        assert_eq!(
            reason(&[], Coding::Mmr, 8, Some(1 << 40)),
            (0, Reason::TooLong)
        );
        assert_eq!(
            reason(&[0xFF; 5000], Coding::Mmr, 8, None),
            (MAX_HEIGHT, Reason::TooLong)
        );
        let error = decode(&mh, Coding::Mh, 1728, Some(4)).unwrap_err();
        assert_eq!(error.to_string(), "row 3: the page ends here, too early");
    }

    proptest! {
           #[test]
           fn coded_pages_come_back(
               map in bitmaps(MAX_WIDTH, 12),
               coding in codings(),
               eol in any::<bool>(),
               end_of_page in any::<bool>(),
               byte_align in any::<bool>(),
               min_row_bits in 0u32..200,
           ) {
               let options = EncodeOptions { eol, end_of_page, byte_align, min_row_bits };
               let data = encode_with(&map, coding, &options);
               let aligned = byte_align && !(eol && coding == Coding::Mh) && !matches!(coding, Coding::Mr { .. });
               let read = decode_aligned(&data, coding, map.width(), Some(map.height()), aligned);
               prop_assert_eq!(read.as_ref(), Ok(&map));
               if end_of_page && !aligned {
                   let read = decode(&data, coding, map.width(), None);
    prop_assert_eq!(read.as_ref(), Ok(&map));
               }
           }

           #[test]
           fn any_bytes_are_read_without_panic(
               data in prop::collection::vec(any::<u8>(), 0..400),
               coding in codings(),
               width in 1usize..3000,
               height in prop::option::of(0usize..300),
           ) {
               let strict = decode(&data, coding, width, height);
               let (map, damage) = decode_tolerant(&data, coding, width, height);
               if let Some(height) = height {
                   prop_assert_eq!(map.height(), height);
               }
               if let Ok(strict) = strict {
                   prop_assert_eq!(strict, map);
                   prop_assert!(damage.is_clean());
               } else {
                   prop_assert!(damage.rows <= map.height());
               }
           }

           #[test]
           fn spoilt_pages_are_read_without_panic(
               map in bitmaps(2000, 30),
               coding in codings(),
               flips in prop::collection::vec(any::<prop::sample::Index>(), 1..5),
               cut in any::<prop::sample::Index>(),
           ) {
               let mut data = encode(&map, coding);
               for flip in flips {
                   let bit = flip.index(data.len() * 8);
                   data[bit / 8] ^= 0x80 >> (bit % 8);
               }
               data.truncate(cut.index(data.len() * 2));
               let height = map.height();
               let (read, damage) = decode_tolerant(&data, coding, map.width(), Some(height));
               prop_assert_eq!(read.height(), height);
               prop_assert!(damage.rows + damage.missing <= height);
               prop_assert!(damage.longest_run <= damage.rows);
               if let Ok(strict) = decode(&data, coding, map.width(), Some(height)) {
                   prop_assert_eq!(strict, read);
               }
           }
       }
}

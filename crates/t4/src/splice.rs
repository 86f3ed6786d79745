//! A strip laid over the white top of a coded page, without reading the rest of it.

use crate::bits::{BitReader, BitWriter};
use crate::{Bitmap, Coding, EncodeOptions, FaxPage};

impl FaxPage {
    /// This page with the rows of `strip` in the place of its first ones; `None` where that can't be had
    /// without decoding it: the page is not MMR, has ink in those rows, or the strip ends in ink.
    ///
    /// An MMR row is coded by the one above it alone (T.6 §2.2.1). White above it before and white above it
    /// now, the first row below the strip keeps its code, and with it every row to the page's end.
    #[must_use]
    pub fn with_top(&self, strip: &Bitmap) -> Option<Self> {
        let rows = strip.height();
        let white_end = rows > 0 && strip.row(rows - 1).iter().all(|&octet| octet == 0);
        if self.coding != Coding::Mmr
            || strip.width() != self.width
            || !white_end
            || rows >= self.height
        {
            return None;
        }
        let mut body = BitReader::new(&self.data);
        // A white row under a white one is V(0) and nothing else: one 1 (T.6 table 1).
        for _ in 0..rows {
            if !body.bit() {
                return None;
            }
        }
        let options = EncodeOptions {
            end_of_page: false,
            ..EncodeOptions::for_page(Coding::Mmr)
        };
        let mut out = BitWriter::with_capacity(self.data.len() + (1 << 14));
        crate::encode::mmr_rows(&mut out, strip, &options);
        let end = self.data.len() * 8;
        while body.pos < end {
            let some = (end - body.pos).min(32);
            out.put((body.window() >> (64 - some)) as u32, some as u32);
            body.pos += some;
        }
        Some(Self {
            width: self.width,
            height: self.height,
            resolution: self.resolution,
            coding: self.coding,
            data: out.finish(),
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Resolution;

    /// A page with `top` white rows before rows of these octets.
    fn page(top: usize, rows: &[[u8; 3]]) -> Bitmap {
        let mut page = Bitmap::new(24, top + rows.len());
        for (y, row) in rows.iter().enumerate() {
            page.row_mut(top + y).copy_from_slice(row);
        }
        page
    }

    #[test]
    fn what_needs_decoding_is_left_to_the_caller() {
        let coded = |bitmap: &Bitmap, coding| FaxPage::encode(bitmap, Resolution::Fine, coding);
        let body = page(4, &[[0, 8, 0]; 3]);
        let white = Bitmap::new(24, 4);
        assert!(coded(&body, Coding::Mmr).with_top(&white).is_some());
        assert!(
            coded(&body, Coding::Mh).with_top(&white).is_none(),
            "another coding"
        );
        assert!(
            coded(&body, Coding::Mmr)
                .with_top(&Bitmap::new(24, 5))
                .is_none(),
            "ink below"
        );
        assert!(
            coded(&body, Coding::Mmr)
                .with_top(&Bitmap::new(16, 4))
                .is_none(),
            "another width"
        );
        assert!(
            coded(&body, Coding::Mmr)
                .with_top(&Bitmap::new(24, 7))
                .is_none(),
            "as long as the page"
        );
        let inked = page(3, &[[1, 0, 0]]);
        assert!(
            coded(&body, Coding::Mmr).with_top(&inked).is_none(),
            "ends in ink"
        );
    }

    proptest! {
        /// Bit for bit what coding the whole page gives, but for the fill of the last octet.
        #[test]
        fn as_if_the_page_were_coded_anew(
            body in proptest::collection::vec(any::<[u8; 3]>(), 1..40),
            strip in proptest::collection::vec(any::<[u8; 3]>(), 0..12),
            more in 0_usize..5,
        ) {
            let mut over = Bitmap::new(24, strip.len() + 1);
            for (y, row) in strip.iter().enumerate() {
                over.row_mut(y).copy_from_slice(row);
            }
            let under = page(over.height() + more, &body);
            let mut whole = under.clone();
            for y in 0..over.height() {
                whole.row_mut(y).copy_from_slice(over.row(y));
            }
            let coded = |bitmap: &Bitmap| FaxPage::encode(bitmap, Resolution::Fine, Coding::Mmr);
            let laid = coded(&under).with_top(&over).unwrap();
            prop_assert_eq!(laid.decode().unwrap(), whole.clone());
            let anew = coded(&whole).data;
            // The page's own fill was copied along.
            let at_most_an_octet_more = laid.data.len() - anew.len();
            prop_assert!(at_most_an_octet_more <= 1);
            prop_assert_eq!(&laid.data[..anew.len()], &anew[..]);
        }
    }
}

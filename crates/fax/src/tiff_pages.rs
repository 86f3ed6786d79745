//! The little that must be known of TIFF: how many pages a file has, and the last page of the file that
//! the engine writes.

use faxpost_t4::{Coding, FaxPage, Resolution};

/// More pages than any fax has: a chain of directories that turns back on itself ends there.
const MOST_PAGES: u32 = 10_000;

/// The number of image file directories in a TIFF, 0 when it isn't one.
pub fn count(tiff: &[u8]) -> u32 {
    Reader::new(tiff).map_or(0, |reader| reader.directories().0)
}

/// The last page of a T.6 TIFF with one strip a page, as spandsp writes it. `None` when it isn't one.
pub fn last(tiff: &[u8]) -> Option<FaxPage> {
    let reader = Reader::new(tiff)?;
    let page = reader.directories().1?;
    // TIFF 6.0 §8; the compression is T.6 (4).
    let tag = |number| reader.tag(page, number);
    if tag(259)? != 4 || reader.tag_count(page, 273)? != 1 {
        return None;
    }
    let (offset, length) = (tag(273)?, tag(279)?);
    let mut data = tiff.get(offset..offset.checked_add(length)?)?.to_vec();
    if tag(266) == Some(2) {
        // FillOrder 2: the first bit on the line is the least significant.
        data.iter_mut().for_each(|octet| *octet = octet.reverse_bits());
    }
    let at = tag(283)?;
    let (over, under) = (reader.u32_at(at)?, reader.u32_at(at + 4)?.max(1));
    // ResolutionUnit 3 is the centimetre.
    let dpi = over as f32 / under as f32 * if tag(296) == Some(3) { 2.54 } else { 1.0 };
    let resolution = match dpi {
        ..147.0 => Resolution::Standard,
        ..294.0 => Resolution::Fine,
        _ => Resolution::Superfine,
    };
    Some(FaxPage { width: tag(256)?, height: tag(257)?, resolution, coding: Coding::Mmr, data })
}

struct Reader<'a> {
    tiff: &'a [u8],
    little: bool,
}

impl<'a> Reader<'a> {
    fn new(tiff: &'a [u8]) -> Option<Self> {
        match tiff.get(..4)? {
            [b'I', b'I', 42, 0] => Some(Self { tiff, little: true }),
            [b'M', b'M', 0, 42] => Some(Self { tiff, little: false }),
            _ => None,
        }
    }

    fn u32_at(&self, at: usize) -> Option<usize> {
        let four: [u8; 4] = self.tiff.get(at..at.checked_add(4)?)?.try_into().ok()?;
        usize::try_from(if self.little { u32::from_le_bytes(four) } else { u32::from_be_bytes(four) }).ok()
    }

    fn u16_at(&self, at: usize) -> Option<usize> {
        let two: [u8; 2] = self.tiff.get(at..at.checked_add(2)?)?.try_into().ok()?;
        Some(usize::from(if self.little { u16::from_le_bytes(two) } else { u16::from_be_bytes(two) }))
    }

    /// How many directories the chain has, and where the last one is (TIFF 6.0 §2).
    fn directories(&self) -> (u32, Option<usize>) {
        let (mut pages, mut last) = (0, None);
        let mut at = self.u32_at(4).unwrap_or(0);
        while at != 0 && pages < MOST_PAGES {
            let Some(next) = self.u16_at(at).and_then(|entries| self.u32_at(at + 2 + entries * 12)) else {
                break;
            };
            pages += 1;
            last = Some(at);
            at = next;
        }
        (pages, last)
    }

    fn entry(&self, directory: usize, number: usize) -> Option<usize> {
        let entries = self.u16_at(directory)?;
        (0..entries).map(|i| directory + 2 + i * 12).find(|&at| self.u16_at(at) == Some(number))
    }

    fn tag_count(&self, directory: usize, number: usize) -> Option<usize> {
        self.u32_at(self.entry(directory, number)? + 4)
    }

    /// The value of a SHORT or LONG, or where a longer one is.
    fn tag(&self, directory: usize, number: usize) -> Option<usize> {
        let at = self.entry(directory, number)?;
        match self.u16_at(at + 2)? {
            3 => self.u16_at(at + 8),
            _ => self.u32_at(at + 8),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn directories_are_counted() {
        let mut tiff = vec![b'I', b'I', 42, 0, 8, 0, 0, 0];
        tiff.extend([0, 0, 14, 0, 0, 0]);
        tiff.extend([0, 0, 0, 0, 0, 0]);
        assert_eq!(count(&tiff), 2);
        assert_eq!(count(b"%PDF-1.7"), 0);
        assert_eq!(count(&[]), 0);
    }

    #[test]
    fn a_ring_of_directories_ends() {
        let tiff = [b'M', b'M', 0, 42, 0, 0, 0, 8, 0, 0, 0, 0, 0, 8];
        assert_eq!(count(&tiff), MOST_PAGES);
    }

    proptest! {
        #[test]
        fn nothing_read_from_outside_panics(tail in proptest::collection::vec(any::<u8>(), 0..200)) {
            let mut tiff = vec![b'I', b'I', 42, 0];
            tiff.extend(tail);
            prop_assert!(count(&tiff) <= MOST_PAGES);
            let _ = last(&tiff);
        }
    }
}

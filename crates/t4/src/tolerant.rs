//! From damaged coded rows to the best bitmap they give.

use crate::bits::{BitReader, Mark};
use crate::decode::{MAX_HEIGHT, Next, Rows, check_size};
use crate::{Bitmap, Coding};

/// Rows that [`Damage`] lists at most.
pub const MAX_LISTED: usize = 256;

/// Which rows of a page didn't come as they were sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Damage {
    /// Damaged rows, each replaced by the one above.
    pub rows: usize,
    /// Most damaged rows in succession.
    pub longest_run: usize,
    /// The first [`MAX_LISTED`] damaged rows, 0 at the top.
    pub at: Vec<usize>,
    /// Rows that never came, white at the page's foot.
    pub missing: usize,
}

impl Damage {
    /// Whether all rows came, and came whole.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.rows == 0 && self.missing == 0
    }
}

/// Decodes what can be decoded.
///
/// After a damaged row, MH goes on with the next end of line and MR with the next one-dimensional
/// row; MMR can't go on. Damage that still makes a whole row goes unseen. A width that can't be
/// ([`MAX_WIDTH`](crate::MAX_WIDTH)) gives an empty page; `height` counts up to [`MAX_HEIGHT`].
#[must_use]
pub fn decode_tolerant(
    data: &[u8],
    coding: Coding,
    width: usize,
    height: Option<usize>,
) -> (Bitmap, Damage) {
    let mut damage = Damage::default();
    if check_size(width, None).is_err() {
        damage.missing = height.unwrap_or(0);
        return (Bitmap::new(0, 0), damage);
    }
    let limit = height.map_or(MAX_HEIGHT, |height| height.min(MAX_HEIGHT));
    let mut rows = Rows::new(data, width);
    let mut damaged_in_succession = 0;
    // After damage a two-dimensional row has nothing to refer to.
    let mut lost = false;
    while rows.count() < limit {
        let before = rows.bits.clone();
        let next = rows.next_row(coding);
        let start = rows.bits.pos;
        let read = match next {
            Next::End if is_end(before, coding) => break,
            Next::End | Next::NoEol => None,
            Next::OneDimensional => Some(rows.one_dimensional()),
            Next::TwoDimensional if lost => None,
            Next::TwoDimensional => Some(rows.two_dimensional()),
        };
        if let Some(Ok(())) = read {
            rows.keep();
            damaged_in_succession = 0;
            lost = false;
            continue;
        }
        if damage.at.len() < MAX_LISTED {
            damage.at.push(rows.count());
        }
        damage.rows += 1;
        damaged_in_succession += 1;
        damage.longest_run = damage.longest_run.max(damaged_in_succession);
        rows.repeat();
        if coding == Coding::Mmr {
            break;
        }
        lost = matches!(coding, Coding::Mr { .. });
        // A wrong code may have run over the end of line, so look for it from the row's start.
        rows.bits.pos = start;
        rows.bits.seek_mark();
    }
    if let Some(height) = height {
        damage.missing = height - rows.count();
        rows.fill_up(limit);
    }
    (rows.into_bitmap(), damage)
}

/// Whether the ends of line at `bits` end the page: RTC has six, of which damage leaves some.
fn is_end(mut bits: BitReader<'_>, coding: Coding) -> bool {
    if coding == Coding::Mmr {
        return true;
    }
    for _ in 0..3 {
        match bits.mark() {
            Mark::End => return true,
            Mark::None => return false,
            Mark::Eol if coding != Coding::Mh => bits.pos += 1,
            Mark::Eol => {}
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{EncodeOptions, encode, encode_with};

    /// Rows that all differ, and none of which is white.
    fn ladder(height: usize) -> Bitmap {
        let mut map = Bitmap::new(400, height);
        for y in 0..height {
            for x in 0..=y % 97 {
                map.set_black((x * 4 + y) % 400, y);
            }
        }
        map
    }

    /// Damages row `y` of a page whose ends of line end on whole bytes.
    fn spoil(data: &mut [u8], y: usize) {
        let eols: Vec<usize> = (1..data.len())
            .filter(|&i| data[i] == 1 && data[i - 1] & 0x0F == 0)
            .collect();
        // Ten zeros are in no code word, and not yet an end of line.
        data[eols[y] + 2] = 0b1000_0000;
        data[eols[y] + 3] = 0b0001_0000;
    }

    const EVEN: EncodeOptions = EncodeOptions {
        eol: true,
        end_of_page: true,
        byte_align: true,
        min_row_bits: 0,
    };

    #[test]
    fn whole_pages_are_clean() {
        let map = ladder(60);
        for coding in [Coding::Mh, Coding::Mr { k: 4 }, Coding::Mmr] {
            let data = encode(&map, coding);
            for height in [None, Some(60)] {
                let (read, damage) = decode_tolerant(&data, coding, 400, height);
                assert_eq!(read, map);
                assert!(damage.is_clean());
            }
        }
    }

    #[test]
    fn a_damaged_mh_row_costs_itself_only() {
        let map = ladder(60);
        let mut data = encode_with(&map, Coding::Mh, &EVEN);
        for y in [30, 31, 50] {
            spoil(&mut data, y);
        }
        let (read, damage) = decode_tolerant(&data, Coding::Mh, 400, Some(60));
        assert_eq!(damage.at, [30, 31, 50]);
        assert_eq!((damage.rows, damage.longest_run, damage.missing), (3, 2, 0));
        for y in 0..60 {
            let from = match y {
                30 | 31 => 29,
                50 => 49,
                _ => y,
            };
            assert_eq!(read.row(y), map.row(from), "row {y}");
        }
    }
    #[test]
    fn a_damaged_mr_row_costs_the_rows_up_to_the_next_one_dimensional_one() {
        let map = ladder(60);
        let coding = Coding::Mr { k: 4 };
        let mut data = encode_with(&map, coding, &EVEN);
        spoil(&mut data, 21);
        let (read, damage) = decode_tolerant(&data, coding, 400, None);
        assert_eq!(damage.at, [21, 22, 23]);
        assert_eq!((read.height(), damage.longest_run), (60, 3));
        assert_eq!(read.row(23), map.row(20));
        assert_eq!(read.row(24), map.row(24));
        assert_eq!(read.row(59), map.row(59));
    }

    #[test]
    fn mmr_ends_at_its_first_damage() {
        let map = ladder(60);
        let mut data = encode(&map, Coding::Mmr);
        let middle = data.len() / 2;
        data[middle..middle + 2].fill(0);
        let (read, damage) = decode_tolerant(&data, Coding::Mmr, 400, Some(60));
        assert_eq!((damage.rows, read.height()), (1, 60));
        let bad = damage.at[0];
        assert_eq!(bad + 1 + damage.missing, 60);
        assert_eq!(read.row(bad - 3), map.row(bad - 3));
        assert!(read.row(59).iter().all(|&byte| byte == 0));
    }

    #[test]
    fn what_never_came_is_missing() {
        let map = ladder(60);
        let data = encode(&map, Coding::Mh);
        let (read, damage) = decode_tolerant(&data[..data.len() / 2], Coding::Mh, 400, Some(60));
        assert_eq!(read.height(), 60);
        assert!(damage.missing > 10 && damage.rows == 1);
        assert_eq!(read.row(0), map.row(0));
        let (read, damage) = decode_tolerant(&[], Coding::Mmr, 400, Some(7));
        assert_eq!((read, damage.missing), (Bitmap::new(400, 7), 7));
    }
}

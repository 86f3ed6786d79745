//! From bitmap to coded rows.

use crate::bits::BitWriter;
use crate::changes::Changes;
use crate::codes::{
    EOL, EOL_LEN, HORIZONTAL, LONGEST, LONGEST_MAKE_UP, PASS, RUN_WORDS, RUNS, VERTICAL,
};
use crate::{Bitmap, Coding};

/// How the rows are framed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EncodeOptions {
    /// MH: an end of line before each row (T.4 §4.1.2). MR always has it, MMR never.
    pub eol: bool,
    /// Six ends of line after the last row (RTC, T.4 §4.1.4); for MMR the two of EOFB (T.6 §2.4).
    pub end_of_page: bool,
    /// Ends of line end on a whole byte, by fill before them. Without ends of line, each row
    /// begins on a whole byte.
    pub byte_align: bool,
    /// Least bits of a row with its fill and end of line: the receiver's minimum scan line time
    /// in seconds × bits a second (T.4 §3). Only where there are ends of line.
    pub min_row_bits: u32,
}

impl EncodeOptions {
    /// What [`FaxPage`](crate::FaxPage) holds: ends of line but no RTC for MH and MR, as TIFF
    /// wants it, and EOFB for MMR.
    #[must_use]
    pub fn for_page(coding: Coding) -> Self {
        Self {
            eol: true,
            end_of_page: coding == Coding::Mmr,
            byte_align: false,
            min_row_bits: 0,
        }
    }
}

/// Codes a bitmap as a [`FaxPage`](crate::FaxPage) holds it: see [`EncodeOptions::for_page`].
#[must_use]
pub fn encode(bitmap: &Bitmap, coding: Coding) -> Vec<u8> {
    encode_with(bitmap, coding, &EncodeOptions::for_page(coding))
}

/// Codes a bitmap with the framing that `options` ask for.
#[must_use]
pub fn encode_with(bitmap: &Bitmap, coding: Coding, options: &EncodeOptions) -> Vec<u8> {
    if bitmap.width() == 0 {
        return Vec::new();
    }
    match coding {
        Coding::Mmr => mmr(bitmap, options),
        Coding::Mh => group3(bitmap, None, options),
        Coding::Mr { k } => group3(bitmap, Some(k.max(1) as usize), options),
    }
}

fn mmr(bitmap: &Bitmap, options: &EncodeOptions) -> Vec<u8> {
    let mut out = BitWriter::new();
    mmr_rows(&mut out, bitmap, options);
    out.finish()
}

/// T.6: every row refers to the one above, the first to a white one.
pub(crate) fn mmr_rows(out: &mut BitWriter, bitmap: &Bitmap, options: &EncodeOptions) {
    let mut above = Changes::new(bitmap.width());
    let mut row = Changes::new(bitmap.width());
    for y in 0..bitmap.height() {
        if options.byte_align {
            out.align();
        }
        if y > 0 && bitmap.row(y) == bitmap.row(y - 1) {
            // V(0) for each change and for the row's end.
            out.ones(above.len() + 1);
            continue;
        }
        row.find(bitmap.row(y));
        two_dimensional(out, &row, &above, bitmap.width());
        std::mem::swap(&mut row, &mut above);
    }
    if options.end_of_page {
        if options.byte_align {
            out.align();
        }
        out.put(EOL, EOL_LEN);
        out.put(EOL, EOL_LEN);
    }
}

/// T.4: one-dimensional rows only, or every `k`th one and two-dimensional ones between.
fn group3(bitmap: &Bitmap, k: Option<usize>, options: &EncodeOptions) -> Vec<u8> {
    let width = bitmap.width();
    let eols = options.eol || k.is_some();
    let eol_bits = EOL_LEN as usize + usize::from(k.is_some());
    let mut out = BitWriter::new();
    let mut above = Changes::new(width);
    let mut row = Changes::new(width);
    // The tag bit says whether the row to come is one-dimensional (T.4 §4.2.2).
    let eol = |out: &mut BitWriter, one_dimensional: bool| {
        if eols && options.byte_align {
            let end = out.len() + EOL_LEN as usize;
            out.zeros(end.next_multiple_of(8) - end);
        }
        out.put(EOL, EOL_LEN);
        if k.is_some() {
            out.put(u32::from(one_dimensional), 1);
        }
    };
    for y in 0..bitmap.height() {
        row.find(bitmap.row(y));
        let one_dimensional = k.is_none_or(|k| y % k == 0);
        if eols {
            eol(&mut out, one_dimensional);
        } else if options.byte_align {
            out.align();
        }
        let start = out.len();
        if one_dimensional {
            runs(&mut out, &row, width);
        } else {
            two_dimensional(&mut out, &row, &above, width);
        }
        if eols {
            let coded = out.len() - start + eol_bits;
            out.zeros((options.min_row_bits as usize).saturating_sub(coded));
        }
        std::mem::swap(&mut row, &mut above);
    }
    if options.end_of_page {
        if !eols && options.byte_align {
            out.align();
        }
        for _ in 0..6 {
            eol(&mut out, true);
        }
    }
    out.finish()
}

/// One run, its longer part as make-up codes (T.4 §4.1.1).
#[inline]
fn run(out: &mut BitWriter, black: usize, mut pixels: usize) {
    while pixels >= RUNS {
        out.put(LONGEST.bits, LONGEST.len);
        pixels -= LONGEST_MAKE_UP;
    }
    let code = RUN_WORDS[black][pixels];
    out.put(code.bits, code.len);
}

/// A one-dimensional row: runs in turn, white first (T.4 §4.1.1).
fn runs(out: &mut BitWriter, row: &Changes, width: usize) {
    let mut from = 0;
    for (i, &at) in row.all()[..row.len()].iter().enumerate() {
        run(out, i & 1, at as usize - from);
        from = at as usize;
    }
    run(out, row.len() & 1, width - from);
}

/// A two-dimensional row (T.4 §4.2.1.3, T.6 §2.2); names are the clause's.
fn two_dimensional(out: &mut BitWriter, row: &Changes, above: &Changes, width: usize) {
    let (row, above, width) = (row.all(), above.all(), width as i32);
    // Before the first pixel a0 is an imaginary white one.
    let mut a0 = -1;
    // a1 is row[i], b1 above[j]; both turn to black where even, so i and j stay of one parity.
    let (mut i, mut j) = (0, 0);
    while a0 < width {
        while above[j] <= a0 {
            j += 2;
        }
        let (a1, b1, b2) = (row[i], above[j], above[j + 1]);
        if b2 < a1 {
            out.put(PASS.bits, PASS.len);
            a0 = b2;
            continue;
        }
        if let Some(code) = VERTICAL.get((a1 - b1 + 3) as usize) {
            out.put(code.bits, code.len);
            a0 = a1;
            i += 1;
            // The element before b1 may lie to the right of the new a0 too.
            j = if j > 0 { j - 1 } else { 1 };
        } else {
            let a2 = row[i + 1];
            out.put(HORIZONTAL.bits, HORIZONTAL.len);
            run(out, i & 1, (a1 - a0.max(0)) as usize);
            run(out, (i & 1) ^ 1, (a2 - a1) as usize);
            a0 = a2;
            i += 2;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Codes given as text of noughts and ones, filled up to whole bytes.
    fn bits(text: &str) -> Vec<u8> {
        let mut out = BitWriter::new();
        for bit in text.bytes().filter(|b| !b.is_ascii_whitespace()) {
            out.put(u32::from(bit - b'0'), 1);
        }
        out.finish()
    }

    fn bitmap(rows: &[&str]) -> Bitmap {
        let mut map = Bitmap::new(rows[0].len(), rows.len());
        for (y, row) in rows.iter().enumerate() {
            for (x, _) in row.bytes().enumerate().filter(|(_, b)| *b == b'#') {
                map.set_black(x, y);
            }
        }
        map
    }

    const BARE: EncodeOptions = EncodeOptions {
        eol: false,
        end_of_page: false,
        byte_align: false,
        min_row_bits: 0,
    };

    #[test]
    fn a_white_a4_row_is_one_make_up_and_an_empty_run() {
        let row = Bitmap::new(1728, 1);
        assert_eq!(
            encode_with(&row, Coding::Mh, &BARE),
            bits("010011011 00110101")
        );
    }

    #[test]
    fn rows_begin_with_a_white_run() {
        assert_eq!(
            encode_with(&bitmap(&["##...#.."]), Coding::Mh, &BARE),
            bits("00110101 11 1000 010 0111")
        );
    }

    #[test]
    fn runs_longer_than_the_longest_make_up_repeat_it() {
        let row = Bitmap::new(2560 * 2 + 70, 1);
        assert_eq!(
            encode_with(&row, Coding::Mh, &BARE),
            bits("000000011111 000000011111 11011 1110")
        );
    }

    #[test]
    fn each_two_dimensional_mode() {
        let map = bitmap(&["..##....####..##", "...#...####.....", ".........##....#"]);
        assert_eq!(
            encode_with(&map, Coding::Mmr, &BARE),
            bits(concat!(
                "001 0111 11  001 1011 011  000010 1 ",
                "011 1 010 010 000011 ",
                "0001 000011 1 010 1",
            ))
        );
    }

    #[test]
    fn framing_of_mr() {
        let map = bitmap(&["........", "........", "........"]);
        let eol = "000000000001";
        let options = EncodeOptions {
            eol: false,
            end_of_page: true,
            ..BARE
        };
        assert_eq!(
            encode_with(&map, Coding::Mr { k: 2 }, &options),
            bits(&format!(
                "{eol}1 10011 {eol}0 1 {eol}1 10011 {}",
                format!("{eol}1").repeat(6)
            ))
        );
    }

    #[test]
    fn fill_makes_rows_long_enough_and_ends_of_line_even() {
        let map = bitmap(&["........", "........"]);
        let options = EncodeOptions {
            eol: true,
            min_row_bits: 24,
            ..BARE
        };
        assert_eq!(
            encode_with(&map, Coding::Mh, &options),
            bits("000000000001 10011 0000000 000000000001 10011 0000000")
        );
        let options = EncodeOptions {
            eol: true,
            byte_align: true,
            ..BARE
        };
        assert_eq!(
            encode_with(&map, Coding::Mh, &options),
            [0x00, 0x01, 0b1001_1000, 0x00, 0x01, 0b1001_1000]
        );
    }
}

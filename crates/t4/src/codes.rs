//! The code words of T.4 and T.6, as tables for writing and for reading.

/// End of line: eleven zeros and a one (T.4 §4.1.2).
pub(crate) const EOL: u32 = 1;
/// Bits of [`EOL`].
pub(crate) const EOL_LEN: u32 = 12;

/// Terminating codes of white runs of 0 to 63 pixels (T.4 table 2).
const WHITE_TERMINATING: [&str; 64] = [
    "00110101", "000111", "0111", "1000", "1011", "1100", "1110", "1111", "10011", "10100",
    "00111", "01000", "001000", "000011", "110100", "110101", "101010", "101011", "0100111",
    "0001100", "0001000", "0010111", "0000011", "0000100", "0101000", "0101011", "0010011",
    "0100100", "0011000", "00000010", "00000011", "00011010", "00011011", "00010010", "00010011",
    "00010100", "00010101", "00010110", "00010111", "00101000", "00101001", "00101010", "00101011",
    "00101100", "00101101", "00000100", "00000101", "00001010", "00001011", "01010010", "01010011",
    "01010100", "01010101", "00100100", "00100101", "01011000", "01011001", "01011010", "01011011",
    "01001010", "01001011", "00110010", "00110011", "00110100",
];

/// Terminating codes of black runs of 0 to 63 pixels (T.4 table 2).
const BLACK_TERMINATING: [&str; 64] = [
    "0000110111",
    "010",
    "11",
    "10",
    "011",
    "0011",
    "0010",
    "00011",
    "000101",
    "000100",
    "0000100",
    "0000101",
    "0000111",
    "00000100",
    "00000111",
    "000011000",
    "0000010111",
    "0000011000",
    "0000001000",
    "00001100111",
    "00001101000",
    "00001101100",
    "00000110111",
    "00000101000",
    "00000010111",
    "00000011000",
    "000011001010",
    "000011001011",
    "000011001100",
    "000011001101",
    "000001101000",
    "000001101001",
    "000001101010",
    "000001101011",
    "000011010010",
    "000011010011",
    "000011010100",
    "000011010101",
    "000011010110",
    "000011010111",
    "000001101100",
    "000001101101",
    "000011011010",
    "000011011011",
    "000001010100",
    "000001010101",
    "000001010110",
    "000001010111",
    "000001100100",
    "000001100101",
    "000001010010",
    "000001010011",
    "000000100100",
    "000000110111",
    "000000111000",
    "000000100111",
    "000000101000",
    "000001011000",
    "000001011001",
    "000000101011",
    "000000101100",
    "000001011010",
    "000001100110",
    "000001100111",
];

/// Make-up codes of white runs of 64, 128, … 1728 pixels (T.4 table 3a).
const WHITE_MAKE_UP: [&str; 27] = [
    "11011",
    "10010",
    "010111",
    "0110111",
    "00110110",
    "00110111",
    "01100100",
    "01100101",
    "01101000",
    "01100111",
    "011001100",
    "011001101",
    "011010010",
    "011010011",
    "011010100",
    "011010101",
    "011010110",
    "011010111",
    "011011000",
    "011011001",
    "011011010",
    "011011011",
    "010011000",
    "010011001",
    "010011010",
    "011000",
    "010011011",
];

/// Make-up codes of black runs of 64, 128, … 1728 pixels (T.4 table 3a).
const BLACK_MAKE_UP: [&str; 27] = [
    "0000001111",
    "000011001000",
    "000011001001",
    "000001011011",
    "000000110011",
    "000000110100",
    "000000110101",
    "0000001101100",
    "0000001101101",
    "0000001001010",
    "0000001001011",
    "0000001001100",
    "0000001001101",
    "0000001110010",
    "0000001110011",
    "0000001110100",
    "0000001110101",
    "0000001110110",
    "0000001110111",
    "0000001010010",
    "0000001010011",
    "0000001010100",
    "0000001010101",
    "0000001011010",
    "0000001011011",
    "0000001100100",
    "0000001100101",
];

/// Make-up codes of runs of 1792, 1856, … 2560 pixels of either colour (T.4 table 3b).
const LONG_MAKE_UP: [&str; 13] = [
    "00000001000",
    "00000001100",
    "00000001101",
    "000000010010",
    "000000010011",
    "000000010100",
    "000000010101",
    "000000010110",
    "000000010111",
    "000000011100",
    "000000011101",
    "000000011110",
    "000000011111",
];

/// The longest run one make-up code stands for (T.4 table 3b).
pub(crate) const LONGEST_MAKE_UP: usize = 2560;

/// A code word, right-justified, and its length in bits.
#[derive(Clone, Copy)]
pub(crate) struct Word {
    pub bits: u32,
    pub len: u32,
}

const fn word(text: &str) -> Word {
    let text = text.as_bytes();
    let mut bits = 0;
    let mut i = 0;
    while i < text.len() {
        bits = bits << 1 | (text[i] - b'0') as u32;
        i += 1;
    }
    Word {
        bits,
        len: text.len() as u32,
    }
}

/// The make-up code of a run of `64 * n` pixels, `n` from 1 to 40.
const fn make_up(black: bool, n: usize) -> Word {
    word(if n > 27 {
        LONG_MAKE_UP[n - 28]
    } else if black {
        BLACK_MAKE_UP[n - 1]
    } else {
        WHITE_MAKE_UP[n - 1]
    })
}

const fn terminating(black: bool, n: usize) -> Word {
    word(if black {
        BLACK_TERMINATING[n]
    } else {
        WHITE_TERMINATING[n]
    })
}

/// Runs that need no repeated make-up code: 0 to 2560 + 63.
pub(crate) const RUNS: usize = LONGEST_MAKE_UP + 64;

const fn run_words(black: bool) -> [Word; RUNS] {
    let mut table = [Word { bits: 0, len: 0 }; RUNS];
    let mut run = 0;
    while run < RUNS {
        let end = terminating(black, run % 64);
        table[run] = if run < 64 {
            end
        } else {
            let start = make_up(black, run / 64);
            Word {
                bits: start.bits << end.len | end.bits,
                len: start.len + end.len,
            }
        };
        run += 1;
    }
    table
}

/// Make-up and terminating code in one word, at most 26 bits: `RUN_WORDS[colour][run]`.
pub(crate) static RUN_WORDS: [[Word; RUNS]; 2] = [run_words(false), run_words(true)];

/// The make-up code for 2560 pixels, which longer runs repeat.
pub(crate) const LONGEST: Word = word(LONG_MAKE_UP[12]);

/// Pass mode (T.4 table 4).
pub(crate) const PASS: Word = word("0001");
/// Horizontal mode (T.4 table 4); two runs follow.
pub(crate) const HORIZONTAL: Word = word("001");
/// Vertical modes, from VL(3) over V(0) to VR(3): `VERTICAL[a1 - b1 + 3]` (T.4 table 4).
pub(crate) const VERTICAL: [Word; 7] = [
    word("0000010"),
    word("000010"),
    word("010"),
    word("1"),
    word("011"),
    word("000011"),
    word("0000011"),
];

/// Bits that [`WHITE_RUNS`] is indexed by: the longest white code word.
pub(crate) const WHITE_BITS: u32 = 12;
/// Bits that [`BLACK_RUNS`] is indexed by: the longest black code word.
pub(crate) const BLACK_BITS: u32 = 13;

const fn run_lookup<const SIZE: usize>(black: bool, index_bits: u32) -> [u16; SIZE] {
    let mut table = [0; SIZE];
    let mut n = 0;
    // Codes 0 to 63 are terminating, 64 to 103 make-up codes.
    while n < 104 {
        let (code, run) = if n < 64 {
            (terminating(black, n), n)
        } else {
            (make_up(black, n - 63), (n - 63) * 64)
        };
        let spare = index_bits - code.len;
        let first = (code.bits as usize) << spare;
        let mut i = 0;
        while i < 1 << spare {
            table[first + i] = (run << 4) as u16 | code.len as u16;
            i += 1;
        }
        n += 1;
    }
    table
}

/// White codes by the next 12 bits: run × 16 + bits of the code word, 0 where there is none.
pub(crate) static WHITE_RUNS: [u16; 1 << WHITE_BITS] = run_lookup(false, WHITE_BITS);
/// Black codes by the next 13 bits: run × 16 + bits of the code word, 0 where there is none.
pub(crate) static BLACK_RUNS: [u16; 1 << BLACK_BITS] = run_lookup(true, BLACK_BITS);

/// What the next code of a two-dimensional row says (T.4 table 4).
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    Pass,
    Horizontal,
    /// a1 is this many pixels to the right of b1.
    Vertical(i8),
    /// The escape to uncompressed mode and its like, which no fax may use unasked.
    Extension,
    None,
}

const fn mode_lookup() -> [(Mode, u8); 128] {
    let mut table = [(Mode::None, 0); 128];
    // 0000001xxx
    table[1] = (Mode::Extension, 7);
    let mut n = 0;
    while n < 9 {
        let (code, mode) = match n {
            7 => (PASS, Mode::Pass),
            8 => (HORIZONTAL, Mode::Horizontal),
            _ => (VERTICAL[n], Mode::Vertical(n as i8 - 3)),
        };
        let spare = 7 - code.len;
        let first = (code.bits as usize) << spare;
        let mut i = 0;
        while i < 1 << spare {
            table[first + i] = (mode, code.len as u8);
            i += 1;
        }
        n += 1;
    }
    table
}

/// Modes by the next 7 bits, with the bits of the code word.
pub(crate) static MODES: [(Mode, u8); 128] = mode_lookup();

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_code_begins_another() {
        for black in [false, true] {
            let mut words: Vec<Word> = (0..64).map(|n| terminating(black, n)).collect();
            words.extend((1..=40).map(|n| make_up(black, n)));
            words.push(Word {
                bits: 0,
                len: EOL_LEN - 1,
            });
            for (i, a) in words.iter().enumerate() {
                for b in &words[i + 1..] {
                    let len = a.len.min(b.len);
                    assert_ne!(a.bits >> (a.len - len), b.bits >> (b.len - len));
                }
            }
        }
    }

    #[test]
    fn every_written_run_is_read_back() {
        for (black, table, bits) in [
            (0, &WHITE_RUNS[..], WHITE_BITS),
            (1, &BLACK_RUNS[..], BLACK_BITS),
        ] {
            for (run, code) in RUN_WORDS[black].iter().enumerate() {
                let mut left = u64::from(code.bits) << (64 - code.len);
                let mut read = 0;
                loop {
                    let entry = usize::from(table[(left >> (64 - bits)) as usize]);
                    assert_ne!(entry, 0);
                    read += entry >> 4;
                    left <<= entry & 15;
                    if entry >> 4 < 64 {
                        break;
                    }
                }
                assert_eq!((read, left), (run, 0));
            }
        }
    }
}

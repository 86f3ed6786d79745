//! Bit strings, most significant bit first.

/// Writes codes one after another.
pub(crate) struct BitWriter {
    out: Vec<u8>,
    /// Bits not yet in `out`, left-justified.
    pending: u64,
    /// How many of them: always below 32 between calls.
    held: u32,
}

impl BitWriter {
    pub fn new() -> Self {
        Self::with_capacity(1 << 16)
    }

    /// With room for so many octets.
    pub fn with_capacity(octets: usize) -> Self {
        Self {
            out: Vec::with_capacity(octets),
            pending: 0,
            held: 0,
        }
    }

    /// Appends the low `len` bits of `bits`; `len` is at most 32, the bits above are 0.
    #[inline]
    pub fn put(&mut self, bits: u32, len: u32) {
        self.pending |= u64::from(bits) << (64 - self.held - len);
        self.held += len;
        if self.held >= 32 {
            self.out
                .extend_from_slice(&((self.pending >> 32) as u32).to_be_bytes());
            self.pending <<= 32;
            self.held -= 32;
        }
    }

    /// Appends `n` zeros.
    pub fn zeros(&mut self, mut n: usize) {
        while n > 0 {
            let some = n.min(32);
            self.put(0, some as u32);
            n -= some;
        }
    }

    /// Fills up to a whole byte with zeros.
    pub fn align(&mut self) {
        self.zeros(self.len().next_multiple_of(8) - self.len());
    }

    /// Appends `n` ones.
    pub fn ones(&mut self, mut n: usize) {
        while n > 0 {
            let some = n.min(32);
            self.put(u32::MAX >> (32 - some), some as u32);
            n -= some;
        }
    }

    /// Bits written so far.
    pub fn len(&self) -> usize {
        self.out.len() * 8 + self.held as usize
    }

    /// The bytes, the last one filled up with zeros.
    pub fn finish(mut self) -> Vec<u8> {
        let left = self.held.div_ceil(8) as usize;
        self.out
            .extend_from_slice(&self.pending.to_be_bytes()[..left]);
        self.out
    }
}

/// What stands at the reader's place instead of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mark {
    /// An end of line, with any fill before it (T.4 §4.1.3); the reader stands behind it.
    Eol,
    /// Nothing but zeros, or nothing at all, up to the end.
    End,
    /// Something else; the reader hasn't moved.
    None,
}

/// Reads codes one after another; zeros follow the last byte.
#[derive(Clone)]
pub(crate) struct BitReader<'a> {
    data: &'a [u8],
    /// Bits read so far; may pass the end.
    pub pos: usize,
}

impl<'a> BitReader<'a> {
    pub fn new(data: &'a [u8]) -> Self {
        Self { data, pos: 0 }
    }

    /// The next bits, left-justified; at least 57 of the 64 are real.
    #[inline]
    pub fn window(&self) -> u64 {
        let byte = self.pos / 8;
        let word = match self.data.get(byte..).and_then(<[u8]>::first_chunk) {
            Some(eight) => u64::from_be_bytes(*eight),
            None => self.last_word(byte),
        };
        word << (self.pos % 8)
    }

    #[cold]
    fn last_word(&self, byte: usize) -> u64 {
        let mut eight = [0; 8];
        for (to, from) in eight.iter_mut().zip(self.data.iter().skip(byte)) {
            *to = *from;
        }
        u64::from_be_bytes(eight)
    }

    /// Whether more bits were read than there are.
    #[inline]
    pub fn overran(&self) -> bool {
        self.pos > self.data.len() * 8
    }

    /// Moves to the next whole byte.
    pub fn align(&mut self) {
        self.pos = self.pos.next_multiple_of(8);
    }

    /// Takes one bit.
    pub fn bit(&mut self) -> bool {
        let bit = self.window() >> 63 != 0;
        self.pos += 1;
        bit
    }

    /// Takes an end of line with its fill, if one is next.
    pub fn mark(&mut self) -> Mark {
        let end = self.data.len() * 8;
        if self.pos < end && self.window() >> 53 != 0 {
            return Mark::None;
        }
        let mut at = self.clone();
        while at.pos < end {
            let zeros = at.window().leading_zeros() as usize;
            if zeros < 57 {
                at.pos += zeros;
                self.pos = at.pos + 1;
                return Mark::Eol;
            }
            at.pos += 57;
        }
        Mark::End
    }

    /// Moves to where the next [`mark`](Self::mark) gives an end of line or the end.
    pub fn seek_mark(&mut self) {
        let end = self.data.len() * 8;
        while self.pos < end {
            let window = self.window();
            if window >> 53 == 0 {
                return;
            }
            let zeros = window.leading_zeros();
            self.pos += (zeros + (window << zeros).leading_ones()) as usize;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_across_words() {
        let mut w = BitWriter::new();
        w.put(0b101, 3);
        w.ones(40);
        w.zeros(33);
        w.put(1, 1);
        assert_eq!(w.len(), 77);
        assert_eq!(
            w.finish(),
            [0xBF, 0xFF, 0xFF, 0xFF, 0xFF, 0xE0, 0, 0, 0, 0b0000_1000]
        );
    }

    #[test]
    fn marks() {
        let mut r = BitReader::new(&[0x00, 0x18]);
        assert_eq!(r.mark(), Mark::Eol);
        assert_eq!(r.pos, 12);
        assert_eq!(r.mark(), Mark::None);
        assert!(r.bit());
        assert_eq!(r.mark(), Mark::End);

        let long_fill = [[0; 40].as_slice(), &[1]].concat();
        let mut r = BitReader::new(&long_fill);
        assert_eq!(r.mark(), Mark::Eol);
        assert_eq!(r.pos, 41 * 8);
        assert_eq!(r.mark(), Mark::End);
        assert_eq!(BitReader::new(&[0; 40]).mark(), Mark::End);
        assert_eq!(BitReader::new(&[]).mark(), Mark::End);
    }

    #[test]
    fn seeks_the_next_end_of_line() {
        let mut r = BitReader::new(&[0xA5, 0x5A, 0x30, 0x01, 0xFF]);
        r.seek_mark();
        assert_eq!(r.mark(), Mark::Eol);
        assert_eq!(r.pos, 32);
    }
}

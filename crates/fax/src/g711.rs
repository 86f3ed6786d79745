//! G.711: A-law and µ-law.

/// The two laws of G.711.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Law {
    /// A-law (PCMA, RTP payload type 8).
    A,
    /// µ-law (PCMU, RTP payload type 0).
    Mu,
}

impl Law {
    /// The octet of silence.
    #[must_use]
    pub fn silence(self) -> u8 {
        self.encode(0)
    }

    /// The octet for a sample.
    #[must_use]
    pub fn encode(self, sample: i16) -> u8 {
        match self {
            Self::A => a_encode(sample),
            Self::Mu => mu_encode(sample),
        }
    }

    /// The sample of an octet.
    #[must_use]
    pub fn decode(self, octet: u8) -> i16 {
        match self {
            Self::A => A_SAMPLES[usize::from(octet)],
            Self::Mu => MU_SAMPLES[usize::from(octet)],
        }
    }
}

const A_SAMPLES: [i16; 256] = {
    let mut table = [0; 256];
    let mut octet = 0;
    while octet < 256 {
        table[octet] = a_decode(octet as u8);
        octet += 1;
    }
    table
};

const MU_SAMPLES: [i16; 256] = {
    let mut table = [0; 256];
    let mut octet = 0;
    while octet < 256 {
        table[octet] = mu_decode(octet as u8);
        octet += 1;
    }
    table
};

/// G.711 Table 1: even bits inverted, then sign (1 is positive), segment, interval.
const fn a_decode(octet: u8) -> i16 {
    let bits = octet ^ 0x55;
    let segment = (bits >> 4) & 7;
    let step = ((bits & 0x0F) as i16) << 4;
    let size = if segment == 0 {
        step + 8
    } else {
        (step + 0x108) << (segment - 1)
    };
    if bits & 0x80 != 0 { size } else { -size }
}

/// G.711 Table 2: all bits inverted; the bias is 132 at 16 bits.
const fn mu_decode(octet: u8) -> i16 {
    let bits = !octet;
    let size = ((((bits & 0x0F) as i16) << 3) + 0x84) << ((bits >> 4) & 7);
    if bits & 0x80 != 0 {
        0x84 - size
    } else {
        size - 0x84
    }
}

fn a_encode(sample: i16) -> u8 {
    let (sign, size) = if sample >= 0 {
        (0x80, sample)
    } else {
        (0, -1 - sample)
    };
    // The highest set bit of 256 and up names the segment.
    let segment = (16 - (size >> 8).leading_zeros()) as u8;
    let interval = if segment <= 1 {
        size >> 4
    } else {
        size >> (segment + 3)
    };
    (sign | segment << 4 | (interval & 0x0F) as u8) ^ 0x55
}

fn mu_encode(sample: i16) -> u8 {
    let (sign, size) = if sample >= 0 {
        (0, i32::from(sample))
    } else {
        (0x80, -i32::from(sample))
    };
    let size = (size + 0x84).min(0x7FFF);
    let segment = (31 - (size >> 7).leading_zeros()) as u8;
    !(sign | segment << 4 | ((size >> (segment + 3)) & 0x0F) as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_values() {
        // G.711 Tables 1a, 2a at 16 bits.
        assert_eq!((Law::A.decode(0xD5), Law::A.decode(0x55)), (8, -8));
        assert_eq!((Law::A.decode(0xAA), Law::A.decode(0x2A)), (32256, -32256));
        assert_eq!((Law::Mu.decode(0xFF), Law::Mu.decode(0x7F)), (0, 0));
        assert_eq!(
            (Law::Mu.decode(0x80), Law::Mu.decode(0x00)),
            (32124, -32124)
        );
        assert_eq!((Law::A.silence(), Law::Mu.silence()), (0xD5, 0xFF));
    }

    #[test]
    fn every_octet_survives_the_round_trip() {
        for octet in 0..=255u8 {
            assert_eq!(Law::A.encode(Law::A.decode(octet)), octet);
            // µ-law has two zeros.
            let expected = if octet == 0x7F { 0xFF } else { octet };
            assert_eq!(Law::Mu.encode(Law::Mu.decode(octet)), expected);
        }
    }

    #[test]
    fn no_sample_is_off_by_more_than_half_an_interval() {
        for sample in i16::MIN..=i16::MAX {
            let size = i32::from(sample).abs();
            // Intervals are 1/16 of the power of two that begins their segment; µ-law clips at 32635.
            let interval =
                |from: i32, least: i32| (1 << (31 - from.max(1).leading_zeros()) >> 4).max(least);
            let off =
                |law: Law| (i32::from(law.decode(law.encode(sample))) - i32::from(sample)).abs();
            assert!(off(Law::A) <= interval(size, 16) / 2 + 1, "A {sample}");
            if size <= 32_635 {
                assert!(off(Law::Mu) <= interval(size + 132, 8) / 2, "µ {sample}");
            }
        }
    }
}

//! IFP packets of T.38 version 0: the frames and signals in what the gateway sends, and packets to answer with.

/// The indicators that a script sends or minds (T.38 §7.2.1).
pub const NO_SIGNAL: u8 = 0;
pub const CED: u8 = 2;
pub const V21_PREAMBLE: u8 = 3;

/// What a packet of the far side amounts to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heard {
    /// A V.21 frame with a good checksum, as T.30 has it: address, control, field.
    Frame(Vec<u8>),
    /// The frames of this turn are over.
    Turn,
    /// A modem's training: image or TCF follows.
    Training,
    /// Octets of TCF or image.
    Data(usize),
    /// TCF, or an image without error correction, is over.
    DataEnd,
}

/// Puts the pieces of V.21 frames together.
#[derive(Default)]
pub struct Deframer {
    frame: Vec<u8>,
}

impl Deframer {
    /// What a packet says. It comes from the gateway under test: a malformed one is a failure.
    pub fn packet(&mut self, ifp: &[u8]) -> Vec<Heard> {
        let mut heard = Vec::new();
        let kind = (ifp[0] >> 1) & 0x1F;
        if ifp[0] & 0x40 == 0 {
            // T.38 Table 3: V.27ter, V.29 and V.17 trainings are 4 and up.
            if kind > V21_PREAMBLE {
                heard.push(Heard::Training);
            }
            return heard;
        }
        if ifp[0] & 0x80 == 0 {
            return heard;
        }
        let v21 = kind == 0;
        let mut at = 2;
        for _ in 0..ifp[1] {
            let (field, present) = ((ifp[at] >> 4) & 7, ifp[at] & 0x80 != 0);
            at += 1;
            if present {
                let length = usize::from(u16::from_be_bytes([ifp[at], ifp[at + 1]])) + 1;
                at += 2;
                let octets = &ifp[at..at + length];
                at += length;
                match (v21, field) {
                    // T.38 §7.3.6: the first bit on the line is the most significant.
                    (true, 0) => self.frame.extend(octets.iter().map(|o| o.reverse_bits())),
                    _ => heard.push(Heard::Data(length)),
                }
            }
            // T.38 Table 5: 1 hdlc-sig-end, 2 fcs-OK, 3 fcs-BAD, 4 and 5 the same with sig-end, 7
            // t4-non-ecm-sig-end.
            let frame = matches!(field, 2..=5).then(|| std::mem::take(&mut self.frame));
            if let (true, 2 | 4, Some(frame)) = (v21, field, frame)
                && frame.len() > 2
            {
                heard.push(Heard::Frame(frame));
            }
            if v21 && matches!(field, 1 | 4 | 5) {
                heard.push(Heard::Turn);
            }
            if !v21 && field == 7 {
                heard.push(Heard::DataEnd);
            }
        }
        heard
    }
}

/// An indicator's packet.
pub fn indicator(kind: u8) -> Vec<u8> {
    vec![kind << 1]
}

/// The packets of a turn of V.21 frames, preamble to silence.
pub fn turn(frames: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let mut packets = vec![indicator(V21_PREAMBLE)];
    for (at, frame) in frames.iter().enumerate() {
        let mut data = vec![0xC0, 1, 0x80];
        data.extend(u16::try_from(frame.len() - 1).unwrap().to_be_bytes());
        data.extend(frame.iter().map(|octet| octet.reverse_bits()));
        packets.push(data);
        let last = at + 1 == frames.len();
        packets.push(vec![0xC0, 1, if last { 0x40 } else { 0x20 }]);
    }
    packets.push(indicator(NO_SIGNAL));
    packets
}

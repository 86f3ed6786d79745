//! UDPTL: IFP packets in datagrams, with earlier ones repeated (T.38 §9.1, coding per ASN.1 PER aligned,
//! Annex A).
//!
//! ```text
//! seq-number (2 octets) | primary IFP | error recovery: 00 secondary IFP packets, or 80 FEC
//! ```
//! We send redundancy: each datagram repeats the last packets. Redundancy is what recovers lost
//! packets on reception too; of a datagram with FEC only the primary packet is used.

use std::collections::VecDeque;

/// Packets that a datagram repeats unless told otherwise: with 3, random loss of 2 % does no harm.
pub const REDUNDANCY: usize = 3;

/// The most entries of recovery that a datagram may claim to have.
const MOST_ENTRIES: usize = 127;

/// Why a datagram can't be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UdptlError {
    /// It ends before its primary packet does.
    #[error("the datagram ends before its primary packet does")]
    Short,
    /// A length in fragments: no datagram is that long.
    #[error("the datagram claims a packet in fragments")]
    Fragmented,
}

/// A datagram, read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Datagram<'a> {
    /// The primary packet's sequence number.
    pub seq: u16,
    /// The primary IFP packet; may be empty.
    pub primary: &'a [u8],
    /// What follows it.
    pub recovery: Recovery<'a>,
}

/// Error recovery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Recovery<'a> {
    /// Earlier packets, latest first.
    Redundancy(Vec<&'a [u8]>),
    /// Parity over earlier packets: every `span`-th in each entry.
    Fec {
        /// Distance of the packets that an entry covers.
        span: u8,
        /// The parities.
        entries: Vec<&'a [u8]>,
    },
    /// Unreadable or missing; the primary packet stands all the same.
    Damaged,
}

/// Reads a datagram. What follows its recovery is ignored.
///
/// # Errors
/// When the primary packet isn't whole.
pub fn decode(datagram: &[u8]) -> Result<Datagram<'_>, UdptlError> {
    let mut cursor = Cursor { rest: datagram };
    let seq = u16::from_be_bytes([cursor.octet()?, cursor.octet()?]);
    let primary = cursor.open_type()?;
    let recovery = recovery(&mut cursor).unwrap_or(Recovery::Damaged);
    Ok(Datagram {
        seq,
        primary,
        recovery,
    })
}

fn recovery<'a>(cursor: &mut Cursor<'a>) -> Result<Recovery<'a>, UdptlError> {
    if cursor.octet()? & 0x80 == 0 {
        return Ok(Recovery::Redundancy(cursor.list()?));
    }
    // fec-npackets INTEGER: one octet of length, then the value, which can't pass 16 (T.38 §9.1.4.2).
    if cursor.octet()? != 1 {
        return Ok(Recovery::Damaged);
    }
    let span = cursor.octet()?;
    Ok(Recovery::Fec {
        span,
        entries: cursor.list()?,
    })
}

struct Cursor<'a> {
    rest: &'a [u8],
}

impl<'a> Cursor<'a> {
    fn octet(&mut self) -> Result<u8, UdptlError> {
        let (&first, rest) = self.rest.split_first().ok_or(UdptlError::Short)?;
        self.rest = rest;
        Ok(first)
    }

    /// A length determinant (X.691 §11.9): one octet below 128, two below 16384, else in fragments.
    fn length(&mut self) -> Result<usize, UdptlError> {
        let first = self.octet()?;
        match first >> 6 {
            0 | 1 => Ok(usize::from(first)),
            2 => Ok(usize::from(first & 0x3F) << 8 | usize::from(self.octet()?)),
            _ => Err(UdptlError::Fragmented),
        }
    }

    fn open_type(&mut self) -> Result<&'a [u8], UdptlError> {
        let length = self.length()?;
        let (packet, rest) = self
            .rest
            .split_at_checked(length)
            .ok_or(UdptlError::Short)?;
        self.rest = rest;
        Ok(packet)
    }

    fn list(&mut self) -> Result<Vec<&'a [u8]>, UdptlError> {
        let count = self.length()?.min(MOST_ENTRIES);
        // Entries before a damaged one are as good as any.
        Ok((0..count).map_while(|_| self.open_type().ok()).collect())
    }
}

/// Makes datagrams.
#[derive(Debug)]
pub struct Sender {
    /// Earlier packets, latest first, with their sequence numbers.
    earlier: VecDeque<(u16, Vec<u8>)>,
    redundancy: usize,
    max_datagram: usize,
}

impl Sender {
    /// Repeats up to `redundancy` packets in datagrams of at most `max_datagram` octets (the far end's
    /// `T38FaxMaxDatagram`, T.38 Annex D).
    #[must_use]
    pub fn new(redundancy: usize, max_datagram: usize) -> Self {
        Self {
            earlier: VecDeque::new(),
            redundancy: redundancy.min(MOST_ENTRIES),
            max_datagram,
        }
    }

    /// The datagram of packet `seq`. Repeated packets that don't fit are left out, oldest first; a primary
    /// packet that doesn't fit goes out all the same, since without it there is no fax.
    ///
    /// Packets come in order. To send one more than once, send its datagram again.
    pub fn datagram(&mut self, seq: u16, ifp: &[u8]) -> Vec<u8> {
        let mut datagram = seq.to_be_bytes().to_vec();
        put_open_type(&mut datagram, ifp);
        // The recovery's tag and its count follow.
        let mut room = self.max_datagram.saturating_sub(datagram.len() + 2);
        let mut repeated = 0;
        for (at, (number, packet)) in self.earlier.iter().enumerate() {
            let size = packet.len() + if packet.len() < 0x80 { 1 } else { 2 };
            // Secondary packets have no numbers of their own: they must be the ones just before.
            let follows = seq.wrapping_sub(u16::try_from(at + 1).unwrap_or(u16::MAX)) == *number;
            if at >= self.redundancy || size > room || !follows {
                break;
            }
            room -= size;
            repeated += 1;
        }
        datagram.extend([0, u8::try_from(repeated).unwrap_or(0)]);
        for (_, packet) in self.earlier.iter().take(repeated) {
            put_open_type(&mut datagram, packet);
        }
        self.earlier.push_front((seq, ifp.to_vec()));
        self.earlier.truncate(self.redundancy);
        datagram
    }
}

fn put_open_type(datagram: &mut Vec<u8>, packet: &[u8]) {
    // Engines make packets of some hundred octets; two octets of length reach 16383.
    debug_assert!(packet.len() < 0x4000);
    let length = u16::try_from(packet.len()).unwrap_or(u16::MAX);
    if length < 0x80 {
        datagram.push(length as u8);
    } else {
        datagram.extend((0x8000 | length).to_be_bytes());
    }
    datagram.extend(packet);
}

/// Takes packets out of datagrams, in order and once each, lost ones recovered from later datagrams.
#[derive(Debug, Default)]
pub struct Receiver {
    /// The sequence number that comes next.
    next: Option<u16>,
    recovered: u64,
    lost: u64,
}

impl Receiver {
    /// A receiver that has seen nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The packets that a datagram brings and no earlier one did, in order, with their sequence numbers.
    ///
    /// # Errors
    /// As [`decode`].
    pub fn packets<'a>(&mut self, datagram: &'a [u8]) -> Result<Vec<(u16, &'a [u8])>, UdptlError> {
        let Datagram {
            seq,
            primary,
            recovery,
        } = decode(datagram)?;
        let earlier = match recovery {
            Recovery::Redundancy(earlier) => earlier,
            Recovery::Fec { .. } | Recovery::Damaged => Vec::new(),
        };
        let missing = match self.next {
            // Numbers start at 0 (T.38 §9.1.1): of a stream that begins later, nothing before is missing.
            None => usize::from(seq).min(earlier.len()),
            // In the near past: late, or a copy.
            Some(next) if (seq.wrapping_sub(next) as i16) < 0 => return Ok(Vec::new()),
            Some(next) => usize::from(seq.wrapping_sub(next)),
        };
        let found = missing.min(earlier.len());
        self.recovered += found as u64;
        self.lost += (missing - found) as u64;
        self.next = Some(seq.wrapping_add(1));
        let mut packets = Vec::with_capacity(found + 1);
        for back in (1..=found).rev() {
            packets.push((
                seq.wrapping_sub(u16::try_from(back).unwrap_or(0)),
                earlier[back - 1],
            ));
        }
        packets.push((seq, primary));
        packets.retain(|(_, packet)| !packet.is_empty());
        Ok(packets)
    }

    /// Packets recovered from redundancy.
    #[must_use]
    pub fn recovered(&self) -> u64 {
        self.recovered
    }

    /// Packets lost for good.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.lost
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_datagram_is_coded_as_the_recommendation_says() {
        let mut sender = Sender::new(1, 400);
        assert_eq!(sender.datagram(0, &[0x02]), [0, 0, 1, 2, 0, 0]);
        assert_eq!(sender.datagram(1, &[0x06]), [0, 1, 1, 6, 0, 1, 1, 2]);
        let long = vec![7; 200];
        let datagram = sender.datagram(2, &long);
        assert_eq!(datagram[..4], [0, 2, 0x80, 200]);
        assert_eq!(datagram[204..], [0, 1, 1, 6]);
    }

    #[test]
    fn a_datagram_fits_what_the_far_end_takes() {
        let mut sender = Sender::new(3, 40);
        for seq in 0..10 {
            let datagram = sender.datagram(seq, &[9; 15]);
            assert!(datagram.len() <= 40, "{}", datagram.len());
            let Recovery::Redundancy(earlier) = decode(&datagram).unwrap().recovery else {
                panic!()
            };
            assert_eq!(earlier.len(), usize::from(seq > 0));
        }
        assert_eq!(
            sender.datagram(10, &[9; 60]).len(),
            65,
            "a primary goes out in any case"
        );
    }

    #[test]
    fn a_gap_in_the_numbers_is_not_filled_with_the_wrong_packets() {
        let mut sender = Sender::new(3, 400);
        sender.datagram(0, &[1]);
        let datagram = sender.datagram(5, &[2]);
        assert_eq!(
            decode(&datagram).unwrap().recovery,
            Recovery::Redundancy(vec![])
        );
    }

    #[test]
    fn fec_gives_its_primary() {
        let datagram = [0, 9, 1, 6, 0x80, 1, 3, 2, 2, 5, 5, 1, 5];
        let read = decode(&datagram).unwrap();
        assert_eq!(
            read.recovery,
            Recovery::Fec {
                span: 3,
                entries: vec![&[5, 5], &[5]]
            }
        );
        assert_eq!(
            Receiver::new().packets(&datagram).unwrap(),
            [(9, &[6u8][..])]
        );
    }

    #[test]
    fn late_and_repeated_datagrams_bring_nothing() {
        let mut sender = Sender::new(2, 400);
        let sent: Vec<_> = (0..4)
            .map(|seq| sender.datagram(seq, &[seq as u8]))
            .collect();
        let mut receiver = Receiver::new();
        assert_eq!(receiver.packets(&sent[0]).unwrap().len(), 1);
        assert_eq!(receiver.packets(&sent[3]).unwrap().len(), 3);
        assert!(receiver.packets(&sent[1]).unwrap().is_empty());
        assert!(receiver.packets(&sent[3]).unwrap().is_empty());
        assert_eq!((receiver.recovered(), receiver.lost()), (2, 0));
    }

    #[test]
    fn a_damaged_recovery_leaves_the_primary() {
        for datagram in [
            &[0, 0, 1, 2][..],
            &[0, 0, 1, 2, 0, 3, 9],
            &[0, 0, 1, 2, 0x80, 2, 0, 3],
        ] {
            assert_eq!(decode(datagram).unwrap().primary, [2]);
        }
        assert_eq!(decode(&[0, 0, 5, 2]), Err(UdptlError::Short));
        assert_eq!(decode(&[0, 0, 0xC1, 2]), Err(UdptlError::Fragmented));
    }

    proptest! {
        #[test]
        fn nothing_read_from_outside_panics(datagram in proptest::collection::vec(any::<u8>(), 0..400)) {
            let mut receiver = Receiver::new();
            if let Ok(packets) = receiver.packets(&datagram) {
                prop_assert!(packets.iter().all(|(_, packet)| packet.len() < datagram.len()));
            }
            let _ = receiver.packets(&datagram);
        }

        #[test]
        fn up_to_three_datagrams_lost_in_a_row_cost_nothing(
            packets in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 1..90), 1..60),
            losses in proptest::collection::vec(any::<bool>(), 60),
            start in any::<u16>(),
        ) {
            let mut sender = Sender::new(REDUNDANCY, 1400);
            let mut receiver = Receiver::new();
            let mut got: Vec<(u16, Vec<u8>)> = Vec::new();
            let mut run = 0;
            for (i, packet) in packets.iter().enumerate() {
                let datagram = sender.datagram(start.wrapping_add(i as u16), packet);
                // The first and the last arrive: before and after them nothing can be known.
                let lose = losses[i] && run < 3 && i != 0 && i + 1 != packets.len();
                run = if lose { run + 1 } else { 0 };
                if !lose {
                    let new = receiver.packets(&datagram).unwrap();
                    got.extend(new.into_iter().map(|(seq, ifp)| (seq, ifp.to_vec())));
                }
            }
            let sent: Vec<_> = packets.iter().enumerate()
                .map(|(i, packet)| (start.wrapping_add(i as u16), packet.clone())).collect();
            prop_assert_eq!(got, sent);
            prop_assert_eq!(receiver.lost(), 0);
        }
    }
}

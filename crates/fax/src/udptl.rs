//! UDPTL: IFP packets in datagrams, with earlier ones repeated (T.38 §9.1, coding per ASN.1 PER aligned,
//! Annex A).
//!
//! ```text
//! seq-number (2 octets) | primary IFP | error recovery: 00 secondary IFP packets, or 80 FEC
//! ```
//! We send redundancy: each datagram repeats the last packets. On reception both recover what was lost:
//! redundancy, and parity (FEC) over packets that came before.

use std::{borrow::Cow, collections::VecDeque};

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
    /// Parity over earlier packets (T.38 §9.1.4.2): entry `m` of `n` is the exclusive or of the packets
    /// `k·n − m` before the primary, for `k` from 1 to `span`. One packet of these can be computed from
    /// the others; shorter ones count as filled up with zeros.
    Fec {
        /// How many packets an entry covers.
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

/// Ticks of silence after which the latest datagram goes out again. Nothing follows the end of a V.21
/// message that would repeat it, and a burst takes all copies that are sent at once; without its end the
/// far end believes that the carrier stays, and the call dies. Packets of a stream are 1 or 2 ticks apart.
const AGAIN: [u32; 6] = [3, 5, 8, 12, 18, 27];

/// Makes datagrams.
#[derive(Debug)]
pub struct Sender {
    /// The latest datagram.
    latest: Vec<u8>,
    /// Ticks since.
    silent: u32,
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
            latest: Vec::new(),
            silent: 0,
            earlier: VecDeque::new(),
            redundancy: redundancy.min(MOST_ENTRIES),
            max_datagram,
        }
    }

    /// From now on datagrams have at most so many octets; numbers and repetitions go on.
    pub fn set_max_datagram(&mut self, octets: usize) {
        self.max_datagram = octets;
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
        self.latest.clone_from(&datagram);
        self.silent = 0;
        datagram
    }

    /// A tick passed after its packets were sent, if any: the latest datagram, when it is time to send
    /// it again. Copies do no harm, as they bring no new number.
    pub fn tick(&mut self) -> Option<&[u8]> {
        self.silent = self.silent.saturating_add(1);
        let again = AGAIN.contains(&self.silent) && !self.latest.is_empty();
        again.then_some(&self.latest)
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

/// A packet with its sequence number; its octets are the datagram's, or computed from parity.
pub type Packet<'a> = (u16, Cow<'a, [u8]>);

/// Packets that parity may reach back to: `span` times the number of entries.
const MOST_REMEMBERED: usize = 64;

/// Takes packets out of datagrams, in order and once each, lost ones recovered from later datagrams.
#[derive(Debug, Default)]
pub struct Receiver {
    /// The sequence number that comes next.
    next: Option<u16>,
    /// The latest packets, which parity needs; empty until a datagram has some.
    latest: VecDeque<(u16, Vec<u8>)>,
    remembers: bool,
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
    pub fn packets<'a>(&mut self, datagram: &'a [u8]) -> Result<Vec<Packet<'a>>, UdptlError> {
        let Datagram {
            seq,
            primary,
            recovery,
        } = decode(datagram)?;
        let missing = match self.next {
            // Numbers start at 0 (T.38 §9.1.1): of a stream that begins later, nothing before is missing.
            None => match &recovery {
                Recovery::Redundancy(earlier) => usize::from(seq).min(earlier.len()),
                Recovery::Fec { .. } | Recovery::Damaged => 0,
            },
            // In the near past: late, or a copy.
            Some(next) if (seq.wrapping_sub(next) as i16) < 0 => return Ok(Vec::new()),
            Some(next) => usize::from(seq.wrapping_sub(next)),
        };
        let mut packets: Vec<Packet<'a>> = match recovery {
            Recovery::Redundancy(earlier) => (1..=missing.min(earlier.len()))
                .rev()
                .map(|back| (before(seq, back), Cow::Borrowed(earlier[back - 1])))
                .collect(),
            Recovery::Fec { span, entries } => {
                self.remembers = true;
                self.by_parity(seq, missing, usize::from(span), &entries)
            }
            Recovery::Damaged => Vec::new(),
        };
        self.recovered += packets.len() as u64;
        self.lost += (missing - packets.len()) as u64;
        self.next = Some(seq.wrapping_add(1));
        packets.push((seq, Cow::Borrowed(primary)));
        if self.remembers {
            self.remember(&packets);
        }
        packets.retain(|(_, packet)| !packet.is_empty());
        Ok(packets)
    }

    /// Of the `missing` packets before `seq`, those that parity gives, oldest first.
    fn by_parity<'a>(
        &self,
        seq: u16,
        missing: usize,
        span: usize,
        entries: &[&[u8]],
    ) -> Vec<Packet<'a>> {
        let reach = span.saturating_mul(entries.len());
        if reach > MOST_REMEMBERED {
            return Vec::new();
        }
        (1..=missing.min(reach))
            .rev()
            .filter_map(|back| {
                let entry = (entries.len() - back % entries.len()) % entries.len();
                let mut packet = entries[entry].to_vec();
                for other in (1..=span).map(|k| k * entries.len() - entry) {
                    if other == back {
                        continue;
                    }
                    // Before the stream began nothing was sent, and nothing was added to the parity.
                    let at = before(seq, other);
                    let known = self.latest.iter().find(|(number, _)| *number == at);
                    match known {
                        Some((_, known)) => add(&mut packet, known),
                        None if usize::from(seq) < other => {}
                        None => return None,
                    }
                }
                Some((before(seq, back), Cow::Owned(packet)))
            })
            .collect()
    }

    fn remember(&mut self, packets: &[Packet<'_>]) {
        for (seq, packet) in packets {
            self.latest.push_front((*seq, packet.to_vec()));
        }
        self.latest.truncate(MOST_REMEMBERED);
    }

    /// Packets recovered from redundancy or parity.
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

fn before(seq: u16, back: usize) -> u16 {
    seq.wrapping_sub(u16::try_from(back).unwrap_or(u16::MAX))
}

/// Exclusive or, as far as both go.
fn add(parity: &mut [u8], packet: &[u8]) {
    for (octet, other) in parity.iter_mut().zip(packet) {
        *octet ^= other;
    }
}

#[cfg(test)]
mod tests;

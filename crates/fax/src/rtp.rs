//! RTP for a fax over G.711: packets of one payload type, and a fixed jitter buffer (RFC 3550, RFC 3551).

use crate::{TICK_SAMPLES, g711::Law};

/// An RTP packet, read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packet<'a> {
    /// 0 PCMU, 8 PCMA (RFC 3551 §6).
    pub payload_type: u8,
    /// Sequence number.
    pub seq: u16,
    /// Time of the first sample, in samples.
    pub timestamp: u32,
    /// The stream.
    pub ssrc: u32,
    /// The samples' octets.
    pub payload: &'a [u8],
}

/// Reads a packet; `None` when it isn't RTP version 2 (RFC 3550 §5.1).
#[must_use]
pub fn read(datagram: &[u8]) -> Option<Packet<'_>> {
    let head: &[u8; 12] = datagram.first_chunk()?;
    if head[0] >> 6 != 2 {
        return None;
    }
    let mut at = 12 + 4 * usize::from(head[0] & 0x0F);
    if head[0] & 0x10 != 0 {
        // Header extension (§5.3.1): its length is in 32-bit words.
        let words = datagram.get(at + 2..at + 4)?;
        at += 4 + 4 * usize::from(u16::from_be_bytes([words[0], words[1]]));
    }
    let mut payload = datagram.get(at..)?;
    if head[0] & 0x20 != 0 {
        // Padding: its last octet counts it, itself included.
        let padding = usize::from(*payload.last()?);
        if padding == 0 {
            return None;
        }
        payload = payload.get(..payload.len().checked_sub(padding)?)?;
    }
    Some(Packet {
        payload_type: head[1] & 0x7F,
        seq: u16::from_be_bytes([head[2], head[3]]),
        timestamp: u32::from_be_bytes([head[4], head[5], head[6], head[7]]),
        ssrc: u32::from_be_bytes([head[8], head[9], head[10], head[11]]),
        payload,
    })
}

impl Law {
    /// The law of a static payload type (RFC 3551 §6).
    fn of_static(payload_type: u8) -> Option<Self> {
        [Self::A, Self::Mu]
            .into_iter()
            .find(|law| law.payload_type() == payload_type)
    }

    /// The static payload type (RFC 3551 §6).
    #[must_use]
    pub fn payload_type(self) -> u8 {
        match self {
            Self::A => 8,
            Self::Mu => 0,
        }
    }
}

/// Makes packets of 20 ms.
#[derive(Debug)]
pub struct Sender {
    law: Law,
    payload_type: u8,
    seq: u16,
    timestamp: u32,
    ssrc: u32,
    first: bool,
}

impl Sender {
    /// Starts a stream; `seq`, `timestamp` and `ssrc` should be random (RFC 3550 §5.1).
    #[must_use]
    pub fn new(law: Law, seq: u16, timestamp: u32, ssrc: u32) -> Self {
        Self {
            law,
            payload_type: law.payload_type(),
            seq,
            timestamp,
            ssrc,
            first: true,
        }
    }

    /// From now on this law, under this payload type; the stream goes on.
    pub fn set_payload(&mut self, law: Law, payload_type: u8) {
        (self.law, self.payload_type) = (law, payload_type & 0x7F);
    }

    /// The packet of a tick.
    pub fn packet(&mut self, audio: &[i16; TICK_SAMPLES]) -> Vec<u8> {
        let mut packet = Vec::with_capacity(12 + TICK_SAMPLES);
        // The marker begins a talkspurt (RFC 3551 §4.1); ours is one for the whole call.
        let marker = if std::mem::take(&mut self.first) {
            0x80
        } else {
            0
        };
        packet.extend([0x80, marker | self.payload_type]);
        packet.extend(self.seq.to_be_bytes());
        packet.extend(self.timestamp.to_be_bytes());
        packet.extend(self.ssrc.to_be_bytes());
        packet.extend(audio.iter().map(|&sample| self.law.encode(sample)));
        self.seq = self.seq.wrapping_add(1);
        self.timestamp = self.timestamp.wrapping_add(TICK_SAMPLES as u32);
        packet
    }

    /// A tick passes in which nothing is sent.
    pub fn skip(&mut self) {
        self.timestamp = self.timestamp.wrapping_add(TICK_SAMPLES as u32);
    }
}

/// Samples that the buffer has room for: two seconds. Divides 2^32, so that a wrap of the time moves nothing.
const ROOM: usize = 1 << 14;

/// Packets in a row that miss the window before it moves to them.
const STRAYS: u32 = 5;

/// A jitter buffer of fixed delay: modems bear a constant delay and nothing else, so it never stretches or
/// shrinks the signal except when it has lost the stream.
pub struct JitterBuffer {
    law: Law,
    payload_type: u8,
    delay: usize,
    samples: Box<[Option<i16>]>,
    /// The time that is played next, once the stream has begun.
    play: Option<u32>,
    ssrc: Option<u32>,
    strays: u32,
    /// Ticks until playing starts.
    wait: usize,
}

impl JitterBuffer {
    /// A buffer that delays by `delay` ticks.
    #[must_use]
    pub fn new(law: Law, delay: usize) -> Self {
        Self {
            law,
            payload_type: law.payload_type(),
            delay: delay.min(ROOM / TICK_SAMPLES / 2),
            samples: vec![None; ROOM].into_boxed_slice(),
            play: None,
            ssrc: None,
            strays: 0,
            wait: 0,
        }
    }

    /// From now on this payload type stands for this law.
    pub fn set_payload(&mut self, law: Law, payload_type: u8) {
        (self.law, self.payload_type) = (law, payload_type & 0x7F);
    }

    /// Puts a packet in; payload types other than the one agreed on and the static ones of G.711, which a peer
    /// that was offered both laws may change between, are left out. Any duration will do.
    pub fn put(&mut self, packet: &Packet<'_>) {
        let law = if packet.payload_type == self.payload_type {
            Some(self.law)
        } else {
            Law::of_static(packet.payload_type)
        };
        let Some(law) = law.filter(|_| packet.payload.len() <= ROOM / 2) else {
            return;
        };
        let play = match self.play {
            Some(play) if self.ssrc == Some(packet.ssrc) => play,
            _ => self.begin(packet),
        };
        let ahead = packet.timestamp.wrapping_sub(play);
        let fits = usize::try_from(ahead).is_ok_and(|ahead| ahead + packet.payload.len() <= ROOM);
        let play = if fits {
            self.strays = 0;
            play
        } else {
            // Late, or far ahead: after some of these it's the clock that jumped, not the packet.
            self.strays += 1;
            if self.strays < STRAYS {
                return;
            }
            self.begin(packet)
        };
        let ahead = packet.timestamp.wrapping_sub(play);
        for (i, &octet) in (0u32..).zip(packet.payload) {
            let at = slot(play.wrapping_add(ahead).wrapping_add(i));
            self.samples[at] = Some(law.decode(octet));
        }
    }

    fn begin(&mut self, packet: &Packet<'_>) -> u32 {
        self.samples.fill(None);
        self.strays = 0;
        self.ssrc = Some(packet.ssrc);
        self.play = Some(packet.timestamp);
        self.wait = self.delay;
        packet.timestamp
    }

    /// The audio of the next tick; `None` where any of it is missing, for the modem to fill in.
    pub fn take(&mut self) -> Option<[i16; TICK_SAMPLES]> {
        let play = self.play?;
        if self.wait > 0 {
            self.wait -= 1;
            return None;
        }
        let mut audio = [0; TICK_SAMPLES];
        let mut whole = true;
        for (i, sample) in (0u32..).zip(&mut audio) {
            match self.samples[slot(play.wrapping_add(i))].take() {
                Some(value) => *sample = value,
                None => whole = false,
            }
        }
        self.play = Some(play.wrapping_add(TICK_SAMPLES as u32));
        whole.then_some(audio)
    }
}

/// Where the sample of a time is kept.
fn slot(time: u32) -> usize {
    usize::try_from(time).unwrap_or(0) % ROOM
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn audio(n: i16) -> [i16; TICK_SAMPLES] {
        [Law::A.decode(Law::A.encode(n * 100)); TICK_SAMPLES]
    }

    #[test]
    fn packets_are_read_back() {
        let mut sender = Sender::new(Law::Mu, 65_535, 7, 0xABCD);
        let one = sender.packet(&[0; TICK_SAMPLES]);
        sender.skip();
        let two = sender.packet(&[0; TICK_SAMPLES]);
        let (one, two) = (read(&one).unwrap(), read(&two).unwrap());
        assert_eq!(
            (one.payload_type, one.seq, one.timestamp, one.ssrc),
            (0, 65_535, 7, 0xABCD)
        );
        assert_eq!((two.seq, two.timestamp), (0, 327));
        assert_eq!(one.payload, [0xFF; TICK_SAMPLES]);
    }

    #[test]
    fn sources_extension_and_padding_are_skipped() {
        let mut datagram = vec![0x80 | 0x20 | 0x10 | 1, 8, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3];
        datagram.extend([9; 4]);
        datagram.extend([0xBE, 0xDE, 0, 1, 7, 7, 7, 7]);
        datagram.extend([1, 2, 3, 0, 2]);
        assert_eq!(read(&datagram).unwrap().payload, [1, 2, 3]);
        assert_eq!(read(&datagram[..13]), None);
        assert_eq!(read(&[0; 20]), None, "version 0");
    }

    #[test]
    fn reordered_packets_are_played_in_order_and_lost_ones_are_holes() {
        let mut sender = Sender::new(Law::A, 0, u32::MAX - 400, 1);
        let sent: Vec<_> = (0..10).map(|n| sender.packet(&audio(n))).collect();
        let mut buffer = JitterBuffer::new(Law::A, 2);
        assert_eq!(buffer.take(), None);
        for n in [0, 2, 1, 3, 5, 6, 8, 7, 9] {
            buffer.put(&read(&sent[n]).unwrap());
        }
        assert_eq!((buffer.take(), buffer.take()), (None, None), "the delay");
        let played: Vec<_> = (0..10).map(|_| buffer.take()).collect();
        for (n, tick) in (0..).zip(&played) {
            // Number 4 was lost; the time wraps within number 2.
            assert_eq!(*tick, (n != 4).then(|| audio(n)), "{n}");
        }
    }

    #[test]
    fn packets_of_other_durations_are_played_too() {
        let mut buffer = JitterBuffer::new(Law::A, 1);
        for (i, at) in (0..8u16).map(|i| (i, u32::from(i) * 80)) {
            let payload = [Law::A.encode(500); 80];
            buffer.put(&Packet {
                payload_type: 8,
                seq: i,
                timestamp: at,
                ssrc: 1,
                payload: &payload,
            });
        }
        assert_eq!(buffer.take(), None);
        assert!(
            (0..4)
                .all(|_| buffer.take() == Some([Law::A.decode(Law::A.encode(500)); TICK_SAMPLES]))
        );
        assert_eq!(buffer.take(), None);
    }

    #[test]
    fn both_laws_are_heard_and_a_payload_type_of_the_peers_own() {
        let mut sender = Sender::new(Law::A, 0, 0, 1);
        sender.set_payload(Law::Mu, 97);
        let own = sender.packet(&audio(3));
        assert_eq!(read(&own).unwrap().payload_type, 97);
        let mut buffer = JitterBuffer::new(Law::A, 0);
        buffer.put(&read(&own).unwrap());
        assert_eq!(buffer.take(), None, "nobody said what 97 is");
        buffer.set_payload(Law::Mu, 97);
        buffer.put(&read(&own).unwrap());
        let heard = |law: Law| audio(3).map(|sample| law.decode(law.encode(sample)));
        assert_eq!(buffer.take(), Some(heard(Law::Mu)));
        // A peer that was offered both laws changes over without a word.
        sender.set_payload(Law::A, 8);
        buffer.put(&read(&sender.packet(&audio(3))).unwrap());
        assert_eq!(buffer.take(), Some(heard(Law::A)));
    }

    #[test]
    fn a_stream_that_jumps_is_followed() {
        let mut buffer = JitterBuffer::new(Law::A, 0);
        let payload = [0xD5; TICK_SAMPLES];
        let packet = |timestamp| Packet {
            payload_type: 8,
            seq: 0,
            timestamp,
            ssrc: 1,
            payload: &payload,
        };
        buffer.put(&packet(0));
        assert!(buffer.take().is_some());
        for n in 0..5 {
            buffer.put(&packet(1_000_000 + n * 160));
            assert_eq!(buffer.take().is_some(), n == 4);
        }
        buffer.put(&packet(1_000_000 + 5 * 160));
        assert!(buffer.take().is_some());
    }

    proptest! {
        #[test]
        fn nothing_read_from_outside_panics(datagram in proptest::collection::vec(any::<u8>(), 0..300)) {
            let mut buffer = JitterBuffer::new(Law::Mu, 3);
            if let Some(packet) = read(&datagram) {
                prop_assert!(packet.payload.len() <= datagram.len() - 12);
                buffer.put(&packet);
                buffer.put(&Packet { payload_type: 0, ..packet });
            }
            for _ in 0..5 {
                let _ = buffer.take();
            }
        }
    }
}

//! A capture file of datagrams, as if they had been seen on an Ethernet.

use super::Way;

/// Ticks are 20 ms.
const MICROSECONDS_PER_TICK: u64 = 20_000;

/// A capture file (pcap, version 2.4) of what arrived on both ways between ports `a` and `b`.
///
/// Of a datagram that was sent several times it has one: tshark's reassembly of image data takes copies of
/// its end for errors.
pub fn capture(there: &Way, back: &Way, (a, b): (u16, u16)) -> Vec<u8> {
    let mut datagrams: Vec<(u64, u16, u16, &[u8])> = Vec::new();
    for (way, from, to) in [(there, a, b), (back, b, a)] {
        let mut last: &[u8] = &[];
        let arrived = way.arrived.iter();
        let arrived = arrived.filter(|(_, data)| std::mem::replace(&mut last, data) != data);
        datagrams.extend(arrived.map(|(tick, data)| (*tick, from, to, data.as_slice())));
    }
    datagrams.sort_by_key(|&(tick, ..)| tick);

    let mut file = 0xA1B2_C3D4_u32.to_le_bytes().to_vec();
    file.extend(2u16.to_le_bytes());
    file.extend(4u16.to_le_bytes());
    // Zone, accuracy, longest packet, Ethernet.
    for word in [0u32, 0, 65_535, 1] {
        file.extend(word.to_le_bytes());
    }
    for (at, (tick, from, to, data)) in datagrams.into_iter().enumerate() {
        let frame = ethernet(from, to, data);
        let microseconds = tick * MICROSECONDS_PER_TICK + at as u64 % 1000;
        let length = u32::try_from(frame.len()).expect("a datagram is short");
        for word in [
            u32::try_from(microseconds / 1_000_000).expect("a call is short"),
            (microseconds % 1_000_000) as u32,
            length,
            length,
        ] {
            file.extend(word.to_le_bytes());
        }
        file.extend(frame);
    }
    file
}

fn ethernet(from: u16, to: u16, data: &[u8]) -> Vec<u8> {
    let udp = 8 + u16::try_from(data.len()).expect("a datagram is short");
    let mut ip = vec![0x45, 0];
    ip.extend((20 + udp).to_be_bytes());
    // Not a fragment, 64 hops, UDP, no checksum yet; 127.0.0.1 to 127.0.0.1.
    ip.extend([0, 0, 0x40, 0, 64, 17, 0, 0]);
    ip.extend([127, 0, 0, 1, 127, 0, 0, 1]);
    let sum: u32 = ip
        .chunks(2)
        .map(|word| u32::from(u16::from_be_bytes([word[0], word[1]])))
        .sum();
    // Two carries at most (RFC 1071).
    let sum = (sum & 0xFFFF) + (sum >> 16);
    let checksum = !((sum & 0xFFFF) as u16 + (sum >> 16) as u16);
    ip[10..12].copy_from_slice(&checksum.to_be_bytes());

    let mut frame = vec![0; 12];
    frame.extend([8, 0]);
    frame.extend(ip);
    frame.extend(from.to_be_bytes());
    frame.extend(to.to_be_bytes());
    frame.extend(udp.to_be_bytes());
    // No checksum (RFC 768 allows that).
    frame.extend([0, 0]);
    frame.extend(data);
    frame
}

//! DCN over T.38, packet by packet, for a call that ends where page data was to go out next (T.30 §5.3.6.1.8).
//!
//! The engine could send it itself, but its T.38 front end has the image's modem prepared by then, and without
//! error correction it loses the frame in it.

use crate::frames::fcf;

/// The frame: we have heard a DIS, so X is 1 (T.30 §5.3.6.1).
pub const FRAME: [u8; 3] = [0xFF, 0x13, fcf::DCN | 1];

/// When the last packet has gone, ticks.
pub const LAST_TICK: u32 = 62;

/// What goes out at a tick from the beginning: an IFP packet of T.38 version 0 (§7.2, §7.3), and how often.
pub fn packet(tick: u32) -> Option<(Vec<u8>, u8)> {
    Some(match tick {
        // The preamble lasts 1 s ± 15 % (T.30 §5.3.1), behind 75 ms of silence (§5.3.2.2).
        4 => (vec![0x06], 3),
        54 => {
            // HDLC data in V.21, first bit first (§7.3.6).
            let mut data = vec![0xC0, 1, 0x80, 0, 2];
            data.extend(FRAME.map(u8::reverse_bits));
            (data, 1)
        }
        // A good checksum, and the end of the signal; then no signal.
        60 => (vec![0xC0, 1, 0x40], 1),
        LAST_TICK => (vec![0x00], 3),
        _ => return None,
    })
}

//! Picture files that say more than they hold, or hold more than they weigh.

use crate::pdfs::deflated;
use crate::{Attack, Ends, Make};

const fn picture(name: &'static str, ends: Ends, make: fn() -> Vec<u8>) -> Attack {
    Attack {
        name,
        ends,
        make: Make::Picture(make),
    }
}

pub const ATTACKS: &[Attack] = &[
    picture("PNG of two billion by two billion", Ends::Refused, || {
        png(0x7FFF_FFFF, 0x7FFF_FFFF, b"")
    }),
    picture(
        "PNG of 60000 by 60000 out of nothing",
        Ends::Refused,
        || png(60_000, 60_000, &deflated(200_000_000, 0)),
    ),
    picture(
        "PNG as large as may be, out of nothing",
        Ends::Clearly,
        || png(9_999, 9_999, &deflated(9_999 * (9_999 * 4 + 1), 0)),
    ),
    picture("PNG a row high and a mile wide", Ends::Clearly, || {
        png(90_000_000, 1, &deflated(360_000_001, 0))
    }),
    picture("PNG a column wide and a mile high", Ends::Clearly, || {
        png(1, 40_000_000, &deflated(200_000_000, 0))
    }),
    picture("GIF of 65535 by 65535", Ends::Refused, || {
        let mut file = b"GIF89a\xFF\xFF\xFF\xFF\x80\0\0\0\0\0\xFF\xFF\xFF".to_vec();
        file.extend(b"\x2C\0\0\0\0\xFF\xFF\xFF\xFF\0\x02\x02\x4C\x01\0;");
        file
    }),
    picture("GIF of a million pictures", Ends::Clearly, || {
        let mut file = b"GIF89a\x10\0\x10\0\x80\0\0\0\0\0\xFF\xFF\xFF".to_vec();
        file.extend(b"\x2C\0\0\0\0\x10\0\x10\0\0\x02\x02\x4C\x01\0".repeat(1_000_000));
        file.push(b';');
        file
    }),
    picture("WebP of 16384 by 16384", Ends::Refused, || {
        // VP8X: 14 bits each would not do; its canvas has 24.
        let mut file = b"RIFF\x1e\0\0\0WEBPVP8X\x0a\0\0\0\0\0\0\0".to_vec();
        file.extend([0xFF, 0x3F, 0, 0xFF, 0x3F, 0]);
        file.extend(b"VP8L\x05\0\0\0\x2F\xFF\xFF\xFF\x0F\0");
        file
    }),
    picture("BMP of two billion by two billion", Ends::Refused, || {
        bmp(0x7FFF_FFFF, 0x7FFF_FFFF)
    }),
    picture("BMP of 40000 by 40000", Ends::Refused, || {
        bmp(40_000, 40_000)
    }),
    picture("JPEG of 65500 by 65500", Ends::Refused, || {
        jpeg(65_500, 65_500)
    }),
    picture("JPEG that is all headers", Ends::Clearly, || {
        let mut file = vec![0xFF, 0xD8];
        for _ in 0..400 {
            file.extend([0xFF, 0xE1, 0xFF, 0xFF]);
            file.extend(b"Exif\0\0MM\0*\0\0\0\x08");
            file.extend([0xFF; 65_519]);
        }
        file.extend([0xFF, 0xD9]);
        file
    }),
    picture("TIFF of 100000 by 100000", Ends::Refused, || {
        tiff(&[(256, 100_000), (257, 100_000)])
    }),
    picture("TIFF with tiles of four billion", Ends::Clearly, || {
        tiff(&[
            (256, 100),
            (257, 100),
            (322, 0xFFFF_FFF0),
            (323, 0xFFFF_FFF0),
            (324, 8),
            (325, 0xFFFF_FFFF),
        ])
    }),
    picture("TIFF with a strip of four billion", Ends::Clearly, || {
        tiff(&[
            (256, 5_000),
            (257, 5_000),
            (273, 8),
            (278, 0xFFFF_FFFF),
            (279, 0xFFFF_FFFF),
        ])
    }),
    picture(
        "TIFF whose pages go round in a circle",
        Ends::Clearly,
        || {
            let mut file = tiff(&[(256, 10), (257, 10), (273, 8), (278, 10), (279, 100)]);
            let at = file.len() - 4;
            file[at..].copy_from_slice(&8u32.to_le_bytes());
            file
        },
    ),
    picture("TIFF of a fax of four billion rows", Ends::Clearly, || {
        tiff(&[
            (256, 1728),
            (257, 0xFFFF_FFFF),
            (258, 1),
            (259, 4),
            (262, 0),
            (273, 8),
            (277, 1),
            (278, 0xFFFF_FFFF),
            (279, 8),
        ])
    }),
];

fn png(width: u32, height: u32, data: &[u8]) -> Vec<u8> {
    let mut file = b"\x89PNG\r\n\x1a\n".to_vec();
    let mut header = Vec::new();
    header.extend(width.to_be_bytes());
    header.extend(height.to_be_bytes());
    // 8 bits, RGBA.
    header.extend([8, 6, 0, 0, 0]);
    for (kind, data) in [(b"IHDR", &header[..]), (b"IDAT", data), (b"IEND", b"")] {
        file.extend((data.len() as u32).to_be_bytes());
        let from = file.len();
        file.extend(kind);
        file.extend(data);
        let sum = crc(&file[from..]);
        file.extend(sum.to_be_bytes());
    }
    file
}

/// PNG, annex D.
fn crc(data: &[u8]) -> u32 {
    let mut table = [0u32; 256];
    for (n, entry) in table.iter_mut().enumerate() {
        *entry = (0..8).fold(n as u32, |c, _| {
            if c & 1 == 1 {
                0xEDB8_8320 ^ (c >> 1)
            } else {
                c >> 1
            }
        });
    }
    !data.iter().fold(!0, |c: u32, &octet| {
        table[((c ^ u32::from(octet)) & 0xFF) as usize] ^ (c >> 8)
    })
}

fn bmp(width: u32, height: u32) -> Vec<u8> {
    let mut file = b"BM".to_vec();
    file.extend([0x36, 1, 0, 0, 0, 0, 0, 0, 54, 0, 0, 0, 40, 0, 0, 0]);
    file.extend(width.to_le_bytes());
    file.extend(height.to_le_bytes());
    file.extend([1, 0, 24, 0]);
    file.extend([0; 24]);
    file.extend([0; 256]);
    file
}

/// A JPEG that says it is so large, with tables and no picture.
pub fn jpeg(width: u16, height: u16) -> Vec<u8> {
    let mut file = vec![0xFF, 0xD8, 0xFF, 0xDB, 0, 67, 0];
    file.extend([1; 64]);
    file.extend([0xFF, 0xC0, 0, 11, 8]);
    file.extend(height.to_be_bytes());
    file.extend(width.to_be_bytes());
    file.extend([1, 1, 0x11, 0]);
    for class in [0, 0x10] {
        file.extend([0xFF, 0xC4, 0, 20, class, 1]);
        file.extend([0; 15]);
        file.push(0);
    }
    file.extend([0xFF, 0xDA, 0, 8, 1, 1, 0, 0, 63, 0]);
    file.extend([0; 100]);
    file.extend([0xFF, 0xD9]);
    file
}

/// A little-endian TIFF of 10 by 10 grey pixels, with these entries instead of its own.
fn tiff(entries: &[(u16, u32)]) -> Vec<u8> {
    let sound = [
        (256, 10),
        (257, 10),
        (258, 8),
        (259, 1),
        (262, 1),
        (273, 8),
        (277, 1),
        (278, 10),
        (279, 100),
    ];
    let mut all: std::collections::BTreeMap<u16, u32> = sound.into();
    all.extend(entries.iter().copied());
    if all.contains_key(&322) {
        // Tiles, no strips.
        all.retain(|tag, _| ![273, 278, 279].contains(tag));
    }
    let mut file = b"II*\0\x08\0\0\0".to_vec();
    file.extend((all.len() as u16).to_le_bytes());
    for (tag, value) in all {
        file.extend(tag.to_le_bytes());
        file.extend([4, 0, 1, 0, 0, 0]);
        file.extend(value.to_le_bytes());
    }
    file.extend([0; 4]);
    file
}

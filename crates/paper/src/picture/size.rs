//! How many pixels a picture has, by its header alone: no pixel is looked at.

use super::Format;

/// Pixels across and down.
pub(super) fn of(bytes: &[u8], format: Format) -> Option<(usize, usize)> {
    let (width, height) = match format {
        // PNG §11.2.1: IHDR comes first.
        Format::Png => (be32(bytes, 16)?, be32(bytes, 20)?),
        Format::Gif => (le16(bytes, 6)?, le16(bytes, 8)?),
        Format::Bmp => (le32(bytes, 18)?, (le32(bytes, 22)? as i32).unsigned_abs()),
        Format::Jpeg => jpeg(bytes)?,
        Format::WebP => webp(bytes)?,
        // Scans and faxes: no ornaments.
        Format::Tiff => return None,
    };
    let sane = |side: u32| (1..=1_000_000).contains(&side).then_some(side as usize);
    Some((sane(width)?, sane(height)?))
}

/// The frame header (T.81 §B.2.2).
fn jpeg(bytes: &[u8]) -> Option<(u32, u32)> {
    let mut at = 2;
    while bytes.get(at) == Some(&0xFF) {
        let marker = *bytes.get(at + 1)?;
        match marker {
            0xFF => at += 1,
            0xC0..=0xCF if !matches!(marker, 0xC4 | 0xC8 | 0xCC) => {
                return Some((be16(bytes, at + 7)?, be16(bytes, at + 5)?));
            }
            _ => at += 2 + be16(bytes, at + 2)?.max(2) as usize,
        }
    }
    None
}

/// RFC 9649 §2.5 to §2.7.
fn webp(bytes: &[u8]) -> Option<(u32, u32)> {
    let le24 = |at| Some(le16(bytes, at)? | u32::from(*bytes.get(at + 2)?) << 16);
    match bytes.get(12..16)? {
        b"VP8X" => Some((le24(24)? + 1, le24(27)? + 1)),
        b"VP8L" => {
            let bits = le32(bytes, 21)?;
            Some(((bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1))
        }
        b"VP8 " => Some((le16(bytes, 26)? & 0x3FFF, le16(bytes, 28)? & 0x3FFF)),
        _ => None,
    }
}

fn octets<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..)?.first_chunk().copied()
}

fn be16(bytes: &[u8], at: usize) -> Option<u32> {
    octets(bytes, at).map(|octets| u16::from_be_bytes(octets).into())
}

fn le16(bytes: &[u8], at: usize) -> Option<u32> {
    octets(bytes, at).map(|octets| u16::from_le_bytes(octets).into())
}

fn be32(bytes: &[u8], at: usize) -> Option<u32> {
    octets(bytes, at).map(u32::from_be_bytes)
}

fn le32(bytes: &[u8], at: usize) -> Option<u32> {
    octets(bytes, at).map(u32::from_le_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::{DynamicImage, ImageFormat};

    #[test]
    fn headers_tell_what_the_decoder_finds() {
        let image = DynamicImage::new_luma8(37, 21);
        for (format, written) in [
            (Format::Png, ImageFormat::Png),
            (Format::Gif, ImageFormat::Gif),
            (Format::Jpeg, ImageFormat::Jpeg),
            (Format::WebP, ImageFormat::WebP),
        ] {
            let mut file = std::io::Cursor::new(Vec::new());
            let image = DynamicImage::from(image.to_rgba8());
            let image = match format {
                Format::Jpeg => DynamicImage::from(image.to_luma8()),
                _ => image,
            };
            image.write_to(&mut file, written).unwrap();
            let file = file.into_inner();
            assert_eq!(of(&file, format), Some((37, 21)), "{format:?}");
            for cut in 0..file.len() {
                let _ = of(&file[..cut], format);
            }
        }
    }
}

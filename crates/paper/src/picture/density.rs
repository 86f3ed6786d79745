//! How many pixels an inch a picture says that it has.
//!
//! 72 is what programs write that know nothing; it counts as no word.

use super::Format;

/// What programs write for want of knowledge.
const NO_WORD: f64 = 72.0;

/// Pixels an inch, across and down, when the file has something to say of it.
pub(super) fn of(bytes: &[u8], format: Format) -> Option<(f64, f64)> {
    let (x, y) = match format {
        Format::Jpeg => jfif(bytes),
        Format::Png => phys(bytes),
        Format::Bmp => bmp(bytes),
        // GIF and WebP have no place for it; TIFF is read with its pixels.
        Format::Gif | Format::WebP | Format::Tiff => None,
    }?;
    sane(x, y)
}

/// A density that a picture on paper can have.
pub(super) fn sane(x: f64, y: f64) -> Option<(f64, f64)> {
    let fits = |v: f64| v.is_finite() && (20.0..=4800.0).contains(&v);
    let said = (x - NO_WORD).abs() > 0.5 || (y - NO_WORD).abs() > 0.5;
    (fits(x) && fits(y) && said).then_some((x, y))
}

fn short(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn long(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(*bytes.get(at..)?.first_chunk()?))
}

/// JFIF's APP0: units (1 an inch, 2 a centimetre), Xdensity, Ydensity (ITU-T T.871 §10.1).
fn jfif(bytes: &[u8]) -> Option<(f64, f64)> {
    let mut at = 2;
    // Segments before the scan: FF, marker, length with itself.
    while bytes.get(at) == Some(&0xFF) && bytes.get(at + 1) != Some(&0xDA) {
        let length = usize::from(short(bytes, at + 2)?);
        if bytes[at + 1] == 0xE0 && bytes.get(at + 4..at + 9) == Some(b"JFIF\0") {
            let inch = match bytes.get(at + 11)? {
                1 => 1.0,
                2 => 2.54,
                _ => return None,
            };
            let density = |at| short(bytes, at).map(|v| f64::from(v) * inch);
            return Some((density(at + 12)?, density(at + 14)?));
        }
        at += 2 + length;
    }
    None
}

/// PNG's pHYs: pixels a unit across, down, and the unit (1 is the metre), PNG §11.3.4.3.
fn phys(bytes: &[u8]) -> Option<(f64, f64)> {
    let mut at = 8;
    loop {
        let length = long(bytes, at)? as usize;
        match bytes.get(at + 4..at + 8)? {
            b"pHYs" if bytes.get(at + 16) == Some(&1) => {
                let an_inch = |at| long(bytes, at).map(|v| f64::from(v) * 0.0254);
                return Some((an_inch(at + 8)?, an_inch(at + 12)?));
            }
            b"pHYs" | b"IDAT" | b"IEND" => return None,
            _ => at = at.checked_add(length)?.checked_add(12)?,
        }
    }
}

/// BMP's biXPelsPerMeter and biYPelsPerMeter, little endian.
fn bmp(bytes: &[u8]) -> Option<(f64, f64)> {
    let a_metre = |at: usize| {
        let value = i32::from_le_bytes(*bytes.get(at..)?.first_chunk()?);
        (value > 0).then(|| f64::from(value) * 0.0254)
    };
    Some((a_metre(38)?, a_metre(42)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_format_is_heard_and_72_says_nothing() {
        let jpeg = |unit: u8, x: u16, y: u16| {
            let mut file = vec![0xFF, 0xD8, 0xFF, 0xE0, 0, 16];
            file.extend(b"JFIF\0\x01\x02");
            file.push(unit);
            file.extend(x.to_be_bytes());
            file.extend(y.to_be_bytes());
            file
        };
        assert_eq!(of(&jpeg(1, 300, 150), Format::Jpeg), Some((300.0, 150.0)));
        assert_eq!(of(&jpeg(2, 100, 100), Format::Jpeg), Some((254.0, 254.0)));
        for (unit, density) in [(0, 300), (1, 72), (1, 0), (1, 9999)] {
            assert_eq!(of(&jpeg(unit, density, density), Format::Jpeg), None);
        }
        let mut png = b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR0123456789abc0123\0\0\0\x09pHYs".to_vec();
        png.extend(7874u32.to_be_bytes());
        png.extend(3937u32.to_be_bytes());
        png.push(1);
        let (x, y) = of(&png, Format::Png).unwrap();
        assert!(
            (x - 200.0).abs() < 0.1 && (y - 100.0).abs() < 0.1,
            "{x} {y}"
        );
        for cut in 0..png.len() {
            let _ = of(&png[..cut], Format::Png);
            let _ = of(&png[..cut], Format::Jpeg);
            let _ = of(&png[..cut], Format::Bmp);
        }
    }
}

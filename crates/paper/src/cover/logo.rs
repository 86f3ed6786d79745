//! A tenant's logo: read once, when it is given, and kept as what covers can use.

use std::ops::Range;

use faxpost_t4::{Bitmap, Resolution};
use image::{ExtendedColorType, GrayImage, ImageEncoder as _, codecs::png::PngEncoder, imageops};

use crate::grey::Grey;
use crate::{Limits, PaperError, Reason, dots, picture};

/// Octets that a logo may have, as a file and as it is kept.
pub const LOGO_OCTETS: usize = 512 << 10;

/// Pixels across and down that are kept: 11 cm at a fax's resolution. In grey that is less than
/// [`LOGO_OCTETS`], however badly it packs.
const WIDEST: u32 = 900;
const TALLEST: u32 = 500;

/// Paper, as light as cameras and compression leave it.
const PAPER: u8 = 246;

/// What is darker than this is ink, what is lighter than that is paper: a logo's own black is seldom black, and
/// dots in either would only be dirt.
const INK: u8 = 72;
const WHITE: u8 = 236;

/// A pixel beside one that is so much lighter or darker stands at an edge, which has no dots.
const EDGE: u8 = 110;

/// Makes a logo of a picture file: grey on white, without the margins around it, no larger than a cover can
/// show, as a PNG file.
///
/// # Errors
/// What is wrong with the picture.
pub fn logo(name: &str, bytes: &[u8]) -> Result<Vec<u8>, PaperError> {
    let grey = picture::one(name, bytes, Limits::default().max_pixels)?;
    let Some(grey) = trimmed(grey) else {
        return Err(PaperError::Empty {
            name: name.to_owned(),
        });
    };
    let (width, height) = (grey.width as u32, grey.height as u32);
    let broken = || PaperError::Damaged {
        name: name.to_owned(),
        reason: Reason::NotDrawn,
    };
    let data = grey.data.into_iter().map(stretched).collect();
    let image = GrayImage::from_raw(width, height, data).ok_or_else(broken)?;
    let image = match width > WIDEST || height > TALLEST {
        false => image,
        true => {
            let scale =
                (f64::from(WIDEST) / f64::from(width)).min(f64::from(TALLEST) / f64::from(height));
            let less = |size: u32| ((f64::from(size) * scale).round() as u32).max(1);
            let filter = imageops::FilterType::Triangle;
            imageops::resize(&image, less(width), less(height), filter)
        }
    };
    let mut file = Vec::new();
    PngEncoder::new(&mut file)
        .write_image(
            image.as_raw(),
            image.width(),
            image.height(),
            ExtendedColorType::L8,
        )
        .map_err(|_| broken())?;
    Ok(file)
}

fn stretched(v: u8) -> u8 {
    let range = u32::from(WHITE - INK);
    let above = u32::from(v.saturating_sub(INK));
    (above * 255 / range).min(255) as u8
}

/// Draws what lies there anew: edges sharp, flats and slopes in regular dots, in which an even shade is even.
pub(super) fn print(
    grey: &Grey,
    columns: Range<usize>,
    rows: Range<usize>,
    resolution: Resolution,
    page: &mut Bitmap,
) {
    for y in rows {
        for x in columns.clone() {
            let v = grey.row(y)[x];
            let (mut least, mut most) = (v, v);
            for near in y.saturating_sub(1)..(y + 2).min(grey.height) {
                let row = &grey.row(near)[x.saturating_sub(1)..(x + 2).min(grey.width)];
                for &other in row {
                    (least, most) = (least.min(other), most.max(other));
                }
            }
            let black = match most - least > EDGE {
                true => v < least.midpoint(most),
                false => dots::dot(x, y, v, resolution),
            };
            let bit = 0x80 >> (x % 8);
            let octet = &mut page.row_mut(y)[x / 8];
            match black {
                true => *octet |= bit,
                false => *octet &= !bit,
            }
        }
    }
}

/// The picture without the paper around it; `None` when it is nothing else.
fn trimmed(grey: Grey) -> Option<Grey> {
    let inked = |row: &[u8]| row.iter().any(|&v| v < PAPER);
    let top = (0..grey.height).find(|&y| inked(grey.row(y)))?;
    let bottom = (0..grey.height).rfind(|&y| inked(grey.row(y)))? + 1;
    let column = |x: usize| (top..bottom).any(|y| grey.row(y)[x] < PAPER);
    let left = (0..grey.width).find(|&x| column(x))?;
    let right = (0..grey.width).rfind(|&x| column(x))? + 1;
    let mut data = Vec::with_capacity((right - left) * (bottom - top));
    for y in top..bottom {
        data.extend_from_slice(&grey.row(y)[left..right]);
    }
    Some(Grey {
        width: right - left,
        height: bottom - top,
        data,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn png(width: u32, height: u32, pixel: impl Fn(u32, u32) -> [u8; 4]) -> Vec<u8> {
        let image = image::RgbaImage::from_fn(width, height, |x, y| image::Rgba(pixel(x, y)));
        let mut file = Vec::new();
        PngEncoder::new(&mut file)
            .write_image(image.as_raw(), width, height, ExtendedColorType::Rgba8)
            .expect("it is written");
        file
    }

    #[test]
    fn margins_go_and_what_is_clear_is_paper() {
        let ink = |x, y| (100..300).contains(&x) && (50..100).contains(&y);
        let file = png(400, 150, |x, y| {
            if ink(x, y) {
                [0, 0, 80, 255]
            } else {
                [9, 9, 9, 0]
            }
        });
        let kept = image::load_from_memory(&logo("l.png", &file).expect("a logo")).expect("a PNG");
        assert_eq!((kept.width(), kept.height()), (200, 50));
        let empty = png(40, 40, |_, _| [255, 255, 255, 255]);
        assert!(matches!(
            logo("l.png", &empty),
            Err(PaperError::Empty { .. })
        ));
    }

    #[test]
    fn none_is_kept_that_is_too_large_or_no_picture() {
        // Noise, which packs worst.
        let noise = |x: u32, y: u32| {
            let hash = (x.wrapping_mul(0x9E37_79B1) ^ y.wrapping_mul(0x85EB_CA77))
                .wrapping_mul(0xC2B2_AE3D);
            let v = (hash >> 24) as u8;
            [v, v, v, 255]
        };
        let kept = logo("l.png", &png(2000, 1000, noise)).expect("a logo");
        assert!(kept.len() <= LOGO_OCTETS, "{} octets", kept.len());
        assert!(matches!(
            logo("l.svg", b"<svg/>"),
            Err(PaperError::Unsupported { .. })
        ));
        let mut broken = png(50, 50, noise);
        broken.truncate(200);
        assert!(matches!(
            logo("l.png", &broken),
            Err(PaperError::Damaged { .. })
        ));
    }
}

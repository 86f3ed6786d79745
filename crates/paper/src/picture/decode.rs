//! Files to grey pictures. Sizes are looked at before memory is asked for.

use std::io::Cursor;

use faxpost_t4::{Bitmap, tiff as fax_tiff};
use image::{
    AnimationDecoder as _, DynamicImage, ImageDecoder, ImageError, ImageFormat, ImageReader,
    codecs::gif::GifDecoder, metadata::Orientation,
};
use tiff::decoder::{Decoder, DecodingResult, Limits};
use zune_bmp::{BmpDecoder, zune_core::bytestream::ZCursor};

use super::{Format, Picture, density};
use crate::{PaperError, Reason, grey::Grey};

/// Octets of a pixel, at most, while it is read: four samples of 16 bits.
const DEEPEST: u64 = 8;

/// Why a picture can't be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unreadable {
    Broken,
    /// A kind of the format that no reader here knows.
    Unknown,
    TooLarge,
}

impl Unreadable {
    pub fn of(self, name: &str) -> PaperError {
        let name = name.to_owned();
        match self {
            Self::Broken => PaperError::Damaged {
                name,
                reason: Reason::Broken,
            },
            Self::Unknown => PaperError::Unsupported {
                name,
                reason: Reason::PictureKind,
            },
            Self::TooLarge => PaperError::Unsupported {
                name,
                reason: Reason::PictureSize,
            },
        }
    }
}

impl From<ImageError> for Unreadable {
    fn from(error: ImageError) -> Self {
        match error {
            ImageError::Limits(_) => Self::TooLarge,
            ImageError::Unsupported(_) => Self::Unknown,
            _ => Self::Broken,
        }
    }
}

impl From<tiff::TiffError> for Unreadable {
    fn from(error: tiff::TiffError) -> Self {
        match error {
            tiff::TiffError::LimitsExceeded => Self::TooLarge,
            tiff::TiffError::UnsupportedError(_) => Self::Unknown,
            _ => Self::Broken,
        }
    }
}

/// A file whose pictures are read one by one.
pub(super) enum Pictures<'a> {
    One {
        picture: Option<Picture>,
        moves: bool,
    },
    Scans(std::vec::IntoIter<fax_tiff::Scan>),
    Tiff {
        decoder: Box<Decoder<Cursor<&'a [u8]>>>,
        bytes: &'a [u8],
        next: u32,
        most: u64,
    },
}

/// Opens a file of that format.
pub(super) fn open(bytes: &[u8], format: Format, most: u64) -> Result<Pictures<'_>, Unreadable> {
    let one = |picture| Pictures::One {
        picture: Some(picture),
        moves: false,
    };
    match format {
        Format::Jpeg => image(bytes, format, most, ImageFormat::Jpeg).map(one),
        Format::Png => image(bytes, format, most, ImageFormat::Png).map(one),
        Format::WebP => image(bytes, format, most, ImageFormat::WebP).map(one),
        Format::Bmp => bmp(bytes, most).map(one),
        Format::Gif => Ok(Pictures::One {
            picture: Some(image(bytes, format, most, ImageFormat::Gif)?),
            moves: GifDecoder::new(Cursor::new(bytes))?
                .into_frames()
                .nth(1)
                .is_some_and(|frame| frame.is_ok()),
        }),
        // Black and white ones, fax codings among them, are read by our own reader.
        Format::Tiff => match fax_tiff::read_scans(bytes) {
            Ok(scans) => Ok(Pictures::Scans(scans.into_iter())),
            Err(_) => Ok(Pictures::Tiff {
                decoder: Box::new(tiff_decoder(bytes, most)?),
                bytes,
                next: 0,
                most,
            }),
        },
    }
}

impl Pictures<'_> {
    /// How many there are.
    pub fn count(&self) -> Result<u32, Unreadable> {
        match self {
            Self::One { .. } => Ok(1),
            Self::Scans(scans) => Ok(u32::try_from(scans.len()).unwrap_or(u32::MAX)),
            Self::Tiff { bytes, most, .. } => {
                let mut decoder = tiff_decoder(bytes, *most)?;
                let mut count = 1;
                while decoder.more_images() && count < u32::from(u16::MAX) {
                    decoder.next_image()?;
                    count += 1;
                }
                Ok(count)
            }
        }
    }

    /// Whether there are more that follow each other in time.
    pub fn moves(&self) -> bool {
        matches!(self, Self::One { moves: true, .. })
    }

    pub fn next(&mut self) -> Result<Picture, Unreadable> {
        match self {
            Self::One { picture, .. } => picture.take().ok_or(Unreadable::Broken),
            Self::Scans(scans) => scans.next().map(scan).ok_or(Unreadable::Broken),
            Self::Tiff {
                decoder,
                next,
                most,
                ..
            } => {
                if *next > 0 {
                    decoder.next_image()?;
                }
                *next += 1;
                tiff_picture(decoder, *most)
            }
        }
    }
}

fn image(
    bytes: &[u8],
    format: Format,
    most: u64,
    kind: ImageFormat,
) -> Result<Picture, Unreadable> {
    let mut reader = ImageReader::with_format(Cursor::new(bytes), kind);
    let mut limits = image::Limits::default();
    limits.max_alloc = Some(most.saturating_mul(DEEPEST));
    reader.limits(limits);
    let mut decoder = reader.into_decoder()?;
    let (width, height) = decoder.dimensions();
    check(u64::from(width), u64::from(height), most)?;
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    let mut picture = DynamicImage::from_decoder(decoder)?;
    picture.apply_orientation(orientation);
    Ok(Picture {
        dpi: turned(density::of(bytes, format), orientation),
        grey: grey(&picture),
    })
}

fn check(width: u64, height: u64, most: u64) -> Result<(), Unreadable> {
    match width.saturating_mul(height) {
        0 => Err(Unreadable::Broken),
        pixels if pixels > most => Err(Unreadable::TooLarge),
        _ => Ok(()),
    }
}

/// A density, as the picture stands.
fn turned(dpi: Option<(f64, f64)>, orientation: Orientation) -> Option<(f64, f64)> {
    let quarter = matches!(
        orientation,
        Orientation::Rotate90
            | Orientation::Rotate270
            | Orientation::Rotate90FlipH
            | Orientation::Rotate270FlipH
    );
    dpi.map(|(x, y)| if quarter { (y, x) } else { (x, y) })
}

/// Grey on white paper.
fn grey(picture: &DynamicImage) -> Grey {
    let (width, height) = (picture.width() as usize, picture.height() as usize);
    let data = match picture {
        DynamicImage::ImageLuma8(grey) => grey.as_raw().clone(),
        DynamicImage::ImageRgb8(rgb) => {
            let pixels = rgb.as_raw().as_chunks::<3>().0;
            pixels.iter().map(|&[r, g, b]| luma(r, g, b)).collect()
        }
        _ => {
            let rgba = picture.to_rgba8();
            let pixels = rgba.as_raw().as_chunks::<4>().0;
            pixels
                .iter()
                .map(|&[r, g, b, a]| on_paper(luma(r, g, b), a))
                .collect()
        }
    };
    Grey {
        width,
        height,
        data,
    }
}

/// Rec. 601, as everywhere here.
fn luma(r: u8, g: u8, b: u8) -> u8 {
    ((u32::from(r) * 77 + u32::from(g) * 150 + u32::from(b) * 29) >> 8) as u8
}

fn on_paper(grey: u8, alpha: u8) -> u8 {
    let (grey, alpha) = (u32::from(grey), u32::from(alpha));
    ((grey * alpha + 255 * (255 - alpha)) / 255) as u8
}

fn bmp(bytes: &[u8], most: u64) -> Result<Picture, Unreadable> {
    let mut decoder = BmpDecoder::new(ZCursor::new(bytes));
    decoder.decode_headers().map_err(|_| Unreadable::Broken)?;
    let (width, height) = decoder.dimensions().ok_or(Unreadable::Broken)?;
    check(width as u64, height as u64, most)?;
    let pixels = decoder.decode().map_err(|_| Unreadable::Broken)?;
    let data: Vec<u8> = match pixels.len() / (width * height) {
        1 => pixels,
        3 => {
            let (pixels, _) = pixels.as_chunks::<3>();
            pixels.iter().map(|&[r, g, b]| luma(r, g, b)).collect()
        }
        // What stands in a bitmap's fourth octet is rarely meant.
        4 => {
            let (pixels, _) = pixels.as_chunks::<4>();
            pixels.iter().map(|&[r, g, b, _]| luma(r, g, b)).collect()
        }
        _ => return Err(Unreadable::Unknown),
    };
    Ok(Picture {
        dpi: density::of(bytes, Format::Bmp),
        grey: Grey {
            width,
            height,
            data,
        },
    })
}

fn scan(scan: fax_tiff::Scan) -> Picture {
    let bitmap = &scan.bitmap;
    let grey = from_bitmap(bitmap);
    let dpi = scan.dpi.and_then(|(x, y)| density::sane(x, y));
    oriented(grey, dpi, scan.orientation)
}

/// A bitmap's pixels in grey.
pub(super) fn from_bitmap(bitmap: &Bitmap) -> Grey {
    let (width, height) = (bitmap.width(), bitmap.height());
    let mut data = Vec::with_capacity(width * height);
    for y in 0..height {
        let row = bitmap.row(y);
        data.extend((0..width).map(|x| {
            if row[x / 8] & (0x80 >> (x % 8)) != 0 {
                0
            } else {
                255
            }
        }));
    }
    Grey {
        width,
        height,
        data,
    }
}

/// Turned as a TIFF file's orientation says.
fn oriented(grey: Grey, dpi: Option<(f64, f64)>, orientation: u8) -> Picture {
    let orientation = Orientation::from_exif(orientation).unwrap_or(Orientation::NoTransforms);
    if orientation == Orientation::NoTransforms {
        return Picture { grey, dpi };
    }
    let (width, height) = (grey.width as u32, grey.height as u32);
    let Some(buffer) = image::GrayImage::from_raw(width, height, grey.data) else {
        unreachable!("a grey picture has a byte a pixel");
    };
    let mut picture = DynamicImage::ImageLuma8(buffer);
    picture.apply_orientation(orientation);
    Picture {
        dpi: turned(dpi, orientation),
        grey: self::grey(&picture),
    }
}

fn tiff_decoder(bytes: &[u8], most: u64) -> Result<Decoder<Cursor<&[u8]>>, Unreadable> {
    let mut limits = Limits::default();
    let memory = usize::try_from(most.saturating_mul(DEEPEST)).unwrap_or(usize::MAX);
    limits.decoding_buffer_size = memory;
    limits.intermediate_buffer_size = memory;
    Ok(Decoder::new(Cursor::new(bytes))?.with_limits(limits))
}

fn tiff_picture(decoder: &mut Decoder<Cursor<&[u8]>>, most: u64) -> Result<Picture, Unreadable> {
    use tiff::{ColorType, tags::Tag};

    let (width, height) = decoder.dimensions()?;
    check(u64::from(width), u64::from(height), most)?;
    let (width, height) = (width as usize, height as usize);
    let color = decoder.colortype()?;
    // WhiteIsZero is turned round by the reader.
    let samples: Vec<u8> = match decoder.read_image()? {
        DecodingResult::U8(samples) => samples,
        DecodingResult::U16(samples) => samples.iter().map(|v| (v >> 8) as u8).collect(),
        _ => return Err(Unreadable::Unknown),
    };
    let pixels = width * height;
    let of = |size: usize| (samples.len() >= pixels * size).then_some(());
    let data: Vec<u8> = match color {
        ColorType::Gray(8 | 16) => {
            of(1).ok_or(Unreadable::Broken)?;
            samples
        }
        ColorType::Gray(bits @ (1 | 2 | 4)) => {
            unpacked(&samples, width, height, bits).ok_or(Unreadable::Broken)?
        }
        ColorType::GrayA(8 | 16) => {
            of(2).ok_or(Unreadable::Broken)?;
            let (pairs, _) = samples.as_chunks::<2>();
            pairs.iter().map(|&[v, a]| on_paper(v, a)).collect()
        }
        ColorType::RGB(8 | 16) | ColorType::YCbCr(8) => {
            of(3).ok_or(Unreadable::Broken)?;
            let (triples, _) = samples.as_chunks::<3>();
            triples.iter().map(|&[r, g, b]| luma(r, g, b)).collect()
        }
        ColorType::RGBA(8 | 16) => {
            of(4).ok_or(Unreadable::Broken)?;
            let (pixels, _) = samples.as_chunks::<4>();
            let grey = |&[r, g, b, a]: &[u8; 4]| on_paper(luma(r, g, b), a);
            pixels.iter().map(grey).collect()
        }
        ColorType::CMYK(8 | 16) => {
            of(4).ok_or(Unreadable::Broken)?;
            let (inks, _) = samples.as_chunks::<4>();
            let light = |ink: u8, k: u8| (u32::from(255 - ink) * u32::from(255 - k) / 255) as u8;
            let grey = |&[c, m, y, k]: &[u8; 4]| luma(light(c, k), light(m, k), light(y, k));
            inks.iter().map(grey).collect()
        }
        _ => return Err(Unreadable::Unknown),
    };
    let number = |decoder: &mut Decoder<Cursor<&[u8]>>, tag| {
        decoder.find_tag(tag).ok().flatten()?.into_u32().ok()
    };
    let inch = match number(decoder, Tag::ResolutionUnit) {
        Some(3) => 2.54,
        Some(1) => 0.0,
        _ => 1.0,
    };
    let mut fraction = |tag| {
        let value = decoder.find_tag(tag).ok().flatten()?;
        match value {
            tiff::decoder::ifd::Value::Rational(n, d) => Some(f64::from(n) / f64::from(d) * inch),
            _ => None,
        }
    };
    let dpi = fraction(Tag::XResolution)
        .zip(fraction(Tag::YResolution))
        .and_then(|(x, y)| density::sane(x, y));
    let orientation = number(decoder, Tag::Orientation).and_then(|value| u8::try_from(value).ok());
    let mut data = data;
    data.truncate(pixels);
    let grey = Grey {
        width,
        height,
        data,
    };
    Ok(oriented(grey, dpi, orientation.unwrap_or(1)))
}

/// Pixels of fewer than 8 bits, rows from byte to byte.
fn unpacked(samples: &[u8], width: usize, height: usize, bits: u8) -> Option<Vec<u8>> {
    let bits = usize::from(bits);
    let stride = (width * bits).div_ceil(8);
    let rows = samples.get(..stride * height)?;
    let most = (1u16 << bits) - 1;
    let mut data = Vec::with_capacity(width * height);
    for row in rows.chunks_exact(stride) {
        data.extend((0..width).map(|x| {
            let at = x * bits;
            let value = u16::from(row[at / 8]) >> (8 - bits - at % 8) & most;
            (value * 255 / most) as u8
        }));
    }
    Some(data)
}

//! A page as a small picture.

use faxpost_t4::{Bitmap, DecodeError, FaxPage};

/// Pixels across of a page's picture; a fax page has 1728.
const WIDTH: usize = 432;

/// The picture can't be made.
#[derive(Debug, thiserror::Error)]
pub enum PictureError {
    /// The page's coding is damaged.
    #[error("the page can't be decoded: {0}")]
    Page(#[from] DecodeError),
    /// The pixels don't fill the size, or the size is 0.
    #[error("the picture can't be written: {0}")]
    Png(#[from] png::EncodingError),
}

/// Grey pixels, a byte each, 0 black, row by row, as a PNG of `width` × `height`.
///
/// # Errors
/// [`PictureError::Png`] when the pixels don't fill the size, or the size is 0.
pub fn png_of(grey: &[u8], width: u32, height: u32) -> Result<Vec<u8>, PictureError> {
    let mut out = Vec::new();
    let mut encoder = png::Encoder::new(&mut out, width, height);
    encoder.set_color(png::ColorType::Grayscale);
    encoder.set_depth(png::BitDepth::Eight);
    let mut writer = encoder.write_header()?;
    writer.write_image_data(grey)?;
    writer.finish()?;
    Ok(out)
}

/// The page as a PNG, 432 pixels across, in its true proportions at every resolution.
///
/// # Errors
/// [`PictureError`].
pub fn page_picture(page: &FaxPage) -> Result<Vec<u8>, PictureError> {
    let (width, height, grey) = page.decode()?.to_grey_preview(page.resolution, WIDTH);
    let size = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    png_of(&grey, size(width), size(height))
}

/// A page as a black and white PNG, pixel for pixel, with its resolution.
///
/// # Errors
/// [`PictureError`].
pub fn page_png(page: &FaxPage) -> Result<Vec<u8>, PictureError> {
    let bitmap = page.decode()?;
    let mut png = Vec::new();
    let (width, height) = (bitmap.width() as u32, bitmap.height() as u32);
    let mut encoder = png::Encoder::new(&mut png, width, height);
    encoder.set_color(png::ColorType::Grayscale);
    encoder.set_depth(png::BitDepth::One);
    let (x, y) = page.resolution.dpi();
    let per_metre = |dpi: f32| (dpi / 0.0254).round() as u32;
    encoder.set_pixel_dims(Some(png::PixelDimensions {
        xppu: per_metre(x),
        yppu: per_metre(y),
        unit: png::Unit::Meter,
    }));
    // A set bit is black in a fax and white in a PNG.
    let inverted: Vec<u8> = bitmap.data().iter().map(|byte| !byte).collect();
    encoder.write_header()?.write_image_data(&inverted)?;
    Ok(png)
}

/// A black and white PNG in square pixels, with its density.
///
/// # Errors
/// [`PictureError::Png`] when the page has no pixels.
pub fn square_png(bitmap: &Bitmap, dpi: u16) -> Result<Vec<u8>, PictureError> {
    let mut png = Vec::new();
    let size = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    let mut encoder = png::Encoder::new(&mut png, size(bitmap.width()), size(bitmap.height()));
    encoder.set_color(png::ColorType::Grayscale);
    encoder.set_depth(png::BitDepth::One);
    let per_metre = (f64::from(dpi) / 0.0254).round() as u32;
    encoder.set_pixel_dims(Some(png::PixelDimensions {
        xppu: per_metre,
        yppu: per_metre,
        unit: png::Unit::Meter,
    }));
    let inverted: Vec<u8> = bitmap.data().iter().map(|byte| !byte).collect();
    let mut writer = encoder.write_header()?;
    writer.write_image_data(&inverted)?;
    writer.finish()?;
    Ok(png)
}

#[cfg(test)]
mod tests {
    use faxpost_t4::{Coding, Resolution};

    use super::*;

    fn read(png: &[u8]) -> (u32, u32, Vec<u8>) {
        let mut reader = png::Decoder::new(std::io::Cursor::new(png))
            .read_info()
            .unwrap();
        let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
        let info = reader.next_frame(&mut pixels).unwrap();
        (info.width, info.height, pixels)
    }

    #[test]
    fn grey_pixels_come_back() {
        let grey: Vec<u8> = (0..=255).collect();
        assert_eq!(read(&png_of(&grey, 32, 8).unwrap()), (32, 8, grey.clone()));
        assert!(png_of(&grey, 33, 8).is_err());
        assert!(png_of(&[], 0, 0).is_err());
    }

    #[test]
    fn a_page_keeps_its_proportions_at_every_resolution() {
        for (resolution, height) in [
            (Resolution::Standard, 1143),
            (Resolution::Fine, 2287),
            (Resolution::Superfine, 4562),
        ] {
            let mut bitmap = Bitmap::new(1728, height);
            // The upper left quarter is black.
            for y in 0..height / 2 {
                for x in 0..864 {
                    bitmap.set_black(x, y);
                }
            }
            let page = FaxPage::encode(&bitmap, resolution, Coding::Mmr);
            let (w, h, pixels) = read(&page_picture(&page).unwrap());
            assert_eq!(w, 432);
            assert!((594..=596).contains(&h), "{h}");
            let at = |x: usize, y: usize| pixels[y * 432 + x];
            assert_eq!(
                (at(10, 10), at(400, 10), at(10, 580), at(400, 580)),
                (0, 255, 255, 255)
            );
        }
    }
}

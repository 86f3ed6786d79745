//! Pixels onto the page.

use faxpost_t4::{Bitmap, DecodeError, FaxPage, Resolution};
use image::{GrayImage, imageops};

use super::{Picture, decode};
use crate::{PageSetup, bilevel, grey::Grey};

const MM_PER_INCH: f64 = 25.4;
/// The density of a picture that says nothing: a screen's.
const SCREEN: f64 = 96.0;

/// A picture on a page of the set-up.
pub(super) fn picture(picture: &Picture, setup: &PageSetup) -> Bitmap {
    let grey = &picture.grey;
    let (x_dpi, y_dpi) = picture.dpi.unwrap_or((SCREEN, SCREEN));
    let width = grey.width as f64 / x_dpi * MM_PER_INCH;
    let height = grey.height as f64 / y_dpi * MM_PER_INCH;
    let place = setup.place(width, height);
    let source = buffer(grey);
    let (source, width, height) = if place.turn {
        // A quarter to the left, as landscape pages of documents.
        (imageops::rotate270(&source), height, width)
    } else {
        (source, width, height)
    };
    let across = pixels(width * place.scale * setup.columns_per_mm(), setup.width);
    let down = pixels(height * place.scale * setup.rows_per_mm(), setup.height());
    // Smaller: each pixel is the mean of those that it covers. Larger: soft, so that steps become slopes,
    // which the threshold turns into smooth edges.
    let filter = if across < source.width() {
        imageops::FilterType::Triangle
    } else {
        imageops::FilterType::CatmullRom
    };
    let scaled = imageops::resize(&source, across, down, filter);
    let left = (place.left_mm * setup.columns_per_mm()).round().max(0.0) as usize;
    let left = left.min((setup.width - across) as usize);
    let mut page = Grey {
        width: setup.width as usize,
        height: setup.height() as usize,
        data: vec![255; (setup.width * setup.height()) as usize],
    };
    let across = across as usize;
    for (y, row) in scaled.as_raw().chunks_exact(across).enumerate() {
        page.data[y * page.width + left..][..across].copy_from_slice(row);
    }
    let columns = left..left + across;
    bilevel::picture_to_bitmap(&page, columns, 0..down as usize, setup.resolution)
}

fn pixels(wanted: f64, most: u32) -> u32 {
    (wanted.round() as u32).clamp(1, most)
}

fn buffer(grey: &Grey) -> GrayImage {
    let (width, height) = (grey.width as u32, grey.height as u32);
    match GrayImage::from_raw(width, height, grey.data.clone()) {
        Some(buffer) => buffer,
        None => unreachable!("a grey picture has a byte a pixel"),
    }
}

/// A page that is a fax already, at the set-up's size: pixel by pixel when it has our width and a resolution
/// that ours is a multiple of.
///
/// # Errors
/// The first row that isn't right.
pub(super) fn fax_page(page: &FaxPage, setup: &PageSetup) -> Result<Bitmap, DecodeError> {
    let bitmap = page.decode()?;
    let times = times(page.resolution, setup.resolution);
    if bitmap.width() == setup.width as usize
        && let Some(times) = times
        && let Some(length) = fits(&bitmap, times, setup.height() as usize)
    {
        let mut out = Bitmap::new(setup.width as usize, setup.height() as usize);
        for y in 0..length * times {
            out.row_mut(y).copy_from_slice(bitmap.row(y / times));
        }
        return Ok(out);
    }
    let (x, y) = page.resolution.dpi();
    Ok(picture(
        &Picture {
            grey: decode::from_bitmap(&bitmap),
            dpi: Some((f64::from(x), f64::from(y))),
        },
        setup,
    ))
}

/// How often a row of `from` stands at `to`.
fn times(from: Resolution, to: Resolution) -> Option<usize> {
    let rank = |resolution| match resolution {
        Resolution::Standard => 1,
        Resolution::Fine => 2,
        Resolution::Superfine => 4,
    };
    (rank(to) >= rank(from)).then(|| rank(to) / rank(from))
}

/// The rows that go on a page of `most` rows, when no more than white paper is cut off.
fn fits(bitmap: &Bitmap, times: usize, most: usize) -> Option<usize> {
    let length = bitmap.height().min(most / times);
    let blank = |y: usize| bitmap.row(y).iter().all(|&octet| octet == 0);
    (length..bitmap.height()).all(blank).then_some(length)
}

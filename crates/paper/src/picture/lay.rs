//! Pixels onto the page.

use faxpost_t4::{Bitmap, DecodeError, FaxPage, Resolution};
use image::{GrayImage, imageops};

use super::{Picture, decode};
use crate::{
    Fit, Long, PageSetup, bilevel,
    grey::Grey,
    shapes::Span,
    sheets::{CONTINUED_MM, cut_at},
};

const MM_PER_INCH: f64 = 25.4;
/// The density of a picture that says nothing: a screen's.
const SCREEN: f64 = 96.0;

/// A picture on a page of the set-up, or on as many as it is cut into.
pub(super) fn picture(picture: &Picture, setup: &PageSetup) -> Vec<Bitmap> {
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
    let down = pixels(height * place.scale * setup.rows_per_mm(), u32::MAX);
    // Smaller: each pixel is the mean of those that it covers. Larger: soft, so that steps become slopes,
    // which the threshold turns into smooth edges.
    let filter = if across < source.width() {
        imageops::FilterType::Triangle
    } else {
        imageops::FilterType::CatmullRom
    };
    let left = (place.left_mm * setup.columns_per_mm()).round().max(0.0) as usize;
    let left = left.min((setup.width - across) as usize);
    let most = setup.height();
    if place.cut_mm.is_none() {
        let scaled = imageops::resize(&source, across, down.min(most), filter);
        return vec![part(scaled.as_raw(), across as usize, left, 0, setup)];
    }
    // Part by part: the whole would take sixteen times its pixels in memory.
    let ratio = f64::from(down) / f64::from(source.height());
    let rows_in = |rows: f64| (rows.round() as u32).max(1);
    let (mut at, mut parts) = (0, Vec::new());
    while at < source.height() {
        let margin = if parts.is_empty() {
            0
        } else {
            (CONTINUED_MM * setup.rows_per_mm()) as u32
        };
        let room = most - margin;
        let left_over = source.height() - at;
        let taken = rows_in(f64::from(room) / ratio).min(left_over);
        let here = imageops::crop_imm(&source, 0, at, source.width(), taken).to_image();
        let down = rows_in(f64::from(taken) * ratio).min(room);
        let scaled = imageops::resize(&here, across, down, filter);
        let mut rows = scaled.as_raw().as_slice();
        let mut used = taken;
        if taken < left_over {
            let gap = setup.rows_per_mm() as usize;
            let end = cut_at(across as usize, rows, gap);
            rows = &rows[..end * across as usize];
            used = rows_in(end as f64 / ratio).min(taken);
        }
        parts.push(part(rows, across as usize, left, margin as usize, setup));
        at += used;
    }
    parts
}

/// Rows of a picture on a page of their own.
fn part(rows: &[u8], across: usize, left: usize, top: usize, setup: &PageSetup) -> Bitmap {
    let mut page = Grey::white(setup.width as usize, setup.height() as usize);
    for (y, row) in rows.chunks_exact(across).enumerate() {
        page.data[(top + y) * page.width + left..][..across].copy_from_slice(row);
    }
    let span = Span {
        columns: left..left + across,
        rows: top..top + rows.len() / across,
    };
    bilevel::to_bitmap(&page, setup, |layers| layers.with_picture(span))
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
    // A fax page stays one page.
    let setup = &PageSetup {
        fit: Fit {
            long: Long::Shrink,
            ..setup.fit
        },
        ..*setup
    };
    let mut parts = picture(
        &Picture {
            grey: decode::from_bitmap(&bitmap),
            dpi: Some((f64::from(x), f64::from(y))),
        },
        setup,
    );
    Ok(parts.swap_remove(0))
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

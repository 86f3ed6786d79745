//! A fax's pages as files: PDF and TIFF with the line's own coding, or a picture of each page.

use std::{collections::BTreeMap, sync::Arc};

use anyhow::Context as _;
use faxpost_t4::{Bitmap, FaxPage, Turn, decode_tolerant, pdf, tiff};
use image::codecs::jpeg::{JpegEncoder, PixelDensity};
use lopdf::{
    Document, EncryptionState, EncryptionVersion, Permissions,
    encryption::crypt_filters::{Aes256CryptFilter, CryptFilter},
};
use zeroize::Zeroizing;

use crate::{
    letter::{self, File},
    numbers::Form,
};

/// Pixels an inch of a PNG: those of the fax across, so that only rows are changed.
const PNG_DPI: u16 = 204;
/// Pixels an inch of a JPEG: three quarters of the fax's. In grey they show as much.
const JPEG_DPI: u16 = 153;
/// JPEG's quality: letters have no rings around them yet.
const JPEG_QUALITY: u8 = 80;
/// Pixels of one mail's pictures: 40 pages of A4 as PNG. More go in several mails, as drawing and opening them takes
/// as long as they are large.
const PICTURES: u64 = 40 * 1728 * 2387;

/// A page of the fax.
#[derive(Clone, Debug)]
pub(super) struct Page {
    /// From 1.
    pub number: u32,
    pub page: FaxPage,
    /// Rows that came damaged.
    pub bad_rows: usize,
    /// How it is turned to be read.
    pub turn: Turn,
    /// The words that were read on it.
    pub words: Vec<pdf::Word>,
}

/// What the files say of themselves.
#[derive(Clone, Debug, Default)]
pub(super) struct Title {
    pub title: String,
    /// The sender's number.
    pub author: String,
    /// What was called.
    pub subject: String,
    /// When the fax came, seconds since 1970.
    pub created: Option<i64>,
}

/// Whether each page is a picture, which takes a processor longer than all else.
pub(super) fn is_pictures(form: Form) -> bool {
    matches!(form, Form::Png | Form::Jpeg)
}

/// The most pixels of one mail.
pub(super) fn most_pixels(form: Form) -> u64 {
    if is_pictures(form) {
        PICTURES
    } else {
        u64::MAX
    }
}

/// The pixels of a page's picture, before it is made; of other forms none.
pub(super) fn pixels(form: Form, page: &Page) -> u64 {
    if !is_pictures(form) {
        return 0;
    }
    // The fax's columns, with as many rows to the inch. A JPEG is made of the same pixels.
    let down = f64::from(page.page.resolution.dpi().1);
    let rows = (page.page.height as f64 * f64::from(PNG_DPI) / down).ceil();
    (page.page.width as f64 * rows) as u64
}

/// The pages in a form; a notice has none.
pub(super) fn files(
    form: Form,
    pages: &[Page],
    title: &Title,
    password: Option<&[u8]>,
) -> anyhow::Result<Vec<File>> {
    let one = |media_type, ending, bytes| File {
        media_type,
        ending,
        page: None,
        bytes,
    };
    Ok(match form {
        Form::Pdf | Form::PdfA => {
            let bytes = portable(form, pages, title, password)?;
            vec![one("application/pdf", "pdf", bytes)]
        }
        Form::Tiff => vec![one("image/tiff", "tif", fax_file(pages, title)?)],
        Form::T37 => vec![one(letter::FAX_FILE, "tif", internet_fax(pages, title)?)],
        Form::Png | Form::Jpeg => pages
            .iter()
            .map(|page| picture(form, page))
            .collect::<anyhow::Result<_>>()?,
        Form::Notice => Vec::new(),
    })
}

/// The picture of one page.
pub(super) fn picture(form: Form, page: &Page) -> anyhow::Result<File> {
    let (media_type, ending, bytes) = match form {
        Form::Png => ("image/png", "png", png(page)?),
        _ => ("image/jpeg", "jpg", jpeg(page)?),
    };
    Ok(File {
        media_type,
        ending,
        page: Some(page.number),
        bytes,
    })
}

fn portable(
    form: Form,
    pages: &[Page],
    title: &Title,
    password: Option<&[u8]>,
) -> anyhow::Result<Vec<u8>> {
    let sheets: Vec<pdf::Sheet<'_>> = pages
        .iter()
        .map(|page| pdf::Sheet {
            page: &page.page,
            turn: page.turn,
            words: &page.words,
        })
        .collect();
    let info = pdf::PdfInfo {
        title: title.title.clone(),
        author: title.author.clone(),
        subject: title.subject.clone(),
        creator: "faxpost".into(),
        created: title.created,
        archive: form == Form::PdfA,
    };
    let plain = pdf::wrap_sheets(&sheets, &info);
    match password {
        Some(password) => encrypted(&plain, password),
        None => Ok(plain),
    }
}

/// AES-256, revision 6 (ISO 32000-2 §7.6.4.3.3), with a key of its own for each file. Who has the password may do
/// everything with it, so the owner's is the same.
fn encrypted(plain: &[u8], password: &[u8]) -> anyhow::Result<Vec<u8>> {
    let password = std::str::from_utf8(password).context("a password that is no text")?;
    let mut document = Document::load_mem(plain)?;
    document.version = "2.0".to_owned();
    let mut key = Zeroizing::new([0; 32]);
    getrandom::fill(key.as_mut_slice())
        .map_err(|error| anyhow::anyhow!("no random key: {error}"))?;
    let filter: Arc<dyn CryptFilter> = Arc::new(Aes256CryptFilter);
    let version = EncryptionVersion::V5 {
        encrypt_metadata: true,
        crypt_filters: BTreeMap::from([(b"StdCF".to_vec(), filter)]),
        file_encryption_key: key.as_slice(),
        stream_filter: b"StdCF".to_vec(),
        string_filter: b"StdCF".to_vec(),
        owner_password: password,
        user_password: password,
        permissions: Permissions::all(),
    };
    let state = EncryptionState::try_from(version)?;
    document.encrypt(&state)?;
    let mut out = Vec::with_capacity(plain.len() + 4096);
    document.save_to(&mut out)?;
    Ok(out)
}

/// Profile S, which every internet fax machine reads; pages that can't be so keep their own coding (profile F).
fn internet_fax(pages: &[Page], title: &Title) -> anyhow::Result<Vec<u8>> {
    let plain: Vec<FaxPage> = pages.iter().map(|page| page.page.clone()).collect();
    match tiff::write_minimal(&plain) {
        Ok(file) => Ok(file),
        Err(tiff::TiffError::Minimal) => fax_file(pages, title),
        Err(error) => Err(error.into()),
    }
}

fn fax_file(pages: &[Page], title: &Title) -> anyhow::Result<Vec<u8>> {
    // A page whose coding is damaged stays as it is: it can't be turned.
    let turned: Vec<FaxPage> = pages
        .iter()
        .map(|page| {
            page.page
                .turned(page.turn)
                .unwrap_or_else(|_| page.page.clone())
        })
        .collect();
    let sheets: Vec<tiff::Sheet<'_>> = turned
        .iter()
        .zip(pages)
        .map(|(page, was)| tiff::Sheet {
            page,
            bad_rows: Some(was.bad_rows),
        })
        .collect();
    let info = tiff::TiffInfo {
        description: title.title.clone(),
        software: "faxpost".into(),
        created: title.created,
        profile: true,
    };
    Ok(tiff::write_sheets(&sheets, &info)?)
}

/// The page's pixels; rows that can't be decoded are as the row above.
pub(super) fn bitmap(page: &FaxPage) -> Bitmap {
    page.decode().unwrap_or_else(|_| {
        let (bitmap, _) = decode_tolerant(&page.data, page.coding, page.width, Some(page.height));
        bitmap
    })
}

fn png(page: &Page) -> anyhow::Result<Vec<u8>> {
    let square = bitmap(&page.page)
        .to_square(page.page.resolution)
        .turned(page.turn);
    Ok(letter::square_png(&square, PNG_DPI)?)
}

fn jpeg(page: &Page) -> anyhow::Result<Vec<u8>> {
    let (bitmap, resolution) = (bitmap(&page.page), page.page.resolution);
    let (width, height, grey) = match page.turn {
        Turn::None => bitmap.to_grey(resolution, JPEG_DPI),
        turn => bitmap
            .to_square(resolution)
            .turned(turn)
            .to_grey_square(JPEG_DPI),
    };
    let size = |n: usize| u16::try_from(n).context("a page of more pixels than a JPEG has");
    let (width, height) = (size(width)?, size(height)?);
    let mut out = Vec::new();
    let mut encoder = JpegEncoder::new_with_quality(&mut out, JPEG_QUALITY);
    encoder.set_pixel_density(PixelDensity::dpi(JPEG_DPI));
    encoder.encode(
        &grey,
        width.into(),
        height.into(),
        image::ExtendedColorType::L8,
    )?;
    Ok(out)
}

#[cfg(test)]
mod tests;

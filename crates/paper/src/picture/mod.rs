//! Pictures: JPEG, PNG, GIF, WebP, BMP and TIFF files, laid on pages.
//!
//! A picture is as large on paper as its density says and is made smaller where it doesn't fit, never
//! larger; a landscape one is turned. Fax pages in a TIFF file go through as they are when they have our
//! width and resolution. `decode` reads files, `density` what they say of their size, `size` how many pixels
//! they have, `lay` puts pixels on the page.

mod decode;
mod density;
mod lay;
mod size;
#[cfg(test)]
mod tests;

use faxpost_t4::tiff;

use crate::{Limits, Note, PageSetup, PaperError, Reason, Rendered, code, sheets::Sheets};

/// Pixels of a picture that only tells a sender that its mail was opened, at most.
const DOT: usize = 100;

/// Whether a picture of that size within a mail's text is a logo or a signature: smaller than about half a
/// phone's screen, or a small band. What is pasted to be read (a photo, a picture of a screen) is larger.
fn is_ornament(width: usize, height: usize) -> bool {
    const SMALL: usize = 150_000;
    const BAND: usize = 400_000;
    let (pixels, long, short) = (width * height, width.max(height), width.min(height));
    pixels < SMALL || (pixels < BAND && long * 2 > short * 7)
}

/// Whether a file is a picture that a text shows as an ornament. Only its header is read; one whose size is
/// not found there is none.
pub(crate) fn is_ornament_file(bytes: &[u8]) -> bool {
    let size = Format::of(bytes).and_then(|format| size::of(bytes, format));
    size.is_some_and(|(width, height)| is_ornament(width, height))
}

/// What a file is, by its first octets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    Jpeg,
    Png,
    Gif,
    WebP,
    Bmp,
    Tiff,
}

impl Format {
    /// The format of a file that begins so.
    pub fn of(bytes: &[u8]) -> Option<Self> {
        match bytes {
            [0xFF, 0xD8, 0xFF, ..] => Some(Self::Jpeg),
            [0x89, b'P', b'N', b'G', ..] => Some(Self::Png),
            [b'G', b'I', b'F', b'8', ..] => Some(Self::Gif),
            [
                b'R',
                b'I',
                b'F',
                b'F',
                _,
                _,
                _,
                _,
                b'W',
                b'E',
                b'B',
                b'P',
                ..,
            ] => Some(Self::WebP),
            [b'B', b'M', ..] => Some(Self::Bmp),
            [b'I', b'I', 42, 0, ..] | [b'M', b'M', 0, 42, ..] => Some(Self::Tiff),
            _ => None,
        }
    }
}

/// A picture that was read: grey on white, the right way up.
pub(crate) struct Picture {
    pub grey: crate::grey::Grey,
    /// Pixels an inch, across and down, where the file says so.
    pub dpi: Option<(f64, f64)>,
}

/// The first picture of a file, for a place within a text.
pub(crate) fn first(bytes: &[u8], most_pixels: u64) -> Option<crate::grey::Grey> {
    let format = Format::of(bytes)?;
    let mut pictures = decode::open(bytes, format, most_pixels).ok()?;
    pictures.next().ok().map(|picture| picture.grey)
}

/// As [`first`], with what is wrong with the file.
pub(crate) fn one(
    name: &str,
    bytes: &[u8],
    most_pixels: u64,
) -> Result<crate::grey::Grey, PaperError> {
    let format = Format::of(bytes).ok_or_else(|| PaperError::Unsupported {
        name: name.to_owned(),
        reason: Reason::NotPicture,
    })?;
    let read = decode::open(bytes, format, most_pixels).and_then(|mut all| all.next());
    read.map(|picture| picture.grey)
        .map_err(|error| error.of(name))
}

pub(crate) fn render(
    name: &str,
    bytes: &[u8],
    shown: bool,
    setup: &PageSetup,
    limits: &Limits,
    progress: &mut dyn FnMut(u32, u32),
) -> Result<Rendered, PaperError> {
    if bytes.is_empty() {
        return Err(PaperError::Empty {
            name: name.to_owned(),
        });
    }
    let damaged = |reason| PaperError::Damaged {
        name: name.to_owned(),
        reason,
    };
    let format = Format::of(bytes).ok_or_else(|| PaperError::Unsupported {
        name: name.to_owned(),
        reason: Reason::NotPicture,
    })?;
    let too_many = || PaperError::TooManyPages {
        name: name.to_owned(),
        limit: limits.max_pages,
    };
    if format == Format::Tiff
        && let Ok(pages) = tiff::read(bytes)
    {
        let total = u32::try_from(pages.len()).unwrap_or(u32::MAX);
        if total > limits.max_pages {
            return Err(too_many());
        }
        let mut done = Vec::with_capacity(pages.len());
        for (number, page) in (1..).zip(pages) {
            let laid = lay::fax_page(&page, setup).map_err(|_| damaged(Reason::Broken))?;
            done.push(code(&laid, setup));
            progress(number, total);
        }
        return Ok(Rendered {
            pages: done,
            notes: Vec::new(),
        });
    }
    let mut notes = Vec::new();
    let mut sheets = Sheets::new(name, setup, limits);
    let mut pictures =
        decode::open(bytes, format, limits.max_pixels).map_err(|error| error.of(name))?;
    let total = pictures.count().map_err(|error| error.of(name))?;
    if total > limits.max_pages {
        return Err(too_many());
    }
    if pictures.moves() {
        notes.push(Note::Animation);
    }
    for number in 1..=total {
        let picture = pictures.next().map_err(|error| error.of(name))?;
        let (width, height) = (picture.grey.width, picture.grey.height);
        if total == 1 && (width * height <= DOT || shown && is_ornament(width, height)) {
            notes.push(Note::LeftOut);
            break;
        }
        let parts = lay::picture(&picture, setup);
        if parts.len() > 1 {
            notes.push(Note::Cut {
                page: number,
                parts: parts.len() as u32,
            });
        }
        for part in &parts {
            sheets.take(part, number, true)?;
        }
        progress(number, total);
    }
    Ok(sheets.finish(notes))
}

//! TIFF-F: fax pages in a TIFF file (RFC 2306; RFC 3949 profiles S and F).

mod read;
#[cfg(test)]
mod tests;
mod write;

pub use read::{MAX_PAGES, MAX_ROWS, Scan, read, read_last, read_scans};
pub use write::{Sheet, TiffInfo, write, write_minimal, write_received, write_sheets};

use crate::DecodeError;

/// Tag numbers (TIFF 6.0 §8 and §11; RFC 3949 §3 and §4).
mod tag {
    pub const NEW_SUBFILE_TYPE: u16 = 254;
    pub const IMAGE_WIDTH: u16 = 256;
    pub const IMAGE_LENGTH: u16 = 257;
    pub const BITS_PER_SAMPLE: u16 = 258;
    pub const COMPRESSION: u16 = 259;
    pub const PHOTOMETRIC: u16 = 262;
    pub const FILL_ORDER: u16 = 266;
    pub const IMAGE_DESCRIPTION: u16 = 270;
    pub const STRIP_OFFSETS: u16 = 273;
    pub const ORIENTATION: u16 = 274;
    pub const SAMPLES_PER_PIXEL: u16 = 277;
    pub const ROWS_PER_STRIP: u16 = 278;
    pub const STRIP_BYTE_COUNTS: u16 = 279;
    pub const X_RESOLUTION: u16 = 282;
    pub const Y_RESOLUTION: u16 = 283;
    pub const T4_OPTIONS: u16 = 292;
    pub const T6_OPTIONS: u16 = 293;
    pub const RESOLUTION_UNIT: u16 = 296;
    pub const PAGE_NUMBER: u16 = 297;
    pub const SOFTWARE: u16 = 305;
    pub const DATE_TIME: u16 = 306;
    pub const BAD_FAX_LINES: u16 = 326;
    pub const CLEAN_FAX_DATA: u16 = 327;
    pub const CONSECUTIVE_BAD_FAX_LINES: u16 = 328;
    pub const GLOBAL_PARAMETERS: u16 = 400;
    pub const PROFILE_TYPE: u16 = 401;
    pub const FAX_PROFILE: u16 = 402;
    pub const CODING_METHODS: u16 = 403;
}

/// Field types (TIFF 6.0 §2).
mod field {
    pub const BYTE: u16 = 1;
    pub const ASCII: u16 = 2;
    pub const SHORT: u16 = 3;
    pub const LONG: u16 = 4;
    pub const RATIONAL: u16 = 5;
}

/// Why a TIFF file can't be read or written.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum TiffError {
    /// The file doesn't begin as a TIFF file does.
    #[error("this is not a TIFF file")]
    NotTiff,
    /// A TIFF file with 64-bit offsets.
    #[error("BigTIFF files are not supported")]
    BigTiff,
    /// A TIFF file must have a page.
    #[error("the TIFF file has no page")]
    NoPages,
    /// More directories than [`MAX_PAGES`].
    #[error("the TIFF file has more than {MAX_PAGES} pages")]
    TooManyPages,
    /// A directory points back to one before it.
    #[error("the TIFF file's directories run in a circle")]
    Circle,
    /// The pages don't fit 32-bit offsets, or 16-bit page numbers.
    #[error("the pages are too many or too large for a TIFF file")]
    TooLarge,
    /// A page that profile S can't have.
    #[error("profile S has pages of 1728 pixels, standard or fine")]
    Minimal,
    /// A page is at fault.
    #[error("page {page}: {fault}")]
    Page {
        /// The directory's place, 1 for the first.
        page: usize,
        /// What is wrong with it.
        fault: PageFault,
    },
}

/// What is wrong with a page of a TIFF file.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum PageFault {
    /// Something lies outside the file.
    #[error("the file ends before the page does")]
    OutOfFile,
    /// A tag that must be there isn't.
    #[error("tag {0} is missing")]
    Missing(u16),
    /// A tag's type or number of values isn't what TIFF says.
    #[error("tag {0} is malformed")]
    Malformed(u16),
    /// A value that is no fax page's, or no value at all.
    #[error("value {value} of tag {tag} is not supported")]
    Unsupported {
        /// The tag.
        tag: u16,
        /// Its value.
        value: u32,
    },
    /// Not one of the fax resolutions, within a twentieth.
    #[error("{x:.0} x {y:.0} pixels an inch is no fax resolution")]
    Resolution {
        /// Pixels an inch across.
        x: f64,
        /// Pixels an inch down.
        y: f64,
    },
    /// Wider than [`MAX_WIDTH`](crate::MAX_WIDTH) or longer than [`MAX_HEIGHT`](crate::MAX_HEIGHT),
    /// or nothing at all.
    #[error("{width} x {height} pixels is no fax page")]
    Size {
        /// Pixels across.
        width: u32,
        /// Rows.
        height: u32,
    },
    /// Pages that share their pixels' bytes are a way to make a small file large.
    #[error("the pages' data overlaps")]
    Overlap,
    /// More rows to decode in a file than [`MAX_ROWS`].
    #[error("the file has more than {MAX_ROWS} rows")]
    TooManyRows,
    /// Pixels that had to be decoded (several strips, or not coded as fax) can't be.
    #[error("strip {strip}: {error}")]
    Strip {
        /// The strip, 0 at the top.
        strip: usize,
        /// Why.
        error: DecodeError,
    },
}

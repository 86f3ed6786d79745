//! The bi-level page of a fax: bitmaps, the T.4 and T.6 codings, TIFF-F and PDF wrapping.
//!
//! No unsafe code, no input or output: bytes in, bytes out.
#![forbid(unsafe_code)]

mod bitmap;
mod page;

pub use bitmap::Bitmap;
pub use page::{Coding, FaxPage, Resolution};

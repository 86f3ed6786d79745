//! The bi-level page of a fax: bitmaps, the T.4 and T.6 codings, TIFF-F and PDF wrapping.
//!
//! No unsafe code, no input or output: bytes in, bytes out.
#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod bitmap;
mod bits;
mod changes;
mod codes;
mod date;
mod decode;
mod encode;
mod page;
pub mod pdf;
mod preview;
mod scale;
mod splice;
#[cfg(test)]
mod testing;
pub mod tiff;
mod tolerant;
mod turn;

pub use bitmap::Bitmap;
pub use decode::{DecodeError, MAX_HEIGHT, MAX_WIDTH, Reason, decode};
pub use encode::{EncodeOptions, encode, encode_with};
pub use page::{Coding, FaxPage, Resolution};
pub use tolerant::{Damage, MAX_LISTED, decode_tolerant};
pub use turn::Turn;

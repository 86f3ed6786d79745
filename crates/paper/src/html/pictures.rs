//! The pictures of an HTML text: those that came with it. Nothing is fetched, ever.

use image::{GrayImage, imageops};

use crate::{Limits, grey::Grey, picture};

/// Pictures that are drawn, at most, and pixels of all of them: a worker's memory is bounded.
const MOST_PICTURES: usize = 60;
const MOST_PIXELS: u64 = 120_000_000;
/// A picture is kept no wider than the page, pixels at superfine's width.
const WIDEST: u32 = 1728;

/// A picture that came with the text.
#[derive(Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Enclosed {
    /// Its Content-ID, without angle brackets (RFC 2392).
    pub id: String,
    /// The file; empty when it is known and left out, and nothing is to be said of it here.
    pub bytes: Vec<u8>,
}

impl std::fmt::Debug for Enclosed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Enclosed({:?}, {} octets)", self.id, self.bytes.len())
    }
}

/// The pictures as the text asks for them.
pub(super) struct Pictures<'a> {
    enclosed: &'a [Enclosed],
    limits: &'a Limits,
    pub drawn: Vec<Ready>,
    pixels: u64,
    /// That the web would have.
    pub remote: u32,
    /// That could not be read, or were not enclosed.
    pub missing: u32,
}

/// A picture that was read.
pub(super) struct Ready {
    /// The `src` that it was found by.
    source: String,
    pub grey: Grey,
    /// Pixels across and down, of the file.
    pub size: (usize, usize),
}

impl<'a> Pictures<'a> {
    pub fn new(enclosed: &'a [Enclosed], limits: &'a Limits) -> Self {
        Self {
            enclosed,
            limits,
            drawn: Vec::new(),
            pixels: 0,
            remote: 0,
            missing: 0,
        }
    }

    /// The picture that `src` names, read, as its place in `drawn`; none that must be fetched.
    pub fn find(&mut self, src: &str) -> Option<usize> {
        let scheme = src
            .split(':')
            .next()
            .unwrap_or_default()
            .to_ascii_lowercase();
        let bytes = match scheme.as_str() {
            "cid" => {
                let id = unescaped(&src[4..]);
                let same = |enclosed: &&Enclosed| enclosed.id.eq_ignore_ascii_case(&id);
                let found = self.enclosed.iter().find(same);
                if found.is_some_and(|enclosed| enclosed.bytes.is_empty()) {
                    return None;
                }
                found.map(|enclosed| enclosed.bytes.clone())
            }
            "data" => data(&src[5..]),
            "http" | "https" => {
                self.remote += 1;
                return None;
            }
            // "//host/…", and names of files that nobody has.
            _ if src.starts_with("//") => {
                self.remote += 1;
                return None;
            }
            _ => None,
        };
        if let Some(known) = self.drawn.iter().position(|ready| ready.source == src) {
            return Some(known);
        }
        let ready = bytes.and_then(|bytes| self.read(src, &bytes));
        match ready {
            Some(ready) => {
                self.drawn.push(ready);
                Some(self.drawn.len() - 1)
            }
            None => {
                self.missing += 1;
                None
            }
        }
    }

    fn read(&mut self, src: &str, bytes: &[u8]) -> Option<Ready> {
        if self.drawn.len() >= MOST_PICTURES {
            return None;
        }
        let left = MOST_PIXELS
            .saturating_sub(self.pixels)
            .min(self.limits.max_pixels);
        let grey = picture::first(bytes, left)?;
        let size = (grey.width, grey.height);
        self.pixels += (size.0 * size.1) as u64;
        Some(Ready {
            source: src.to_owned(),
            grey: narrowed(grey),
            size,
        })
    }
}

/// No more pixels than a page has: each is the mean of those that it covers.
fn narrowed(grey: Grey) -> Grey {
    let (width, height) = (grey.width as u32, grey.height as u32);
    if width <= WIDEST {
        return grey;
    }
    let down = (u64::from(height) * u64::from(WIDEST) / u64::from(width)).max(1) as u32;
    match GrayImage::from_raw(width, height, grey.data) {
        Some(image) => Grey {
            width: WIDEST as usize,
            height: down as usize,
            data: imageops::resize(&image, WIDEST, down, imageops::FilterType::Triangle).into_raw(),
        },
        None => unreachable!("a grey picture has a byte a pixel"),
    }
}

/// `%40` and the like.
fn unescaped(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, others @ ..] = rest {
        let hex = |b: u8| (b as char).to_digit(16).map(|digit| digit as u8);
        if let (b'%', [high, low, behind @ ..]) = (first, others)
            && let (Some(high), Some(low)) = (hex(*high), hex(*low))
        {
            out.push(high << 4 | low);
            rest = behind;
        } else {
            out.push(*first);
            rest = others;
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// What a `data:` address holds, in base64 (RFC 2397); pictures are never written otherwise.
fn data(address: &str) -> Option<Vec<u8>> {
    let (kind, text) = address.split_once(',')?;
    if !kind.to_ascii_lowercase().trim_end().ends_with(";base64") {
        return None;
    }
    let mut out = Vec::with_capacity(text.len() / 4 * 3);
    let (mut bits, mut held) = (0u32, 0);
    for byte in unescaped(text).bytes() {
        let value = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' | b'-' => 62,
            b'/' | b'_' => 63,
            b'=' => break,
            _ if byte.is_ascii_whitespace() => continue,
            _ => return None,
        };
        bits = bits << 6 | u32::from(value);
        held += 6;
        if held >= 8 {
            held -= 8;
            out.push((bits >> held) as u8);
        }
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_addresses_hold_base64() {
        assert_eq!(data("image/png;base64,aGVsbG8="), Some(b"hello".to_vec()));
        assert_eq!(
            data("image/png;base64,aGVs%0A bG8"),
            Some(b"hello".to_vec())
        );
        assert_eq!(data("image/png,hello"), None);
        assert_eq!(data("image/png;base64,a*"), None);
        assert_eq!(data(""), None);
    }

    #[test]
    fn escapes_are_undone() {
        assert_eq!(unescaped("a%40b%"), "a@b%");
        assert_eq!(unescaped("100%25%zz"), "100%%zz");
    }
}

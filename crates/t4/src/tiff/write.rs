//! Writing.

use super::{TiffError, field, tag};
use crate::{Coding, Damage, FaxPage, date};

/// What a TIFF file says of itself. Empty text is left out; other than ASCII becomes question marks (TIFF 6.0 §2).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TiffInfo {
    /// What it is.
    pub description: String,
    /// What made it.
    pub software: String,
    /// When, in seconds since 1970 (UTC).
    pub created: Option<i64>,
    /// The file says what it is of: the profile and the codings (RFC 3949 §2.2.4 and §4.4).
    pub profile: bool,
}

/// A page as it is handed on.
#[derive(Clone, Copy, Debug)]
pub struct Sheet<'a> {
    /// What came over the line; its rows go into the file as they are.
    pub page: &'a FaxPage,
    /// How many of its rows came damaged (BadFaxLines, of MH and MR pages).
    pub bad_rows: Option<usize>,
}

/// A TIFF file of profile S (its bits in the order of the line, RFC 3949 §3), the one that every internet fax machine reads (RFC 3949 §3, RFC 3965 §3): MH, 1728 pixels
/// wide, the least significant bit first. Pages are coded anew where they came in another coding.
///
/// # Errors
/// As [`write()`]; [`TiffError::Minimal`] for pages that can't be so: of another width, or finer than fine.
pub fn write_minimal(pages: &[FaxPage]) -> Result<Vec<u8>, TiffError> {
    let mut all = Vec::with_capacity(pages.len());
    for page in pages {
        let (_, y_dpi) = page.resolution.dpi();
        if page.width != 1728 || y_dpi > 200.0 {
            return Err(TiffError::Minimal);
        }
        let bitmap = page.decode().map_err(|_| TiffError::Minimal)?;
        all.push(FaxPage::encode(&bitmap, page.resolution, Coding::Mh));
    }
    write_all(
        all.iter().map(|page| (page, None)),
        &TiffInfo::default(),
        true,
    )
}

/// What is said of a page's damage.
#[derive(Clone, Copy)]
struct Bad {
    rows: usize,
    longest_run: Option<usize>,
}

/// A TIFF-F file of all pages: one strip a page, most significant bit first, little endian.
///
/// # Errors
/// No pages, or more than a TIFF file can hold.
pub fn write(pages: &[FaxPage]) -> Result<Vec<u8>, TiffError> {
    let plain = |page| (page, None);
    write_all(pages.iter().map(plain), &TiffInfo::default(), false)
}

/// [`write()`] for pages from the line, which tells with each MH and MR page how it came (RFC 3949
/// §4.3: BadFaxLines, CleanFaxData, ConsecutiveBadFaxLines).
///
/// # Errors
/// As [`write()`].
pub fn write_received(pages: &[(FaxPage, Damage)]) -> Result<Vec<u8>, TiffError> {
    let told = |(page, damage): &'_ (FaxPage, Damage)| Bad {
        rows: damage.rows,
        longest_run: Some(damage.longest_run).filter(|_| page.coding != Coding::Mmr),
    };
    let all = pages.iter().map(|both| (&both.0, Some(told(both))));
    write_all(all, &TiffInfo::default(), false)
}

/// As [`write()`], with what the file says of itself and its pages.
///
/// # Errors
/// As [`write()`].
pub fn write_sheets(sheets: &[Sheet<'_>], info: &TiffInfo) -> Result<Vec<u8>, TiffError> {
    let one = |sheet: &Sheet<'_>| {
        sheet.bad_rows.map(|rows| Bad {
            rows,
            longest_run: None,
        })
    };
    let all = sheets.iter().map(|sheet| (sheet.page, one(sheet)));
    write_all(all, info, false)
}

fn write_all<'a>(
    pages: impl ExactSizeIterator<Item = (&'a FaxPage, Option<Bad>)> + Clone,
    info: &TiffInfo,
    least_first: bool,
) -> Result<Vec<u8>, TiffError> {
    let count = u16::try_from(pages.len()).map_err(|_| TiffError::TooLarge)?;
    if count == 0 {
        return Err(TiffError::NoPages);
    }
    let profile = info
        .profile
        .then(|| profile(pages.clone().map(|(page, ..)| page)));
    let mut out = b"II\x2A\0\x08\0\0\0".to_vec();
    for (number, (page, bad)) in (0..count).zip(pages) {
        let place = Place { number, count };
        // What the file says of itself stands with its first page.
        let said = (number == 0).then_some((info, profile.as_deref()));
        let strip =
            write_page(&mut out, page, bad, place, said, least_first).ok_or(TiffError::TooLarge)?;
        if least_first {
            for octet in &mut out[strip] {
                *octet = octet.reverse_bits();
            }
        }
    }
    Ok(out)
}

/// The directory of global parameters (RFC 3949 §2.2.4), without where it stands.
fn profile<'a>(pages: impl Iterator<Item = &'a FaxPage> + Clone) -> Vec<u8> {
    let is_minimal = |page: &FaxPage| page.coding == Coding::Mh && page.width == 1728;
    // 1: S, MH alone; 2: F.
    let kind = if pages.clone().all(is_minimal) { 1 } else { 2 };
    // RFC 3949 §4.2.1: bit 1 MH, bit 2 MR, bit 3 MMR.
    let codings = pages.fold(0, |all, page| {
        all | match page.coding {
            Coding::Mh => 0b10,
            Coding::Mr { .. } => 0b100,
            Coding::Mmr => 0b1000,
        }
    });
    let entries = [
        // Group 3 facsimile.
        Entry(tag::PROFILE_TYPE, field::LONG, 1, 1),
        Entry(tag::FAX_PROFILE, field::BYTE, 1, kind),
        Entry(tag::CODING_METHODS, field::LONG, 1, codings),
    ];
    let mut out = (entries.len() as u16).to_le_bytes().to_vec();
    for entry in entries {
        entry.write(&mut out);
    }
    out.extend(0u32.to_le_bytes());
    out
}

/// Which page of how many.
#[derive(Clone, Copy)]
struct Place {
    number: u16,
    count: u16,
}

/// Appends the directory, its values and the strip, and says where that is; `None` where 32 bits are too few.
fn write_page(
    out: &mut Vec<u8>,
    page: &FaxPage,
    bad: Option<Bad>,
    Place { number, count }: Place,
    said: Option<(&TiffInfo, Option<&[u8]>)>,
    least_first: bool,
) -> Option<std::ops::Range<usize>> {
    let (x_dpi, y_dpi) = page.resolution.dpi();
    let (compression, options_tag, options) = match page.coding {
        Coding::Mh => (3, tag::T4_OPTIONS, 0),
        Coding::Mr { .. } => (3, tag::T4_OPTIONS, 1),
        Coding::Mmr => (4, tag::T6_OPTIONS, 0),
    };
    let short = |tag, value: u16| Entry(tag, field::SHORT, 1, u32::from(value));
    let long = |tag, value| Entry(tag, field::LONG, 1, value);
    let height = u32::try_from(page.height).ok()?;
    let mut entries = vec![
        // A page of several (bit 1).
        long(tag::NEW_SUBFILE_TYPE, 2),
        long(tag::IMAGE_WIDTH, u32::try_from(page.width).ok()?),
        long(tag::IMAGE_LENGTH, height),
        short(tag::BITS_PER_SAMPLE, 1),
        short(tag::COMPRESSION, compression),
        // 0 is white.
        short(tag::PHOTOMETRIC, 0),
        short(tag::FILL_ORDER, 1 + u16::from(least_first)),
        long(tag::STRIP_OFFSETS, 0),
        short(tag::ORIENTATION, 1),
        short(tag::SAMPLES_PER_PIXEL, 1),
        long(tag::ROWS_PER_STRIP, height),
        long(tag::STRIP_BYTE_COUNTS, u32::try_from(page.data.len()).ok()?),
        Entry(tag::X_RESOLUTION, field::RATIONAL, 1, 0),
        Entry(tag::Y_RESOLUTION, field::RATIONAL, 1, 0),
        long(options_tag, options),
        // Inches.
        short(tag::RESOLUTION_UNIT, 2),
        Entry(
            tag::PAGE_NUMBER,
            field::SHORT,
            2,
            u32::from(number) | u32::from(count) << 16,
        ),
    ];
    if let Some(bad) = bad.filter(|_| page.coding != Coding::Mmr) {
        let rows = |rows| u32::try_from(rows).unwrap_or(u32::MAX);
        // Damaged rows are there, but made by the receiver: CleanFaxData 1.
        let regenerated = u16::from(bad.rows > 0);
        entries.push(long(tag::BAD_FAX_LINES, rows(bad.rows)));
        entries.push(short(tag::CLEAN_FAX_DATA, regenerated));
        let longest = bad.longest_run.map(rows);
        entries.extend(longest.map(|run| long(tag::CONSECUTIVE_BAD_FAX_LINES, run)));
    }
    // What is longer than an entry's four bytes, in the order of the tags.
    let mut longer: Vec<(u16, Vec<u8>)> = vec![
        (tag::X_RESOLUTION, ratio(x_dpi)),
        (tag::Y_RESOLUTION, ratio(y_dpi)),
    ];
    if let Some((info, profile)) = said {
        for (tag, text) in [
            (tag::IMAGE_DESCRIPTION, info.description.clone()),
            (tag::SOFTWARE, info.software.clone()),
            (
                tag::DATE_TIME,
                info.created.and_then(date::colons).unwrap_or_default(),
            ),
        ] {
            if !text.is_empty() {
                let text = ascii(&text);
                entries.push(Entry(tag, field::ASCII, u32::try_from(text.len()).ok()?, 0));
                longer.push((tag, text));
            }
        }
        if let Some(profile) = profile {
            entries.push(long(tag::GLOBAL_PARAMETERS, 0));
            longer.push((tag::GLOBAL_PARAMETERS, profile.to_vec()));
        }
    }
    entries.sort_by_key(|entry| entry.0);
    // Each begins on an even offset (TIFF 6.0 §2), as the directories do.
    let mut at = out.len() + 2 + 12 * entries.len() + 4;
    let mut values = Vec::new();
    for (tag, bytes) in longer {
        let entry = entries.iter_mut().find(|entry| entry.0 == tag)?;
        entry.3 = u32::try_from(at).ok()?;
        let padded = bytes.len().next_multiple_of(2);
        values.extend(bytes);
        values.resize(values.len().next_multiple_of(2), 0);
        at += padded;
    }
    let strip = u32::try_from(at).ok()?;
    let next = u32::try_from((at + page.data.len()).next_multiple_of(2)).ok()?;
    let last = number + 1 == count;
    out.extend((entries.len() as u16).to_le_bytes());
    for mut entry in entries {
        if entry.0 == tag::STRIP_OFFSETS {
            entry.3 = strip;
        }
        entry.write(out);
    }
    out.extend(if last { 0 } else { next }.to_le_bytes());
    out.extend(values);
    let begin = out.len();
    out.extend(&page.data);
    let strip = begin..out.len();
    if !last {
        out.resize(next as usize, 0);
    }
    Some(strip)
}

fn ratio(dpi: f32) -> Vec<u8> {
    let parts = [dpi as u32, 1];
    parts.iter().flat_map(|part| part.to_le_bytes()).collect()
}

fn ascii(text: &str) -> Vec<u8> {
    let plain = |c: char| {
        if c.is_ascii() && !c.is_ascii_control() {
            c as u8
        } else {
            b'?'
        }
    };
    text.chars().map(plain).chain([0]).collect()
}

/// Tag, type, number of values, and the value (or where it is).
struct Entry(u16, u16, u32, u32);

impl Entry {
    fn write(&self, out: &mut Vec<u8>) {
        out.extend(self.0.to_le_bytes());
        out.extend(self.1.to_le_bytes());
        out.extend(self.2.to_le_bytes());
        // A single short stands in the first two of the four bytes, which little endian makes so.
        out.extend(self.3.to_le_bytes());
    }
}

//! Writing.

use super::{TiffError, field, tag};
use crate::{Coding, Damage, FaxPage};

/// A TIFF-F file of all pages: one strip a page, most significant bit first, little endian.
///
/// # Errors
/// No pages, or more than a TIFF file can hold.
pub fn write(pages: &[FaxPage]) -> Result<Vec<u8>, TiffError> {
    write_all(pages.iter().map(|page| (page, None)))
}

/// [`write()`] for pages from the line, which tells with each MH and MR page how it came (RFC 3949
/// §4.3: BadFaxLines, CleanFaxData, ConsecutiveBadFaxLines).
///
/// # Errors
/// As [`write()`].
pub fn write_received(pages: &[(FaxPage, Damage)]) -> Result<Vec<u8>, TiffError> {
    write_all(pages.iter().map(|(page, damage)| (page, Some(damage))))
}

fn write_all<'a>(
    pages: impl ExactSizeIterator<Item = (&'a FaxPage, Option<&'a Damage>)>,
) -> Result<Vec<u8>, TiffError> {
    let count = u16::try_from(pages.len()).map_err(|_| TiffError::TooLarge)?;
    if count == 0 {
        return Err(TiffError::NoPages);
    }
    let mut out = b"II\x2A\0\x08\0\0\0".to_vec();
    for (number, (page, damage)) in (0..count).zip(pages) {
        let last = number + 1 == count;
        write_page(&mut out, page, damage, number, count, last).ok_or(TiffError::TooLarge)?;
    }
    Ok(out)
}

/// Appends the directory, its values and the strip; `None` where 32 bits are too few.
fn write_page(
    out: &mut Vec<u8>,
    page: &FaxPage,
    damage: Option<&Damage>,
    number: u16,
    count: u16,
    last: bool,
) -> Option<()> {
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
        short(tag::FILL_ORDER, 1),
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
    if let Some(damage) = damage.filter(|_| page.coding != Coding::Mmr) {
        let rows = |rows| u32::try_from(rows).unwrap_or(u32::MAX);
        // Damaged rows are there, but made by the receiver: CleanFaxData 1.
        let regenerated = u16::from(damage.rows > 0);
        entries.extend([
            long(tag::BAD_FAX_LINES, rows(damage.rows)),
            short(tag::CLEAN_FAX_DATA, regenerated),
            long(tag::CONSECUTIVE_BAD_FAX_LINES, rows(damage.longest_run)),
        ]);
    }
    let values = out.len() + 2 + 12 * entries.len() + 4;
    let strip = values + 16;
    // Directories begin on even offsets (TIFF 6.0 §2).
    let next = (strip + page.data.len()).next_multiple_of(2);
    let next = u32::try_from(next).ok()?;
    out.extend((entries.len() as u16).to_le_bytes());
    for mut entry in entries {
        entry.3 = match entry.0 {
            tag::STRIP_OFFSETS => strip as u32,
            tag::X_RESOLUTION => values as u32,
            tag::Y_RESOLUTION => values as u32 + 8,
            _ => entry.3,
        };
        entry.write(out);
    }
    out.extend(if last { 0 } else { next }.to_le_bytes());
    for dpi in [x_dpi, y_dpi] {
        out.extend((dpi as u32).to_le_bytes());
        out.extend(1u32.to_le_bytes());
    }
    out.extend(&page.data);
    if !last {
        out.resize(next as usize, 0);
    }
    Some(())
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

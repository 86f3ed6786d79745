//! Reading.

use super::{PageFault, TiffError, field, tag};
use crate::decode::{MAX_HEIGHT, MAX_WIDTH, decode_aligned};
use crate::{Bitmap, Coding, FaxPage, Reason, Resolution};
use std::collections::BTreeSet;

/// Directories that are read of a file at most.
pub const MAX_PAGES: usize = 4096;
/// Rows that are decoded of a file at most, where pages can't be taken as they are.
pub const MAX_ROWS: usize = 1 << 23;

/// The pages of a TIFF file of fax pages, reduced pictures left out.
///
/// Pages coded by T.4 or T.6 in one strip are taken as they are, without a look at the pixels.
/// Others (several strips, no or byte-wise coding, black and white exchanged) are decoded and coded
/// as MMR. `k` of MR isn't in the file and is what T.4 wants of the resolution.
///
/// # Errors
/// The first thing that isn't a fax page's. No input makes it panic or take much more memory than
/// the input's size and one page.
pub fn read(file: &[u8]) -> Result<Vec<FaxPage>, TiffError> {
    let file = File::open(file)?;
    let mut pages = Vec::new();
    let mut budget = Budget {
        bytes: file.data.len(),
        rows: MAX_ROWS,
    };
    for (place, directory) in file.directories()?.into_iter().enumerate() {
        let page = directory
            .page(&mut budget)
            .map_err(|fault| TiffError::Page {
                page: place + 1,
                fault,
            })?;
        pages.extend(page);
    }
    if pages.is_empty() {
        return Err(TiffError::NoPages);
    }
    Ok(pages)
}

/// The last page of a TIFF file, as a receiver that is still writing it leaves it.
///
/// # Errors
/// As [`read`]; the pages before are not looked at. A last directory that is a reduced picture's is
/// no page.
pub fn read_last(file: &[u8]) -> Result<FaxPage, TiffError> {
    let file = File::open(file)?;
    let mut directories = file.directories()?;
    let place = directories.len();
    let last = directories.pop().ok_or(TiffError::NoPages)?;
    let mut budget = Budget {
        bytes: file.data.len(),
        rows: MAX_HEIGHT,
    };
    last.page(&mut budget)
        .map_err(|fault| TiffError::Page { page: place, fault })?
        .ok_or(TiffError::NoPages)
}

/// What may still be taken from a file.
struct Budget {
    bytes: usize,
    rows: usize,
}

#[derive(Clone, Copy)]
struct File<'a> {
    data: &'a [u8],
    big_endian: bool,
}

impl<'a> File<'a> {
    fn open(data: &'a [u8]) -> Result<Self, TiffError> {
        let big_endian = match data.get(..2) {
            Some(b"II") => false,
            Some(b"MM") => true,
            _ => return Err(TiffError::NotTiff),
        };
        let file = Self { data, big_endian };
        match file.short(2) {
            Some(42) => Ok(file),
            Some(43) => Err(TiffError::BigTiff),
            _ => Err(TiffError::NotTiff),
        }
    }

    fn bytes<const N: usize>(&self, at: usize) -> Option<[u8; N]> {
        self.data.get(at..)?.first_chunk().copied()
    }

    fn short(&self, at: usize) -> Option<u16> {
        let bytes = self.bytes(at)?;
        Some(if self.big_endian {
            u16::from_be_bytes(bytes)
        } else {
            u16::from_le_bytes(bytes)
        })
    }

    fn long(&self, at: usize) -> Option<u32> {
        let bytes = self.bytes(at)?;
        Some(if self.big_endian {
            u32::from_be_bytes(bytes)
        } else {
            u32::from_le_bytes(bytes)
        })
    }

    fn directories(&self) -> Result<Vec<Directory<'a>>, TiffError> {
        let mut seen = BTreeSet::new();
        let mut directories = Vec::new();
        let mut next = self.long(4);
        while next != Some(0) {
            let cut = || TiffError::Page {
                page: directories.len() + 1,
                fault: PageFault::OutOfFile,
            };
            let at = next.ok_or_else(cut)? as usize;
            let entries = usize::from(self.short(at).ok_or_else(cut)?);
            if directories.len() == MAX_PAGES {
                return Err(TiffError::TooManyPages);
            }
            if !seen.insert(at) {
                return Err(TiffError::Circle);
            }
            directories.push(Directory {
                file: *self,
                first: at + 2,
                entries,
            });
            next = self.long(at + 2 + 12 * entries);
        }
        Ok(directories)
    }
}

struct Directory<'a> {
    file: File<'a>,
    /// Offset of the first entry.
    first: usize,
    entries: usize,
}

/// An entry's values: where they are, how many, and of what type.
#[derive(Clone, Copy)]
struct Values<'a> {
    file: File<'a>,
    tag: u16,
    kind: u16,
    count: usize,
    at: usize,
}

impl Values<'_> {
    /// The whole number at place `i`.
    fn number(&self, i: usize) -> Result<u32, PageFault> {
        if i >= self.count {
            return Err(PageFault::Malformed(self.tag));
        }
        match self.kind {
            field::BYTE => self.file.bytes(self.at + i).map(|[byte]| u32::from(byte)),
            field::SHORT => self.file.short(self.at + 2 * i).map(u32::from),
            field::LONG => self.file.long(self.at + 4 * i),
            _ => return Err(PageFault::Malformed(self.tag)),
        }
        .ok_or(PageFault::OutOfFile)
    }

    /// The first value as a fraction.
    fn fraction(&self) -> Result<f64, PageFault> {
        if self.kind != field::RATIONAL || self.count == 0 {
            return self.number(0).map(f64::from);
        }
        let part = |at| self.file.long(at).ok_or(PageFault::OutOfFile);
        Ok(f64::from(part(self.at)?) / f64::from(part(self.at + 4)?))
    }
}

impl<'a> Directory<'a> {
    fn find(&self, tag: u16) -> Result<Option<Values<'a>>, PageFault> {
        let file = self.file;
        for entry in 0..self.entries {
            let at = self.first + 12 * entry;
            if file.short(at).ok_or(PageFault::OutOfFile)? != tag {
                continue;
            }
            let kind = file.short(at + 2).ok_or(PageFault::OutOfFile)?;
            let count = file.long(at + 4).ok_or(PageFault::OutOfFile)? as usize;
            let size = match kind {
                field::BYTE => 1,
                field::SHORT => 2,
                field::LONG => 4,
                field::RATIONAL => 8,
                _ => return Err(PageFault::Malformed(tag)),
            };
            // Up to four bytes stand in the entry itself (TIFF 6.0 §2).
            let bytes = size * count as u64;
            let at = if bytes <= 4 {
                at + 8
            } else {
                file.long(at + 8).ok_or(PageFault::OutOfFile)? as usize
            };
            if at as u64 + bytes > file.data.len() as u64 {
                return Err(PageFault::OutOfFile);
            }
            return Ok(Some(Values {
                file,
                tag,
                kind,
                count,
                at,
            }));
        }
        Ok(None)
    }

    fn needed(&self, tag: u16) -> Result<Values<'a>, PageFault> {
        self.find(tag)?.ok_or(PageFault::Missing(tag))
    }

    fn number_or(&self, tag: u16, default: u32) -> Result<u32, PageFault> {
        self.find(tag)?
            .map_or(Ok(default), |values| values.number(0))
    }

    /// A number that must be one of `allowed`, the first of which it is when it isn't there.
    fn one_of(&self, tag: u16, allowed: &[u32]) -> Result<u32, PageFault> {
        let value = self.number_or(tag, allowed[0])?;
        if !allowed.contains(&value) {
            return Err(PageFault::Unsupported { tag, value });
        }
        Ok(value)
    }

    /// The page, or nothing for a reduced picture or a mask.
    fn page(&self, budget: &mut Budget) -> Result<Option<FaxPage>, PageFault> {
        if self.number_or(tag::NEW_SUBFILE_TYPE, 0)? & 0b101 != 0 {
            return Ok(None);
        }
        let width = self.needed(tag::IMAGE_WIDTH)?.number(0)?;
        let height = self.needed(tag::IMAGE_LENGTH)?.number(0)?;
        if width == 0 || width > MAX_WIDTH as u32 || height == 0 || height > MAX_HEIGHT as u32 {
            return Err(PageFault::Size { width, height });
        }
        let (width, height) = (width as usize, height as usize);
        self.one_of(tag::BITS_PER_SAMPLE, &[1])?;
        self.one_of(tag::SAMPLES_PER_PIXEL, &[1])?;
        self.one_of(tag::ORIENTATION, &[1])?;
        let compression = self.one_of(tag::COMPRESSION, &[1, 2, 3, 4])?;
        let inverted = self.one_of(tag::PHOTOMETRIC, &[0, 1])? == 1;
        let reversed = self.one_of(tag::FILL_ORDER, &[1, 2])? == 2;
        let resolution = self.resolution()?;
        let coding = match compression {
            4 => Coding::Mmr,
            3 if self.number_or(tag::T4_OPTIONS, 0)? & 1 != 0 => Coding::Mr {
                k: resolution.usual_k(),
            },
            _ => Coding::Mh,
        };

        let rows_per_strip = match self.number_or(tag::ROWS_PER_STRIP, u32::MAX)? {
            0 => height,
            rows => height.min(rows as usize),
        };
        let strips = height.div_ceil(rows_per_strip);
        let offsets = self.needed(tag::STRIP_OFFSETS)?;
        let lengths = self.needed(tag::STRIP_BYTE_COUNTS)?;
        let mut strip = |i: usize| -> Result<Vec<u8>, PageFault> {
            let from = offsets.number(i)? as usize;
            let len = lengths.number(i)? as usize;
            budget.bytes = budget.bytes.checked_sub(len).ok_or(PageFault::Overlap)?;
            let bytes = from
                .checked_add(len)
                .and_then(|to| self.file.data.get(from..to))
                .ok_or(PageFault::OutOfFile)?;
            Ok(if reversed {
                bytes.iter().map(|byte| byte.reverse_bits()).collect()
            } else {
                bytes.to_vec()
            })
        };
        if strips == 1 && matches!(compression, 3 | 4) && !inverted {
            return Ok(Some(FaxPage {
                width,
                height,
                resolution,
                coding,
                data: strip(0)?,
            }));
        }

        budget.rows = budget
            .rows
            .checked_sub(height)
            .ok_or(PageFault::TooManyRows)?;
        let mut rows = Vec::new();
        for i in 0..strips {
            let height = rows_per_strip.min(height - i * rows_per_strip);
            let data = strip(i)?;
            let read = if compression == 1 {
                uncompressed(data, width, height)
            } else {
                decode_aligned(&data, coding, width, Some(height), compression == 2)
            };
            let read = read.map_err(|error| PageFault::Strip { strip: i, error })?;
            rows.extend_from_slice(read.data());
        }
        let mut map = Bitmap::from_rows(width, height, rows);
        if inverted {
            map = map.inverted();
        }
        Ok(Some(FaxPage::encode(&map, resolution, Coding::Mmr)))
    }

    fn resolution(&self) -> Result<Resolution, PageFault> {
        let unit = match self.one_of(tag::RESOLUTION_UNIT, &[2, 3])? {
            3 => 2.54,
            _ => 1.0,
        };
        let x = self.needed(tag::X_RESOLUTION)?.fraction()? * unit;
        let y = self.needed(tag::Y_RESOLUTION)?.fraction()? * unit;
        Resolution::nearest(x, y).ok_or(PageFault::Resolution { x, y })
    }
}

fn uncompressed(
    mut data: Vec<u8>,
    width: usize,
    height: usize,
) -> Result<Bitmap, crate::DecodeError> {
    let stride = width.div_ceil(8);
    let rows = data.len() / stride;
    data.truncate(stride * height);
    Bitmap::from_packed(width, height, data).ok_or(crate::DecodeError {
        row: rows,
        reason: Reason::TooFewRows,
    })
}

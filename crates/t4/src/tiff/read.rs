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

/// The black and white pictures of a TIFF file, of any density, reduced pictures left out.
///
/// # Errors
/// The first thing that can't be read so; a file of grey or coloured pictures is one. No input makes it
/// panic or take more memory than the input's size and the bitmaps.
pub fn read_scans(file: &[u8]) -> Result<Vec<Scan>, TiffError> {
    let file = File::open(file)?;
    let mut budget = Budget {
        bytes: file.data.len(),
        rows: MAX_ROWS,
    };
    let mut scans = Vec::new();
    for (place, directory) in file.directories()?.into_iter().enumerate() {
        let page = place + 1;
        let scan = directory.scan(&mut budget);
        scans.extend(scan.map_err(|fault| TiffError::Page { page, fault })?);
    }
    if scans.is_empty() {
        return Err(TiffError::NoPages);
    }
    Ok(scans)
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

/// A black and white picture of a TIFF file.
#[derive(Clone, Debug, PartialEq)]
pub struct Scan {
    /// Pixels an inch, across and down, where the file says so: whatever it says.
    pub dpi: Option<(f64, f64)>,
    /// How it is to be turned, 1 to 8 (TIFF 6.0 §8, Orientation); 1: it isn't.
    pub orientation: u8,
    /// Its pixels, as they lie in the file.
    pub bitmap: Bitmap,
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
        let Some(layout) = self.layout()? else {
            return Ok(None);
        };
        self.one_of(tag::ORIENTATION, &[1])?;
        let (x, y) = self.dpi()?.ok_or(PageFault::Missing(tag::X_RESOLUTION))?;
        let resolution = Resolution::nearest(x, y).ok_or(PageFault::Resolution { x, y })?;
        if layout.strips == 1 && layout.coding.is_some() && !layout.byte_wise && !layout.inverted {
            return Ok(Some(FaxPage {
                width: layout.width,
                height: layout.height,
                resolution,
                coding: match layout.coding {
                    Some(Coding::Mr { .. }) => Coding::Mr {
                        k: resolution.usual_k(),
                    },
                    other => other.unwrap_or(Coding::Mmr),
                },
                data: self.strip(&layout, 0, budget)?,
            }));
        }
        let map = self.decoded(&layout, budget)?;
        Ok(Some(FaxPage::encode(&map, resolution, Coding::Mmr)))
    }

    /// The pixels, whatever their density, or nothing for a reduced picture or a mask.
    fn scan(&self, budget: &mut Budget) -> Result<Option<Scan>, PageFault> {
        let Some(layout) = self.layout()? else {
            return Ok(None);
        };
        let orientation = self.one_of(tag::ORIENTATION, &[1, 2, 3, 4, 5, 6, 7, 8])?;
        Ok(Some(Scan {
            dpi: self.dpi()?,
            orientation: u8::try_from(orientation).unwrap_or(1),
            bitmap: self.decoded(&layout, budget)?,
        }))
    }

    /// How the pixels lie in the file; nothing for a reduced picture or a mask.
    fn layout(&self) -> Result<Option<Layout>, PageFault> {
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
        let compression = self.one_of(tag::COMPRESSION, &[1, 2, 3, 4])?;
        let rows_per_strip = match self.number_or(tag::ROWS_PER_STRIP, u32::MAX)? {
            0 => height,
            rows => height.min(rows as usize),
        };
        Ok(Some(Layout {
            width,
            height,
            coding: match compression {
                1 => None,
                4 => Some(Coding::Mmr),
                3 if self.number_or(tag::T4_OPTIONS, 0)? & 1 != 0 => Some(Coding::Mr { k: 4 }),
                _ => Some(Coding::Mh),
            },
            byte_wise: compression == 2,
            inverted: self.one_of(tag::PHOTOMETRIC, &[0, 1])? == 1,
            reversed: self.one_of(tag::FILL_ORDER, &[1, 2])? == 2,
            rows_per_strip,
            strips: height.div_ceil(rows_per_strip),
        }))
    }

    /// A strip's bytes, most significant bit first.
    fn strip(&self, layout: &Layout, i: usize, budget: &mut Budget) -> Result<Vec<u8>, PageFault> {
        let from = self.needed(tag::STRIP_OFFSETS)?.number(i)? as usize;
        let len = self.needed(tag::STRIP_BYTE_COUNTS)?.number(i)? as usize;
        budget.bytes = budget.bytes.checked_sub(len).ok_or(PageFault::Overlap)?;
        let bytes = from
            .checked_add(len)
            .and_then(|to| self.file.data.get(from..to))
            .ok_or(PageFault::OutOfFile)?;
        Ok(if layout.reversed {
            bytes.iter().map(|byte| byte.reverse_bits()).collect()
        } else {
            bytes.to_vec()
        })
    }

    fn decoded(&self, layout: &Layout, budget: &mut Budget) -> Result<Bitmap, PageFault> {
        let &Layout { width, height, .. } = layout;
        budget.rows = budget
            .rows
            .checked_sub(height)
            .ok_or(PageFault::TooManyRows)?;
        let mut rows = Vec::new();
        for i in 0..layout.strips {
            let height = layout
                .rows_per_strip
                .min(height - i * layout.rows_per_strip);
            let data = self.strip(layout, i, budget)?;
            let read = match layout.coding {
                None => uncompressed(data, width, height),
                Some(coding) => {
                    decode_aligned(&data, coding, width, Some(height), layout.byte_wise)
                }
            };
            let read = read.map_err(|error| PageFault::Strip { strip: i, error })?;
            rows.extend_from_slice(read.data());
        }
        let map = Bitmap::from_rows(width, height, rows);
        Ok(if layout.inverted { map.inverted() } else { map })
    }

    /// Pixels an inch, across and down; nothing where the file has no measure.
    fn dpi(&self) -> Result<Option<(f64, f64)>, PageFault> {
        let unit = match self.one_of(tag::RESOLUTION_UNIT, &[2, 1, 3])? {
            1 => return Ok(None),
            3 => 2.54,
            _ => 1.0,
        };
        let (Some(x), Some(y)) = (self.find(tag::X_RESOLUTION)?, self.find(tag::Y_RESOLUTION)?)
        else {
            return Ok(None);
        };
        Ok(Some((x.fraction()? * unit, y.fraction()? * unit)))
    }
}

/// How a page's pixels lie in the file.
struct Layout {
    width: usize,
    height: usize,
    /// `None`: a bit a pixel.
    coding: Option<Coding>,
    /// Rows begin at bytes (compression 2).
    byte_wise: bool,
    /// 1 is white.
    inverted: bool,
    /// Least significant bit first.
    reversed: bool,
    rows_per_strip: usize,
    strips: usize,
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

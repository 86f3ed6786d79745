//! What is written, what is read, and what is refused.

use super::*;
use crate::testing::{bitmaps, codings};
use crate::{Bitmap, Coding, Damage, EncodeOptions, FaxPage, Resolution, encode, encode_with};
use proptest::prelude::*;

/// A TIFF file built entry by entry, in either byte order, to try what others may write.
struct Built {
    big_endian: bool,
    /// Tag, type, values.
    entries: Vec<(u16, u16, Vec<u32>)>,
    strips: Vec<Vec<u8>>,
}

impl Built {
    fn new(width: usize, height: usize, compression: u32, strips: Vec<Vec<u8>>) -> Self {
        let short = |tag, value| (tag, field::SHORT, vec![value]);
        Self {
            big_endian: false,
            entries: vec![
                short(tag::IMAGE_WIDTH, width as u32),
                short(tag::IMAGE_LENGTH, height as u32),
                short(tag::COMPRESSION, compression),
                short(tag::PHOTOMETRIC, 0),
                short(tag::ROWS_PER_STRIP, height as u32),
                (tag::X_RESOLUTION, field::RATIONAL, vec![204, 1]),
                (tag::Y_RESOLUTION, field::RATIONAL, vec![196, 1]),
            ],
            strips,
        }
    }

    fn with(mut self, tag: u16, kind: u16, values: &[u32]) -> Self {
        self.entries.retain(|entry| entry.0 != tag);
        self.entries.push((tag, kind, values.to_vec()));
        self
    }

    fn bytes(&self) -> Vec<u8> {
        let put = |out: &mut Vec<u8>, value: u32, size: usize| {
            if self.big_endian {
                out.extend(&value.to_be_bytes()[4 - size..]);
            } else {
                out.extend(&value.to_le_bytes()[..size]);
            }
        };
        let mut out = if self.big_endian { b"MM" } else { b"II" }.to_vec();
        put(&mut out, 42, 2);
        let mut entries = self.entries.clone();
        let mut offset = 8;
        let mut offsets = Vec::new();
        for strip in &self.strips {
            offsets.push(offset);
            offset += strip.len() as u32;
        }
        let lengths = self.strips.iter().map(|strip| strip.len() as u32);
        entries.push((tag::STRIP_OFFSETS, field::LONG, offsets));
        entries.push((tag::STRIP_BYTE_COUNTS, field::LONG, lengths.collect()));
        entries.sort();
        let mut values = offset as usize;
        let mut after = Vec::new();
        let mut fields = Vec::new();
        for (tag, kind, list) in &entries {
            let size = if *kind == field::SHORT { 2 } else { 4 };
            let count = if *kind == field::RATIONAL {
                list.len() / 2
            } else {
                list.len()
            };
            put(&mut fields, u32::from(*tag), 2);
            put(&mut fields, u32::from(*kind), 2);
            put(&mut fields, count as u32, 4);
            let mut bytes = Vec::new();
            for &value in list {
                put(&mut bytes, value, size);
            }
            if bytes.len() <= 4 {
                bytes.resize(4, 0);
                fields.extend(bytes);
            } else {
                put(&mut fields, values as u32, 4);
                values += bytes.len();
                after.extend(bytes);
            }
        }
        put(&mut out, values as u32, 4);
        self.strips.iter().for_each(|strip| out.extend(strip));
        out.extend(after);
        put(&mut out, entries.len() as u32, 2);
        out.extend(fields);
        put(&mut out, 0, 4);
        out
    }
}

fn reversed(data: &[u8]) -> Vec<u8> {
    data.iter().map(|byte| byte.reverse_bits()).collect()
}

fn page(seed: usize) -> Bitmap {
    let mut map = Bitmap::new(300, 50);
    for y in 0..50 {
        (0..y * 5)
            .step_by(3)
            .for_each(|x| map.set_black((x * seed + y) % 300, y));
    }
    map
}

fn fault(file: &[u8]) -> PageFault {
    match read(file).unwrap_err() {
        TiffError::Page { page: 1, fault } => fault,
        other => panic!("{other}"),
    }
}

#[test]
fn written_pages_are_read_as_they_were() {
    let codings = [Coding::Mh, Coding::Mr { k: 2 }, Coding::Mmr];
    let resolutions = [
        Resolution::Superfine,
        Resolution::Standard,
        Resolution::Fine,
    ];
    let pages: Vec<FaxPage> = (0..3)
        .map(|i| FaxPage::encode(&page(i + 1), resolutions[i], codings[i]))
        .collect();
    let file = write(&pages).unwrap();
    assert_eq!(read(&file).unwrap(), pages);
    assert_eq!(read_last(&file).unwrap(), pages[2]);
    assert_eq!(read_last(&write(&pages[..1]).unwrap()).unwrap(), pages[0]);
    assert_eq!(write(&[]), Err(TiffError::NoPages));
}

#[test]
fn either_byte_and_fill_order_is_read() {
    let map = page(7);
    for coding in [Coding::Mh, Coding::Mmr] {
        let data = encode(&map, coding);
        for (big_endian, fill) in [(false, 1), (true, 1), (false, 2), (true, 2)] {
            let compression = if coding == Coding::Mh { 3 } else { 4 };
            let strip = if fill == 2 {
                reversed(&data)
            } else {
                data.clone()
            };
            let mut built = Built::new(300, 50, compression, vec![strip]).with(
                tag::FILL_ORDER,
                field::SHORT,
                &[fill],
            );
            built.big_endian = big_endian;
            let read = read_last(&built.bytes()).unwrap();
            assert_eq!(read, FaxPage::encode(&map, Resolution::Fine, coding));
        }
    }
}

#[test]
fn several_strips_become_one() {
    let map = page(5);
    let byte_aligned = EncodeOptions {
        eol: false,
        end_of_page: false,
        byte_align: true,
        min_row_bits: 0,
    };
    for compression in 1..=4 {
        let strips = (0..50).step_by(16).map(|y| {
            let part = map.cut_rows(y, 16);
            match compression {
                1 => part.data().to_vec(),
                2 => encode_with(&part, Coding::Mh, &byte_aligned),
                3 => encode(&part, Coding::Mh),
                _ => encode(&part, Coding::Mmr),
            }
        });
        let file = Built::new(300, 50, compression, strips.collect())
            .with(tag::ROWS_PER_STRIP, field::LONG, &[16])
            .bytes();
        let pages = read(&file).unwrap();
        assert_eq!(
            pages,
            [FaxPage::encode(&map, Resolution::Fine, Coding::Mmr)]
        );
    }
}

#[test]
fn black_may_be_zero() {
    let map = page(3);
    let file = Built::new(300, 50, 4, vec![encode(&map, Coding::Mmr)])
        .with(tag::PHOTOMETRIC, field::SHORT, &[1])
        .bytes();
    assert_eq!(read(&file).unwrap()[0].decode().unwrap(), map.inverted());
}

#[test]
fn resolutions_of_either_unit() {
    let strip = vec![encode(&page(1), Coding::Mmr)];
    for (x, y, unit, resolution) in [
        ([204, 1], [98, 1], 2, Some(Resolution::Standard)),
        ([200, 1], [100, 1], 2, Some(Resolution::Standard)),
        ([8037, 100], [385, 10], 3, Some(Resolution::Standard)),
        ([8037, 100], [77, 1], 3, Some(Resolution::Fine)),
        ([2032, 10], [154, 1], 2, None),
        ([803, 10], [154, 1], 3, Some(Resolution::Superfine)),
        ([200, 1], [400, 1], 2, Some(Resolution::Superfine)),
        ([408, 1], [391, 1], 2, None),
        ([300, 1], [300, 1], 2, None),
        ([204, 0], [196, 0], 2, None),
        ([0, 0], [0, 0], 2, None),
    ] {
        let file = Built::new(300, 50, 4, strip.clone())
            .with(tag::X_RESOLUTION, field::RATIONAL, &x)
            .with(tag::Y_RESOLUTION, field::RATIONAL, &y)
            .with(tag::RESOLUTION_UNIT, field::SHORT, &[unit])
            .bytes();
        match resolution {
            Some(resolution) => assert_eq!(read(&file).unwrap()[0].resolution, resolution),
            None => assert!(matches!(fault(&file), PageFault::Resolution { .. })),
        }
    }
}

#[test]
fn faults_are_named() {
    let strip = vec![encode(&page(1), Coding::Mmr)];
    let built = || Built::new(300, 50, 4, strip.clone());
    assert_eq!(read(b"%PDF-1.7"), Err(TiffError::NotTiff));
    assert_eq!(read(b"II\x2B\0\x08\0\0\0"), Err(TiffError::BigTiff));
    assert_eq!(read(b"II\x2A\0\0\0\0\0"), Err(TiffError::NoPages));
    // A directory without entries that points at itself.
    assert_eq!(
        read(b"II\x2A\0\x08\0\0\0\0\0\x08\0\0\0"),
        Err(TiffError::Circle)
    );
    let file = built().with(tag::COMPRESSION, field::SHORT, &[5]).bytes();
    assert_eq!(
        fault(&file).to_string(),
        "value 5 of tag 259 is not supported"
    );
    let file = built()
        .with(tag::IMAGE_WIDTH, field::LONG, &[1 << 30])
        .bytes();
    assert_eq!(
        fault(&file),
        PageFault::Size {
            width: 1 << 30,
            height: 50
        }
    );
    let file = built()
        .with(tag::IMAGE_LENGTH, field::LONG, &[u32::MAX])
        .bytes();
    assert!(matches!(fault(&file), PageFault::Size { .. }));
    let file = built()
        .with(tag::ROWS_PER_STRIP, field::LONG, &[10])
        .bytes();
    assert!(matches!(fault(&file), PageFault::Strip { strip: 0, .. }));
    let file = built()
        .with(tag::IMAGE_WIDTH, field::RATIONAL, &[1, 1])
        .bytes();
    assert_eq!(fault(&file), PageFault::Malformed(tag::IMAGE_WIDTH));
    let file = Built {
        entries: Vec::new(),
        ..built()
    }
    .bytes();
    assert_eq!(fault(&file), PageFault::Missing(tag::IMAGE_WIDTH));
    let mut file = built().bytes();
    // Two directories of one strip that is most of the file.
    let first = u32::from_le_bytes(*file[4..].first_chunk().unwrap()) as usize;
    let second = file[first..].to_vec();
    let next = file.len() as u32;
    let end = file.len() - 4;
    file[end..].copy_from_slice(&next.to_le_bytes());
    file.extend(second);
    let error = read(&file).unwrap_err();
    assert_eq!(
        error,
        TiffError::Page {
            page: 2,
            fault: PageFault::Overlap
        }
    );
    assert!(read_last(&file).is_ok());
}

#[test]
fn a_received_page_tells_its_damage() {
    let page = FaxPage::encode(&page(1), Resolution::Fine, Coding::Mh);
    let damage = Damage {
        rows: 3,
        longest_run: 2,
        ..Damage::default()
    };
    let file = write_received(&[(page.clone(), damage)]).unwrap();
    for (tag, kind, value) in [(326u16, 4u16, 3u32), (327, 3, 1), (328, 4, 2)] {
        let mut entry = tag.to_le_bytes().to_vec();
        entry.extend(kind.to_le_bytes());
        entry.extend(1u32.to_le_bytes());
        entry.extend(value.to_le_bytes());
        assert!(file.windows(12).any(|window| window == entry), "tag {tag}");
    }
    assert_eq!(read(&file).unwrap(), [page]);
}

proptest! {
    #[test]
    fn pages_come_back(maps in prop::collection::vec((bitmaps(600, 5), codings()), 1..5)) {
        let pages: Vec<FaxPage> = maps
            .iter()
            .map(|(map, coding)| {
                // The file doesn't say k.
                let coding = if matches!(coding, Coding::Mr { .. }) { Coding::Mr { k: 4 } } else { *coding };
                FaxPage::encode(map, Resolution::Fine, coding)
            })
            .collect();
        prop_assert_eq!(read(&write(&pages).unwrap()).unwrap(), pages);
    }

    #[test]
    fn spoilt_files_are_read_without_panic(
        spoil in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..12),
        cut in any::<prop::sample::Index>(),
        strips in any::<bool>(),
    ) {
        let mut file = if strips {
            let parts = (0..50).step_by(25).map(|y| encode(&page(1).cut_rows(y, 25), Coding::Mh));
            Built::new(300, 50, 3, parts.collect())
                .with(tag::ROWS_PER_STRIP, field::LONG, &[25])
                .bytes()
        } else {
            let pages = [1, 2].map(|i| FaxPage::encode(&page(i), Resolution::Fine, Coding::Mmr));
            write(&pages).unwrap()
        };
        for (at, byte) in spoil {
            let at = at.index(file.len());
            file[at] = byte;
        }
        file.truncate(cut.index(file.len() * 2));
        if let Ok(pages) = read(&file) {
            prop_assert!(pages.iter().all(|page| page.width <= crate::MAX_WIDTH));
            // The last directory may have become a reduced picture's.
            match read_last(&file) {
                Ok(last) => prop_assert_eq!(Some(&last), pages.last()),
                Err(error) => prop_assert_eq!(error, TiffError::NoPages),
            }
        }
    }

    #[test]
    fn any_bytes_are_read_without_panic(
        mut data in prop::collection::vec(any::<u8>(), 8..300),
        big_endian in any::<bool>(),
    ) {
        data[..8].copy_from_slice(if big_endian { b"MM\0\x2A\0\0\0\x08" } else { b"II\x2A\0\x08\0\0\0" });
        prop_assert_eq!(read(&data).is_ok(), false);
    }
}

#[test]
fn profile_s_is_mh_with_the_least_bit_first_and_nothing_finer() {
    let mut map = Bitmap::new(1728, 300);
    for y in 0..300 {
        for x in (y % 50..1728).step_by(50) {
            map.set_black(x, y);
        }
    }
    let pages = [Resolution::Standard, Resolution::Fine]
        .map(|resolution| FaxPage::encode(&map, resolution, Coding::Mmr));
    let file = write_minimal(&pages).unwrap();
    let read = read(&file).unwrap();
    for (page, was) in read.iter().zip(&pages) {
        assert_eq!((page.coding, page.resolution), (Coding::Mh, was.resolution));
        assert_eq!(page.decode().unwrap(), map);
    }
    let finer = FaxPage::encode(&map, Resolution::Superfine, Coding::Mh);
    assert_eq!(write_minimal(&[finer]), Err(TiffError::Minimal));
}

//! Our coded rows, read by a decoder that shares no code with ours.

#![allow(clippy::unwrap_used)]

use faxpost_t4::{Bitmap, Coding, EncodeOptions, decode, encode_with};
use hayro_ccitt::{DecodeSettings, Decoder, DecoderContext, EncodingMode};
use proptest::prelude::*;

struct Rows {
    map: Bitmap,
    y: usize,
}

impl Decoder for Rows {
    fn push_row(&mut self, changes: &[u32]) {
        for run in changes.chunks(2) {
            let end = run.get(1).map_or(self.map.width(), |&end| end as usize);
            (run[0] as usize..end).for_each(|x| self.map.set_black(x, self.y));
        }
        self.y += 1;
    }
}

fn read_elsewhere(data: &[u8], map: &Bitmap, coding: Coding, options: &EncodeOptions) -> Bitmap {
    let mut rows = Rows {
        map: Bitmap::new(map.width(), map.height()),
        y: 0,
    };
    let settings = DecodeSettings {
        columns: map.width() as u32,
        rows: map.height() as u32,
        end_of_block: options.end_of_page,
        end_of_line: coding != Coding::Mmr && (options.eol || coding != Coding::Mh),
        rows_are_byte_aligned: options.byte_align && coding == Coding::Mh && !options.eol,
        encoding: match coding {
            Coding::Mh => EncodingMode::Group3_1D,
            Coding::Mr { .. } => EncodingMode::Group3_2D,
            Coding::Mmr => EncodingMode::Group4,
        },
        strict: true,
    };
    hayro_ccitt::decode(data, &mut rows, &mut DecoderContext::new(settings)).unwrap();
    assert_eq!(rows.y, map.height());
    rows.map
}

fn check(map: &Bitmap) {
    for coding in [
        Coding::Mh,
        Coding::Mr { k: 2 },
        Coding::Mr { k: 4 },
        Coding::Mr { k: u32::MAX },
        Coding::Mmr,
    ] {
        let plain = EncodeOptions::for_page(coding);
        let framings = [
            plain,
            EncodeOptions {
                end_of_page: true,
                ..plain
            },
            EncodeOptions {
                eol: false,
                ..plain
            },
            EncodeOptions {
                min_row_bits: 96,
                byte_align: coding != Coding::Mmr,
                ..plain
            },
        ];
        for options in framings {
            let data = encode_with(map, coding, &options);
            assert_eq!(
                &read_elsewhere(&data, map, coding, &options),
                map,
                "{coding:?} {options:?}"
            );
            assert_eq!(
                decode(&data, coding, map.width(), Some(map.height())).as_ref(),
                Ok(map)
            );
        }
    }
}

/// One row for each run that has a code of its own or two, in both colours.
#[test]
fn every_run_length() {
    let mut map = Bitmap::new(2700, 2640 * 2);
    for run in 1..=2640 {
        for x in 0..run {
            map.set_black(x, 2 * run - 2);
        }
        for x in run..2700 {
            map.set_black(x, 2 * run - 1);
        }
    }
    check(&map);
}

fn pages() -> impl Strategy<Value = Bitmap> {
    let row = (
        any::<bool>(),
        prop::collection::vec((0usize..2432, 1usize..300), 0..20),
    );
    (1usize..=2432, prop::collection::vec(row, 1..30)).prop_map(|(width, rows)| {
        let mut map = Bitmap::new(width, rows.len());
        for (y, (like_above, runs)) in rows.into_iter().enumerate() {
            if like_above && y > 0 {
                let above = map.cut_rows(y - 1, 1);
                map.blit(&above, 0, y);
            }
            for (from, len) in runs {
                (from..width.min(from + len)).for_each(|x| map.set_black(x, y));
            }
        }
        map
    })
}

proptest! {
    #[test]
    fn runs_and_rows_like_the_one_above(map in pages()) {
        check(&map);
    }

    #[test]
    fn noise(width in 1usize..300, bytes in prop::collection::vec(any::<u8>(), 38..1000)) {
        let stride = width.div_ceil(8);
        let height = bytes.len() / stride;
        let map = Bitmap::from_packed(width, height, bytes[..stride * height].to_vec()).unwrap();
        check(&map);
    }
}

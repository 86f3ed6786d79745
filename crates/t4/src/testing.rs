//! Pictures for property tests.

use crate::{Bitmap, Coding};
use proptest::prelude::*;

/// Pictures of 1 to `width` by 1 to `height` pixels: noise, runs, and rows that resemble the one
/// above.
pub(crate) fn bitmaps(width: usize, height: usize) -> impl Strategy<Value = Bitmap> {
    let run = prop_oneof![0usize..8, 0usize..80, 0usize..2700];
    let row = prop_oneof![
        3 => prop::collection::vec(run, 0..30).prop_map(Row::Runs),
        1 => prop::collection::vec(any::<u8>(), width.div_ceil(8)).prop_map(Row::Noise),
        4 => prop::collection::vec((0..width, any::<bool>()), 0..6).prop_map(Row::Like),
    ];
    (1..=width, prop::collection::vec(row, 1..=height)).prop_map(|(width, rows)| {
        let mut map = Bitmap::new(width, rows.len());
        for (y, row) in rows.iter().enumerate() {
            row.draw(&mut map, y);
        }
        map
    })
}

/// All codings.
pub(crate) fn codings() -> impl Strategy<Value = Coding> {
    prop_oneof![
        Just(Coding::Mh),
        Just(Coding::Mmr),
        (0u32..5).prop_map(|k| Coding::Mr { k }),
    ]
}

#[derive(Clone, Debug)]
enum Row {
    Runs(Vec<usize>),
    Noise(Vec<u8>),
    Like(Vec<(usize, bool)>),
}

impl Row {
    fn draw(&self, map: &mut Bitmap, y: usize) {
        let width = map.width();
        match self {
            Self::Runs(runs) => {
                let mut at = 0;
                for (i, run) in runs.iter().enumerate() {
                    let end = width.min(at + run);
                    (at..end)
                        .filter(|_| i % 2 == 1)
                        .for_each(|x| map.set_black(x, y));
                    at = end;
                }
            }
            Self::Noise(bytes) => {
                for x in (0..width).filter(|x| bytes[x / 8] & (0x80 >> (x % 8)) != 0) {
                    map.set_black(x, y);
                }
            }
            Self::Like(changes) => {
                if y > 0 {
                    let above = map.row(y - 1).to_vec();
                    map.row_mut(y).copy_from_slice(&above);
                }
                for &(x, black) in changes.iter().filter(|(x, _)| *x < width) {
                    if black {
                        map.set_black(x, y);
                    } else {
                        map.row_mut(y)[x / 8] &= !(0x80 >> (x % 8));
                    }
                }
            }
        }
    }
}

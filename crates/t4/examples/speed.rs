//! Pages a second, coded and decoded: `speed PAGE.pbm…` (raw PBM; best of 25 rounds, one core).

use faxpost_t4::{Bitmap, Coding, decode, encode};
use hayro_ccitt::{DecodeSettings, Decoder, DecoderContext, EncodingMode};
use std::hint::black_box;
use std::time::Instant;

fn main() {
    let maps: Vec<Bitmap> = std::env::args().skip(1).map(|path| pbm(&path)).collect();
    println!("{} pages; bytes a page, pages a second:", maps.len());
    for (name, coding, mode) in [
        ("MH", Coding::Mh, EncodingMode::Group3_1D),
        ("MR", Coding::Mr { k: 4 }, EncodingMode::Group3_2D),
        ("MMR", Coding::Mmr, EncodingMode::Group4),
    ] {
        let coded: Vec<Vec<u8>> = maps.iter().map(|map| encode(map, coding)).collect();
        let bytes: usize = coded.iter().map(Vec::len).sum();
        // A page's best of many rounds, so that what else the machine does hardly counts.
        let rate = |work: &dyn Fn(usize)| {
            let best = |i| {
                let round = |_| {
                    let start = Instant::now();
                    work(i);
                    start.elapsed().as_secs_f64()
                };
                (0..25).map(round).fold(f64::INFINITY, f64::min)
            };
            maps.len() as f64 / (0..maps.len()).map(best).sum::<f64>()
        };
        let encoding = rate(&|i| {
            black_box(encode(&maps[i], coding));
        });
        let decoding = rate(&|i| {
            let read = decode(&coded[i], coding, maps[i].width(), Some(maps[i].height()));
            assert!(black_box(read).is_ok());
        });
        let other = rate(&|i| {
            let settings = DecodeSettings {
                columns: maps[i].width() as u32,
                rows: maps[i].height() as u32,
                end_of_block: coding == Coding::Mmr,
                end_of_line: coding != Coding::Mmr,
                rows_are_byte_aligned: false,
                encoding: mode,
                strict: true,
            };
            let mut rows = Changes(0);
            let read =
                hayro_ccitt::decode(&coded[i], &mut rows, &mut DecoderContext::new(settings));
            assert!(read.is_ok() && black_box(rows.0) > 0);
        });
        println!(
            "{name:4} {:7} bytes, encode {encoding:5.0}, decode {decoding:5.0}, hayro-ccitt decode (no pixels made) {other:5.0}",
            bytes / maps.len(),
        );
    }
}

/// Counts what it is given.
struct Changes(usize);

impl Decoder for Changes {
    fn push_row(&mut self, changes: &[u32]) {
        self.0 += changes.len() + 1;
    }
}

fn pbm(path: &str) -> Bitmap {
    let data = std::fs::read(path).unwrap_or_else(|error| panic!("{path}: {error}"));
    let mut fields = data.splitn(4, u8::is_ascii_whitespace);
    let mut field = || fields.next().unwrap_or_default();
    assert_eq!(field(), b"P4", "{path} is no raw PBM file");
    let mut size = || {
        let text = String::from_utf8_lossy(field()).into_owned();
        text.parse()
            .unwrap_or_else(|_| panic!("{path}: {text} is no size"))
    };
    let (width, height) = (size(), size());
    Bitmap::from_packed(width, height, field().to_vec()).expect("a PBM file holds all its rows")
}

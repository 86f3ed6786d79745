//! Golden pages: how black each part of a page is, as people can read it, kept beside the tests. A page may
//! change by a little everywhere (a better threshold), and not by much anywhere.
//!
//! `FAXPOST_GOLDEN=write` writes them anew: look at the pages (`FAXPOST_PAGES`) before.

// Each test uses its own part of this.
#![allow(dead_code)]

use std::path::PathBuf;

use faxpost_t4::Bitmap;

/// Pixels of a part at fine resolution, across and down: about 3 mm each.
const PART: (usize, usize) = (24, 23);
/// Steps of ten that a part may differ.
const NEAR: u8 = 2;
/// Parts of a page that may differ by more, in a thousand.
const OFF: usize = 4;

pub fn golden(name: &str, page: &Bitmap) {
    look_at(name, page);
    let drawn = parts(page);
    let file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("tests/golden/{name}.txt"));
    if std::env::var("FAXPOST_GOLDEN").is_ok_and(|what| what == "write") {
        std::fs::write(&file, &drawn).expect("the folder is there");
        return;
    }
    let kept =
        std::fs::read_to_string(&file).unwrap_or_else(|_| panic!("{} is missing", file.display()));
    assert_eq!(
        kept.lines().count(),
        drawn.lines().count(),
        "{name}: its length"
    );
    let level = |octet: u8| if octet == b' ' { 0 } else { octet - b'0' + 1 };
    let pairs = kept.lines().zip(drawn.lines()).flat_map(|(kept, drawn)| {
        let width = kept.len().max(drawn.len());
        let pad = move |line: &str| format!("{line:width$}").into_bytes();
        pad(kept).into_iter().zip(pad(drawn))
    });
    let (mut off, mut all) = (0, 0);
    for (kept, drawn) in pairs {
        all += 1;
        off += usize::from(level(kept).abs_diff(level(drawn)) > NEAR);
    }
    assert!(
        off * 1000 <= all * OFF,
        "{name}: {off} of {all} parts are not as in {}:\n{drawn}",
        file.display()
    );
}

/// A character a part: a blank for white, then 0 to 9.
fn parts(page: &Bitmap) -> String {
    let mut out = String::new();
    for top in (0..page.height()).step_by(PART.1) {
        let mut line = String::new();
        for left in (0..page.width()).step_by(PART.0) {
            let rows = top..(top + PART.1).min(page.height());
            let columns = left..(left + PART.0).min(page.width());
            let all = rows.len() * columns.len();
            let black = rows.flat_map(|y| columns.clone().map(move |x| (x, y)));
            let black = black.filter(|&(x, y)| page.is_black(x, y)).count();
            line.push(match black {
                0 => ' ',
                some => char::from(b'0' + (some * 10 / (all + 1)) as u8),
            });
        }
        out += line.trim_end();
        out.push('\n');
    }
    out
}

/// With `FAXPOST_PAGES`, a folder, the pages are written there for people to look at, as PBM.
fn look_at(name: &str, page: &Bitmap) {
    if let Ok(folder) = std::env::var("FAXPOST_PAGES") {
        let mut file = format!("P4\n{} {}\n", page.width(), page.height()).into_bytes();
        file.extend(page.data());
        std::fs::write(format!("{folder}/{name}.pbm"), file).expect("the folder is there");
    }
}

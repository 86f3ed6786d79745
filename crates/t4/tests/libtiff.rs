//! Our TIFF files in libtiff's hands, and libtiff's in ours.
//!
//! Needs `tiffinfo` and `tiffcp` (Debian: libtiff-tools).

#![allow(clippy::unwrap_used)]

use faxpost_t4::{Bitmap, Coding, Damage, FaxPage, Resolution, tiff};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// A directory of its own, gone afterwards.
struct Place(PathBuf);

impl Place {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("faxpost-t4-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn file(&self, name: &str, data: &[u8]) -> PathBuf {
        let path = self.0.join(name);
        std::fs::write(&path, data).unwrap();
        path
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Runs a tool of libtiff, which must neither fail nor complain.
fn run(tool: &str, args: &[&str], files: &[&Path]) -> String {
    let output: Output = Command::new(tool)
        .args(args)
        .args(files)
        .output()
        .unwrap_or_else(|error| {
            panic!("{tool} can't be run ({error}): this test needs libtiff's tools (Debian: libtiff-tools)")
        });
    let complaints = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{tool} {args:?}: {complaints}");
    assert_eq!(complaints, "", "{tool} {args:?}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Text-like strokes, tone and white rows.
fn picture(width: usize, height: usize, seed: usize) -> Bitmap {
    let mut map = Bitmap::new(width, height);
    let mut noise = seed as u32 | 1;
    for y in 0..height {
        for x in 0..width {
            noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let black = match (y / 40) % 4 {
                0 => (x / 7 + y / 9 + seed).is_multiple_of(5),
                1 => (noise >> 24) as usize * width < x * 256,
                2 => (x + 2 * y) % 61 < 4,
                _ => false,
            };
            if black {
                map.set_black(x, y);
            }
        }
    }
    map
}

const CODINGS: [Coding; 3] = [Coding::Mh, Coding::Mr { k: 4 }, Coding::Mmr];

/// Pages of all codings, resolutions and widths, with their pixels.
fn pages() -> Vec<(FaxPage, Bitmap)> {
    let mut pages = Vec::new();
    for (i, coding) in CODINGS.into_iter().enumerate() {
        for (resolution, width, height) in [
            (Resolution::Standard, 1728, 229),
            (Resolution::Fine, 2048, 457),
            (Resolution::Superfine, 2432, 333),
        ] {
            let map = picture(width, height, i * 1000 + width);
            pages.push((FaxPage::encode(&map, resolution, coding), map));
        }
    }
    pages
}

#[test]
fn tiffinfo_reads_every_page_and_tag_without_a_warning() {
    let place = Place::new("info");
    let pages: Vec<FaxPage> = pages().into_iter().map(|(page, _)| page).collect();
    let file = place.file("all.tif", &tiff::write(&pages).unwrap());
    // -D reads the pixels too.
    let text = run("tiffinfo", &["-D"], &[&file]);
    for count in 0..9 {
        assert!(text.contains(&format!("Page Number: {count}-9")), "{text}");
    }
    for (line, times) in [
        ("Image Width: 1728 Image Length: 229", 3),
        ("Image Width: 2432 Image Length: 333", 3),
        ("Resolution: 204, 98 pixels/inch", 3),
        ("Resolution: 204, 196 pixels/inch", 3),
        ("Resolution: 204, 391 pixels/inch", 3),
        ("Compression Scheme: CCITT Group 3", 6),
        ("Compression Scheme: CCITT Group 4", 3),
        ("Group 3 Options: 2-d encoding", 3),
        ("FillOrder: msb-to-lsb", 9),
        ("Photometric Interpretation: min-is-white", 9),
        ("Rows/Strip: 457", 3),
    ] {
        assert_eq!(text.matches(line).count(), times, "{line} in {text}");
    }
}

#[test]
fn tiffinfo_tells_how_a_page_came() {
    let place = Place::new("damage");
    let damage = Damage {
        rows: 5,
        longest_run: 3,
        ..Damage::default()
    };
    let map = picture(1728, 100, 1);
    let received = CODINGS.map(|coding| {
        let page = FaxPage::encode(&map, Resolution::Fine, coding);
        (page, damage.clone())
    });
    let file = place.file("damage.tif", &tiff::write_received(&received).unwrap());
    let text = run("tiffinfo", &[], &[&file]);
    for line in [
        "Bad Fax Lines: 5",
        "Fax Data: receiver regenerated",
        "Consecutive Bad Fax Lines: 3",
    ] {
        assert_eq!(text.matches(line).count(), 2, "{line} in {text}");
    }
}

/// What libtiff makes of our file, in each way it can write it, is read back to the same pixels.
#[test]
fn libtiff_and_we_see_the_same_pixels() {
    let place = Place::new("copy");
    let pages = pages();
    let ours: Vec<FaxPage> = pages.iter().map(|(page, _)| page.clone()).collect();
    let ours = place.file("ours.tif", &tiff::write(&ours).unwrap());
    let theirs = place.0.join("theirs.tif");
    for args in [
        &["-c", "none"][..],
        &["-c", "none", "-r", "32"],
        &["-c", "none", "-B"],
        &["-c", "g4"],
        &["-c", "g4", "-r", "64"],
        &["-c", "g4", "-f", "lsb2msb"],
        &["-c", "g4", "-f", "lsb2msb", "-B", "-r", "50"],
        &["-c", "g3:1d", "-f", "msb2lsb"],
        &["-c", "g3:2d", "-L"],
        &["-c", "g3:2d:fill"],
        &["-c", "g3:1d", "-r", "17"],
        &["-c", "g3:2d", "-r", "100", "-f", "lsb2msb"],
    ] {
        run("tiffcp", args, &[&ours, &theirs]);
        let read = tiff::read(&std::fs::read(&theirs).unwrap())
            .unwrap_or_else(|error| panic!("{args:?}: {error}"));
        assert_eq!(read.len(), pages.len());
        for (read, (page, map)) in read.iter().zip(&pages) {
            assert_eq!(read.resolution, page.resolution, "{args:?}");
            let pixels = read
                .decode()
                .unwrap_or_else(|error| panic!("{args:?} {:?}: {error}", read.coding));
            assert_eq!(&pixels, map, "{args:?}");
        }
        let last = tiff::read_last(&std::fs::read(&theirs).unwrap()).unwrap();
        assert_eq!(Some(&last), read.last());
    }
}

#[test]
fn tiffinfo_reads_what_a_file_says_of_itself() {
    let place = Place::new("said");
    let map = picture(1728, 100, 1);
    let pages = CODINGS.map(|coding| FaxPage::encode(&map, Resolution::Fine, coding));
    let bad_rows = Some(2);
    let sheets = pages.each_ref().map(|page| tiff::Sheet { page, bad_rows });
    let info = tiff::TiffInfo {
        description: "Fax from +33 1 «é»".into(),
        software: "a test".into(),
        created: Some(1_790_856_260),
        profile: true,
    };
    let bytes = tiff::write_sheets(&sheets, &info).unwrap();
    let file = place.file("said.tif", &bytes);
    let text = run("tiffinfo", &["-D"], &[&file]);
    for (line, times) in [
        ("ImageDescription: Fax from +33 1 ???", 1),
        ("Software: a test", 1),
        ("DateTime: 2026:10:01 12:04:20", 1),
        ("Bad Fax Lines: 2", 2),
        ("Consecutive Bad Fax Lines", 0),
        ("GlobalParametersIFD", 1),
    ] {
        assert_eq!(text.matches(line).count(), times, "{line} in {text}");
    }
    // Whoever reads it has the rows as they were.
    assert_eq!(tiff::read(&bytes).unwrap(), pages);
}

//! Our PDF files in poppler's hands: the pixels, their number and the paper's size.
//!
//! Needs `pdfimages`, `pdftoppm` and `pdfinfo` (Debian: poppler-utils).

#![allow(clippy::unwrap_used)]

use faxpost_t4::pdf::{PdfInfo, wrap};
use faxpost_t4::{Bitmap, Coding, EncodeOptions, FaxPage, Resolution, encode_with};
use std::path::{Path, PathBuf};
use std::process::Command;

/// A directory of its own, gone afterwards.
struct Place(PathBuf);

impl Place {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("faxpost-t4-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Runs a tool of poppler, which must neither fail nor complain.
fn run(tool: &str, args: &[&str], files: &[&Path]) -> String {
    let output = Command::new(tool)
        .args(args)
        .args(files)
        .output()
        .unwrap_or_else(|error| {
            panic!("{tool} can't be run ({error}): this test needs poppler's tools (Debian: poppler-utils)")
        });
    let complaints = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{tool} {args:?}: {complaints}");
    assert_eq!(complaints, "", "{tool} {args:?}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// A picture from a raw PBM file, whose 1 is black as ours.
fn pbm(path: &Path) -> Bitmap {
    let data = std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let mut fields = Vec::new();
    let mut at = 0;
    while fields.len() < 3 {
        let end = at + data[at..].iter().position(u8::is_ascii_whitespace).unwrap();
        fields.push(std::str::from_utf8(&data[at..end]).unwrap().to_owned());
        at = end + 1;
    }
    assert_eq!(fields[0], "P4");
    let size = |i: usize| fields[i].parse().unwrap();
    Bitmap::from_packed(size(1), size(2), data[at..].to_vec()).unwrap()
}

fn picture(width: usize, height: usize, seed: usize) -> Bitmap {
    let mut map = Bitmap::new(width, height);
    for y in 0..height {
        for x in 0..width {
            let black = match (y / 40) % 3 {
                0 => (x / 7 + y / 9 + seed).is_multiple_of(5),
                1 => (x * x + y * 31 + seed) % 97 < x * 97 / width,
                _ => false,
            };
            if black {
                map.set_black(x, y);
            }
        }
    }
    map
}

fn pages() -> Vec<(FaxPage, Bitmap)> {
    let mut pages = Vec::new();
    for (i, coding) in [Coding::Mh, Coding::Mr { k: 4 }, Coding::Mmr]
        .into_iter()
        .enumerate()
    {
        for (resolution, width, height) in [
            (Resolution::Standard, 1728, 229),
            (Resolution::Fine, 2048, 457),
            (Resolution::Superfine, 2432, 333),
        ] {
            let map = picture(width, height, i * 1000 + width);
            let page = FaxPage::encode(&map, resolution, coding);
            // As other writers end their pages: with RTC, and without EOFB.
            let options = EncodeOptions::for_page(coding);
            let end_of_page = !options.end_of_page;
            let other = FaxPage {
                data: encode_with(
                    &map,
                    coding,
                    &EncodeOptions {
                        end_of_page,
                        ..options
                    },
                ),
                ..page.clone()
            };
            pages.push((page, map.clone()));
            pages.push((other, map));
        }
    }
    pages
}

#[test]
fn poppler_sees_our_pixels_on_paper_of_the_right_size() {
    let place = Place::new("pdf");
    let file = place.0.join("fax.pdf");
    let pages = pages();
    let coded: Vec<FaxPage> = pages.iter().map(|(page, _)| page.clone()).collect();
    let info = PdfInfo {
        title: "Fax von (030) Überall".into(),
        created: Some(1_700_000_000),
        ..PdfInfo::default()
    };
    std::fs::write(&file, wrap(&coded, &info)).unwrap();

    run("pdfimages", &[], &[&file, &place.0.join("image")]);
    for (i, (page, map)) in pages.iter().enumerate() {
        let image = pbm(&place.0.join(format!("image-{i:03}.pbm")));
        assert_eq!(&image, map, "image {i}, {:?}", page.coding);
    }

    for (i, (page, map)) in pages.iter().enumerate() {
        let number = (i + 1).to_string();
        let (x_dpi, y_dpi) = page.resolution.dpi();
        let root = place.0.join("page");
        let (x, y) = (x_dpi.to_string(), y_dpi.to_string());
        let args = ["-mono", "-singlefile", "-f", &number, "-rx", &x, "-ry", &y];
        run("pdftoppm", &args, &[&file, &root]);
        assert_eq!(
            &pbm(&place.0.join("page.pbm")),
            map,
            "page {number}, {:?}",
            page.coding
        );
    }

    let text = run("pdfinfo", &["-l", "-1"], &[&file]);
    assert!(
        text.contains("Title:           Fax von (030) Überall"),
        "{text}"
    );
    assert!(text.contains("Pages:           18"), "{text}");
    for size in ["609.882 x 168.244", "722.823 x 167.877", "858.352 x 61.319"] {
        assert_eq!(text.matches(size).count(), 6, "{size} in {text}");
    }
}

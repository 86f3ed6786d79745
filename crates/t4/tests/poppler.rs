//! Our PDF files in poppler's hands: the pixels, their number and the paper's size.
//!
//! Needs `pdfimages`, `pdftoppm` and `pdfinfo` (Debian: poppler-utils).

#![allow(clippy::unwrap_used)]

use faxpost_t4::pdf::{PdfInfo, Sheet, Word, wrap, wrap_sheets};
use faxpost_t4::{Bitmap, Coding, EncodeOptions, FaxPage, Resolution, Turn, encode_with};
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

#[test]
fn paper_has_its_size_at_every_resolution() {
    let place = Place::new("sizes");
    let file = place.0.join("sizes.pdf");
    // As scanners count: 8.04 pixels a millimetre across (215 mm), and rows as long as the sheet is.
    let sheets = [
        ("A4", 297.0),
        ("Letter", 279.4),
        ("Legal", 355.6),
        ("a receipt", 1000.0),
    ];
    let mut pages = Vec::new();
    let mut heights = Vec::new();
    for resolution in [
        Resolution::Standard,
        Resolution::Fine,
        Resolution::Superfine,
    ] {
        for (name, mm) in sheets {
            let rows = (mm / 25.4 * f64::from(resolution.dpi().1)).round() as usize;
            let blank = Bitmap::new(1728, rows);
            pages.push(FaxPage::encode(&blank, resolution, Coding::Mmr));
            heights.push((name, mm));
        }
    }
    std::fs::write(&file, wrap(&pages, &PdfInfo::default())).unwrap();
    let text = run("pdfinfo", &["-l", "-1"], &[&file]);
    let sizes: Vec<(f64, f64)> = text
        .lines()
        .filter_map(|line| {
            line.split_once("size:")?
                .1
                .trim()
                .strip_suffix("pts")
                .or_else(|| line.split_once("size:")?.1.split(" pts").next())
                .and_then(|size| {
                    let (width, height) = size.trim().split_once(" x ")?;
                    Some((width.parse().ok()?, height.trim().parse().ok()?))
                })
        })
        .collect();
    assert_eq!(sizes.len(), heights.len(), "{text}");
    for ((width, height), (name, mm)) in sizes.iter().zip(heights) {
        let millimetres = |points: f64| points * 25.4 / 72.0;
        assert!(
            (millimetres(*width) - 215.15).abs() < 0.1,
            "{name}: {width}"
        );
        assert!((millimetres(*height) - mm).abs() < 0.3, "{name}: {height}");
    }
}

/// Words over a page however it is turned: poppler finds them, in order, and where they are on the paper as it
/// is shown.
#[test]
fn poppler_finds_words_where_they_stand() {
    let place = Place::new("words");
    let file = place.0.join("words.pdf");
    let said = ["Invoice", "4711", "Größe", "日本", "𝔘nicode", "שלום"];
    for turn in [Turn::None, Turn::Right, Turn::Over, Turn::Left] {
        let page = FaxPage::encode(&Bitmap::new(1728, 2287), Resolution::Fine, Coding::Mmr);
        let words: Vec<Word> = (said.iter().enumerate())
            .map(|(index, text)| Word {
                text: (*text).into(),
                left: 204.0 + 408.0 * (index % 3) as f32,
                top: 408.0 + 204.0 * (index / 3) as f32,
                right: 204.0 + 408.0 * (index % 3) as f32 + 300.0,
                bottom: 450.0 + 204.0 * (index / 3) as f32,
            })
            .collect();
        let sheet = Sheet {
            page: &page,
            turn,
            words: &words,
        };
        std::fs::write(&file, wrap_sheets(&[sheet], &PdfInfo::default())).unwrap();
        let out = place.0.join("words.html");
        run("pdftotext", &["-bbox"], &[&file, &out]);
        let boxes = std::fs::read_to_string(&out).unwrap();
        for (index, word) in words.iter().enumerate() {
            // A box has its letters as they stand on the page; what is written to the left is turned in text.
            let shown: String = match index {
                5 => word.text.chars().rev().collect(),
                _ => word.text.clone(),
            };
            let line = boxes
                .lines()
                .find(|line| line.contains(&format!(">{shown}</word>")))
                .unwrap_or_else(|| panic!("{} of {turn:?} in {boxes}", word.text));
            let side = |name: &str| -> f32 {
                let rest = line.split_once(&format!("{name}=\"")).unwrap().1;
                rest.split('"').next().unwrap().parse().unwrap()
            };
            let near = |name: &str, wanted: f32| {
                let is = side(name);
                assert!(
                    (is - wanted * 72.0 / 204.0).abs() < 1.0,
                    "{turn:?} {name} {is}: {line}"
                );
            };
            near("xMin", word.left);
            near("yMin", word.top);
            near("xMax", word.right);
            near("yMax", word.bottom);
        }
        run("pdftotext", &["-layout"], &[&file, &out]);
        let text = std::fs::read_to_string(&out).unwrap();
        let all: Vec<&str> = text.split_whitespace().collect();
        assert_eq!(all[..3], said[..3], "{turn:?}: {text}");
        assert!(
            said.iter().all(|word| text.contains(word)),
            "{turn:?}: {text}"
        );
        assert!(run("pdffonts", &[], &[&file]).contains("Blank"));
    }
}

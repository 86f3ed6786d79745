//! Each kind of input as a page that was looked at: the page is kept as a drawing in characters, a character
//! for 4 × 4 mm, so that a change shows where it is. `FAXPOST_BLESS=1` writes the drawings anew.

use std::{fs, path::Path};

use faxpost_paper::{Enclosed, Input, Limits, PageSetup, render};

const SAMPLE: &[u8] = include_bytes!("../testdata/sample.pdf");

/// Ink of each part of a page, from none to all.
fn drawing(input: &Input) -> String {
    let rendered = render(
        input,
        &PageSetup::a4_fine(),
        &Limits::default(),
        &mut |_, _| (),
    )
    .expect("it is drawn");
    let page = rendered.pages[0].decode().expect("our own page decodes");
    let (across, down) = (54, 74);
    let mut out = String::new();
    for y in 0..down {
        let mut line = String::new();
        for x in 0..across {
            let columns = x * page.width() / across..(x + 1) * page.width() / across;
            let rows = y * page.height() / down..(y + 1) * page.height() / down;
            let all = columns.len() * rows.len();
            let black = rows.flat_map(|y| columns.clone().map(move |x| (x, y)));
            let black = black.filter(|&(x, y)| page.is_black(x, y)).count();
            line.push(match black * 100 / all {
                0 if black == 0 => ' ',
                0..=7 => '.',
                8..=19 => ':',
                20..=49 => '+',
                _ => '#',
            });
        }
        out.push_str(line.trim_end());
        out.push('\n');
    }
    format!("{} page(s)\n{}\n", rendered.pages.len(), out.trim_end())
}

/// At a border between two shades a pixel may decide: a few neighbours are let pass.
fn same(one: &str, other: &str) -> bool {
    let shades = " .:+#";
    let place = |c: char| shades.find(c).map_or(9, |place| place);
    let lines = |text: &str| text.lines().map(str::to_owned).collect::<Vec<_>>();
    let (one, other) = (lines(one), lines(other));
    let mut off = 0;
    for (a, b) in one.iter().zip(&other) {
        let width = a.len().max(b.len());
        for (a, b) in format!("{a:width$}")
            .chars()
            .zip(format!("{b:width$}").chars())
        {
            match place(a).abs_diff(place(b)) {
                0 => {}
                1 => off += 1,
                _ => return false,
            }
        }
    }
    one.len() == other.len() && off <= 12
}

/// A photo: slopes from black to white.
fn photo() -> Vec<u8> {
    let (width, height) = (480u32, 320u32);
    let mut file = b"BM".to_vec();
    let size = 54 + width * height * 3;
    file.extend(size.to_le_bytes());
    file.extend([0, 0, 0, 0, 54, 0, 0, 0, 40, 0, 0, 0]);
    file.extend(width.to_le_bytes());
    file.extend(height.to_le_bytes());
    file.extend([1, 0, 24, 0]);
    file.extend([0; 24]);
    for y in 0..height {
        for x in 0..width {
            file.extend([((x + y) * 255 / (width + height)) as u8; 3]);
        }
    }
    file
}

#[test]
fn each_kind_of_input_is_drawn_as_it_was_looked_at() {
    let html = include_str!("../testdata/golden/mail.html").to_owned();
    let inputs = [
        (
            "pdf",
            Input::Pdf {
                name: "a".into(),
                bytes: SAMPLE.to_vec(),
                password: None,
            },
        ),
        (
            "picture",
            Input::Picture {
                name: "a".into(),
                bytes: photo(),
                shown: false,
            },
        ),
        (
            "text",
            Input::Text {
                name: "a".into(),
                text: "Dear all,\n\nthe minutes:\n\n1. Paper\n2. Toner\n\nRegards".into(),
            },
        ),
        (
            "html",
            Input::Html {
                name: "a".into(),
                html,
                pictures: vec![Enclosed {
                    id: "photo@x".into(),
                    bytes: photo(),
                }],
            },
        ),
    ];
    for (name, input) in inputs {
        let now = drawing(&input);
        let path =
            Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("testdata/golden/{name}.txt"));
        if std::env::var_os("FAXPOST_BLESS").is_some() {
            fs::write(&path, &now).expect("the drawing is written");
        }
        let kept = fs::read_to_string(&path).unwrap_or_default();
        assert!(same(&now, &kept), "{name} has changed:\n{now}");
    }
}

//! What becomes of each part of a PDF page: pictures, shadings, fills, and what stands on them.
//!
//! The pages are written here, operator by operator. `golden/` holds small previews of them, a digit for
//! every 6 × 6 mm: how much of it is black. They are compared with a tolerance, since processors differ in
//! the last bit of an edge's grey. `FAXPOST_GOLDEN=write` writes them anew.

use std::fmt::Write as _;
use std::path::Path;

use faxpost_paper::{Dots, Input, Limits, PageSetup, Tone, render};
use faxpost_t4::{Bitmap, FaxPage};

const MM: f64 = 72.0 / 25.4;

/// A PDF file of one A4 page, in millimetres from its lower left corner, with an image `/Photo` and one `/Scan`,
/// a shading `/Ramp` from black to white over 100 mm, and a font `/F`.
fn pdf(content: &str) -> Vec<u8> {
    let content = format!("{MM} 0 0 {MM} 0 0 cm\n{content}");
    let (photo, scan) = (photo(), scan());
    let image = |width: usize, data: &[u8]| {
        let dict = format!(
            "<< /Type /XObject /Subtype /Image /Width {width} /Height {} /ColorSpace /DeviceGray \
             /BitsPerComponent 8 /Length {} >>\nstream\n",
            data.len() / width,
            data.len()
        );
        [dict.as_bytes(), data, b"\nendstream"].concat()
    };
    let objects: Vec<Vec<u8>> = vec![
        b"<< /Type /Catalog /Pages 2 0 R >>".to_vec(),
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>".to_vec(),
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595.28 841.89] /Contents 4 0 R /Resources << \
          /XObject << /Photo 5 0 R /Scan 6 0 R >> /Shading << /Ramp 7 0 R >> \
          /Font << /F << /Type /Font /Subtype /Type1 /BaseFont /Helvetica >> >> >> >>"
            .to_vec(),
        format!("<< /Length {} >>\nstream\n{content}\nendstream", content.len()).into_bytes(),
        image(PHOTO.0, &photo),
        image(SCAN.0, &scan),
        b"<< /ShadingType 2 /ColorSpace /DeviceGray /Coords [0 0 100 0] /Function \
          << /FunctionType 2 /Domain [0 1] /C0 [0] /C1 [1] /N 1 >> >>"
            .to_vec(),
    ];
    let mut file = b"%PDF-1.7\n".to_vec();
    let mut places = Vec::new();
    for (number, object) in (1..).zip(&objects) {
        places.push(file.len());
        file.extend(format!("{number} 0 obj\n").into_bytes());
        file.extend(object);
        file.extend(b"\nendobj\n");
    }
    let table = file.len();
    file.extend(format!("xref\n0 {}\n0000000000 65535 f \n", objects.len() + 1).into_bytes());
    for place in places {
        file.extend(format!("{place:010} 00000 n \n").into_bytes());
    }
    let size = objects.len() + 1;
    file.extend(
        format!("trailer << /Size {size} /Root 1 0 R >>\nstartxref\n{table}\n%%EOF").into_bytes(),
    );
    file
}

/// The same in every run.
fn grain(x: usize, y: usize) -> u8 {
    let hash = (x as u32).wrapping_mul(0x9E37_79B1) ^ (y as u32).wrapping_mul(0x85EB_CA77);
    ((hash ^ hash >> 15).wrapping_mul(0xC2B2_AE3D) >> 28) as u8
}

const PHOTO: (usize, usize) = (240, 160);
const SCAN: (usize, usize) = (600, 400);

/// Soft light and shade, from 70 to 200, with grain.
fn photo() -> Vec<u8> {
    let pixel = |at: usize| {
        let (x, y) = (at % PHOTO.0, at / PHOTO.0);
        let wave = ((x as f64 / 25.0).sin() + (y as f64 / 18.0).cos()) * 28.0;
        (128.0 + wave) as u8 + grain(x, y)
    };
    (0..PHOTO.0 * PHOTO.1).map(pixel).collect()
}

/// Grey paper with grain and dark strokes.
fn scan() -> Vec<u8> {
    let pixel = |at: usize| {
        let (x, y) = (at % SCAN.0, at / SCAN.0);
        let stroke = x % 24 < 4 && y % 40 < 24;
        (if stroke { 40 } else { 205 }) + grain(x, y)
    };
    (0..SCAN.0 * SCAN.1).map(pixel).collect()
}

fn draw_with(content: &str, setup: &PageSetup) -> Bitmap {
    let input = Input::Pdf {
        name: "page.pdf".into(),
        bytes: pdf(content),
        password: None,
    };
    let rendered = render(&input, setup, &Limits::default(), &mut |_, _| ()).expect("it is sound");
    let pages: Vec<Bitmap> = rendered
        .pages
        .iter()
        .map(|p: &FaxPage| p.decode().expect("it is ours"))
        .collect();
    assert_eq!(pages.len(), 1);
    pages.into_iter().next().expect("there is one")
}

fn draw(content: &str) -> Bitmap {
    draw_with(content, &PageSetup::a4_fine())
}

/// The pixels of a box in millimetres from the page's lower left corner.
fn pixels(left: f64, bottom: f64, width: f64, height: f64) -> impl Iterator<Item = (usize, usize)> {
    let (across, down) = (1728.0 / 215.0, 7.7);
    let x = ((left + 2.5) * across) as usize..((left + 2.5 + width) * across) as usize;
    let y = ((297.0 - bottom - height) * down) as usize..((297.0 - bottom) * down) as usize;
    y.flat_map(move |y| x.clone().map(move |x| (x, y)))
}

/// How much of a box is black, in per cent.
fn ink(page: &Bitmap, left: f64, bottom: f64, width: f64, height: f64) -> f64 {
    let all: Vec<(usize, usize)> = pixels(left, bottom, width, height).collect();
    let black = all.iter().filter(|&&(x, y)| page.is_black(x, y)).count();
    black as f64 * 100.0 / all.len() as f64
}

fn text(x: f64, y: f64, size: f64, grey: f64) -> String {
    format!(
        "{grey} g BT /F {} Tf {x} {y} Td (Hamburg 2026, 38 mm) Tj ET\n",
        size / MM
    )
}

fn image(name: &str, matrix: &str) -> String {
    format!("q {matrix} cm /{name} Do Q\n")
}

const WIDE: &str = "170 0 0 110 20 150";

#[test]
fn a_gradient_is_kept() {
    let page = draw("q 20 200 100 40 re W n 1 0 0 1 20 0 cm /Ramp sh Q");
    let ink: Vec<f64> = (0..10)
        .map(|i| ink(&page, 20.0 + f64::from(i) * 10.0, 205.0, 10.0, 30.0))
        .collect();
    assert!(ink.windows(2).all(|pair| pair[0] > pair[1]), "{ink:?}");
    assert!(
        ink[0] > 80.0 && (25.0..60.0).contains(&ink[5]) && ink[9] < 15.0,
        "{ink:?}"
    );
    let around = draw("").count_black();
    assert_eq!(around, 0);
}

#[test]
fn a_panel_has_a_light_screen_and_crisp_text() {
    let panel = "0.7 g 20 200 170 30 re f\n";
    let plain = draw(&text(30.0, 215.0, 11.0, 0.0));
    let page = draw(&format!("{panel}{}", text(30.0, 215.0, 11.0, 0.0)));
    let screen = ink(&page, 120.0, 203.0, 60.0, 24.0);
    assert!((1.0..15.0).contains(&screen), "{screen}");
    // The line of text is as on white paper, but for a pixel of an edge here and there.
    let all: Vec<_> = pixels(30.0, 213.5, 38.0, 6.0).collect();
    let other = all
        .iter()
        .filter(|&&(x, y)| plain.is_black(x, y) != page.is_black(x, y))
        .count();
    assert!(
        plain.count_black() > 1000 && other * 100 < all.len() * 3,
        "{other} of {}",
        all.len()
    );
    // Alone, the fill keeps its shade.
    let shade = ink(&draw(panel), 30.0, 203.0, 150.0, 24.0);
    assert!((20.0..40.0).contains(&shade), "{shade}");
}

#[test]
fn text_over_a_photograph_stays_text() {
    let photo = image("Photo", WIDE);
    for (grey, black) in [(0.0, true), (1.0, false)] {
        let plain = draw(&text(40.0, 200.0, 11.0, 0.0));
        let page = draw(&format!("{photo}{}", text(40.0, 200.0, 11.0, grey)));
        let letters: Vec<_> = pixels(40.0, 198.0, 50.0, 8.0)
            .filter(|&(x, y)| plain.is_black(x, y))
            .collect();
        let right = letters
            .iter()
            .filter(|&&(x, y)| page.is_black(x, y) == black)
            .count();
        assert!(
            right * 100 >= letters.len() * 95,
            "{right} of {}",
            letters.len()
        );
        // And a rim of the other colour, so that the letters stand out.
        let near = |x: usize, y: usize| {
            (x - 1..x + 2).any(|x| (y - 1..y + 2).any(|y| plain.is_black(x, y)))
        };
        let rim: Vec<_> = pixels(40.0, 198.0, 50.0, 8.0)
            .filter(|&(x, y)| !plain.is_black(x, y) && near(x, y))
            .collect();
        let right = rim
            .iter()
            .filter(|&&(x, y)| page.is_black(x, y) != black)
            .count();
        assert!(right * 100 >= rim.len() * 70, "{right} of {}", rim.len());
    }
    // What a scan's reader wrote under it invisibly does nothing.
    let hidden = format!("{photo}3 Tr\n{}", text(40.0, 200.0, 11.0, 0.0));
    assert_eq!(draw(&hidden), draw(&photo));
}

#[test]
fn a_white_box_over_an_image_is_white() {
    let photo = image("Photo", WIDE);
    let boxed = format!(
        "{photo}1 g 50 180 60 20 re f\n{}",
        text(55.0, 188.0, 8.0, 0.0)
    );
    let page = draw(&boxed);
    let all: Vec<_> = pixels(51.0, 195.0, 58.0, 4.0).collect();
    assert!(all.iter().all(|&(x, y)| !page.is_black(x, y)));
    let plain = draw(&text(55.0, 188.0, 8.0, 0.0));
    assert!(
        pixels(53.0, 186.0, 40.0, 8.0).all(|(x, y)| plain.is_black(x, y) == page.is_black(x, y))
    );
    assert!((25.0..70.0).contains(&ink(&page, 130.0, 160.0, 50.0, 90.0)));
}

#[test]
fn around_a_turned_image_nothing_changes() {
    // By 30° about its lower left corner: half of the box around it is paper, with text on it.
    let turned = image("Photo", "104 60 -45 78 80 120");
    let words: String = (0..12)
        .map(|i| text(20.0, 250.0 - f64::from(i) * 9.0, 9.0, 0.0))
        .collect();
    let (plain, page) = (draw(&words), draw(&format!("{turned}{words}")));
    for box_ in [(20.0, 240.0, 50.0, 15.0), (20.0, 150.0, 14.0, 45.0)] {
        let (left, bottom, width, height) = box_;
        assert!(
            pixels(left, bottom, width, height)
                .all(|(x, y)| plain.is_black(x, y) == page.is_black(x, y))
        );
    }
    assert_eq!(ink(&page, 150.0, 115.0, 40.0, 25.0), 0.0);
    assert!((25.0..70.0).contains(&ink(&page, 90.0, 160.0, 20.0, 20.0)));
}

#[test]
fn a_scan_is_text_and_no_dots() {
    let page = draw(&image("Scan", WIDE));
    // Between two rows of strokes: 16 of 40 rows are bare.
    let height = 110.0 / 400.0;
    let bare = ink(&page, 25.0, 260.0 - 38.0 * height, 160.0, 11.0 * height);
    assert!(bare < 0.5, "{bare}");
    let inked = ink(&page, 25.0, 260.0 - 22.0 * height, 160.0, 20.0 * height);
    assert!((12.0..22.0).contains(&inked), "{inked}");
}

#[test]
fn the_set_up_decides_over_the_pixels() {
    let setup = |tone, dots| PageSetup {
        tone,
        dots,
        ..PageSetup::a4_fine()
    };
    let photo = image("Photo", WIDE);
    let content = format!(
        "{photo}0.6 g 20 60 60 30 re f\n{}",
        text(100.0, 70.0, 11.0, 0.0)
    );
    // The runs of a bitmap: dots make many, clustered ones fewer than diffused.
    let runs = |page: &Bitmap| {
        let changes = |y: usize| {
            (1..page.width())
                .filter(|&x| page.is_black(x, y) != page.is_black(x - 1, y))
                .count()
        };
        (0..page.height()).map(changes).sum::<usize>()
    };
    let diffused = draw_with(&content, &setup(Tone::Auto, Dots::Diffused));
    let clustered = draw_with(&content, &setup(Tone::Auto, Dots::Clustered));
    let text_only = draw_with(&content, &setup(Tone::Text, Dots::Diffused));
    let all_tone = draw_with(&image("Scan", WIDE), &setup(Tone::Photo, Dots::Diffused));
    assert!(runs(&clustered) < runs(&diffused) && runs(&text_only) * 4 < runs(&clustered));
    let shade = |page: &Bitmap| ink(page, 30.0, 160.0, 150.0, 90.0);
    assert!((shade(&diffused) - shade(&clustered)).abs() < 6.0);
    let fill = ink(&text_only, 25.0, 65.0, 50.0, 20.0);
    assert!(fill == 0.0 || fill == 100.0, "{fill}");
    let paper = ink(&all_tone, 25.0, 160.0, 150.0, 90.0);
    assert!(paper > 12.0, "{paper}");
}

/// A digit for every 6 × 6 mm: 0 is white, 9 black.
fn preview(page: &Bitmap) -> String {
    let mut rows = String::new();
    for y in 0..49 {
        for x in 0..35 {
            let black = ink(
                page,
                f64::from(x) * 6.0,
                291.0 - f64::from(y) * 6.0,
                6.0,
                6.0,
            );
            let _ = write!(rows, "{}", ((black / 10.0) as u32).min(9));
        }
        rows.push('\n');
    }
    rows
}

#[test]
fn pages_look_as_they_did() {
    let words: String = (0..10)
        .map(|i| text(20.0, 120.0 - f64::from(i) * 9.0, 10.0, 0.0))
        .collect();
    let photo = image("Photo", WIDE);
    let panels: String = (1..9)
        .map(|i| format!("{} g {} 200 18 40 re f\n", f64::from(i) * 0.12, 10 + i * 20))
        .collect();
    let pages = [
        ("text", words.clone()),
        (
            "photo",
            format!("{photo}{}{words}", text(40.0, 200.0, 20.0, 1.0)),
        ),
        (
            "panels",
            format!("{panels}0.8 g 15 30 180 100 re f\n{words}"),
        ),
        (
            "gradient",
            format!("q 20 200 100 40 re W n 1 0 0 1 20 0 cm /Ramp sh Q\n{words}"),
        ),
        ("scan", image("Scan", "190 0 0 260 10 20")),
    ];
    for (name, content) in pages {
        let seen = preview(&draw(&content));
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/golden/{name}.txt"));
        if std::env::var_os("FAXPOST_GOLDEN").is_some() {
            std::fs::write(&path, &seen).expect("golden/ can be written");
        }
        let golden = std::fs::read_to_string(&path).expect("golden/ has it");
        assert_eq!(seen.len(), golden.len(), "{name}");
        for (at, (now, then)) in seen.bytes().zip(golden.bytes()).enumerate() {
            assert!(
                now.abs_diff(then) <= 1,
                "{name}, row {}, column {}:\n{seen}",
                at / 36,
                at % 36
            );
        }
    }
}

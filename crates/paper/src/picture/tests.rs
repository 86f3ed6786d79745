use std::io::Cursor;

use faxpost_t4::{Bitmap, Coding, FaxPage, Resolution, tiff};
use image::{DynamicImage, GrayImage, ImageFormat, Luma, Rgba, RgbaImage};

use super::*;

fn drawn(bytes: &[u8], shown: bool) -> Result<Rendered, PaperError> {
    let setup = PageSetup::a4_fine();
    render(
        "p",
        bytes,
        shown,
        &setup,
        &Limits::default(),
        &mut |_, _| (),
    )
}

fn bitmap(bytes: &[u8]) -> Bitmap {
    let rendered = drawn(bytes, false).unwrap();
    assert_eq!(rendered.notes, []);
    assert_eq!(rendered.pages.len(), 1);
    let page = rendered.pages[0].decode().unwrap();
    assert_eq!((page.width(), page.height()), (1728, 2287));
    page
}

fn file(picture: &DynamicImage, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    // GIF is written from colours alone.
    let picture = DynamicImage::ImageRgb8(picture.to_rgb8());
    picture.write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

/// A drawing: a black bar of 100 pixels in the upper left quarter of a white picture.
fn bar(width: u32, height: u32) -> DynamicImage {
    let (right, foot) = (width / 2, height / 2);
    DynamicImage::ImageLuma8(GrayImage::from_fn(width, height, |x, y| {
        let bar = (20..120).contains(&x) && y >= 20 && y < foot && x < right;
        Luma([if bar { 0 } else { 255 }])
    }))
}

/// The black pixels of a part of the page, in per cent.
fn black(page: &Bitmap, columns: std::ops::Range<usize>, rows: std::ops::Range<usize>) -> usize {
    let pixels = columns.len() * rows.len();
    let black = rows
        .flat_map(|y| columns.clone().map(move |x| (x, y)))
        .filter(|&(x, y)| page.is_black(x, y))
        .count();
    black * 100 / pixels
}

/// A cloud: soft, with grain, of that mean.
fn cloud(width: u32, height: u32, mean: f32) -> DynamicImage {
    let mut state = 1u32;
    DynamicImage::ImageLuma8(GrayImage::from_fn(width, height, |x, y| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let wave = (x as f32 / 40.0).sin() * 30.0 + (y as f32 / 55.0).cos() * 30.0;
        Luma([(mean + wave + (state >> 28) as f32 - 8.0) as u8])
    }))
}

#[test]
fn a_drawing_is_as_large_as_its_density_says_in_every_format() {
    let picture = bar(800, 600);
    for format in [
        ImageFormat::Png,
        ImageFormat::Gif,
        ImageFormat::WebP,
        ImageFormat::Jpeg,
    ] {
        let page = bitmap(&file(&picture, format));
        // At 96 an inch 800 pixels are 212 mm: 1,701 columns from column 13 on.
        let (left, across) = (13, 1701.0 / 800.0);
        let column = |x: f64| left + (x * across) as usize;
        let row = |y: f64| (y * 196.0 / 96.0) as usize;
        let within = black(&page, column(24.0)..column(116.0), row(24.0)..row(290.0));
        let outside = black(&page, column(130.0)..1728, 0..2287);
        assert_eq!((within, outside), (100, 0), "{format:?}");
    }
}

#[test]
fn a_bitmap_file_is_read() {
    // BITMAPFILEHEADER and BITMAPINFOHEADER, 24 bits a pixel, rows from the foot up, 200 an inch.
    let (width, height) = (400usize, 400usize);
    let mut file = b"BM".to_vec();
    file.extend((54 + width * height * 3).to_le_bytes()[..4].iter());
    file.extend([0, 0, 0, 0, 54, 0, 0, 0, 40, 0, 0, 0]);
    file.extend((width as i32).to_le_bytes());
    file.extend((height as i32).to_le_bytes());
    file.extend([1, 0, 24, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    file.extend(7874i32.to_le_bytes());
    file.extend(7874i32.to_le_bytes());
    file.extend([0; 8]);
    for y in 0..height {
        for _ in 0..width {
            file.extend([if y < 200 { 0 } else { 255 }; 3]);
        }
    }
    let page = bitmap(&file);
    // 400 at 200 an inch are 50.8 mm, 391 rows: the lower half is black.
    assert_eq!(black(&page, 700..1000, 0..190), 0);
    assert_eq!(black(&page, 700..1000, 200..388), 100);
    assert_eq!(black(&page, 0..1728, 395..2287), 0);
}

#[test]
fn a_photograph_is_dots_of_its_greys() {
    for (mean, share) in [(80.0, 55..75), (128.0, 35..52), (180.0, 15..32)] {
        let page = bitmap(&file(&cloud(900, 700, mean), ImageFormat::Jpeg));
        // Landscape that fits as it is: 238 mm wide is turned.
        let black = black(&page, 100..1500, 100..1700);
        assert!(share.contains(&black), "{mean}: {black} %");
    }
}

#[test]
fn landscape_is_turned_and_large_pictures_shrink() {
    let mut picture = RgbaImage::from_pixel(3000, 2000, Rgba([255, 255, 255, 255]));
    for y in 0..400 {
        for x in 0..400 {
            picture.put_pixel(x, y, Rgba([0, 0, 0, 255]));
        }
    }
    let page = bitmap(&file(&DynamicImage::ImageRgba8(picture), ImageFormat::Png));
    // Turned a quarter to the left, its upper left corner is below on the left.
    let long = 2287.0 / 3000.0;
    let corner = (2600.0 * long) as usize + 20..2280;
    assert_eq!(black(&page, 75..380, corner), 100);
    assert_eq!(black(&page, 60..1728, 0..1900), 0);
}

#[test]
fn what_is_transparent_is_paper() {
    let picture = RgbaImage::from_fn(400, 400, |x, _| {
        Rgba([0, 0, 0, if x < 200 { 255 } else { 0 }])
    });
    let mut bytes = Cursor::new(Vec::new());
    picture.write_to(&mut bytes, ImageFormat::Png).unwrap();
    let page = bitmap(&bytes.into_inner());
    let middle = 1728 / 2;
    assert_eq!(black(&page, middle - 400..middle - 10, 10..800), 100);
    assert_eq!(black(&page, middle + 10..1728, 0..2287), 0);
}

#[test]
fn a_camera_held_upright_gives_an_upright_picture() {
    // EXIF with Orientation 6: the picture is to be turned a quarter to the right.
    let mut exif = b"Exif\0\0II*\0\x08\0\0\0\x01\0".to_vec();
    exif.extend([0x12, 0x01, 3, 0, 1, 0, 0, 0, 6, 0, 0, 0, 0, 0, 0, 0]);
    let jpeg = file(&bar(800, 600), ImageFormat::Jpeg);
    let mut upright = jpeg[..2].to_vec();
    upright.extend([0xFF, 0xE1]);
    upright.extend((exif.len() as u16 + 2).to_be_bytes());
    upright.extend(exif);
    upright.extend(&jpeg[2..]);
    let page = bitmap(&upright);
    // 600 × 800: the bar lies across, at the top on the right.
    let across = 600.0 / 96.0 * 25.4 * 1728.0 / 215.0;
    let left = (1728.0 - across) / 2.0;
    let column = |x: f64| (left + across * x / 600.0) as usize;
    let row = |y: f64| (y * 196.0 / 96.0) as usize;
    assert_eq!(
        black(&page, column(304.0)..column(576.0), row(24.0)..row(116.0)),
        100
    );
    assert_eq!(black(&page, 0..1728, row(130.0)..2287), 0);
}

/// A page with something on it in every row.
fn stripes(width: usize, height: usize) -> Bitmap {
    let mut map = Bitmap::new(width, height);
    for y in 0..height {
        for x in (y % 7..width).step_by(7 + y % 5) {
            map.set_black(x, y);
        }
    }
    map
}

#[test]
fn fax_pages_of_our_size_go_through_pixel_by_pixel() {
    let map = stripes(1728, 2200);
    for coding in [Coding::Mh, Coding::Mr { k: 4 }, Coding::Mmr] {
        let pages = [FaxPage::encode(&map, Resolution::Fine, coding)];
        let page = bitmap(&tiff::write(&pages).unwrap());
        assert!((0..2200).all(|y| page.row(y) == map.row(y)), "{coding:?}");
        assert_eq!(black(&page, 0..1728, 2200..2287), 0);
    }
    // Standard resolution: every row twice.
    let map = stripes(1728, 1100);
    let pages = [FaxPage::encode(&map, Resolution::Standard, Coding::Mmr)];
    let page = bitmap(&tiff::write(&pages).unwrap());
    assert!((0..2200).all(|y| page.row(y) == map.row(y / 2)));
}

#[test]
fn a_longer_fax_page_loses_nothing_but_paper() {
    let mut map = Bitmap::new(1728, 2500);
    (0..1728).for_each(|x| map.set_black(x, 2270));
    let longer = |map: &Bitmap| {
        let pages = [FaxPage::encode(map, Resolution::Fine, Coding::Mmr)];
        bitmap(&tiff::write(&pages).unwrap())
    };
    assert!(longer(&map).is_black(1000, 2270));
    (0..1728).for_each(|x| (2440..2450).for_each(|y| map.set_black(x, y)));
    let shrunk = longer(&map);
    assert!(
        (2200..2287).any(|y| shrunk.is_black(864, y)),
        "the foot is on the page"
    );
}

#[test]
fn a_scan_of_another_density_is_scaled() {
    // 300 an inch, MH, two strips, white is 0: what an office scanner writes.
    let map = stripes(2480, 3507);
    let mut solid = map.clone();
    (0..300).for_each(|y| (0..2480).for_each(|x| solid.set_black(x, y)));
    let file = scanned(&solid, 300);
    assert!(tiff::read(&file).is_err(), "300 an inch is no fax page");
    let page = bitmap(&file);
    assert_eq!(black(&page, 40..1680, 4..180), 100);
}

/// A TIFF file of one strip coded in MMR, that many pixels an inch.
fn scanned(map: &Bitmap, dpi: u32) -> Vec<u8> {
    let data = faxpost_t4::encode(map, Coding::Mmr);
    let mut file = b"II*\0\x08\0\0\0".to_vec();
    let entries: [(u16, u16, u32); 10] = [
        (256, 4, map.width() as u32),
        (257, 4, map.height() as u32),
        (258, 3, 1),
        (259, 3, 4),
        (262, 3, 0),
        (273, 4, 8 + 2 + 120 + 4 + 8),
        (278, 4, map.height() as u32),
        (279, 4, data.len() as u32),
        (282, 5, 8 + 2 + 120 + 4),
        (283, 5, 8 + 2 + 120 + 4),
    ];
    file.extend(10u16.to_le_bytes());
    for (tag, kind, value) in entries {
        file.extend(tag.to_le_bytes());
        file.extend(kind.to_le_bytes());
        file.extend(1u32.to_le_bytes());
        file.extend(value.to_le_bytes());
    }
    file.extend(0u32.to_le_bytes());
    file.extend(dpi.to_le_bytes());
    file.extend(1u32.to_le_bytes());
    file.extend(data);
    file
}

#[test]
fn grey_and_coloured_tiff_files_are_read_page_by_page() {
    use ::tiff::encoder::{TiffEncoder, colortype};

    let mut bytes = Cursor::new(Vec::new());
    let mut encoder = TiffEncoder::new(&mut bytes).unwrap();
    let half = |x: usize| if x < 150 { 0u8 } else { 255 };
    let grey: Vec<u8> = (0..300 * 300).map(|at| half(at % 300)).collect();
    encoder
        .write_image::<colortype::Gray8>(300, 300, &grey)
        .unwrap();
    let rgb: Vec<u8> = (0..300 * 300).flat_map(|at| [half(at % 300); 3]).collect();
    encoder
        .write_image::<colortype::RGB8>(300, 300, &rgb)
        .unwrap();
    let rendered = drawn(&bytes.into_inner(), false).unwrap();
    assert_eq!(rendered.pages.len(), 2);
    for page in &rendered.pages {
        let page = page.decode().unwrap();
        let middle = 1728 / 2;
        assert_eq!(black(&page, middle - 300..middle - 10, 10..600), 100);
        assert_eq!(black(&page, middle + 10..1728, 0..600), 0);
    }
}

#[test]
fn logos_and_marks_become_no_page_and_pictures_within_the_text_do() {
    let logo = file(&bar(300, 100), ImageFormat::Png);
    let rendered = drawn(&logo, true).unwrap();
    assert_eq!(
        (rendered.pages.len(), rendered.notes),
        (0, vec![Note::LeftOut])
    );
    // The same as an attachment is a page.
    assert_eq!(drawn(&logo, false).unwrap().pages.len(), 1);
    let band = file(&bar(1000, 200), ImageFormat::Png);
    assert_eq!(drawn(&band, true).unwrap().pages.len(), 0);
    let screen = file(&bar(800, 600), ImageFormat::Png);
    assert_eq!(drawn(&screen, true).unwrap().pages.len(), 1);
    let mark = file(&bar(1, 1), ImageFormat::Gif);
    assert_eq!(drawn(&mark, false).unwrap().notes, vec![Note::LeftOut]);
}

#[test]
fn a_picture_that_moves_says_so() {
    let mut bytes = Vec::new();
    {
        let mut encoder = image::codecs::gif::GifEncoder::new(&mut bytes);
        for _ in 0..2 {
            let frame = image::Frame::new(bar(400, 400).to_rgba8());
            encoder.encode_frame(frame).unwrap();
        }
    }
    let rendered = drawn(&bytes, false).unwrap();
    assert_eq!(
        (rendered.pages.len(), rendered.notes),
        (1, vec![Note::Animation])
    );
}

#[test]
fn broken_and_monstrous_pictures_are_named() {
    let unsupported = |bytes: &[u8], wanted| {
        let error = drawn(bytes, false).unwrap_err();
        assert!(
            matches!(&error, PaperError::Unsupported { reason, .. } if *reason == wanted),
            "{error:?}"
        );
    };
    // A PNG of 60,000 × 60,000 pixels in 60 octets.
    let mut bomb = file(&bar(8, 8), ImageFormat::Png);
    bomb[16..20].copy_from_slice(&60_000u32.to_be_bytes());
    bomb[20..24].copy_from_slice(&60_000u32.to_be_bytes());
    let crc = crc(&bomb[12..29]);
    bomb[29..33].copy_from_slice(&crc.to_be_bytes());
    unsupported(&bomb, Reason::PictureSize);
    unsupported(b"not a picture", Reason::NotPicture);
    let whole = file(&bar(800, 600), ImageFormat::Png);
    let error = drawn(&whole[..whole.len() / 2], false).unwrap_err();
    assert!(matches!(error, PaperError::Damaged { .. }), "{error:?}");
    assert!(matches!(drawn(b"", false), Err(PaperError::Empty { .. })));
    let many: Vec<_> = (0..3)
        .map(|_| FaxPage::encode(&stripes(1728, 40), Resolution::Fine, Coding::Mmr))
        .collect();
    let setup = PageSetup::a4_fine();
    let limits = Limits {
        max_pages: 2,
        ..Limits::default()
    };
    let error = render(
        "p",
        &tiff::write(&many).unwrap(),
        false,
        &setup,
        &limits,
        &mut |_, _| (),
    );
    assert!(matches!(error, Err(PaperError::TooManyPages { .. })));
}

/// PNG's check (PNG §5.5).
fn crc(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0u32, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| {
            if crc & 1 == 1 {
                0xEDB8_8320 ^ (crc >> 1)
            } else {
                crc >> 1
            }
        })
    })
}

#[test]
fn every_set_up_takes_every_picture() {
    let photo = file(&cloud(700, 900, 120.0), ImageFormat::Jpeg);
    for width in [1728, 2048, 2432] {
        for resolution in [
            Resolution::Standard,
            Resolution::Fine,
            Resolution::Superfine,
        ] {
            let setup = PageSetup {
                width,
                resolution,
                paper: crate::Paper::Letter,
                ..PageSetup::a4_fine()
            };
            let limits = Limits::default();
            let rendered = render("p", &photo, false, &setup, &limits, &mut |_, _| ()).unwrap();
            let page = &rendered.pages[0];
            assert_eq!(
                (page.width, page.height),
                (width as usize, setup.height() as usize)
            );
        }
    }
}

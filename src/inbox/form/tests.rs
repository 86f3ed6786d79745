use faxpost_t4::{Coding, Resolution};

use super::*;

/// An A4 page with a black square of an inch in its upper left corner.
fn page(number: u32, resolution: Resolution) -> Page {
    let down = resolution.dpi().1 as usize;
    let mut bitmap = Bitmap::new(1728, 1169 * down / 100);
    (0..down).for_each(|y| (0..204).for_each(|x| bitmap.set_black(x, y)));
    Page {
        number,
        page: FaxPage::encode(&bitmap, resolution, Coding::Mmr),
        bad_rows: 0,
        turn: Turn::None,
        words: Vec::new(),
    }
}

const ALL: [Resolution; 3] = [
    Resolution::Standard,
    Resolution::Fine,
    Resolution::Superfine,
];

#[test]
fn pictures_have_square_pixels_at_every_resolution_and_stand_upright() {
    for resolution in ALL {
        for (form, dpi, ending) in [(Form::Png, 204, "png"), (Form::Jpeg, 153, "jpg")] {
            let mut pages = [page(7, resolution), page(8, resolution)];
            pages[1].turn = Turn::Right;
            let files = files(form, &pages, &Title::default(), None).unwrap();
            let told: Vec<_> = files.iter().map(|file| (file.ending, file.page)).collect();
            assert_eq!(told, [(ending, Some(7)), (ending, Some(8))]);
            let pictures: Vec<_> = files.iter().map(|file| look(&file.bytes)).collect();
            let (across, down) = (1728 * dpi / 204, 1169 * dpi / 100);
            let near =
                |is: usize, wanted: usize| assert!(is.abs_diff(wanted) <= 2, "{is} {wanted}");
            near(pictures[0].0, across);
            near(pictures[0].1, down);
            near(pictures[1].0, down);
            near(pictures[1].1, across);
            let dark = |(width, _, grey): &(usize, usize, Vec<u8>), x: usize, y: usize| {
                grey[y * width + x] < 64
            };
            let (inch, last) = (dpi - 8, pictures[1].0 - 4);
            assert!(dark(&pictures[0], 3, 3) && dark(&pictures[0], inch, inch));
            assert!(!dark(&pictures[0], inch + 16, 3) && !dark(&pictures[0], 3, inch + 16));
            assert!(dark(&pictures[1], last, 3) && !dark(&pictures[1], 3, 3));
        }
    }
}

/// Width, height and grey pixels.
fn look(bytes: &[u8]) -> (usize, usize, Vec<u8>) {
    if bytes.starts_with(&[0xFF, 0xD8]) {
        let decoder = image::codecs::jpeg::JpegDecoder::new(std::io::Cursor::new(bytes)).unwrap();
        let picture = image::DynamicImage::from_decoder(decoder)
            .unwrap()
            .into_luma8();
        return (
            picture.width() as usize,
            picture.height() as usize,
            picture.into_raw(),
        );
    }
    let mut decoder = png::Decoder::new(std::io::Cursor::new(bytes));
    decoder.set_transformations(png::Transformations::EXPAND);
    let mut reader = decoder.read_info().unwrap();
    let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
    let info = reader.next_frame(&mut pixels).unwrap();
    (info.width as usize, info.height as usize, pixels)
}

#[test]
fn a_page_that_is_damaged_is_drawn_as_far_as_it_goes() {
    for form in [Form::Pdf, Form::Tiff, Form::Png, Form::Jpeg] {
        let mut page = page(1, Resolution::Fine);
        page.turn = Turn::Right;
        page.page.data.truncate(page.page.data.len() / 2);
        let files = files(form, &[page], &Title::default(), None).unwrap();
        assert!(!files[0].bytes.is_empty(), "{form:?}");
    }
}

#[test]
fn promise_5_a_password_opens_the_pdf_and_nothing_else_does() {
    let pages = [page(1, Resolution::Fine)];
    let title = Title {
        title: "Fax from +33123456789".into(),
        ..Title::default()
    };
    let make = || {
        files(Form::Pdf, &pages, &title, Some(b"open sesame"))
            .unwrap()
            .remove(0)
            .bytes
    };
    let (one, other) = (make(), make());
    assert_ne!(one, other, "each file has a key of its own");
    for secret in [&pages[0].page.data[..40], b"123456789", b"sesame"] {
        assert!(!one.windows(secret.len()).any(|part| part == secret));
    }
    let open = |password: &str| {
        let options = lopdf::LoadOptions {
            password: Some(password.to_owned()),
            ..Default::default()
        };
        Document::load_mem_with_options(&one, options)
    };
    assert!(open("open sesamo").is_err());
    assert_eq!(open("open sesame").unwrap().get_pages().len(), 1);
}

#[test]
fn a_tiff_tells_how_its_rows_came_and_has_them_as_they_are() {
    let mut pages = [page(1, Resolution::Standard), page(2, Resolution::Fine)];
    let mh = pages[0].page.clone().recode(Coding::Mh).unwrap();
    pages[0].page = mh.clone();
    pages[0].bad_rows = 3;
    pages[1].turn = Turn::Over;
    let file = files(Form::Tiff, &pages, &Title::default(), None)
        .unwrap()
        .remove(0);
    let read = tiff::read(&file.bytes).unwrap();
    assert_eq!(read[0], mh);
    assert!(read[1].decode().unwrap().is_black(1727, read[1].height - 1));
}

#[test]
fn an_archive_gets_pdf_a() {
    let pages = [page(1, Resolution::Fine)];
    let marked = |form| {
        let file = files(form, &pages, &Title::default(), None)
            .unwrap()
            .remove(0);
        assert_eq!(file.ending, "pdf");
        file.bytes.windows(14).any(|part| part == b"<pdfaid:part>2")
    };
    assert!(marked(Form::PdfA) && !marked(Form::Pdf));
}

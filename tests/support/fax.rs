//! Fax pages: made for tests, and read out of what the gateway mailed.

use faxpost_paper::{HeaderLine, PageSetup, Paper, header_line};
use faxpost_t4::{Bitmap, Coding, FaxPage, Resolution};

/// A page of `height` rows with bars that tell it from every other number's page.
#[must_use]
pub fn page(number: usize, resolution: Resolution, height: usize) -> FaxPage {
    let mut bitmap = Bitmap::new(1728, height);
    for y in 0..height {
        for x in 0..1728 {
            let frame = !(8..1720).contains(&x) || y < 8 || y + 8 >= height;
            let bars = (x / 16 + y / 16 * (number + 1)).is_multiple_of(7 + number);
            if frame || bars {
                bitmap.set_black(x, y);
            }
        }
    }
    FaxPage::encode(&bitmap, resolution, Coding::Mmr)
}

/// `count` A4 pages in fine resolution.
#[must_use]
pub fn pages(count: usize) -> Vec<FaxPage> {
    (0..count)
        .map(|number| page(number, Resolution::Fine, 2292))
        .collect()
}

/// Panics unless both are the same pictures.
pub fn assert_same(ours: &[FaxPage], theirs: &[FaxPage]) {
    assert_eq!(ours.len(), theirs.len(), "pages");
    for (index, (a, b)) in ours.iter().zip(theirs).enumerate() {
        let (a, b) = (a.decode().unwrap(), b.decode().unwrap());
        assert_eq!(
            (a.width(), a.height()),
            (b.width(), b.height()),
            "size of page {}",
            index + 1
        );
        assert!(a == b, "page {} differs", index + 1);
    }
}

/// Panics unless the page's top is Alice's header line of a call that was placed at `placed_at`.
pub fn assert_header(received: &FaxPage, placed_at: i64, page: u32, pages: u32, remark: &str) {
    let date = jiff::Timestamp::from_millisecond(placed_at)
        .unwrap()
        .to_zoned(jiff::tz::TimeZone::get("Europe/Paris").unwrap())
        .strftime("%Y-%m-%d %H:%M %Z")
        .to_string();
    let line = HeaderLine {
        date,
        sender: "Alice Martin".into(),
        tsi: super::OUR_NUMBER.into(),
        remark: remark.into(),
        page,
        pages: Some(pages),
    };
    let setup = PageSetup {
        width: 1728,
        paper: Paper::A4,
        resolution: received.resolution,
        ..PageSetup::a4_fine()
    };
    let strip = header_line(&line, &setup);
    let top = received.decode().unwrap().cut_rows(0, strip.height());
    assert!(
        strip == top,
        "the header line of page {page} is not {line:?}"
    );
}

/// A page of a PDF: its box in points and its picture.
#[derive(Clone, Debug)]
pub struct PdfPage {
    pub width: f64,
    pub height: f64,
    pub picture: FaxPage,
}

/// The pages of a PDF that the gateway made: one picture each, in the fax's own coding.
#[must_use]
pub fn pdf_pages(document: &[u8]) -> Vec<PdfPage> {
    let boxes = all_after(document, b"/MediaBox")
        .map(|rest| {
            let list: Vec<f64> = text_until(rest, b']')
                .trim_start_matches([' ', '['])
                .split_whitespace()
                .map(|number| number.parse().unwrap())
                .collect();
            (list[2] - list[0], list[3] - list[1])
        })
        .collect::<Vec<_>>();
    let pictures = pictures(document);
    assert_eq!(boxes.len(), pictures.len(), "boxes and pictures");
    boxes
        .into_iter()
        .zip(pictures)
        .map(|((width, height), picture)| PdfPage {
            width,
            height,
            picture,
        })
        .collect()
}

fn pictures(document: &[u8]) -> Vec<FaxPage> {
    let mut pages = Vec::new();
    let mut rest = document;
    while let Some(at) = find(rest, b"/CCITTFaxDecode") {
        let from = rest[..at]
            .windows(4)
            .rposition(|four| four == b" obj")
            .unwrap();
        let stream = at + find(&rest[at..], b"stream").unwrap();
        let head = &rest[from..stream];
        let body = &rest[stream + b"stream\n".len()..];
        let length = number(head, b"/Length ");
        pages.push(FaxPage {
            width: number(head, b"/Width "),
            height: number(head, b"/Height "),
            // Its size on paper is the page's box.
            resolution: Resolution::Fine,
            coding: Coding::Mmr,
            data: body[..length].to_vec(),
        });
        rest = &body[length..];
    }
    pages
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes
        .windows(wanted.len())
        .position(|window| window == wanted)
}

fn all_after<'a>(bytes: &'a [u8], wanted: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        let at = find(rest, wanted)?;
        rest = &rest[at + wanted.len()..];
        Some(rest)
    })
}

fn text_until(bytes: &[u8], end: u8) -> String {
    bytes
        .iter()
        .take_while(|&&byte| byte != end)
        .map(|&byte| char::from(byte))
        .collect()
}

fn number(head: &[u8], key: &[u8]) -> usize {
    let at = find(head, key).unwrap() + key.len();
    let digits: String = head[at..]
        .iter()
        .take_while(|byte| byte.is_ascii_digit())
        .map(|&byte| char::from(byte))
        .collect();
    digits.parse().unwrap()
}

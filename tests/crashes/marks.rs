//! Pages that say which they are: a number as black and white bars, written into PDFs and bitmaps and
//! read back from whatever came of them.

use std::fmt::Write as _;

use faxpost_t4::{Bitmap, Coding, FaxPage, Resolution};

/// Bars between the two guards.
const BITS: usize = 24;
/// With the guards, which are always black, and a gap beside each.
const COLUMNS: usize = BITS + 4;

/// Which page it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Mark {
    /// The document.
    pub document: usize,
    /// How often it was handed over before.
    pub attempt: usize,
    /// 0-based page.
    pub page: usize,
}

impl Mark {
    fn bits(self) -> u32 {
        assert!(self.document < 128 && self.attempt < 128 && self.page < 16);
        let body = (self.document << 11 | self.attempt << 4 | self.page) as u32;
        body << 6 | check(body)
    }

    fn of_bits(bits: u32) -> Option<Self> {
        let body = bits >> 6;
        (check(body) == bits & 63).then_some(Self {
            document: (body >> 11) as usize,
            attempt: (body >> 4 & 127) as usize,
            page: (body & 15) as usize,
        })
    }

    /// Black columns, guards included.
    fn columns(self) -> impl Iterator<Item = usize> {
        let bits = self.bits();
        (0..COLUMNS).filter(move |column| match column {
            0 => true,
            column if *column == COLUMNS - 1 => true,
            1 => false,
            column if *column == COLUMNS - 2 => false,
            column => bits >> (column - 2) & 1 == 1,
        })
    }
}

/// So that a text or a picture is not taken for a mark.
fn check(body: u32) -> u32 {
    (body.wrapping_mul(2_654_435_761) >> 26) & 63
}

/// A short page with the mark across it.
#[must_use]
pub fn page(mark: Mark) -> FaxPage {
    let (width, height) = (1728, 300);
    let mut bitmap = Bitmap::new(width, height);
    let column_width = width / (COLUMNS + 2);
    for column in mark.columns() {
        for x in (column + 1) * column_width..(column + 2) * column_width {
            for y in 60..height - 60 {
                bitmap.set_black(x, y);
            }
        }
    }
    FaxPage::encode(&bitmap, Resolution::Fine, Coding::Mmr)
}

/// The mark on a page, if it has one.
#[must_use]
pub fn read(bitmap: &Bitmap) -> Option<Mark> {
    (1..10).find_map(|tenth| read_row(bitmap, bitmap.height() * tenth / 10))
}

fn read_row(bitmap: &Bitmap, y: usize) -> Option<Mark> {
    let left = (0..bitmap.width()).find(|&x| bitmap.is_black(x, y))?;
    let right = (0..bitmap.width()).rfind(|&x| bitmap.is_black(x, y))? + 1;
    let black = |column: usize| {
        let x = left + (right - left) * (2 * column + 1) / (2 * COLUMNS);
        bitmap.is_black(x, y)
    };
    if right - left < COLUMNS * 8 || black(1) || black(COLUMNS - 2) {
        return None;
    }
    let bits = (0..BITS).fold(0, |bits, bit| bits | u32::from(black(bit + 2)) << bit);
    Mark::of_bits(bits)
}

/// A PDF of A4 pages, the mark across the middle of each.
#[must_use]
pub fn pdf(document: usize, attempt: usize, pages: usize) -> Vec<u8> {
    let mut out = String::from("%PDF-1.4\n");
    let mut offsets = Vec::new();
    let kids: Vec<String> = (0..pages)
        .map(|page| format!("{} 0 R", 3 + 2 * page))
        .collect();
    let mut objects = vec![
        "<< /Type /Catalog /Pages 2 0 R >>".to_owned(),
        format!(
            "<< /Type /Pages /Kids [{}] /Count {pages} >>",
            kids.join(" ")
        ),
    ];
    for page in 0..pages {
        objects.push(format!(
            "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Resources << >> /Contents {} 0 R >>",
            4 + 2 * page
        ));
        let mark = Mark {
            document,
            attempt,
            page,
        };
        let mut drawing = String::from("0 g\n");
        for column in mark.columns() {
            let _ = writeln!(drawing, "{} 350 18 150 re f", 45 + 18 * column);
        }
        objects.push(format!(
            "<< /Length {} >>\nstream\n{drawing}endstream",
            drawing.len()
        ));
    }
    for (index, object) in objects.iter().enumerate() {
        offsets.push(out.len());
        let _ = write!(out, "{} 0 obj\n{object}\nendobj\n", index + 1);
    }
    let xref = out.len();
    let _ = write!(out, "xref\n0 {}\n0000000000 65535 f \n", objects.len() + 1);
    for offset in offsets {
        let _ = writeln!(out, "{offset:010} 00000 n ");
    }
    let _ = write!(
        out,
        "trailer\n<< /Size {} /Root 1 0 R >>\nstartxref\n{xref}\n%%EOF\n",
        objects.len() + 1
    );
    out.into_bytes()
}

#[test]
fn a_mark_is_read_back() {
    for document in [0, 1, 49, 127] {
        for page in [0, 3] {
            let mark = Mark {
                document,
                attempt: document / 2,
                page,
            };
            assert_eq!(
                read(&super::marks::page(mark).decode().unwrap()),
                Some(mark)
            );
        }
    }
    assert_eq!(read(&Bitmap::new(1728, 300)), None);
}

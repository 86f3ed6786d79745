//! The named page: A4 at fine resolution, dense text, about 68 KB in MMR.
//!
//! It is made here rather than kept: a PDF of words in a fixed order, drawn with one of the fonts that every
//! PDF reader has.

use std::fmt::Write as _;

use anyhow::Context as _;
use faxpost_paper::{Input, Limits, PageSetup, render};
use faxpost_t4::{Bitmap, Coding, FaxPage, Resolution};

/// Lines of the page, and characters of a line: a contract's small print.
const LINES: usize = 64;
const COLUMNS: usize = 85;
/// Points: the letters, from line to line, and the page.
const SIZE: f64 = 9.0;
const LEADING: f64 = 11.8;
const WIDTH: f64 = 595.0;
const HEIGHT: f64 = 842.0;

const WORDS: &[&str] = &[
    "the",
    "party",
    "of",
    "first",
    "part",
    "shall",
    "deliver",
    "goods",
    "within",
    "thirty",
    "days",
    "notwithstanding",
    "any",
    "clause",
    "hereinafter",
    "agreed",
    "by",
    "signature",
    "and",
    "payment",
    "in",
    "full",
    "is",
    "due",
    "upon",
    "receipt",
    "no",
    "warranty",
    "expressed",
    "or",
    "implied",
    "extends",
    "to",
    "such",
    "carriage",
    "as",
    "may",
    "be",
    "refused",
];

/// A document of dense text, or of a few lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Amount {
    Dense,
    /// A letter of a dozen lines: for times in which the page does not matter.
    Short,
}

/// The document as a PDF.
pub fn pdf(amount: Amount) -> Vec<u8> {
    let mut random = 0x2545_f491_4f6c_dd1d_u64;
    let lines = match amount {
        Amount::Dense => LINES,
        Amount::Short => 12,
    };
    let mut drawing = format!("BT /F1 {SIZE} Tf {LEADING} TL 40 {:.1} Td\n", HEIGHT - 45.0);
    for _ in 0..lines {
        let mut line = String::new();
        while line.len() < COLUMNS {
            // xorshift64: the same words each time.
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            let word = WORDS[random as usize % WORDS.len()];
            let _ = write!(line, "{word} ");
        }
        line.truncate(COLUMNS);
        let _ = writeln!(drawing, "({line}) Tj T*");
    }
    drawing.push_str("ET\n");
    let objects = [
        "<< /Type /Catalog /Pages 2 0 R >>".to_owned(),
        "<< /Type /Pages /Kids [3 0 R] /Count 1 >>".to_owned(),
        format!(
            "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 {WIDTH} {HEIGHT}] /Contents 4 0 R \
             /Resources << /Font << /F1 5 0 R >> >> >>"
        ),
        format!(
            "<< /Length {} >>\nstream\n{drawing}\nendstream",
            drawing.len()
        ),
        "<< /Type /Font /Subtype /Type1 /BaseFont /Courier /Encoding /WinAnsiEncoding >>"
            .to_owned(),
    ];
    let mut out = "%PDF-1.4\n".to_owned();
    let mut places = Vec::new();
    for (index, object) in objects.iter().enumerate() {
        places.push(out.len());
        let _ = write!(out, "{} 0 obj\n{object}\nendobj\n", index + 1);
    }
    let start = out.len();
    let count = objects.len() + 1;
    let _ = write!(out, "xref\n0 {count}\n0000000000 65535 f \n");
    for place in places {
        let _ = writeln!(out, "{place:010} 00000 n ");
    }
    let _ = write!(
        out,
        "trailer << /Size {count} /Root 1 0 R >>\nstartxref\n{start}\n%%EOF\n"
    );
    out.into_bytes()
}

/// The document as the gateway's paper worker draws it.
pub fn drawn(document: &[u8]) -> anyhow::Result<FaxPage> {
    let input = Input::Pdf {
        name: "page.pdf".into(),
        bytes: document.to_vec(),
        password: None,
    };
    let limits = Limits {
        max_pages: 2,
        ..Limits::default()
    };
    let mut done = render(&input, &PageSetup::a4_fine(), &limits, &mut |_, _| {})?;
    anyhow::ensure!(done.pages.len() == 1, "the document has one page");
    done.pages.pop().context("a page")
}

/// The rows of the header line (5 mm at 7.7 rows a millimetre): those of a sent page differ from the
/// document's.
const HEADER_ROWS: usize = 39;

/// Whether a page is this one, but for the header line where it was sent by the gateway.
pub fn is_same(expected: &Bitmap, page: &FaxPage, has_header: bool) -> bool {
    let Ok(found) = page.decode() else {
        return false;
    };
    let from = if has_header { HEADER_ROWS } else { 0 };
    found.width() == expected.width()
        && found.height() == expected.height()
        && (from..found.height()).all(|y| found.row(y) == expected.row(y))
}

/// The page of a PDF of one page that the gateway made: a picture in the fax's own coding.
pub fn of_pdf(document: &[u8]) -> Option<FaxPage> {
    let find = |from: usize, wanted: &[u8]| {
        let rest = document.get(from..)?;
        Some(from + rest.windows(wanted.len()).position(|part| part == wanted)?)
    };
    let picture = find(0, b"/CCITTFaxDecode")?;
    let begin = document[..picture]
        .windows(4)
        .rposition(|part| part == b" obj")?;
    let data = find(picture, b"stream\n")?;
    let number = |key: &[u8]| {
        let at = find(begin, key)? + key.len();
        let digits: String = (document[at..].iter())
            .take_while(|byte| byte.is_ascii_digit())
            .map(|&byte| char::from(byte))
            .collect();
        digits.parse::<usize>().ok()
    };
    let from = data + b"stream\n".len();
    Some(FaxPage {
        width: number(b"/Width ")?,
        height: number(b"/Height ")?,
        resolution: Resolution::Fine,
        coding: Coding::Mmr,
        data: document.get(from..from + number(b"/Length ")?)?.to_vec(),
    })
}

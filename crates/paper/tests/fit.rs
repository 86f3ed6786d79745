//! Pages that are not as the paper: each where a person would lay it, none larger than it is, none lost.

#[path = "made/golden.rs"]
mod golden;
mod made;

use faxpost_paper::{
    Blank, Fit, Input, Landscape, Limits, Long, Note, PageSetup, PaperError, Rendered, render,
};
use faxpost_t4::Bitmap;
use golden::golden;
use made::Made;

fn draw(bytes: Vec<u8>, fit: Fit) -> (Rendered, Vec<Bitmap>) {
    let input = Input::Pdf {
        name: "a.pdf".into(),
        bytes,
        password: None,
    };
    let setup = PageSetup {
        fit,
        ..PageSetup::a4_fine()
    };
    let rendered = render(&input, &setup, &Limits::default(), &mut |_, _| ()).expect("it is sound");
    let pages = rendered
        .pages
        .iter()
        .map(|page| page.decode().expect("our own page decodes"))
        .collect();
    (rendered, pages)
}

/// A page of that many points, black from corner to corner but for a rim of ten.
fn black(entries: &str, width: i32, height: i32) -> Vec<u8> {
    let mut pdf = Made::new();
    let fill = format!("0 g 10 10 {} {} re f", width - 20, height - 20);
    pdf.page(
        &format!("/MediaBox[0 0 {width} {height}]{entries}"),
        fill.as_bytes(),
    );
    pdf.finish()
}

/// The box around all that is black, in millimetres: left, top, width, height.
fn extent(page: &Bitmap) -> [i32; 4] {
    let dark = |x: usize, y: usize| page.is_black(x, y);
    let row = |y: &usize| (0..page.width()).any(|x| dark(x, *y));
    let column = |x: &usize| (0..page.height()).any(|y| dark(*x, y));
    let (top, bottom) = ((0..page.height()).find(row), (0..page.height()).rfind(row));
    let (left, right) = (
        (0..page.width()).find(column),
        (0..page.width()).rfind(column),
    );
    let (x, y) = (215.0 / 1728.0, 1.0 / 7.7);
    let mm = |pixels: Option<usize>, unit: f64| pixels.expect("something is black") as f64 * unit;
    [
        mm(left, x),
        mm(top, y),
        mm(right, x) - mm(left, x),
        mm(bottom, y) - mm(top, y),
    ]
    .map(|mm| mm.round() as i32)
}

#[test]
fn small_pages_keep_their_size_and_large_ones_shrink() {
    // A5: 148 × 210 mm in the middle of the top, its rim of ten points 3.5 mm.
    let (a5, pages) = draw(black("", 420, 595), Fit::default());
    assert_eq!(extent(&pages[0]), [37, 4, 141, 203]);
    assert_eq!(a5.notes, []);
    // A1 becomes 210 × 297.
    let (a1, pages) = draw(black("", 1684, 2384), Fit::default());
    assert_eq!(extent(&pages[0])[2..], [207, 294]);
    assert_eq!(
        a1.notes,
        [Note::Reduced {
            page: 1,
            percent: 35
        }]
    );
    // The same in units of a tenth of an inch each (ISO 32000-2, table 31).
    let (_, pages) = draw(black("/UserUnit 7.2", 234, 331), Fit::default());
    assert_eq!(extent(&pages[0])[2..], [192, 279]);
}

#[test]
fn what_lies_is_turned_or_not_as_is_wished() {
    // A spreadsheet: A4 landscape.
    let (_, pages) = draw(black("", 842, 595), Fit::default());
    assert_eq!(extent(&pages[0])[2..], [203, 290]);
    let upright = Fit {
        landscape: Landscape::Shrink,
        ..Fit::default()
    };
    let (shrunk, pages) = draw(black("", 842, 595), upright);
    assert_eq!(extent(&pages[0])[2..], [210, 147]);
    assert_eq!(
        shrunk.notes,
        [Note::Reduced {
            page: 1,
            percent: 72
        }]
    );
    // Stored lying, shown standing: it is as any other page.
    let (_, pages) = draw(black("/Rotate 90", 842, 595), upright);
    assert_eq!(extent(&pages[0])[2..], [203, 290]);
}

#[test]
fn a_part_of_a_larger_page_is_what_is_seen() {
    // Of an A3 a box of A5's size, far from its corner; the rest is cut off.
    let (_, pages) = draw(
        black("/CropBox[300 400 720 995]", 842, 1191),
        Fit::default(),
    );
    assert_eq!(extent(&pages[0]), [33, 0, 148, 210]);
}

/// A table of twelve columns and thirty rows on a page that lies.
#[test]
fn a_spreadsheet_that_lies_is_read_from_the_left() {
    let mut pdf = Made::new();
    let mut content = "0.5 w\n".to_owned();
    for row in 0..30 {
        let y = 545 - row * 17;
        content += &format!("30 {y} m 812 {y} l S BT /F 8 Tf 34 {} Td ", y + 4);
        for column in 0..12 {
            content += &format!("(R{row}C{column} {}) Tj 65 0 Td ", row * column * 37);
        }
        content += "ET\n";
    }
    pdf.page(
        &format!("/MediaBox[0 0 842 595]{}", made::HELVETICA),
        content.as_bytes(),
    );
    let (told, pages) = draw(pdf.finish(), Fit::default());
    assert_eq!((told.notes.len(), pages.len()), (0, 1));
    golden("spreadsheet", &pages[0]);
}

/// A till receipt of 80 mm by a metre, with a line of text every 12 points.
fn receipt() -> Vec<u8> {
    let mut pdf = Made::new();
    let mut content = "BT /F 10 Tf 12 TL 10 2820 Td\n".to_owned();
    for line in 0..233 {
        content += &format!("(Item {line} and its price) Tj T*\n");
    }
    content += "ET";
    pdf.page(
        &format!("/MediaBox[0 0 227 2835]{}", made::HELVETICA),
        content.as_bytes(),
    );
    pdf.finish()
}

fn lines(page: &Bitmap) -> usize {
    let inked = |y: usize| (0..page.width()).any(|x| page.is_black(x, y));
    // Lines of letters: runs of rows with ink.
    (1..page.height())
        .filter(|&y| inked(y) && !inked(y - 1))
        .count()
}

#[test]
fn a_receipt_is_cut_between_its_lines() {
    let (cut, pages) = draw(receipt(), Fit::default());
    assert_eq!(pages.len(), 4);
    golden("receipt_1", &pages[0]);
    golden("receipt_4", &pages[3]);
    assert_eq!(cut.notes, [Note::Cut { page: 1, parts: 4 }]);
    // The pages that go on leave the header line its place.
    assert!(pages[1..].iter().all(|page| extent(page)[1] >= 6));
    // No line is on two pages, and none is lost.
    assert_eq!(pages.iter().map(lines).sum::<usize>(), 233);
    let shrunk = Fit {
        long: Long::Shrink,
        ..Fit::default()
    };
    let (shrunk, pages) = draw(receipt(), shrunk);
    assert_eq!(pages.len(), 1);
    assert_eq!(
        shrunk.notes,
        [Note::Reduced {
            page: 1,
            percent: 30
        }]
    );
    // A banner of the same size is turned first.
    let (_, pages) = draw(black("", 2835, 227), Fit::default());
    assert_eq!(pages.len(), 4);
}

#[test]
fn blank_pages_go_where_the_profile_says_so() {
    let mut pdf = Made::new();
    let page = format!("{}{}", made::A4, made::HELVETICA);
    pdf.page(&page, b"BT /F 12 Tf 50 700 Td (First) Tj ET");
    pdf.page(&page, b"");
    // White on white is blank; a page number is not.
    pdf.page(&page, b"1 g 0 0 595 842 re f");
    pdf.page(&page, b"BT /F 8 Tf 297 20 Td (4) Tj ET");
    let bytes = pdf.finish();
    let (kept, pages) = draw(bytes.clone(), Fit::default());
    assert_eq!((pages.len(), kept.notes.len()), (4, 0));
    let drop = Fit {
        blank: Blank::Drop,
        ..Fit::default()
    };
    let (dropped, pages) = draw(bytes, drop);
    assert_eq!(pages.len(), 2);
    assert_eq!(dropped.notes, [Note::BlankLeftOut { pages: vec![2, 3] }]);
}

#[test]
fn a_cut_that_makes_too_many_pages_is_refused() {
    let input = Input::Pdf {
        name: "a.pdf".into(),
        bytes: receipt(),
        password: None,
    };
    let limits = Limits {
        max_pages: 3,
        ..Limits::default()
    };
    let refused = render(&input, &PageSetup::a4_fine(), &limits, &mut |_, _| ());
    assert!(matches!(
        refused,
        Err(PaperError::TooManyPages { limit: 3, .. })
    ));
}

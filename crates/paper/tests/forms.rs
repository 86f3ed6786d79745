//! Form fields without an appearance, and comments: what a print of the page would have, a fax has.

#[path = "made/golden.rs"]
mod golden;
mod made;

use faxpost_paper::{Input, Limits, Note, PageSetup, Rendered, render};
use faxpost_t4::Bitmap;
use golden::golden;
use made::{A4, HELVETICA, Made};

fn draw(bytes: Vec<u8>) -> Rendered {
    let input = Input::Pdf {
        name: "form.pdf".into(),
        bytes,
        password: None,
    };
    render(
        &input,
        &PageSetup::a4_fine(),
        &Limits::default(),
        &mut |_, _| (),
    )
    .expect("it is sound")
}

fn first(rendered: &Rendered) -> Bitmap {
    rendered.pages[0].decode().expect("our own page decodes")
}

/// Black pixels of a rectangle in points on A4, in per cent.
fn ink(page: &Bitmap, [left, bottom, right, top]: [f64; 4]) -> f64 {
    let (x, y) = (1728.0 / 215.0 * 25.4 / 72.0, 7.7 * 25.4 / 72.0);
    let margin = 2.5 / 215.0 * 1728.0;
    let columns = (left * x + margin) as usize..(right * x + margin) as usize;
    let rows = ((842.0 - top) * y) as usize..((842.0 - bottom) * y) as usize;
    let all = columns.len() * rows.len();
    let black = rows
        .flat_map(|y| columns.clone().map(move |x| (x, y)))
        .filter(|&(x, y)| page.is_black(x, y))
        .count();
    black as f64 * 100.0 / all as f64
}

/// A form of these fields, each with its rectangle and its other entries.
fn form(fields: &[([u32; 4], &str)], of_form: &str) -> Vec<u8> {
    let mut pdf = Made::new();
    let mut numbers = String::new();
    for ([left, bottom, right, top], entries) in fields {
        let field =
            format!("<</Type/Annot/Subtype/Widget/Rect[{left} {bottom} {right} {top}]{entries}>>");
        numbers += &format!("{} 0 R ", pdf.add(field));
    }
    pdf.catalog = format!("/AcroForm<</Fields[{numbers}]/DA(/Helv 0 Tf 0 g){of_form}>>");
    pdf.page(&format!("{A4}{HELVETICA}/Annots[{numbers}]"), b"");
    pdf.finish()
}

#[test]
fn fields_without_an_appearance_show_their_values() {
    let fields = [
        ([50, 780, 300, 800], "/F 4/FT/Tx/V(Jean Dupont)"),
        (
            [50, 750, 300, 770],
            "/F 4/FT/Tx/Q 2/DA(/Helv 12 Tf 0 0 1 rg)/V(to the right)",
        ),
        (
            [50, 640, 300, 740],
            "/F 4/FT/Tx/Ff 4096/DA(/Helv 11 Tf 0 g)/MK<</BC[0]>>/V(Several lines of text that are \
            longer than the field is wide, so that they are broken.\nAnd a line of its own.)",
        ),
        (
            [50, 600, 300, 625],
            "/F 4/FT/Tx/Ff 16777216/MaxLen 10/MK<</BC[0]>>/V(75008ABC)",
        ),
        (
            [50, 570, 70, 590],
            "/F 4/FT/Btn/AS/Yes/V/Yes/MK<</BC[0]/CA(4)>>",
        ),
        (
            [90, 570, 110, 590],
            "/F 4/FT/Btn/AS/Off/V/Off/MK<</BC[0]/CA(4)>>",
        ),
        (
            [130, 570, 150, 590],
            "/F 4/FT/Btn/Ff 32768/AS/B/MK<</BC[0]/CA(l)>>",
        ),
        (
            [170, 570, 190, 590],
            "/F 4/FT/Btn/AS/Yes/V/Yes/MK<</BC[0]/CA(8)>>",
        ),
        (
            [50, 530, 300, 550],
            "/F 4/FT/Ch/Ff 131072/Opt[[(de)(Germany)][(fr)(France)]]/V(fr)",
        ),
        (
            [50, 450, 300, 520],
            "/F 4/FT/Ch/Opt[(One)(Two)(Three)]/V[(One)(Three)]/MK<</BC[0]>>",
        ),
        // UTF-16: Greek, Cyrillic, Hebrew.
        (
            [50, 420, 300, 440],
            "/F 4/FT/Tx/V<FEFF0391 03B8 03AE 03BD 03B1 0020 041C 043E 0441 043A 0432 0430 0020 05E9 05DC 05D5 05DD>",
        ),
        (
            [350, 600, 370, 800],
            "/F 4/FT/Tx/MK<</R 90/BC[0]>>/V(turned to the left)",
        ),
        // Hidden; and a button to press.
        ([350, 500, 500, 520], "/F 6/FT/Tx/V(hidden)"),
        (
            [350, 450, 500, 470],
            "/F 4/FT/Btn/Ff 65536/MK<</BC[0]/CA(Send)>>",
        ),
    ];
    let rendered = draw(form(&fields, ""));
    let page = first(&rendered);
    golden("form", &page);
    assert_eq!(rendered.notes, []);
    for (rect, entries) in &fields[..12] {
        let share = ink(&page, rect.map(f64::from));
        assert!((2.0..45.0).contains(&share), "{entries}: {share}");
    }
    // Where the values stand: at the left, at the right, in cells of 25 points, lines from the top.
    assert!(ink(&page, [50.0, 780.0, 140.0, 800.0]) > 5.0);
    assert_eq!(ink(&page, [200.0, 780.0, 300.0, 800.0]), 0.0);
    assert_eq!(ink(&page, [50.0, 750.0, 150.0, 770.0]), 0.0);
    assert!(ink(&page, [52.0, 602.0, 74.0, 623.0]) > 3.0);
    assert_eq!(
        ink(&page, [252.0, 602.0, 298.0, 623.0]),
        0.0,
        "eight of ten cells"
    );
    assert!(ink(&page, [60.0, 715.0, 250.0, 738.0]) > 5.0);
    // Ticked and not ticked.
    assert!(ink(&page, [54.0, 574.0, 66.0, 586.0]) > 10.0);
    assert_eq!(ink(&page, [94.0, 574.0, 106.0, 586.0]), 0.0);
    assert!(ink(&page, [136.0, 576.0, 144.0, 584.0]) > 60.0);
    for nothing in [[350.0, 500.0, 500.0, 520.0], [352.0, 452.0, 498.0, 468.0]] {
        assert_eq!(ink(&page, nothing), 0.0, "{nothing:?}");
    }
}

#[test]
fn what_needs_new_appearances_gets_them_and_what_has_its_own_keeps_it() {
    let fields = |needed: &str| {
        let mut pdf = Made::new();
        // An appearance that is out of date: a black box.
        let old = pdf.stream(
            "/Type/XObject/Subtype/Form/BBox[0 0 200 20]",
            b"0 g 0 0 200 20 re f",
        );
        let field = pdf.add(format!(
            "<</Type/Annot/Subtype/Widget/F 4/FT/Tx/Rect[50 700 250 720]/V(new)/AP<</N {old} 0 R>>>>"
        ));
        pdf.catalog = format!("/AcroForm<</Fields[{field} 0 R]/DA(/Helv 12 Tf 0 g){needed}>>");
        pdf.page(&format!("{A4}/Annots[{field} 0 R]"), b"");
        first(&draw(pdf.finish()))
    };
    let place = [60.0, 704.0, 240.0, 716.0];
    assert_eq!(ink(&fields(""), place), 100.0);
    let share = ink(&fields("/NeedAppearances true"), place);
    assert!((0.5..20.0).contains(&share), "{share}");
}

#[test]
fn a_box_without_a_state_has_that_of_its_value() {
    let mut pdf = Made::new();
    let on = pdf.stream(
        "/Type/XObject/Subtype/Form/BBox[0 0 20 20]",
        b"0 g 0 0 20 20 re f",
    );
    let off = pdf.stream("/Type/XObject/Subtype/Form/BBox[0 0 20 20]", b"");
    let field = pdf.add(format!(
        "<</Type/Annot/Subtype/Widget/F 4/FT/Btn/Rect[50 700 70 720]/V/Yes/AP<</N<</Yes {on} 0 R/Off {off} 0 R>>>>>>"
    ));
    pdf.catalog = format!("/AcroForm<</Fields[{field} 0 R]>>");
    pdf.page(&format!("{A4}/Annots[{field} 0 R]"), b"");
    assert_eq!(
        ink(&first(&draw(pdf.finish())), [52.0, 702.0, 68.0, 718.0]),
        100.0
    );
}

/// ISO 32000-2 §12.5.3: a page on paper has what is marked to be printed and not hidden.
#[test]
fn comments_are_drawn_as_in_print() {
    let mut pdf = Made::new();
    let stamp = pdf.stream(
        "/Type/XObject/Subtype/Form/BBox[0 0 50 20]",
        b"0 g 0 0 50 20 re f",
    );
    let mut annotations = String::new();
    for (row, (kind, flags)) in [
        ("Stamp", 4),
        ("Highlight", 4),
        ("FreeText", 4),
        // Not on the screen, but on paper.
        ("Stamp", 4 | 32),
        // On the screen only; hidden; a popup; a link.
        ("Stamp", 0),
        ("Stamp", 4 | 2),
        ("Popup", 4),
        ("Link", 4),
    ]
    .into_iter()
    .enumerate()
    {
        let (bottom, top) = (780 - row * 30, 800 - row * 30);
        let number = pdf.add(format!(
            "<</Type/Annot/Subtype/{kind}/F {flags}/Rect[50 {bottom} 100 {top}]/AP<</N {stamp} 0 R>>>>"
        ));
        annotations += &format!("{number} 0 R ");
    }
    // Without appearances: a text, a line through, a drawing by hand, a box; and a note that nobody can draw.
    annotations += "<</Type/Annot/Subtype/FreeText/F 4/Rect[200 760 400 800]/DA(/Helv 14 Tf 0 g)/Contents(By hand)>>";
    annotations += "<</Type/Annot/Subtype/StrikeOut/F 4/Rect[200 720 400 740]/QuadPoints[200 740 400 740 200 720 400 720]>>";
    annotations += "<</Type/Annot/Subtype/Ink/F 4/Rect[200 660 400 700]/BS<</W 3>>/InkList[[200 660 300 700 400 660]]>>";
    annotations += "<</Type/Annot/Subtype/Square/F 4/Rect[200 600 400 640]/C[0]>>";
    annotations += "<</Type/Annot/Subtype/Text/F 4/Rect[450 760 470 780]/Contents(a note)>>";
    pdf.page(
        &format!("{A4}{HELVETICA}/Annots[{annotations}]"),
        b"BT /F 12 Tf 50 400 Td (The page itself) Tj ET",
    );
    let rendered = draw(pdf.finish());
    let page = first(&rendered);
    golden("comments", &page);
    let at = |row: usize| {
        let bottom = 780.0 - row as f64 * 30.0;
        ink(&page, [54.0, bottom + 4.0, 96.0, bottom + 16.0])
    };
    for drawn in 0..4 {
        assert_eq!(at(drawn), 100.0, "row {drawn}");
    }
    for left_out in 4..8 {
        assert_eq!(at(left_out), 0.0, "row {left_out}");
    }
    for rect in [
        [200.0, 760.0, 280.0, 800.0],
        [210.0, 724.0, 390.0, 736.0],
        [240.0, 670.0, 360.0, 700.0],
        [195.0, 595.0, 405.0, 645.0],
        [50.0, 395.0, 140.0, 415.0],
    ] {
        assert!(ink(&page, rect) > 1.0, "{rect:?}");
    }
    assert_eq!(
        rendered.notes,
        [Note::NotPrinted { page: 1 }, Note::AnnotationMissing]
    );
}

/// Marks on text and stamps that the file leaves to its reader to draw (ISO 32000-2 §12.5.6.10, §12.5.6.12).
#[test]
fn marks_and_stamps_without_a_drawing_are_drawn() {
    let mut pdf = Made::new();
    let mut annotations = String::new();
    let mut words = String::new();
    let kinds = ["Highlight", "Underline", "Squiggly", "StrikeOut"];
    for (row, kind) in kinds.into_iter().enumerate() {
        let (bottom, top) = (740 - row * 40, 760 - row * 40);
        annotations += &format!(
            "<</Type/Annot/Subtype/{kind}/F 4/C[1 1 0]/Rect[50 {bottom} 300 {top}]
            /QuadPoints[50 {top} 300 {top} 50 {bottom} 300 {bottom}]>>"
        );
        words += &format!(
            "BT /F 16 Tf 52 {} Td ({kind}: the marked words) Tj ET ",
            bottom + 5
        );
    }
    for (row, entries) in [
        "/Subtype/Stamp/Name/Approved",
        "/Subtype/Stamp/Name/NotForPublicRelease",
        "/Subtype/Stamp",
        "/Subtype/FreeText/DA(/Helv 14 Tf 0 g)/Contents(Words in the margin)/MK<</BC[0]>>",
        "/Subtype/Polygon/Vertices[352 582 450 608 498 582]",
        "/Subtype/PolyLine/Vertices[352 542 450 568 498 542]",
        "/Subtype/Caret",
    ]
    .into_iter()
    .enumerate()
    {
        let (bottom, top) = (740 - row * 40, 770 - row * 40);
        let right = if entries.ends_with("Caret") { 364 } else { 500 };
        annotations += &format!("<</Type/Annot/F 4/Rect[350 {bottom} {right} {top}]{entries}>>");
    }
    // One whose corners are missing can't be drawn, and is told.
    annotations += "<</Type/Annot/Subtype/Highlight/F 4/Rect[50 500 300 520]>>";
    pdf.page(
        &format!("{A4}{HELVETICA}/Annots[{annotations}]"),
        words.as_bytes(),
    );
    let rendered = draw(pdf.finish());
    let page = first(&rendered);
    golden("marks", &page);
    assert_eq!(rendered.notes, [Note::AnnotationMissing]);
    // Where the mark of each kind is, beyond the words; and the words stay to be read.
    for (row, (low, high)) in [(0.0, 4.0), (1.0, 4.0), (0.0, 4.5), (7.0, 12.0)]
        .into_iter()
        .enumerate()
    {
        let bottom = 740.0 - row as f64 * 40.0;
        let line = [260.0, bottom + low, 298.0, bottom + high];
        assert!(
            ink(&page, line) > 15.0,
            "{}: {}",
            kinds[row],
            ink(&page, line)
        );
        let letters = ink(&page, [52.0, bottom + 5.0, 240.0, bottom + 20.0]);
        assert!((8.0..35.0).contains(&letters), "{}: {letters}", kinds[row]);
    }
    for row in 0..7 {
        let bottom = 740.0 - f64::from(row) * 40.0;
        let right = if row == 6 { 366.0 } else { 502.0 };
        let share = ink(&page, [348.0, bottom - 2.0, right, bottom + 32.0]);
        assert!((2.0..50.0).contains(&share), "row {row}: {share}");
    }
}

#[test]
fn a_field_that_holds_too_much_is_told() {
    let long = "many words ".repeat(200);
    let rendered = draw(form(
        &[(
            [50, 700, 200, 740],
            &format!("/F 4/FT/Tx/Ff 4096/V({long})"),
        )],
        "",
    ));
    assert_eq!(rendered.notes, [Note::FieldCut]);
    assert!(ink(&first(&rendered), [50.0, 702.0, 200.0, 738.0]) > 10.0);
}

#[test]
fn turned_pages_have_their_fields_where_they_belong() {
    let mut pdf = Made::new();
    let field = pdf.add(
        "<</Type/Annot/Subtype/Widget/F 4/FT/Tx/Rect[100 100 300 130]/MK<</R 90/BG[0]>>/V( )>>",
    );
    pdf.catalog = format!("/AcroForm<</Fields[{field} 0 R]>>");
    // A page that is stored lying on its side, its origin elsewhere.
    pdf.page(
        &format!("/MediaBox[100 100 942 695]/Rotate 90/Annots[{field} 0 R]"),
        b"",
    );
    let page = first(&draw(pdf.finish()));
    golden("turned", &page);
    // Turned a quarter to the right, its lower left corner is the upper left one.
    assert_eq!(ink(&page, [4.0, 650.0, 28.0, 838.0]), 100.0);
    assert_eq!(ink(&page, [40.0, 100.0, 500.0, 838.0]), 0.0);
}

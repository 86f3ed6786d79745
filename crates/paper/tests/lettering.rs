//! Text in scripts that the embedded family lacks, with a font that was handed in: in PDFs that do not have
//! their fonts, in plain text and in form fields. And what is told where no font has it.

#[path = "made/font.rs"]
mod font;
#[path = "made/golden.rs"]
mod golden;
mod made;

use std::sync::Once;

use faxpost_paper::{Face, Input, Limits, Note, PageSetup, Rendered, Script, render, warm_with};
use made::{A4, Made};

/// A font with a few characters of each, boxes all. Not Thai.
fn hand_in() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let data = font::font("Boxes", &['中', '国', 'あ', 'ع', 'ا', 'ب', ' ']);
        let faces = Face::all(0, &data);
        assert_eq!(faces.len(), 1);
        assert!(faces[0].has(Script::Han) && !faces[0].has(Script::Thai));
        warm_with(
            faces,
            Box::new(move |number| (number == 0).then(|| data.clone())),
        );
    });
}

fn draw(input: Input) -> Rendered {
    hand_in();
    render(
        &input,
        &PageSetup::a4_fine(),
        &Limits::default(),
        &mut |_, _| (),
    )
    .expect("it is sound")
}

fn pdf(bytes: Vec<u8>) -> Rendered {
    draw(Input::Pdf {
        name: "a.pdf".into(),
        bytes,
        password: None,
    })
}

fn black(rendered: &Rendered) -> usize {
    let page = rendered.pages[0].decode().expect("our own page decodes");
    page.data()
        .iter()
        .map(|octet| octet.count_ones() as usize)
        .sum()
}

/// A page with a composite font that the file has not, and text of it in its codes.
fn with_font(name: &str, entries: &str, below: &str, table: Option<&str>, text: &str) -> Vec<u8> {
    let mut pdf = Made::new();
    let table = table.map_or(String::new(), |table| {
        let table = pdf.stream("", table.as_bytes());
        format!("/ToUnicode {table} 0 R")
    });
    let font = pdf.add(format!(
        "<</Type/Font/Subtype/Type0/BaseFont/{name}{entries}{table}/DescendantFonts[<</Type/Font/Subtype/CIDFontType2\
         /BaseFont/{name}/DW 1000{below}>>]>>"
    ));
    pdf.page(
        &format!("{A4}/Resources<</Font<</F {font} 0 R>>>>"),
        format!("BT /F 40 Tf 50 700 Td <{text}> Tj ET").as_bytes(),
    );
    pdf.finish()
}

#[test]
fn chinese_without_its_font_is_drawn_in_another() {
    let gb = "/CIDSystemInfo<</Registry(Adobe)/Ordering(GB1)/Supplement 2>>";
    let drawn = pdf(with_font(
        "STSong-Light",
        "/Encoding/UniGB-UCS2-H",
        gb,
        None,
        "4E2D56FD",
    ));
    // Two boxes of 32 by 28 points each.
    assert!(black(&drawn) > 10_000, "{}", black(&drawn));
    golden::golden(
        "chinese",
        &drawn.pages[0].decode().expect("our own page decodes"),
    );
    let font = "STSong-Light".to_owned();
    assert_eq!(drawn.notes, [Note::FontSubstituted { font: font.clone() }]);
    // A character that the other font has not.
    let drawn = pdf(with_font(
        "STSong-Light",
        "/Encoding/UniGB-UCS2-H",
        gb,
        None,
        "4E2D6587",
    ));
    let missing = Note::CharactersMissing {
        count: 1,
        scripts: vec![Script::Han],
    };
    assert_eq!(drawn.notes, [Note::FontSubstituted { font }, missing]);
}

#[test]
fn a_font_known_by_its_table_alone_is_replaced_by_one_of_its_script() {
    let identity = "/CIDSystemInfo<</Registry(Adobe)/Ordering(Identity)/Supplement 0>>";
    let arabic = "/CIDInit /ProcSet findresource begin 12 dict begin begincmap\n1 begincodespacerange\n<0000> <FFFF>\n\
        endcodespacerange\n2 beginbfchar\n<0003> <0639>\n<0004> <0627>\nendbfchar\nendcmap";
    let drawn = pdf(with_font(
        "Traditional",
        "/Encoding/Identity-H",
        identity,
        Some(arabic),
        "00030004",
    ));
    assert!(black(&drawn) > 10_000);
    golden::golden(
        "arabic",
        &drawn.pages[0].decode().expect("our own page decodes"),
    );
    let font = "Traditional".to_owned();
    assert_eq!(drawn.notes, [Note::FontSubstituted { font }]);
    // Cyrillic, which the embedded family has.
    let cyrillic = arabic.replace("0639", "0416").replace("0627", "0410");
    let drawn = pdf(with_font(
        "Petersburg",
        "/Encoding/Identity-H",
        identity,
        Some(&cyrillic),
        "00030004",
    ));
    assert!(black(&drawn) > 1_000);
    assert_eq!(
        drawn.notes,
        [Note::FontSubstituted {
            font: "Petersburg".to_owned()
        }]
    );
    // The same under a name whose look-alike is Latin.
    let drawn = pdf(with_font(
        "Arial-BoldMT",
        "/Encoding/Identity-H",
        identity,
        Some(arabic),
        "00030004",
    ));
    assert!(black(&drawn) > 10_000);
    assert_eq!(
        drawn.notes,
        [Note::FontSubstituted {
            font: "Arial-BoldMT".to_owned()
        }]
    );
    // Thai, which nothing here has: never a blank page without a word.
    let thai = arabic.replace("0639", "0E01").replace("0627", "0E02");
    let drawn = pdf(with_font(
        "Angsana",
        "/Encoding/Identity-H",
        identity,
        Some(&thai),
        "00030004",
    ));
    let font = "Angsana".to_owned();
    let script = Script::Thai;
    assert!(
        drawn.notes.contains(&Note::FontMissing { font, script }),
        "{:?}",
        drawn.notes
    );
    // Codes without a meaning.
    let drawn = pdf(with_font(
        "Odd",
        "/Encoding/Identity-H",
        identity,
        None,
        "12341235",
    ));
    let missing = Note::CharactersMissing {
        count: 2,
        scripts: vec![Script::Other],
    };
    assert!(drawn.notes.contains(&missing), "{:?}", drawn.notes);
}

/// A simple font has the names of its characters: what the look-alike of Helvetica lacks is told.
#[test]
fn what_a_standard_font_lacks_is_told() {
    let mut made = Made::new();
    made.page(
        &format!(
            "{A4}/Resources<</Font<</F<</Type/Font/Subtype/TrueType/BaseFont/Arial/Encoding<</Type/Encoding\
             /BaseEncoding/WinAnsiEncoding/Differences[193/afii57409/afii57410]>>>>>>>>"
        ),
        b"BT /F 40 Tf 50 700 Td (A\xC1\xC2) Tj ET",
    );
    let drawn = pdf(made.finish());
    assert!(black(&drawn) > 500);
    let missing = Note::CharactersMissing {
        count: 2,
        scripts: vec![Script::Arabic],
    };
    assert!(drawn.notes.contains(&missing), "{:?}", drawn.notes);
}

#[test]
fn text_and_fields_use_the_same_fonts() {
    let text = |text: &str| {
        draw(Input::Text {
            name: "a.txt".into(),
            text: text.into(),
        })
    };
    let drawn = text("中国 あ ابع");
    assert!(
        drawn.notes.is_empty() && black(&drawn) > 1_000,
        "{:?}",
        drawn.notes
    );
    let drawn = text("กข is Thai");
    let missing = Note::CharactersMissing {
        count: 2,
        scripts: vec![Script::Thai],
    };
    assert_eq!(drawn.notes, [missing]);
    let mut made = Made::new();
    let field =
        made.add("<</Type/Annot/Subtype/Widget/F 4/FT/Tx/Rect[50 700 250 740]/V<FEFF4E2D56FD>>>");
    made.catalog = format!("/AcroForm<</Fields[{field} 0 R]/DA(/Helv 20 Tf 0 g)>>");
    made.page(&format!("{A4}/Annots[{field} 0 R]"), b"");
    let drawn = pdf(made.finish());
    assert!(
        drawn.notes.is_empty() && black(&drawn) > 2_000,
        "{:?}",
        drawn.notes
    );
}

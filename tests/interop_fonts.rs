//! The system's own Noto fonts in real paper workers: text in every script that they have, and Chinese in a
//! PDF that does not have its font.
#![allow(clippy::unwrap_used)]

#[path = "../crates/paper/tests/made/mod.rs"]
mod made;

use std::sync::Arc;
use std::time::{Duration, Instant};

use faxpost::worker::paper::{PaperDone, PaperPool, PaperRequest};
use faxpost::worker::{Fonts, Kind, Limits, Program};
use faxpost_paper::{Input, PageSetup, Script};
use made::{A4, Made};

const LONG: Duration = Duration::from_secs(120);

/// "All people are born free and equal" or the like, one a line.
const LINES: &str = "\
Latin: Voix ambiguë d’un cœur qui préfère les jattes de kiwis\n\
Greek: Όλοι οι άνθρωποι γεννιούνται ελεύθεροι\n\
Cyrillic: Все люди рождаются свободными\n\
Hebrew: כל בני האדם נולדו בני חורין\n\
Arabic: يولد جميع الناس أحراراً متساوين\n\
Chinese: 人人生而自由，在尊嚴和權利上一律平等\n\
Japanese: すべての人間は、生まれながらにして自由\n\
Korean: 모든 인간은 태어날 때부터 자유로우며\n\
Thai: มนุษย์ทั้งหลายเกิดมามีอิสระ\n\
Devanagari: सभी मनुष्यों को गौरव और अधिकारों\n\
Bengali: সমস্ত মানুষ স্বাধীনভাবে\n\
Tamil: மனிதப் பிறிவியினர் சகலரும்\n\
Georgian: ყველა ადამიანი იბადება თავისუფალი\n\
Armenian: Բոլոր մարդիկ ծնվում են ազատ\n\
Khmer: មនុស្សទាំងអស់ កើតមកមានសេរីភាព\n\
Ethiopic: የሰው ልጅ ሁሉ ሲወለድ ነጻ\n";

fn request(input: Input) -> PaperRequest {
    PaperRequest::Render {
        input,
        setup: PageSetup::a4_fine(),
        limits: faxpost_paper::Limits::default(),
    }
}

/// With `FAXPOST_PAGES`, a folder, the pages are written there for people to look at, as PBM.
fn look_at(name: &str, done: &PaperDone) {
    if let Ok(folder) = std::env::var("FAXPOST_PAGES") {
        let page = done.pages[0].decode().unwrap();
        let mut file = format!("P4\n{} {}\n", page.width(), page.height()).into_bytes();
        file.extend(page.data());
        std::fs::write(format!("{folder}/{name}.pbm"), file).unwrap();
    }
}

#[tokio::test]
async fn every_script_is_drawn_with_the_systems_fonts() {
    let begun = Instant::now();
    let fonts = Fonts::find(&[]);
    println!("found in {:?}: {:?}", begun.elapsed(), fonts.families());
    for script in [
        Script::Han,
        Script::Kana,
        Script::Hangul,
        Script::Arabic,
        Script::Thai,
        Script::Devanagari,
    ] {
        assert!(
            fonts.has(script),
            "{script:?}: install fonts-noto-core and fonts-noto-cjk"
        );
    }
    let program = Program::at(env!("CARGO_BIN_EXE_faxpost"));
    let pool = PaperPool::with_fonts(program, 1, Limits::of(Kind::Paper), Arc::new(fonts));
    let latin = Input::Text {
        name: "latin.txt".to_owned(),
        text: "Nothing but Latin".to_owned(),
    };
    let begun = Instant::now();
    pool.render(&request(latin), LONG).await.unwrap();
    println!("a page of Latin: {:?}", begun.elapsed());
    let text = Input::Text {
        name: "scripts.txt".to_owned(),
        text: LINES.to_owned(),
    };
    let begun = Instant::now();
    let done = pool.render(&request(text), LONG).await.unwrap();
    println!("a page of everything: {:?}", begun.elapsed());
    assert_eq!(done.notes, []);
    look_at("scripts", &done);

    let mut pdf = Made::new();
    let font = |registry: &str, name: &str, map: &str| {
        format!(
            "<</Type/Font/Subtype/Type0/BaseFont/{name}/Encoding/{map}/DescendantFonts[<</Type/Font/Subtype/CIDFontType0\
             /BaseFont/{name}/DW 1000/CIDSystemInfo<</Registry(Adobe)/Ordering({registry})/Supplement 2>>>>]>>"
        )
    };
    let fonts = [
        pdf.add(font("GB1", "STSong-Light", "UniGB-UTF16-H")),
        pdf.add(font("Japan1", "KozMinPro-Regular", "UniJIS-UTF16-H")),
        pdf.add(font("Korea1", "HYSMyeongJo-Medium", "UniKS-UTF16-H")),
    ];
    let hex = |text: &str| -> String {
        text.encode_utf16()
            .map(|unit| format!("{unit:04X}"))
            .collect()
    };
    let content = format!(
        "BT /A 24 Tf 50 700 Td <{}> Tj 0 -60 Td /B 24 Tf <{}> Tj 0 -60 Td /C 24 Tf <{}> Tj ET",
        hex("人人生而自由，在尊严和权利上"),
        hex("すべての人間は、生まれながら"),
        hex("모든 인간은 태어날 때부터")
    );
    let [a, b, c] = fonts;
    pdf.page(
        &format!("{A4}/Resources<</Font<</A {a} 0 R/B {b} 0 R/C {c} 0 R>>>>"),
        content.as_bytes(),
    );
    let input = Input::Pdf {
        name: "cjk.pdf".to_owned(),
        bytes: pdf.finish(),
        password: None,
    };
    let done = pool.render(&request(input), LONG).await.unwrap();
    look_at("cjk", &done);
    let said: Vec<String> = done.notes.iter().map(ToString::to_string).collect();
    assert_eq!(said.len(), 3, "{said:?}");
    assert!(
        said.iter()
            .all(|note| note.contains("was drawn in a similar one")),
        "{said:?}"
    );
    let page = done.pages[0].decode().unwrap();
    let black: u32 = page.data().iter().map(|octet| octet.count_ones()).sum();
    assert!(black > 20_000, "{black}");
}

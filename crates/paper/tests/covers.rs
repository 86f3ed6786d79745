//! The three covers that come with the program, and what templates of others may and may not do.

#[path = "made/golden.rs"]
mod golden;

use faxpost_paper::{
    Cover, Note, PageSetup, PaperError, Template, cover, logo, sample_covers, try_template,
};
use faxpost_t4::Bitmap;
use golden::golden;
use image::{ExtendedColorType, ImageEncoder as _, codecs::png::PngEncoder};

const DESIGNS: [(&str, &str); 3] = [
    ("plain", include_str!("../../../policies/covers/plain.typ")),
    (
        "business",
        include_str!("../../../policies/covers/business.typ"),
    ),
    (
        "confidential",
        include_str!("../../../policies/covers/confidential.typ"),
    ),
];

fn template(name: &str, source: &str) -> Template {
    Template {
        name: name.into(),
        source: source.into(),
    }
}

fn designs() -> impl Iterator<Item = Template> {
    DESIGNS
        .into_iter()
        .map(|(name, source)| template(name, source))
}

/// A disc in two colours with a slope in it, and three bars beside it, with clear paper around.
fn picture() -> Vec<u8> {
    let (width, height) = (640u32, 240u32);
    let image = image::RgbaImage::from_fn(width, height, |x, y| {
        let (dx, dy) = (f64::from(x) - 120.0, f64::from(y) - 120.0);
        let far = (dx * dx + dy * dy).sqrt();
        let bar = (260..600).contains(&x) && (y / 40) % 2 == 1 && (40..220).contains(&y);
        let rgba = match () {
            () if far < 40.0 => [255, 255, 255, 255],
            () if far < 100.0 && x < 120 => [240, 130, 20, 255],
            () if far < 100.0 => [20, 40, (55 + y) as u8, 255],
            () if bar && y < 80 => [10, 30, 90, 255],
            () if bar && y < 160 => [(x / 3) as u8, (x / 3) as u8, (x / 3) as u8, 255],
            () if bar => [180, 205, 235, 255],
            () => [255, 255, 255, 0],
        };
        image::Rgba(rgba)
    });
    let mut file = Vec::new();
    PngEncoder::new(&mut file)
        .write_image(image.as_raw(), width, height, ExtendedColorType::Rgba8)
        .expect("it is written");
    file
}

fn drawn(cover_of: &Cover) -> Vec<Bitmap> {
    let done = cover(cover_of, &PageSetup::a4_fine()).expect("the template is sound");
    assert_eq!(done.notes, []);
    let pages = done.pages.iter();
    pages
        .map(|page| page.decode().expect("our own page"))
        .collect()
}

#[test]
fn the_covers_look_as_they_were_looked_at() {
    let logo = logo("logo.png", &picture()).expect("a logo");
    for template in designs() {
        let [english, french, long, bare] = sample_covers(&template, Some(&logo));
        let english = Cover {
            logo: None,
            ..english
        };
        let name = &template.name;
        for (kind, cover_of, pages) in [
            ("en", &english, 1),
            ("fr_logo", &french, 1),
            ("long", &long, 3),
            ("bare", &bare, 1),
        ] {
            let drawn = drawn(cover_of);
            assert!(
                (1..=pages).contains(&drawn.len()),
                "{name} {kind}: {}",
                drawn.len()
            );
            for (number, page) in (1..).zip(&drawn) {
                golden(&format!("cover_{name}_{kind}_{number}"), page);
            }
        }
    }
}

const UNTRUSTED: &str =
    "#panic(1) $x$ *b* _i_ `r` \\ \"q\" ] } #read(\"/etc/passwd\") #import \"@preview/a:1.0.0\"";

fn on(source: &str) -> Cover {
    Cover {
        template: template("mine", source),
        subject: UNTRUSTED.into(),
        message: format!("{UNTRUSTED}\n{UNTRUSTED}"),
        document_pages: 2,
        ..Cover::default()
    }
}

/// What is wrong with a template: its place and words.
fn fault(source: &str) -> (Option<(u32, u32)>, String) {
    match cover(&on(source), &PageSetup::a4_fine()) {
        Err(PaperError::Template { name, fault }) => {
            assert_eq!(name, "mine");
            (fault.place, fault.said)
        }
        other => panic!("{source}: {other:?}"),
    }
}

#[test]
fn what_people_write_is_printed_and_never_run() {
    // The template sees exactly the words that were written.
    let escaped = UNTRUSTED.replace('\\', "\\\\").replace('"', "\\\"");
    let source = format!(
        "#assert.eq(sys.inputs.subject, \"{escaped}\")\n#assert.eq(sys.inputs.message, \"{escaped}\\n{escaped}\")\n\
         #sys.inputs.subject"
    );
    assert!(cover(&on(&source), &PageSetup::a4_fine()).is_ok());
    for template in designs() {
        let ink = |subject: &str| {
            let drawn = drawn(&Cover {
                template: template.clone(),
                subject: subject.into(),
                ..Cover::default()
            });
            drawn[0].count_black()
        };
        // Letter for letter: a blank between does not change the ink.
        assert!(ink(UNTRUSTED) > ink("") + 1000, "{}", template.name);
    }
}

#[test]
fn an_error_has_its_line_and_column() {
    let (place, said) = fault("Fine\n\n#let a = 1\n  #unknown");
    assert_eq!(place, Some((4, 4)));
    assert!(said.starts_with("unknown variable: unknown"), "{said}");
    let (place, said) = fault("#let a = (1, 2");
    assert_eq!(place.map(|(line, _)| line), Some(1));
    assert!(said.contains("unclosed"), "{said}");
    // typst's hints come along.
    let (_, said) = fault("#let with-dash = 1\n#sys.inputs.tos");
    assert!(said.contains("tos"), "{said}");
    let (_, said) = fault("#(1 + \"a\" + sys.inputs.subject-line)");
    assert!(!said.is_empty());
    // What a value makes fail, is told where it was used.
    let (place, said) = fault("#let f(it) = int(it)\n#f(sys.inputs.subject)");
    assert_eq!(place.map(|(line, _)| line), Some(1));
    assert!(said.len() < 600, "{said}");
}

#[test]
fn what_is_said_of_an_error_has_nothing_of_the_mail() {
    for source in [
        "#panic(sys.inputs.message)",
        "#panic(\"at\", sys.inputs.message)",
        "#panic((a: sys.inputs.message.split(\" \")))",
        "#int(sys.inputs.message)",
        "#float(sys.inputs.message)",
        "#eval(sys.inputs.message.split(\" \").first())",
        "#assert(false, message: sys.inputs.message)",
        "#assert.eq(sys.inputs.message, \"other\")",
        "#sys.inputs.at(sys.inputs.message)",
        "#image(bytes(sys.inputs.message))",
    ] {
        let secret = Cover {
            message: "Launch \"codeword\" \\ Zanzibar".into(),
            ..on(source)
        };
        let error = cover(&secret, &PageSetup::a4_fine()).expect_err(source);
        let said = error.to_string();
        for word in ["Launch", "codeword", "Zanzibar"] {
            assert!(!said.contains(word), "{source}: {said}");
        }
    }
    // Its own words stay.
    assert_eq!(fault("#panic(\"my words\")").1, "panicked with: my words");
    assert!(fault("#sys.inputs.naem").1.contains("\"naem\""));
    let own = fault("#assert(false, message: \"mine\")").1;
    assert_eq!(own, "assertion failed: mine");
}

#[test]
fn a_template_has_no_file_no_package_and_no_clock() {
    for source in [
        "#read(\"/etc/passwd\")",
        "#import \"@preview/cetz:0.3.0\"",
        "#include \"other.typ\"",
        "#image(\"/etc/hostname.png\")",
        "#json(\"x.json\")",
        "#datetime.today()",
        "#plugin(\"x.wasm\")",
    ] {
        let (place, said) = fault(source);
        assert_eq!(place.map(|(line, _)| line), Some(1), "{source}: {said}");
    }
}

#[test]
fn a_cover_prints_its_own_pages_too() {
    // Two pages of cover and two of the document, and the template was told so at last.
    let source = "#assert(sys.inputs.cover-pages < 3)\n#sys.inputs.pages #pagebreak() b";
    let done = cover(&on(source), &PageSetup::a4_fine()).expect("two pages");
    assert_eq!(done.pages.len(), 2);
    let one = "#assert.eq(sys.inputs.pages, 3)\n#assert.eq(sys.inputs.document-pages, 2)";
    assert!(cover(&on(one), &PageSetup::a4_fine()).is_ok());
}

#[test]
fn no_template_makes_pages_without_end() {
    let many = on("#for i in range(40) { pagebreak() }");
    assert_eq!(
        cover(&many, &PageSetup::a4_fine()),
        Err(PaperError::CoverPages {
            name: "mine".into(),
            limit: 3
        })
    );
    // Pages that the message makes are cut to three.
    let long = Cover {
        message: "word ".repeat(9000),
        ..on("#sys.inputs.message")
    };
    let done = cover(&long, &PageSetup::a4_fine()).expect("it is cut");
    assert_eq!(done.pages.len(), 3);
}

#[test]
fn characters_that_no_font_has_are_told() {
    let done = cover(
        &Cover {
            to_name: "\u{0e2a}\u{0e27}".into(),
            ..Cover::default()
        },
        &PageSetup::a4_fine(),
    );
    let done = done.expect("it is drawn");
    assert!(
        matches!(
            done.notes.as_slice(),
            [Note::CharactersMissing { count: 2, .. }]
        ),
        "{:?}",
        done.notes
    );
}

#[test]
fn a_template_is_tried_in_both_languages_and_with_nothing() {
    let try_it =
        |source: &str| try_template(&template("mine", source), None, &PageSetup::a4_fine());
    assert_eq!(try_it("Hello").expect("it is sound").pages.len(), 1);
    assert!(try_it("#assert.ne(sys.inputs.language, \"fr\")").is_err());
    assert!(
        try_it("#sys.inputs.subject.first()").is_err(),
        "without a subject"
    );
    // What typst only warns of is no error, and told.
    let warned = try_it("#set text(font: \"Comic Papyrus\")\nHello").expect("it is drawn");
    assert_eq!(warned.notes.len(), 1, "{:?}", warned.notes);
    assert!(
        warned.notes[0].to_string().contains("in line 1"),
        "{}",
        warned.notes[0]
    );
    for design in designs() {
        let done = try_template(&design, None, &PageSetup::a4_fine()).expect("ours are sound");
        assert_eq!(done.notes, [], "{}", design.name);
    }
}

#[test]
fn the_template_of_the_manual_is_sound_and_names_every_value() {
    let manual = include_str!("../../../docs/covers.md");
    let (_, behind) = manual.split_once("```typst\n").expect("an example");
    let (example, _) = behind.split_once("```").expect("its end");
    let done = try_template(&template("manual", example), None, &PageSetup::a4_fine());
    assert_eq!(done.expect("it is sound").notes, []);
    // What is given and not told would be used by nobody.
    let keys =
        "#panic(sys.inputs.keys().join(\" \") + \" \" + sys.inputs.labels.keys().join(\" \"))";
    let tried = try_template(&template("mine", keys), None, &PageSetup::a4_fine());
    let said = tried.expect_err("it panics").to_string();
    let (_, names) = said.split_once("panicked with: ").expect("the names");
    let names: Vec<&str> = names.split(' ').collect();
    assert_eq!(names.len(), 29, "{said}");
    for name in names {
        assert!(manual.contains(&format!("`{name}`")), "{name}");
    }
}

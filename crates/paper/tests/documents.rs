//! Documents as senders have them, to pages: the files in `testdata/`, text, covers.
//!
//! `sample.pdf` has three pages (text in sizes, colours and on fills; a table; a photograph,
//! gradients and a chart), `landscape.pdf` a landscape A4, the same with /Rotate 90, an A2;
//! `encrypted.pdf` opens with "secret"; `damaged.pdf` is the first 9000 bytes of the sample.

use faxpost_paper::{
    Cover, Input, Language, Limits, MAX_COVER_PAGES, Note, PageSetup, Paper, PaperError, Reason,
    Rendered, cover, render,
};
use faxpost_t4::{Bitmap, Coding, FaxPage, Resolution};
use proptest::prelude::*;

const SAMPLE: &[u8] = include_bytes!("../testdata/sample.pdf");
const LANDSCAPE: &[u8] = include_bytes!("../testdata/landscape.pdf");
const ENCRYPTED: &[u8] = include_bytes!("../testdata/encrypted.pdf");
const DAMAGED: &[u8] = include_bytes!("../testdata/damaged.pdf");

fn pdf(bytes: &[u8], password: Option<&str>) -> Input {
    Input::Pdf {
        name: "contract.pdf".into(),
        bytes: bytes.to_vec(),
        password: password.map(Into::into),
    }
}

fn text(text: &str) -> Input {
    Input::Text {
        name: "note.txt".into(),
        text: text.into(),
    }
}

fn draw(input: &Input, setup: &PageSetup) -> Result<Rendered, PaperError> {
    render(input, setup, &Limits::default(), &mut |_, _| ())
}

fn bitmaps(pages: &[FaxPage]) -> Vec<Bitmap> {
    pages
        .iter()
        .map(|page| page.decode().expect("our own page decodes"))
        .collect()
}

/// Black pixels in a part of an A4 page, in per cent; the part in millimetres from the left edge
/// of the paper and the top.
fn ink(page: &Bitmap, left: f64, top: f64, width: f64, height: f64) -> f64 {
    let columns = page.width() as f64 / 215.0;
    let rows = page.height() as f64 / 297.0;
    // A4 is 5 mm narrower than the line.
    let (x0, x1) = ((left + 2.5) * columns, (left + 2.5 + width) * columns);
    let (y0, y1) = (top * rows, (top + height) * rows);
    let (mut black, mut all) = (0u32, 0u32);
    for y in y0 as usize..y1 as usize {
        for x in x0 as usize..x1 as usize {
            black += u32::from(page.is_black(x, y));
            all += 1;
        }
    }
    f64::from(black) * 100.0 / f64::from(all)
}

#[test]
fn a_pdf_has_its_pages_at_every_resolution() {
    for (resolution, height) in [
        (Resolution::Standard, 1143),
        (Resolution::Fine, 2287),
        (Resolution::Superfine, 4574),
    ] {
        let setup = PageSetup {
            resolution,
            ..PageSetup::a4_fine()
        };
        let mut calls = Vec::new();
        let rendered = render(
            &pdf(SAMPLE, None),
            &setup,
            &Limits::default(),
            &mut |done, total| calls.push((done, total)),
        )
        .expect("the sample is sound");
        assert_eq!(calls, [(1, 3), (2, 3), (3, 3)]);
        assert_eq!(rendered.notes, []);
        for page in &rendered.pages {
            assert_eq!((page.width, page.height), (1728, height));
            assert_eq!((page.resolution, page.coding), (resolution, Coding::Mmr));
        }
        // The same places have ink at every resolution: the pixels are not square, the page is
        // not distorted.
        let pages = bitmaps(&rendered.pages);
        let title = ink(&pages[0], 20.0, 18.0, 60.0, 8.0);
        assert!((8.0..40.0).contains(&title), "{resolution:?}: {title}");
        assert_eq!(ink(&pages[0], 0.0, 0.0, 200.0, 15.0), 0.0);
        let photo = ink(&pages[2], 20.0, 35.0, 90.0, 90.0);
        assert!((25.0..60.0).contains(&photo), "{resolution:?}: {photo}");
    }
}

#[test]
fn text_on_any_ground_is_text() {
    let rendered = draw(&pdf(SAMPLE, None), &PageSetup::a4_fine()).expect("the sample is sound");
    let page = &bitmaps(&rendered.pages)[0];
    // Six lines of text in colours, 5.3 mm apart: each has a letter's share of ink.
    for line in 0..6 {
        let share = ink(page, 20.0, 115.4 + f64::from(line) * 5.64, 90.0, 4.4);
        assert!((6.0..30.0).contains(&share), "colour {line}: {share}");
    }
    // Panels: dark letters stand on paper, white letters on ink, with no rim of the other; under dark
    // letters a panel that isn't pale has a light tint.
    for (panel, dark) in [false, false, false, true, true, true]
        .into_iter()
        .enumerate()
    {
        let top = 155.3 + panel as f64 * 8.467;
        let beside = ink(page, 110.0, top + 1.0, 70.0, 4.0);
        if dark {
            assert_eq!(beside, 100.0, "panel {panel}");
        } else {
            assert!(beside < 8.0, "panel {panel}: {beside}");
        }
        let on = ink(page, 23.0, top + 1.0, 70.0, 4.0);
        let letters = if dark { 100.0 - on } else { on };
        assert!((6.0..30.0).contains(&letters), "panel {panel}: {letters}");
    }
    // A fill that nothing stands on keeps its shade.
    let blue = ink(page, 106.0, 207.0, 38.0, 4.0);
    assert!((35.0..75.0).contains(&blue), "{blue}");
    let green = ink(page, 151.0, 207.0, 38.0, 4.0);
    assert!((15.0..45.0).contains(&green), "{green}");
}

#[test]
fn photographs_and_gradients_keep_their_tones() {
    let rendered = draw(&pdf(SAMPLE, None), &PageSetup::a4_fine()).expect("the sample is sound");
    let page = &bitmaps(&rendered.pages)[2];
    // The gradient runs from black to white.
    let shares: Vec<f64> = (0..6)
        .map(|i| ink(page, 121.0 + f64::from(i) * 11.0, 40.0, 11.0, 35.0))
        .collect();
    assert!(shares.windows(2).all(|w| w[0] >= w[1]), "{shares:?}");
    assert!(shares[0] > 85.0 && shares[5] < 15.0, "{shares:?}");
    assert!((30.0..65.0).contains(&shares[2]), "{shares:?}");
    // The ball's lit side and its shadow.
    let (lit, shadow) = (
        ink(page, 55.0, 63.0, 8.0, 8.0),
        ink(page, 78.0, 88.0, 8.0, 8.0),
    );
    assert!(lit < 20.0 && shadow > 60.0, "{lit} {shadow}");
}

#[test]
fn landscape_turns_rotation_holds_large_pages_shrink() {
    let rendered = draw(&pdf(LANDSCAPE, None), &PageSetup::a4_fine()).expect("the file is sound");
    assert_eq!(
        rendered.notes,
        [Note::Reduced {
            page: 3,
            percent: 50
        }]
    );
    let pages = bitmaps(&rendered.pages);
    // The landscape page's top is the left edge; its title, at the top left, is at the lower left.
    assert!(ink(&pages[0], 13.0, 215.0, 8.0, 65.0) > 3.0);
    // Its frame is 5 mm from every edge.
    assert!(ink(&pages[0], 4.5, 20.0, 1.0, 250.0) > 5.0);
    assert!(ink(&pages[0], 20.0, 291.5, 160.0, 1.0) > 5.0);
    // /Rotate 90 turns the landscape page to the right: portrait, its title down the right side.
    assert!(ink(&pages[1], 189.0, 20.0, 6.0, 25.0) > 3.0);
    assert!(ink(&pages[1], 4.5, 20.0, 1.0, 250.0) > 5.0);
    // A2 at half its size.
    assert!(ink(&pages[2], 10.0, 14.0, 45.0, 8.0) > 3.0);
    assert!(ink(&pages[2], 4.5, 20.0, 1.0, 250.0) > 5.0);
}

#[test]
fn protected_and_damaged_files_say_so() {
    let setup = PageSetup::a4_fine();
    let name = || "contract.pdf".to_owned();
    assert_eq!(
        draw(&pdf(ENCRYPTED, None), &setup),
        Err(PaperError::PasswordNeeded { name: name() })
    );
    assert_eq!(
        draw(&pdf(ENCRYPTED, Some("guess")), &setup),
        Err(PaperError::PasswordWrong { name: name() })
    );
    let opened = draw(&pdf(ENCRYPTED, Some("secret")), &setup).expect("the password is right");
    let plain = draw(&pdf(SAMPLE, None), &setup).expect("the sample is sound");
    assert_eq!(opened, plain);

    for (bytes, reason) in [
        (DAMAGED, "cut off"),
        (&b"PK\x03\x04 an archive"[..], "not a PDF"),
    ] {
        match draw(&pdf(bytes, None), &setup) {
            Err(error @ PaperError::Damaged { .. }) => {
                let words = error.to_string();
                assert!(
                    words.contains("contract.pdf") && words.contains(reason),
                    "{words}"
                );
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(
        draw(&pdf(b"", None), &setup),
        Err(PaperError::Empty { name: name() })
    );
}

#[test]
fn limits_hold() {
    let setup = PageSetup::a4_fine();
    let limits = Limits {
        max_pages: 2,
        ..Limits::default()
    };
    let mut none = |_, _| panic!("no page is drawn");
    for input in [
        pdf(SAMPLE, None),
        text(&"line\n".repeat(200)),
        text(&"endless ".repeat(100_000)),
    ] {
        assert!(matches!(
            render(&input, &setup, &limits, &mut none),
            Err(PaperError::TooManyPages { limit: 2, .. })
        ));
    }
}

#[test]
fn text_wraps_pages_and_prints_literally() {
    let setup = PageSetup::a4_fine();
    let hostile = "#panic() $x^2$ *bold* `raw` <label> @ref \\ #read(\"/etc/passwd\")\n= Title";
    let rendered = draw(&text(hostile), &setup).expect("text is text");
    assert_eq!(rendered.pages.len(), 1);

    // A word without end wraps inside the margins.
    let rendered = draw(&text(&"x".repeat(2000)), &setup).expect("text is text");
    let page = &bitmaps(&rendered.pages)[0];
    assert!(ink(page, 195.0, 0.0, 15.0, 297.0) == 0.0);
    assert!(ink(page, 16.0, 20.0, 175.0, 40.0) > 3.0);

    let long = (0..150)
        .map(|i| format!("line {i}\r\n"))
        .collect::<String>();
    let rendered = draw(&text(&long), &setup).expect("text is text");
    assert!((3..=4).contains(&rendered.pages.len()));
    let rendered = draw(&text("one\u{c}two"), &setup).expect("text is text");
    assert_eq!(rendered.pages.len(), 2);

    let rendered = draw(&text("漢字"), &setup).expect("text is text");
    assert!(matches!(
        rendered.notes.as_slice(),
        [Note::CharactersMissing { count: 2, .. }]
    ));
    assert!(matches!(
        draw(&text(" \n "), &setup),
        Err(PaperError::Empty { .. })
    ));
}

fn sample_cover() -> Cover {
    Cover {
        organisation: "Atelier Lumière".into(),
        from_name: "Élodie Lefèvre".into(),
        from_number: "+33 1 23 45 67 89".into(),
        to_name: "Marie Durand".into(),
        to_number: "+33 3 20 11 22 33".into(),
        date: "21 November 2026, 21:40".into(),
        subject: "Signed agreement".into(),
        message: "Dear Ms Durand,\n\nplease find enclosed the agreement.".into(),
        document_pages: 3,
        ..Cover::default()
    }
}

#[test]
fn a_cover_prints_the_words_of_html_and_nothing_hidden() {
    let setup = PageSetup::a4_fine();
    let html = Cover {
        message: "<style>.x{display:none}</style><p class=x>Hidden</p><p>One <b>two</b></p><ul><li>three</ul>".into(),
        message_is_html: true,
        ..sample_cover()
    };
    let plain = Cover {
        message: "One two\n\n- three".into(),
        message_is_html: false,
        ..sample_cover()
    };
    assert_eq!(cover(&html, &setup), cover(&plain, &setup));
}

#[test]
fn a_cover_is_one_page_with_its_top_left_to_the_header() {
    for paper in [Paper::A4, Paper::Letter, Paper::Legal] {
        let setup = PageSetup {
            paper,
            ..PageSetup::a4_fine()
        };
        let pages = cover(&sample_cover(), &setup)
            .expect("the template is sound")
            .pages;
        assert_eq!(pages.len(), 1);
        assert_eq!(
            (pages[0].width, pages[0].height as u32),
            (1728, setup.height())
        );
        let page = &bitmaps(&pages)[0];
        let strip = (5.0 * 7.7) as usize;
        assert!((0..strip).all(|y| page.row(y).iter().all(|&b| b == 0)));
    }
}

#[test]
fn accents_are_drawn() {
    let setup = PageSetup::a4_fine();
    let with = |to_name: &str| {
        let drawn = Cover {
            to_name: to_name.into(),
            ..sample_cover()
        };
        bitmaps(&cover(&drawn, &setup).expect("the template is sound").pages)[0].count_black()
    };
    // An accent is ink above the same letters.
    assert!(with("ÉÈÊËÀÇÔÛ") > with("EEEEACOU") + 100);
    assert!(with("œæ") > with(""));
}

#[test]
fn languages_and_data_change_the_cover() {
    let setup = PageSetup::a4_fine();
    let english = cover(&sample_cover(), &setup)
        .expect("the template is sound")
        .pages;
    let french = Cover {
        language: Language::Fr,
        ..sample_cover()
    };
    assert_ne!(
        english,
        cover(&french, &setup).expect("the template is sound").pages
    );
    let more = Cover {
        document_pages: 4,
        ..sample_cover()
    };
    assert_ne!(
        english,
        cover(&more, &setup).expect("the template is sound").pages
    );
    let hostile = Cover {
        subject: "#panic() $ * _ ` \\ #import \"@preview/x:1.0.0\"".repeat(9),
        from_name: "x".repeat(5000),
        footer: "n\n".repeat(500),
        ..sample_cover()
    };
    let pages = cover(&hostile, &setup).expect("data is never code").pages;
    assert_eq!(pages.len(), 1);
    let empty = cover(&Cover::default(), &setup)
        .expect("nothing is needed")
        .pages;
    assert_eq!(empty.len(), 1);
}

#[test]
fn long_messages_continue_and_end() {
    let setup = PageSetup::a4_fine();
    let pages = |lines: usize| {
        let long = Cover {
            message: "A line of the mail's text\n".repeat(lines),
            message_is_html: false,
            ..sample_cover()
        };
        cover(&long, &setup).expect("the template is sound").pages
    };
    assert_eq!(pages(70).len(), 2);
    let most = pages(5000);
    assert_eq!(most.len(), MAX_COVER_PAGES);
    // Both end in a notice that the rest is left out: what is cut off beyond doesn't matter.
    assert_eq!(most, pages(9000));
    let block = Cover {
        message: "wide words without lines ".repeat(4000),
        message_is_html: false,
        ..sample_cover()
    };
    let pages = cover(&block, &setup).expect("the template is sound").pages;
    assert!(pages.len() <= MAX_COVER_PAGES);
}

#[test]
fn the_same_input_gives_the_same_bytes() {
    let setup = PageSetup::a4_fine();
    let first = draw(&pdf(SAMPLE, None), &setup).expect("the sample is sound");
    let cover_first = cover(&sample_cover(), &setup).expect("the template is sound");
    let again = std::thread::spawn(move || {
        (
            draw(&pdf(SAMPLE, None), &setup).expect("the sample is sound"),
            cover(&sample_cover(), &setup).expect("the template is sound"),
        )
    });
    let (second, cover_second) = again.join().expect("the thread ends");
    assert_eq!(first, second);
    assert_eq!(cover_first, cover_second);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Whatever the bytes, an answer; `render` turns a panic into `Damaged` with this reason.
    #[test]
    fn spoilt_files_never_panic(
        at in 0usize..60_000,
        with in proptest::collection::vec(any::<u8>(), 1..40),
        keep in 2_000usize..80_000,
    ) {
        let mut bytes = SAMPLE[..keep.min(SAMPLE.len())].to_vec();
        for (byte, new) in bytes.iter_mut().skip(at).zip(&with) {
            *byte = *new;
        }
        let setup = PageSetup { resolution: Resolution::Standard, ..PageSetup::a4_fine() };
        if let Err(PaperError::Damaged { reason, .. }) = draw(&pdf(&bytes, None), &setup) {
            prop_assert_ne!(reason, Reason::NotDrawn);
        }
    }

    #[test]
    fn random_bytes_are_no_pdf(bytes in proptest::collection::vec(any::<u8>(), 1..2000)) {
        let result = draw(&pdf(&bytes, None), &PageSetup::a4_fine());
        let damaged = matches!(result, Err(PaperError::Damaged { .. }));
        prop_assert!(damaged, "{:?}", result);
    }

    #[test]
    fn any_text_is_drawn_or_empty(words in "\\PC{0,200}") {
        let setup = PageSetup { resolution: Resolution::Standard, ..PageSetup::a4_fine() };
        match draw(&text(&words), &setup) {
            Ok(rendered) => prop_assert!(!rendered.pages.is_empty()),
            Err(error) => {
                let empty = matches!(error, PaperError::Empty { .. });
                prop_assert!(empty, "{}", error);
            }
        }
    }
}

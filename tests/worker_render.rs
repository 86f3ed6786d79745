//! Real documents in real paper workers.

#[path = "../crates/paper/tests/made/font.rs"]
mod font;

use std::sync::Arc;
use std::time::Duration;

use faxpost::worker::paper::{PaperDone, PaperFailure, PaperPool, PaperRequest};
use faxpost::worker::{Fonts, Kind, Limits, Program};
use faxpost_paper::{Cover, Input, PageSetup, PaperError};
use tokio::sync::watch;

const LONG: Duration = Duration::from_secs(120);

fn pool() -> PaperPool {
    let program = Program::at(env!("CARGO_BIN_EXE_faxpost"));
    PaperPool::new(program, 1, Limits::of(Kind::Paper))
}

fn render(input: Input) -> PaperRequest {
    PaperRequest::Render {
        input,
        setup: PageSetup::a4_fine(),
        limits: faxpost_paper::Limits::default(),
    }
}

/// The sandboxed worker draws what the crate draws here, without a sandbox, bit for bit.
#[tokio::test]
async fn a_text_becomes_the_same_pages_in_a_worker() {
    let input = Input::Text {
        name: "letter.txt".to_owned(),
        text: "Dear Sir,\n\nyour fax arrived.\n".repeat(60),
    };
    let (progress, watched) = watch::channel((0, 0));
    let pool = pool();
    let done = pool
        .render_watched(&render(input.clone()), LONG, progress)
        .await
        .unwrap();
    let setup = PageSetup::a4_fine();
    let limits = faxpost_paper::Limits::default();
    let here = faxpost_paper::render(&input, &setup, &limits, &mut |_, _| {}).unwrap();
    assert!(here.pages.len() > 1);
    assert_eq!(done.pages, here.pages);
    assert_eq!(done.notes, here.notes);
    let pages = u32::try_from(here.pages.len()).unwrap();
    assert_eq!(*watched.borrow(), (pages, pages));
    pool.shutdown(LONG).await;
}

#[tokio::test]
async fn a_cover_becomes_the_same_pages_in_a_worker() {
    let cover = Cover {
        to_number: "+33123456789".to_owned(),
        subject: "Test".to_owned(),
        message: "Hello".to_owned(),
        message_is_html: false,
        document_pages: 2,
        ..Cover::default()
    };
    let setup = PageSetup::a4_fine();
    let request = PaperRequest::Cover {
        cover: Box::new(cover.clone()),
        setup,
    };
    let done = pool().render(&request, LONG).await.unwrap();
    assert_eq!(
        done.pages,
        faxpost_paper::cover(&cover, &setup).unwrap().pages
    );
}

#[tokio::test]
async fn a_damaged_pdf_is_named_in_the_failure() {
    let input = Input::Pdf {
        name: "invoice.pdf".to_owned(),
        bytes: b"%PDF-1.7\nnot really".to_vec(),
        password: None,
    };
    let failure = pool().render(&render(input), LONG).await.unwrap_err();
    let PaperFailure::Document(PaperError::Damaged { name, .. }) = &failure else {
        panic!("{failure:?}");
    };
    assert_eq!(name, "invoice.pdf");
}

/// A worker opens no file: it reads the fonts that it is given, open, and draws with them.
#[tokio::test]
async fn a_worker_draws_with_the_fonts_that_it_is_given() {
    let folder = tempfile::tempdir().unwrap();
    let letters = ['中', '国', 'ع', 'ا'];
    std::fs::write(folder.path().join("a.ttf"), font::font("Boxes", &letters)).unwrap();
    let folders = [folder.path().to_path_buf()];
    let fonts = tokio::task::spawn_blocking(move || Fonts::find(&folders))
        .await
        .unwrap();
    assert!(
        fonts.families().contains(&"Boxes"),
        "{:?}",
        fonts.families()
    );
    let program = Program::at(env!("CARGO_BIN_EXE_faxpost"));
    let pool = PaperPool::with_fonts(program, 1, Limits::of(Kind::Paper), Arc::new(fonts));
    let text = |text: &str| {
        render(Input::Text {
            name: "a.txt".to_owned(),
            text: text.to_owned(),
        })
    };
    let done = pool.render(&text("中国"), LONG).await.unwrap();
    assert_eq!(done.notes, []);
    let black = |done: &PaperDone| -> u32 {
        let page = done.pages[0].decode().unwrap();
        page.data().iter().map(|octet| octet.count_ones()).sum()
    };
    // Two boxes of 9 by 8 points.
    assert!(black(&done) > 700, "{}", black(&done));
    // Without, where the system may have others: drawn otherwise, or told.
    let done = self::pool().render(&text("中国"), LONG).await.unwrap();
    assert_eq!(done.notes.len(), 1);
}

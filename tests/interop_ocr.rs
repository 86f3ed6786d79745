//! tesseract itself, in its sandbox: what is on a received page is found by other programs, where it stands.

#![allow(clippy::unwrap_used)]

mod support;

use std::{path::PathBuf, process::Command, time::Duration};

use faxpost::recognition::{Reader, Settings};
use faxpost_paper::{Input, Limits, PageSetup, render};
use faxpost_t4::{Coding, FaxPage, Resolution, Turn};
use support::{OUR_NUMBER, Rig};

const TEXT: &str = "Purchase order 4711 for Atelier Lumiere\n\nTwenty wooden chairs, varnished, with leather seats.\n\
Four round tables of oak, one metre across.\nDelivery before Christmas to the warehouse in Toulouse.\n\n\
The chairs must be packed in pairs and the tables upright. Please confirm by return of fax that the quantities \
and the date can be kept, and name the carrier.\n\nThe usual terms of payment apply: thirty days net, two per cent \
discount within ten days. Questions are answered by Martin Keller at the number above, between nine and five.\n";

const FRENCH: &str = "Bon de commande numéro 4711\n\nVingt chaises vernies, à livrer avant Noël à l'entrepôt de Béziers.\n\
Quatre tables rondes en chêne, d'un mètre de diamètre.\n\nVeuillez confirmer par retour de télécopie que les \
quantités et les délais peuvent être tenus, et préciser le nom du transporteur. Les modalités de règlement \
habituelles s'appliquent\u{a0}: trente jours net, deux pour cent d'escompte à dix jours.\n";

/// A page with this text, as a far machine would have scanned it.
fn page(text: &str, resolution: Resolution, turn: Turn) -> FaxPage {
    let setup = PageSetup {
        resolution,
        ..PageSetup::a4_fine()
    };
    let input = Input::Text {
        name: String::new(),
        text: text.into(),
    };
    let drawn = render(&input, &setup, &Limits::default(), &mut |_, _| {}).unwrap();
    let bitmap = drawn.pages[0].decode().unwrap();
    // The other way round than it is to be turned.
    let square = bitmap.to_square(resolution);
    let lying = match turn {
        Turn::None => return FaxPage::encode(&bitmap, resolution, Coding::Mmr),
        Turn::Right => square.turned(Turn::Left),
        Turn::Over => square.turned(Turn::Over),
        Turn::Left => square.turned(Turn::Right),
    };
    let mut sheet = faxpost_t4::Bitmap::new(1728, lying.height().min(2386));
    sheet.blit(&lying, 0, 0);
    // In square pixels it is a little off fine resolution's; tesseract does not mind.
    FaxPage::encode(&sheet, Resolution::Fine, Coding::Mmr)
}

fn run(program: &str, arguments: &[&str], file: &PathBuf) -> String {
    let done = Command::new(program)
        .args(arguments)
        .arg(file)
        .arg("-")
        .output()
        .unwrap();
    assert!(
        done.status.success(),
        "{program}: {}",
        String::from_utf8_lossy(&done.stderr)
    );
    String::from_utf8(done.stdout).unwrap()
}

fn save(rig: &Rig, name: &str, octets: &[u8]) -> PathBuf {
    let path = rig.folder().join(name);
    std::fs::write(&path, octets).unwrap();
    path
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn received_pages_can_be_searched_and_stand_upright() {
    let mut rig = Rig::builder().without_far_end().start().await;
    rig.admin("set profile Basic ocr eng");
    for form in ["tiff", "png", "jpeg"] {
        rig.admin(&format!(
            "add recipient {form}@example.localhost to {OUR_NUMBER} form {form}"
        ));
    }
    let pages = [
        page(TEXT, Resolution::Fine, Turn::None),
        page(TEXT, Resolution::Fine, Turn::Over),
        page(TEXT, Resolution::Fine, Turn::Right),
    ];
    let mut sender = rig.call_in(&pages, &[]);
    assert!(sender.wait().await.success(), "{}", sender.log());
    let letters = rig.wait_faxes(4).await;
    let of = |name: &str| {
        let found = letters
            .iter()
            .find(|letter| letter.recipients[0].starts_with(name));
        found.unwrap_or_else(|| panic!("no letter to {name}"))
    };
    let letter = of("alice");
    letter.assert_says("Its text can be searched");
    letter.assert_says("Pages 2 and 3 were turned to be read");
    let pdf = save(&rig, "read.pdf", &letter.pdf());
    for number in ["1", "2", "3"] {
        let text = run("pdftotext", &["-layout", "-f", number, "-l", number], &pdf);
        for words in [
            "Purchase order 4711",
            "Twenty wooden chairs",
            "between nine and five",
        ] {
            let found = text
                .split_whitespace()
                .collect::<Vec<_>>()
                .join(" ")
                .contains(words);
            assert!(found, "{words:?} is not on page {number}:\n{text}");
        }
    }
    let told = Command::new("qpdf")
        .arg("--check")
        .arg(&pdf)
        .output()
        .unwrap();
    assert!(told.status.success(), "{told:?}");
    // A marked word lies over its own ink: there is some within its box, and none in the box beside the line.
    let boxes = run("pdftotext", &["-bbox", "-f", "1", "-l", "1"], &pdf);
    let line = boxes
        .lines()
        .find(|line| line.contains(">Purchase<"))
        .expect("a box");
    let side = |name: &str| -> f64 {
        line.split_once(&format!("{name}=\""))
            .unwrap()
            .1
            .split('"')
            .next()
            .unwrap()
            .parse()
            .unwrap()
    };
    let bitmap = pages[0].decode().unwrap();
    let (x, y) = (
        |points: f64| (points * 204.0 / 72.0) as usize,
        |points: f64| (points * 196.0 / 72.0) as usize,
    );
    let ink = |left: usize, right: usize| {
        let rows = y(side("yMin"))..y(side("yMax"));
        rows.map(|row| (left..right).filter(|at| bitmap.is_black(*at, row)).count())
            .sum::<usize>()
    };
    let (left, right) = (x(side("xMin")), x(side("xMax")));
    assert!(ink(left, right) > 200, "no ink under the word: {line}");
    assert_eq!(
        ink(left.saturating_sub(60), left.saturating_sub(8)),
        0,
        "{line}"
    );

    // The other forms are turned by pixels, so that they read upright.
    let png = of("png");
    let last = png
        .parts
        .iter()
        .filter(|(kind, ..)| kind == "image/png")
        .nth(2)
        .unwrap();
    let picture = save(&rig, "page-3.png", &last.2);
    let done = Command::new("tesseract")
        .arg(&picture)
        .args(["-", "--psm", "3"])
        .output()
        .unwrap();
    let text = String::from_utf8(done.stdout).unwrap();
    assert!(text.contains("chairs"), "{text}");
    let tiff = faxpost_t4::tiff::read(&of("tiff").parts[0].2).unwrap();
    assert_eq!((tiff[2].width, tiff[0].width), (2432, 1728));
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn french_is_read_in_standard_resolution() {
    let settings = Settings {
        tesseract: "/usr/bin/tesseract".into(),
        page: Duration::from_secs(120),
    };
    let reader = Reader::find(settings).await.unwrap();
    assert!(
        reader.turns() && reader.languages().contains(&"fra"),
        "{:?}",
        reader.languages()
    );
    for resolution in [
        Resolution::Standard,
        Resolution::Fine,
        Resolution::Superfine,
    ] {
        let read = reader
            .read(&page(FRENCH, resolution, Turn::None), "fra")
            .await
            .unwrap();
        assert_eq!(read.turn, Turn::None, "{resolution:?}");
        let words: Vec<&str> = read.words.iter().map(|word| word.text.as_str()).collect();
        let text = words.join(" ");
        for wanted in ["Vingt chaises vernies", "Noël", "Béziers"] {
            assert!(text.contains(wanted), "{wanted} in {resolution:?}: {text}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_without_words_is_left_as_it_is() {
    let settings = Settings {
        tesseract: "/usr/bin/tesseract".into(),
        page: Duration::from_secs(120),
    };
    let reader = Reader::find(settings).await.unwrap();
    let blank = FaxPage::encode(
        &faxpost_t4::Bitmap::new(1728, 2287),
        Resolution::Fine,
        Coding::Mmr,
    );
    let read = reader.read(&blank, "eng").await.unwrap();
    assert_eq!((read.turn, read.words.len()), (Turn::None, 0));
    let noise = support::fax::page(3, Resolution::Fine, 2287);
    let read = reader.read(&noise, "eng").await;
    assert!(read.is_ok_and(|read| read.turn == Turn::None || !read.words.is_empty()));
}

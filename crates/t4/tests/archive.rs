//! Our PDF/A files before a validator that passes veraPDF's corpus: `page-validation`, from PyPI.
//!
//! Run by `tests/interop.sh`, which installs it; `FAXPOST_PDFA_PYTHON` names the Python that has it.

#![allow(clippy::unwrap_used)]

use faxpost_t4::pdf::{PdfInfo, Sheet, Word, wrap_sheets};
use faxpost_t4::{Bitmap, Coding, FaxPage, Resolution, Turn};
use std::process::Command;

const JUDGE: &str = "
import sys, page
report = page.validate_pdf(sys.argv[1], profile=page.ValidationProfile.PDF_A_2B)
print('conforms' if report.is_compliant else 'fails', [failure.rule_id for failure in report.failures])
";

fn judged(python: &str, name: &str, file: &[u8]) -> String {
    let path = std::env::temp_dir().join(format!("faxpost-pdfa-{name}-{}.pdf", std::process::id()));
    std::fs::write(&path, file).unwrap();
    let output = Command::new(python)
        .args(["-c", JUDGE])
        .arg(&path)
        .output()
        .unwrap();
    let _ = std::fs::remove_file(&path);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    text
}

/// Pages of every coding, turned, with words of several scripts and without.
fn file(archive: bool) -> Vec<u8> {
    let codings = [Coding::Mh, Coding::Mr { k: 4 }, Coding::Mmr, Coding::Mmr];
    let turns = [Turn::None, Turn::Right, Turn::Over, Turn::Left];
    let mut map = Bitmap::new(1728, 2287);
    (0..2287).for_each(|y| map.set_black(y % 1728, y));
    let pages = codings.map(|coding| FaxPage::encode(&map, Resolution::Fine, coding));
    let words = ["Größe", "日本", "𝔘nicode", "שלום"].map(|text| Word {
        text: text.into(),
        left: 200.0,
        top: 200.0,
        right: 400.0,
        bottom: 230.0,
    });
    let sheet = |(page, turn)| Sheet {
        page,
        turn,
        words: if turn == Turn::None { &[][..] } else { &words },
    };
    let sheets: Vec<Sheet<'_>> = pages.iter().zip(turns).map(sheet).collect();
    let info = PdfInfo {
        title: "Fax von Müller & <Söhne>".into(),
        author: "+33123456789".into(),
        subject: "+33199001122".into(),
        creator: "faxpost".into(),
        created: Some(1_790_856_260),
        archive,
    };
    wrap_sheets(&sheets, &info)
}

#[test]
fn archives_take_our_pdfs_and_the_judge_can_say_no() {
    let python = std::env::var("FAXPOST_PDFA_PYTHON").expect("tests/interop.sh sets it");
    let good = file(true);
    let verdict = judged(&python, "good", &good);
    assert!(verdict.starts_with("conforms"), "{verdict}");
    assert!(judged(&python, "plain", &file(false)).starts_with("fails"));
    // Each of these is taken out in turn.
    for needed in ["/OutputIntents", "<pdfaid:part>2", "/Metadata"] {
        let at = good
            .windows(needed.len())
            .position(|part| part == needed.as_bytes())
            .unwrap();
        let mut broken = good.clone();
        broken[at + 2..at + needed.len()].fill(b'X');
        let verdict = judged(&python, "broken", &broken);
        assert!(verdict.starts_with("fails"), "without {needed}: {verdict}");
    }
}

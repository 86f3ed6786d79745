//! Coded pages and the files they come in.

use faxpost_paper::{Input, Limits, PageSetup, render};
use faxpost_t4::{Coding, MAX_HEIGHT, decode, decode_tolerant, encode, tiff};

use crate::choice;

const CODINGS: [Coding; 3] = [Coding::Mh, Coding::Mr { k: 4 }, Coding::Mmr];
const WIDTHS: [usize; 4] = [1728, 2048, 2432, 33];

/// A page that decodes is the page that its own coding gives again, and patience sees the same rows.
pub fn t4(data: &[u8]) {
    let Some((first, coded)) = choice(data) else {
        return;
    };
    let coding = CODINGS[first % 3];
    let width = WIDTHS[first / 3 % 4];
    let (patient, damage) = decode_tolerant(coded, coding, width, None);
    assert!(patient.height() <= MAX_HEIGHT);
    assert!(damage.longest_run <= damage.rows);
    let Ok(page) = decode(coded, coding, width, None) else {
        return;
    };
    let again = decode(&encode(&page, coding), coding, width, Some(page.height()))
        .expect("what we wrote reads back");
    assert!(again == page, "a page changed by being written");
    // Half an end of page is an end for the strict; patience looks for rows behind it.
    assert!(patient.height() >= page.height(), "patience lost a row");
    assert!(
        patient.cut_rows(0, page.height()) == page,
        "patience made another page"
    );
}

/// What a TIFF holds can be written again, and reads back alike.
pub fn tiff(data: &[u8]) {
    let _ = tiff::read_last(data);
    let Ok(pages) = tiff::read(data) else {
        return;
    };
    let sound: Vec<_> = pages
        .into_iter()
        .filter(|page| page.decode().is_ok())
        .collect();
    if sound.is_empty() {
        return;
    }
    let Ok(file) = tiff::write(&sound) else {
        return;
    };
    let again = tiff::read(&file).expect("what we wrote reads back");
    assert_eq!(again.len(), sound.len());
    for (one, other) in again.iter().zip(&sound) {
        assert!(
            one.decode().ok() == other.decode().ok(),
            "a page changed by being written"
        );
    }
}

/// A picture gives whole pages of the set-up, or a sentence.
pub fn picture(data: &[u8]) {
    let input = Input::Picture {
        name: "p".to_owned(),
        bytes: data.to_vec(),
        shown: false,
    };
    let setup = PageSetup::a4_fine();
    let limits = Limits {
        max_pages: 2,
        max_pixels: 1 << 20,
    };
    let Ok(rendered) = render(&input, &setup, &limits, &mut |_, _| ()) else {
        return;
    };
    assert!(rendered.pages.len() <= 2);
    for page in &rendered.pages {
        assert_eq!((page.width, page.height), (1728, 2287));
        assert!(page.decode().is_ok(), "a page that can't be read");
    }
}

/// An HTML text becomes pages or is refused; the page is never at fault.
pub fn html(data: &[u8]) {
    let input = Input::Html {
        name: "fuzz.html".to_owned(),
        html: faxpost_paper::text_of(data, None),
        pictures: Vec::new(),
    };
    let limits = Limits {
        max_pages: 3,
        max_pixels: 1 << 20,
    };
    match render(&input, &PageSetup::a4_fine(), &limits, &mut |_, _| ()) {
        Ok(done) => assert!(!done.pages.is_empty() && done.pages.len() <= 3),
        // What a template can't lay out is our fault, not the text's.
        Err(error) => assert!(
            !matches!(error, faxpost_paper::PaperError::Compose(_)),
            "{error}"
        ),
    }
}

/// What comes out of a zip file is within its bounds.
pub fn zip(data: &[u8]) {
    let limits = faxpost_paper::ZipLimits {
        files: 20,
        total: 1 << 20,
        ratio: 400,
    };
    if let Ok(files) = faxpost_paper::unzip(data, &limits) {
        let total: usize = files
            .iter()
            .map(|file| file.bytes.as_ref().map_or(0, Vec::len))
            .sum();
        assert!(files.len() <= limits.files && total as u64 <= limits.total);
    }
}

/// What tesseract says of a page's words and its orientation is read or left aside.
pub fn tesseract(data: &[u8]) {
    faxpost::recognition::fuzz(data);
}

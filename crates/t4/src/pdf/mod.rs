//! PDF files that hold fax pages as they are coded.

mod archive;
mod words;

use crate::{Coding, FaxPage, Turn, date};
use pdf_writer::{Content, Date, Filter, Finish, Name, Pdf, Rect, Ref, TextStr};
pub use words::Word;

/// What a PDF file says of itself. Empty text is left out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PdfInfo {
    /// The document's title.
    pub title: String,
    /// Who it comes from.
    pub author: String,
    /// What it is about.
    pub subject: String,
    /// What made it.
    pub creator: String,
    /// When, in seconds since 1970 (UTC).
    pub created: Option<i64>,
    /// It is to be PDF/A-2b (ISO 19005-2).
    pub archive: bool,
}

/// A page as it is to be shown.
#[derive(Clone, Copy, Debug)]
pub struct Sheet<'a> {
    /// What came over the line.
    pub page: &'a FaxPage,
    /// How it is turned to be read.
    pub turn: Turn,
    /// What was read on it: to be searched, not seen.
    pub words: &'a [Word],
}

impl<'a> From<&'a FaxPage> for Sheet<'a> {
    fn from(page: &'a FaxPage) -> Self {
        Self {
            page,
            turn: Turn::None,
            words: &[],
        }
    }
}

/// A PDF file of all pages, each in its own size, its rows untouched: no pixel is coded anew.
///
/// Pixels keep their shape: a page is as many 204ths of an inch wide as it has pixels, and as many
/// 98ths, 196ths or 391sts high. The same pages and `info` give the same bytes.
#[must_use]
pub fn wrap(pages: &[FaxPage], info: &PdfInfo) -> Vec<u8> {
    let sheets: Vec<Sheet<'_>> = pages.iter().map(Sheet::from).collect();
    wrap_sheets(&sheets, info)
}

/// As [`wrap`], with pages turned to be read, and words that can be searched.
#[must_use]
pub fn wrap_sheets(sheets: &[Sheet<'_>], info: &PdfInfo) -> Vec<u8> {
    let size: usize = sheets
        .iter()
        .map(|sheet| sheet.page.data.len() + 1024)
        .sum();
    let mut pdf = Pdf::with_settings_and_capacity(pdf_writer::Settings::default(), size + 1024);
    pdf.set_version(1, 4);
    let id = fingerprint(sheets, info);
    pdf.set_file_id((id.clone(), id));

    let mut next = 1..;
    let mut fresh = || Ref::new(next.next().unwrap_or(i32::MAX));
    let (catalog, tree, font) = (fresh(), fresh(), fresh());
    let parts = info.archive.then(|| archive::Parts {
        metadata: fresh(),
        profile: fresh(),
    });
    let mut root = pdf.catalog(catalog);
    root.pages(tree);
    if let Some(parts) = parts {
        archive::name(&mut root, parts);
    }
    root.finish();
    if let Some(parts) = parts {
        pdf.set_version(1, 7);
        archive::write(&mut pdf, parts, info);
    }
    write_info(&mut pdf, fresh(), info);
    let mut kids = Vec::with_capacity(sheets.len());
    let mut codes = words::Codes::default();
    for sheet in sheets {
        let ids = [fresh(), fresh(), fresh()];
        write_page(&mut pdf, (tree, font), ids, sheet, &mut codes);
        kids.push(ids[0]);
    }
    let count = kids.len() as i32;
    pdf.pages(tree).kids(kids).count(count);
    if !codes.is_empty() {
        words::write_font(&mut pdf, font, fresh, &codes);
    }
    pdf.finish()
}

fn write_page(
    pdf: &mut Pdf,
    (tree, font): (Ref, Ref),
    [page_id, content, image]: [Ref; 3],
    sheet: &Sheet<'_>,
    codes: &mut words::Codes,
) {
    let page = sheet.page;
    let name = Name(b"Fax");
    let (x_dpi, y_dpi) = page.resolution.dpi();
    // Rounded down to a thousandth: viewers round a page's pixels up, and a row that isn't there
    // must not come of it.
    let points = |pixels: usize, dpi: f32| (pixels as f32 * 72_000.0 / dpi).floor() / 1000.0;
    let width = points(page.width, x_dpi);
    let height = points(page.height, y_dpi);

    let mut drawing = Content::new();
    drawing.save_state();
    drawing.transform([width, 0.0, 0.0, height, 0.0, 0.0]);
    drawing.x_object(name);
    drawing.restore_state();
    let met = codes.met();
    words::draw(
        &mut drawing,
        sheet.words,
        codes,
        sheet.turn,
        (width, height),
    );
    let drawing = drawing.finish();
    let lettered = codes.met() > met;

    let mut dictionary = pdf.page(page_id);
    dictionary
        .parent(tree)
        .media_box(Rect::new(0.0, 0.0, width, height))
        .contents(content);
    if sheet.turn != Turn::None {
        dictionary.rotate(i32::from(sheet.turn.degrees()));
    }
    let mut resources = dictionary.resources();
    resources.x_objects().pair(name, image);
    if lettered {
        resources.fonts().pair(words::font_name(), font);
    }
    resources.finish();
    dictionary.finish();
    if lettered {
        words::packed(pdf, content, &drawing);
    } else {
        pdf.stream(content, &drawing);
    }

    let mut picture = pdf.image_xobject(image, &page.data);
    picture.width(page.width as i32).height(page.height as i32);
    picture.bits_per_component(1);
    picture.color_space().device_gray();
    picture.filter(Filter::CcittFaxDecode);
    // ISO 32000-1 §7.4.6, table 11. Decoded black is 0 unless BlackIs1, and so is DeviceGray's.
    let mut parms = picture.decode_parms();
    parms
        .k(match page.coding {
            Coding::Mh => 0,
            Coding::Mr { k } => k.clamp(1, 0x7FFF_FFFF) as i32,
            Coding::Mmr => -1,
        })
        .columns(page.width as i32)
        .rows(page.height as i32)
        .black_is_1(false)
        .end_of_line(starts_with_eol(page))
        .end_of_block(ends_with_eofb(page));
}

/// Whether the rows have ends of line, which the first then has too.
fn starts_with_eol(page: &FaxPage) -> bool {
    page.coding != Coding::Mmr
        && matches!(page.data.first_chunk(), Some([0, second]) if second >> 5 == 0)
}

/// Whether the page says where it ends. TIFF leaves RTC out, so MH and MR end with their last row.
fn ends_with_eofb(page: &FaxPage) -> bool {
    if page.coding != Coding::Mmr {
        return false;
    }
    let last = page.data.iter().rposition(|&byte| byte != 0);
    let Some(end) = last.and_then(|last| page.data[..=last].last_chunk()) else {
        return false;
    };
    let bits = u32::from_be_bytes(*end);
    bits >> bits.trailing_zeros() & 0xFF_FFFF == 0x00_1001
}

fn write_info(pdf: &mut Pdf, id: Ref, info: &PdfInfo) {
    let mut out = pdf.document_info(id);
    if !info.title.is_empty() {
        out.title(TextStr(&info.title));
    }
    if !info.author.is_empty() {
        out.author(TextStr(&info.author));
    }
    if !info.subject.is_empty() {
        out.subject(TextStr(&info.subject));
    }
    if !info.creator.is_empty() {
        out.producer(TextStr(&info.creator));
        out.creator(TextStr(&info.creator));
    }
    if let Some(date) = info.created.and_then(date) {
        out.creation_date(date);
    }
}

/// The date of a second since 1970, if its year has four digits.
fn date(seconds: i64) -> Option<Date> {
    let at = date::civil(seconds)?;
    Some(
        Date::new(at.year)
            .month(at.month)
            .day(at.day)
            .hour(at.hour)
            .minute(at.minute)
            .second(at.second)
            .utc_offset_hour(0),
    )
}

/// Sixteen bytes that tell files apart, as their identifier must (ISO 32000-1 §14.4): two FNV-1a
/// sums from different beginnings. Not a seal: it is easily forged.
fn fingerprint(sheets: &[Sheet<'_>], info: &PdfInfo) -> Vec<u8> {
    let mut sums = [0xcbf2_9ce4_8422_2325_u64, 0x6c62_272e_07bb_0142];
    let mut add = |bytes: &[u8]| {
        for byte in bytes {
            for sum in &mut sums {
                *sum = (*sum ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3);
            }
        }
    };
    for text in [&info.title, &info.author, &info.subject, &info.creator] {
        add(text.as_bytes());
        add(&[0xFF]);
    }
    add(&info.created.unwrap_or_default().to_be_bytes());
    for sheet in sheets {
        let page = sheet.page;
        add(&(page.width as u64).to_be_bytes());
        add(&(page.height as u64).to_be_bytes());
        add(&page.data);
        add(&sheet.turn.degrees().to_be_bytes());
        for word in sheet.words {
            add(word.text.as_bytes());
            add(&word.left.to_be_bytes());
            add(&word.bottom.to_be_bytes());
        }
    }
    sums.iter().flat_map(|sum| sum.to_be_bytes()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Bitmap, Resolution};

    fn contains(pdf: &[u8], text: &str) -> bool {
        pdf.windows(text.len())
            .any(|window| window == text.as_bytes())
    }

    fn page(coding: Coding, resolution: Resolution) -> FaxPage {
        let mut map = Bitmap::new(1728, 98);
        map.set_black(3, 3);
        FaxPage::encode(&map, resolution, coding)
    }

    #[test]
    fn the_coded_rows_stand_in_the_file_as_they_are() {
        let page = page(Coding::Mmr, Resolution::Standard);
        let pdf = wrap(std::slice::from_ref(&page), &PdfInfo::default());
        assert!(
            pdf.windows(page.data.len())
                .any(|window| window == page.data)
        );
        // 1728/204 by 98/98 inches.
        assert!(contains(&pdf, "/MediaBox [0 0 609.88"));
        assert!(contains(&pdf, "/K -1"));
        assert!(contains(&pdf, "/EndOfBlock true"));
        assert!(pdf.len() < page.data.len() + 1300);
    }

    #[test]
    fn parameters_follow_the_coding() {
        let mh = wrap(&[page(Coding::Mh, Resolution::Fine)], &PdfInfo::default());
        let mr = wrap(
            &[page(Coding::Mr { k: 4 }, Resolution::Superfine)],
            &PdfInfo::default(),
        );
        for (pdf, k, height) in [(mh, "/K 0", " 36]"), (mr, "/K 4", "18.04")] {
            assert!(contains(&pdf, k) && contains(&pdf, height));
            assert!(contains(&pdf, "/EndOfLine true"));
            assert!(contains(&pdf, "/EndOfBlock false"));
        }
        let mut bare = page(Coding::Mmr, Resolution::Fine);
        bare.data.truncate(bare.data.len() - 3);
        assert!(contains(
            &wrap(&[bare], &PdfInfo::default()),
            "/EndOfBlock false"
        ));
    }

    #[test]
    fn the_file_says_what_it_is() {
        let info = PdfInfo {
            title: "Fax (3 pages)".into(),
            author: "+49 30 123456".into(),
            subject: "To +49 30 654321".into(),
            creator: "Übung".into(),
            created: Some(1_709_210_096),
            archive: false,
        };
        let pdf = wrap(&[page(Coding::Mmr, Resolution::Fine)], &info);
        assert!(
            contains(&pdf, "/Title (Fax \\(3 pages\\))")
                || contains(&pdf, "/Title (Fax (3 pages))")
        );
        assert!(contains(&pdf, "/Author (+49 30 123456)"));
        assert!(contains(&pdf, "/Subject (To +49 30 654321)"));
        assert!(contains(&pdf, "/CreationDate (D:20240229123456Z)"));
        assert_eq!(pdf, wrap(&[page(Coding::Mmr, Resolution::Fine)], &info));
        assert_ne!(
            fingerprint(&[], &info),
            fingerprint(&[], &PdfInfo::default())
        );
    }

    #[test]
    fn days_of_all_times() {
        let text = |seconds| {
            let info = PdfInfo {
                created: Some(seconds),
                ..PdfInfo::default()
            };
            let pdf = String::from_utf8_lossy(&wrap(&[], &info)).into_owned();
            pdf.split("(D:").nth(1).map(|rest| rest[..14].to_owned())
        };
        for (seconds, is) in [
            (0, "19700101000000"),
            (951_782_399, "20000228235959"),
            (951_782_400, "20000229000000"),
            (1_735_689_599, "20241231235959"),
            (4_107_542_400, "21000301000000"),
            (-1, "19691231235959"),
            (253_402_300_799, "99991231235959"),
        ] {
            assert_eq!(text(seconds).as_deref(), Some(is));
        }
        for seconds in [253_402_300_800, i64::MAX, i64::MIN] {
            assert_eq!(text(seconds), None);
        }
    }
}

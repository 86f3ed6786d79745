//! What tesseract says of the words of a page, as tab-separated values.

use std::collections::{BTreeMap, BTreeSet};

use faxpost_t4::pdf::Word;

/// What a page can have: dense ones have some 1000 words.
const MAX_WORDS: usize = 20_000;
/// Characters of a word.
const MAX_WORD: usize = 200;
/// Words of less confidence (percent) are noise: specks, lines, a picture's grain.
const CONFIDENCE: f32 = 20.0;

/// The fields of a row: level, page, block, paragraph, line, word, left, top, width, height, confidence, text.
const FIELDS: usize = 12;

#[derive(Clone, Copy)]
struct Box {
    left: f32,
    top: f32,
    right: f32,
    bottom: f32,
}

/// The words, each within a page of `size` pixels. `None`: it is no such table.
pub(super) fn words(answer: &[u8], size: (usize, usize)) -> Option<Vec<Word>> {
    let text = String::from_utf8_lossy(answer);
    let mut rows = text.lines();
    rows.next().filter(|head| head.starts_with("level\t"))?;
    let mut lines: BTreeMap<[u32; 3], Box> = BTreeMap::new();
    let mut found: Vec<([u32; 3], Box, String)> = Vec::new();
    for row in rows {
        let fields: Vec<&str> = row.splitn(FIELDS, '\t').collect();
        let Some((level, line, place)) = place(&fields, size) else {
            continue;
        };
        match level {
            4 => {
                lines.insert(line, place);
            }
            5 if found.len() < MAX_WORDS => {
                let sure = fields
                    .get(10)?
                    .parse()
                    .is_ok_and(|sure: f32| sure >= CONFIDENCE);
                let said = fields.get(11).map(|said| word(said)).unwrap_or_default();
                if sure && !said.is_empty() {
                    found.push((line, place, said));
                }
            }
            _ => {}
        }
        if lines.len() > MAX_WORDS {
            return None;
        }
    }
    let mut tallest: BTreeMap<[u32; 3], f32> = BTreeMap::new();
    for (line, place, _) in &found {
        let tall = tallest.entry(*line).or_default();
        *tall = tall.max(place.bottom - place.top);
    }
    let words = found.into_iter().map(|(line, place, text)| {
        // Words of a line stand on one foot, so that readers take them as one line; but a slanting line's box is
        // much higher than its words.
        let whole = lines.get(&line).filter(|whole| {
            whole.bottom - whole.top <= 1.5 * tallest.get(&line).copied().unwrap_or_default()
        });
        let (top, bottom) =
            whole.map_or((place.top, place.bottom), |whole| (whole.top, whole.bottom));
        Word {
            text,
            left: place.left,
            top,
            right: place.right,
            bottom,
        }
    });
    Some(words.collect())
}

/// Level, line and box of a row that has them and lies on the page.
fn place(fields: &[&str], (width, height): (usize, usize)) -> Option<(u32, [u32; 3], Box)> {
    let number = |index: usize| fields.get(index)?.trim().parse::<u32>().ok();
    let line = [number(2)?, number(3)?, number(4)?];
    let [left, top, across, down] = [number(6)?, number(7)?, number(8)?, number(9)?];
    // A page has fewer pixels than can be told in a float.
    let within = |from: u32, size: u32, limit: usize| {
        let limit = u32::try_from(limit).ok()?;
        let end = from.checked_add(size)?.min(limit);
        (from < end).then_some((from as f32, end as f32))
    };
    let (left, right) = within(left, across, width)?;
    let (top, bottom) = within(top, down, height)?;
    Some((
        number(0)?,
        line,
        Box {
            left,
            top,
            right,
            bottom,
        },
    ))
}

fn word(said: &str) -> String {
    let clean = |c: &char| {
        !c.is_control() && !matches!(c, '\u{fffd}' | '\u{feff}' | '\u{202a}'..='\u{202e}')
    };
    said.trim().chars().filter(clean).take(MAX_WORD).collect()
}

/// The languages of `--list-langs`: a line each, after one of words.
pub(super) fn languages(answer: &[u8]) -> BTreeSet<String> {
    let text = String::from_utf8_lossy(answer);
    let plain = |name: &&str| {
        (2..=40).contains(&name.len())
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
    };
    let names = text.lines().map(str::trim).filter(plain);
    names.take(500).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HEAD: &str = "level\tpage_num\tblock_num\tpar_num\tline_num\tword_num\tleft\ttop\twidth\theight\tconf\ttext\n";
    const SIZE: (usize, usize) = (1728, 2386);

    fn of(rows: &str) -> Vec<Word> {
        words(format!("{HEAD}{rows}").as_bytes(), SIZE).unwrap()
    }

    #[test]
    fn words_of_a_line_stand_on_one_foot() {
        let found = of("1\t1\t0\t0\t0\t0\t0\t0\t1728\t2386\t-1\t\n\
             4\t1\t1\t1\t1\t0\t160\t150\t520\t40\t-1\t\n\
             5\t1\t1\t1\t1\t1\t160\t150\t200\t38\t96.1\tDelivery\n\
             5\t1\t1\t1\t1\t2\t400\t160\t280\t30\t95.0\tnote\n\
             4\t1\t2\t1\t1\t0\t160\t300\t900\t200\t-1\t\n\
             5\t1\t2\t1\t1\t1\t160\t300\t200\t38\t90\tslant\n\
             5\t1\t2\t1\t1\t2\t900\t460\t160\t38\t90\ting\n");
        let told: Vec<_> = found
            .iter()
            .map(|w| (w.text.as_str(), w.left, w.top, w.right, w.bottom))
            .collect();
        assert_eq!(
            told,
            [
                ("Delivery", 160.0, 150.0, 360.0, 190.0),
                ("note", 400.0, 150.0, 680.0, 190.0),
                ("slant", 160.0, 300.0, 360.0, 338.0),
                ("ing", 900.0, 460.0, 1060.0, 498.0),
            ]
        );
    }

    #[test]
    fn what_can_not_be_is_left_out() {
        assert_eq!(words(b"", SIZE), None);
        assert_eq!(words(b"Tesseract Open Source OCR Engine\n", SIZE), None);
        assert!(of("5\t1\t1\t1\t1\t1\t160\t150\t200\t38\t3.0\tnoise\n").is_empty());
        assert!(of("5\t1\t1\t1\t1\t1\t160\t150\t200\t38\tNaN\tx\n").is_empty());
        assert!(of("5\t1\t1\t1\t1\t1\t1728\t150\t200\t38\t90\tbeside\n").is_empty());
        assert!(of("5\t1\t1\t1\t1\t1\t-4\t150\t200\t38\t90\tminus\n").is_empty());
        assert!(of("5\t1\t1\t1\t1\t1\t4294967295\t150\t4294967295\t38\t90\tmuch\n").is_empty());
        assert!(of("5\t1\t1\t1\t1\t1\t160\t150\t200\t38\t90\t \u{7}\n").is_empty());
        assert!(of("5\t1\t1\n").is_empty());
        let clipped = of("5\t1\t1\t1\t1\t1\t1700\t150\t200\t38\t90\tedge\twith a tab\n");
        assert_eq!(
            (clipped[0].right, clipped[0].text.as_str()),
            (1728.0, "edgewith a tab")
        );
        let many = "5\t1\t1\t1\t1\t1\t160\t150\t200\t38\t90\tx\n".repeat(MAX_WORDS + 10);
        assert_eq!(of(&many).len(), MAX_WORDS);
    }

    #[test]
    fn languages_are_names() {
        let text = b"List of available languages in \"/usr/share\" (3):\neng\nosd\n../x\nchi_sim\n";
        let found = languages(text);
        assert_eq!(
            found.iter().map(String::as_str).collect::<Vec<_>>(),
            ["chi_sim", "eng", "osd"]
        );
    }

    proptest! {
        #[test]
        fn any_table_gives_words_on_the_page(rows in "([0-9]{1,5}\t){10}[0-9.-]{1,5}\t.{0,9}\n{0,30}") {
            super::super::fuzz(format!("{HEAD}{rows}").as_bytes());
        }

        #[test]
        fn any_octets_are_no_harm(octets in proptest::collection::vec(any::<u8>(), 0..400)) {
            super::super::fuzz(&octets);
            super::super::fuzz(&[HEAD.as_bytes(), &octets].concat());
        }
    }
}

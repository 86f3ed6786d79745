//! What tesseract says of a page's orientation (`--psm 0`).

use faxpost_t4::Turn;

/// The least confidence by which a page is turned. Upright pages of text were found with 4 to 14; a few words may
/// give 1 for anything.
const CONFIDENCE: f64 = 6.0;

/// How the page is to be turned; `None`: it does not say, or is not sure.
pub(super) fn turn(answer: &[u8]) -> Option<Turn> {
    let text = std::str::from_utf8(answer.get(..4096.min(answer.len()))?).ok()?;
    let value = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name))?;
        line.trim()
            .parse::<f64>()
            .ok()
            .filter(|value| value.is_finite())
    };
    let degrees = value("Rotate:")?;
    let sure = value("Orientation confidence:")? >= CONFIDENCE;
    let whole = (0.0..360.0).contains(&degrees) && degrees.fract() == 0.0;
    (sure && whole)
        .then(|| Turn::of_degrees(degrees as u16))
        .flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(rotate: &str, confidence: &str) -> String {
        format!(
            "Page number: 0\nOrientation in degrees: 90\nRotate: {rotate}\n\
             Orientation confidence: {confidence}\nScript: Latin\nScript confidence: 9.89\n"
        )
    }

    #[test]
    fn a_page_is_turned_when_it_is_sure() {
        let turn = |rotate, confidence| turn(answer(rotate, confidence).as_bytes());
        assert_eq!(turn("270", "13.30"), Some(Turn::Left));
        assert_eq!(turn("90", "6"), Some(Turn::Right));
        assert_eq!(turn("180", "99"), Some(Turn::Over));
        assert_eq!(turn("0", "13"), Some(Turn::None));
        for (rotate, confidence) in [
            ("270", "5.9"),
            ("45", "20"),
            ("-90", "20"),
            ("90.5", "20"),
            ("x", "20"),
            ("90", "NaN"),
            ("inf", "9"),
        ] {
            assert_eq!(turn(rotate, confidence), None, "{rotate} {confidence}");
        }
        assert_eq!(super::turn(b"\xff"), None);
        assert_eq!(super::turn(b""), None);
    }
}

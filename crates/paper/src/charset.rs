//! Text in any charset.

use chardetng::{EncodingDetector, Iso2022JpDetection, Utf8Detection};
use encoding_rs::{Encoding, UTF_8};

/// How much of a text is looked at to guess its charset.
const LOOKED_AT: usize = 256 << 10;

/// The text in some bytes. A byte order mark says best what they are; then `label`, the charset that is said
/// to be (WHATWG Encoding §4.2); then whether they are UTF-8; else it is guessed, as a browser does.
#[must_use]
pub fn text(bytes: &[u8], label: Option<&str>) -> String {
    let said = label.and_then(|label| Encoding::for_label(label.trim().as_bytes()));
    // A text that says ASCII and has other octets says nothing of them.
    let ascii = label.is_some_and(|label| label.trim().to_ascii_lowercase().ends_with("ascii"));
    let encoding = match (Encoding::for_bom(bytes), said) {
        (Some((encoding, _)), _) => encoding,
        (None, Some(encoding)) if !ascii => encoding,
        _ if std::str::from_utf8(bytes).is_ok() => UTF_8,
        _ => guess(bytes),
    };
    encoding.decode(bytes).0.into_owned()
}

fn guess(bytes: &[u8]) -> &'static Encoding {
    let looked_at = &bytes[..bytes.len().min(LOOKED_AT)];
    if let Some(encoding) = utf16(looked_at) {
        return encoding;
    }
    let mut detector = EncodingDetector::new(Iso2022JpDetection::Allow);
    detector.feed(looked_at, true);
    // Not all of it is UTF-8, as the caller has seen.
    detector.guess(None, Utf8Detection::Deny)
}

/// UTF-16 without a byte order mark, as Windows' programs write it: of western text every other octet is 0.
fn utf16(bytes: &[u8]) -> Option<&'static Encoding> {
    let zeros = |first| {
        bytes
            .iter()
            .skip(first)
            .step_by(2)
            .filter(|&&b| b == 0)
            .count()
    };
    let (even, odd, half) = (zeros(0), zeros(1), bytes.len() / 2);
    if half < 4 {
        None
    } else if odd * 10 > half * 6 && even * 10 < half {
        Some(encoding_rs::UTF_16LE)
    } else if even * 10 > half * 6 && odd * 10 < half {
        Some(encoding_rs::UTF_16BE)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_is_believed_and_the_rest_is_guessed() {
        assert_eq!(text(b"caf\xe9", Some("ISO-8859-1")), "café");
        assert_eq!(text("café".as_bytes(), Some("us-ascii")), "café");
        assert_eq!(text("café".as_bytes(), None), "café");
        assert_eq!(text(b"\xff\xfeA\0\xe9\0", Some("utf-8")), "Aé");
        assert_eq!(text(b"\xef\xbb\xbfA", None), "A");
        assert_eq!(
            text(b"H\0e\0l\0l\0o\0 \0y\0o\0u\0!\0\xe9\0", None),
            "Hello you!é"
        );
        let german = encoding_rs::WINDOWS_1252
            .encode("Grüße aus München, schöne Straßen für Jürgen")
            .0;
        assert_eq!(
            text(&german, None),
            "Grüße aus München, schöne Straßen für Jürgen"
        );
        let russian = encoding_rs::KOI8_R
            .encode("Здравствуйте, это письмо для вас")
            .0;
        assert_eq!(
            text(&russian, Some("koi8-r")),
            "Здравствуйте, это письмо для вас"
        );
        assert_eq!(text(&russian, None), "Здравствуйте, это письмо для вас");
        let japanese = encoding_rs::ISO_2022_JP.encode("請求書を送ります").0;
        assert_eq!(text(&japanese, Some("iso-2022-jp")), "請求書を送ります");
        assert_eq!(
            text(
                &encoding_rs::SHIFT_JIS.encode("請求書を送ります").0,
                Some("shift_jis")
            ),
            "請求書を送ります"
        );
        assert_eq!(
            text(&encoding_rs::BIG5.encode("傳真文件").0, Some("big5")),
            "傳真文件"
        );
    }
}

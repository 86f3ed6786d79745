//! What a document is read as. Left to itself LibreOffice reads anything as something: random octets become
//! thousands of pages of text. So its kind is fixed, and its first octets must be that kind's.

use std::borrow::Cow;

use super::ConversionFailure;
use crate::documents::Conversion;

/// What LibreOffice converts.
pub(super) const OFFICE: &[Conversion] = &[
    Conversion::Word,
    Conversion::Excel,
    Conversion::PowerPoint,
    Conversion::Odt,
    Conversion::Ods,
    Conversion::Odp,
    Conversion::Rtf,
    Conversion::Csv,
];

/// How a document is converted.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Plan<'a> {
    Office(OfficePlan<'a>),
    PostScript,
}

/// What LibreOffice is told of a document.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct OfficePlan<'a> {
    /// The file name's ending.
    pub ending: &'static str,
    /// Its name for what reads the kind.
    pub filter: &'static str,
    /// What that wants to know.
    pub options: String,
    /// The document, text in UTF-8.
    pub bytes: Cow<'a, [u8]>,
}

/// A zip file, as the packages of today are (ISO/IEC 29500-2, ODF 1.2 part 3).
const PACKAGE: &[u8] = b"PK\x03\x04";
/// A compound file, as the documents of before 2007 are (MS-CFB §2.2), and protected ones of today
/// (MS-OFFCRYPTO §2.3).
const COMPOUND: &[u8] = b"\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1";

pub(super) fn plan(kind: Conversion, bytes: &[u8]) -> Result<Plan<'_>, ConversionFailure> {
    let package = bytes.starts_with(PACKAGE);
    let compound = bytes.starts_with(COMPOUND);
    let (ending, filter) = match kind {
        Conversion::Word if package || is_protected(bytes) => ("docx", "MS Word 2007 XML"),
        Conversion::Word if compound => ("doc", "MS Word 97"),
        Conversion::Excel if package || is_protected(bytes) => ("xlsx", "Calc MS Excel 2007 XML"),
        Conversion::Excel if compound => ("xls", "MS Excel 97"),
        Conversion::PowerPoint if package || is_protected(bytes) => {
            ("pptx", "Impress MS PowerPoint 2007 XML")
        }
        Conversion::PowerPoint if compound => ("ppt", "MS PowerPoint 97"),
        Conversion::Odt if package => ("odt", "writer8"),
        Conversion::Ods if package => ("ods", "calc8"),
        Conversion::Odp if package => ("odp", "impress8"),
        Conversion::Rtf if bytes.starts_with(b"{\\rtf") => ("rtf", "Rich Text Format"),
        Conversion::Csv => return csv(bytes).map(Plan::Office),
        Conversion::PostScript if bytes.starts_with(b"%!") || is_dos_eps(bytes) => {
            return Ok(Plan::PostScript);
        }
        _ => return Err(ConversionFailure::Mislabelled),
    };
    Ok(Plan::Office(OfficePlan {
        ending,
        filter,
        options: String::new(),
        bytes: Cow::Borrowed(bytes),
    }))
}

/// A compound file that holds an encrypted package: its directory names it, in UTF-16.
fn is_protected(bytes: &[u8]) -> bool {
    let name: Vec<u8> = "EncryptedPackage"
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    bytes.starts_with(COMPOUND) && memchr::memmem::find(bytes, &name).is_some()
}

/// Encapsulated PostScript with a preview (Adobe EPSF 3.0, §6.1).
fn is_dos_eps(bytes: &[u8]) -> bool {
    bytes.starts_with(b"\xC5\xD0\xD3\xC6")
}

/// Most rows of text that are a table: no fax is that long.
const MOST_ROWS: usize = 50_000;

/// Comma-separated values: their charset and their separator are guessed, as nothing says them.
fn csv(bytes: &[u8]) -> Result<OfficePlan<'_>, ConversionFailure> {
    let (text, _, damaged) = encoding_rs::UTF_8.decode(bytes);
    let text = if damaged {
        // What Excel writes in the west.
        encoding_rs::WINDOWS_1252.decode(bytes).0
    } else {
        text
    };
    if text.contains('\0') || text.trim().is_empty() || text.lines().count() > MOST_ROWS {
        return Err(ConversionFailure::Mislabelled);
    }
    let separator = [';', '\t', ',']
        .into_iter()
        .max_by_key(|&separator| {
            let columns: Vec<usize> = (text.lines().take(20))
                .map(|line| line.matches(separator).count())
                .collect();
            // The one that every row has most of.
            columns.iter().min().copied().unwrap_or(0) * 1000 + columns.iter().sum::<usize>()
        })
        .unwrap_or(',');
    Ok(OfficePlan {
        ending: "csv",
        filter: "Text - txt - csv (StarCalc)",
        // Separator, quotation mark, UTF-8, from row 1.
        options: format!("{},34,76,1", u32::from(separator)),
        bytes: match text {
            Cow::Borrowed(text) => Cow::Borrowed(text.as_bytes()),
            Cow::Owned(text) => Cow::Owned(text.into_bytes()),
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn office(kind: Conversion, bytes: &[u8]) -> OfficePlan<'_> {
        match plan(kind, bytes) {
            Ok(Plan::Office(plan)) => plan,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_document_is_read_as_what_its_first_octets_say() {
        let compound = [COMPOUND, b"..."].concat();
        assert_eq!(office(Conversion::Word, b"PK\x03\x04...").ending, "docx");
        assert_eq!(office(Conversion::Word, &compound).ending, "doc");
        assert_eq!(office(Conversion::Excel, &compound).ending, "xls");
        assert_eq!(office(Conversion::Odp, b"PK\x03\x04...").ending, "odp");
        assert_eq!(
            plan(Conversion::PostScript, b"%!PS-Adobe-3.0"),
            Ok(Plan::PostScript)
        );
        let protected: Vec<u8> = "EncryptedPackage"
            .encode_utf16()
            .flat_map(u16::to_le_bytes)
            .collect();
        let protected = [COMPOUND, &protected].concat();
        assert_eq!(office(Conversion::Word, &protected).ending, "docx");
        for kind in OFFICE.iter().filter(|&&kind| kind != Conversion::Csv) {
            assert_eq!(
                plan(*kind, b"\x8f\x02 random"),
                Err(ConversionFailure::Mislabelled)
            );
        }
        assert_eq!(
            plan(Conversion::PostScript, b"PK"),
            Err(ConversionFailure::Mislabelled)
        );
    }

    #[test]
    fn values_are_read_in_the_charset_and_with_the_separator_that_they_have() {
        let plan = office(
            Conversion::Csv,
            "Nom;Prix\nÉlodie;12,5\nBob;3,0\n".as_bytes(),
        );
        assert!(plan.options.starts_with("59,"), "{}", plan.options);
        let plan = office(Conversion::Csv, b"Nom,Prix\n\xC9lodie,12 \x80\n");
        assert!(plan.options.starts_with("44,"), "{}", plan.options);
        assert_eq!(&*plan.bytes, "Nom,Prix\nÉlodie,12 €\n".as_bytes());
        let utf16: Vec<u8> = "\u{FEFF}a\tb\n"
            .encode_utf16()
            .flat_map(u16::to_le_bytes)
            .collect();
        let plan = office(Conversion::Csv, &utf16);
        assert!(plan.options.starts_with("9,"), "{}", plan.options);
        for not_text in [&b"\0\0\0\0"[..], b"", b" \n"] {
            assert!(matches!(
                super::plan(Conversion::Csv, not_text),
                Err(ConversionFailure::Mislabelled)
            ));
        }
    }
}

//! What a part is: its first octets say it best, then its file name, then its media type, which mail
//! programs often don't know.

/// A document that is made a PDF before it is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Conversion {
    /// Word, as a package or of old (`.docx`, `.doc`).
    Word,
    /// Excel (`.xlsx`, `.xls`).
    Excel,
    /// PowerPoint (`.pptx`, `.ppt`).
    PowerPoint,
    /// OpenDocument text.
    Odt,
    /// OpenDocument spreadsheet.
    Ods,
    /// OpenDocument presentation.
    Odp,
    /// Rich text.
    Rtf,
    /// Comma-separated values.
    Csv,
    /// PostScript.
    PostScript,
}

/// A part as it comes.
#[derive(Clone, Copy)]
pub(super) struct Looks<'a> {
    pub name: &'a str,
    /// In small letters, without parameters.
    pub media_type: &'a str,
    pub bytes: &'a [u8],
    /// The mail shows it within its text.
    pub shown: bool,
}

impl Looks<'_> {
    pub fn is_pdf(&self) -> bool {
        self.bytes.starts_with(b"%PDF-")
            || self.media_type == "application/pdf"
            || self.ending() == "pdf"
    }

    pub fn is_picture(&self) -> bool {
        faxpost_paper::is_picture(self.bytes)
    }

    /// What it is made a PDF by.
    pub fn conversion(&self) -> Option<Conversion> {
        if self.bytes.starts_with(b"{\\rtf") {
            return Some(Conversion::Rtf);
        }
        if self.bytes.starts_with(b"%!PS") {
            return Some(Conversion::PostScript);
        }
        // The packages are all zip files, and the old ones all compound files: the name tells them apart.
        by_ending(&self.ending()).or_else(|| by_media_type(self.media_type))
    }

    /// The file name's ending, in small letters.
    pub fn ending(&self) -> String {
        let ending = self.name.rsplit_once('.').map(|(_, ending)| ending);
        ending.unwrap_or_default().to_ascii_lowercase()
    }
}

fn by_ending(ending: &str) -> Option<Conversion> {
    Some(match ending {
        "docx" | "docm" | "dotx" | "doc" | "dot" => Conversion::Word,
        "xlsx" | "xlsm" | "xltx" | "xls" => Conversion::Excel,
        "pptx" | "pptm" | "ppsx" | "ppt" | "pps" => Conversion::PowerPoint,
        "odt" | "ott" => Conversion::Odt,
        "ods" | "ots" => Conversion::Ods,
        "odp" | "otp" => Conversion::Odp,
        "rtf" => Conversion::Rtf,
        "csv" => Conversion::Csv,
        "ps" | "eps" => Conversion::PostScript,
        _ => return None,
    })
}

fn by_media_type(media_type: &str) -> Option<Conversion> {
    Some(match media_type {
        "application/msword"
        | "application/vnd.openxmlformats-officedocument.wordprocessingml.document" => {
            Conversion::Word
        }
        "application/vnd.ms-excel"
        | "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet" => Conversion::Excel,
        "application/vnd.ms-powerpoint"
        | "application/vnd.openxmlformats-officedocument.presentationml.presentation" => {
            Conversion::PowerPoint
        }
        "application/vnd.oasis.opendocument.text" => Conversion::Odt,
        "application/vnd.oasis.opendocument.spreadsheet" => Conversion::Ods,
        "application/vnd.oasis.opendocument.presentation" => Conversion::Odp,
        "application/rtf" | "text/rtf" => Conversion::Rtf,
        "text/csv" => Conversion::Csv,
        "application/postscript" => Conversion::PostScript,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn looks<'a>(name: &'a str, media_type: &'a str, bytes: &'a [u8]) -> Looks<'a> {
        Looks {
            name,
            media_type,
            bytes,
            shown: false,
        }
    }

    #[test]
    fn a_document_is_what_its_octets_say_then_its_name_then_its_type() {
        let unknown = "application/octet-stream";
        assert!(looks("x", unknown, b"%PDF-1.4").is_pdf());
        assert!(looks("Z.PDF", unknown, b"").is_pdf());
        let conversion = |name, kind, bytes| looks(name, kind, bytes).conversion();
        assert_eq!(
            conversion("a.doc", "application/msword", b"{\\rtf1"),
            Some(Conversion::Rtf)
        );
        assert_eq!(
            conversion("Angebot.DOCX", unknown, b"PK"),
            Some(Conversion::Word)
        );
        assert_eq!(conversion("x", "text/csv", b"a,b"), Some(Conversion::Csv));
        assert_eq!(conversion("a.zip", "application/zip", b"PK"), None);
    }
}

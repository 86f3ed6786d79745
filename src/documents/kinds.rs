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
}

/// What a part is to us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sort {
    Pdf,
    Picture,
    Text,
    Html,
    Convert(Conversion),
    Zip,
    Mail,
    Tnef,
    Heic,
    /// Only its recipient can open it.
    Encrypted,
    Signature,
    Calendar,
    Card,
    /// What systems leave in folders: nobody knows that it is there.
    Litter,
    Other,
}

impl Looks<'_> {
    pub fn sort(&self) -> Sort {
        if let Some(sort) = self.by_octets() {
            return sort;
        }
        if let Some(conversion) = self.conversion() {
            return Sort::Convert(conversion);
        }
        if self.is_litter() {
            return Sort::Litter;
        }
        let ending = self.ending();
        by_name(&ending)
            .or_else(|| by_type(self.media_type))
            .unwrap_or(Sort::Other)
    }

    fn by_octets(&self) -> Option<Sort> {
        if self.bytes.starts_with(b"%PDF-") {
            return Some(Sort::Pdf);
        }
        if faxpost_paper::is_picture(self.bytes) {
            return Some(Sort::Picture);
        }
        if super::tnef::is_tnef(self.bytes) {
            return Some(Sort::Tnef);
        }
        // ISO/IEC 23008-12 §10: the brands of HEIF files.
        if self.bytes.get(4..8) == Some(b"ftyp")
            && let Some(b"heic" | b"heix" | b"hevc" | b"heim" | b"mif1" | b"msf1" | b"avif") =
                self.bytes.get(8..12)
        {
            return Some(Sort::Heic);
        }
        if self.bytes.starts_with(b"-----BEGIN PGP MESSAGE") {
            return Some(Sort::Encrypted);
        }
        if self.bytes.starts_with(b"-----BEGIN PGP SIGNATURE")
            || self.bytes.starts_with(b"-----BEGIN PGP PUBLIC KEY")
        {
            return Some(Sort::Signature);
        }
        None
    }

    fn is_litter(&self) -> bool {
        let file = self.name.rsplit(['/', '\\']).next().unwrap_or_default();
        matches!(file, ".DS_Store" | "Thumbs.db" | "desktop.ini")
            || file.starts_with("._")
            || self.name.starts_with("__MACOSX/")
            || self.name.contains("/__MACOSX/")
            || self.media_type == "application/applefile"
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

fn by_name(ending: &str) -> Option<Sort> {
    Some(match ending {
        "pdf" => Sort::Pdf,
        "txt" | "text" | "log" | "md" | "asc" => Sort::Text,
        "htm" | "html" | "xhtml" => Sort::Html,
        "zip" => Sort::Zip,
        "eml" => Sort::Mail,
        "heic" | "heif" | "avif" => Sort::Heic,
        "p7m" | "pgp" | "gpg" => Sort::Encrypted,
        "p7s" | "sig" => Sort::Signature,
        "ics" => Sort::Calendar,
        "vcf" => Sort::Card,
        _ => return None,
    })
}

fn by_type(media_type: &str) -> Option<Sort> {
    Some(match media_type {
        "application/pdf" | "application/x-pdf" => Sort::Pdf,
        "text/html" | "application/xhtml+xml" => Sort::Html,
        "application/zip" | "application/x-zip-compressed" | "application/x-zip" => Sort::Zip,
        "message/rfc822" | "message/global" => Sort::Mail,
        "application/ms-tnef" | "application/vnd.ms-tnef" => Sort::Tnef,
        "image/heic" | "image/heif" | "image/avif" => Sort::Heic,
        "application/pkcs7-mime" | "application/x-pkcs7-mime" | "application/pgp-encrypted" => {
            Sort::Encrypted
        }
        "application/pkcs7-signature"
        | "application/x-pkcs7-signature"
        | "application/pgp-signature"
        | "application/pgp-keys" => Sort::Signature,
        "text/calendar" | "application/ics" => Sort::Calendar,
        "text/vcard" | "text/x-vcard" | "text/directory" => Sort::Card,
        // What mail systems say in their reports is text too.
        "message/delivery-status" | "message/disposition-notification" | "text/rfc822-headers" => {
            Sort::Text
        }
        _ if media_type.starts_with("text/") => Sort::Text,
        _ => return None,
    })
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
        }
    }

    #[test]
    fn a_document_is_what_its_octets_say_then_its_name_then_its_type() {
        let unknown = "application/octet-stream";
        let sort = |name, kind, bytes| looks(name, kind, bytes).sort();
        assert_eq!(sort("x", unknown, b"%PDF-1.4"), Sort::Pdf);
        assert_eq!(sort("Z.PDF", unknown, b""), Sort::Pdf);
        assert_eq!(
            sort("a.jpg", "image/jpeg", b"\0\0\0\x18ftypheic"),
            Sort::Heic
        );
        assert_eq!(sort("a", "text/x-unknown", b"x"), Sort::Text);
        assert_eq!(sort("a.exe", unknown, b"MZ"), Sort::Other);
        assert_eq!(sort("x/__MACOSX/._a.pdf", unknown, b""), Sort::Litter);
        assert_eq!(
            sort(
                "key.asc",
                "application/pgp-signature",
                b"-----BEGIN PGP SIGNATURE"
            ),
            Sort::Signature
        );
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

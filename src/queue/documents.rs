//! What of a mail becomes pages, in the order of the mail.

use mail_parser::{MessageParser, MimeHeaders, PartType};

/// A mail, taken apart for the fax.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Contents {
    /// The subject, for the cover.
    pub subject: String,
    /// The mail's own text, for the cover or the first page.
    pub text: String,
    /// The attachments that become pages, in order.
    pub documents: Vec<Document>,
}

/// One attachment that can be drawn.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Document {
    /// Its file name, or what stands for it.
    pub name: String,
    /// What it is.
    pub kind: Kind,
    /// Its bytes, decoded.
    pub bytes: Vec<u8>,
}

/// What can be drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A PDF.
    Pdf,
    /// A picture.
    Picture {
        /// The mail shows it within its text.
        shown: bool,
    },
    /// Plain text, already UTF-8.
    Text,
}

impl std::fmt::Debug for Document {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Document({:?}, {} octets)", self.kind, self.bytes.len())
    }
}

/// Why a mail can't become a fax: for its sender to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Unfit {
    /// The mail can't be read at all.
    NotAMail,
    /// An attachment of a kind that can't be drawn.
    Unsupported {
        /// Its name.
        name: String,
        /// Its media type.
        media_type: String,
    },
    /// Neither text nor an attachment.
    Empty,
}

/// Takes a mail apart.
pub(super) fn read(message: &[u8]) -> Result<Contents, Unfit> {
    let mail = MessageParser::default()
        .parse(message)
        .ok_or(Unfit::NotAMail)?;
    let text = mail
        .body_text(0)
        .map(|text| text.trim().to_owned())
        .unwrap_or_default();
    let mut documents = Vec::new();
    for (index, part) in mail.attachments().enumerate() {
        let media_type = part.content_type().map_or_else(
            || "application/octet-stream".to_owned(),
            |kind| match kind.subtype() {
                Some(subtype) => format!("{}/{subtype}", kind.ctype()).to_ascii_lowercase(),
                None => kind.ctype().to_ascii_lowercase(),
            },
        );
        let name = part
            .attachment_name()
            .map_or_else(|| format!("attachment {}", index + 1), str::to_owned);
        let bytes = part.contents();
        let kind = if bytes.starts_with(b"%PDF-")
            || media_type == "application/pdf"
            || name.to_ascii_lowercase().ends_with(".pdf")
        {
            Kind::Pdf
        } else if faxpost_paper::is_picture(bytes) {
            // Shown by the HTML body by its Content-ID (RFC 2392). Some mail programs send documents inline
            // with a Content-ID too, so it is only a hint: the picture's size decides.
            Kind::Picture {
                shown: part.content_id().is_some()
                    && matches!(part.body, PartType::InlineBinary(_)),
            }
        } else if matches!(part.body, PartType::Text(_)) && media_type == "text/plain" {
            Kind::Text
        } else {
            return Err(Unfit::Unsupported { name, media_type });
        };
        documents.push(Document {
            name,
            kind,
            bytes: bytes.to_vec(),
        });
    }
    if documents.is_empty() && text.is_empty() {
        return Err(Unfit::Empty);
    }
    Ok(Contents {
        subject: mail.subject().unwrap_or_default().trim().to_owned(),
        text,
        documents,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mail(parts: &str) -> Vec<u8> {
        format!(
            "From: a@x.example\r\nTo: +331@fax.example\r\nSubject: =?utf-8?q?F=C3=A9vrier?=\r\nMIME-Version: 1.0\r\n\
             Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nHello\r\n{parts}--b--\r\n"
        )
        .into_bytes()
    }

    #[test]
    fn text_and_pdfs_come_in_the_order_of_the_mail() {
        let contents = read(&mail(
            "--b\r\nContent-Type: application/octet-stream; name=\"z.pdf\"\r\nContent-Disposition: attachment; filename=\"z.pdf\"\r\n\r\n%PDF-1.4 z\r\n\
             --b\r\nContent-Type: application/pdf\r\nContent-Disposition: attachment; filename=\"a.pdf\"\r\n\r\n%PDF-1.4 a\r\n",
        ))
        .expect("contents");
        assert_eq!(contents.subject, "Février");
        assert_eq!(contents.text, "Hello");
        let names: Vec<_> = contents.documents.iter().map(|d| d.name.as_str()).collect();
        assert_eq!(names, ["z.pdf", "a.pdf"]);
        assert!(contents.documents.iter().all(|d| d.kind == Kind::Pdf));
    }

    #[test]
    fn an_inline_document_is_a_document_and_an_inline_picture_is_shown() {
        let contents = read(&mail(
            "--b\r\nContent-Type: application/pdf; name=\"a.pdf\"\r\nContent-Disposition: inline; filename=\"a.pdf\"\r\nContent-ID: <a@x>\r\n\r\n%PDF-1.4 a\r\n\
             --b\r\nContent-Type: image/gif; name=\"logo.gif\"\r\nContent-Disposition: inline; filename=\"logo.gif\"\r\nContent-ID: <l@x>\r\n\r\nGIF89a\r\n\
             --b\r\nContent-Type: image/gif; name=\"scan.gif\"\r\nContent-Disposition: attachment; filename=\"scan.gif\"\r\n\r\nGIF89a\r\n",
        ))
        .expect("contents");
        let names: Vec<_> = contents.documents.iter().map(|d| d.name.as_str()).collect();
        assert_eq!(names, ["a.pdf", "logo.gif", "scan.gif"]);
        let kinds: Vec<_> = contents.documents.iter().map(|d| d.kind).collect();
        let picture = |shown| Kind::Picture { shown };
        assert_eq!(kinds, [Kind::Pdf, picture(true), picture(false)]);
    }

    #[test]
    fn what_cannot_be_drawn_is_named() {
        let unfit = read(&mail(
            "--b\r\nContent-Type: application/zip\r\nContent-Disposition: attachment; filename=\"all.zip\"\r\n\r\nPK\r\n",
        ));
        assert_eq!(
            unfit,
            Err(Unfit::Unsupported {
                name: "all.zip".into(),
                media_type: "application/zip".into()
            })
        );
    }

    #[test]
    fn a_mail_with_nothing_in_it_says_so() {
        assert_eq!(
            read(b"From: a@x.example\r\nSubject: x\r\n\r\n\r\n"),
            Err(Unfit::Empty)
        );
    }
}

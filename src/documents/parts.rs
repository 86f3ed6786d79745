//! The parts of a mail, in its order.

use mail_parser::{MessageParser, MessagePart, MimeHeaders, PartType};

use super::{Contents, Document, LeftOut, Looks, Options};

pub(super) fn read(message: &[u8], options: &Options) -> Option<Contents> {
    let mail = MessageParser::default().parse(message)?;
    let text = mail
        .body_text(0)
        .map(|text| text.trim().to_owned())
        .unwrap_or_default();
    let mut contents = Contents {
        subject: mail.subject().unwrap_or_default().trim().to_owned(),
        text,
        documents: Vec::new(),
        left_out: Vec::new(),
    };
    for (index, part) in mail.attachments().enumerate() {
        let name = part
            .attachment_name()
            .map_or_else(|| format!("attachment {}", index + 1), str::to_owned);
        let looks = Looks {
            name: &name,
            media_type: &media_type(part),
            bytes: part.contents(),
            // Shown by the HTML body by its Content-ID (RFC 2392). Some mail programs send documents inline
            // with a Content-ID too, so it is only a hint: the picture's size decides.
            shown: part.content_id().is_some() && matches!(part.body, PartType::InlineBinary(_)),
        };
        match looks.kind(options) {
            Ok(kind) => contents.documents.push(Document {
                kind,
                bytes: looks.bytes.to_vec(),
                name,
            }),
            Err(reason) => contents.left_out.push(LeftOut { name, reason }),
        }
    }
    Some(contents)
}

/// Its media type in small letters, without parameters.
fn media_type(part: &MessagePart) -> String {
    let Some(kind) = part.content_type() else {
        return "application/octet-stream".to_owned();
    };
    match kind.subtype() {
        Some(subtype) => format!("{}/{subtype}", kind.ctype()).to_ascii_lowercase(),
        None => kind.ctype().to_ascii_lowercase(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::documents::{Kind, Reason};

    fn read(message: &[u8]) -> Contents {
        super::read(message, &Options::default()).expect("a mail")
    }

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
        ));
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
        ));
        let names: Vec<_> = contents.documents.iter().map(|d| d.name.as_str()).collect();
        assert_eq!(names, ["a.pdf", "logo.gif", "scan.gif"]);
        let kinds: Vec<_> = contents.documents.iter().map(|d| d.kind).collect();
        let picture = |shown| Kind::Picture { shown };
        assert_eq!(kinds, [Kind::Pdf, picture(true), picture(false)]);
    }

    #[test]
    fn what_cannot_be_drawn_is_named() {
        let contents = read(&mail(
            "--b\r\nContent-Type: application/zip\r\nContent-Disposition: attachment; filename=\"all.zip\"\r\n\r\nPK\r\n",
        ));
        assert_eq!(
            contents.left_out,
            [LeftOut {
                name: "all.zip".into(),
                reason: Reason::Unsupported {
                    media_type: "application/zip".into()
                }
            }]
        );
    }

    #[test]
    fn a_mail_with_nothing_in_it_has_neither_text_nor_documents() {
        let contents = read(b"From: a@x.example\r\nSubject: x\r\n\r\n\r\n");
        assert_eq!((contents.text.as_str(), contents.documents.len()), ("", 0));
    }

    #[test]
    fn what_is_converted_here_is_a_document_and_else_it_is_named() {
        let message = mail(
            "--b\r\nContent-Type: application/msword\r\nContent-Disposition: attachment; filename=\"a.doc\"\r\n\r\nx\r\n",
        );
        assert_eq!(read(&message).left_out.len(), 1);
        let options = Options {
            conversions: vec![crate::documents::Conversion::Word],
        };
        let contents = super::read(&message, &options).expect("a mail");
        assert!(contents.left_out.is_empty());
        assert_eq!(
            contents.documents[0].kind,
            Kind::Convert(crate::documents::Conversion::Word)
        );
    }
}

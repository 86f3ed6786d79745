//! The password of a mail's documents.

use mail_parser::MessageParser;

use crate::options;

/// The header line of a mail that gives it.
const HEADER: &str = "X-Fax-Document-Password";

/// What opens the protected documents of a mail. It is read from the sealed message when pages are made, given
/// to the paper worker, and kept nowhere else.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(String);

impl Password {
    /// For who opens the document.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Password {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Password(…)")
    }
}

/// The password that a mail gives.
#[must_use]
pub fn password(message: &[u8]) -> Option<Password> {
    in_header(message).or_else(|| in_words(message))
}

/// In the subject's brackets, or the lines that the text begins with.
fn in_words(message: &[u8]) -> Option<Password> {
    let mail = MessageParser::default().parse(message)?;
    let subject = options::of_subject(mail.subject().unwrap_or_default());
    let in_subject = subject
        .ok()
        .and_then(|found| found.wishes.document_password);
    let in_text = || super::wishes(&mail).ok()?.document_password;
    Some(Password(in_subject.or_else(in_text)?.0))
}

fn in_header(message: &[u8]) -> Option<Password> {
    // A parser that is told so decodes the RFC 2047 words of a line that no standard knows, and then of no other.
    let mail = MessageParser::new()
        .header_text(HEADER)
        .parse_headers(message)?;
    let text = mail.header(HEADER)?.as_text()?.trim().to_owned();
    (!text.is_empty()).then_some(Password(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_read_and_never_shown() {
        let with = |line: &str| {
            password(
                format!("From: a@x.example\r\n{line}\r\nSubject: =?utf-8?q?F=C3=A9?=\r\n\r\nx\r\n")
                    .as_bytes(),
            )
        };
        let given = with("x-fax-document-password: Pass word 1").unwrap();
        assert_eq!(given.reveal(), "Pass word 1");
        assert!(!format!("{given:?}").contains("word 1"));
        let encoded = with("X-Fax-Document-Password: =?utf-8?q?cl=C3=A9?=");
        assert_eq!(encoded.unwrap().reveal(), "clé");
        assert_eq!(with("X-Fax-Document-Password:  "), None);
        assert_eq!(with("X-Other: 1"), None);
    }
}

//! Mails: those that tests write, and those that the gateway wrote.

use faxpost::demo::sink::SunkMail;
use mail_builder::MessageBuilder;
use mail_parser::{MessageParser, MimeHeaders as _};

use super::{ALICE, FAR_NUMBER};

/// A mail of Alice's with attachments: media type, name, octets.
#[must_use]
pub fn message(subject: &str, text: &str, attachments: &[(&str, &str, &[u8])]) -> Vec<u8> {
    let mut message = MessageBuilder::new()
        .from(("Alice Martin", ALICE))
        .to(format!("{FAR_NUMBER}@fax.localhost"))
        .subject(subject)
        .text_body(text);
    for (media_type, name, octets) in attachments {
        message = message.attachment(*media_type, *name, *octets);
    }
    message.write_to_vec().unwrap()
}

/// A mail of `testdata/mails` as Alice would have sent it.
#[must_use]
pub fn from_client(file: &str) -> Vec<u8> {
    as_alice(&format!("mails/{file}"))
}

/// A mail of `testdata/labelled` as Alice would have sent it.
#[must_use]
pub fn labelled(name: &str) -> Vec<u8> {
    as_alice(&format!("labelled/{name}.eml"))
}

fn as_alice(file: &str) -> Vec<u8> {
    let path = format!("{}/testdata/{file}", env!("CARGO_MANIFEST_DIR"));
    let bytes = std::fs::read(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    let bytes = replace(&bytes, b"ada@example.com", ALICE.as_bytes());
    replace(&bytes, b"@fax.example.com", b"@fax.localhost")
}

fn replace(bytes: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = bytes;
    while let Some(at) = rest.windows(from.len()).position(|window| window == from) {
        out.extend_from_slice(&rest[..at]);
        out.extend_from_slice(to);
        rest = &rest[at + from.len()..];
    }
    out.extend_from_slice(rest);
    out
}

/// A mail that the gateway wrote, as its reader's program shows it.
#[derive(Clone, Debug)]
pub struct Letter {
    pub recipients: Vec<String>,
    pub return_path: String,
    pub message_id: String,
    pub in_reply_to: Option<String>,
    pub subject: String,
    /// The plain text, its lines unwrapped by nobody.
    pub text: String,
    /// Media type, name and octets of each part that is no text of the mail itself.
    pub parts: Vec<(String, Option<String>, Vec<u8>)>,
    pub raw: Vec<u8>,
}

impl Letter {
    #[must_use]
    pub fn of(mail: &SunkMail) -> Self {
        let parsed = MessageParser::default().parse(&mail.data).unwrap();
        let parts = parsed
            .parts
            .iter()
            .filter_map(|part| {
                let kind = part.content_type()?;
                let main = kind.ctype();
                if main == "multipart" || main == "text" {
                    return None;
                }
                Some((
                    format!("{main}/{}", kind.subtype().unwrap_or_default()),
                    part.attachment_name().map(str::to_owned),
                    part.contents().to_vec(),
                ))
            })
            .collect();
        Self {
            recipients: mail.recipients.clone(),
            return_path: mail.return_path.clone(),
            message_id: parsed.message_id().unwrap_or_default().to_owned(),
            in_reply_to: mail.header("In-Reply-To"),
            subject: parsed.subject().unwrap_or_default().to_owned(),
            text: parsed.body_text(0).unwrap_or_default().into_owned(),
            parts,
            raw: mail.data.clone(),
        }
    }

    /// The plain text with each run of white space as one space: wrapping is no matter.
    #[must_use]
    pub fn words(&self) -> String {
        self.text.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    /// Panics unless the plain text has these words.
    pub fn assert_says(&self, words: &str) {
        assert!(
            self.words().contains(words),
            "{words:?} is not in the mail {:?}:\n{}",
            self.subject,
            self.text
        );
    }

    /// The attached PDF.
    #[must_use]
    pub fn pdf(&self) -> Vec<u8> {
        self.parts
            .iter()
            .find(|(kind, ..)| kind == "application/pdf")
            .map(|(.., octets)| octets.clone())
            .unwrap_or_else(|| panic!("no PDF in {:?}", self.subject))
    }
}

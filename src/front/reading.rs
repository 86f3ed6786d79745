//! A message read once for all that is done with it, and what is taken out of it before it is kept.

use std::sync::Arc;

use mail_parser::MessageParser;

use super::{Answer, message};
use crate::{
    options::{self, Fault, Wishes},
    sender::{Secret, secret},
};

/// Messages above this many octets are read on a thread of their own, so that no session waits.
const READ_APART: usize = 1 << 20;

/// A message as the doors have read it.
pub(super) struct Read {
    pub message: Arc<Vec<u8>>,
    pub heading: Result<message::Heading, message::Unfit>,
    /// Without secrets and options.
    pub subject: String,
    /// What the mail asks of its fax, wherever it says so; what its X-Fax- lines and its text say wrong stands in
    /// `heading`.
    pub wishes: Result<Wishes, Fault>,
    /// The subject names a secret and holds none.
    pub unsound: bool,
    pub scrub: Scrub,
}

/// What is taken out of a message before it is kept.
#[derive(Clone)]
pub(super) struct Scrub {
    /// Each once.
    pub secrets: Vec<Secret>,
    /// The subject without what was for us, where it had such.
    pub subject: Option<String>,
}

impl Scrub {
    pub fn of(&self, message: Vec<u8>) -> Vec<u8> {
        secret::scrubbed(message, &self.secrets, self.subject.as_deref())
    }
}

/// Reads a message that came with these secrets in its addresses.
pub(super) fn examined(message: Vec<u8>, mut secrets: Vec<Secret>) -> Read {
    let heading = message::read(&message);
    // Postmaster gets what can't be faxed too, without secrets.
    let subject = match &heading {
        Ok(heading) => heading.subject.clone(),
        Err(_) => MessageParser::default()
            .parse_headers(&message)
            .and_then(|parsed| parsed.subject().map(str::to_owned))
            .unwrap_or_default(),
    };
    let found = secret::of_subject(&subject);
    let rewritten = found.had_any().then(|| found.left.clone());
    for secret in found.secrets {
        if !secrets.contains(&secret) {
            secrets.push(secret);
        }
    }
    let (subject, in_subject) = match options::of_subject(&found.left) {
        Ok(subject) => (subject.left, Ok(subject.wishes)),
        Err(fault) => (found.left, Err(fault)),
    };
    let elsewhere = heading.as_ref().map(|heading| {
        let in_text = heading.in_text.clone();
        (heading.in_header.clone(), in_text)
    });
    // The nearest to the number counts: each address's own come before these.
    let (in_header, in_text) = elsewhere.unwrap_or_default();
    Read {
        message: Arc::new(message),
        heading,
        subject,
        wishes: in_subject.map(|in_subject| in_header.or(in_subject).or(in_text)),
        unsound: found.unsound,
        scrub: Scrub {
            secrets,
            subject: rewritten,
        },
    }
}

/// Does what is long for a long message on a thread of its own.
pub(super) async fn apart<T: Send + 'static>(
    message: Vec<u8>,
    what: impl FnOnce(Vec<u8>) -> T + Send + 'static,
) -> Result<T, Answer> {
    if message.len() <= READ_APART {
        return Ok(what(message));
    }
    let done = tokio::task::spawn_blocking(move || what(message)).await;
    done.map_err(|_| {
        let words = "the message could not be read: try again in a few minutes";
        Answer::new(451, "4.3.0", words)
    })
}

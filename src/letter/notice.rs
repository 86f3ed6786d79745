//! A short letter of plain sentences: welcome, warning, refusal.

use super::{
    LetterError,
    layout::Layout,
    mail::{self, Head},
    words,
};
use crate::{clock::Millis, language::Language};

/// A letter of sentences.
#[derive(Clone, Debug)]
pub struct Notice {
    /// Our Message-ID, without brackets.
    pub message_id: String,
    /// Our address.
    pub from: String,
    /// The reader's address.
    pub to: String,
    /// The Date, Unix milliseconds.
    pub date_ms: Millis,
    /// The language of the sentences.
    pub language: Language,
    /// The mail that it answers; a notice without one says that it was not asked for (RFC 3834 §5).
    pub in_reply_to: Option<String>,
    /// The subject.
    pub subject: String,
    /// One paragraph each.
    pub sentences: Vec<String>,
}

/// Writes the notice.
///
/// # Errors
/// [`LetterError`].
pub fn notice(notice: &Notice) -> Result<Vec<u8>, LetterError> {
    let layout = Layout {
        language: notice.language,
        title: notice.subject.clone(),
        lead: notice.sentences.clone(),
        blocks: Vec::new(),
        picture: None,
        foot: words::AUTOMATIC_FOOT.to(notice.language),
    };
    let head = Head {
        message_id: &notice.message_id,
        from: &notice.from,
        from_name: words::FAX.to(notice.language).to_owned(),
        to: &notice.to,
        reply_to: None,
        date_ms: notice.date_ms,
        subject: notice.subject.clone(),
        in_reply_to: notice.in_reply_to.as_deref(),
        reply: notice.in_reply_to.is_some(),
        mark: None,
    };
    mail::write(&head, &layout, None, Vec::new())
}

//! What we write: reports, received faxes, notices. Pure: data in, the bytes of a mail out.
//!
//! A letter is laid out once (`layout`) and rendered as plain text and as HTML, so both say the same.
//! Every phrase stands in `words`, or in the file of the only letter that says it, in all languages side by side. Lines end in CRLF and have at most
//! 998 octets (RFC 5322 §2.1.1); the bodies are 7 bit on the wire.

mod accepted;
mod again;
mod answer;
mod covers;
mod delayed;
mod details;
mod dsn;
mod faxes;
mod late;
mod layout;
mod local;
mod mail;
mod notice;
mod parked;
mod picture;
mod proof;
mod receipt;
mod received;
mod refusal;
mod report;
mod words;

pub use accepted::{AcceptedLetter, accepted};
pub use again::{Again, again};
pub use answer::{Answered, Done, answered};
pub use covers::CoverSaid;
pub use delayed::{Delayed, delayed};
pub use details::{Detail, DocumentNote, Said};
pub use dsn::{Action, Dsn, DsnRecipient};
pub use faxes::{About, Fax, Preview, Reason, Standing};
pub use late::{Late, LateJob, late};
pub use notice::{Notice, notice};
pub use parked::{Asked, Parked, parked};
pub use picture::{PictureError, page_picture, page_png, png_of, square_png};
pub use receipt::{PICTURE, receipt, report_json};
pub use received::{
    Content, FAX_FILE, File, Portion, ReceivedLetter, Unable, Withheld, received, title,
};
pub use refusal::{Part, Refusal, Refused, refusal};
pub use report::{Attempt, Report, ReportJob, report, report_as_dsn};

/// A letter that can't be written: a fault of a template, never of the data.
#[derive(Debug, thiserror::Error)]
#[error("the letter's template fails: {0}")]
pub struct LetterError(#[from] askama::Error);

#[cfg(test)]
mod tests;

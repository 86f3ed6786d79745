//! The documents of a mail as pages: each in a paper worker of its own, after LibreOffice or Ghostscript where it is
//! theirs.

use std::borrow::Cow;

use faxpost_paper::{Input, Limits, PageSetup};
use faxpost_t4::FaxPage;

use super::{Inner, renderer::Failure};
use crate::{
    conversion::ConversionFailure,
    documents::{Contents, Document, Kind, Password, Reason},
    letter::{Detail, DocumentNote, Said},
    policy::{Body, Unreadable},
    trouble::Trouble,
    worker::paper::{PaperDone, PaperFailure, PaperRequest},
};

/// How the documents of a mail are drawn.
pub(super) struct How<'a> {
    pub password: Option<&'a Password>,
    pub setup: PageSetup,
    /// Where the mail's text goes.
    pub body: Body,
    pub unreadable: Unreadable,
}

/// Draws every document, each in a paper worker of its own; the text that the cover prints is none.
pub(super) async fn draw(
    queue: &Inner,
    contents: &Contents,
    how: &How<'_>,
) -> Result<(Vec<FaxPage>, Vec<DocumentNote>), Failure> {
    let mut drawn = Vec::new();
    let mut notes = Vec::new();
    let mut first_failure = None;
    let on_cover = contents.cover_text().filter(|_| how.body == Body::Cover);
    let left = || {
        contents
            .documents
            .iter()
            .filter(|one| on_cover != Some(*one))
    };
    for document in left() {
        let name = document.name.clone();
        let note = |said| DocumentNote {
            name: name.clone(),
            said,
        };
        match draw_one(queue, document, how).await? {
            Ok(done) => {
                drawn.extend(done.pages);
                notes.extend(done.notes.into_iter().map(|said| note(said.into())));
            }
            Err(undrawn) => {
                let failed = undrawn.failure(&name);
                // What the sender wrote is never left out.
                if how.unreadable == Unreadable::Stop || document.own_text {
                    return Err(failed);
                }
                first_failure.get_or_insert(failed);
                notes.push(note(undrawn.said()));
            }
        }
    }
    let shown = |document: &&Document| document.kind == Kind::Picture { shown: true };
    if drawn.is_empty()
        && on_cover.is_none()
        && let Some(failed) = first_failure
    {
        return Err(failed);
    }
    let names: Vec<String> = left()
        .filter(|d| !shown(d))
        .map(|d| d.name.clone())
        .collect();
    if drawn.is_empty() && !names.is_empty() && how.unreadable == Unreadable::Stop {
        // A cover alone would be called sent, and the document with it.
        return Err(Failure::Mail {
            outcome: "attachment-unreadable",
            note: Some(Detail::NoPage { names }),
        });
    }
    if let Some(Kind::Html { remote, .. }) = on_cover.map(|text| &text.kind)
        && *remote > 0
    {
        notes.push(DocumentNote {
            name: String::new(),
            said: Said::LeftOut(Reason::Remote { count: *remote }),
        });
    }
    if contents.text_ignored {
        notes.push(DocumentNote {
            name: String::new(),
            said: Said::TextIgnored,
        });
    }
    notes.extend(contents.left_out.iter().map(|part| DocumentNote {
        name: part.name.clone(),
        said: Said::LeftOut(part.reason.clone()),
    }));
    Ok((drawn, notes))
}

/// Why a document has no page and never will.
enum Undrawn {
    Paper(PaperFailure),
    Conversion(ConversionFailure),
}

impl Undrawn {
    fn failure(&self, name: &str) -> Failure {
        match self {
            Self::Paper(failure) => not_drawn(name, failure),
            Self::Conversion(failure) => Failure::Mail {
                outcome: "attachment-unreadable",
                note: Some(Detail::NotConverted {
                    name: name.to_owned(),
                    failure: failure.clone(),
                }),
            },
        }
    }

    fn said(&self) -> Said {
        match self {
            Self::Paper(failure) => Said::NotDrawn(failure.clone()),
            Self::Conversion(failure) => Said::NotConverted(failure.clone()),
        }
    }
}

/// A document's pages; within, why it has none and never will.
async fn draw_one(
    queue: &Inner,
    document: &Document,
    how: &How<'_>,
) -> Result<Result<PaperDone, Undrawn>, Failure> {
    let document = match converted(queue, document, how.password).await {
        Ok(document) => document,
        Err(failure) if failure.trouble() == Trouble::Permanent => {
            return Ok(Err(Undrawn::Conversion(failure)));
        }
        Err(failure) => return Err(Failure::Ours(failure.to_string())),
    };
    let request = PaperRequest::Render {
        input: input(&document, how.password)?,
        setup: how.setup,
        limits: Limits {
            max_pages: queue.max_pages,
            ..Limits::default()
        },
    };
    match queue.paper.render(&request, queue.paper_deadline).await {
        Ok(done) => Ok(Ok(done)),
        Err(failure) if failure.trouble() == Trouble::Permanent => Ok(Err(Undrawn::Paper(failure))),
        Err(failure) => Err(Failure::Ours(failure.to_string())),
    }
}

/// The document as a PDF, where that is how it is drawn.
async fn converted<'a>(
    queue: &Inner,
    document: &'a Document,
    password: Option<&Password>,
) -> Result<Cow<'a, Document>, ConversionFailure> {
    let Kind::Convert(kind) = document.kind else {
        return Ok(Cow::Borrowed(document));
    };
    let password = password.map(Password::reveal);
    let converted = queue.converters.convert(kind, &document.bytes, password);
    Ok(Cow::Owned(Document {
        kind: Kind::Pdf,
        bytes: converted.await?,
        ..document.clone()
    }))
}

/// What a paper worker draws it as.
fn input(document: &Document, password: Option<&Password>) -> Result<Input, Failure> {
    let name = document.name.clone();
    let text = || String::from_utf8_lossy(&document.bytes).into_owned();
    Ok(match &document.kind {
        Kind::Pdf => Input::Pdf {
            name,
            bytes: document.bytes.clone(),
            password: password.map(|password| password.reveal().to_owned()),
        },
        Kind::Picture { shown } => Input::Picture {
            name,
            bytes: document.bytes.clone(),
            shown: *shown,
        },
        Kind::Text => Input::Text { name, text: text() },
        Kind::Html { pictures, .. } => Input::Html {
            name,
            html: text(),
            pictures: pictures.clone(),
        },
        // It was made a PDF before; what no program here converts is left out by `documents`.
        Kind::Convert(_) => {
            return Err(Failure::Mail {
                outcome: "attachment-unsupported",
                note: Some(Detail::NoPage { names: vec![name] }),
            });
        }
    })
}

pub(super) fn not_drawn(name: &str, failure: &PaperFailure) -> Failure {
    match failure.trouble() {
        Trouble::Temporary => Failure::Ours(failure.to_string()),
        Trouble::Permanent => Failure::Mail {
            outcome: "attachment-unreadable",
            note: Some(Detail::NotDrawn {
                name: name.to_owned(),
                failure: failure.clone(),
            }),
        },
    }
}

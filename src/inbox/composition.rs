//! What becomes of a fax for one recipient: its mails, or a letter without its pages.

use std::collections::{HashMap, hash_map::Entry};

use faxpost_t4::Turn;

use super::{
    form::{self, Page, Title},
    owed,
    split::{self, Bounds, Mails},
};
use crate::{
    clock::Millis,
    letter::{self, Content, File, Portion, ReceivedLetter, Withheld},
    numbers::{Form, Large},
    vault::Clear,
};

/// How a recipient gets this fax.
pub(super) struct How {
    pub form: Form,
    pub large: Large,
    pub password: Option<Clear>,
    /// They are no recipient any more: what they had set is gone, and a password might have been.
    pub gone: bool,
    /// Octets of a mail.
    pub limit: Option<u64>,
}

/// What the mails of one draft are made of.
pub(super) struct Composition {
    pub letter: ReceivedLetter,
    pub pages: Vec<Page>,
    pub how: How,
    /// The draft's own part of the fax.
    pub portion: Option<Portion>,
    /// How long pages that are not sent are kept at least.
    pub until_ms: Millis,
}

/// Mails, and which part of the fax each has where it is parted here.
pub(super) struct Written {
    pub mails: Vec<(Option<Portion>, Vec<u8>)>,
    /// One is a notice: the pages must be kept.
    pub announced: bool,
}

impl Composition {
    pub fn write(mut self) -> anyhow::Result<Written> {
        let (Some(first), Some(last)) = (self.pages.first(), self.pages.last()) else {
            anyhow::bail!("a fax without its pages");
        };
        let span = (first.number, last.number);
        if self.how.form == Form::Notice {
            let why = if self.how.gone {
                Withheld::NotSet
            } else {
                Withheld::Chosen
            };
            return self.notice(why);
        }
        // A try to part the fax gives the letter another id.
        let message_id = self.letter.message_id.clone();
        let form = self.how.form;
        let pixels: HashMap<u32, u64> = self
            .pages
            .iter()
            .map(|page| (page.number, form::pixels(form, page)))
            .collect();
        let most = form::most_pixels(form);
        let bounds = Bounds {
            octets: self.how.limit.map_or(usize::MAX, |limit| {
                usize::try_from(limit).unwrap_or(usize::MAX)
            }),
            fits: &|first, last| {
                let all = (first..=last).map(|number| pixels.get(&number).copied().unwrap_or(0));
                all.fold(0, u64::saturating_add) <= most
            },
            // A notice was asked for instead of parts: no cut is tried.
            parts: self.how.large == Large::Split,
        };
        let within = self.portion.take();
        let mut drawn = HashMap::new();
        let written = split::mails(span, within.as_ref(), bounds, |first, last, portion| {
            self.mail(first, last, portion, &mut drawn)
        })?;
        let limit = self.how.limit.unwrap_or_default();
        let why = match written {
            Mails::Whole(mail) => {
                return Ok(Written {
                    mails: vec![(None, mail)],
                    announced: false,
                });
            }
            Mails::Parts(parts) => {
                return Ok(Written {
                    mails: parts
                        .into_iter()
                        .map(|(portion, mail)| (Some(portion), mail))
                        .collect(),
                    announced: false,
                });
            }
            Mails::TooLarge => Withheld::TooLarge(limit),
            Mails::TooMany => Withheld::TooMany,
        };
        self.letter.message_id = message_id;
        self.portion = within;
        self.notice(why)
    }

    /// The mail of some of the pages. `drawn`: the pictures of pages that were tried in another mail before.
    fn mail(
        &mut self,
        first: u32,
        last: u32,
        portion: Option<&Portion>,
        drawn: &mut HashMap<u32, File>,
    ) -> anyhow::Result<Vec<u8>> {
        let some: Vec<Page> = self
            .pages
            .iter()
            .filter(|page| (first..=last).contains(&page.number))
            .cloned()
            .collect();
        let password = self.how.password.as_ref().map(|clear| clear.as_slice());
        let files = if form::is_pictures(self.how.form) {
            let mut files = Vec::with_capacity(some.len());
            for page in &some {
                let file = match drawn.entry(page.number) {
                    Entry::Occupied(file) => file.into_mut(),
                    Entry::Vacant(place) => place.insert(form::picture(self.how.form, page)?),
                };
                files.push(file.clone());
            }
            files
        } else {
            form::files(self.how.form, &some, &self.title(), password)?
        };
        let protected = password.is_some();
        self.letter.turned = some
            .iter()
            .filter(|page| page.turn != Turn::None)
            .map(|page| page.number)
            .collect();
        if let Some(portion) = portion {
            // A part of a part has that of the whole with its own label.
            self.letter.message_id = owed::message_id_of_part(&self.letter.message_id, portion);
        }
        self.letter.portion = portion.cloned();
        self.letter.content = Content::Files {
            files,
            protected,
            searchable: matches!(self.how.form, Form::Pdf | Form::PdfA)
                && some.iter().any(|page| !page.words.is_empty()),
        };
        Ok(letter::received(&self.letter)?)
    }

    fn title(&self) -> Title {
        Title {
            title: letter::title(&self.letter),
            author: match self.letter.remote_number.trim() {
                "" => self
                    .letter
                    .tsi
                    .clone()
                    .unwrap_or_default()
                    .trim()
                    .to_owned(),
                number => number.to_owned(),
            },
            subject: format!("{} {}", self.letter.number, self.letter.received_id),
            created: Some(self.letter.started_ms.div_euclid(1000)),
        }
    }

    fn notice(self, why: Withheld) -> anyhow::Result<Written> {
        Ok(Written {
            mails: vec![(None, notice(self.letter, self.portion, why, self.until_ms)?)],
            announced: true,
        })
    }
}

/// The mail of a letter without the pages.
pub(super) fn notice(
    mut letter: ReceivedLetter,
    portion: Option<Portion>,
    why: Withheld,
    until_ms: Millis,
) -> anyhow::Result<Vec<u8>> {
    letter.portion = portion;
    letter.turned = Vec::new();
    letter.content = Content::Notice { why, until_ms };
    Ok(letter::received(&letter)?)
}

//! Reads the pages of received faxes, beside their delivery, for numbers whose profile has it so.
//!
//! A mail that wants its pages read waits for them, but not beyond a deadline; nothing else waits. What was read is
//! known to this process alone: after a crash the pages are read anew, while their time lasts.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use faxpost_t4::FaxPage;
use tokio::sync::Semaphore;

use crate::{
    clock::{Millis, now_ms},
    recognition::{PageReading, Reader},
};

/// Faxes whose pages are remembered: the mails of a fax are written soon after each other.
const REMEMBERED: usize = 64;

/// Pages at a time at most, each with a processor: calls and mails need the others.
const MOST_AT_ONCE: usize = 2;

/// What is known of each page; `None`: it could not be read.
pub(super) type Pages = Arc<Vec<Option<PageReading>>>;

/// How pages are read.
pub struct Ocr {
    /// Who reads.
    pub reader: Reader,
    /// Pages at a time, 1 or 2.
    pub at_once: usize,
    /// How long a fax waits for its pages at most.
    pub fax: Duration,
}

/// Reads pages.
pub(super) struct Readings {
    reader: Reader,
    places: Semaphore,
    wait: Millis,
    known: Mutex<HashMap<String, Known>>,
}

enum Known {
    /// Its pages are being read, since then.
    Reading(Millis),
    /// They were, and when.
    Read(Millis, Pages),
}

/// What a mail is to do.
pub(super) enum Look {
    /// Be written, with what was read.
    Write(Option<Pages>),
    /// Wait until then at most.
    Wait(Millis),
    /// As `Wait`; and whoever asks must have the pages read.
    Begin(Millis),
}

impl Readings {
    pub fn new(ocr: Ocr) -> Self {
        Self {
            reader: ocr.reader,
            places: Semaphore::new(ocr.at_once.clamp(1, MOST_AT_ONCE)),
            wait: i64::try_from(ocr.fax.as_millis()).unwrap_or(i64::MAX),
            known: Mutex::default(),
        }
    }

    fn known(&self) -> std::sync::MutexGuard<'_, HashMap<String, Known>> {
        // Nothing panics while it holds the table.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What a mail of this fax, owed since then, is to do.
    pub fn look(&self, received_id: &str, owed_since: Millis, now: Millis) -> Look {
        let until = owed_since.saturating_add(self.wait);
        let mut known = self.known();
        match known.get(received_id) {
            Some(Known::Read(_, pages)) => Look::Write(Some(pages.clone())),
            _ if now >= until => Look::Write(None),
            Some(Known::Reading(_)) => Look::Wait(until),
            None => {
                known.insert(received_id.to_owned(), Known::Reading(now));
                Look::Begin(until)
            }
        }
    }

    /// Reads the pages, as many as there is time for.
    pub async fn read(
        &self,
        received_id: &str,
        pages: Vec<FaxPage>,
        languages: &str,
        until: Millis,
    ) {
        let mut read: Vec<Option<PageReading>> = Vec::with_capacity(pages.len());
        let mut faults = 0;
        for page in &pages {
            let left = u64::try_from(until - now_ms()).unwrap_or(0);
            let one = tokio::time::timeout(Duration::from_millis(left), self.page(page, languages));
            match one.await {
                Ok(Ok(reading)) => read.push(Some(reading)),
                Ok(Err(why)) => {
                    faults += 1;
                    tracing::debug!(fax = received_id, %why, "a page could not be read");
                    read.push(None);
                }
                Err(_) => break,
            }
        }
        let unread = pages.len() - read.len() + faults;
        read.resize(pages.len(), None);
        if unread > 0 {
            tracing::warn!(
                fax = received_id,
                pages = pages.len(),
                unread,
                "pages could not be read: they are delivered as they came"
            );
        }
        let mut known = self.known();
        known.insert(
            received_id.to_owned(),
            Known::Read(now_ms(), Arc::new(read)),
        );
        while known.len() > REMEMBERED {
            let age = |known: &Known| match known {
                Known::Reading(since) | Known::Read(since, _) => *since,
            };
            let oldest = known
                .iter()
                .min_by_key(|(_, known)| age(known))
                .map(|(id, _)| id.clone());
            match oldest {
                Some(id) => known.remove(&id),
                None => break,
            };
        }
    }

    /// One page, when it is its turn: pages of all faxes take turns.
    async fn page(&self, page: &FaxPage, languages: &str) -> anyhow::Result<PageReading> {
        let _place = self.places.acquire().await?;
        Ok(self.reader.read(page, languages).await?)
    }

    /// Whether a fax's pages have been read.
    pub fn has(&self, received_id: &str) -> bool {
        matches!(self.known().get(received_id), Some(Known::Read(..)))
    }
}

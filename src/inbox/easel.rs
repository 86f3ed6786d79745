//! Drafts whose pages are to be drawn as pictures: they wait for each other, and nothing else waits for them.

use std::sync::{Mutex, PoisonError};

use tokio::sync::Notify;

use crate::{
    clock::{Millis, now_ms},
    relay::Draft,
};

/// A draft that has waited for so long for its pictures goes before smaller ones.
const PATIENCE_MS: Millis = 60 * 1000;

/// Drafts that wait for their pictures, and the one that has them drawn.
#[derive(Default)]
pub(super) struct Easel {
    waiting: Mutex<Vec<Waiting>>,
    more: Notify,
}

struct Waiting {
    draft: Draft,
    pages: i64,
    since: Millis,
    begun: bool,
}

impl Easel {
    fn waiting(&self) -> std::sync::MutexGuard<'_, Vec<Waiting>> {
        // Nothing panics while it holds the list.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A draft of so many pages, once however often it is put there.
    pub fn put(&self, draft: &Draft, pages: i64) {
        let mut waiting = self.waiting();
        if waiting.iter().all(|one| one.draft.mail_id != draft.mail_id) {
            waiting.push(Waiting {
                draft: draft.clone(),
                pages,
                since: now_ms(),
                begun: false,
            });
        }
        self.more.notify_one();
    }

    /// Whose turn it is: the fewest pages first, but nobody waits long for those that came later.
    pub fn next(&self, now: Millis) -> Option<Draft> {
        let mut waiting = self.waiting();
        let next = waiting
            .iter_mut()
            .filter(|one| !one.begun)
            .min_by_key(|one| {
                let patient = now - one.since < PATIENCE_MS;
                (patient, if patient { one.pages } else { 0 }, one.since)
            })?;
        next.begun = true;
        Some(next.draft.clone())
    }

    /// Until there may be one more.
    pub async fn more(&self) {
        self.more.notified().await;
    }

    /// It is written, or put off.
    pub fn done(&self, mail_id: &str) {
        self.waiting().retain(|one| one.draft.mail_id != mail_id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_faxes_are_drawn_first_but_none_waits_for_ever() {
        let easel = Easel::default();
        let draft = |mail_id: &str| Draft {
            mail_id: mail_id.into(),
            tenant_id: String::new(),
            purpose: String::new(),
            message_id: String::new(),
            recipient: String::new(),
            limit: None,
            created_at: 0,
        };
        easel.put(&draft("long"), 900);
        easel.put(&draft("long"), 900);
        easel.put(&draft("short"), 2);
        easel.put(&draft("middle"), 30);
        let next = |now| easel.next(now).map(|draft| draft.mail_id);
        let now = now_ms();
        assert_eq!(next(now).as_deref(), Some("short"));
        easel.waiting()[0].since -= PATIENCE_MS + 1;
        assert_eq!(next(now).as_deref(), Some("long"));
        // One that is being drawn is not begun again, however often it is put there.
        easel.put(&draft("long"), 900);
        easel.done("short");
        assert_eq!(next(now).as_deref(), Some("middle"));
        assert_eq!(next(now), None);
    }
}

//! One look at a mailbox: each mail in it is kept and moved, or refused and moved, or left for later.

use std::collections::{HashMap, HashSet};

use mail_parser::MessageParser;
use sha2::{Digest as _, Sha256};

use super::{
    Shared, folders, refused,
    session::{Folder, Imap, ImapError},
    told::{self, Original},
};
use crate::{
    clock::{Millis, now_ms},
    front::polled::Polled,
    letter::Refused,
    numbers::Mailbox,
    submission::ToldBy,
};

/// How long a mail that was faxed is known when it comes again, as out of a backup.
const REMEMBERED: Millis = 180 * 24 * 3_600_000;
/// Which mail of a mailbox: UIDVALIDITY and UID.
type Which = (u32, u32);

/// What is known of a mailbox's mails besides the records. A restart forgets it, and does no harm.
#[derive(Default)]
pub(super) struct Memory {
    /// On record, and still to be moved: to *Faxed*, or to *Refused*.
    decided: HashMap<Which, bool>,
    /// Longer than they said.
    too_large: HashSet<Which>,
    /// At which connections broke: they wait behind the others.
    broke_at: HashSet<Which>,
    /// Which is being worked on.
    at: Option<Which>,
    /// Mails have been moved since a connection broke.
    progress: bool,
}

impl Memory {
    /// Notes that the connection broke, and at what.
    pub fn broke(&mut self, error: &ImapError) {
        let Some(which) = self.at.take() else { return };
        match error {
            ImapError::Excess(_) => {
                self.too_large.insert(which);
            }
            ImapError::Broken(_) => {
                self.broke_at.insert(which);
            }
            ImapError::Login(_) | ImapError::No { .. } => {}
        }
    }

    /// Whether mails have been moved since this was asked last.
    pub fn progressed(&mut self) -> bool {
        std::mem::take(&mut self.progress)
    }

    fn forget(&mut self, which: Which) {
        self.decided.remove(&which);
        self.too_large.remove(&which);
        self.broke_at.remove(&which);
    }
}

/// A look that went through.
#[derive(Debug, Default)]
pub(super) struct Looked {
    /// Why mails were left where they are, to be looked at again.
    pub left: Option<String>,
}

/// Takes each mail of the mailbox in turn.
pub(super) async fn look(
    shared: &Shared,
    mailbox: &Mailbox,
    imap: &mut Imap,
    memory: &mut Memory,
) -> anyhow::Result<Looked> {
    let mut looked = Looked::default();
    let folder = imap.select(&mailbox.folder).await?;
    let uids = imap.search().await?;
    let mut sizes = imap.sizes(&uids).await?;
    // Those at which connections broke wait behind the others.
    sizes.sort_by_key(|(uid, _)| memory.broke_at.contains(&(folder.uid_validity, *uid)));
    for (uid, size) in sizes {
        let mut mail = Mail {
            shared,
            mailbox,
            folder,
            uid,
        };
        let which = mail.which();
        memory.at = Some(which);
        match mail.take(imap, memory, size).await {
            Ok(None) => {}
            Ok(Some(left)) => {
                let left = looked.left.get_or_insert(left);
                tracing::info!(mailbox = mailbox.name, uid, reason = %left, "a mail is left for later");
            }
            // What the server does not do with one mail it may do with the others.
            Err(error) => match error.downcast::<ImapError>() {
                Ok(error @ ImapError::No { .. }) => {
                    looked.left.get_or_insert(error.to_string());
                }
                Ok(error) => return Err(error.into()),
                Err(error) => return Err(error),
            },
        }
        memory.at = None;
    }
    Ok(looked)
}

/// A mail of the open folder.
struct Mail<'a> {
    shared: &'a Shared,
    mailbox: &'a Mailbox,
    folder: Folder,
    uid: u32,
}

impl Mail<'_> {
    fn which(&self) -> Which {
        (self.folder.uid_validity, self.uid)
    }

    /// Decides and moves; a sentence when the mail stays for later.
    async fn take(
        &mut self,
        imap: &mut Imap,
        memory: &mut Memory,
        size: u32,
    ) -> anyhow::Result<Option<String>> {
        let which = self.which();
        let faxed = match memory.decided.get(&which) {
            Some(faxed) => *faxed,
            None => match self.decide(imap, memory, size).await? {
                Decided::Later(left) => return Ok(Some(left)),
                Decided::Gone => {
                    memory.forget(which);
                    return Ok(None);
                }
                Decided::Faxed => true,
                Decided::Refused => false,
            },
        };
        // It is on record by now; only then it may leave (promise 1).
        memory.decided.insert(which, faxed);
        let to = if faxed {
            &self.mailbox.faxed
        } else {
            &self.mailbox.refused
        };
        folders::move_to(imap, self.uid, to).await?;
        memory.forget(which);
        memory.progress = true;
        Ok(None)
    }

    async fn decide(
        &self,
        imap: &mut Imap,
        memory: &mut Memory,
        size: u32,
    ) -> anyhow::Result<Decided> {
        let most = self.shared.setup.max_size;
        let said = usize::try_from(size).unwrap_or(usize::MAX);
        if said > most || memory.too_large.contains(&self.which()) {
            // Its header alone is asked for: enough for the owner to know whose it may be.
            let header = imap.header(self.uid).await?.unwrap_or_default();
            folders::flag(imap, self.uid).await?;
            let reason = format!(
                "it has more than the {most} octets that a mail may have (smtp.max_size), so it was not looked at: send less"
            );
            self.refuse(&header, &reason).await?;
            return Ok(Decided::Refused);
        }
        let Some(message) = imap.mail(self.uid, size, most as u64).await? else {
            // Somebody else took it meanwhile.
            return Ok(Decided::Gone);
        };
        let told_by = self.told_by(&message);
        let original = Original::of(&message);
        let head: Vec<u8> = message[..message.len().min(64 << 10)].to_vec();
        let polled = self
            .shared
            .setup
            .intake
            .polled(self.mailbox, message, told_by);
        Ok(match polled.await {
            Polled::Later(answer) => Decided::Later(answer.text.into_owned()),
            Polled::Unproven(answer) => {
                self.refuse(&head, &answer.text).await?;
                Decided::Refused
            }
            Polled::Kept(kept) => {
                let mailbox = &self.mailbox.name;
                let (submission, again) = (&kept.submission, kept.again);
                tracing::info!(mailbox, uid = self.uid, submission, again, "a mail is kept");
                Decided::Faxed
            }
            Polled::Refused { sender, refused } => {
                self.answer(&sender, &original, &head, &refused).await?;
                Decided::Refused
            }
        })
    }

    /// What tells this mail when it is fetched again: where it lay, and its every octet. The second also where the
    /// server has made its mailbox anew, with other numbers (RFC 9051 §2.3.1.1). A mail that is sent twice has been
    /// received twice, and says so in its trace lines.
    fn told_by(&self, message: &[u8]) -> Vec<ToldBy> {
        let until = now_ms() + REMEMBERED;
        let (validity, uid) = self.which();
        let place = format!(
            "{}\0{}\0{validity}\0{uid}",
            self.mailbox.mailbox_id, self.mailbox.folder
        );
        let mark = |kind: &str, what: &[u8]| {
            let mut hash = Sha256::new();
            hash.update(kind);
            hash.update([0]);
            hash.update(what);
            ToldBy {
                mark: hash.finalize().into(),
                until,
            }
        };
        vec![
            mark("imap place", place.as_bytes()),
            mark("imap octets", message),
        ]
    }

    /// Has the owner told.
    async fn refuse(&self, head: &[u8], reason: &str) -> anyhow::Result<()> {
        let parsed = MessageParser::default().parse_headers(head);
        let from = parsed.as_ref().and_then(|parsed| {
            let from = parsed.from()?.first()?;
            Some(from.address.clone()?.into_owned())
        });
        let from = from.unwrap_or_else(|| "?".to_owned());
        let subject = Original::of(head).subject;
        let (store, now) = (&self.shared.setup.store, now_ms());
        let words = [from.as_str(), subject.as_str(), reason];
        refused::record(store, self.mailbox, self.which(), words, now).await?;
        tracing::info!(
            mailbox = self.mailbox.name,
            uid = self.uid,
            reason,
            "a mail is refused: nobody proven sent it"
        );
        self.shared.refused.notify_one();
        Ok(())
    }

    /// Tells a proven sender what was refused; the owner, where the mail is one that is not answered.
    async fn answer(
        &self,
        sender: &crate::sender::VerifiedSender,
        original: &Original,
        head: &[u8],
        refused: &[Refused],
    ) -> anyhow::Result<()> {
        let Some(first) = refused.first() else {
            return Ok(());
        };
        if original.automatic {
            return self.refuse(head, &first.why.en).await;
        }
        let (validity, uid) = self.which();
        let purpose = format!("refused:{}:{validity}:{uid}", self.mailbox.mailbox_id);
        told::sender(self.shared, purpose, sender, original, refused).await
    }
}

enum Decided {
    Faxed,
    Refused,
    /// It is no longer there.
    Gone,
    /// Why it stays.
    Later(String),
}

//! One look at a mailbox: each mail in it is kept and moved, or refused and moved, or left for later.

use std::{
    collections::{HashMap, HashSet},
    fmt::Write as _,
    time::Duration,
};

use mail_parser::MessageParser;
use sha2::{Digest as _, Sha256};
use tokio::time::Instant;

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
/// A mail that has lain in the mailbox for so long, and was left for later for as long, is refused.
const LATER_DAYS: i64 = 5;
const LATER_FOR: Duration = Duration::from_secs(3600);
/// Which mail of a mailbox: UIDVALIDITY and UID.
type Which = (u32, u32);

/// What is known of a mailbox's mails besides the records. A restart forgets it, and does no harm.
#[derive(Default)]
pub(super) struct Memory {
    /// On record, and still to be moved: to *Faxed*, or to *Refused*.
    decided: HashMap<Which, bool>,
    /// Longer than they said, so many times.
    too_large: HashMap<Which, u32>,
    /// Left for later, since when.
    later: HashMap<Which, Instant>,
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
                *self.too_large.entry(which).or_default() += 1;
                self.broke_at.insert(which);
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
        self.later.remove(&which);
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
    let known = |uid: &u32| sizes.binary_search_by_key(uid, |(uid, _)| *uid).is_ok();
    let unknown: Vec<u32> = uids.iter().copied().filter(|uid| !known(uid)).collect();
    if !unknown.is_empty() && !imap.present(&unknown).await?.is_empty() {
        looked.left = Some("the server does not say how large some mails are".to_owned());
    }
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
                Decided::Later(left) => {
                    if !self.is_over(imap, memory).await? {
                        return Ok(Some(left));
                    }
                    let header = imap.header(self.uid).await?.unwrap_or_default();
                    let reason = format!(
                        "it has waited for {LATER_DAYS} days, and is given up ({left}): send it again"
                    );
                    self.refuse(&header, &reason).await?;
                    false
                }
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
        let excess = memory.too_large.get(&self.which()).copied().unwrap_or(0);
        if said > most || excess > 0 {
            // Its header alone is asked for: enough for the owner to know whose it may be. Where that is too long as
            // well, nothing more is asked.
            let header = match excess {
                0 | 1 => imap.header(self.uid).await?.unwrap_or_default(),
                _ => Vec::new(),
            };
            folders::flag(imap, self.uid).await?;
            let reason = format!(
                "it has more than the {most} octets that a mail may have (smtp.max_size), so it was not looked at: send less"
            );
            self.refuse(&header, &reason).await?;
            return Ok(Decided::Refused);
        }
        let Some(message) = imap.mail(self.uid, size, most as u64).await? else {
            // Somebody else took it meanwhile; or the server says OK and nothing more.
            let there = !imap.present(&[self.uid]).await?.is_empty();
            return Ok(match there {
                true => Decided::Later("the server does not hand it over".to_owned()),
                false => Decided::Gone,
            });
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
            Polled::Own => {
                // The digest may have come to the very mailbox that it tells of: telling of that would have no end.
                let (mailbox, uid) = (&self.mailbox.name, self.uid);
                tracing::warn!(mailbox, uid, "a mail that this gateway wrote is not faxed");
                Decided::Refused
            }
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

    /// Whether a mail that can't be decided is given up.
    async fn is_over(&self, imap: &mut Imap, memory: &mut Memory) -> anyhow::Result<bool> {
        let since = memory.later.entry(self.which());
        // One that somebody moves in after years has its time as well.
        if since.or_insert_with(Instant::now).elapsed() < LATER_FOR {
            return Ok(false);
        }
        Ok(imap.is_older(self.uid, LATER_DAYS).await?)
    }

    /// Where this mail lies, in one word: another server, login or folder may give the same numbers.
    fn place(&self) -> String {
        let digest = Sha256::digest(lies_at(self.mailbox, self.which()));
        digest.iter().fold(String::new(), |mut hex, octet| {
            let _ = write!(hex, "{octet:02x}");
            hex
        })
    }

    /// What tells this mail when it is fetched again: where it lay, and its every octet. The second also where the
    /// server has made its mailbox anew, with other numbers (RFC 9051 §2.3.1.1). A mail that is sent twice has been
    /// received twice, and says so in its trace lines.
    fn told_by(&self, message: &[u8]) -> Vec<ToldBy> {
        let until = now_ms() + REMEMBERED;
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
            mark("imap place", self.place().as_bytes()),
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
        refused::record(store, self.mailbox, &self.place(), words, now).await?;
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
        let purpose = format!("refused:{}:{}", self.mailbox.mailbox_id, self.place());
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

fn lies_at(mailbox: &Mailbox, (validity, uid): Which) -> String {
    format!(
        "{}\0{}\0{}\0{}\0{}\0{validity}\0{uid}",
        mailbox.mailbox_id,
        mailbox.host.to_lowercase(),
        mailbox.port(),
        mailbox.login,
        mailbox.folder
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn promise_1_the_same_numbers_elsewhere_are_another_mail() {
        let ours = Mailbox::new("t", "scans", "imap.example.com", "scan@example.com");
        let here = lies_at(&ours, (1, 2));
        let (mut host, mut port) = (ours.clone(), ours.clone());
        let (mut login, mut folder) = (ours.clone(), ours.clone());
        host.host = "imap.example.net".into();
        port.port = 1993;
        login.login = "fax@example.com".into();
        folder.folder = "Fax".into();
        for other in [&host, &port, &login, &folder] {
            assert_ne!(lies_at(other, (1, 2)), here);
        }
        assert_ne!(lies_at(&ours, (2, 2)), here);
        assert_ne!(lies_at(&ours, (1, 3)), here);
        let mut loud = ours.clone();
        loud.host = "IMAP.Example.com".into();
        assert_eq!(lies_at(&loud, (1, 2)), here);
    }

    #[test]
    fn a_mail_that_is_too_long_twice_waits_behind_the_others() {
        let mut memory = Memory::default();
        for times in 1..=2 {
            memory.at = Some((1, 7));
            memory.broke(&ImapError::Excess(super::super::wire::Excess::Literal(9)));
            assert_eq!(memory.too_large.get(&(1, 7)), Some(&times));
            assert!(memory.broke_at.contains(&(1, 7)));
        }
    }
}

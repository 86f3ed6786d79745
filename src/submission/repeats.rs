//! Knows a mail that comes again because its 250 was lost (RFC 5321 §4.5.3.2.6).
//!
//! Each number of each mail has a key for its octets, and one for what a copy of it would have too. The key's row says
//! which submission faxes it. The rows are written in the transaction that writes the submission, by one conditional
//! statement: of two that bring the same mail at once, on two nodes too, one finds the other's row.

use std::collections::{BTreeMap, HashMap};

use sha2::{Digest as _, Sha256};
use sqlx::Row as _;

use super::batch::Rows;
use crate::{
    clock::{Millis, now_ms},
    store::{Cell, Insert, Store, StoreError, Tx},
};

/// SHA-256 of tenant, user, the message's digest or its copies' mark, the number and its sub-address.
pub(super) type Key = [u8; 32];

/// One thing that tells a mail again at one number.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mark {
    pub key: Key,
    /// When it is forgotten.
    pub until: Millis,
    /// Whoever has this key is the same mail. Else only two of which one is strict are: a user who logs in may send
    /// the same text twice in a second, while a copy may be anybody's.
    pub strict: bool,
}

/// SHA-256 of a mail below its trace lines: these differ where it comes by another way, or with
/// another of our transaction ids, and are not the author's (RFC 5321 §4.4).
pub(super) fn digest(message: &[u8]) -> Vec<u8> {
    Sha256::digest(below_trace(message)).to_vec()
}

fn below_trace(mut message: &[u8]) -> &[u8] {
    while ["received:", "return-path:"].iter().any(|name| {
        message
            .get(..name.len())
            .is_some_and(|head| head.eq_ignore_ascii_case(name.as_bytes()))
    }) {
        message = after_field(message);
    }
    message
}

/// What follows the first header field: lines that begin with white space belong to it (RFC 5322 §2.2.3).
fn after_field(message: &[u8]) -> &[u8] {
    let mut rest = message;
    loop {
        let Some(end) = memchr::memchr(b'\n', rest) else {
            return &[];
        };
        rest = &rest[end + 1..];
        if !matches!(rest.first(), Some(b' ' | b'\t')) {
            return rest;
        }
    }
}

/// The key of one number of a mail, and the sub-address behind it: two people behind one number each get
/// their fax.
pub(super) fn key(
    tenant_id: &str,
    user_id: &str,
    digest: &[u8],
    (destination, sub_address): (&str, Option<&str>),
) -> Key {
    let mut hash = Sha256::new();
    for part in [
        tenant_id.as_bytes(),
        user_id.as_bytes(),
        digest,
        destination.as_bytes(),
        sub_address.unwrap_or_default().as_bytes(),
    ] {
        // Lengths first: no two lists of parts read alike.
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    hash.finalize().into()
}

/// What became of the keys of one mail.
#[derive(Debug)]
pub(super) struct Claimed {
    /// Which submission faxes each number.
    pub owners: Vec<String>,
    /// The mail's rows are there: its commit's answer was lost, and it is being written once more.
    pub written: bool,
}

/// A key's row.
struct Holder {
    submission_id: String,
    strict: bool,
}

/// Claims the keys of each mail, in their order: those that nobody has, or whose time is over, become
/// the mail's own.
pub(super) async fn claim(tx: &mut Tx, all: &[&Rows]) -> Result<Vec<Claimed>, StoreError> {
    // In the order of the keys: two nodes that lock them in turn would otherwise lock each other out.
    let mut wanted: BTreeMap<Key, (&Rows, Mark)> = BTreeMap::new();
    for rows in all {
        for mark in rows.marks.iter().flatten() {
            // Twice in one batch: the first mail has it.
            wanted.entry(mark.key).or_insert((rows, *mark));
        }
    }
    let taken = insert(tx, &wanted).await?;
    let mut holders: HashMap<Key, Holder> = HashMap::new();
    for (key, (rows, mark)) in wanted {
        let holder = if taken.contains(key.as_slice()) {
            Holder {
                submission_id: rows.submission.submission_id.clone(),
                strict: mark.strict,
            }
        } else {
            holder(tx, rows.submission.sender.tenant_id(), &key).await?
        };
        holders.insert(key, holder);
    }
    let mut claimed = Vec::with_capacity(all.len());
    for rows in all {
        let own = &rows.submission.submission_id;
        let is_written = |mark: &Mark| {
            let holder = holders.get(&mark.key);
            !taken.contains(mark.key.as_slice())
                && holder.is_some_and(|holder| holder.submission_id == *own)
        };
        let written = rows.marks.iter().flatten().any(is_written);
        let mut owners = Vec::with_capacity(rows.marks.len());
        for marks in &rows.marks {
            let before = before(&holders, marks, own);
            if let Some(before) = &before {
                hand_over(tx, rows, marks, before, &mut holders).await?;
            }
            owners.push(before.unwrap_or_else(|| own.clone()));
        }
        claimed.push(Claimed { owners, written });
    }
    Ok(claimed)
}

/// The other submission that faxes what these tell.
fn before(holders: &HashMap<Key, Holder>, marks: &[Mark], own: &str) -> Option<String> {
    marks.iter().find_map(|mark| {
        let holder = holders.get(&mark.key)?;
        let same = mark.strict || holder.strict;
        (same && holder.submission_id != own).then(|| holder.submission_id.clone())
    })
}

/// Gives the keys that a repeat has brought to the submission that it repeats: its own may never be written.
async fn hand_over(
    tx: &mut Tx,
    rows: &Rows,
    marks: &[Mark],
    before: &str,
    holders: &mut HashMap<Key, Holder>,
) -> Result<(), StoreError> {
    for mark in marks {
        let Some(holder) = holders.get_mut(&mark.key) else {
            continue;
        };
        if holder.submission_id != rows.submission.submission_id {
            continue;
        }
        sqlx::query(
            "UPDATE accepted_mail SET submission_id = $1 WHERE tenant_id = $2 AND mail_key = $3",
        )
        .bind(before)
        .bind(rows.submission.sender.tenant_id())
        .bind(mark.key.to_vec())
        .execute(tx.conn())
        .await?;
        before.clone_into(&mut holder.submission_id);
    }
    Ok(())
}

async fn insert(
    tx: &mut Tx,
    wanted: &BTreeMap<Key, (&Rows, Mark)>,
) -> Result<std::collections::HashSet<Vec<u8>>, StoreError> {
    static ROWS: Insert = Insert::with_tail(
        "INSERT INTO accepted_mail (mail_key, tenant_id, submission_id, strict, accepted_at, expires_at)",
        6,
        " ON CONFLICT (mail_key) DO UPDATE
             SET submission_id = excluded.submission_id, strict = excluded.strict,
                 accepted_at = excluded.accepted_at, expires_at = excluded.expires_at
             WHERE accepted_mail.expires_at <= excluded.accepted_at
          RETURNING mail_key",
    );
    let rows = wanted.iter().map(|(key, (rows, mark))| {
        let row = &rows.submission;
        vec![
            Cell::Blob(key.to_vec()),
            row.sender.tenant_id().into(),
            row.submission_id.as_str().into(),
            i64::from(mark.strict).into(),
            row.accepted_at.into(),
            mark.until.into(),
        ]
    });
    let taken = ROWS.returning(tx, rows.collect()).await?;
    taken
        .iter()
        .map(|row| Ok(row.try_get("mail_key")?))
        .collect()
}

async fn holder(tx: &mut Tx, tenant_id: &str, key: &Key) -> Result<Holder, StoreError> {
    // It was locked by the insert: nobody takes it away before we are done.
    let row = sqlx::query(
        "SELECT submission_id, strict FROM accepted_mail WHERE tenant_id = $1 AND mail_key = $2",
    )
    .bind(tenant_id)
    .bind(key.to_vec())
    .fetch_optional(tx.conn())
    .await?;
    let row = row.ok_or(StoreError::Missing("accepted mail"))?;
    Ok(Holder {
        submission_id: row.try_get("submission_id")?,
        strict: row.try_get::<i64, _>("strict")? != 0,
    })
}

/// Whether some key is known, as far as can be said without a lock.
pub(super) async fn is_known(
    store: &Store,
    tenant_id: &str,
    marks: &[Vec<Mark>],
) -> Result<bool, StoreError> {
    for mark in marks.iter().flatten() {
        let known: Option<i64> = sqlx::query_scalar(
            "SELECT expires_at FROM accepted_mail
             WHERE tenant_id = $1 AND mail_key = $2 AND expires_at > $3",
        )
        .bind(tenant_id)
        .bind(mark.key.to_vec())
        .bind(now_ms())
        .fetch_optional(store.reader())
        .await?;
        if known.is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Forgets the keys whose time is over.
pub(super) async fn forget(store: &Store, now: Millis) -> Result<(), StoreError> {
    let mut tx = store.begin().await?;
    sqlx::query("DELETE FROM accepted_mail WHERE expires_at <= $1")
        .bind(now)
        .execute(tx.conn())
        .await?;
    tx.commit().await
}

/// Forgets what is over; what can't be forgotten now is the next time.
pub(super) async fn tidy(store: &Store) {
    if let Err(error) = forget(store, now_ms()).await {
        tracing::warn!(%error, "mails that came long ago can't be forgotten; trying again");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trace_lines_are_no_part_of_the_mail() {
        let mail = b"Subject: x\r\nReceived: inner\r\n\r\nbody\r\n";
        for trace in [
            "",
            "Received: from a\r\n\tby b; now\r\n",
            "Return-Path: <a@x>\r\nRECEIVED: by b\r\n by c\r\n\td\r\nreceived: by d\r\n",
        ] {
            let whole = [trace.as_bytes(), mail].concat();
            assert_eq!(below_trace(&whole), mail);
        }
        assert_eq!(below_trace(b"Received: for ever"), b"");
        assert_eq!(below_trace(b""), b"");
        assert_ne!(digest(mail), digest(b"Subject: y\r\n\r\nbody\r\n"));
    }

    #[test]
    fn every_part_of_a_key_counts() {
        let number = ("+331", None);
        let one = key("t", "u", b"d", number);
        assert_eq!(one, key("t", "u", b"d", number));
        for other in [
            key("T", "u", b"d", number),
            key("t", "U", b"d", number),
            key("t", "u", b"D", number),
            key("t", "u", b"d", ("+332", None)),
            key("t", "u", b"d", ("+331", Some("1"))),
            key("tu", "", b"d", number),
        ] {
            assert_ne!(one, other);
        }
    }
}

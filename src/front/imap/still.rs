//! Which mails are still in the open folder, and for how long.

use async_imap::imap_proto::{MailboxDatum, Response};

use super::session::{Imap, ImapError, LOT};
use crate::clock::{Millis, now_ms};

const DAY: Millis = 24 * 3_600_000;

impl Imap {
    /// Those of these mails that are still there. A FETCH of one that is gone is OK and says nothing (RFC 9051 §6.4.9),
    /// and so do servers that can't read a mail of theirs.
    pub async fn present(&mut self, uids: &[u32]) -> Result<Vec<u32>, ImapError> {
        let mut present = Vec::new();
        for lot in uids.chunks(LOT) {
            let set: Vec<String> = lot.iter().map(u32::to_string).collect();
            let found = self.found(&format!("UID {}", set.join(","))).await?;
            present.extend(found.into_iter().filter(|uid| lot.contains(uid)));
        }
        Ok(present)
    }

    /// Whether a mail came to the mailbox more than so many days ago, as its server has it.
    pub async fn is_older(&mut self, uid: u32, days: i64) -> Result<bool, ImapError> {
        let criteria = format!("UID {uid} BEFORE {}", date(now_ms() - days * DAY));
        Ok(self.found(&criteria).await?.contains(&uid))
    }

    async fn found(&mut self, criteria: &str) -> Result<Vec<u32>, ImapError> {
        let mut uids = Vec::new();
        let command = format!("UID SEARCH {criteria}");
        self.command("search the folder", &command, |answer| {
            if let Response::MailboxData(MailboxDatum::Search(found)) = answer {
                uids.extend(found);
            }
        })
        .await?;
        Ok(uids)
    }
}

/// RFC 9051 §9, date-text. The server compares it with its own clock's day.
fn date(at: Millis) -> String {
    let at = jiff::Timestamp::from_millisecond(at).unwrap_or_default();
    at.to_zoned(jiff::tz::TimeZone::UTC)
        .strftime("%-d-%b-%Y")
        .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_as_servers_read_them() {
        assert_eq!(date(0), "1-Jan-1970");
        assert_eq!(date(1_795_176_000_000), "20-Nov-2026");
    }
}

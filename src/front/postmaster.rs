//! Mail to postmaster: everybody may write to who runs this (RFC 5321 §4.5.1), and it is handed on by the relay.

use sha2::{Digest as _, Sha256};

use super::house::PostmasterMail;
use crate::{
    clock::{Millis, now_ms},
    config, people,
    relay::{self, NewMail},
    store::{Store, StoreError, Topic, new_id},
    vault::{Custody, NewItem, What},
};

const HOUR: Millis = 3_600_000;
/// The same mail again within this counts as one whose 250 was lost; later it is another alarm of a device
/// that always writes the same.
const REPEATS_WITHIN_MS: Millis = 2 * HOUR;

/// Who reads mail to postmaster, and where it is kept until the relay has it.
#[derive(Clone, Debug)]
pub struct Postmaster {
    custody: Custody,
    address: Option<String>,
    lasts: Millis,
}

impl Postmaster {
    /// Keeps in `custody`; goes to the address in the configuration, else to the first operator.
    #[must_use]
    pub fn new(custody: Custody, config: &config::Relay) -> Self {
        Self {
            custody,
            address: config.postmaster.clone(),
            lasts: HOUR * Millis::try_from(config.give_up_h).unwrap_or(72),
        }
    }

    /// Who reads it.
    pub(super) async fn address(&self, store: &Store) -> Result<Option<String>, StoreError> {
        if self.address.is_some() {
            return Ok(self.address.clone());
        }
        let operator = people::first_operator(store).await?;
        Ok(operator.map(|operator| operator.address))
    }

    /// Keeps a mail and owes it to the postmaster, flushed and committed; its id. The same mail again is
    /// owed once.
    pub(super) async fn hand_on(
        &self,
        store: &Store,
        mail: PostmasterMail,
    ) -> anyhow::Result<String> {
        let address = self.address(store).await?;
        let tenant = people::first_tenant(store).await?;
        let (Some(recipient), Some(tenant)) = (address, tenant) else {
            anyhow::bail!("there is no operator: `faxpost init` enters one");
        };
        let id = new_id();
        // RFC 5321 §3.9.1: an alias leaves the reverse path, so that a bounce goes to who wrote it. One that
        // needs SMTPUTF8 could keep the relay from taking the mail.
        let return_path = Some(mail.reverse_path).filter(|path| path.is_ascii());
        let owed = NewMail {
            tenant_id: tenant.tenant_id.clone(),
            purpose: format!(
                "postmaster:{}:{}",
                now_ms() / REPEATS_WITHIN_MS,
                mark(&mail.message)
            ),
            about: String::new(),
            message_id: format!("{id}@postmaster"),
            return_path: return_path.unwrap_or_default(),
            recipient,
            deadline: now_ms() + self.lasts,
        };
        let kept = self
            .custody
            .keep_one(NewItem {
                tenant_id: tenant.tenant_id,
                what: What::Mail,
                bytes: mail.message,
            })
            .await?;
        let mut tx = store.begin().await?;
        self.custody.record(&mut tx, &kept).await?;
        if relay::enqueue_written(&mut tx, &owed, &kept.custody_id).await? {
            tx.commit().await?;
            store.wake(Topic::Outbox);
        }
        Ok(id)
    }
}

/// Tells a mail again that comes once more because its 250 was lost: its octets below our own trace line,
/// which is the first field.
fn mark(message: &[u8]) -> String {
    let lines = message.split_inclusive(|octet| *octet == b'\n');
    let mut hash = Sha256::new();
    let mut ours = true;
    for (index, line) in lines.enumerate() {
        ours = ours && (index == 0 || line.starts_with(b" ") || line.starts_with(b"\t"));
        if !ours {
            hash.update(line);
        }
    }
    hash.finalize()
        .iter()
        .map(|octet| format!("{octet:02x}"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_trace_line_is_no_part_of_the_mark() {
        let mail = |id: &str| {
            format!("Received: from a\r\n\tby us id {id};\r\n\tnow\r\nSubject: x\r\n\r\n\ty\r\n")
        };
        assert_eq!(mark(mail("1").as_bytes()), mark(mail("2").as_bytes()));
        let other = mail("1").replace("\ty", "\tz");
        assert_ne!(mark(mail("1").as_bytes()), mark(other.as_bytes()));
    }
}

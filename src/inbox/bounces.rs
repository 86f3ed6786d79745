//! A received fax whose mail came back: to whom it goes then, and who is told.
//!
//! Nobody outside the number's own people gets its pages: a recipient of the number who has had no mail of it, else
//! the owner of its group, else an administrator of its tenant. Each address has a fax once, so this ends. Where one of
//! the number's recipients has faxes only announced or closed with a password, or the one whose mail came back is no
//! recipient any more, owner and administrator get a notice.

use sqlx::Row as _;

use super::owed::{self, Owed};
use super::records::{DELIVERY_LASTS_MS, short_digest};
use crate::{
    clock::{Millis, now_ms},
    language::Language,
    letter::{self, Notice},
    people,
    relay::{self, NewMail, Returned},
    store::{Store, StoreError, Tx},
    vault::{Custody, NewItem, What},
};

/// With what a fax whose mail came back is sent on.
#[derive(Clone, Debug)]
pub struct SendOn {
    /// The directory.
    pub store: Store,
    /// Its pages, and what is written.
    pub custody: Custody,
    /// Our address.
    pub from: String,
    /// Our name, for Message-IDs.
    pub hostname: String,
    /// How long a fax is kept that nobody can be sent, milliseconds.
    pub kept_ms: Millis,
}

/// A fax of which a mail came back.
struct Fax {
    tenant_id: String,
    received_id: String,
    number_id: String,
    group_id: String,
    number: String,
    remote: String,
    state: String,
}

/// What became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Then {
    /// Somebody else had it, or is about to.
    OthersHave,
    /// It goes to this address.
    To(String),
    /// Nobody is left; it is kept.
    Nobody,
    /// Its pages are over.
    TooLate,
}

impl SendOn {
    /// Acts on a mail that came back, in the transaction that records it. What is no received fax is left alone.
    ///
    /// # Errors
    /// What the database or the disk says.
    pub async fn bounced(&self, tx: &mut Tx, mail: &Returned) -> anyhow::Result<()> {
        let Some(owed) = Owed::read(&mail.purpose) else {
            return Ok(());
        };
        let Some(fax) = fax(tx, &mail.tenant_id, &owed.received_id).await? else {
            return Ok(());
        };
        let then = self.send_on(tx, &fax, mail, &owed).await?;
        tracing::warn!(
            fax = fax.received_id,
            mail = mail.mail_id,
            then = then.name(),
            "a received fax came back"
        );
        self.tell(tx, &fax, mail, &then).await
    }

    async fn send_on(
        &self,
        tx: &mut Tx,
        fax: &Fax,
        mail: &Returned,
        owed: &Owed,
    ) -> anyhow::Result<Then> {
        let had = relay::mailed(tx, &fax.tenant_id, &fax.received_id).await?;
        if had
            .iter()
            .any(|one| one.is_on_its_way && one.recipient != mail.recipient)
        {
            return Ok(Then::OthersHave);
        }
        let pages: Vec<String> = sqlx::query_scalar(
            "SELECT custody_id FROM received_page WHERE tenant_id = $1 AND received_id = $2",
        )
        .bind(&fax.tenant_id)
        .bind(&fax.received_id)
        .fetch_all(tx.conn())
        .await?;
        let mut open = Vec::with_capacity(pages.len());
        for page in pages.iter().filter(|_| fax.state != "dropped") {
            if self.custody.reopen(tx, &fax.tenant_id, page).await? {
                open.push(page);
            }
        }
        if open.is_empty() || open.len() < pages.len() {
            // The first pages of a fax over midnight end a day before the last ones: these end again too.
            for page in open {
                self.custody.done(tx, &fax.tenant_id, page).await?;
            }
            return Ok(Then::TooLate);
        }
        let is_new = |address: &String| !had.iter().any(|one| one.recipient == *address);
        let recipients: Vec<String> = sqlx::query_scalar(
            "SELECT address FROM number_recipient WHERE tenant_id = $1 AND number_id = $2 ORDER BY address",
        )
        .bind(&fax.tenant_id)
        .bind(&fax.number_id)
        .fetch_all(tx.conn())
        .await?;
        // Whose the number was may have left it, and others may have it now: nobody of these gets the pages unasked.
        let may_be_closed = !owed.instead && !recipients.contains(&mail.recipient);
        let is_next = |address: &String| !may_be_closed && is_new(address);
        let now = now_ms();
        let next = match recipients.into_iter().find(is_next) {
            Some(own) => Some((owed::purpose(&fax.received_id, &own), own)),
            None => {
                let stands_in = people::responsible_for(tx, &fax.tenant_id, &fax.group_id).await?;
                let next = stands_in.into_iter().find(is_new);
                let purpose = if may_be_closed {
                    owed::purpose
                } else {
                    owed::purpose_instead
                };
                next.map(|address| (purpose(&fax.received_id, &address), address))
            }
        };
        let (state, lasts) = match next {
            Some(_) => ("received", DELIVERY_LASTS_MS),
            None => ("failed", self.kept_ms),
        };
        sqlx::query(
            "UPDATE received_fax SET state = $1, deadline = $2
             WHERE tenant_id = $3 AND received_id = $4 AND state NOT IN ('receiving', 'dropped')",
        )
        .bind(state)
        .bind(now + lasts)
        .bind(&fax.tenant_id)
        .bind(&fax.received_id)
        .execute(tx.conn())
        .await?;
        let Some((purpose, recipient)) = next else {
            return Ok(Then::Nobody);
        };
        let digest = short_digest(&recipient);
        let owed = NewMail {
            tenant_id: fax.tenant_id.clone(),
            purpose,
            about: fax.received_id.clone(),
            message_id: format!("{}.{digest}@{}", fax.received_id, self.hostname),
            return_path: relay::OWN_PATH.to_owned(),
            recipient: recipient.clone(),
            deadline: now + DELIVERY_LASTS_MS,
        };
        relay::enqueue_divisible(tx, &owed).await?;
        Ok(Then::To(recipient))
    }

    /// A notice without content to who answers for the number, and to who gets the fax in another's place.
    async fn tell(
        &self,
        tx: &mut Tx,
        fax: &Fax,
        mail: &Returned,
        then: &Then,
    ) -> anyhow::Result<()> {
        let responsible = people::responsible_for(tx, &fax.tenant_id, &fax.group_id).await?;
        let mut readers: Vec<String> = responsible.into_iter().take(1).collect();
        if let Then::To(address) = then
            && !readers.contains(address)
        {
            readers.push(address.clone());
        }
        if readers.is_empty() {
            let operator = people::first_operator(&self.store).await?;
            readers.extend(operator.map(|operator| operator.address));
        }
        for reader in readers {
            // It would come back too.
            if reader != mail.recipient {
                self.owe_notice(tx, fax, mail, then, &reader).await?;
            }
        }
        Ok(())
    }

    async fn owe_notice(
        &self,
        tx: &mut Tx,
        fax: &Fax,
        mail: &Returned,
        then: &Then,
        reader: &str,
    ) -> anyhow::Result<()> {
        let digest = short_digest(&format!("{reader} {}", mail.recipient));
        let purpose = format!("returned:{}:{digest}", fax.received_id);
        // The parts of one fax come back one by one, and are told of once.
        if relay::is_owed(tx, &purpose).await? {
            return Ok(());
        }
        let language = match people::user_by_address(&self.store, reader).await? {
            Some(user) => {
                let settings = people::settings_for(&self.store, &user.tenant_id, &user.user_id);
                settings.await?.language
            }
            None => Language::En,
        };
        let (subject, sentences) = words(fax, mail, then, language);
        let message_id = format!("{}.{digest}.returned@{}", fax.received_id, self.hostname);
        let bytes = letter::notice(&Notice {
            message_id: message_id.clone(),
            from: self.from.clone(),
            to: reader.to_owned(),
            date_ms: now_ms(),
            language,
            in_reply_to: None,
            subject,
            sentences,
        })?;
        let item = NewItem {
            tenant_id: fax.tenant_id.clone(),
            what: What::Mail,
            bytes,
        };
        let kept = self.custody.keep_one(item).await?;
        self.custody.record(tx, &kept).await?;
        let owed = NewMail {
            tenant_id: fax.tenant_id.clone(),
            purpose,
            about: String::new(),
            message_id,
            // A bounce of what tells of a bounce would have nobody to tell.
            return_path: String::new(),
            recipient: reader.to_owned(),
            deadline: now_ms() + DELIVERY_LASTS_MS,
        };
        relay::enqueue_written(tx, &owed, &kept.custody_id).await?;
        Ok(())
    }
}

impl Then {
    fn name(&self) -> &'static str {
        match self {
            Self::OthersHave => "others have it",
            Self::To(_) => "it is sent on",
            Self::Nobody => "nobody else is there: it is kept",
            Self::TooLate => "its pages are over",
        }
    }
}

async fn fax(tx: &mut Tx, tenant_id: &str, received_id: &str) -> Result<Option<Fax>, StoreError> {
    let row = sqlx::query(
        "SELECT fax.number_id, fax.remote_number, fax.state, number.group_id, number.e164
         FROM received_fax AS fax
         JOIN number ON number.tenant_id = fax.tenant_id AND number.number_id = fax.number_id
         WHERE fax.tenant_id = $1 AND fax.received_id = $2",
    )
    .bind(tenant_id)
    .bind(received_id)
    .fetch_optional(tx.conn())
    .await?;
    let Some(row) = row else { return Ok(None) };
    Ok(Some(Fax {
        tenant_id: tenant_id.to_owned(),
        received_id: received_id.to_owned(),
        number_id: row.try_get("number_id")?,
        group_id: row.try_get("group_id")?,
        number: row.try_get("e164")?,
        remote: row.try_get("remote_number")?,
        state: row.try_get("state")?,
    }))
}

/// Subject and sentences.
fn words(fax: &Fax, mail: &Returned, then: &Then, language: Language) -> (String, Vec<String>) {
    let (to, why, number, id) = (
        &mail.recipient,
        &mail.why,
        &fax.number,
        fax.received_id.as_str(),
    );
    let remote = fax.remote.trim();
    match language {
        Language::En => {
            let caller = if remote.is_empty() {
                "an unknown number"
            } else {
                remote
            };
            let then = match then {
                Then::OthersHave => "Its other recipients have it.".to_owned(),
                Then::To(next) => format!("It is mailed to {next} instead."),
                Then::Nobody => format!(
                    "Nobody else is there to have it. It is kept: add a recipient (“add recipient ADDRESS to {number}”), then \
                     have it mailed (“deliver {id} to ADDRESS”)."
                ),
                Then::TooLate => "Its pages are no longer kept.".to_owned(),
            };
            (
                format!("A fax could not be delivered to {to}"),
                vec![
                    format!(
                        "A fax from {caller} to {number} was mailed to {to} and came back ({why})."
                    ),
                    then,
                    format!(
                        "If the address is wrong, take it off the number: “remove recipient {to} of {number}”."
                    ),
                ],
            )
        }
        Language::Fr => {
            let caller = if remote.is_empty() {
                "un numéro inconnu"
            } else {
                remote
            };
            let then = match then {
                Then::OthersHave => "Ses autres destinataires l'ont.".to_owned(),
                Then::To(next) => format!("Il est envoyé à {next} à la place."),
                Then::Nobody => format!(
                    "Personne d'autre ne peut le recevoir. Il est conservé\u{a0}: ajoutez un destinataire («\u{a0}add recipient \
                     ADRESSE to {number}\u{a0}»), puis faites-le envoyer («\u{a0}deliver {id} to ADRESSE\u{a0}»)."
                ),
                Then::TooLate => "Ses pages ne sont plus conservées.".to_owned(),
            };
            (
                format!("Un fax n'a pas pu être remis à {to}"),
                vec![
                    format!(
                        "Un fax de {caller} pour {number} a été envoyé à {to} et il est revenu ({why})."
                    ),
                    then,
                    format!(
                        "Si l'adresse est fausse, retirez-la du numéro\u{a0}: «\u{a0}remove recipient {to} of {number}\u{a0}»."
                    ),
                ],
            )
        }
    }
}

#[cfg(test)]
mod tests;

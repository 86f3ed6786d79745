//! Once a day, what nobody proven sent to a mailbox is told to its owner: never to the address that it claims to be from.

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{
    Shared,
    refused::{self, RefusedMail},
    told::{self, Owed},
};
use crate::{
    clock::{Millis, now_ms},
    language::Language,
    numbers::{self, Mailbox},
    people,
};

/// How often it is looked whether a digest is due.
const EVERY: Duration = Duration::from_secs(60);
/// How often what was told long ago is forgotten.
const SWEEP: Duration = Duration::from_secs(6 * 3600);
/// Mails of one digest; those beyond are in the next.
const MOST: i64 = 100;

/// Writes digests until it is told to stop.
pub(super) async fn run(shared: Arc<Shared>, stop: CancellationToken) {
    let mut swept: Option<Instant> = None;
    loop {
        if swept.is_none_or(|at| at.elapsed() >= SWEEP) {
            swept = Some(Instant::now());
            if let Err(error) = refused::sweep(&shared.setup.store, now_ms()).await {
                tracing::warn!(%error, "what mailboxes refused long ago can't be forgotten; trying again later");
            }
        }
        if let Err(error) = pass(&shared).await {
            let error = format!("{error:#}");
            tracing::warn!(error, "what mailboxes refused can't be told; trying again");
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = shared.refused.notified() => {}
            () = tokio::time::sleep(EVERY) => {}
        }
    }
}

async fn pass(shared: &Shared) -> anyhow::Result<()> {
    let (setup, now) = (&shared.setup, now_ms());
    let states = numbers::mailbox_states(&setup.store, now).await?;
    let pause = Millis::try_from(setup.config.digest_s)
        .unwrap_or(Millis::MAX)
        .saturating_mul(1000);
    for mailbox in numbers::mailboxes(&setup.store).await? {
        let told_at = states
            .iter()
            .find(|state| state.mailbox_id == mailbox.mailbox_id)
            .and_then(|state| state.digested_at);
        if told_at.is_none_or(|at| now - at >= pause) {
            tell(shared, &mailbox).await?;
        }
    }
    Ok(())
}

async fn tell(shared: &Shared, mailbox: &Mailbox) -> anyhow::Result<()> {
    let setup = &shared.setup;
    let mails = refused::untold(&setup.store, mailbox, MOST).await?;
    let (Some(first), Some(last)) = (mails.first(), mails.last()) else {
        return Ok(());
    };
    let owner = match &mailbox.owner {
        Some(owner) => Some(owner.clone()),
        None => setup.postmaster.address(&setup.store).await?,
    };
    let Some(to) = owner else {
        // They stay on record until there is somebody to tell.
        return Ok(());
    };
    let tenant = people::tenant(&setup.store, &mailbox.tenant_id).await?;
    let zone = tenant.map(|tenant| tenant.time_zone).unwrap_or_default();
    let language = told::language(setup, mailbox).await?;
    let (subject, sentences) = words(mailbox, &mails, language, &zone);
    let owed = Owed {
        purpose: format!("digest:{}:{}", mailbox.mailbox_id, first.refused_id),
        tenant_id: mailbox.tenant_id.clone(),
        to,
        language,
        in_reply_to: None,
        subject,
        sentences,
    };
    let now = now_ms();
    told::owe(setup, owed, async |tx| {
        refused::told(tx, mailbox, &last.refused_id, now).await?;
        numbers::mailbox_digested(tx, mailbox, now).await?;
        Ok(true)
    })
    .await
}

/// Subject and sentences, a mail each.
fn words(
    mailbox: &Mailbox,
    mails: &[RefusedMail],
    language: Language,
    time_zone: &str,
) -> (String, Vec<String>) {
    let zone = jiff::tz::TimeZone::get(time_zone).unwrap_or(jiff::tz::TimeZone::UTC);
    let when = |at: Millis| {
        jiff::Timestamp::from_millisecond(at)
            .map(|at| {
                at.to_zoned(zone.clone())
                    .strftime("%Y-%m-%d %H:%M")
                    .to_string()
            })
            .unwrap_or_default()
    };
    let Mailbox {
        address, refused, ..
    } = mailbox;
    let (subject, lead) = match language {
        Language::En => (
            format!("Mails to {address} that were not faxed"),
            format!(
                "Of these mails nobody could prove who sent them, so their senders were told nothing: their addresses may be \
                 forged. The mails are in the folder {refused} of {address}. If one should have been faxed, have its sender \
                 send it again as its reason says."
            ),
        ),
        Language::Fr => (
            format!("Messages pour {address} qui n'ont pas été envoyés par fax"),
            format!(
                "Rien ne prouve de qui viennent ces messages\u{a0}; leurs expéditeurs n'ont donc pas été avertis, car leurs \
                 adresses sont peut-être fausses. Les messages sont dans le dossier {refused} de {address}. Si l'un d'eux \
                 devait partir, demandez à son expéditeur de le renvoyer comme le motif l'indique."
            ),
        ),
    };
    let line = |mail: &RefusedMail| {
        let RefusedMail {
            sender,
            subject,
            reason,
            at,
            ..
        } = mail;
        let at = when(*at);
        match language {
            Language::En => format!("{at}, says to be from {sender}, “{subject}”: {reason}."),
            Language::Fr => {
                format!("{at}, prétend venir de {sender}, «\u{a0}{subject}\u{a0}»\u{a0}: {reason}.")
            }
        }
    };
    let sentences = std::iter::once(lead)
        .chain(mails.iter().map(line))
        .collect();
    (subject, sentences)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn promise_2_a_digest_names_each_mail_and_why_in_the_owners_language() {
        let mailbox = Mailbox::new("t", "scans", "imap.example.com", "scan@example.com");
        let mail = RefusedMail {
            refused_id: "1".into(),
            sender: "eve@example.net".into(),
            subject: "Buy".into(),
            reason: "nothing proves who you are".into(),
            at: 1_795_176_000_000,
        };
        for (language, says) in [
            (
                Language::En,
                "2026-11-20 13:00, says to be from eve@example.net, “Buy”: nothing proves",
            ),
            (
                Language::Fr,
                "2026-11-20 13:00, prétend venir de eve@example.net",
            ),
        ] {
            let (subject, sentences) = words(
                &mailbox,
                std::slice::from_ref(&mail),
                language,
                "Europe/Paris",
            );
            assert!(subject.contains("scan@example.com"), "{subject}");
            assert!(
                sentences[0].contains("Refused") && sentences[1].starts_with(says),
                "{sentences:?}"
            );
        }
    }
}

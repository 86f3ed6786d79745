//! Tells users that a secret of theirs ends soon, so that no scanner falls silent unannounced.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::{
    clock::{Millis, now_ms},
    language::Language,
    letter::{self, Notice},
    people::{self, SecretInfo},
    relay::{self, NewMail},
    store::{Store, Topic},
    vault::{Custody, NewItem, What},
};

const EVERY: Duration = Duration::from_secs(3600);
const LASTS: Millis = 72 * 3_600_000;

/// Who writes the notices, and as whom.
#[derive(Clone, Debug)]
pub struct SecretNotices {
    /// The directory.
    pub store: Store,
    /// Where what is owed is kept.
    pub custody: Custody,
    /// Our address.
    pub from: String,
    /// Our name, for Message-IDs.
    pub hostname: String,
}

impl SecretNotices {
    /// Looks every hour, until it is told to stop.
    pub async fn run(self, stop: CancellationToken) {
        loop {
            if let Err(error) = self.pass().await {
                let error = format!("{error:#}");
                tracing::warn!(
                    error,
                    "secrets that end soon can't be told of; trying again"
                );
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(EVERY) => {}
            }
        }
    }

    /// Owes one notice for each secret that ends soon.
    ///
    /// # Errors
    /// What the database or the disk says: those that were not told of are the next time.
    pub async fn pass(&self) -> anyhow::Result<()> {
        for secret in people::secrets_ending(&self.store).await? {
            self.owe(&secret).await?;
        }
        Ok(())
    }

    async fn owe(&self, secret: &SecretInfo) -> anyhow::Result<()> {
        let Some(user) = people::user(&self.store, &secret.tenant_id, &secret.user_id).await?
        else {
            return Ok(());
        };
        let settings =
            people::settings_for(&self.store, &secret.tenant_id, &secret.user_id).await?;
        let message_id = format!("{}.secret@{}", secret.secret_id, self.hostname);
        let (subject, sentences) = words(settings.language, secret.expires_at, &settings.time_zone);
        let bytes = letter::notice(&Notice {
            message_id: message_id.clone(),
            from: self.from.clone(),
            to: user.address.clone(),
            date_ms: now_ms(),
            language: settings.language,
            in_reply_to: None,
            subject,
            sentences,
        })?;
        let owed = NewMail {
            tenant_id: secret.tenant_id.clone(),
            purpose: format!("secret:{}", secret.secret_id),
            about: String::new(),
            message_id,
            return_path: String::new(),
            recipient: user.address,
            deadline: now_ms() + LASTS,
        };
        let item = NewItem {
            tenant_id: secret.tenant_id.clone(),
            what: What::Mail,
            bytes,
        };
        let kept = self.custody.keep_one(item).await?;
        let mut tx = self.store.begin().await?;
        self.custody.record(&mut tx, &kept).await?;
        people::secret_warned(&mut tx, secret).await?;
        if relay::enqueue_written(&mut tx, &owed, &kept.custody_id).await? {
            tx.commit().await?;
            self.store.wake(Topic::Outbox);
        }
        Ok(())
    }
}

/// Subject and sentences.
fn words(language: Language, expires_at: Millis, time_zone: &str) -> (String, Vec<String>) {
    let zone = jiff::tz::TimeZone::get(time_zone).unwrap_or(jiff::tz::TimeZone::UTC);
    let day = jiff::Timestamp::from_millisecond(expires_at)
        .map(|at| at.to_zoned(zone).strftime("%Y-%m-%d %H:%M").to_string())
        .unwrap_or_default();
    match language {
        Language::En => (
            "Your secret for sending faxes ends soon".to_owned(),
            vec![
                format!("The secret with which a machine or program sends faxes as you ends on {day}. After that its mails are refused."),
                "Ask your administrator for a new one (“add secret to” your address) and enter it there: the old one goes on \
                 for a week beside it."
                    .to_owned(),
            ],
        ),
        Language::Fr => (
            "Votre secret d'envoi de fax expire bientôt".to_owned(),
            vec![
                format!(
                    "Le secret avec lequel un appareil ou un programme envoie des fax en votre nom expire le {day}. Ensuite, \
                     ses messages seront refusés."
                ),
                "Demandez-en un nouveau à votre administrateur («\u{a0}add secret to\u{a0}» suivi de votre adresse) et \
                 saisissez-le à sa place\u{a0}: l'ancien reste valable une semaine."
                    .to_owned(),
            ],
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_day_is_in_the_readers_zone() {
        let (_, sentences) = words(Language::En, 1_795_176_000_000, "Europe/Paris");
        assert!(sentences[0].contains("2026-11-20 13:00"), "{sentences:?}");
        let (_, sentences) = words(Language::Fr, 1_795_176_000_000, "nowhere");
        assert!(sentences[0].contains("2026-11-20 12:00"), "{sentences:?}");
    }

    crate::store::testing::on_each_database! {
        async fn promise_4_a_notice_is_owed_once_before_a_secret_ends(store) {
            let dir = tempfile::tempdir().unwrap();
            let mut tx = store.begin().await.unwrap();
            let tenant = people::NewTenant {
                name: "North".into(),
                language: Language::Fr,
                time_zone: "Europe/Paris".into(),
            };
            let tenant_id = people::create_tenant(&mut tx, &tenant).await.unwrap();
            let new = people::NewUser {
                tenant_id: tenant_id.clone(),
                group_id: None,
                name: "Ada".into(),
                address: "ada@example.com".into(),
                role: people::Role::User,
                plan: people::Plan::SendReceive,
                language: None,
                caller_number: None,
            };
            let user_id = people::add_user(&mut tx, &new).await.unwrap();
            people::add_secret(&mut tx, &tenant_id, &user_id, 10).await.unwrap();
            tx.commit().await.unwrap();
            let blobs = crate::store::blobs::Blobs::open(&dir.path().join("blobs")).unwrap();
            let vault = crate::vault::Vault::open(&dir.path().join("keys")).unwrap();
            let notices = SecretNotices {
                store: store.clone(),
                custody: Custody::new(vault, blobs),
                from: "fax@example.com".into(),
                hostname: "fax.example.com".into(),
            };
            for _ in 0..2 {
                notices.pass().await.unwrap();
                let owed: Vec<(String, String)> = sqlx::query_as("SELECT recipient, state FROM outbox")
                    .fetch_all(store.reader())
                    .await
                    .unwrap();
                assert_eq!(owed, [("ada@example.com".to_owned(), "ready".to_owned())]);
            }
        }
    }
}
